"""The shipped core in both single-threaded variants, and the real models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from slmweb.core import Instance, Variant
from tests.goldens import real_models

VARIANTS: tuple[Variant, ...] = ("relaxed", "simd")


@pytest.fixture(scope="session", params=VARIANTS)
def core(request: pytest.FixtureRequest) -> Instance:
    """One instance serves all tests: what a model leaves behind would show."""
    variant: Variant = request.param
    return Instance(variant)


@pytest.fixture(scope="session")
def real_model() -> Callable[[str], Path]:
    def find(name: str) -> Path:
        path = real_models.find(name)
        if path is None and name == "gemma3-270m":
            pytest.skip(
                "Gemma comes under terms of its own; having read them, run "
                "`SLMWEB_ACCEPT_GEMMA=1 make test`, or name a copy in SLMWEB_GEMMA"
            )
        assert path is not None, f"{name} is not in dist/gguf; run `make model`"
        return path

    return find
