"""Where files are cut: at borders that only the tensors around them decide."""

from __future__ import annotations

import random
from itertools import accumulate, pairwise

import pytest

from slmweb.pack.cuts import Extent, cuts

KB = 1000


def layers(n: int, sizes: tuple[int, ...] = (40, 10, 10, 40, 3, 70, 70, 70, 3)) -> list[int]:
    """Sizes of the tensors of `n` layers, in bytes."""
    return [size * KB for _ in range(n) for size in sizes]


def extents(sizes: list[int], header: int = 7777, granule: int = 4) -> tuple[int, list[Extent]]:
    """Tensors of these sizes one after the other; the file's size comes first."""
    starts = list(accumulate(sizes, initial=header))
    tensors = [Extent(f"blk.{i}", at, granule) for i, at in enumerate(starts[:-1])]
    return starts[-1], tensors


def spans(sizes: list[int], chunk_size: int, **options: int) -> list[tuple[int, int]]:
    return list(pairwise([0, *cuts(*extents(sizes, **options), chunk_size)]))


def test_the_chunks_are_the_file_in_order() -> None:
    size, tensors = extents(layers(20))
    ends = cuts(size, tensors, 400 * KB)
    assert ends == sorted(set(ends))
    assert ends[-1] == size


def test_the_header_is_in_chunks_of_its_own() -> None:
    ends = cuts(*extents(layers(5), header=250), 100)
    assert ends[:3] == [100, 200, 250]


def test_small_tensors_share_chunks_that_are_cut_at_tensors() -> None:
    size, tensors = extents(layers(20))
    ends = cuts(size, tensors, 400 * KB)
    assert set(ends) <= {tensor.offset for tensor in tensors} | {size}
    filled = [end - start for start, end in pairwise(ends)]
    assert max(filled) <= 400 * KB
    assert min(filled[:-1]) >= 200 * KB


def test_a_large_tensor_is_cut_at_its_granule_and_shares_no_chunk() -> None:
    ends = cuts(*extents([50, 1000, 50], header=10, granule=96), 300)
    # Three granules of 96 fit 300.
    assert ends == [10, 60, 60 + 288, 60 + 576, 60 + 864, 1060, 1110]


def test_a_granule_larger_than_a_chunk_is_not_cut() -> None:
    assert cuts(*extents([900], header=10, granule=400), 300) == [10, 300 + 110, 810, 910]


def test_odd_files_are_still_cut_whole() -> None:
    assert cuts(250, [], 100) == [100, 200, 250]
    # Two tensors at one place, and one at the very start.
    assert cuts(90, [Extent("a", 0, 4), Extent("b", 0, 4), Extent("c", 50, 4)], 100) == [90]


@pytest.mark.parametrize("change", [-1000, 500, 123_456])
def test_after_a_tensor_of_another_size_the_cuts_fall_as_before(change: int) -> None:
    sizes = layers(60)
    other = list(sizes)
    other[70] += change
    before, after = spans(sizes, 400 * KB), spans(other, 400 * KB)
    # Chunks by the tensors in them, which is what their bytes follow from.
    moved = {(start - change, end - change) for start, end in after}
    shared = len(set(before) & (set(after) | moved))
    assert len(before) > 40
    assert shared >= len(before) - 6


def test_a_longer_header_moves_no_cut() -> None:
    before, after = spans(layers(60), 400 * KB), spans(layers(60), 400 * KB, header=9999)
    assert [end - start for start, end in before[1:]] == [end - start for start, end in after[1:]]


def test_an_inserted_layer_leaves_the_others_alone() -> None:
    draw = random.Random(3)
    sizes = [draw.randrange(1, 90) * KB for _ in range(500)]
    size, tensors = extents(sizes)
    ends = cuts(size, tensors, 400 * KB)
    shift = 111 * KB
    extra = Extent("blk.added", tensors[250].offset, 4)
    later = [Extent(t.name, t.offset + shift, 4) for t in tensors[250:]]
    grown = cuts(size + shift, [*tensors[:250], extra, *later], 400 * KB)
    spans_before = set(pairwise(ends))
    kept = spans_before & {*pairwise(grown), *((a - shift, b - shift) for a, b in pairwise(grown))}
    assert len(kept) >= len(spans_before) - 6
