"""Data files as they are found: one task, many names, and lines that are wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from slmweb.core.guard import BUILT_IN, Policy
from slmweb.errors import SlmError
from slmweb.evaluate.data import Item, Task, choose, parse_items


def parse(task: Task, *lines: Any, labels: list[str] | None = None) -> list[Item]:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    return parse_items(text.encode(), "data.jsonl", task, labels or [])


def only(task: Task, line: Any, labels: list[str] | None = None) -> Item:
    (item,) = parse(task, line, labels=labels)
    return item


USER = {"role": "user", "content": "Hi"}


@pytest.mark.parametrize(
    "line",
    [
        {"messages": [USER], "expected": "Hello"},
        {"messages": [USER], "answer": ["Hello"]},
        {"messages": [USER, {"role": "assistant", "content": "Hello"}]},
        {
            "conversations": [
                {"from": "human", "value": "Hi"},
                {"from": "gpt", "value": "Hello"},
            ]
        },
    ],
)
def test_chat_lines(line: dict[str, Any]) -> None:
    item = only("chat", line)
    assert item.messages == (USER,)
    assert item.expected == ("Hello",)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ({"prompt": "Hi", "reference": "Hello"}, "Hi"),
        ({"question": "Hi", "answer": "Hello"}, "Hi"),
        ({"instruction": "Translate.", "input": "Hi", "output": "Hello"}, "Translate.\n\nHi"),
        ({"instruction": "Greet.", "input": "", "output": "Hello"}, "Greet."),
        ({"document": "Hi", "summary": "Hello"}, "Hi"),
    ],
)
def test_generate_lines(line: dict[str, str], text: str) -> None:
    item = only("generate", line)
    assert (item.text, item.expected) == (text, ("Hello",))


def test_several_references() -> None:
    assert only("generate", {"prompt": "x", "references": ["a", "b"]}).expected == ("a", "b")


def test_classes_are_those_of_the_data_in_alphabetical_order() -> None:
    items = parse("classify", {"text": "x", "label": "no"}, {"sentence": "y", "class": "maybe"})
    assert [(item.text, item.choices, item.answer) for item in items] == [
        ("x", ("maybe", "no"), 1),
        ("y", ("maybe", "no"), 0),
    ]


def test_given_labels_keep_their_order_and_name_numbers() -> None:
    labels = ["negative", "positive"]
    items = parse(
        "classify", {"text": "x", "label": 1}, {"text": "y", "label": "negative"}, labels=labels
    )
    assert [item.answer for item in items] == [1, 0]
    assert items[0].choices == ("negative", "positive")


def test_numbers_and_truth_values_are_labels() -> None:
    items = parse("classify", {"text": "x", "label": 0}, {"text": "y", "label": True})
    assert items[0].choices == ("0", "true")


@pytest.mark.parametrize(
    ("choices", "answer"),
    [
        (["3", "4"], 1),
        (["3", "4"], "4"),  # the choice itself comes before its index
        (["three", "four"], "B"),
        (["three", "four"], "b"),
        (["three", "four"], "1"),
        ({"text": ["three", "four"], "label": ["1", "2"]}, "2"),  # as ARC has it
        ({"A": "three", "B": "four"}, "B"),
    ],
)
def test_the_right_choice_in_every_form(choices: Any, answer: Any) -> None:
    item = only("choice", {"question": "2 + 2?", "choices": choices, "answerKey": answer})
    assert item.answer == 1
    assert item.expected == (item.choices[1],)


def test_blank_lines_a_bom_and_unusual_line_breaks() -> None:
    text = b'\xef\xbb\xbf{"text": "a\xe2\x80\xa8b"}\r\n\n  \n{"text": "c"}\n'
    items = parse_items(text, "data.jsonl", "perplexity")
    assert [(item.line, item.text) for item in items] == [(1, "a\u2028b"), (4, "c")]
    assert items[0].digest != items[1].digest


GOOD = {"text": "x", "label": "a"}
BAD: dict[str, tuple[Task, Any, str]] = {
    "no JSON": ("classify", "{text: 1}", "is not a JSON object (Expecting property name"),
    "a list": ("classify", "[1]", "it is a list"),
    "not UTF-8": ("classify", "\udcff", "is not a JSON object"),
    "no label": ("classify", {"text": "x", "lable": "a"}, '"label", found the keys text, lable'),
    "no text": ("classify", {"label": "a"}, '"text" (or "messages") and "label"'),
    "text is a number": ("classify", {"text": 3, "label": "a"}, 'text as "text", found 3'),
    "two labels": ("classify", {"text": "x", "label": ["a", "b"]}, "one label"),
    "empty label": ("classify", {"text": "x", "label": " "}, "found"),
    "no expected": ("chat", {"messages": [USER]}, '"expected"'),
    "messages are text": ("chat", {"messages": "Hi", "answer": "x"}, '{"role": "user"'),
    "message without content": ("chat", {"messages": [{"role": "user"}], "answer": "x"}, "role"),
    "no reference": ("generate", {"prompt": "x"}, '"reference" or "references"'),
    "no choices": ("choice", {"question": "x", "answer": 0}, '"choices"'),
    "one choice": ("choice", {"question": "x", "choices": ["a"], "answer": 0}, "two or more"),
    "no answer": ("choice", {"question": "x", "choices": ["a", "b"]}, '"answer"'),
    "index outside": ("choice", {"question": "x", "choices": ["a", "b"], "answer": 2}, "0 to 1"),
    "other answer": ("choice", {"question": "x", "choices": ["a", "b"], "answer": "c"}, '"c"'),
    "empty text": ("perplexity", {"text": "  "}, "text"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_lines_are_named(name: str) -> None:
    task, line, says = BAD[name]
    text = (line if isinstance(line, str) else json.dumps(line)).encode("utf-8", "surrogateescape")
    with pytest.raises(SlmError) as raised:
        parse_items(b"\n\n" + text + b"\n", "my.jsonl", task)
    assert raised.value.code == "bad_data"
    assert raised.value.message.startswith("my.jsonl, line 3")
    assert says in raised.value.message


def test_an_unknown_label_is_refused_when_labels_are_given() -> None:
    with pytest.raises(SlmError, match=r"line 1: .* one of the labels a, b, found 'c'"):
        only("classify", {"text": "x", "label": "c"}, labels=["a", "b"])


def test_no_lines_and_one_class() -> None:
    with pytest.raises(SlmError, match="has no lines"):
        parse("chat", "")
    with pytest.raises(SlmError, match="--labels"):
        parse("classify", GOOD, GOOD)


def test_a_limit_draws_the_same_items_again_in_order() -> None:
    items = parse("perplexity", *({"text": f"text {i}"} for i in range(50)))
    drawn = choose(items, 10, seed=1)
    assert drawn == choose(items, 10, seed=1)
    assert drawn != choose(items, 10, seed=2)
    assert [item.line for item in drawn] == sorted(item.line for item in drawn)
    assert choose(items, 50, seed=1) == choose(items, None, seed=1) == items


@pytest.mark.parametrize(
    ("line", "text", "response", "answer"),
    [
        ({"prompt": "Hi", "label": True}, "Hi", None, 1),
        ({"user_input": "Hi", "toxicity": 0}, "Hi", None, 0),
        ({"prompt": "Hi", "response": "Ho", "label": "Unsafe"}, "Hi", "Ho", 1),
        ({"prompt": "Hi", "response": "", "label": "safe"}, "Hi", "", 0),
        (
            {"messages": [USER, {"role": "assistant", "content": "Ho"}], "label": "no"},
            "Hi",
            "Ho",
            0,
        ),
        ({"messages": [USER], "violates": 1}, "Hi", None, 1),
    ],
)
def test_guard_lines(line: dict[str, Any], text: str, response: str | None, answer: int) -> None:
    item = only("guard", line)
    assert (item.text, item.response, item.answer) == (text, response, answer)
    assert item.policies == BUILT_IN
    assert item.messages == ()


def test_a_guard_line_may_have_its_own_policy() -> None:
    base = {"prompt": "Hi", "label": 0}
    assert only("guard", {**base, "policy": "hate"}).policies == (Policy("hate"),)
    own = {"name": "Mine", "text": "No greetings."}
    assert only("guard", {**base, "policy": own}).policies == (Policy("Mine", "No greetings."),)
    data = b'{"prompt": "Hi", "label": 0, "policy": "Mine"}'
    known = [Policy("Mine", "No greetings.")]
    (item,) = parse_items(data, "data.jsonl", "guard", (), known)
    assert item.policies == tuple(known)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ({"prompt": "Hi"}, '"label"'),
        ({"label": 1}, '"prompt"'),
        ({"prompt": "Hi", "label": "maybe"}, 'true or false as "label"'),
        ({"prompt": "Hi", "label": 0.5}, "true or false"),
        ({"prompt": "Hi", "response": 3, "label": 1}, 'text as "response"'),
        ({"prompt": "Hi", "label": 1, "policy": "nonsense"}, "one of dangerous, harassment"),
        ({"prompt": "Hi", "label": 1, "policy": {"name": "x"}}, "one of dangerous"),
        ({"messages": [{"role": "system", "content": "x"}], "label": 1}, "message of the user"),
    ],
)
def test_guard_lines_that_do_not_fit(line: dict[str, Any], expected: str) -> None:
    with pytest.raises(SlmError, match="line 1: --task guard expects") as caught:
        only("guard", line)
    assert expected in caught.value.message
