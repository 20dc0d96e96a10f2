"""The core on a GPU: one process of Node for each form of the products."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import cache
from pathlib import Path

import pytest

from tests.dawn import bundle
from tests.gpu.core import GpuInstance
from tests.parity.conftest import real_model as real_model

SERVE = Path(__file__).with_name("serve.ts")


@pytest.fixture(scope="session")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle(SERVE, tmp_path_factory.mktemp("gpu") / "serve.mjs")


@pytest.fixture(scope="session")
def gpu(script: Path) -> Iterator[Callable[[str], GpuInstance]]:
    """The core with products of the given form; started when it is first asked for."""
    with ExitStack() as started:
        yield cache(lambda form: started.enter_context(closing(GpuInstance(script, form))))
