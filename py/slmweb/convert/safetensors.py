"""Safetensors files: their headers, and their tensors in blocks of rows as float32.

Owns the format (https://github.com/huggingface/safetensors#format): eight bytes of
length, a JSON header, the tensors' bytes. Files are read by position, never
mapped, so that memory holds one block however large a tensor is; bfloat16, which
numpy has not, is widened here. Knows no names of tensors and no models.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.files import ByteFile
from ..errors import SlmError

F32 = NDArray[np.float32]

# Of the header, as the format's own library has it.
MAX_HEADER = 100_000_000
BLOCK_BYTES = 16 << 20  # of a block as float32

# What is read, and how many bytes an element has.
_SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
_FIX = "download it again"


@dataclass(frozen=True)
class Tensor:
    """A tensor in a file, `shape` with the slowest dimension first as numpy has it."""

    name: str
    file: SafetensorsFile
    dtype: str
    shape: tuple[int, ...]
    offset: int  # bytes from the start of the file

    @property
    def rows(self) -> int:
        return self.shape[0] if self.shape else 1

    def read(self, start: int = 0, stop: int | None = None) -> F32:
        """Rows `start` to `stop`, [stop - start, *shape[1:]].

        Raises SlmError "bad_file" for NaN and infinity, "unreadable" when the
        file cannot be read, "unsupported" for a type that is no float.
        """
        self._require_float()
        stop = self.rows if stop is None else stop
        per_row = math.prod(self.shape[1:])
        size = _SIZES[self.dtype]
        data = bytearray((stop - start) * per_row * size)
        self.file.bytes.read_into(memoryview(data), self.offset + start * per_row * size)
        values = _widen(data, self.dtype).reshape(stop - start, *self.shape[1:])
        if not np.isfinite(values).all():
            finite = np.isfinite(values).reshape(stop - start, -1).all(axis=1)
            raise SlmError(
                "bad_file",
                f"{self.file.path}: tensor '{self.name}' holds NaN or infinity (row "
                f"{start + int(np.argmin(finite))}), so training has diverged or the file is "
                "damaged; use another checkpoint",
            )
        return values

    def blocks(
        self, granule: int = 1, first: int = 0, end: int | None = None
    ) -> Iterator[tuple[int, int]]:
        """Ranges of rows, of those from `first` to `end`, that make blocks of about BLOCK_BYTES,
        multiples of `granule`."""
        end = self.rows if end is None else end
        per_row = max(1, 4 * math.prod(self.shape[1:]))
        step = max(granule, BLOCK_BYTES // per_row // granule * granule)
        for start in range(first, end, step):
            yield start, min(start + step, end)

    def _require_float(self) -> None:
        if self.dtype not in _SIZES:
            raise SlmError(
                "unsupported",
                f"{self.file.path}: tensor '{self.name}' has the type {self.dtype}; F32, F16, BF16 "
                "and F64 are converted, so export the checkpoint without quantization",
            )


def same_values(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors hold the same numbers, of whichever types. Raises what `read` does."""
    if a is b or a.shape != b.shape:
        return a is b
    return all(np.array_equal(a.read(*part), b.read(*part)) for part in a.blocks())


class SafetensorsFile:
    """An open file and the tensors that its header names. Raises SlmError "unreadable" or
    "bad_file" when it is missing, cut short or damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bytes = ByteFile(path)
        try:
            self.tensors = self._read_header()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.bytes.close()

    def _read_header(self) -> dict[str, Tensor]:
        size = self.bytes.size
        if size < 8:
            raise SlmError("bad_file", f"{self.path} has only {size} bytes; {_FIX}")
        length = int.from_bytes(self._read(0, 8), "little")
        if length > min(MAX_HEADER, size - 8):
            raise SlmError(
                "bad_file",
                f"{self.path} has {size} bytes, but its header claims {length}: it is cut short "
                f"or no safetensors file; {_FIX}",
            )
        try:
            header = json.loads(self._read(8, length))
            entries = {name: e for name, e in header.items() if name != "__metadata__"}
            return {name: self._tensor(name, e, 8 + length) for name, e in entries.items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise SlmError(
                "bad_file", f"{self.path} has a damaged header; {_FIX} or save the checkpoint again"
            ) from None

    def _tensor(self, name: str, entry: Any, data: int) -> Tensor:
        dtype = str(entry["dtype"])
        shape = tuple(int(n) for n in entry["shape"])
        start, end = (int(n) for n in entry["data_offsets"])
        expected = math.prod(shape) * _SIZES.get(dtype, 0)
        if (
            any(n < 0 for n in shape)
            or not 0 <= start <= end
            or (expected and end - start != expected)
        ):
            raise ValueError(name)
        if data + end > self.bytes.size:
            raise SlmError(
                "bad_file",
                f"{self.path} is cut short: tensor '{name}' ends at byte {data + end}, the file at "
                f"{self.bytes.size}; {_FIX}",
            )
        return Tensor(name, self, dtype, shape, data + start)

    def _read(self, offset: int, n: int) -> bytes:
        data = bytearray(n)
        self.bytes.read_into(memoryview(data), offset)
        return bytes(data)


def _widen(data: bytearray, dtype: str) -> F32:
    if dtype == "BF16":  # the upper half of a float32
        values = np.frombuffer(data, "<u2").astype(np.uint32)
        values <<= 16
        return values.view(np.float32)
    kind = {"F32": "<f4", "F16": "<f2", "F64": "<f8"}[dtype]
    with np.errstate(over="ignore"):  # what F32 cannot hold is infinite, and refused as such
        return np.frombuffer(data, kind).astype(np.float32, copy=False)
