"""A host that knows nothing of us: Python's own file server, as anybody would start it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page


@contextmanager
def plain_host(folder: Path, port: int = 0) -> Iterator[str]:
    """`python -m http.server` over `folder` while the block runs; yields its address."""
    command = [sys.executable, "-u", "-m", "http.server", str(port), "--bind", "127.0.0.1",
               "--directory", str(folder)]  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        try:
            found = re.search(r"port (\d+)", server.stdout.readline())
            assert found, "http.server did not start"
            yield f"http://127.0.0.1:{found[1]}"
        finally:
            server.kill()


def visit(page: Page, url: str) -> None:
    """Opens a page of such a host, and waits until it came through its service worker and began."""
    page.goto(url)
    # A page that is not sealed shows nothing.
    page.frame_locator("iframe#sandbox").locator("#root > *").first.wait_for(state="attached")
    assert page.evaluate("navigator.serviceWorker.controller !== null")
