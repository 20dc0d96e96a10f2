"""Renders the HTML, the chat page with its sandbox and the error page, and sw.js.

Owns the mechanics that security depends on: autoescaping, the sandbox document
inside the srcdoc attribute, its meta policy and the hash of its script, and the
list of files that the service worker takes for one version of the page. What
the pages look like is in templates/. Rendered pages are kept until the files
under them change, since nothing in them depends on who asks: a server sends
them, and a bundle holds the same bytes.
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
from .files import MEDIA_TYPES
from .headers import integrity, sandbox_policy, script_hash, seal_headers
from .identity import made_files, page_identity, spoken, words
from .site import Site

ASSET_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
_HASHED = re.compile(r"-[0-9a-f]{16}\.[a-z0-9.]+")

# The entries of the bundle's manifest that become the sandbox's inline script, by page.
FRAME_SCRIPTS = {"chat": "frame.js", "editor": "editor.js", "inspect": "inspect.js"}


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
    """The pages over one web bundle and its wasm, rendered again when those are built again.

    The chat page names everything relative to itself, so it works in any folder
    of a host; an error page, which may stand for any address, needs `base`, the
    absolute path of that folder. `site` is what the page says of itself. With
    `public_key` the page opens only models that are signed with it.
    """

    def __init__(
        self,
        web: Path,
        wasm: Path,
        *,
        site: Site | None = None,
        base: str = "/",
        public_key: PublicKey | None = None,
    ) -> None:
        self.web = web
        self.wasm = wasm
        self.site = site or Site()
        self.base = base
        self.public_key = public_key
        self._templates = Environment(
            loader=PackageLoader("slmweb.server"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._stamp: object = None
        self._assets: dict[str, str] = {}
        # What the chat page loads, with its integrity: paths of assets, names of wasm variants.
        self._used: dict[str, str] = {}
        self._variants: dict[str, str] = {}
        # Files in assets/ that no bundle has, made for this site: name -> content.
        self._made: dict[str, bytes] = {}
        self._made_names: dict[str, str] = {}  # plain name -> hashed name
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

    def made(self) -> dict[str, bytes]:
        """Files beside the bundle's, made for this site: hashed name in assets/ -> content.

        Raises SlmError "not_built".
        """
        self._refresh()
        return self._made

    def index(self) -> Page:
        """The chat page. Raises SlmError "not_built"."""
        self._refresh()
        assert self._index is not None
        return self._index

    def service_worker(self) -> Page:
        """sw.js: which files are this version of the page, and the script that keeps them.

        Its bytes change with every version, which is how browsers notice one.
        Raises SlmError "not_built".
        """
        script = f"assets/{self.asset('sw.js')}"
        wasm = {f"wasm/{variant}.wasm": code for variant, code in self._variants.items()}
        files = {"": integrity(self.index().body), **self._used, **wasm}
        site = {
            "headers": seal_headers(self._script_hash),
            "files": [
                {"path": path, "type": MEDIA_TYPES[Path(path).suffix or ".html"], "integrity": code}
                for path, code in files.items()
            ],
        }
        version = hashlib.sha256(json.dumps([site, script]).encode()).hexdigest()[:16]
        body = (
            f"const SITE = {json.dumps({'version': version, **site}, indent=1)};\n"
            f"importScripts({json.dumps(script)});\n"
        )
        return Page.of(body.encode(), "text/javascript")

    def error(self, status: int, sentence: str, base: str | None = None) -> str:
        """`base` leads to the site's top from where the page will stand, by default the path that
        this cache was given."""
        # A page that says that the bundle is missing does without its style.
        with suppress(SlmError):
            self._refresh()
        styles = (self._assets.get("shell.css"), self._made_names.get("site.css"))
        icon = self._assets.get("icon.svg")
        if self.site.icon is not None:
            icon = self._made_names.get("icon-192.png")
        return self._templates.get_template("error.html.j2").render(
            status=status,
            sentence=_whole(sentence),
            base=self.base if base is None else base,
            site=self.site,
            words=words(self.site.language),
            styles=[style for style in styles if style is not None],
            icon=icon,
        )

    def _refresh(self) -> None:
        listing = self.web / "assets.json"
        try:
            status = listing.stat()
            stamp = (status.st_mtime_ns, status.st_ino, *self._wasm_stamps())
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
            frame = self.web / self.asset(FRAME_SCRIPTS[self.site.page])
            script = inline_script(frame.read_text("utf-8"))
            self._script_hash = script_hash(script)
            self._variants = {
                variant: integrity(path.read_bytes())
                for variant in paths.VARIANTS
                if (path := self.wasm / f"slm-{variant}.wasm").is_file()
            }
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

    def _wasm_stamps(self) -> list[tuple[int, int]]:
        stamps = []
        for variant in paths.VARIANTS:
            with suppress(OSError):
                status = (self.wasm / f"slm-{variant}.wasm").stat()
                stamps.append((status.st_mtime_ns, status.st_ino))
        return stamps

    def _render(self, script: str) -> str:
        self._used = {}

        def url(name: str) -> str:
            file = self.asset(name)
            self._used[f"assets/{file}"] = integrity((self.web / file).read_bytes())
            return f"assets/{file}"

        default_icon = (self.web / self.asset("icon.svg")).read_bytes()
        self._made_names, self._made = made_files(self.site, default_icon)
        for file, content in self._made.items():
            self._used[f"assets/{file}"] = integrity(content)

        assert self._script_hash is not None
        sandbox = self._templates.get_template("sandbox.html.j2").render(
            policy=sandbox_policy(self._script_hash),
            site=self.site,
            script=Markup(script),  # noqa: S704
        )
        return self._templates.get_template("index.html.j2").render(
            asset=url,
            made=lambda name: f"assets/{self._made_names[name]}",
            sandbox=sandbox,
            site=self.site,
            words=words(self.site.language),
            spoken=spoken(self.site),
            identity=json.dumps(page_identity(self.site)),
            public_key=self.public_key.base64 if self.public_key else None,
            wasm=json.dumps(self._variants),
        )


def _whole(sentence: str) -> str:
    """Of the errors' half sentences, whole ones; a translation is whole already."""
    stop = "" if sentence.endswith((".", "।")) else "."
    return sentence[:1].upper() + sentence[1:] + stop


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
