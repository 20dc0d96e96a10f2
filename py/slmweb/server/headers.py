"""The headers that seal the page, and the middleware that puts them on every response.

Owns the two content security policies (the shell's header and the sandbox's
meta element) because they have to agree on the hash of the sandbox script. It
knows nothing of routes: the middleware wraps the whole application from
outside, so that errors, redirects and 404s carry the headers too. A worker
brings its own headers, which is why no response may go without them.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


def integrity(content: bytes) -> str:
    """The hash of a file as the integrity attribute and fetch() take it, e.g. "sha256-…="."""
    return "sha256-" + base64.b64encode(hashlib.sha256(content).digest()).decode("ascii")


def script_hash(script: str) -> str:
    """The CSP source expression for an inline script, e.g. "sha256-…="."""
    return integrity(script.encode())


def shell_policy(sandbox_script_hash: str | None) -> str:
    """The policy of every response.

    The srcdoc frame inherits it, so the sandbox script's hash stands here too;
    None (the page is not built) allows no inline script at all.
    """
    inline = f" '{sandbox_script_hash}'" if sandbox_script_hash else ""
    return (
        f"default-src 'none'; script-src 'self'{inline} 'wasm-unsafe-eval'; "
        "worker-src 'self' blob: data:; connect-src 'self'; style-src 'self'; "
        "img-src 'self' data: blob:; manifest-src 'self'; frame-src 'none'; form-action 'none'; "
        "base-uri 'none'; object-src 'none'"
    )


def sandbox_policy(sandbox_script_hash: str) -> str:
    """The policy that the sandboxed frame adds to the inherited one, for its meta element."""
    return (
        f"default-src 'none'; script-src '{sandbox_script_hash}' 'wasm-unsafe-eval'; "
        "worker-src blob: data:; connect-src 'none'; style-src 'unsafe-inline'; "
        "img-src data: blob:; frame-src 'none'; form-action 'none'; base-uri 'none'"
    )


def seal_headers(sandbox_script_hash: str | None) -> dict[str, str]:
    """The four headers that every response carries."""
    return {
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-embedder-policy": "require-corp",
        "connection-allowlist": "(response-origin)",
        "content-security-policy": shell_policy(sandbox_script_hash),
    }


class SealMiddleware:
    """Sets the seal's headers on every response of `app`.

    `current_hash` is asked for each response, because a rebuilt page has
    another script and an older policy would block it.
    """

    def __init__(self, app: ASGIApp, current_hash: Callable[[], str | None]) -> None:
        self.app = app
        self.current_hash = current_hash

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def sealed_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in seal_headers(self.current_hash()).items():
                    headers[name] = value
            await send(message)

        await self.app(scope, receive, sealed_send)
