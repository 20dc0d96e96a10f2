"""A model that is on this machine already: a GGUF file or a split set, with its encoder of pictures
if one lies there, or a checkpoint folder.

Owns taking it over by hard link, or by copying where links do not reach, and hashing what it took.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from ..atomic import atomic_file, check_output, reading
from ..core.files import ByteFile, model_files
from ..errors import SlmError, os_reason
from ..vision.encoder_file import encoder_beside, is_encoder_name
from .registry import Entry, Local
from .remote import LAST, MODULES, module_files

Progress = Callable[[int, int], None]  # bytes done, bytes in all


def source_files(entry: Entry) -> list[Path]:
    """The files to take: all parts of a GGUF and its encoder, or the files of a folder.

    Raises SlmError "unreadable" and "bad_file".
    """
    assert isinstance(entry.origin, Local)
    path = entry.origin.path
    if path.is_dir():
        files = sorted(child for child in path.iterdir() if child.is_file())
        if any(child.name == "config.json" or child.suffix == ".safetensors" for child in files):
            return [child for child in files if not child.name.startswith(".")] + _modules(path)
        raise SlmError(
            "unreadable",
            f"{path} has no config.json and no .safetensors file, so it is no checkpoint; name the "
            "folder that holds them, or a .gguf file",
        )
    if not path.is_file():
        raise SlmError("unreadable", f"{path} does not exist; correct the path")
    files = model_files([path])
    for file in files:
        with ByteFile(file) as opened:
            opened.read_into(memoryview(magic := bytearray(min(4, opened.size))), 0)
        if magic != b"GGUF":
            raise SlmError(
                "bad_file",
                f"{file} is not a GGUF file; name one, or the folder of a checkpoint",
            )
    encoder = encoder_beside(path)
    return files if encoder is None else [*files, encoder]


def _modules(path: Path) -> list[Path]:
    """What lies in folders of a model that embeds texts."""
    listed = path / MODULES
    try:
        names = module_files(listed.read_bytes()) if listed.is_file() else []
    except OSError as error:
        raise SlmError("unreadable", f"cannot read {listed}: {os_reason(error)}") from None
    return [file for name in names if (file := path / name).is_file()]


def take(entry: Entry, folder: Path, progress: Progress) -> list[Path]:
    """Puts the files into `folder`, and returns them there.

    The SHA-256 of an entry that has one is checked. Raises SlmError "unreadable", "corrupt",
    "unwritable", and what check_output raises.
    """
    files = sorted(source_files(entry), key=lambda file: file.name in LAST)
    root = entry.origin.path if isinstance(entry.origin, Local) else Path()

    def place(file: Path) -> Path:
        inside = root.is_dir() and file.parent != root
        return folder / (file.relative_to(root) if inside else file.name)

    for file in files:
        check_output(place(file))
    total = sum(file.stat().st_size for file in files)
    one = len(files) == 1 or is_encoder_name(files[1].name)
    done = 0
    taken: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            target = place(file)
            target.parent.mkdir(exist_ok=True)
            try:
                digest = _hash(file, lambda n, at=done: progress(at + n, total))  # type: ignore[misc]
            except OSError as error:
                raise SlmError("unreadable", f"cannot read {file}: {os_reason(error)}") from None
            if entry.sha256 is not None and one and not taken and digest != entry.sha256:
                raise SlmError(
                    "corrupt",
                    f"{file} should have the SHA-256 {entry.sha256}, but has {digest}; "
                    "get the file again, or correct the registry",
                )
            if not (target.exists() and target.samefile(file)):
                with reading(files):  # a link in the folder may lead back to one of them
                    _link_or_copy(file, target)
            done += file.stat().st_size
            taken.append(target)
    except OSError as error:
        raise SlmError("unwritable", f"cannot write {folder}: {os_reason(error)}") from None
    return taken


def _hash(path: Path, progress: Callable[[int], None]) -> str:
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as data:
        while piece := data.read(1 << 20):
            digest.update(piece)
            done += len(piece)
            progress(done)
    return digest.hexdigest()


def _link_or_copy(source: Path, target: Path) -> None:
    temporary = target.with_name(f".{target.name}.{os.getpid()}.link")
    try:
        os.link(source.resolve(), temporary)
        temporary.replace(target)
    except OSError:  # another file system, or one without links
        with atomic_file(target) as out, source.open("rb") as data:
            shutil.copyfileobj(data, out, 1 << 20)
    finally:
        temporary.unlink(missing_ok=True)
