"""The tensors of a GGUF, planned from a family's table before anything is written,
and computed block by block: read, merged with adapters, changed, rounded.

Owns the arithmetic of llama.cpp's conventions and the check that a checkpoint has
exactly the tensors that its config promises. Knows no files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from gguf import GGMLQuantizationType
from gguf.quants import quantize
from numpy.typing import NDArray

from ..errors import SlmError
from ..quantize.choice import is_matrix
from .family import Change, Family, Row
from .hyperparameters import Hyperparameters
from .names import plain_names
from .safetensors import F32, Tensor, same_values

TYPES = {
    "f32": GGMLQuantizationType.F32,
    "f16": GGMLQuantizationType.F16,
    "bf16": GGMLQuantizationType.BF16,
}
F16_MAX = 65504.0
TAPS = ("taps", "value_taps_behind")  # of convolutions
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"


class Merge(Protocol):
    """What an adapter does to a tensor of the base."""

    def apply(self, rows: F32, start: int) -> F32:
        """The merged rows, of those that begin at row `start` of the tensor."""
        ...

    @property
    def whole(self) -> Tensor | None:
        """What replaces the tensor, whatever it was."""
        ...

    @property
    def shared(self) -> bool:
        """Of the embeddings: a head that is tied to them changes along."""
        ...


@dataclass(frozen=True)
class Planned:
    """A tensor of the output: its GGUF name, numpy's shape, and where its values come from. Of
    one with three dimensions the source is the first matrix, and `behind` has the others."""

    name: str
    shape: tuple[int, ...]
    source: Tensor
    change: Change
    merges: Sequence[Merge] = field(default=())
    part: tuple[int, int] = (0, 1)  # of the rows of the source
    behind: Sequence[Planned] = field(default=())

    def blocks(self, hyper: Hyperparameters) -> Iterator[F32]:
        """The values, rows in order, before rounding. Raises what `Tensor.read` does."""
        granule = hyper.head_dim if self.change in ("rotary_q", "rotary_k") else 1
        if self.change in _VALUE_ROWS:
            granule = self.source.rows  # they change places with each other
        index, of = self.part
        n_rows = self.source.rows // of
        for start, stop in self.source.blocks(granule, index * n_rows, (index + 1) * n_rows):
            rows = self.source.read(start, stop)
            for merge in self.merges:
                rows = merge.apply(rows, start)
            if self.change == "after_padding":
                rows = rows[max(0, hyper.n_unused_positions - start) :]
            yield changed(rows, self.change, hyper)
        if self.change == "padded" and (missing := self.shape[0] - self.source.rows):
            yield np.zeros((missing, *self.shape[1:]), np.float32)
        for matrix in self.behind:
            yield from matrix.blocks(hyper)


_VALUE_ROWS = ("value_rows", "value_rows_behind", "value_taps_behind", "value_heads", "value_rates")


def changed(rows: F32, change: Change, hyper: Hyperparameters) -> F32:
    """Rows (whole heads of them, where they move) as llama.cpp wants them."""
    if change in ("rotary_q", "rotary_k"):
        # Row i of a head is rotated with row i + head_dim / 2 in transformers,
        # row 2 i with row 2 i + 1 in llama.cpp's llama.
        heads = rows.reshape(-1, 2, hyper.head_dim // 2, *rows.shape[1:])
        return np.ascontiguousarray(heads.swapaxes(1, 2)).reshape(rows.shape)
    if change in ("plus_one", "plus_one_query_scale"):
        rows = rows + np.float32(1)
    if change in TAPS:
        rows = rows[:, 0]
    if change in _VALUE_ROWS:
        rows = _tiled_values(rows, change, hyper)
    if change in ("value_rates", "rate_column"):
        rows = -np.exp(rows)
    if change in ("column", "rate_column"):
        rows = rows[:, None]
    if change == "value_columns":
        rows = changed_columns(rows, change, hyper)
    if change == "blocks":
        rows = np.ascontiguousarray(rows.swapaxes(1, 2)).reshape(-1, rows.shape[-1])
    if change == "block_biases":
        rows = rows.reshape(-1)
    if change == "decay":
        rows = (-8 * np.log1p(np.exp(rows.astype(np.float64)))).astype(np.float32)
    if change.endswith("query_scale") and hyper.query_scale != 1:
        rows = rows * np.float32(hyper.query_scale)
    return rows


def changed_columns(rows: F32, change: Change, hyper: Hyperparameters) -> F32:
    """Rows that are no rows of the tensor and have its columns: of an adapter's A."""
    if change != "value_columns":
        return rows
    return np.ascontiguousarray(_tiled_values(rows.T, "value_rows", hyper).T)


def _tiled_values(rows: F32, change: Change, hyper: Hyperparameters) -> F32:
    """Heads of values that lie by their keys, in the order in which repeated keys meet them."""
    delta = hyper.delta
    assert delta is not None
    before = delta.channels - delta.values if change.endswith("_behind") else 0
    heads = rows[before:].reshape(delta.n_key, delta.n_value // delta.n_key, -1, *rows.shape[1:])
    tiled = heads.swapaxes(0, 1).reshape(rows[before:].shape)
    return np.concatenate([rows[:before], tiled])


def shape_before(shape: tuple[int, ...], change: Change, hyper: Hyperparameters) -> tuple[int, ...]:
    """Of the tensor in the checkpoint."""
    if change in TAPS:
        return (shape[0], 1, shape[1])
    if change in ("blocks", "block_biases"):
        block = hyper.size("block")
        return (shape[0] // block, block, *shape[1:])
    if change in ("column", "rate_column"):
        return shape[:1]
    if change == "groups":
        return (shape[0] * shape[1],)
    if change == "after_padding":
        return (shape[0] + hyper.n_unused_positions, *shape[1:])
    if change == "padded":
        return (hyper.n_looked_up, *shape[1:])
    return shape


def stored_type(
    name: str, shape: tuple[int, ...], wanted: GGMLQuantizationType
) -> GGMLQuantizationType:
    """Vectors stay F32, as llama.cpp demands of norms and biases, and so does what is no matrix to
    `quantize` either."""
    return wanted if is_matrix(name, shape[::-1]) else GGMLQuantizationType.F32


def rounded(rows: F32, kind: GGMLQuantizationType, name: str) -> NDArray[np.generic]:
    """The rows in the type of the file. Raises SlmError "unsupported" where F16 overflows."""
    if kind is GGMLQuantizationType.F16 and np.abs(rows).max(initial=0) > F16_MAX:
        raise SlmError(
            "unsupported",
            f"tensor '{name}' holds {np.abs(rows).max():.3g}, more than F16 can; "
            "convert with --type bf16 or f32",
        )
    if kind is GGMLQuantizationType.F32:
        return np.ascontiguousarray(rows)
    return quantize(rows, kind)


def rows_of(family: Family, hyper: Hyperparameters) -> dict[str, tuple[Row, ...]]:
    """The family's table with every layer's names written out, by name in the checkpoint: what
    becomes of a tensor, in the order of its parts."""
    rows = [
        replace(
            row,
            source=f"{source}{i}.{row.source}",
            target=f"{target}{i}.{row.target}",
            layer=i,
        )
        for source, target, layer in (
            ("model.encoder.layers.", "enc.blk.", family.encoder),
            (family.layers, "blk.", family.layer),
        )
        for i in range(hyper.n_layer)
        for row in layer
        if row.memory in ("", hyper.memory(i))
    ]
    table: dict[str, tuple[Row, ...]] = {}
    for row in (*family.model, *rows):
        table[row.source] = (*table.get(row.source, ()), row)
    return table


def shape_of(row: Row, hyper: Hyperparameters) -> tuple[int, ...]:
    """Of all parts of the row's tensor together."""
    n_rows, *rest = hyper.shape_of(row)
    return (row.part[1] * n_rows, *rest)


def base_tensors(
    tensors: Mapping[str, Tensor], hyper: Hyperparameters, where: str
) -> dict[str, Tensor]:
    """A checkpoint's tensors by their plain names, without a head that is the embeddings'.

    A config that ties the two does not have the last word: as in transformers, a
    head that differs counts, and one that stands alone serves as both.
    """
    found = {plain: tensors[name] for plain, name in plain_names(tensors, where).items()}
    if hyper.tied and HEAD in found:
        if EMBEDDING not in found:
            found[EMBEDDING] = found.pop(HEAD)
        elif same_values(found[EMBEDDING], found[HEAD]):
            del found[HEAD]
    return found


def plan(
    family: Family,
    hyper: Hyperparameters,
    found: Mapping[str, Tensor],
    merges: Mapping[str, Sequence[Merge]],
    config: str,
) -> list[Planned]:
    """Every tensor of the output, in order.

    `found` are `base_tensors`; `merges` has the adapters' changes by the same names;
    `config` names the file whose promises the tensors have to keep. Raises SlmError
    "bad_file" for a missing tensor or a wrong shape, "unsupported" for one too many.
    """
    sources = _sources(family, hyper, found, merges)
    table = rows_of(family, hyper)
    _refuse_extra(found, table, family, hyper, config)
    if HEAD in sources and not family.untied_output:
        apart = (
            "an adapter parts the output head from the embeddings"
            if merges.get(HEAD) or merges.get(EMBEDDING)
            else f"{sources[HEAD][0].file.path}: the output head differs from the embeddings"
        )
        raise SlmError(
            "unsupported",
            f"{apart}, which {family.architecture} cannot express; train them as one matrix, or "
            "leave both as they were",
        )
    planned = []
    for row in (row for rows in table.values() for row in rows):
        if row.source not in sources:
            if row.promise or (row.source == HEAD and (hyper.tied or HEAD in found)):
                continue
            file = next(iter(found.values())).file.path if found else config
            raise SlmError(
                "bad_file",
                f"{file} has no tensor '{row.source}', which {config} promises; "
                "the checkpoint is incomplete, so download or save it again",
            )
        tensor, changes = sources[row.source]
        shape = hyper.shape_of(row)
        before = shape_before(shape_of(row, hyper), row.change, hyper)
        if tensor.shape != before:
            raise SlmError(
                "bad_file",
                f"{tensor.file.path}: tensor '{tensor.name}' has the shape {list(tensor.shape)}, "
                f"but {config} asks for {list(before)}; use the config that belongs to the weights",
            )
        planned.append(Planned(row.target, shape, tensor, row.change, changes, row.part))
    return _stacked(planned)


def _stacked(planned: Sequence[Planned]) -> list[Planned]:
    """Matrices of one name as one tensor."""
    named: dict[str, list[Planned]] = {}
    for tensor in planned:
        named.setdefault(tensor.name, []).append(tensor)
    return [
        replace(first, shape=(1 + len(behind), *first.shape), behind=behind) if behind else first
        for first, *behind in named.values()
    ]


def _sources(
    family: Family,
    hyper: Hyperparameters,
    found: Mapping[str, Tensor],
    merges: Mapping[str, Sequence[Merge]],
) -> dict[str, tuple[Tensor, tuple[Merge, ...]]]:
    """Every tensor with the changes that remain once replaced ones are replaced."""
    tensors, changes = dict(found), {name: tuple(c) for name, c in merges.items()}
    tied = hyper.tied and HEAD not in found and EMBEDDING in found
    both = tuple(c for c in changes.get(HEAD, ()) if c.shared and c.whole is not None)
    if tied and both and not any(c.whole for c in changes.get(EMBEDDING, ())):
        # A resized pair, of which the adapter saved the half that it adapts.
        changes[EMBEDDING] = both + changes.get(EMBEDDING, ())
    on_both = tuple(c for c in changes.get(EMBEDDING, ()) if c.shared)
    if tied and (HEAD in changes or len(on_both) < len(changes.get(EMBEDDING, ()))):
        # What an adapter does to one of the two parts them.
        tensors[HEAD] = tensors[EMBEDDING]
        changes[HEAD] = on_both + changes.get(HEAD, ())
    sources = {}
    for name, tensor in tensors.items():
        rest = changes.get(name, ())
        for i, change in enumerate(rest):
            if (whole := change.whole) is not None:
                tensor, rest = whole, changes[name][i + 1 :]
        sources[name] = tensor, rest
    if HEAD in sources and (tied or not family.untied_output) and EMBEDDING in sources:
        (a, on_a), (b, on_b) = sources[EMBEDDING], sources[HEAD]
        if a.shape[:1] == (hyper.n_vocab,) and _same_results(a, on_a, b, on_b):
            del sources[HEAD]
    return sources


def _same_results(a: Tensor, on_a: tuple[Merge, ...], b: Tensor, on_b: tuple[Merge, ...]) -> bool:
    """Whether two tensors are one once they are merged."""
    if not on_a and not on_b:
        return a is b or same_values(a, b)
    if a.shape != b.shape:
        return False
    for start, stop in a.blocks():
        rows_a, rows_b = a.read(start, stop), b.read(start, stop)
        for change in on_a:
            rows_a = change.apply(rows_a, start)
        for change in on_b:
            rows_b = change.apply(rows_b, start)
        if not np.array_equal(rows_a, rows_b):
            return False
    return True


def _refuse_extra(
    found: Mapping[str, Tensor],
    table: Mapping[str, tuple[Row, ...]],
    family: Family,
    hyper: Hyperparameters,
    config: str,
) -> None:
    # Of layers that attend to others' keys and values, which training has left there.
    unused = {
        f"{family.layers}{i}.{row.source}"
        for i in range(hyper.n_layer)
        for row in family.layer
        if hyper.memory(i) == "shared" and row.memory == "attention"
    }
    for name, tensor in found.items():
        # Rotary frequencies that old versions of transformers saved are computed anew.
        if name.endswith(".rotary_emb.inv_freq") or name.startswith(family.ignored):
            continue
        if name in unused:
            continue
        if name not in table:
            raise SlmError(
                "unsupported",
                f"{tensor.file.path}: tensor '{tensor.name}' is not part of {family.model_type} as "
                "known here, and leaving it out would give wrong answers; convert a plain "
                "checkpoint of this family",
            )
        if (promise := table[name][0].promise) and promise not in hyper.biases:
            raise SlmError(
                "unsupported",
                f"{tensor.file.path} has the tensor '{tensor.name}', but {config} does not say "
                f"{promise}, so transformers leaves it out; set {promise} there to true if the "
                "model was trained with it",
            )
