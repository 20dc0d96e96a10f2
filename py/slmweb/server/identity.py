"""What a site's words and looks become: files beside the page's, and data for the page.

Owns the web app manifest, the sizes of the icon, the style sheet of an accent
and the words that the HTML has in each language. Names carry the content's
hash, as every asset's does. Nothing here is markup: the manifest and the data
are JSON, colours are checked by site.py, and the templates escape the rest.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from .icons import data_url, picture
from .site import LANGUAGES, Site, SiteGuard, direction

# Of the page's light theme (web/src/chat/base.css): the ground of a maskable icon, and of an
# installed app while it starts.
PAPER = "#fbfcfb"
# Pixels a side: what Chromium asks of an app that is installed, and what an iPhone shows.
SIZES = (192, 512)
APPLE = 180
# Of the icon in the chat's header, which is a fifth of that on most screens.
SMALL = 96


@cache
def words(language: str) -> dict[str, str]:
    """What the HTML says beside the chat, by key."""
    table = tomllib.loads(files(__package__).joinpath("words.toml").read_text("utf-8"))
    found: dict[str, str] = table[language]
    return found


@dataclass(frozen=True)
class Spoken:
    """One language that the page has words in."""

    language: str
    direction: str
    words: dict[str, str]


def spoken(site: Site) -> list[Spoken]:
    """What the page says before the chat: in the site's language, else in each."""
    languages = LANGUAGES if site.lang is None else (site.lang,)
    return [Spoken(one, direction(one), words(one)) for one in languages]


def page_identity(site: Site) -> dict[str, Any]:
    """What the chat is told of the site; `Site` in web/src/seal/protocol.ts."""
    return {
        "title": site.title,
        "headline": site.headline,
        "intro": site.intro,
        "examples": list(site.examples),
        "system_prompt": site.system_prompt,
        "accent": list(site.accent) if site.accent is not None else None,
        "icon": data_url(picture(site.icon, SMALL)) if site.icon is not None else None,
        "guard": None if site.guard is None else _given(site.guard),
    }


def _given(guard: SiteGuard) -> dict[str, Any]:
    """Without what is the page's to choose."""
    return {name: value for name, value in vars(guard).items() if value is not None}


def made_files(site: Site, default_icon: bytes) -> tuple[dict[str, str], dict[str, bytes]]:
    """Plain name -> hashed name, and hashed name -> content, of the files made for a site."""
    icon = site.icon or default_icon
    plain = {f"icon-{side}.png": picture(icon, side) for side in SIZES}
    plain["icon-maskable.png"] = picture(icon, SIZES[-1], PAPER)
    # An iPhone cuts the corners itself and shows black where a picture is transparent.
    plain["apple-touch-icon.png"] = picture(icon, APPLE, PAPER)
    if site.accent is not None:
        light, dark = site.accent
        style = f":root:root {{ --accent: light-dark({light}, {dark}); }}\n"
        plain["site.css"] = style.encode()
    names = {name: _hashed(name, content) for name, content in plain.items()}
    plain["manifest.webmanifest"] = _manifest(site, names)
    names["manifest.webmanifest"] = _hashed("manifest.webmanifest", plain["manifest.webmanifest"])
    return names, {names[name]: content for name, content in plain.items()}


def _manifest(site: Site, names: dict[str, str]) -> bytes:
    """Addresses in it are relative to its own, assets/: so it works below any path."""
    said = words(site.language)
    icons = [
        {"src": names[f"icon-{side}.png"], "sizes": f"{side}x{side}", "type": "image/png"}
        for side in SIZES
    ]
    icons.append(
        {
            "src": names["icon-maskable.png"],
            "sizes": f"{SIZES[-1]}x{SIZES[-1]}",
            "type": "image/png",
            "purpose": "maskable",
        }
    )
    manifest = {
        "name": site.name,
        "short_name": site.short_name or site.title or "slmweb",
        "description": site.intro or said["description"],
        "lang": site.language,
        "dir": site.direction,
        "start_url": "../",
        "scope": "../",
        "display": "standalone",
        "background_color": PAPER,
        "theme_color": PAPER,
        "icons": icons,
    }
    return (json.dumps(manifest, ensure_ascii=False, indent=1) + "\n").encode()


def _hashed(name: str, content: bytes) -> str:
    stem, _, suffix = name.partition(".")
    return f"{stem}-{hashlib.sha256(content).hexdigest()[:16]}.{suffix}"
