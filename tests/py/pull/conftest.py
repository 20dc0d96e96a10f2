"""A home of its own for each test: no answer and no token of the person who runs it counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from slmweb import paths


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folders, and what `slmweb pull` keeps, below the test's own."""
    for variable in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "HF_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "home" / variable.lower()))
    for variable in ("SLMWEB_ACCEPT_GEMMA", "HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(paths, "is_checkout", lambda: False)
    return tmp_path / "home"
