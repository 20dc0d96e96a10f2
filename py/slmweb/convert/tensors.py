"""The tensors of a GGUF, planned from a family's table before anything is written,
and computed block by block: read, merged with adapters, changed, rounded.

Owns the arithmetic of llama.cpp's conventions and the check that a checkpoint has
exactly the tensors that its config promises. Knows no files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from gguf import GGMLQuantizationType
from gguf.quants import quantize
from numpy.typing import NDArray

from ..errors import SlmError
from .families import LANGUAGE_PREFIXES, VISION_PREFIXES, Change, Family, Row
from .hyperparameters import Hyperparameters
from .safetensors import F32, Tensor

TYPES = {
    "f32": GGMLQuantizationType.F32,
    "f16": GGMLQuantizationType.F16,
    "bf16": GGMLQuantizationType.BF16,
}
F16_MAX = 65504.0


class Merge(Protocol):
    """What an adapter does to a tensor of the base."""

    def apply(self, rows: F32, start: int) -> F32:
        """The merged rows, of those that begin at row `start` of the tensor."""
        ...


@dataclass(frozen=True)
class Planned:
    """A tensor of the output: its GGUF name, numpy's shape, and where its values come from."""

    name: str
    shape: tuple[int, ...]
    source: Tensor
    change: Change
    merges: Sequence[Merge] = field(default=())

    def blocks(self, hyper: Hyperparameters) -> Iterator[F32]:
        """The values, rows in order, before rounding. Raises what `Tensor.read` does."""
        granule = hyper.head_dim if self.change in ("rotary_q", "rotary_k") else 1
        for start, stop in self.source.blocks(granule):
            rows = self.source.read(start, stop)
            for merge in self.merges:
                rows = merge.apply(rows, start)
            yield changed(rows, self.change, hyper)


def changed(rows: F32, change: Change, hyper: Hyperparameters) -> F32:
    """Rows (whole heads of them, where they move) as llama.cpp wants them."""
    if change in ("rotary_q", "rotary_k"):
        # Row i of a head is rotated with row i + head_dim / 2 in transformers,
        # row 2 i with row 2 i + 1 in llama.cpp's llama.
        heads = rows.reshape(-1, 2, hyper.head_dim // 2, *rows.shape[1:])
        return np.ascontiguousarray(heads.swapaxes(1, 2)).reshape(rows.shape)
    if change in ("plus_one", "plus_one_query_scale"):
        rows = rows + np.float32(1)
    if change.endswith("query_scale") and hyper.query_scale != 1:
        rows = rows * np.float32(hyper.query_scale)
    return rows


def stored_type(shape: tuple[int, ...], wanted: GGMLQuantizationType) -> GGMLQuantizationType:
    """Vectors stay F32, as llama.cpp demands of norms and biases."""
    return wanted if len(shape) == 2 else GGMLQuantizationType.F32


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


def canonical(name: str) -> str | None:
    """A tensor's name without a vision model around it; None for what is not the language's."""
    for prefix, plain in LANGUAGE_PREFIXES.items():
        if name.startswith(prefix):
            return plain + name.removeprefix(prefix)
    return None if name.startswith(VISION_PREFIXES) else name


def rows_of(family: Family, hyper: Hyperparameters) -> dict[str, Row]:
    """The family's table with every layer's names written out, by name in the checkpoint."""
    rows = [
        Row(f"model.layers.{i}.{row.source}", f"blk.{i}.{row.target}",
            row.shape, row.change, row.optional)
        for i in range(hyper.n_layer)
        for row in family.layer
    ]  # fmt: skip
    return {row.source: row for row in (*family.model, *rows)}


def plan(
    family: Family,
    hyper: Hyperparameters,
    tensors: Mapping[str, Tensor],
    merges: Mapping[str, Sequence[Merge]],
    config: str,
) -> list[Planned]:
    """Every tensor of the output, in order.

    `merges` has the adapters' changes by the checkpoint's names; `config` names
    the file whose promises the tensors have to keep. Raises SlmError "bad_file"
    for a missing tensor or a wrong shape, "unsupported" for one too many.
    """
    found = {plain: t for name, t in tensors.items() if (plain := canonical(name)) is not None}
    table = rows_of(family, hyper)
    embedding, head = "model.embed_tokens.weight", "lm_head.weight"
    if hyper.tied:
        # Many a checkpoint stores the tied head all the same; transformers ignores it.
        found.pop(head, None)
        if embedding in found and (head in merges or embedding in merges):
            # What an adapter does to one of the two parts them.
            found[head] = found[embedding]
    _refuse_extra(found, table, family, config)
    planned = []
    for row in table.values():
        tensor = found.get(row.source)
        if tensor is None:
            if row.optional or (row.source == head and hyper.tied):
                continue
            file = next(iter(found.values())).file.path if found else config
            raise SlmError(
                "bad_file",
                f"{file} has no tensor '{row.source}', which {config} promises; "
                "the checkpoint is incomplete, so download or save it again",
            )
        shape = tuple(hyper.size(dimension) for dimension in row.shape)
        if tensor.shape != shape:
            raise SlmError(
                "bad_file",
                f"{tensor.file.path}: tensor '{tensor.name}' has the shape {list(tensor.shape)}, "
                f"but {config} asks for {list(shape)}; use the config that belongs to the weights",
            )
        planned.append(
            Planned(row.target, shape, tensor, row.change, tuple(merges.get(row.source, ())))
        )
    return planned


def _refuse_extra(
    found: Mapping[str, Tensor], table: Mapping[str, Row], family: Family, config: str
) -> None:
    for name, tensor in found.items():
        # Rotary frequencies that old versions of transformers saved are computed anew.
        if name in table or name.endswith(".rotary_emb.inv_freq"):
            if name == "lm_head.weight" and not family.untied_output:
                raise SlmError(
                    "unsupported",
                    f"{tensor.file.path}: the output head differs from the embeddings, which "
                    f"{family.architecture} cannot express; tie them (tie_word_embeddings in "
                    f"{config}) or leave both out of the adapter",
                )
            continue
        raise SlmError(
            "unsupported",
            f"{tensor.file.path}: tensor '{tensor.name}' is not part of {family.model_type} as "
            "known here, and leaving it out would give wrong answers; convert a plain "
            "checkpoint of this family",
        )
