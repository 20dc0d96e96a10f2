"""What all sources on the network share: a listing, and its files brought here and proved.

Owns which files of a folder are a model, the continuation of an interrupted download, and the
comparison of what came with what was listed. A file leaves the folder of partial downloads only
after that. Knows no protocol: a Source lists, and appends bytes to a file.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Generic, TypeVar

from ..atomic import atomic_file, check_output
from ..errors import SlmError, os_reason
from ..vision.encoder_file import encoders_of, is_encoder_name

Progress = Callable[[int, int], None]  # bytes done, bytes in all
Count = Callable[[int], None]  # bytes done of one file

RECORD = "pulled.json"
# What a partial download lies in, beside the finished files.
PARTIAL = ".partial"

# What `slmweb convert` reads of a checkpoint or an adapter, in the repository's root; and of the
# modules of sentence-transformers, which have folders.
CHECKPOINT = re.compile(
    r"(config|generation_config|adapter_config|tokenizer|tokenizer_config|special_tokens_map"
    r"|added_tokens|vocab|chat_template|preprocessor_config|processor_config|[^/]*\.safetensors\.index)\.json"
    r"|(?!consolidated)[^/]*\.safetensors|tokenizer\.model|merges\.txt|[^/]*\.jinja"
    r"|LICENSE[^/]*|README\.md|modules\.json",
    re.I,
)
MODULES = "modules.json"
MODULE = re.compile(r"\d+_(Pooling|Dense|Normalize)/(config\.json|model\.safetensors)")
# A folder with one of these is whole, so they come last.
LAST = ("config.json", "adapter_config.json")
_SPLIT = re.compile(r"(?P<stem>.*)-\d{5}-of-(?P<count>\d{5})\.gguf", re.I)


@dataclass(frozen=True)
class RemoteFile:
    """A file as its source lists it, with the hashes that the source knows: `git` is Git's SHA-1,
    `md5` in base 64. `stamp` is what else changes with the bytes: an ETag, a date."""

    path: str
    size: int
    sha256: str | None = None
    git: str | None = None
    md5: str | None = None
    stamp: str | None = None

    @property
    def identity(self) -> str:
        """What a partial download is known by: other bytes have another."""
        known = self.sha256 or self.git
        return (known or hashlib.sha256(repr(self).encode()).hexdigest())[:16]

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name

    @property
    def place(self) -> str:
        """Where it comes to lie: a module in its folder, everything else without."""
        return self.path if MODULE.fullmatch(self.path) else self.name


@dataclass(frozen=True)
class Listing:
    """A model at one commit or version, with the files that were asked for."""

    repo: str
    commit: str
    license: str | None
    gguf: bool  # one file or a split set, perhaps with its encoder of pictures; else a checkpoint
    files: tuple[RemoteFile, ...]
    page: str | None = None  # where a person reads about it

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def model_files(self) -> tuple[RemoteFile, ...]:
        """Without the encoder of pictures that comes with a GGUF."""
        return tuple(
            file for i, file in enumerate(self.files) if i == 0 or not is_encoder_name(file.name)
        )


Origin = TypeVar("Origin")


class Source(ABC, Generic[Origin]):
    """Where models come from over the network. `endpoint` is its name in sentences."""

    endpoint: str

    @abstractmethod
    def list(self, origin: Origin) -> Listing:
        """What is to be fetched. Raises SlmError "network" or "unsupported"."""

    @abstractmethod
    def _download(self, listing: Listing, file: RemoteFile, partial: Path, count: Count) -> None:
        """Appends to `partial` what it still lacks, across broken connections and earlier runs."""

    def fetch(self, listing: Listing, folder: Path, progress: Progress) -> None:
        """Brings the listed files into `folder`, under their base names for a GGUF.

        What is there already and proved stays; what was begun goes on. Raises SlmError "network",
        "corrupt" (the file is then gone) or "unwritable", and what check_output raises.
        """
        for file in listing.files:
            check_output(folder / file.place)
        record = read_record(folder)
        # A folder with a config.json is a whole checkpoint, so that file goes first and comes last.
        files = sorted(listing.files, key=lambda file: file.path in LAST)

        def is_current(file: RemoteFile) -> bool:
            target = folder / file.place
            there = target.is_file() and target.stat().st_size == file.size
            return there and _known(record.get(file.place)) == _known(asdict(file))

        wanted = [file for file in files if not is_current(file)]
        done = listing.size - sum(file.size for file in wanted)
        progress(done, listing.size)
        try:
            (folder / PARTIAL).mkdir(parents=True, exist_ok=True)
            if wanted and files[-1].path in LAST and files[-1] not in wanted:
                wanted.append(files[-1])
                done -= files[-1].size
            for file in reversed(wanted):
                (folder / file.place).unlink(missing_ok=True)
            for file in wanted:
                target = folder / file.place
                target.parent.mkdir(exist_ok=True)
                partial = folder / PARTIAL / f"{target.name}.{file.identity}"
                self._download(
                    listing,
                    file,
                    partial,
                    lambda n, at=done: progress(at + n, listing.size),  # type: ignore[misc]
                )
                check(partial, file, f"{listing.repo}/{file.path}")
                partial.replace(target)
                record[file.place] = asdict(file)
                write_record(folder, listing, record)
                done += file.size
            _remove_empty(folder / PARTIAL)
        except OSError as error:
            raise SlmError("unwritable", f"cannot write {folder}: {os_reason(error)}") from None

    def read(self, listing: Listing, name: str) -> bytes:
        """One small file of the repository, in memory. Raises SlmError "network"."""
        for file in listing.files:
            if file.path == name:
                with tempfile.TemporaryDirectory() as folder:
                    partial = Path(folder) / "file"
                    self._download(listing, file, partial, lambda n: None)
                    check(partial, file, f"{listing.repo}/{name}")
                    return partial.read_bytes()
        raise SlmError("network", f"{listing.repo} at {self.endpoint} has no {name}")


def check(path: Path, file: RemoteFile, name: str) -> None:
    """Compares bytes with what is known of them; deletes them and raises "corrupt" when they
    differ. Where no hash is known, the size has to do, and how such a file begins."""
    if (size := path.stat().st_size) != file.size:
        path.unlink()
        raise SlmError(
            "corrupt",
            f"{name} should have {file.size} bytes, but {size} came; it was deleted, run this "
            "again, and if that does not help tell its owner",
        )
    if file.sha256 is not None:
        wanted, found = file.sha256, _hash(path, hashlib.sha256()).hex()
    elif file.git is not None:  # Git hashes a header with the bytes
        digest = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
        wanted, found = file.git, _hash(path, digest).hex()
    elif file.md5 is not None:
        digest = hashlib.md5(usedforsecurity=False)
        wanted, found = file.md5, b64encode(_hash(path, digest)).decode()
    else:
        _check_start(path, name)
        return
    if found != wanted:
        path.unlink()
        raise SlmError(
            "corrupt",
            f"{name} should have the hash {wanted}, but what came has {found}; it was deleted, run "
            "this again, and if that does not help tell its owner",
        )


def _check_start(path: Path, name: str) -> None:
    """Hosts answer with a page about an error where they should answer with an error."""
    start = {".gguf": b"GGUF", ".json": b"{"}.get(PurePosixPath(name).suffix.lower(), b"")
    if PurePosixPath(name).name == MODULES:
        start = b"["
    with path.open("rb") as data:
        found = data.read(64).lstrip() if start in (b"{", b"[") else data.read(4)
    if not found.startswith(start):
        path.unlink()
        raise SlmError(
            "bad_file",
            f"what came for {name} does not begin with {start.decode()}, so it is not that file; "
            "it was deleted: correct the address",
        )


def _hash(path: Path, digest: Any) -> bytes:
    with path.open("rb") as data:
        while piece := data.read(1 << 20):
            digest.update(piece)
    found: bytes = digest.digest()
    return found


def _known(fields: Any) -> dict[str, Any]:
    """A record without what nobody knew: fields have been added since it was written."""
    return {k: v for k, v in fields.items() if v is not None} if isinstance(fields, dict) else {}


def read_record(folder: Path) -> dict[str, Any]:
    """What an earlier pull has put into `folder`: file name -> RemoteFile as a dict."""
    try:
        files = json.loads((folder / RECORD).read_bytes())["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return files if isinstance(files, dict) else {}


def write_record(folder: Path, listing: Listing, files: dict[str, Any]) -> None:
    record = {"repo": listing.repo, "commit": listing.commit, "license": listing.license}
    with atomic_file(folder / RECORD) as out:
        out.write((json.dumps(record | {"files": files}, indent=1, sort_keys=True) + "\n").encode())


def choose(
    name: str, spelled: Callable[[str], str], file: str | None, files: Sequence[RemoteFile]
) -> list[RemoteFile]:
    """The named GGUF with the rest of its split set, the checkpoint, or the only GGUF there is; of
    a GGUF also its encoder of pictures, last.

    `spelled` is how a person names a file of it. Raises SlmError "network" (no such file),
    "invalid_argument" (several models) or "unsupported" (none).
    """
    ggufs = [other for other in files if other.path.lower().endswith(".gguf")]
    if file is not None:
        found = [other for other in files if other.path == file]
        if not found:
            known = ", ".join(other.path for other in ggufs[:20]) or "none"
            raise SlmError("network", f"{name} has no file {file}; its GGUF files are: {known}")
        return _with_encoder(_split_set(found[0], files), ggufs)
    root = [other for other in files if CHECKPOINT.fullmatch(other.path)]
    if any(other.path.endswith(".safetensors") for other in root):
        return [*root, *(other for other in files if MODULE.fullmatch(other.path))]
    models = [other for other in ggufs if not is_encoder_name(other.name)]
    sets = {tuple(_split_set(other, files)) for other in models}
    if len(sets) == 1:
        return _with_encoder(list(sets.pop()), ggufs)
    if sets:
        names = ", ".join(sorted(one[0].path for one in sets)[:20])
        raise SlmError(
            "invalid_argument",
            f"{name} holds {len(sets)} GGUF models ({names}); name one, as in "
            + spelled(min(one[0].path for one in sets)),
        )
    raise SlmError(
        "unsupported",
        f"{name} holds neither safetensors nor a GGUF file, so there is nothing to convert or "
        "run; name another",
    )


def _with_encoder(chosen: list[RemoteFile], ggufs: Sequence[RemoteFile]) -> list[RemoteFile]:
    """The files with the smallest encoder of pictures that is theirs, if there is one."""
    folder = PurePosixPath(chosen[0].path).parent
    there = [other for other in ggufs if PurePosixPath(other.path).parent == folder]
    encoders = [other for other in there if is_encoder_name(other.name)]
    if chosen[0] in encoders:
        return chosen
    names = encoders_of(
        chosen[0].name,
        [other.name for other in encoders],
        [other.name for other in there if other not in encoders],
    )
    own = sorted((o for o in encoders if o.name in names), key=lambda o: (o.size, o.path))
    return chosen + own[:1]


def module_files(modules: bytes) -> list[str]:
    """What a modules.json says to lie in folders; nothing of one that is damaged, which `convert`
    names."""
    try:
        paths = [str(module["path"]) for module in json.loads(modules)]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
    files = [f"{path}/{name}" for path in paths for name in ("config.json", "model.safetensors")]
    return [file for file in files if MODULE.fullmatch(file)]


def split_names(name: str) -> list[str]:
    """The names of all files of the split set that a file's name belongs to; else that name."""
    if (match := _SPLIT.fullmatch(name)) is None:
        return [name]
    count = int(match["count"])
    return [f"{match['stem']}-{i:05}-of-{count:05}.gguf" for i in range(1, count + 1)]


def _split_set(file: RemoteFile, files: Sequence[RemoteFile]) -> list[RemoteFile]:
    match = _SPLIT.fullmatch(file.path)
    if match is None:
        return [file]
    parts = [other for other in files if (m := _SPLIT.fullmatch(other.path))
             and (m["stem"], m["count"]) == (match["stem"], match["count"])]  # fmt: skip
    return sorted(parts, key=lambda part: part.path)


def _remove_empty(folder: Path) -> None:
    if not any(folder.iterdir()):
        folder.rmdir()
