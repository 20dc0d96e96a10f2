"""The options by which `bundle`, `build` and `serve` are told what a site says of itself.

Owns their names and help; what each may be is server/site.py's.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..server.site import Site

_PANEL = "What the site says of itself"


def _text(about: str, metavar: str = "TEXT") -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        metavar=metavar, help=about, show_default=False, rich_help_panel=_PANEL
    )
    return option


SiteOption = Annotated[
    Path | None,
    _text("A site.toml with these by name (title, examples, …); the options win.", "FILE"),
]
TitleOption = Annotated[
    str | None, _text("The page's title in tabs and bookmarks, and the installed app's name.")
]
ShortNameOption = Annotated[str | None, _text("The name below the installed app's icon.")]
HeadlineOption = Annotated[str | None, _text("What the first screen says in large letters.")]
IntroOption = Annotated[str | None, _text("One paragraph below it.")]
ExampleOption = Annotated[
    list[str] | None, _text("A question that one press asks; repeat it for more.")
]
SystemPromptOption = Annotated[
    str | None, _text("Instructions before every conversation; visitors can read and change them.")
]
LangOption = Annotated[
    str | None, _text("en, de, hi or ar; without it the page follows each visitor's.", "LANG")
]
IconOption = Annotated[Path | None, _text("A square PNG or an SVG.", "FILE")]
AccentOption = Annotated[
    str | None,
    _text("A colour as #rrggbb, or one for the light and one for the dark page: A,B.", "COLOUR"),
]


def site_of(
    path: Path | None,
    *,
    title: str | None,
    short_name: str | None,
    headline: str | None,
    intro: str | None,
    example: list[str] | None,
    system_prompt: str | None,
    lang: str | None,
    icon: Path | None,
    accent: str | None,
) -> Site:
    """The site of the options' values. Raises what `make_site` raises."""
    from ..server.site import make_site

    return make_site(
        path,
        title=title,
        short_name=short_name,
        headline=headline,
        intro=intro,
        examples=example,
        system_prompt=system_prompt,
        lang=lang,
        icon=icon,
        accent=accent,
    )
