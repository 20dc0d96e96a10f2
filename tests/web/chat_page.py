"""Serves the chat page to a browser as a release does, over a mock model.

Owns the sandboxed opaque frame of the tests: the same `sandbox` attribute and
the same policy as web/src/seal, with the bundle of mock_chat.ts as its only
script. Refuses to know the shell, the engine and the real model; those have
their own tests.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Frame, Page, Route

ROOT = Path(__file__).resolve().parents[2]
ORIGIN = "http://chat.test"


@cache
def bundle() -> str:
    """The chat with its mock as one classic script."""
    command = [
        str(ROOT / "node_modules" / ".bin" / "esbuild"),
        str(ROOT / "tests" / "web" / "mock_chat.ts"),
        "--bundle",
        "--format=iife",
        "--target=es2022",
        "--loader:.css=text",
        "--log-level=warning",
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout


def frame_html(script: str, config: Mapping[str, Any]) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}' 'wasm-unsafe-eval'; worker-src blob: data:; "
        "connect-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; frame-src 'none'; "
        "form-action 'none'; base-uri 'none'"
    )
    # `<` would end the element; JSON may say it otherwise.
    data = json.dumps(config).replace("<", "\\u003c")
    return (
        f'<!doctype html><html lang="en"><head><meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>slmweb</title></head>'
        f'<body><script type="application/json" id="config">{data}</script><script>{script}</script></body></html>'
    )


@dataclass
class ChatPage:
    """One open chat page: the outer page, the frame, and what left the frame."""

    page: Page
    frame: Frame
    requests: list[str]

    def mock(self, call: str) -> Any:
        """Runs `mock.<call>` in the frame and waits until it has been drawn."""
        value = self.frame.evaluate(f"mock.{call}")
        self.frame.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return value

    def send(self, text: str) -> None:
        field = self.frame.get_by_role("textbox", name="Message")
        field.fill(text)
        field.press("Enter")

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


def open_chat(page: Page, **config: Any) -> ChatPage:
    inner = frame_html(bundle(), config)
    outer = (
        '<!doctype html><html lang="en"><head><title>slmweb</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<style>html,body{margin:0;height:100%}iframe{display:block;width:100%;height:100dvh;border:0}</style></head>"
        f'<body><iframe title="Chat" sandbox="allow-scripts" srcdoc="{html.escape(inner)}"></iframe></body></html>'
    )
    requests: list[str] = []

    def serve(route: Route) -> None:
        url = route.request.url
        if url == f"{ORIGIN}/":
            route.fulfill(body=outer, content_type="text/html; charset=utf-8")
        else:
            requests.append(url)
            route.abort()

    page.route("**/*", serve)
    page.goto(f"{ORIGIN}/")
    handle = page.locator("iframe").element_handle()
    frame = handle.content_frame()
    assert frame is not None, "expected the srcdoc frame to have a document"
    frame.get_by_role("textbox", name="Message").wait_for()
    return ChatPage(page, frame, requests)
