"""The forms of tool calls, from their table to TypeScript and Python.

Owns the table's schema; what a form means is the parsers'.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from script import BuildError, py_text, ts_text

BODIES = ("json", "python", "pairs", "args")
RESULTS = ("text", "named", "tool_responses")


@dataclass(frozen=True)
class ToolForm:
    name: str
    template: list[str]
    open: str
    bodies: list[str]
    begin: str
    named: str
    other: str = ""
    close: str = ""
    bare: bool = False
    quote: str = ""
    stops: tuple[str, ...] = ()
    results: str = "text"
    id_length: int = 0


def read_forms(path: Path) -> tuple[ToolForm, ...]:
    forms = tuple(ToolForm(**form) for form in tomllib.loads(path.read_text())["form"])
    for form in forms:
        if not set(form.bodies) <= set(BODIES) or form.results not in RESULTS:
            raise BuildError(
                f"{path.name}: {form.name} has bodies {form.bodies} and results "
                f"{form.results!r}; there are {', '.join(BODIES)} and {', '.join(RESULTS)}"
            )
    return forms


def _ts(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_ts, value))}]"
    return ts_text(value) if isinstance(value, str) else json.dumps(value)


def forms_ts(forms: tuple[ToolForm, ...], origin: str) -> str:
    rows = []
    for form in forms:
        fields = "".join(f"    {key}: {_ts(value)},\n" for key, value in asdict(form).items())
        rows.append(f"  {{\n{fields}  }},")
    union = {kind: " | ".join(f"'{name}'" for name in names)
             for kind, names in (("bodies", BODIES), ("results", RESULTS))}  # fmt: skip
    return FORMS_TS.format(origin=origin, forms="\n".join(rows), **union)


def forms_py(forms: tuple[ToolForm, ...], origin: str) -> str:
    rows = []
    for form in forms:
        fields = ""
        for key, value in asdict(form).items():
            if isinstance(value, (list, tuple)):
                items = ", ".join(map(_py, value))
                value = f"({items}{',' if len(value) == 1 else ''})"
            else:
                value = _py(value)
            fields += f"        {key}={value},\n"
        rows.append(f"    ToolForm(\n{fields}    ),")
    return FORMS_PY.format(origin=origin, forms="\n".join(rows))


def _py(value: Any) -> str:
    return py_text(value) if isinstance(value, str) else repr(value)


FORMS_TS = """\
{origin}
/** How a family of models writes calls of tools; build/tables/tool_forms.toml has the fields. */
export interface ToolForm {{
  readonly name: string;
  readonly template: readonly string[];
  readonly open: string;
  readonly bodies: readonly ({bodies})[];
  readonly begin: string;
  readonly named: string;
  readonly other: string;
  readonly close: string;
  readonly bare: boolean;
  readonly quote: string;
  readonly stops: readonly string[];
  readonly results: {results};
  readonly id_length: number;
}}

export const TOOL_FORMS: readonly ToolForm[] = [
{forms}
];
"""

FORMS_PY = """\
{origin}\"\"\"How models write calls of tools; build/tables/tool_forms.toml has the fields.\"\"\"

from __future__ import annotations

from typing import Final, NamedTuple


class ToolForm(NamedTuple):
    name: str
    template: tuple[str, ...]
    open: str
    bodies: tuple[str, ...]
    begin: str
    named: str
    other: str
    close: str
    bare: bool
    quote: str
    stops: tuple[str, ...]
    results: str
    id_length: int


TOOL_FORMS: Final[tuple[ToolForm, ...]] = (
{forms}
)
"""
