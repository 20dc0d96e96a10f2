"""The manifest of a packed model: what web/src/store reads, as Python types.

Owns the schema and its JSON form. The bytes of a manifest depend on nothing but
its content: no dates, no machine names.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import SlmError, os_reason

SCHEMA = 1
MANIFEST = "manifest.json"
CHUNK_SIZE = 16 << 20  # bytes; what a browser hashes and resumes as one piece

# The names that the browser takes for a model and its files.
MODEL_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
SAMPLING = ("temperature", "top_k", "top_p", "min_p", "repeat_penalty")


@dataclass(frozen=True)
class Chunk:
    sha256: str
    size: int


@dataclass(frozen=True)
class PackedFile:
    name: str
    size: int
    sha256: str
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True)
class Memory:
    weights: int  # bytes that the packed weights take
    n_ctx_default: int


@dataclass(frozen=True)
class Manifest:
    name: str
    title: str
    architecture: str
    parameters: int
    context_length: int
    license: str | None
    license_url: str | None
    source: str | None
    size: int  # bytes of all files
    memory: Memory
    sampling: dict[str, float]
    files: tuple[PackedFile, ...]
    schema: int = field(default=SCHEMA, kw_only=True)

    def to_json(self) -> bytes:
        fields = asdict(self)
        return (
            json.dumps({"schema": fields.pop("schema"), **fields}, ensure_ascii=False, indent=1)
            + "\n"
        ).encode()


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a packed model. Raises SlmError "unreadable" or "bad_manifest"."""
    path = folder / MANIFEST
    try:
        data: dict[str, Any] = json.loads(path.read_bytes())
        if data.get("schema") != SCHEMA:
            raise ValueError(f"schema {data.get('schema')!r} instead of {SCHEMA}")
        files = tuple(
            PackedFile(
                **{**file, "chunks": tuple(Chunk(**chunk) for chunk in file["chunks"])},
            )
            for file in data["files"]
        )
        return Manifest(**{**data, "memory": Memory(**data["memory"]), "files": files})
    except OSError as error:
        raise SlmError("unreadable", f"cannot read {path}: {os_reason(error)}") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SlmError(
            "bad_manifest", f"{path} is not a manifest ({error}); pack the model again"
        ) from None
