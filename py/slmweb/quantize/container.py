"""GGUF as bytes: the metadata of a file that stays as it is, and new files around tensors.

Metadata is never decoded into Python objects, only cut into entries: a vocabulary
of 262,144 tokens costs nothing to carry over, and what we do not know is kept.
Files are read after the core has checked their header, but for encoders of pictures, which it
checks only beside their model: where a header is damaged, a sentence says so. Knows nothing of
quantization.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..core.files import open_encoder
from ..core.loading import TensorInfo
from ..errors import SlmError, os_reason
from ..generated.abi import TENSOR_TYPES, TensorType

_U32, _F32, _STRING, _ARRAY, _U64 = 4, 6, 8, 9, 10
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}

_Bytes = mmap.mmap | bytes
Metadata = dict[str, bytes]  # key -> the value's type and bytes, as the file has them

DEFAULT_ALIGNMENT = 32
_MAX_DIMS = 4
# No encoder's is longer: it has no vocabulary, and at most a few thousand tensors.
_ENCODER_HEADER = 4 << 20
_TYPES_BY_ID = {kind.id: kind for kind in TENSOR_TYPES.values()}


@dataclass(frozen=True)
class Tensor:
    """A tensor to be written. `shape` has the fastest dimension first."""

    name: str
    shape: tuple[int, ...]
    type: TensorType

    @property
    def columns(self) -> int:
        return self.shape[0]

    @property
    def rows(self) -> int:
        return math.prod(self.shape[1:])

    @property
    def size(self) -> int:
        """Bytes."""
        return self.rows * row_bytes(self.columns, self.type)


def row_bytes(columns: int, kind: TensorType) -> int:
    return columns // kind.block_size * kind.block_bytes


def u32(value: int) -> bytes:
    return struct.pack("<II", _U32, value)


def text(value: str) -> bytes:
    return struct.pack("<I", _STRING) + _string(value)


def texts(values: Sequence[str]) -> bytes:
    return struct.pack("<IIQ", _ARRAY, _STRING, len(values)) + b"".join(map(_string, values))


def read_text(metadata: Metadata, key: str) -> str | None:
    """A string, or None if it is absent or of another type."""
    value = metadata.get(key, b"")
    if value[:4] != struct.pack("<I", _STRING):
        return None
    return value[12:].decode("utf-8", "replace")


def read_u32(metadata: Metadata, key: str, otherwise: int) -> int:
    """An unsigned 32-bit value, or `otherwise` if it is absent or of another type."""
    value = metadata.get(key, b"")
    return struct.unpack("<II", value)[1] if value[:4] == struct.pack("<I", _U32) else otherwise


def read_metadata(path: Path) -> Metadata:
    """The metadata of a GGUF file of version 2 or 3 whose header is known to be good.

    Raises SlmError "unreadable" or "bad_file".
    """
    with _mapped(path) as view:
        return _metadata(view)[0]


def read_tensors(path: Path) -> list[TensorInfo]:
    """The tensors of a GGUF file that the core reads only beside another, as it would tell them.

    Raises SlmError "unreadable" or "bad_file".
    """
    with _mapped(path) as view:
        metadata, at = _metadata(view)
        (n_tensors,) = struct.unpack_from("<Q", view, 8)
        tensors: list[TensorInfo] = []
        for _ in range(n_tensors):
            name, at = _text_at(view, at)
            (n_dims,) = struct.unpack_from("<I", view, at)
            shape = struct.unpack_from(f"<{min(n_dims, _MAX_DIMS + 1)}Q", view, at + 4)
            number, offset = struct.unpack_from("<IQ", view, at + 4 + 8 * n_dims)
            at += 16 + 8 * n_dims
            kind = _TYPES_BY_ID[number]
            if not 1 <= n_dims <= _MAX_DIMS or shape[0] % kind.block_size:
                raise KeyError(name)
            size = math.prod(shape) // kind.block_size * kind.block_bytes
            tensors.append(
                {
                    "name": name,
                    "file": 0,
                    "type": kind.name,
                    "shape": list(shape),
                    "offset": offset,
                    "size": size,
                }
            )
        start = _padded(at, _alignment(metadata))
        for tensor in tensors:
            tensor["offset"] += start
    with open_encoder(path) as file:
        for tensor in tensors:
            if tensor["offset"] + tensor["size"] > file.size:
                raise SlmError(
                    "bad_file",
                    f"{path}: the file ends inside of {tensor['name']}; fetch it again",
                )
    return tensors


@contextlib.contextmanager
def _mapped(path: Path) -> Iterator[_Bytes]:
    """The bytes of a file, or of a packed model's encoder those with the header. What the reading
    of a damaged one raises becomes a sentence."""
    with open_encoder(path) as file, _damage_told(path):
        if file.fd < 0:  # it lies in chunks
            start = bytearray(min(file.size, _ENCODER_HEADER))
            file.read_into(memoryview(start), 0)
            yield bytes(start)
            return
        try:
            view = mmap.mmap(file.fd, 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            reason = os_reason(error) if isinstance(error, OSError) else str(error)
            raise SlmError("unreadable", f"cannot read {path}: {reason}") from None
        with view:
            yield view


@contextlib.contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    try:
        yield
    except (struct.error, KeyError, UnicodeDecodeError, OverflowError, RecursionError):
        raise SlmError(
            "bad_file", f"{path}: the metadata is damaged; fetch or convert it again"
        ) from None


def _metadata(data: _Bytes) -> tuple[Metadata, int]:
    """The entries, and where they end."""
    magic, _, _, n_entries = struct.unpack_from("<4sIQQ", data, 0)
    if magic != b"GGUF":
        raise KeyError(magic)
    entries: Metadata = {}
    at = 24
    for _ in range(n_entries):
        start = _after_string(data, at)
        key = data[at + 8 : start].decode()
        at = _after_value(data, start + 4, struct.unpack_from("<I", data, start)[0])
        entries[key] = data[start:at]
    return entries, at


def _text_at(data: _Bytes, at: int) -> tuple[str, int]:
    end = _after_string(data, at)
    if end > len(data):
        raise KeyError(end)
    return data[at + 8 : end].decode(), end


def _after_string(data: _Bytes, at: int) -> int:
    length: int = struct.unpack_from("<Q", data, at)[0]
    return at + 8 + length


def _after_value(data: _Bytes, at: int, kind: int) -> int:
    if kind == _STRING:
        return _after_string(data, at)
    if kind != _ARRAY:
        return at + _SIZES[kind]
    element, count = struct.unpack_from("<IQ", data, at)
    at += 12
    if element in _SIZES:
        return at + int(count) * _SIZES[element]
    for _ in range(count):
        at = _after_value(data, at, element)
    return at


def _string(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def header(metadata: Mapping[str, bytes], tensors: Sequence[Tensor]) -> bytes:
    """Everything before the tensors' bytes, padded to the alignment."""
    alignment = _alignment(metadata)
    parts = [struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(metadata))]
    parts += [_string(key) + value for key, value in metadata.items()]
    offset = 0
    for tensor in tensors:
        shape = tensor.shape
        parts.append(_string(tensor.name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape))
        parts.append(struct.pack("<IQ", tensor.type.id, offset))
        offset += _padded(tensor.size, alignment)
    whole = b"".join(parts)
    return whole + bytes(_padded(len(whole), alignment) - len(whole))


def file_size(metadata: Mapping[str, bytes], tensors: Sequence[Tensor]) -> int:
    """Bytes of the file that `write` makes."""
    alignment = _alignment(metadata)
    return len(header(metadata, tensors)) + sum(_padded(t.size, alignment) for t in tensors)


def write(
    out: BinaryIO,
    metadata: Mapping[str, bytes],
    tensors: Sequence[Tensor],
    data: Iterable[Iterable[bytes]],
) -> None:
    """Writes a file; `data` has the pieces of each tensor, in order."""
    alignment = _alignment(metadata)
    out.write(header(metadata, tensors))
    for tensor, pieces in zip(tensors, data, strict=True):
        written = 0
        for piece in pieces:
            written += out.write(piece)
        assert written == tensor.size, tensor.name
        out.write(bytes(_padded(written, alignment) - written))


def _alignment(metadata: Mapping[str, bytes]) -> int:
    return read_u32(dict(metadata), "general.alignment", DEFAULT_ALIGNMENT)


def _padded(n: int, alignment: int) -> int:
    return -(-n // alignment) * alignment
