"""README's table of what runs, written between two marks from build/tables/families.toml, and which
of it the page has nothing to say to.

Owns the table's shape. That it has every family, and no other, tests/build says, which can look at
the core and the converter.
"""

from __future__ import annotations

import tomllib
from typing import Any

from script import ROOT, BuildError

TABLE = ROOT / "build/tables/families.toml"
README = ROOT / "README.md"
BEGIN = "<!-- what runs: build/generate.py writes this from build/tables/families.toml -->\n"
END = "<!-- end -->\n"
COLUMNS = ("architecture", "models", "sizes", "does", "held")
HEAD = (
    "| architecture | models | sizes | what it does | held to |\n| --- | --- | --- | --- | --- |\n"
)


def families() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = tomllib.loads(TABLE.read_text())["family"]
    for row in rows:
        if set(row) != set(COLUMNS):
            raise BuildError(f"{TABLE.name}: {row} needs {', '.join(COLUMNS)}, and no more")
    return rows


def families_ts(origin: str) -> str:
    names = ", ".join(
        f"'{row['architecture']}'" for row in families() if row["does"] == "embedding"
    )
    return (
        f"{origin}\n/** Architectures of models that embed texts, and generate none. */\n"
        f"export const EMBEDDERS: readonly string[] = [{names}];\n"
    )


def readme() -> str:
    """The whole file, with the table as it has to be."""
    text = README.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BuildError(f"README.md lacks the marks {BEGIN.strip()} and {END.strip()}")
    rows = [
        f"| `{row['architecture']}` | "
        + " | ".join(str(row[name]) for name in COLUMNS[1:])
        + " |\n"
        for row in families()
    ]
    return before + BEGIN + HEAD + "".join(rows) + END + after
