"""Writes a file whole or not at all, and never over what is being read.

Owns the temporary name, the flush to disk and the rename. Whoever reads the
final name finds the old content or the new one, whatever happened in between.
A command says what it reads (`reading`); files and folders are told apart by
what they are and not by their names, so that no link and no other spelling gets
past, nor another case where the file system takes one for the other.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import BinaryIO

from .errors import SlmError, os_reason

_inputs: ContextVar[dict[tuple[int, int], Path]] = ContextVar("_inputs")


@contextlib.contextmanager
def reading(files: Iterable[Path]) -> Iterator[None]:
    """While the block runs, nothing is written over these files. Those that are not there, or
    are no regular files, need no protection."""
    token = _inputs.set(dict(_inputs.get({})))
    try:
        for file in files:
            also_reading(file)
        yield
    finally:
        _inputs.reset(token)


def also_reading(file: Path) -> None:
    """One more file for the block of `reading` around, if there is one: that an input names."""
    if (known := _inputs.get(None)) is not None:
        with contextlib.suppress(OSError):
            if file.is_file():
                found = file.stat()
                known[found.st_dev, found.st_ino] = file


def check_output(path: Path) -> None:
    """Raises SlmError "invalid_argument" if writing `path`, a file or a folder that will be
    replaced, would destroy an input."""
    inputs = _inputs.get({})
    with contextlib.suppress(OSError):
        found = path.stat()
        if (same := inputs.get((found.st_dev, found.st_ino))) is not None:
            raise SlmError(
                "invalid_argument",
                f"{path} is the input {same}{'' if str(path) == str(same) else ' by another name'},"
                " which would be lost; choose another file",
            )
        if path.is_dir():
            # Inputs share folders: each is looked at once.
            above = {folder: file for file in inputs.values() for folder in file.resolve().parents}
            for folder, file in above.items():
                if folder.samefile(path):
                    raise SlmError(
                        "invalid_argument",
                        f"the input {file} lies in {path}, which would be replaced; choose "
                        "another folder",
                    )


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A binary file for writing that gets the name `path` when the block ends well.

    What is no regular file (/dev/null, a pipe) is written directly, since a
    rename would replace the device. Raises SlmError "unwritable", and what check_output raises.
    """
    try:
        path = path.resolve()
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        check_output(path)
        if path.exists() and not path.is_file():
            with path.open("wb") as device:
                yield device
            return
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise SlmError("unwritable", f"cannot write {path}: {os_reason(error)}") from None
