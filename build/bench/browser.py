"""Headless Chromium and a loopback server for the pages that measure what runs in a browser.

Every engine gets the same browser, the same headers (cross-origin isolated, so threads work) and a
fresh page for every measurement; storage outlives the pages, as it would for a person who comes
back. It knows nothing of engines beyond the name of their page.
"""

from __future__ import annotations

import http.server
import json
import re
import shutil
import tempfile
import threading
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from playwright.sync_api import BrowserContext, Error, Page, TimeoutError, sync_playwright

from script import BuildError

from . import environment

PAGE = """<!doctype html><meta charset="utf-8"><title>bench</title>
<script type="module" src="/pages/{name}.js"></script>"""

# The slowest measurement, of wllama on a busy machine, takes about three minutes.
TIMEOUT_S = 600


class Server(http.server.ThreadingHTTPServer):
    """Serves folders under URL prefixes and files under exact URLs, on loopback."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folders: dict[str, Path] = {
            "/pages/": environment.PAGES,
            "/node_modules/": environment.NODE_MODULES,
        }
        self.files: dict[str, Path] = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        page = re.fullmatch(r"/(\w+)", self.path)
        path = self.find()
        if page:
            content = PAGE.format(name=page[1]).encode()
            self.start(200, "text/html", len(content))
            if body:
                self.wfile.write(content)
        elif path is None:
            self.start(404, "text/plain", 0)
        else:
            types = {
                ".js": "text/javascript",
                ".mjs": "text/javascript",
                ".json": "application/json",
                ".css": "text/css",
            }
            types[".wasm"] = "application/wasm"
            kind = types.get(path.suffix, "application/octet-stream")
            with path.open("rb") as file:
                self.start(200, kind, path.stat().st_size)
                if body:
                    shutil.copyfileobj(file, self.wfile, 1 << 20)

    def find(self) -> Path | None:
        path = self.path.partition("?")[0]
        candidates = [self.server.files.get(path)]
        for prefix, folder in self.server.folders.items():
            if path.startswith(prefix) and ".." not in path.split("/"):
                candidates.append(folder / path.removeprefix(prefix))
        return next((found for found in candidates if found and found.is_file()), None)

    def start(self, status: int, kind: str, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base's name)
        pass


class Browser:
    """Chromium with a profile of its own, and the server; both outlive `reopen`."""

    def __init__(self, timeout_s: float = TIMEOUT_S, arguments: Sequence[str] = ()) -> None:
        self.timeout_s = timeout_s
        self.arguments = arguments
        self.server = Server()
        self._profile = tempfile.TemporaryDirectory(prefix="slmweb-bench-")
        self._playwright = sync_playwright().start()
        try:
            self._context = self._launch()
        except BuildError:
            self._playwright.stop()
            self._profile.cleanup()
            raise
        browser = self._context.browser
        self.version = f"Chromium {browser.version if browser else 'of unknown version'}"

    def reopen(self) -> None:
        """Closes it and starts it again, as a person comes back another day."""
        self._context.close()
        self._context = self._launch()

    def _launch(self) -> BrowserContext:
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        try:
            return self._playwright.chromium.launch_persistent_context(
                self._profile.name,
                headless=True,
                executable_path=chromium,  # None is Playwright's own
                # There is no other way as root, as in a container.
                args=["--no-sandbox", *self.arguments],
            )
        except Error as error:
            raise BuildError(f"cannot start Chromium: {first_line(error)}") from None

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._context.close()
        self._playwright.stop()
        self.server.shutdown()
        self.server.server_close()
        self._profile.cleanup()

    def measure(self, name: str, request: Any) -> Any:
        """Opens page `name` and returns what its measure(request) returns."""
        page: Page = self._context.new_page()
        failures: list[str] = []
        page.on("pageerror", lambda error: failures.append(first_line(error)))
        try:
            page.goto(f"{self.server.url}/{name}")
            page.wait_for_function("globalThis.bench !== undefined")
            if not page.evaluate("crossOriginIsolated"):
                raise BuildError("expected a cross-origin isolated page, so that threads can start")
            return self._outcome(page, request)
        except TimeoutError:
            raise BuildError(f"{name}: no result after {self.timeout_s:g} s") from None
        except Error as error:
            raise BuildError(f"{name}: {'; '.join([first_line(error), *failures])}") from None
        finally:
            page.close()

    def _outcome(self, page: Page, request: Any) -> Any:
        """What measure(request) comes to. The clock is outside the page, for a page that computes
        runs no timers, and evaluate() itself waits forever, also for a worker that has died."""
        done = f"bench:{uuid.uuid4()}"
        with page.expect_console_message(
            lambda message: message.text == done, timeout=self.timeout_s * 1000
        ):
            page.evaluate(
                """([request, done]) => {
                     const settle = (outcome) => {
                       globalThis.outcome = outcome;
                       console.log(done);
                     };
                     setTimeout(() => bench.measure(request).then(
                       (result) => settle({ result }),
                       (error) => settle({ error: String(error?.message ?? error) })));
                   }""",
                [json.loads(json.dumps(request)), done],
            )
        outcome = page.evaluate("outcome")
        if "error" in outcome:
            raise Error(outcome["error"])
        return outcome["result"]


def first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].removeprefix("Page.evaluate: ")
