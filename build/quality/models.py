"""The two real models, their references, and files of them in any mix of types.

Owns dist/quality/<model>: the reference, one file per type (made once by `slmweb
quantize`), and mixes, which are put together from those files' tensors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

import model as fetcher
from script import DIST, BuildError
from slmweb.atomic import atomic_file
from slmweb.core.files import ByteFile
from slmweb.core.loading import TensorInfo
from slmweb.core.model import Model as Opened
from slmweb.errors import SlmError
from slmweb.generated.abi import TENSOR_TYPES
from slmweb.pull.registry import read_registry
from slmweb.quantize import codec, container
from slmweb.quantize.choice import CLASSES, is_matrix, tensor_class
from slmweb.quantize.quantize import quantize

from .measure import Bench
from .reference import make_reference

SAMPLE = 16
NAMES = ("smollm2", "gemma3-270m")  # in the table of models


@dataclass(frozen=True)
class Model:
    name: str
    title: str
    source: Path  # as it was fetched, quantized
    folder: Path

    @property
    def reference(self) -> Path:
        path = self.folder / "reference.gguf"
        if not path.is_file():
            print(f"{self.title}: making the reference", flush=True)
            make_reference(self.source, path)
        return path

    @cached_property
    def bench(self) -> Bench:
        return Bench(self.folder, self.reference)

    @cached_property
    def tensors(self) -> list[TensorInfo]:
        with Opened.open(self.reference, weights=False) as model:
            return model.info["tensors"]

    def of_type(self, kind: str, imatrix: Path | None = None) -> Path:
        """The model with every matrix in one type."""
        if kind == "F16":
            return self.reference
        path = self.folder / f"{kind}{'' if imatrix is None else '-imatrix'}.gguf"
        if not path.is_file():
            print(f"{self.title}: quantizing to {path.stem}", flush=True)
            quantize(self.reference, path, type=kind, imatrix=imatrix)
        return path

    def mixed(self, types: Mapping[str, str]) -> Path:
        """The model with one type per class of tensors; the file is overwritten by the next."""
        path = self.folder / "mix.gguf"
        pure = {kind: self.of_type(kind) for kind in types.values()}
        infos: dict[str, dict[str, TensorInfo]] = {}
        for kind, file in pure.items():
            with Opened.open(file, weights=False) as model:
                infos[kind] = {tensor["name"]: tensor for tensor in model.info["tensors"]}
        chosen = [infos[types[tensor_class(t["name"])]][t["name"]] for t in self.tensors]
        tensors = [
            container.Tensor(t["name"], tuple(t["shape"]), TENSOR_TYPES[t["type"]]) for t in chosen
        ]
        with ExitStack() as stack:
            files = {kind: stack.enter_context(ByteFile(file)) for kind, file in pure.items()}
            sources = [files[types[tensor_class(t["name"])]] for t in self.tensors]
            data = (_bytes(file, info) for file, info in zip(sources, chosen, strict=True))
            with atomic_file(path) as out:
                container.write(out, container.read_metadata(self.reference), tensors, data)
        return path

    def errors(self, kinds: Sequence[str]) -> dict[str, dict[str, float]]:
        """By class and type the sum of squared errors over every SAMPLE-th row of the matrices."""
        found = {part: dict.fromkeys(kinds, 0.0) for part in CLASSES}
        with ByteFile(self.reference) as file:
            for tensor in self.tensors:
                if not is_matrix(tensor["name"], tensor["shape"]):
                    continue
                columns, rows = tensor["shape"][0], math.prod(tensor["shape"][1:])
                data = bytearray(tensor["size"])
                file.read_into(memoryview(data), tensor["offset"])
                whole = np.frombuffer(data, np.uint8).reshape(rows, -1)[::SAMPLE]
                values = codec.decode(whole.tobytes(), TENSOR_TYPES[tensor["type"]], columns)
                for kind in kinds:
                    block = TENSOR_TYPES[kind]
                    again = codec.decode(codec.encode(values, block), block, columns)
                    error = float(np.square(again - values).sum(dtype=np.float64))
                    found[tensor_class(tensor["name"])][kind] += error
        return found

    def bits_per_weight(self, types: Mapping[str, str]) -> float:
        """Of such a mix, without making it; norms count as they are."""
        size = elements = 0
        for tensor in self.tensors:
            shape = tuple(tensor["shape"])
            kind = (
                types[tensor_class(tensor["name"])] if is_matrix(tensor["name"], shape) else "F32"
            )
            written = container.Tensor(tensor["name"], shape, TENSOR_TYPES[kind])
            size += written.size
            elements += written.rows * written.columns
        return 8 * size / elements


def _bytes(file: ByteFile, info: TensorInfo) -> Iterator[bytes]:
    piece = 16 << 20
    for start in range(0, info["size"], piece):
        data = bytearray(min(piece, info["size"] - start))
        file.read_into(memoryview(data), info["offset"] + start)
        yield bytes(data)


def find_models() -> list[Model]:
    """Both models; fetches what is missing. Raises BuildError."""
    registry = read_registry()
    models = []
    for name in NAMES:
        try:
            path = fetcher.fetch(registry, name, accepted=False, gguf_only=True)
        except SlmError as error:
            raise BuildError(f"{error}; the mixes need both models") from None
        folder = DIST / "quality" / name
        folder.mkdir(parents=True, exist_ok=True)
        models.append(Model(name, registry.find(name).title, path, folder))
    return models
