"""Renders the HTML: the chat page with its sandbox, and the error page.

Owns the mechanics that security depends on: autoescaping, the sandbox document
inside the srcdoc attribute, its meta policy and the hash of its script. What the
pages look like is in templates/. Rendered pages are kept until the bundle
changes, since nothing in them depends on who asks.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from .. import paths
from ..errors import SlmError
from ..pack.sign import PublicKey
from .headers import sandbox_policy, script_hash

ASSET_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
_HASHED = re.compile(r"-[0-9a-f]{16}\.[a-z0-9.]+")

# The entry of the bundle's manifest that becomes the sandbox's inline script.
FRAME_SCRIPT = "frame.js"


def hashed(name: str) -> bool:
    """Whether an asset's name carries its content's hash, so that it can never change."""
    return _HASHED.search(name) is not None


@dataclass(frozen=True)
class Page:
    """A rendered body and what HTTP wants to know about it."""

    body: bytes
    media_type: str
    digest: str

    @classmethod
    def of(cls, body: bytes, media_type: str) -> Page:
        return cls(body, media_type, hashlib.sha256(body).hexdigest())

    @cached_property
    def gzipped(self) -> bytes:
        return gzip.compress(self.body, 6, mtime=0)


class PageCache:
    """The pages over one web bundle, rendered again when the bundle is built again.

    The shell is told `public_key`: whose models it may open. None is anybody's.
    """

    def __init__(self, web: Path, public_key: PublicKey | None = None) -> None:
        self.web = web
        self.public_key = public_key
        self._templates = Environment(
            loader=PackageLoader("slmweb.server"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._stamp: tuple[int, int] | None = None
        self._assets: dict[str, str] = {}
        self._index: Page | None = None
        self._script_hash: str | None = None

    def current_hash(self) -> str | None:
        """The hash of the sandbox script that is served now; None before the bundle is built."""
        try:
            self._refresh()
        except SlmError:
            return None
        return self._script_hash

    def asset(self, name: str) -> str:
        """The file name of a bundle entry, e.g. "shell.js" -> "shell-1A2B3C4D.js".

        Raises SlmError "not_built".
        """
        self._refresh()
        try:
            return self._assets[name]
        except KeyError:
            raise SlmError(
                "not_built",
                f"the web bundle in {self.web} has no {name}; {paths.how_to_get('make web')}",
            ) from None

    def index(self) -> Page:
        """The chat page. Raises SlmError "not_built"."""
        self._refresh()
        assert self._index is not None
        return self._index

    def error(self, status: int, sentence: str) -> str:
        # A page that says that the bundle is missing does without its style.
        with suppress(SlmError):
            self._refresh()
        return self._templates.get_template("error.html.j2").render(
            status=status,
            sentence=sentence[:1].upper() + sentence[1:],
            style=self._assets.get("shell.css"),
            icon=self._assets.get("icon.svg"),
        )

    def _refresh(self) -> None:
        listing = self.web / "assets.json"
        try:
            status = listing.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp == self._stamp:
                return
            assets = dict(json.loads(listing.read_bytes()))
        except (OSError, ValueError, TypeError):
            self._stamp = None
            raise SlmError(
                "not_built", f"the chat page is not built; {paths.how_to_get('make web')}"
            ) from None
        self._assets = {name: str(file) for name, file in assets.items()}
        self._stamp = stamp
        try:
            script = inline_script((self.web / self.asset(FRAME_SCRIPT)).read_text("utf-8"))
            self._script_hash = script_hash(script)
            self._index = Page.of(self._render(script).encode(), "text/html")
        except (OSError, UnicodeDecodeError):
            self._stamp = None
            raise SlmError(
                "not_built",
                f"the web bundle in {self.web} is incomplete; {paths.how_to_get('make web')}",
            ) from None
        except SlmError:
            self._stamp = None
            raise

    def _render(self, script: str) -> str:
        def url(name: str) -> str:
            return f"/assets/{self.asset(name)}"

        assert self._script_hash is not None
        sandbox = self._templates.get_template("sandbox.html.j2").render(
            policy=sandbox_policy(self._script_hash),
            script=Markup(script),  # noqa: S704
        )
        return self._templates.get_template("index.html.j2").render(
            asset=url,
            sandbox=sandbox,
            public_key=self.public_key.base64 if self.public_key else None,
        )


def inline_script(text: str) -> str:
    """`text` as the HTML parser will hand it to the script engine, so that hashes agree.

    Raises SlmError "not_built" for a script that would end its own element.
    """
    if re.search(r"</script|<!--|\x00", text, re.I):
        raise SlmError(
            "not_built",
            "the sandbox script contains </script, <!-- or NUL and cannot be inlined; "
            "escape it in the bundle",
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")
