"""Quantizes a GGUF model: reads it tensor by tensor, writes it in other types.

Owns the streaming (a slab of rows at a time, so that memory does not grow with
the model), what may be quantized at all, and the report. The output appears
whole or not at all; metadata is carried over but for the keys about the types.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..atomic import atomic_file
from ..core.files import ByteFile, model_files
from ..core.loading import TensorInfo
from ..core.model import Model
from ..errors import SlmError
from ..generated.abi import TENSOR_TYPES, TensorType
from ..vision.encoder_file import is_encoder
from . import codec, container, ggml
from .choice import Choice, Override, choose, is_kept, is_matrix, kept_of_encoder, tensor_type
from .imatrix import ImportanceMatrix, read_imatrix
from .recipes import Mix, best_mix

Progress = Callable[[int, int], None]  # bytes of the source done, and in all

WEB = "web"
# What that is of an encoder of pictures, of which no mix was measured: half of F16, and nearly it.
_WEB_ENCODER = "Q8_0"

# Values that are quantized at a time: 16 MiB of float32, and a few times that
# while the numpy code works on them.
_SLAB = 4 << 20

# llama.cpp's llama_ftype, which it shows to people: the type that most weights have.
_FILE_TYPES = {
    "F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q2_K": 10,
    "Q3_K": 11, "Q4_K": 14, "Q5_K": 16, "Q6_K": 18, "IQ4_NL": 25, "BF16": 32,
}  # fmt: skip
_QUANTIZATION_VERSION = 2


@dataclass(frozen=True)
class Fallback:
    """Matrices whose rows are not whole blocks of the type that was wanted."""

    wanted: str
    used: str
    columns: int
    tensors: int


@dataclass(frozen=True)
class Quantized:
    """What was written."""

    out: Path
    size: int  # bytes of the file
    source_size: int
    bits_per_weight: float
    mix: str | None  # of `--type web`
    types: dict[str, int]  # bytes by type
    fallbacks: tuple[Fallback, ...]
    weighted: int  # matrices that an importance matrix weighed


@dataclass(frozen=True)
class _Source:
    paths: list[Path]
    tensors: list[TensorInfo]
    metadata: container.Metadata
    is_encoder: bool  # of pictures

    @property
    def size(self) -> int:
        return sum(tensor["size"] for tensor in self.tensors)


def quantize(
    source: Path,
    out: Path,
    *,
    type: str,  # noqa: A002 (the field's word)
    overrides: Sequence[Override] = (),
    imatrix: Path | None = None,
    requantize: bool = False,
    max_size: int | None = None,
    progress: Progress = lambda done, total: None,
) -> Quantized:
    """Writes the model `source` (one file, or any file of a split set) to `out`.

    `type` is a tensor type of the core, for every matrix, or "web": the recipe's
    default mix, or with `max_size` (bytes of the file) the most faithful mix that
    fits. What is small and mixes residuals or embeddings of layers, of Gemma 3n and 4,
    keeps its type. Of an encoder of pictures
    "web" is Q8_0, and its patches, positions and projection keep theirs. Of several
    overrides that match a matrix the last one counts. A matrix that has its type
    already is copied; others that are quantized are refused unless `requantize`.
    Raises SlmError: what `Model.open` raises, "invalid_argument", "bad_file" (values
    that are not finite), "missing_extra" and "unwritable".
    """
    is_web = type.lower() == WEB
    if max_size is not None and not is_web:
        raise SlmError(
            "invalid_argument",
            f"a largest size chooses among the mixes of the type web; {type} has only one size",
        )
    wanted = None if is_web else tensor_type(type)
    model = _open(source)
    if model.is_encoder and is_web:
        if max_size is not None:
            raise SlmError(
                "invalid_argument",
                f"{source} is an encoder of pictures, which has no mixes to choose among by size; "
                "leave the size out, or name a type",
            )
        wanted = TENSOR_TYPES[_WEB_ENCODER]
    shapes = {tensor["name"]: tensor["shape"] for tensor in model.tensors}
    importance = read_imatrix(imatrix) if imatrix is not None else None
    if importance is not None and imatrix is not None:
        _check_imatrix(imatrix, importance, shapes)

    own = {
        tensor["name"]: TENSOR_TYPES[tensor["type"]]
        for tensor in model.tensors
        if (kept_of_encoder if model.is_encoder else is_kept)(tensor["name"])
    }

    def chosen(wanted: Callable[[str], TensorType]) -> dict[str, Choice]:
        return choose(shapes, lambda name: own.get(name) or wanted(name), overrides)

    mix: Mix | None = None
    if wanted is not None:
        kind = wanted
        choices = chosen(lambda name: kind)
    else:
        mix = best_mix(max_size, lambda mix: _file_size(model, chosen(mix.wanted)))
        choices = chosen(mix.wanted)
    _check_source(model, choices, requantize)
    _check_extra(model, choices, importance)

    tensors = [
        container.Tensor(t["name"], tuple(t["shape"]), choices[t["name"]].type)
        for t in model.tensors
    ]
    metadata = _metadata(model, tensors)
    if importance is not None and imatrix is not None:
        metadata |= _provenance(imatrix, importance)
    with atomic_file(out) as file:
        container.write(file, metadata, tensors, _encoded(model, tensors, importance, progress))

    elements = sum(t.rows * t.columns for t in tensors)
    types: Counter[str] = Counter()
    for tensor in tensors:
        types[tensor.type.name] += tensor.size
    return Quantized(
        out,
        container.file_size(metadata, tensors),
        sum(path.stat().st_size for path in model.paths),
        8 * types.total() / max(1, elements),
        mix.name if mix is not None else None,
        dict(types),
        _fallbacks(choices, shapes),
        sum(_weights(importance, tensor) is not None for tensor in tensors),
    )


def _open(source: Path) -> _Source:
    paths = model_files([source])
    encoder = is_encoder(paths[0])
    if encoder:  # which the core knows beside its model only
        tensors = container.read_tensors(paths[0])
    else:
        with Model.open(*paths, weights=False) as model:
            tensors = model.info["tensors"]
    metadata = container.read_metadata(paths[0])
    kept = {k: v for k, v in metadata.items() if k[:6] != "split."}
    return _Source(paths, tensors, kept, encoder)


def _file_size(model: _Source, choices: dict[str, Choice]) -> int:
    tensors = [
        container.Tensor(t["name"], tuple(t["shape"]), choices[t["name"]].type)
        for t in model.tensors
    ]
    return container.file_size(_metadata(model, tensors), tensors)


def _metadata(model: _Source, tensors: Sequence[container.Tensor]) -> container.Metadata:
    weights: Counter[str] = Counter()
    for tensor in tensors:
        if is_matrix(tensor.name, tensor.shape):
            weights[tensor.type.name] += tensor.rows * tensor.columns
    most = weights.most_common(1)[0][0] if weights else "F32"
    return model.metadata | {
        "general.file_type": container.u32(_FILE_TYPES[most]),
        "general.quantization_version": container.u32(_QUANTIZATION_VERSION),
    }


def _provenance(path: Path, importance: ImportanceMatrix) -> container.Metadata:
    """What llama-quantize says of the importance matrix it used; the file's name only."""
    return {
        "quantize.imatrix.file": container.text(path.name),
        "quantize.imatrix.dataset": container.text(", ".join(importance.datasets)),
        "quantize.imatrix.entries_count": container.u32(len(importance.entries)),
        "quantize.imatrix.chunks_count": container.u32(importance.chunk_count),
    }


def _check_imatrix(path: Path, importance: ImportanceMatrix, shapes: dict[str, list[int]]) -> None:
    for name, entry in importance.entries.items():
        shape = shapes.get(name)
        if shape is None or shape[0] != len(entry.sums):
            found = "has no such matrix" if shape is None else f"has {shape[0]}"
            raise SlmError(
                "invalid_argument",
                f"{path} was computed for another model: its entry {name} has {len(entry.sums)} "
                f"columns and the model {found}; compute one with `slmweb imatrix`",
            )


def _check_source(model: _Source, choices: dict[str, Choice], requantize: bool) -> None:
    for tensor in model.tensors:
        kind = tensor["type"]
        changes = choices[tensor["name"]].type.name != kind
        if kind not in codec.FLOAT_TYPES and changes and not requantize:
            raise SlmError(
                "invalid_argument",
                f"{model.paths[0]} is quantized already ({tensor['name']} is {kind}), and doing it "
                "again loses quality twice; start from an F16, BF16 or F32 file, or insist with "
                "`slmweb quantize --requantize`",
            )


def _check_extra(
    model: _Source, choices: dict[str, Choice], importance: ImportanceMatrix | None
) -> None:
    """Asks for llama-cpp-python before anything is written."""
    for tensor in model.tensors:
        kind = choices[tensor["name"]].type
        weighted = importance is not None and importance.weights(tensor["name"]) is not None
        if tensor["type"] != kind.name and codec.needs_ggml(kind, weighted):
            ggml.require()
            return


def _fallbacks(choices: dict[str, Choice], shapes: dict[str, list[int]]) -> tuple[Fallback, ...]:
    counts: Counter[tuple[str, str, int]] = Counter()
    for name, choice in choices.items():
        if choice.type != choice.wanted and is_matrix(name, shapes[name]):
            counts[choice.wanted.name, choice.type.name, shapes[name][0]] += 1
    return tuple(Fallback(*key, n) for key, n in counts.items())


def _weights(importance: ImportanceMatrix | None, tensor: container.Tensor) -> codec.F32 | None:
    if importance is None or tensor.type.name not in codec.WEIGHTED_TYPES:
        return None
    return importance.weights(tensor.name)


def _encoded(
    model: _Source,
    tensors: Sequence[container.Tensor],
    importance: ImportanceMatrix | None,
    progress: Progress,
) -> Iterator[Iterator[bytes]]:
    """The pieces of every tensor in its new type, one slab of rows each."""
    total, done = model.size, 0
    files = [ByteFile(path) for path in model.paths]
    try:
        for info, tensor in zip(model.tensors, tensors, strict=True):
            before = done
            yield _pieces(
                files[info["file"]],
                info,
                tensor,
                _weights(importance, tensor),
                lambda n, before=before: progress(before + n, total),  # type: ignore[misc]
            )
            done += info["size"]
    finally:
        for file in files:
            file.close()


def _pieces(
    file: ByteFile,
    info: TensorInfo,
    tensor: container.Tensor,
    weights: codec.F32 | None,
    progress: Callable[[int], None],
) -> Iterator[bytes]:
    source: TensorType = TENSOR_TYPES[info["type"]]
    row = container.row_bytes(tensor.columns, source)
    step = max(1, _SLAB // tensor.columns)
    for first in range(0, tensor.rows, step):
        data = bytearray(row * min(step, tensor.rows - first))
        file.read_into(memoryview(data), info["offset"] + first * row)
        if source == tensor.type and source.name not in codec.FLOAT_TYPES:
            yield bytes(data)
        else:
            values = codec.decode(data, source, tensor.columns)
            try:
                yield codec.encode(values, tensor.type, weights)
            except ValueError as error:
                raise SlmError(
                    "bad_file",
                    f"{file.path}: tensor {tensor.name} {error}; convert the checkpoint again, "
                    "or choose another type for it with --override",
                ) from None
        progress(first * row + len(data))
