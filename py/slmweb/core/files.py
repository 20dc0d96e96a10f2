"""The GGUF files of a model on disk: which ones belong together, and their bytes.

Owns the naming of split sets and reading by position into somebody else's
buffer, also where a file lies in a packed model's chunks. Knows nothing of GGUF's
contents; the core parses them.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from ..errors import SlmError, os_reason

# The name that llama.cpp's gguf-split gives to the parts of a set.
_SPLIT = re.compile(r"(?P<stem>.*)-(?P<part>\d{5})-of-(?P<count>\d{5})\.gguf", re.I)


def split_stem(path: Path) -> str:
    """The file name without ".gguf" and without the number of a split."""
    match = _SPLIT.fullmatch(path.name)
    return match["stem"] if match else re.sub(r"\.gguf$", "", path.name, flags=re.I)


def model_files(paths: Sequence[Path]) -> list[Path]:
    """The files of one model, in order.

    One path is enough for a split set: any part stands for all of them, which
    are looked for beside it. Several paths are taken as they are given.
    Raises SlmError "invalid_argument" (no path, a checkpoint's weights, a packed model) or
    "unreadable" (a part is missing).
    """
    if not paths:
        raise SlmError("invalid_argument", "no model was given; name a .gguf file")
    if is_pack(paths[0]):
        raise SlmError(
            "invalid_argument",
            f"expected a GGUF file, found the packed model {paths[0]}; give the file that it was "
            "packed from",
        )
    if paths[0].suffix.lower() == ".safetensors" and paths[0].is_file():
        raise SlmError(
            "invalid_argument",
            f"expected a GGUF file, found the weights of a checkpoint, {paths[0]}; give their "
            f"folder to `slmweb build` or `slmweb convert`: {shlex.quote(str(paths[0].parent))}",
        )
    if len(paths) > 1 or not (match := _SPLIT.fullmatch(paths[0].name)):
        return list(paths)
    count = int(match["count"])
    parts = [
        paths[0].with_name(f"{match['stem']}-{part:05}-of-{count:05}{paths[0].suffix}")
        for part in range(1, count + 1)
    ]
    for part in parts:
        if not part.is_file():
            raise SlmError(
                "unreadable",
                f"{paths[0].name} is a part of a split model of {count} files, "
                f"but {part} does not exist; put all parts into one folder",
            )
    return parts


def is_pack(path: Path) -> bool:
    """Whether `path` is the folder of a packed model."""
    return (path / "manifest.json").is_file()


def open_files(paths: Sequence[Path]) -> list[ByteFile]:
    """The files of one model, open: those of `model_files`, or a packed model's own.

    Raises SlmError: what `model_files` and `read_manifest` raise.
    """
    if len(paths) == 1 and is_pack(paths[0]):
        from ..pack.manifest import read_manifest

        return [
            ChunkedFile(paths[0], file.name, [(c.sha256, c.size) for c in file.chunks])
            for file in read_manifest(paths[0]).model_files
        ]
    opened: list[ByteFile] = []
    try:
        for path in model_files(paths):
            opened.append(ByteFile(path))
    except BaseException:
        for file in opened:
            file.close()
        raise
    return opened


def open_encoder(path: Path) -> ByteFile:
    """The file of a model's encoder of pictures, open; or that of a packed model.

    Raises SlmError: what `read_manifest` raises, and "invalid_argument" for a pack without one.
    """
    if not is_pack(path):
        return ByteFile(path)
    from ..pack.manifest import read_manifest

    manifest = read_manifest(path)
    if manifest.vision is None:
        raise SlmError(
            "invalid_argument",
            f"the packed model {path} has no encoder of pictures; pack it again with --mmproj",
        )
    file = manifest.files[manifest.vision.file]
    return ChunkedFile(path, file.name, [(c.sha256, c.size) for c in file.chunks])


class ByteFile:
    """A regular file that is read by position.

    Raises SlmError "unreadable" on opening and "bad_file" when it ends early.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # A named pipe would block here for ever.
            self.fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except OSError as error:
            raise SlmError("unreadable", f"cannot read {path}: {os_reason(error)}") from None
        status = os.fstat(self.fd)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise SlmError("unreadable", f"cannot read {path}: it is {kind}; name a .gguf file")
        self.size = status.st_size

    def read_into(self, buffer: memoryview, offset: int) -> None:
        """Fills `buffer` with the bytes from `offset` on."""
        done = 0
        while done < len(buffer):
            try:
                n = os.preadv(self.fd, [buffer[done:]], offset + done)
            except OSError as error:
                raise SlmError(
                    "unreadable", f"cannot read {self.path}: {os_reason(error)}"
                ) from None
            if n == 0:
                raise SlmError(
                    "bad_file",
                    f"{self.path} ended at byte {offset + done} while it was being read; "
                    "it was changed meanwhile, so start again",
                )
            done += n

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> ByteFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class ChunkedFile(ByteFile):
    """A file of a packed model: `chunks` are the names and sizes of its parts, in order.

    What a chunk holds is not hashed here. Raises SlmError "unreadable" for one that is
    missing and "corrupt" for one that is too short, when it is read.
    """

    def __init__(self, folder: Path, name: str, chunks: Sequence[tuple[str, int]]) -> None:
        self.path = folder / name
        self.fd = -1
        self._chunks = [(folder / chunk, size) for chunk, size in chunks]
        self.size = sum(size for _, size in chunks)

    def read_into(self, buffer: memoryview, offset: int) -> None:
        at, end = 0, offset + len(buffer)
        for path, size in self._chunks:
            first, last = max(offset, at), min(end, at + size)
            if first < last:
                self._read_chunk(path, buffer[first - offset : last - offset], first - at)
            at += size

    def _read_chunk(self, path: Path, buffer: memoryview, offset: int) -> None:
        try:
            with path.open("rb") as file:
                file.seek(offset)
                n = file.readinto(buffer)
        except OSError as error:
            raise SlmError("unreadable", f"cannot read {path}: {os_reason(error)}") from None
        if n < len(buffer):
            raise SlmError("corrupt", f"{path} does not hold what its name says; pack again")
