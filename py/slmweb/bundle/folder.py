"""A folder that appears whole or not at all under its final name.

Owns the temporary folder beside the target, the modes and the exchange of old
for new. It replaces only a folder that it has made itself: whoever keeps other
files there would lose them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from ..atomic import check_output
from ..errors import SlmError, os_reason


@contextlib.contextmanager
def work_folder(out: Path) -> Iterator[Path]:
    """A temporary folder on the same disk as `out`, gone when the block ends.

    Raises SlmError "unwritable", also for what the operating system refuses in the block, or
    "unreadable" where that is about a file elsewhere.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise SlmError("unwritable", f"cannot write {out}: {os_reason(error)}") from None
    try:
        yield folder
    except BrokenPipeError:
        raise
    except OSError as error:
        named = Path(os.fsdecode(error.filename)) if error.filename else out
        if named != out and not named.is_relative_to(folder):
            raise SlmError("unreadable", f"cannot read {named}: {os_reason(error)}") from None
        raise SlmError("unwritable", f"cannot write {out}: {os_reason(error)}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_replaceable(out: Path, ours: Collection[str], mark: str) -> None:
    """Raises SlmError "invalid_argument" unless `publish` may put a folder at `out`.

    It may where nothing is, in an empty folder, and over one that has the file
    `mark` and nothing whose name is not in `ours`, and whose files the command does not read.
    """
    check_output(out)
    try:
        names = sorted(path.name for path in out.iterdir())
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise SlmError(
            "invalid_argument", f"{out} is a file; choose a folder for the site"
        ) from None
    except OSError as error:
        raise SlmError("unreadable", f"cannot read {out}: {os_reason(error)}") from None
    foreign = [name for name in names if name not in ours]
    if names and (foreign or mark not in names):
        raise SlmError(
            "invalid_argument",
            f"{out} holds {(foreign or names)[0]}, which is not from slmweb and would be lost; "
            "choose another folder, or move that elsewhere",
        )


def publish(folder: Path, out: Path) -> None:
    """Gives `folder` the name `out`, in place of what is there.

    Modes are the same whatever the umask: everybody may read, as web servers
    need. Raises OSError.
    """
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    old = folder.with_name(f"{folder.name}.old")
    try:
        with contextlib.suppress(FileNotFoundError):
            out.rename(old)
        folder.rename(out)
    except BaseException:
        if old.exists() and not out.exists():
            old.rename(out)
        raise
    finally:
        if out.exists():
            shutil.rmtree(old, ignore_errors=True)
