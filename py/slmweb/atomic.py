"""Writes a file whole or not at all.

Owns the temporary name, the flush to disk and the rename. Whoever reads the
final name finds the old content or the new one, whatever happened in between.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .errors import SlmError, os_reason


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A binary file for writing that gets the name `path` when the block ends well.

    What is no regular file (/dev/null, a pipe) is written directly, since a
    rename would replace the device. Raises SlmError "unwritable".
    """
    try:
        path = path.resolve()
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
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
