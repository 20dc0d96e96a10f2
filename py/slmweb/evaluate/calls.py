"""Whether calls of tools are the right ones: by the rules of the Berkeley Function-Calling
Leaderboard for Python, its "AST" evaluation, and with its leniency.

An expected call names the tool and the values that each parameter may have; "" among
them allows to leave the parameter out. Texts are compared without case, spaces and
some punctuation. An integer serves as a number; a value of another type only where
one of that type is expected too (BFCL calls it a variable).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.tools import Call

_TYPES: dict[str, type] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "array": list,
    "object": dict,
}
_IGNORED = re.compile(r"[ ,./\-_*^]")


@dataclass(frozen=True)
class Expected:
    """A call that is right: by parameter, the values that it may have."""

    name: str
    accepted: Mapping[str, Sequence[Any]]

    @classmethod
    def exactly(cls, name: str, arguments: Mapping[str, Any]) -> Expected:
        """The call that has these very arguments."""

        def only(value: Any) -> Any:
            if isinstance(value, Mapping):
                return {key: [one] for key, one in value.items()}
            if isinstance(value, list):
                return [only(one) if isinstance(one, Mapping) else one for one in value]
            return value

        return cls(name, {key: [only(value)] for key, value in arguments.items()})

    def __str__(self) -> str:
        given = {
            name: values[0] for name, values in self.accepted.items() if values and values[0] != ""
        }
        return f"{self.name}({json.dumps(given, ensure_ascii=False)[1:-1]})"


def are_right(
    calls: Sequence[Call], expected: Sequence[Expected] | None, tools: Sequence[Mapping[str, Any]]
) -> bool:
    """Whether each expected call was made and no other, in any order. None expects any call."""
    if expected is None:
        return bool(calls)
    if len(calls) != len(expected):
        return False
    schemas = {tool["function"]["name"]: tool["function"].get("parameters", {}) for tool in tools}
    try:
        left = [(call.name, json.loads(call.arguments)) for call in calls]
    except ValueError:  # a number of more digits than Python takes
        return False
    for wanted in expected:
        schema = schemas.get(wanted.name, {})
        fits = (i for i, (name, given) in enumerate(left)
                if name == wanted.name and _fits(given, wanted, schema))  # fmt: skip
        if (found := next(fits, None)) is None:
            return False
        del left[found]
    return True


def _fits(arguments: Mapping[str, Any], wanted: Expected, schema: Mapping[str, Any]) -> bool:
    properties = schema.get("properties", {})
    if any(name not in arguments for name in schema.get("required", ())):
        return False
    if any("" not in values and name not in arguments for name, values in wanted.accepted.items()):
        return False
    return all(
        name in properties
        and name in wanted.accepted
        and _is_accepted(value, wanted.accepted[name], properties[name])
        for name, value in arguments.items()
    )


def _is_accepted(value: Any, accepted: Sequence[Any], schema: Mapping[str, Any]) -> bool:
    expected = _type(schema)
    if expected is float and type(value) is int:
        try:
            value = float(value)
        except OverflowError:
            return False
    items = _type(schema.get("items")) if expected is list else None
    variable = _typed(value, accepted, expected, items)
    if variable is None:
        return False
    if not variable:
        if expected is dict:
            return any(_same_object(value, one) for one in accepted if one != "")
        if expected is list and items is dict:
            return any(_same_objects(value, one) for one in accepted)
        if expected is str:
            return _plain(value) in [_plain(one) for one in accepted if isinstance(one, str)]
        if expected is list:
            return [_plain(one) for one in value] in [_plain_items(one) for one in accepted]
    return value in accepted


def _type(schema: Any) -> type:
    """What a value is in Python; where the schema does not say, a text."""
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    return _TYPES.get(kind, str) if isinstance(kind, str) else str


def _typed(value: Any, accepted: Sequence[Any], expected: Any, items: type | None) -> bool | None:
    """Whether the value is of another type than the schema has, but of that of what is accepted;
    None where it is of neither."""
    other: Any = next((type(one) for one in accepted if one != ""), None)
    if type(value) is expected:
        variable = other is not None and other is not expected
        if items is None:
            return variable
        for one in accepted:
            # What is accepted says nothing of items where it is no list.
            if not isinstance(one, list) or all(
                _typed(item, one, items, None) is not None for item in value
            ):
                return variable
        return None
    return True if other is not None and type(value) is other else None


def _plain(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return _IGNORED.sub("", value).lower().replace("'", '"')


def _plain_items(values: Any) -> list[Any]:
    return [_plain(value) for value in values]


def _same_object(value: Any, accepted: Any) -> bool:
    if not isinstance(value, Mapping) or not isinstance(accepted, Mapping):
        return False
    return all(
        key in accepted and _plain(one) in _plain_items(accepted[key]) for key, one in value.items()
    ) and all(key in value or "" in values for key, values in accepted.items())


def _same_objects(values: Sequence[Any], accepted: Sequence[Any]) -> bool:
    return len(values) == len(accepted) and all(
        _same_object(value, one) for value, one in zip(values, accepted, strict=True)
    )
