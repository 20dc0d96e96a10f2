"""One running server for all tests that leave its files alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.py.support import Site, make_folders, running


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(make_folders(tmp_path_factory.mktemp("site"))) as started:
        yield started
