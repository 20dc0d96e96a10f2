"""What the scripts of build/ share: where the tree is, and how they fail.

A script raises BuildError with one sentence (what was expected, what was found,
what to do) and run() turns it into exit code 1; tracebacks are for our bugs.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"


class BuildError(Exception):
    """A sentence for whoever runs the script."""


def replace(path: Path, content: bytes) -> None:
    """Writes a file that nobody ever sees half written."""
    partial = path.with_name(f".{path.name}.part")
    partial.write_bytes(content)
    partial.replace(path)


def ts_text(text: str) -> str:
    """A TypeScript literal in the quotes that need fewer escapes, as biome writes it."""
    quote = '"' if "'" in text and '"' not in text else "'"
    escaped = json.dumps(text, ensure_ascii=False)[1:-1].replace('\\"', '"')
    return quote + escaped.replace(quote, f"\\{quote}") + quote


def py_text(text: str) -> str:
    """A Python literal, as ruff quotes it."""
    literal = json.dumps(text)
    if '"' not in text or "'" in text:
        return literal
    return "'" + literal[1:-1].replace('\\"', '"') + "'"


def gzip_compress(content: bytes) -> bytes:
    """gzip without a date, so that the same input gives the same file."""
    return gzip.compress(content, mtime=0)


def run(main: Callable[[list[str]], None]) -> int:
    try:
        main(sys.argv[1:])
    except BuildError as error:
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
