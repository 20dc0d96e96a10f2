"""Where a GGUF file is cut into chunks.

Owns the rule that makes versions of a model share chunks: a cut depends on the
names and sizes of the tensors around it, never on how far into the file it is.
So a version with other values in one tensor differs in that tensor's chunk
alone, and after a tensor of another size the cuts soon fall where they fell
before. Knows no tensor types; the core says how finely a tensor may be cut.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Extent:
    """A tensor's bytes in its file. `granule` is what the core takes at least: four rows."""

    name: str
    offset: int
    granule: int


def cuts(file_size: int, tensors: Sequence[Extent], chunk_size: int) -> list[int]:
    """The ends of the chunks of one file, rising, the last one `file_size`.

    What comes before the first tensor (the header) is cut every `chunk_size`
    bytes. A tensor larger than a chunk has chunks of its own, cut at multiples of
    its granule; smaller neighbours share one. Of the borders that would leave a
    shared chunk half full at least, the one is taken that is followed by the
    tensor whose name has the least SHA-256: a local minimum, as in content-defined
    chunking (Bjoerner, Blass and Gurevich 2010), over names instead of bytes. The
    padding behind a tensor belongs to it. Only a granule larger than `chunk_size`
    makes a larger chunk.
    """
    order = sorted(tensors, key=lambda tensor: tensor.offset)
    starts = [tensor.offset for tensor in order] + [file_size]
    ends = [*range(chunk_size, starts[0], chunk_size), starts[0]]
    at = 0
    while at < len(order):
        start, size = starts[at], starts[at + 1] - starts[at]
        if size > chunk_size:
            step = max(1, chunk_size // order[at].granule) * order[at].granule
            ends += [*range(start + step, starts[at + 1], step), starts[at + 1]]
            at += 1
            continue
        at = _shared(order, starts, at, chunk_size)
        ends.append(starts[at])
    # Tensors at one offset and a file without a header leave chunks without bytes.
    return [end for i, end in enumerate(ends) if end > (ends[i - 1] if i else 0)]


def _shared(order: Sequence[Extent], starts: Sequence[int], first: int, chunk_size: int) -> int:
    """The tensor after the last one that shares a chunk with `first`."""
    last = first + 1
    while last < len(order) and starts[last + 1] - starts[first] <= chunk_size:
        last += 1
    if last == len(order) or starts[last + 1] - starts[last] > chunk_size:
        # All that is left before the end or before a large tensor fits.
        return last
    borders = [i for i in range(first + 1, last + 1) if starts[i] - starts[first] >= chunk_size / 2]
    return min(borders, key=lambda i: _hash(order[i].name), default=last)


def _hash(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
