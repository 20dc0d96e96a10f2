"""The folder of packed models as the server sees it: one subfolder per model.

Owns which names may appear in a URL and what the list of models says. Reads
manifests only for that list; the chunks' content is the business of the pack
that wrote them and of the browser that verifies them.
"""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

from ..pack.manifest import MANIFEST, MODEL_NAME, SCHEMA
from ..pack.sign import SIGNATURE

log = logging.getLogger("slmweb.server")

# Where the page looks for the list, relative to its own address.
MODEL_LIST = "models/index.json"

CHUNK_NAME = re.compile(r"[0-9a-f]{64}")

LISTED = ("name", "title", "version", "architecture", "parameters", "context_length",
          "size", "memory", "license", "license_url", "source", "root")  # fmt: skip


class ModelFolder:
    """The models under `root`, listed again whenever a manifest changes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._entries: dict[tuple[str, int, int, bool], dict[str, Any] | None] = {}

    def entries(self) -> list[dict[str, Any]]:
        """The fields `LISTED` of each manifest, its URL relative to the list's, and
        "signed", whether a signature lies beside it; whose it is the browser checks.

        A folder whose manifest cannot be read is left out, with a line in the log.
        """
        try:
            names = sorted(path.name for path in self.root.iterdir())
        except OSError:
            return []
        found = [self._entry(name) for name in names if MODEL_NAME.fullmatch(name)]
        return [entry for entry in found if entry is not None]

    def listing(self) -> bytes:
        """The content of `MODEL_LIST`."""
        return json.dumps(self.entries(), ensure_ascii=False).encode()

    def _entry(self, name: str) -> dict[str, Any] | None:
        path = self.root / name / MANIFEST
        try:
            status = path.stat()
        except OSError:
            return None
        signed = path.with_name(SIGNATURE).is_file()
        key = (name, status.st_mtime_ns, status.st_size, signed)
        if key not in self._entries:
            self._entries[key] = self._read(name, path, signed)
        return self._entries[key]

    def _read(self, name: str, path: Path, signed: bool) -> dict[str, Any] | None:
        try:
            manifest = json.loads(path.read_bytes())
            if manifest["schema"] != SCHEMA:
                raise ValueError(f"its schema is {manifest['schema']!r} instead of {SCHEMA}")
            entry = {field: manifest[field] for field in LISTED}
            if "good_for" in manifest:
                entry["good_for"] = manifest["good_for"]
            if entry["name"] != name:
                raise ValueError(f"its model is {entry['name']!r} and its folder {name!r}")
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("%s is left out (%s); run `slmweb pack` again", path, error)
            return None
        return {**entry, "signed": signed, "manifest": f"{name}/{MANIFEST}"}
