"""The files that tell web servers which headers to send.

Owns their syntax: nginx, Caddy, and the `_headers` file that Netlify and
Cloudflare Pages share. Which headers, types and caching there are, it asks the
server's modules, so that a bundle on any host answers as `slmweb serve` does.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from ..server.files import IMMUTABLE, MEDIA_TYPES, REVALIDATE
from ..server.headers import seal_headers

# Cloudflare reads so many rules of a _headers file and ignores the rest.
MAX_RULES = 100

# Names that carry their content's hash, relative to the site, as a regular expression.
HASHED = r"(assets/[^/]+-[0-9a-f]{16}\.[a-z0-9.]+|models/[^/]+/[0-9a-f]{64})"


# What a site has.
_SUFFIXES = (".css", ".html", ".js", ".json", ".png", ".svg", ".txt", ".wasm", ".webmanifest")


def host_files(
    script_hash: str | None, *, title: str, base: str, immutable: Iterable[str]
) -> dict[str, str]:
    """Path in the site -> text, for each host and for the person who sets one up.

    `immutable` are the hashed files, the most useful to cache first: `_headers`
    has no patterns that would tell them from others, so it names them.
    """
    environment = Environment(
        loader=PackageLoader("slmweb.bundle"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 (plain text, made of our own constants)
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    values = {
        "title": title,
        "base": base,
        "headers": {name.title(): value for name, value in seal_headers(script_hash).items()},
        "types": _types(),
        "hashed": HASHED,
        "immutable_files": list(immutable)[: MAX_RULES - 1],
        "immutable": IMMUTABLE,
        "revalidate": REVALIDATE,
    }
    return {
        path: environment.get_template(f"{Path(path).name}.j2").render(values)
        for path in ("_headers", "README.txt", "hosting/nginx.conf", "hosting/Caddyfile")
    }


def _types() -> dict[str, str]:
    """Suffix without its dot -> media type without parameters."""
    return {
        suffix[1:]: value.partition(";")[0]
        for suffix, value in MEDIA_TYPES.items()
        if suffix in _SUFFIXES
    }
