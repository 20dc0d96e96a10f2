"""The references that quantized models are compared with, made from quantized files.

The only real models at hand are quantized already. Their dequantized weights lie
on the grid of the source's type, so that this one type (and finer ones) would
seem to cost nothing. Every weight of the original checkpoint lay within half a
step of its grid point, though, and plain rounding says no more about it: so each
weight is moved by a random part of its own step, uniform in half a step up and
down. The result is a checkpoint that the source file could have been made from,
on nobody's grid, and it is written in F16 as checkpoints are. Owns this dither.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from script import BuildError
from slmweb.atomic import atomic_file
from slmweb.core.files import ByteFile
from slmweb.core.model import Model, TensorInfo
from slmweb.generated.abi import TENSOR_TYPES, TensorType
from slmweb.quantize import codec, container
from slmweb.quantize.choice import is_matrix

SLAB = 4 << 20  # values at a time


@dataclass(frozen=True)
class Quants:
    """Where a block has its quants, where their low bits, and a byte that is one in each."""

    all: slice
    low: slice
    one: int


_QUANTS = {
    "Q4_0": Quants(slice(2, 18), slice(2, 18), 0x11),
    "Q4_1": Quants(slice(4, 20), slice(4, 20), 0x11),
    "Q5_0": Quants(slice(2, 22), slice(6, 22), 0x11),
    "Q5_1": Quants(slice(4, 24), slice(8, 24), 0x11),
    "Q8_0": Quants(slice(2, 34), slice(2, 34), 0x01),
    "Q4_K": Quants(slice(16, 144), slice(16, 144), 0x11),
    "Q5_K": Quants(slice(16, 176), slice(48, 176), 0x11),
    "Q6_K": Quants(slice(0, 192), slice(0, 128), 0x11),
}


def steps(data: bytes | bytearray, kind: TensorType, columns: int) -> codec.F32:
    """The distance between neighbouring grid points at every weight: [rows, columns].

    Values are affine in their quants: the step is what one more makes.
    """
    quants = _QUANTS.get(kind.name)
    if quants is None:
        raise BuildError(f"the step of {kind.name} is not known; add it to {Path(__file__).name}")
    zero = np.frombuffer(data, np.uint8).reshape(-1, kind.block_bytes).copy()
    zero[:, quants.all] = 0
    one = zero.copy()
    one[:, quants.low] = quants.one
    step: codec.F32 = codec.decode(one.tobytes(), kind, columns)
    step -= codec.decode(zero.tobytes(), kind, columns)
    return np.abs(step, out=step)


def make_reference(source: Path, out: Path) -> None:
    """Writes the dithered F16 checkpoint of a quantized model; the same every time."""
    with Model.open(source, weights=False) as model:
        infos = model.info["tensors"]
    f16, f32 = TENSOR_TYPES["F16"], TENSOR_TYPES["F32"]
    tensors = [
        container.Tensor(t["name"], tuple(t["shape"]), f16 if is_matrix(t["shape"]) else f32)
        for t in infos
    ]
    metadata = container.read_metadata(source) | {"general.file_type": container.u32(1)}
    with ByteFile(source) as file, atomic_file(out) as target:
        data = (_dithered(file, info, to) for info, to in zip(infos, tensors, strict=True))
        container.write(target, metadata, tensors, data)


def _dithered(file: ByteFile, info: TensorInfo, to: container.Tensor) -> Iterator[bytes]:
    kind = TENSOR_TYPES[info["type"]]
    seed = int.from_bytes(hashlib.sha256(info["name"].encode()).digest()[:8], "little")
    random = np.random.Generator(np.random.PCG64(seed))
    row = container.row_bytes(to.columns, kind)
    step = max(1, SLAB // to.columns)
    for first in range(0, to.rows, step):
        data = bytearray(row * min(step, to.rows - first))
        file.read_into(memoryview(data), info["offset"] + first * row)
        values = codec.decode(data, kind, to.columns)
        if is_matrix(to.shape) and kind.name not in codec.FLOAT_TYPES:
            noise = random.random(values.shape, np.float32) - np.float32(0.5)
            values = values + noise * steps(data, kind, to.columns)
        yield codec.encode(values, to.type)
