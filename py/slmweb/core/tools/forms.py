"""Which form a model's calls have, and what a list of tools has to be."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import SlmError
from ...generated.tool_forms import TOOL_FORMS, ToolForm

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")


def known_form(template: str) -> ToolForm | None:
    """The form that the model of this chat template was trained to; None: to none that is known."""
    for form in TOOL_FORMS:
        barred = form.other and form.other in template
        if not barred and any(text in template for text in form.template):
            return form
    return None


def tool_form(template: str | None) -> ToolForm:
    """The same, where it cannot be done without. Raises SlmError "bad_template"."""
    if not template or "tools" not in template:
        raise SlmError(
            "bad_template",
            "the model's chat template knows no tools, so it was not trained to call any; use a "
            "model that was",
        )
    if (form := known_form(template)) is not None:
        return form
    raise SlmError(
        "bad_template",
        "the model's chat template has tools, but writes calls in a form that is not known here; "
        f"there are {', '.join(form.name for form in TOOL_FORMS)}",
    )


def check_tools(tools: Any) -> tuple[str, ...]:
    """The names of tools in OpenAI's shape. Raises SlmError "invalid_argument"."""
    if not isinstance(tools, Sequence) or isinstance(tools, str):
        raise SlmError("invalid_argument", "tools are a list; correct it")
    names: list[str] = []
    for tool in tools:
        function = tool.get("function") if isinstance(tool, Mapping) else None
        if not isinstance(function, Mapping) or tool.get("type") != "function":
            raise SlmError(
                "invalid_argument",
                'a tool is {"type": "function", "function": {"name": …, "parameters": …}}; '
                f"correct number {len(names) + 1}",
            )
        name, parameters = function.get("name"), function.get("parameters", {})
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name in names:
            raise SlmError(
                "invalid_argument",
                f"the name {name!r} of tool {len(names) + 1} is not 1 to 128 letters, digits, "
                "dots, dashes and underscores, or occurs twice; change it",
            )
        if not isinstance(parameters, Mapping):
            raise SlmError(
                "invalid_argument", f"the parameters of {name} are no JSON schema; correct them"
            )
        names.append(name)
    return tuple(names)


def marks(form: ToolForm) -> list[str]:
    """The texts that an answer has its form from; those that are special tokens have to be
    shown."""
    extra = ("[ARGS]", "[CALL_ID]") if "args" in form.bodies else ()
    return [text for text in (form.open, form.close, form.quote, *extra) if text]


def begun(form: ToolForm, names: Sequence[str]) -> str:
    """What an answer is begun with that has to call one of these tools."""
    (first, *others) = names
    return form.begin if others else form.named.replace("{name}", first)
