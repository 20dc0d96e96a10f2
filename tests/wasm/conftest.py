from __future__ import annotations

from collections.abc import Iterator

import pytest

import native
from tests.wasm.native_core import NativeCore


@pytest.fixture(scope="session")
def core() -> Iterator[NativeCore]:
    native.build([native.DRIVER])
    process = NativeCore(native.DRIVER.output)
    yield process
    process.close()
