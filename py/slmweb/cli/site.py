"""The options by which `bundle`, `build` and `serve` are told what a site says of itself.

Owns their names and help, once for the three; what each may be is server/site.py's.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

if TYPE_CHECKING:
    from ..server.site import Site

PANEL = "What the site says of itself"


def _text(about: str, metavar: str = "TEXT") -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        metavar=metavar, help=about, show_default=False, rich_help_panel=PANEL
    )
    return option


@dataclass(frozen=True)
class SiteOptions:
    """What a command line says of its site: each field is an option."""

    site: Annotated[
        Path | None,
        _text("A site.toml with these by name (title, examples, …); the options win.", "FILE"),
    ] = None
    page: Annotated[
        str | None,
        _text("What the page is: chat, editor (of code) or inspect (a look inside).", "PAGE"),
    ] = None
    title: Annotated[
        str | None, _text("The page's title in tabs and bookmarks, and the installed app's name.")
    ] = None
    short_name: Annotated[str | None, _text("The name below the installed app's icon.")] = None
    headline: Annotated[str | None, _text("What the first screen says in large letters.")] = None
    intro: Annotated[str | None, _text("One paragraph below it.")] = None
    example: Annotated[
        list[str] | None, _text("A question that one press asks; repeat it for more.")
    ] = None
    system_prompt: Annotated[
        str | None,
        _text("Instructions before every conversation; visitors can read and change them."),
    ] = None
    lang: Annotated[
        str | None, _text("en, de, hi or ar; without it the page follows each visitor's.", "LANG")
    ] = None
    icon: Annotated[Path | None, _text("A square PNG or an SVG.", "FILE")] = None
    accent: Annotated[
        str | None,
        _text(
            "A colour as #rrggbb, or one for the light and one for the dark page: A,B.", "COLOUR"
        ),
    ] = None

    guard: Annotated[
        str | None,
        _text("A packed model of the site that screens what is asked and answered.", "NAME"),
    ] = None

    def make(self) -> Site:
        """The site. Raises what `make_site` raises."""
        from ..server.site import make_site

        given = dict(vars(self))
        return make_site(given.pop("site"), examples=given.pop("example"), **given)


def takes_site(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for each field of SiteOptions in place of its parameter `site`.

    typer reads a function's signature, so the options are put into it; called with them, the
    command is given one SiteOptions.
    """
    hints = get_type_hints(SiteOptions, include_extras=True)
    options = {
        field.name: inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=hints[field.name],
        )
        for field in dataclasses.fields(SiteOptions)
    }
    own = inspect.signature(command, eval_str=True)
    others = [p.replace(kind=p.KEYWORD_ONLY) for p in own.parameters.values() if p.name != "site"]

    @functools.wraps(command)
    def with_site(**given: Any) -> None:
        site = SiteOptions(**{name: given.pop(name) for name in options})
        command(site=site, **given)

    signature = own.replace(parameters=[*others, *options.values()])
    with_site.__signature__ = signature  # type: ignore[attr-defined]
    with_site.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    return with_site
