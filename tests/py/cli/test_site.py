"""What a site says of itself is asked alike by the three commands that make one."""

from __future__ import annotations

from typing import Any

import pytest
import typer.main

from slmweb.cli.app import app
from slmweb.cli.site import PANEL
from slmweb.server.site import FIELDS

COMMANDS = ("build", "bundle", "serve")


def site_options(command: str) -> list[dict[str, Any]]:
    """What a person sees of each, and what the program makes of it."""
    parameters = typer.main.get_command(app).commands[command].params  # type: ignore[attr-defined]
    return [
        {
            "name": p.name,
            "options": p.opts,
            "metavar": p.metavar,
            "help": p.help,
            "multiple": p.multiple,
            "default": p.default,
        }
        for p in parameters
        if p.rich_help_panel == PANEL
    ]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_word_of_a_site_is_an_option(command: str) -> None:
    names = {option["name"] for option in site_options(command)}
    # An option that is repeated is called by what it adds.
    assert names == {"site", "example", *FIELDS} - {"examples"}


def test_the_three_commands_offer_the_same() -> None:
    first, *others = map(site_options, COMMANDS)
    assert all(options == first for options in others)
    assert [option["name"] for option in first if option["multiple"]] == ["example"]
