"""What a guard model is asked, as TypeScript and Python: build/tables/guard.toml.

Owns the shape of the two files. What the words mean and how an answer is scored, the page's and the
command line's own modules know.
"""

from __future__ import annotations

import json
import tomllib
from typing import Any

from script import ROOT, BuildError, ts_text

TABLE = ROOT / "build/tables/guard.toml"


def read() -> dict[str, Any]:
    table = tomllib.loads(TABLE.read_text())
    for name, policy in (table["policies"] | table["pictures"]).items():
        if set(policy) != {"title", "text"}:
            raise BuildError(f"{TABLE.name}: policy {name} needs a title and a text, and no more")
    return table


def guard_ts(origin: str) -> str:
    table = read()
    policies = [
        f"  {name}: {{\n    title: {ts_text(p['title'])},\n    text: {ts_text(p['text'])},\n  }},"
        for name, p in table["policies"].items()
    ]
    return GUARD_TS.format(
        origin=origin,
        template=ts_text(table["template"]),
        prompt=ts_text(table["prompt"]),
        response=ts_text(table["response"]),
        policies="\n".join(policies),
    )


def guard_py(origin: str) -> str:
    table = read()

    def words(policies: dict[str, Any]) -> str:
        return "\n".join(
            f'    "{name}": Words(\n        {json.dumps(p["title"])},\n'
            f"        {json.dumps(p['text'])},\n    ),"
            for name, p in policies.items()
        )

    return GUARD_PY.format(
        origin=origin,
        template=json.dumps(table["template"]),
        prompt=json.dumps(table["prompt"]),
        response=json.dumps(table["response"]),
        policies=words(table["policies"]),
        pictures=words(table["pictures"]),
    )


GUARD_TS = """\
{origin}
/** The chat template of a guard that brings none of its own: of a question, perhaps its answer,
 *  and `guideline`. */
export const GUARD_TEMPLATE =
  {template};

/** What a policy's text goes on from, about a question and about an answer. */
export const OPENING = {{
  prompt: {prompt},
  response: {response},
}} as const;

export const POLICIES = {{
{policies}
}} as const;
export type PolicyName = keyof typeof POLICIES;
"""

GUARD_PY = """\
{origin}# ruff: noqa: E501
\"\"\"What a guard model is asked: its chat template and policies.\"\"\"

from __future__ import annotations

from typing import Final, NamedTuple

# of a guard that brings none of its own: of a question, perhaps its answer, and `guideline`
GUARD_TEMPLATE: Final = {template}

# what a policy's text goes on from, about a question and about an answer
PROMPT_OPENING: Final = {prompt}
RESPONSE_OPENING: Final = {response}


class Words(NamedTuple):
    title: str
    text: str


POLICIES: Final[dict[str, Words]] = {{
{policies}
}}

# of pictures
PICTURE_POLICIES: Final[dict[str, Words]] = {{
{pictures}
}}
"""
