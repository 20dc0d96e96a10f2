"""A GGUF file that is written tensor by tensor and appears whole or not at all.

Owns the order of writing and what is said when the disk does not take it. The
format is the gguf library's; its own way of writing a tensor hides the operating
system's reason, so the bytes go out from here. Knows no models.
"""

from __future__ import annotations

import contextlib
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter
from numpy.typing import NDArray

from ..atomic import atomic_file
from ..errors import SlmError, os_reason
from ..sizes import apart, bytes_text

Progress = Callable[[int, int], None]  # bytes done, bytes in all


@dataclass(frozen=True)
class Output:
    """A tensor to be written: `blocks` yields its bytes in order, rows at a time."""

    name: str
    shape: tuple[int, ...]  # numpy's order
    type: GGMLQuantizationType
    blocks: Callable[[], Iterator[NDArray[np.generic]]]

    @property
    def size(self) -> int:
        block, size = GGML_QUANT_SIZES[self.type]
        return math.prod(self.shape) // block * size


def write_gguf(
    path: Path,
    architecture: str,
    describe: Callable[[GGUFWriter], None],
    tensors: Sequence[Output],
    progress: Progress,
) -> int:
    """Writes the file and returns its size in bytes. `describe` adds the metadata.

    Raises SlmError "unwritable"; whatever is raised, no part of the file stays.
    """
    total = sum(tensor.size for tensor in tensors)
    _require_room(path, total)
    with atomic_file(path) as file, _writer(Path(file.name), architecture, path, total) as writer:
        describe(writer)
        for tensor in tensors:
            writer.add_tensor_info(
                tensor.name, tensor.shape, np.dtype(np.float32), tensor.size, tensor.type
            )
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        assert writer.fout is not None
        (out,) = writer.fout
        writer.write_padding(out, out.tell())
        done = 0
        for tensor in tensors:
            written = 0
            for block in tensor.blocks():
                written += out.write(np.ascontiguousarray(block).view(np.uint8).data)
                progress(done + written, total)
            assert written == tensor.size, tensor.name
            writer.write_padding(out, written)
            done += written
        out.flush()
        return out.tell()


@contextlib.contextmanager
def _writer(temporary: Path, architecture: str, path: Path, size: int) -> Iterator[GGUFWriter]:
    writer = GGUFWriter(temporary, architecture)
    try:
        yield writer
    except OSError as error:
        raise SlmError(
            "unwritable",
            f"cannot write {path}: {os_reason(error)}; the file takes {bytes_text(size)}, so "
            "make room or choose another place",
        ) from None
    finally:
        # What could not be flushed before cannot be now; the file is dropped anyway.
        with contextlib.suppress(OSError):
            writer.close()


def _require_room(path: Path, size: int) -> None:
    """Says at once what a full disk would say after minutes."""
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(path.parent).free
        if free < size and not path.is_char_device():
            takes, there = apart(size, free)
            raise SlmError(
                "unwritable",
                f"cannot write {path}: it takes {takes} and {there} are free; make room or choose "
                "another place",
            )
