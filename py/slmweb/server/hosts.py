"""Which names the server answers to: those of this machine, unless somebody names more.

A page elsewhere can have its own name resolve to 127.0.0.1 (DNS rebinding) and would then read
whatever the server has, a private model too, as if it were its own. Such a request carries the
page's name in its Host header, and is refused. Starlette decides which names match; that the
refusal says what to do is ours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import SlmError

# Names that no resolver can point elsewhere (RFC 6761 for .localhost).
LOOPBACK = ("localhost", "*.localhost", "127.0.0.1", "[::1]")


def bracketed(host: str) -> str:
    """A host as a Host header has it: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


NAME = re.compile(r"\*|(\*\.)?[^\s*/@:\[\]]+|\[?[0-9a-fA-F:.]*:[0-9a-fA-F:.]*\]?")


def check_name(host: str) -> None:
    """Raises SlmError "invalid_argument" for what can be no name of a host, nor a pattern of it."""
    if not NAME.fullmatch(host):
        raise SlmError(
            "invalid_argument",
            f"{host!r} is not the name of a host; expected a name or address without scheme, path "
            "and port, as clinic.test, *.clinic.test or 192.168.0.7",
        )


class HostMiddleware:
    """Answers for loopback names, addresses and `allowed` ("*.clinic.test", "*") alone."""

    def __init__(self, app: ASGIApp, allowed: Sequence[str] = ()) -> None:
        self.app = app
        self.allowed = [*LOOPBACK, *(bracketed(host) for host in allowed)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        trusted = False

        async def inside(scope: Scope, receive: Receive, _: Send) -> None:
            nonlocal trusted
            trusted = True
            await self.app(scope, receive, send)

        async def drop(message: Message) -> None:
            """Starlette's own refusal, in place of which ours is sent."""

        guard = TrustedHostMiddleware(inside, self.allowed, www_redirect=False)
        await guard(scope, receive, drop)
        if not trusted:
            host = Headers(scope=scope).get("host", "")
            response = PlainTextResponse(self.refusal(host), 400, {"cache-control": "no-store"})
            await response(scope, receive, send)

    def refusal(self, host: str) -> str:
        return (
            f"this server answers for {', '.join(self.allowed)} and was asked as {host!r}; "
            "if that is a name of this machine, start it with --allowed-host NAME\n"
        )
