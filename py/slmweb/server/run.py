"""Runs the application on a socket until a signal, then ends in good order.

Owns the port, the signals and the limits of the process. uvicorn does the HTTP;
what differs from its own runner is that a stop asked for by a signal is a
success (exit status 0), that a port in use is one sentence, and that even the
answer to malformed HTTP, which no application sees, carries the seal's headers.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from types import FrameType

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..errors import SlmError, os_reason
from .headers import seal_headers

BACKLOG = 2048


def bind(host: str, port: int) -> socket.socket:
    """A listening TCP socket; port 0 takes any free one.

    Connections made before `run` wait in its queue. Raises SlmError "unavailable".
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError):
        raise SlmError(
            "unavailable", f"host {host!r} is not an address of this machine; use 127.0.0.1"
        ) from None
    listener = socket.socket(family, kind, protocol)
    try:
        # Without it a restart within a minute finds the port still in use.
        # (On Windows it would let two servers share the port.)
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            sentence = (
                f"port {port} is in use by another program; stop it or choose another port, "
                f"for example --port {port + 1 if port < 65535 else 8000}"
            )
        elif error.errno == errno.EACCES:
            sentence = f"port {port} needs more rights than you have; choose one from 1024 up"
        else:
            sentence = f"cannot listen on {host} port {port} ({os_reason(error)}); use 127.0.0.1"
        raise SlmError("unavailable", sentence) from None
    return listener


def is_loopback(listener: socket.socket) -> bool:
    """Whether only programs on this machine can reach the socket."""
    return ipaddress.ip_address(listener.getsockname()[0].split("%")[0]).is_loopback


def url_of(listener: socket.socket) -> str:
    """An address that a browser on this machine can open."""
    host, port = listener.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Protocol(H11Protocol):
    def send_400_response(self, msg: str) -> None:
        headers = [
            ("content-type", "text/plain; charset=utf-8"),
            ("connection", "close"),
            *seal_headers(None).items(),
        ]
        sentence = f"{msg.removesuffix('.')}; send an HTTP/1.1 request\n"
        for event in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=sentence.encode()),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn raises the signal again after its shutdown, which would turn
        # an orderly end into death by SIGTERM.
        wanted = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in wanted}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # The second signal means "now".
        self.force_exit = self.should_exit
        self.should_exit = True


def run(
    app: ASGIApp,
    listener: socket.socket,
    *,
    grace: int = 10,
    access_log: bool = False,
    on_ready: Callable[[], None] = lambda: None,
) -> None:
    """Serves until SIGINT or SIGTERM, then gives running responses `grace` seconds.

    A second signal ends at once. Must run in the main thread. `on_ready` is
    called when signals are already handled in this way.
    """
    _allow_many_files()
    # A crash is logged by the application, with what was asked for; uvicorn
    # would add a trace for every download that the end cuts off.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    if access_log:
        logger = logging.getLogger("uvicorn.access")
        logger.setLevel(logging.INFO)
        logger.addHandler(logging.StreamHandler())
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        backlog=BACKLOG,
        log_config=None,
        access_log=access_log,
        server_header=False,
        timeout_graceful_shutdown=grace,
    )
    _Server(config, on_ready).run(sockets=[listener])


def _allow_many_files() -> None:
    """Raises the soft limit of open files: a download takes two, and 1024 is a common default."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 16384 if hard == resource.RLIM_INFINITY else min(hard, 16384)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
