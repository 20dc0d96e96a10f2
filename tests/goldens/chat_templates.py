"""Where the goldens of chat templates lie; make_templates.py writes them."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
TEMPLATES = HERE / "templates"
GOLDEN = HERE / "chat_templates.json"
