"""Messages in OpenAI's shape, as the template of a form takes them: arguments that are
objects, results with the name of what was called, and ids of the form's length."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import SlmError
from ...generated.tool_forms import ToolForm

Message = Mapping[str, Any]


def speaks_of_tools(messages: Sequence[Message]) -> bool:
    """Whether some message is of a call or of a result."""
    return any(m.get("tool_calls") or m.get("role") == "tool" for m in messages)


def told(messages: Sequence[Message], template: str, form: ToolForm) -> list[dict[str, Any]]:
    """`messages` for `template`. Raises SlmError "invalid_argument" for arguments that are no JSON
    object, and "bad_template" where the template would leave calls out."""
    if any(message.get("tool_calls") for message in messages) and "tool_calls" not in template:
        raise SlmError(
            "bad_template",
            "the model's chat template leaves out the calls of tools that were made; correct it, "
            "or write them into the message's content",
        )
    names: dict[str, str] = {}  # of what was called, by id
    ids: dict[str, str] = {}

    def known(identity: Any) -> Any:
        length = form.id_length
        if not length or not isinstance(identity, str):
            return identity
        if len(identity) == length and identity.isalnum() and identity.isascii():
            return identity
        return ids.setdefault(identity, f"call{len(ids):0{length - 4}d}")

    found: list[dict[str, Any]] = []
    for message in messages:
        if calls := message.get("tool_calls"):
            given = [_call(call) for call in calls]
            for call in given:
                if "id" in call:
                    names[call["id"]] = call["function"]["name"]
                    call["id"] = known(call["id"])
            found.append({**message, "tool_calls": given})
        elif message.get("role") != "tool":
            found.append(dict(message))
        else:
            identity = message.get("tool_call_id")
            name = message.get("name") or names.get(identity or "")
            named = {"name": name} if name else {}
            if "tool_call_id" in message:
                named["tool_call_id"] = known(identity)
            found.append({**message, **named})
    if form.results == "named":
        return _named(found)
    return _gathered(found) if form.results == "tool_responses" else found


def _call(call: Any) -> dict[str, Any]:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise SlmError(
            "invalid_argument",
            'a call is {"id": …, "type": "function", "function": {"name": …, "arguments": …}}; '
            "correct the message's tool_calls",
        )
    arguments = function.get("arguments", {})
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except (ValueError, RecursionError):  # the latter: too deep
            arguments = None
    if not isinstance(arguments, Mapping):
        raise SlmError(
            "invalid_argument",
            f"the arguments of {function['name']} are no JSON object; correct the call",
        )
    return {**call, "function": {**function, "arguments": arguments}}


def _response(message: Message) -> dict[str, Any]:
    """A result's name and what it says: an object where it is one."""
    content = message.get("content")
    try:
        value = json.loads(content) if isinstance(content, str) else content
    except (ValueError, RecursionError):  # the latter: too deep
        value = content
    return {
        "name": message.get("name") or "unknown",
        "response": value if isinstance(value, Mapping) else content,
    }


def _named(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {**message, "content": _response(message)} if message.get("role") == "tool" else message
        for message in messages
    ]


def _gathered(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Results, and the answer after them, go into the message that made the calls: one turn."""
    found: list[dict[str, Any]] = []
    for message in messages:
        last = found[-1] if found and found[-1].get("tool_calls") else None
        if last is not None and message.get("role") == "tool":
            found[-1] = {
                **last,
                "tool_responses": [*last.get("tool_responses", ()), _response(message)],
            }
        elif (
            last is not None
            and "tool_responses" in last
            and message.get("role") == "assistant"
            and not message.get("tool_calls")
            and not last.get("content")
        ):
            found[-1] = {**last, "content": message.get("content")}
        else:
            found.append(message)
    return found
