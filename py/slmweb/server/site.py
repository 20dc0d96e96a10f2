"""What a site says of itself: headline, examples, system prompt, language, icon, accent, guard.

Owns which of these there are and what each may be, so that a mistake is one
sentence before anything is made, and what of it the page is told. It knows no
HTML: everything here is text that somebody else escapes. Pictures are icons.py's.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..atomic import also_reading
from ..core.guard import Policy
from ..errors import SlmError, os_reason
from ..pack.manifest import MODEL_NAME
from .icons import read_icon

TITLE = "slmweb: a small model, on your device"

# What the frame holds.
PAGES = ("chat", "editor", "inspect")

# The languages that the page has words in; web/src/chat/language.ts has the same.
LANGUAGES = ("en", "de", "hi", "ar")
RIGHT_TO_LEFT = ("ar",)

# The least legible surface of each theme that the accent stands on (web/src/chat/base.css),
# and what WCAG asks of text.
LIGHT, DARK = "#f0f4f1", "#191f1c"
CONTRAST = 4.5

# Longest texts, in characters: what still is a line, a paragraph, a page.
_LONGEST = {"title": 100, "short_name": 30, "headline": 120, "intro": 400, "system_prompt": 8000}
MAX_EXAMPLES, MAX_EXAMPLE = 8, 200
MAX_POLICIES, MAX_POLICY = 64, 1000  # web/src/api/guard.ts has the same number
MAX_FILE = 1 << 20
_COLOUR = re.compile(r"#[0-9a-f]{6}")


@dataclass(frozen=True)
class SiteGuard:
    """What screens a site's conversations; None is what core/guard.py has by default."""

    model: str  # another model of the site, by its name
    policies: tuple[str | dict[str, str | float], ...] | None = None
    threshold: float | None = None
    screen: str | None = None  # one of SCREENS


SCREENS = ("prompts", "answers", "both")


@dataclass(frozen=True)
class Site:
    """A site's words and looks; None is the page's own. Made by `make_site`, which checks them."""

    page: str = "chat"  # one of PAGES
    title: str | None = None  # in tabs, bookmarks, and as an installed app's name
    short_name: str | None = None  # below an app's icon
    headline: str | None = None
    intro: str | None = None  # one paragraph below the headline
    examples: tuple[str, ...] = ()  # questions that one press asks
    system_prompt: str | None = None
    lang: str | None = None  # one of LANGUAGES; None follows the visitor
    icon: bytes | None = None  # an SVG document
    accent: tuple[str, str] | None = None  # on the light and on the dark page, as #rrggbb
    guard: SiteGuard | None = None

    @property
    def name(self) -> str:
        return self.title or TITLE

    @property
    def language(self) -> str:
        """Of what is written before a script runs."""
        return self.lang or "en"

    @property
    def direction(self) -> str:
        return direction(self.language)


def direction(language: str) -> str:
    """Which way a language is written, as HTML's dir says it."""
    return "rtl" if language in RIGHT_TO_LEFT else "ltr"


FIELDS = tuple(field.name for field in dataclasses.fields(Site))


def make_site(path: Path | None = None, **given: Any) -> Site:
    """The site of a site.toml, if there is one, with what is `given` in place of its values.

    `given` has the names of `FIELDS`, None where nothing is: texts, a list of texts for
    "examples", a path for "icon", for "accent" one colour or two, with a comma between, and for
    "guard" a model's name.
    Raises SlmError "invalid_argument" and "unreadable".
    """
    values = _read(path) if path is not None else {}
    if isinstance(values.get("guard"), dict) and isinstance(given.get("guard"), str):
        given["guard"] = {**values["guard"], "model": given["guard"]}
    values.update({name: value for name, value in given.items() if value not in (None, [])})
    accent, icon, guard = values.get("accent"), values.get("icon"), values.get("guard")
    return Site(
        **{name: _text(name, values.get(name), longest) for name, longest in _LONGEST.items()},
        examples=_examples(values.get("examples", ())),
        page=_page(values.get("page", "chat")),
        lang=_language(values.get("lang")),
        icon=None if icon is None else read_icon(_path(icon)),
        accent=None if accent is None else _accent(accent),
        guard=None if guard is None else _guard(guard),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
        if len(content) > MAX_FILE:
            raise _refused(f"{path} has more than {MAX_FILE} bytes; a site.toml is a few lines")
        values = tomllib.loads(content.decode())
    except OSError as error:
        raise SlmError("unreadable", f"cannot read {path}: {os_reason(error)}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _refused(f'{path} is not TOML ({error}); write lines like headline = "…"') from None
    for name in values:
        if name not in FIELDS:
            near = difflib.get_close_matches(name, FIELDS, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(FIELDS)}"
            raise _refused(f"{path} has {name!r}, which says nothing about a site; {hint}")
    if isinstance(values.get("icon"), str):
        values["icon"] = path.parent / values["icon"]  # beside the file, wherever one stands
        also_reading(values["icon"])
    return values


def _text(name: str, value: object, longest: int) -> str | None:
    if value is None:
        return None
    label = name.replace("_", " ")
    if not isinstance(value, str):
        raise _refused(f"the {label} is {value!r} instead of a text; put it in quotes")
    text = value.strip()
    if not text:
        raise _refused(f"the {label} is empty; leave it out to have the page's own")
    if len(text) > longest:
        raise _refused(f"the {label} has {len(text)} characters; shorten it to {longest}")
    allowed = "\n\t" if name == "system_prompt" else ""
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cs") and character not in allowed:
            raise _refused(
                f"the {label} has the control character U+{ord(character):04X}; "
                "write it as one line of plain text"
            )
    return text


def _examples(values: object) -> tuple[str, ...]:
    if isinstance(values, str) or not isinstance(values, list | tuple):
        raise _refused(f'the examples are {values!r} instead of a list, as in ["…", "…"]')
    if len(values) > MAX_EXAMPLES:
        raise _refused(f"there are {len(values)} examples; choose the {MAX_EXAMPLES} best")
    texts = (_text("example", value, MAX_EXAMPLE) for value in values)
    return tuple(text for text in texts if text is not None)


def _language(value: object) -> str | None:
    if value is not None and value not in LANGUAGES:
        raise _refused(
            f"the page has no words in the language {value!r}; "
            f"choose one of {', '.join(LANGUAGES)}, or none to follow each visitor's"
        )
    return str(value) if value is not None else None


def _page(value: object) -> str:
    if value not in PAGES:
        raise _refused(f"there is no page {value!r}; choose {', '.join(PAGES[:-1])} or {PAGES[-1]}")
    return str(value)


def _path(value: object) -> Path:
    if not isinstance(value, str | Path):
        raise _refused(f"the icon is {value!r} instead of the path of a PNG or SVG file")
    return Path(value)


def _guard(value: object) -> SiteGuard:
    fields = {"model": value} if isinstance(value, str) else value
    if not isinstance(fields, dict):
        raise _refused(f"the guard is {value!r} instead of a model's name or a table [guard]")
    known = [field.name for field in dataclasses.fields(SiteGuard)]
    for name in fields:
        if name not in known:
            raise _refused(f"the guard has {name!r}; there are {', '.join(known)}")
    model, screen = fields.get("model"), fields.get("screen")
    if not isinstance(model, str) or not MODEL_NAME.fullmatch(model):
        raise _refused(f"the guard's model is {model!r} instead of the name of a packed model")
    if screen is not None and screen not in SCREENS:
        raise _refused(f"the guard screens {screen!r}; choose one of {', '.join(SCREENS)}")
    policies = fields.get("policies")
    return SiteGuard(
        model,
        None if policies is None else _policies(policies),
        _threshold(fields.get("threshold")),
        screen,
    )


def _policies(values: object) -> tuple[str | dict[str, str | float], ...]:
    if not isinstance(values, list) or not 0 < len(values) <= MAX_POLICIES:
        raise _refused(f"the guard's policies are {values!r} instead of 1 to {MAX_POLICIES}")
    found: list[str | dict[str, str | float]] = []
    for value in values:
        fields = {"name": value} if isinstance(value, str) else value
        if not isinstance(fields, dict) or not fields.keys() <= {"name", "text", "threshold"}:
            raise _refused(f'the policy {value!r} is no name and no {{name = "…", text = "…"}}')
        name = _text("policy's name", fields.get("name"), MAX_EXAMPLE)
        text = _text("policy", fields.get("text"), MAX_POLICY)
        threshold = _threshold(fields.get("threshold"))
        Policy(name or "", text)
        rule: dict[str, str | float] = {"name": name or ""}
        rule |= {"text": text} if text is not None else {}
        found.append(rule | ({"threshold": threshold} if threshold is not None else {}))
    return tuple(found)


def _threshold(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise _refused(f"the guard's threshold is {value!r} instead of a number from 0 to 1")
    return float(value)


def _accent(value: object) -> tuple[str, str]:
    """One colour becomes a shade for each theme that can be read there; two are held to that."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or len(parts) not in (1, 2):
        raise _refused(f"the accent is {value!r} instead of one colour or two, light page first")
    colours = []
    for part in parts:
        colour = part.strip().lower() if isinstance(part, str) else ""
        if not _COLOUR.fullmatch(colour):
            raise _refused(f"the accent {part!r} is not a colour; write it as #rrggbb, say #00704f")
        colours.append(colour)
    light, dark = readable(colours[0], LIGHT), readable(colours[-1], DARK)
    if len(colours) == 2:
        for colour, theme, ground, better in zip(
            colours, ("light", "dark"), (LIGHT, DARK), (light, dark), strict=True
        ):
            if colour != better:
                raise _refused(
                    f"the accent {colour} has a contrast of {contrast(colour, ground):.1f} on the "
                    f"{theme} page, where text needs {CONTRAST}; {better} has enough"
                )
    return light, dark


def readable(colour: str, ground: str) -> str:
    """The shade of a colour nearest to it that can be read on `ground`."""
    away = "#000000" if _luminance(ground) > 0.5 else "#ffffff"
    for percent in range(101):
        shade = _mix(colour, away, percent / 100)
        if contrast(shade, ground) >= CONTRAST:
            return shade
    raise AssertionError("black or white can be read on any ground")


def contrast(one: str, other: str) -> float:
    """Of two colours, 1 to 21, as WCAG defines it."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (channel / 255 for channel in bytes.fromhex(colour[1:]))
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _mix(colour: str, other: str, share: float) -> str:
    pairs = zip(bytes.fromhex(colour[1:]), bytes.fromhex(other[1:]), strict=True)
    return "#" + bytes(round(a + (b - a) * share) for a, b in pairs).hex()


def _refused(sentence: str) -> SlmError:
    return SlmError("invalid_argument", sentence)
