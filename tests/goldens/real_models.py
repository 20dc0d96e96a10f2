"""Where the two real models lie: dist/gguf, where build/model.py puts them. Gemma
comes under terms that somebody has to accept first, so it may be absent; the
environment variable SLMWEB_GEMMA can name a copy that one already has.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Their keys in py/slmweb/pull/registry.toml.
REAL_MODELS = ("smollm2", "gemma3-270m")


def find(name: str) -> Path | None:
    """The model's GGUF, if it is there."""
    if name == "gemma3-270m" and (given := os.environ.get("SLMWEB_GEMMA")):
        return Path(given)
    table = tomllib.loads((ROOT / "py/slmweb/pull/registry.toml").read_text())
    path = ROOT / "dist" / "gguf" / table["model"][name]["file"]
    return path if path.is_file() else None
