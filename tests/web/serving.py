"""slmweb's own server for browser tests, with a log and faults on demand.

Owns the thread that serves and the ASGI layer that corrupts, refuses, holds and
breaks a response, as a bad network would. Refuses to know what is tested.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# What a slow line takes at once.
PIECE = 4096
LOGIN_PAGE = "<!doctype html><title>Log in</title><form>" + "<p>Who are you?</p>" * 400


@dataclass(frozen=True)
class Hit:
    """One request that reached the server."""

    path: str
    range: str | None


@dataclass
class Fault:
    """What happens to the next `times` requests whose path matches `pattern`."""

    pattern: str
    times: int = 1
    hold_after: int | None = None  # so many bytes come, and at release() the connection breaks
    flip: bool = False  # the first byte of the body is another one
    status: int | None = None
    ignore_range: bool = False
    page: bool = False  # a login page with status 200 comes instead


@dataclass
class Site:
    """A running server: its address, what was asked of it, and how it misbehaves."""

    url: str
    hits: list[Hit] = field(default_factory=list)  # without what a browser asks for by itself
    faults: list[Fault] = field(default_factory=list)
    active: int = 0
    most_active: int = 0
    removed_headers: set[str] = field(default_factory=set)
    rate: int | None = None  # bytes a second that the line takes, for all answers together
    _line_free: float = 0
    _released: threading.Event = field(default_factory=threading.Event)

    def paths(self, pattern: str) -> list[Hit]:
        return [hit for hit in self.hits if re.search(pattern, hit.path)]

    def fetched(self, since: int = 0) -> list[Hit]:
        """What the page asked for: a browser looks after the service worker when it likes."""
        return [hit for hit in self.hits[since:] if hit.path != "/sw.js"]

    def release(self) -> None:
        """Breaks the connections of held responses."""
        self._released.set()

    def fault(self, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and re.search(fault.pattern, path):
                fault.times -= 1
                return fault
        return None

    async def pace(self, sent: int) -> None:
        """Waits until the line has taken so many bytes."""
        if self.rate is not None:
            now = asyncio.get_running_loop().time()
            self._line_free = max(now, self._line_free) + sent / self.rate
            await asyncio.sleep(self._line_free - now)

    async def released(self) -> None:
        while not self._released.is_set():
            await asyncio.sleep(0.01)


class _BrokenError(Exception):
    """Leaves a response unfinished, so that uvicorn closes the connection."""


class _Faulty:
    def __init__(self, app: ASGIApp, site: Site) -> None:
        self.app = app
        self.site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        site = self.site
        # Whenever it likes after a page has loaded, a browser looks for the site's icon.
        if scope["path"] == "/favicon.ico":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        byte_range = headers.get(b"range")
        site.hits.append(Hit(scope["path"], byte_range.decode() if byte_range else None))
        fault = site.fault(scope["path"]) or Fault("")
        if fault.ignore_range:
            scope = {**scope, "headers": [h for h in scope["headers"] if h[0] != b"range"]}
        if fault.page:
            # Other sites may read it where they may read the data.
            page = HTMLResponse(LOGIN_PAGE, headers={"access-control-allow-origin": "*"})
            await page(scope, receive, send)
            return
        sent = 0

        async def faulty_send(message: Message) -> None:
            nonlocal sent
            if message["type"] == "http.response.start":
                status = fault.status or message["status"]
                kept = [
                    (name, value)
                    for name, value in message["headers"]
                    if name.decode().lower() not in site.removed_headers
                ]
                await send({**message, "status": status, "headers": kept})
                return
            body = message.get("body", b"")
            if fault.flip and sent == 0 and body:
                body = bytes([body[0] ^ 1]) + body[1:]
            limit = fault.hold_after
            if limit is not None and sent + len(body) > limit:
                await send({**message, "body": body[: limit - sent], "more_body": True})
                await site.released()
                raise _BrokenError
            sent += len(body)
            while site.rate is not None and len(body) > PIECE:
                await send({**message, "body": body[:PIECE], "more_body": True})
                await site.pace(PIECE)
                body = body[PIECE:]
            await send({**message, "body": body})
            await site.pace(len(body))

        site.active += 1
        site.most_active = max(site.most_active, site.active)
        try:
            await self.app(scope, receive, faulty_send)
        except _BrokenError:
            return
        finally:
            site.active -= 1


@contextmanager
def serve(app: ASGIApp) -> Iterator[Site]:
    """Serves `app` on a free port of the loopback interface."""
    listener = socket.create_server(("127.0.0.1", 0))
    site = Site(f"http://127.0.0.1:{listener.getsockname()[1]}")
    config = uvicorn.Config(
        _Faulty(app, site), log_config=None, lifespan="off", http="h11", ws="none",
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        site.release()
        server.should_exit = True
        thread.join(10)
        listener.close()


class HitLogger:
    """A bare TCP server that counts connections and writes down what they ask for.

    It answers so that whatever asked believes it has succeeded: what never
    connects was stopped by the browser, not by an error here. A connection
    counts even when nothing is sent, as with preconnect.
    """

    ANSWER = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nAccess-Control-Allow-Origin: *\r\n"
        b"Cross-Origin-Resource-Policy: cross-origin\r\nContent-Length: 2\r\n"
        b"Connection: close\r\n\r\nok"
    )

    def __init__(self) -> None:
        self.connections = 0
        self.requests: list[str] = []
        self._changed = threading.Condition()
        self._closed = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_for(self, wanted: str, seconds: float) -> bool:
        """Whether a request with this text comes; for "" a connection is enough."""

        def came() -> bool:
            return any(wanted in line for line in self.requests) if wanted else self.connections > 0

        with self._changed:
            return self._changed.wait_for(came, seconds)

    def __enter__(self) -> HitLogger:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True

    def _run(self) -> None:
        with self._listener:
            while not self._closed:
                try:
                    connection, _ = self._listener.accept()
                except TimeoutError:
                    continue
                with self._changed:
                    self.connections += 1
                    self._changed.notify_all()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(5)
            line = connection.recv(4096).split(b"\r\n")[0].decode("latin-1")
            with self._changed:
                self.requests.append(line)
                self._changed.notify_all()
            connection.sendall(self.ANSWER)
