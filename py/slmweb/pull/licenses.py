"""Terms that a person agrees to before anything under them is fetched.

Owns the question, and the memory of its answer: licenses.json in the user's configuration
folder. No program says yes for a person: an answer comes from a terminal, from --accept-license,
or from SLMWEB_ACCEPT_<LICENCE>=1 in the environment, which is not remembered.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

from .. import paths
from ..atomic import atomic_file
from ..errors import SlmError
from .registry import License

Ask = Callable[[str], bool]  # shows a question; True is yes


def consent(title: str, terms: License | None, *, accepted: bool, ask: Ask | None) -> None:
    """Returns when `terms` need no consent or have it; remembers a yes that is given now.

    `accepted` is a yes on the command line, `ask` a person at a terminal, if there is one.
    Raises SlmError "license".
    """
    if terms is None or not terms.ask_first or is_accepted(terms):
        return
    question = (
        f"{title} comes under the {terms.title}, {terms.url}. Have you read and accepted them?"
    )
    if not accepted and not (ask is not None and ask(question)):
        raise SlmError(
            "license",
            f"{title} comes under terms of its own ({terms.title}, {terms.url}); read them, then "
            f"run this again with --accept-license, or with {variable(terms)}=1 in the environment",
        )
    _remember(terms)


def unstated(title: str, *, accepted: bool, ask: Ask | None) -> None:
    """As `consent`, where nothing says what the terms are. Not remembered: each is another case."""
    question = (
        f"Nothing says under which licence {title} comes. Have you found out, and accepted it?"
    )
    if not accepted and not (ask is not None and ask(question)):
        raise SlmError(
            "license",
            f"nothing says under which licence {title} comes; find out where it is published, then "
            "run this again with --license and its name, as in --license apache-2.0",
        )


def is_accepted(terms: License) -> bool:
    """Whether somebody has said yes, before or in the environment."""
    return os.environ.get(variable(terms)) == "1" or terms.id in _answers()


def variable(terms: License) -> str:
    """The environment variable that says yes: SLMWEB_ACCEPT_GEMMA for "gemma"."""
    return "SLMWEB_ACCEPT_" + re.sub(r"[^A-Z0-9]+", "_", terms.id.upper())


def _file() -> Path:
    return paths.config_dir() / "licenses.json"


def _answers() -> dict[str, str]:
    """Licence ids that were accepted, with the text's address. Damage is as good as nothing."""
    try:
        answers = json.loads(_file().read_bytes())
    except (OSError, ValueError):
        return {}
    return answers if isinstance(answers, dict) else {}


def _remember(terms: License) -> None:
    answers = {**_answers(), terms.id: terms.url}
    path = _file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as out:
            out.write((json.dumps(answers, indent=1, sort_keys=True) + "\n").encode())
    except (OSError, SlmError):
        pass  # a home that cannot be written: the question comes again, which is no harm
