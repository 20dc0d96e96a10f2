"""Which calls are right: by examples, and by BFCL's own checker on its own questions where its
wheel has been fetched (`slmweb eval --task tools --data bfcl` does that)."""

from __future__ import annotations

import json
import sys
import types
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slmweb import paths
from slmweb.core.tools import Call
from slmweb.errors import SlmError
from slmweb.evaluate import bfcl
from slmweb.evaluate.calls import Expected, are_right
from slmweb.evaluate.data import Item, parse_items


def tool(name: str, required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


WEATHER = tool(
    "weather",
    ("city",),
    city={"type": "string"},
    days={"type": "integer"},
    at={"type": "number"},
    tags={"type": "array", "items": {"type": "string"}},
    where={"type": "object"},
    stops={"type": "array", "items": {"type": "object"}},
)


def call(**arguments: Any) -> Call:
    return Call("weather", json.dumps(arguments))


@pytest.mark.parametrize(
    ("made", "accepted", "right"),
    [
        (call(city="paris"), {"city": ["Paris"]}, True),
        (call(city="New York, N.Y."), {"city": ["Rome", "new-york ny"]}, True),
        (call(city="Rome"), {"city": ["Paris"]}, False),
        (call(city=1), {"city": ["1"]}, False),
        (call(), {"city": ["Paris"]}, False),  # required
        (call(city="Paris", days=2), {"city": ["Paris"], "days": [2, 3]}, True),
        (call(city="Paris", days=2.0), {"city": ["Paris"], "days": [2]}, False),
        (call(city="Paris", days="2"), {"city": ["Paris"], "days": [2]}, False),
        (call(city="Paris", at=2), {"city": ["Paris"], "at": [2.0]}, True),
        (call(city="Paris"), {"city": ["Paris"], "days": [2]}, False),
        (call(city="Paris"), {"city": ["Paris"], "days": [2, ""]}, True),
        (call(city="Paris", days=2), {"city": ["Paris"]}, False),  # not asked for
        (call(city="Paris", other=2), {"city": ["Paris"], "other": [2]}, False),  # no parameter
        (call(city="Paris", tags=["A b", "c"]), {"city": ["Paris"], "tags": [["ab", "C"]]}, True),
        (call(city="Paris", tags=["c", "ab"]), {"city": ["Paris"], "tags": [["ab", "c"]]}, False),
        (call(city="Paris", tags=[1]), {"city": ["Paris"], "tags": [["1"]]}, False),
        (call(city="Paris", where={"a": 1}), {"city": ["Paris"], "where": [{"a": [1]}]}, True),
        (
            call(city="Paris", where={"a": 1}),
            {"city": ["Paris"], "where": [{"a": [1], "b": [2, ""]}]},
            True,
        ),
        (
            call(city="Paris", where={"a": 1, "b": 3}),
            {"city": ["Paris"], "where": [{"a": [1], "b": [2, ""]}]},
            False,
        ),
    ],
)
def test_values(made: Call, accepted: dict[str, Any], right: bool) -> None:
    assert are_right([made], [Expected("weather", accepted)], [WEATHER]) is right


@pytest.mark.parametrize(
    "arguments",
    [
        '{"stops":[1]}',
        '{"stops":[[]]}',
        '{"where":1}',
        f'{{"at":{"9" * 400}}}',
        f'{{"at":{"9" * 5000}}}',
        '{"at":1e999}',
    ],
    ids=lambda text: text[:12],
)
def test_whatever_a_model_wrote_is_judged(arguments: str) -> None:
    accepted: dict[str, list[Any]] = {
        "stops": ["", [{"a": [1]}]],
        "where": ["", {"a": [1]}],
        "at": ["", 2.0],
    }
    properties = WEATHER["function"]["parameters"]["properties"]
    wanted, tools = [Expected("weather", accepted)], [tool("weather", **properties)]
    assert are_right([Call("weather", '{"stops":[{"a":1}]}')], wanted, tools)
    assert not are_right([Call("weather", arguments)], wanted, tools)


def test_numbers_of_calls_and_their_order() -> None:
    paris, rome = call(city="Paris"), call(city="Rome")
    wanted = [Expected.exactly("weather", {"city": city}) for city in ("Rome", "Paris")]
    assert are_right([paris, rome], wanted, [WEATHER])
    assert not are_right([paris, paris], wanted, [WEATHER])
    assert not are_right([paris], wanted, [WEATHER])
    assert not are_right([Call("f", "{}")], [Expected("weather", {})], [WEATHER])
    assert are_right([], [], [WEATHER])
    assert not are_right([paris], [], [WEATHER])
    assert are_right([paris], None, [WEATHER])
    assert not are_right([], None, [WEATHER])


def parsed(**fields: Any) -> Item:
    line = {"messages": [{"role": "user", "content": "?"}], "tools": [WEATHER], **fields}
    (item,) = parse_items(json.dumps(line).encode(), "x.jsonl", "tools")
    return item


def test_lines() -> None:
    item = parsed(calls=[{"name": "weather", "arguments": {"city": "Paris", "where": {"a": 1}}}])
    assert item.calls == (Expected("weather", {"city": ["Paris"], "where": [{"a": [1]}]}),)
    assert item.expected[0].startswith('weather("city": "Paris"')
    accepted = {"city": ["Paris"], "days": [2, ""]}
    item = parsed(calls=[{"name": "weather", "accepted": accepted}], category="c")
    assert item.calls is not None
    assert (item.calls[0].accepted, item.category) == (accepted, "c")
    assert (parsed(calls=[]).calls, parsed(calls="any").calls) == ((), None)


def test_a_conversation_with_calls_is_kept() -> None:
    made = {"id": "a", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": None, "tool_calls": [made]},
        {"role": "tool", "tool_call_id": "a", "content": "sunny"},
    ]
    (_, calling, result) = parsed(messages=messages, calls=[]).messages
    assert (calling["content"], calling["tool_calls"]) == ("", [made])
    assert result["tool_call_id"] == "a"


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"calls": None}, '"calls" as'),
        ({"calls": [{"name": "f"}]}, '"calls" as'),
        ({"calls": [{"name": "f", "accepted": {"a": 1}}]}, '"calls" as'),
        ({"calls": [], "category": 1}, '"category"'),
        ({"calls": [], "tools": [{"name": "f"}]}, '"tools" in OpenAI'),
        ({"calls": [], "tools": []}, "at least one"),
    ],
)
def test_lines_that_are_none(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(SlmError, match=why) as caught:
        parsed(**fields)
    assert caught.value.code == "bad_data"


def test_categories_are_told_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert bfcl.is_bfcl("bfcl")
    assert bfcl.is_bfcl("bfcl:multiple")
    assert not bfcl.is_bfcl("bfcl.jsonl")
    (tmp_path / "bfcl").write_text("")
    assert not bfcl.is_bfcl("bfcl")
    with pytest.raises(SlmError, match="no category 'simple'"):
        bfcl.questions("bfcl:simple")


# ---- against BFCL itself

WHEEL = paths.data_dir() / bfcl.FILE
with_bfcl = pytest.mark.skipif(not WHEEL.is_file(), reason=f"no {bfcl.FILE}")


@pytest.fixture(scope="module")
def checker() -> Iterator[Any]:
    """BFCL's, out of the wheel; what it imports for models, Java and JavaScript is left out."""
    before = dict(sys.modules)
    config = types.ModuleType("bfcl_eval.constants.model_config")
    dotted = types.SimpleNamespace(underscore_to_dot=False)
    config.MODEL_CONFIG_MAPPING = {"m": dotted}  # type: ignore[attr-defined]
    sys.modules[config.__name__] = config
    for language in ("java", "js"):
        name = f"bfcl_eval.eval_checker.ast_eval.type_convertor.{language}_type_converter"
        stub = types.ModuleType(name)
        setattr(stub, f"{language}_type_converter", None)
        sys.modules[name] = stub
    sys.path.insert(0, str(WHEEL))
    try:
        from bfcl_eval.constants.enums import Language  # type: ignore[import-not-found]
        from bfcl_eval.eval_checker.ast_eval import (  # type: ignore[import-not-found]
            ast_checker,
        )

        yield (
            lambda functions, calls, answers, category: (
                ast_checker.ast_checker(functions, calls, answers, Language.PYTHON, category, "m")[
                    "valid"
                ]
                is True
            )
        )
    finally:
        sys.path.remove(str(WHEEL))
        for name in set(sys.modules) - set(before):
            del sys.modules[name]


def first(values: list[Any]) -> Any:
    """One of the accepted values, as a model would write it."""
    value = next((one for one in values if one != ""), "")

    def plain(one: Any) -> Any:
        if isinstance(one, dict):
            return {key: first(some) for key, some in one.items() if first(some) != ""}
        return [plain(part) for part in one] if isinstance(one, list) else one

    return plain(value)


def variations(calls: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The calls, and what could be wrong with them."""
    yield calls
    yield calls[::-1]
    yield calls[:-1]
    yield [*calls, calls[0]]
    yield [{"no_such": next(iter(call.values()))} for call in calls]
    ((name, arguments),) = calls[0].items()
    for key, value in arguments.items():
        rest = {other: one for other, one in arguments.items() if other != key}
        yield [{name: rest}, *calls[1:]]
        changed: list[Any] = [str(value).upper(), f"{value}!", [value], None, 7, 1.5, True, {}, ""]
        if isinstance(value, int):
            changed += [float(value), value + 1]
        if isinstance(value, list):
            changed += [value[::-1], [*value, *value], [str(one) for one in value]]
        if isinstance(value, dict):
            changed += [{**value, "extra": 1}, dict(list(value.items())[1:])]
        for other in changed:
            yield [{name: {**arguments, key: other}}, *calls[1:]]
    yield [{name: {**arguments, "extra": 1}}, *calls[1:]]


@with_bfcl
@pytest.mark.parametrize(
    "category", ["simple_python", "multiple", "parallel", "parallel_multiple", "live_simple"]
)
def test_judged_as_bfcl_judges(checker: Any, category: str) -> None:
    with zipfile.ZipFile(WHEEL) as archive:
        read = [
            [json.loads(line) for line in archive.read(f"bfcl_eval/data/{path}").splitlines()]
            for path in (f"BFCL_v4_{category}.json", f"possible_answer/BFCL_v4_{category}.json")
        ]
    items = parse_items(bfcl.questions(f"bfcl:{category}"), "bfcl", "tools")
    judged = {True: 0, False: 0}
    for item, question, answer in zip(items, *read, strict=True):
        right_ones = [
            {
                name: {key: first(some) for key, some in given.items() if first(some) != ""}
                for name, given in call.items()
            }
            for call in answer["ground_truth"]
        ]
        for calls in variations(right_ones):
            try:
                theirs = checker(question["function"], calls, answer["ground_truth"], category)
            except (AttributeError, TypeError, KeyError, IndexError):
                continue  # it stumbles over values that are no Python call's
            made = [Call(name, json.dumps(given)) for call in calls for name, given in call.items()]
            assert are_right(made, item.calls, item.tools) is theirs, (item.line, calls)
            judged[theirs] += 1
    assert min(judged.values()) >= 100, judged
