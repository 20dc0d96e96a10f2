"""Serves the chat page to a browser as a release does, over a mock model.

The server's own templates, policies and headers carry a bundle whose frame
script is mock_chat.ts: the chat runs in the same sealed frame as in a release.
Refuses to know the shell, the engine and the real model; those have their own
tests.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import Frame, Locator, Page, Route

from slmweb.server.headers import seal_headers
from slmweb.server.identity import page_identity
from slmweb.server.pages import PageCache
from slmweb.server.site import Site

ROOT = Path(__file__).resolve().parents[2]
ORIGIN = "https://chat.test"
DRAWN = "new Promise((end) => requestAnimationFrame(() => requestAnimationFrame(() => end())))"


@cache
def _mock_script() -> str:
    """The chat with its mock as one classic script."""
    command = [
        str(ROOT / "node_modules/.bin/esbuild"),
        str(ROOT / "tests/web/mock_chat.ts"),
        "--bundle",
        "--minify",
        "--format=iife",
        "--target=es2022",
        "--loader:.css=text",
        "--log-level=warning",
    ]
    result = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    return result.stdout.replace("<!--", r"\x3c!--")


def page_and_headers(
    config: Mapping[str, Any], site: Site | None = None
) -> tuple[bytes, dict[str, str]]:
    """The chat page of a site over the mock, and the headers that seal it."""
    if site is not None:
        config = {"site": page_identity(site), **config}
    # `<` would end the element; JSON may say it otherwise.
    prelude = f"globalThis.CONFIG = {json.dumps(config)};\n".replace("<", "\\u003c")
    files = {
        "frame.js": prelude + _mock_script(),
        "shell.js": "",
        "early.js": "",
        "worker.js": "",
        "store.js": "",
        "shell.css": (ROOT / "web/src/seal/shell.css").read_text(),
        "icon.svg": (ROOT / "web/static/icon.svg").read_text(),
    }
    with TemporaryDirectory() as folder:
        web = Path(folder)
        for name, text in files.items():
            (web / name).write_text(text)
        (web / "assets.json").write_text(json.dumps({name: name for name in files}))
        pages = PageCache(web, web, site=site)
        body = pages.index().body
        headers = seal_headers(pages.current_hash())
    return body, headers


# What `info` says of a model on a GPU: configuration of the mock.
GPU: dict[str, Any] = {
    "backend": "webgpu",
    "backend_notices": [{"code": "gpu_used", "device": "Apple M3"}],
    "gpu": {
        "adapter": {
            "vendor": "apple",
            "architecture": "metal-3",
            "device": "",
            "description": "Apple M3",
        },
        "emulated": False,
        "features": [],
        "kernels": {"matvec": "sweep"},
        "memory_bytes": 161_000_000,
        "compile_ms": 2400,
        "losses": 0,
    },
    "checks": [
        {"name": "kernels", "state": "passed", "error": 1.2e-6, "bound": 0.001, "detail": "Fine."},
        {
            "name": "known_answer",
            "state": "absent",
            "error": None,
            "bound": None,
            "detail": "None.",
        },
    ],
}


@dataclass
class ChatPage:
    """One open chat page: the outer page, the frame, and what left the frame."""

    page: Page
    frame: Frame
    requests: list[str]
    # Everything that the browser wrote to its console: violated policies stand there.
    console: list[str]

    def mock(self, call: str) -> Any:
        """Runs `mock.<call>` in the frame and waits until it has been drawn."""
        value = self.frame.evaluate(f"mock.{call}")
        self.drawn()
        return value

    def drawn(self) -> None:
        """Waits for two animation frames: what was asked for is on the screen."""
        self.frame.evaluate(DRAWN)

    def send(self, text: str) -> None:
        field = self.frame.locator("#message")
        field.fill(text)
        # With Control it sends on a touch screen too.
        field.press("Control+Enter")

    def answer(self, text: str) -> None:
        """Lets the model say `text` and end."""
        self.mock(f"emit({json.dumps(text)})")
        self.mock("finish()")

    def ask(self, question: str, answer: str) -> None:
        self.send(question)
        self.answer(answer)

    def last_request(self) -> dict[str, Any]:
        params: dict[str, Any] = self.frame.evaluate("mock.requests.at(-1).params")
        return params


def message_field(chat: ChatPage) -> Locator:
    return chat.frame.get_by_role("textbox", name="Message")


def open_chat(page: Page, *, site: Site | None = None, **config: Any) -> ChatPage:
    body, headers = page_and_headers(config, site)
    requests: list[str] = []
    console: list[str] = []
    styles = (ROOT / "web/src/seal/shell.css").read_text()

    def serve(route: Route) -> None:
        url = route.request.url
        if url == f"{ORIGIN}/":
            route.fulfill(
                body=body, headers={**headers, "content-type": "text/html; charset=utf-8"}
            )
        elif url == f"{ORIGIN}/assets/shell.css":
            route.fulfill(body=styles, headers={**headers, "content-type": "text/css"})
        elif url.startswith(f"{ORIGIN}/assets/"):
            route.fulfill(body="", headers={**headers, "content-type": "text/javascript"})
        else:
            requests.append(url)
            route.abort()

    page.unroute_all()  # of the chat that this page showed before
    page.route("**/*", serve)
    page.on("console", lambda message: console.append(message.text))
    page.on("pageerror", lambda error: console.append(str(error)))
    page.goto(f"{ORIGIN}/")
    handle = page.locator("iframe").element_handle()
    frame = handle.content_frame()
    assert frame is not None, "expected the srcdoc frame to have a document"
    frame.locator("#message").wait_for()
    return ChatPage(page, frame, requests, console)
