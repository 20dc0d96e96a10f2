"""Which browsers run which build of the core: browsers.toml as sentences.

Owns the choice by version, for people who plan; a page never asks for a browser's name, it probes.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

TABLE = Path(__file__).with_name("browsers.toml")


@dataclass(frozen=True)
class Browser:
    """Versions from which on a browser has a feature; None where it has not."""

    name: str
    simd: str | None = None
    relaxed_simd: str | None = None
    threads: str | None = None
    credentialless: str | None = None
    document_isolation: str | None = None

    def paths(self) -> list[tuple[str, str]]:
        """(version from which on, build of the core), the best last; on an isolated page."""
        found: list[tuple[str, str]] = []
        if self.simd is None:
            return found
        found.append((self.simd, "simd"))
        if self.threads is not None:
            both = max(self.simd, self.threads, key=version)
            found = [(both, "simd-mt")] if both == self.simd else [*found, (both, "simd-mt")]
        if self.relaxed_simd is not None:
            build = "relaxed-mt" if self.threads is not None else "relaxed"
            found.append((max(self.relaxed_simd, found[-1][0], key=version), build))
        return found


def version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def read_browsers() -> list[Browser]:
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return [Browser(**entry) for entry in table["browser"]]
