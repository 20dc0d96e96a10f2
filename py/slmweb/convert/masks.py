"""PaliGemma's decoder of masks, as its makers published it (big_vision's vae-oid.npz), as tensors
beside those of the encoder of pictures.

Owns the file's names and what is said of one that is damaged or another. What the decoder computes,
slmweb/vision/masks.py knows.
"""

from __future__ import annotations

import lzma
import math
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import SlmError, os_reason
from ..vision.masks import CODEBOOK, PREFIX, SHAPES
from .gguf_file import Output
from .tensors import TYPES

HEADER_ROOM = 4096  # bytes before the numbers of an array, generously
_CODEBOOK = "_vq_vae._embedding"  # in the file; all else has its own name


def read_masks(path: Path) -> list[Output]:
    """The decoder's tensors, in F32: what they take is little beside an encoder.

    Raises SlmError "unreadable", and "bad_file" for what is no such decoder.
    """
    try:
        found = _arrays(path)
    except OSError as error:
        raise SlmError("unreadable", f"cannot read {path}: {os_reason(error)}") from None
    # What archives raise that are damaged, encrypted, or packed as numpy packs none.
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        ValueError,
        RuntimeError,
        MemoryError,
    ):
        raise _bad(path, "it is no archive of numpy's that can be read") from None
    return [
        Output(f"{PREFIX}{name}", values.shape, TYPES["f32"], partial(_whole, values))
        for name, values in found.items()
    ]


def _arrays(path: Path) -> dict[str, NDArray[np.float32]]:
    found: dict[str, NDArray[np.float32]] = {}
    with path.open("rb") as file:
        archive = np.load(file, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError
        for name, shape in SHAPES.items():
            source = _CODEBOOK if name == CODEBOOK else name
            if source not in archive.files:
                raise _bad(path, f"it has no array '{source}'")
            # Before it is unpacked: a little of an archive may become gigabytes.
            assert archive.zip is not None  # the archive is open
            members = archive.zip.NameToInfo
            member = members.get(f"{source}.npy") or members[source]
            if member.file_size > 8 * math.prod(shape) + HEADER_ROOM:
                raise _bad(path, f"'{source}' is too large, expected {list(shape)} of float32")
            values = archive[source]
            if values.shape != shape or values.dtype.kind != "f":
                raise _bad(
                    path,
                    f"'{source}' is {list(values.shape)} of {values.dtype}, expected {list(shape)} "
                    "of float32",
                )
            found[name] = np.ascontiguousarray(values, np.float32)
            if not np.isfinite(found[name]).all():
                raise _bad(path, f"'{source}' holds what is no number")
    return found


def _whole(values: NDArray[np.float32]) -> Iterator[NDArray[np.generic]]:
    yield values


def _bad(path: Path, reason: str) -> SlmError:
    return SlmError(
        "bad_file", f"{path}: {reason}; give PaliGemma's decoder of masks, big_vision's vae-oid.npz"
    )
