"""The lines of a data file, as items of a task.

Owns the format: one JSON object a line, and the names that data sets in use give
to the same thing ("text" or "sentence", "answer" or "answerKey"). What a task
needs and does not find is refused with the file, the line and what was expected.
Knows nothing of models and prompts.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NoReturn, get_args

from ..core.guard import BUILT_IN, Policy
from ..core.tools import check_tools
from ..errors import SlmError
from .calls import Expected

Task = Literal["chat", "classify", "generate", "perplexity", "choice", "tools", "guard"]
TASKS: tuple[Task, ...] = get_args(Task)

Message = Mapping[str, Any]

# The first name that a line has is taken, so the usual one comes first.
_TEXT = ("text", "sentence", "content", "input", "question", "prompt", "query", "document")
_PROMPT = ("prompt", "question", "instruction", "input", "query", "text", "source", "document")
_MESSAGES = ("messages", "conversations", "conversation")
_QUESTION = ("question", "query", "prompt", "ctx", "context", "stem", "text")
_EXPECTED = (
    *("expected", "answer", "answers", "reference", "references", "target", "targets"),
    *("output", "response", "completion", "ideal", "summary"),
)
_LABEL = ("label", "labels", "class", "category", "intent", "target", "answer", "expected")
_CHOICES = ("choices", "options", "endings", "candidates")
_CORRECT = ("answer", "label", "answerKey", "gold", "correct", "target", "expected", "answer_index")

# What else a message has in a conversation with calls.
_OF_TOOLS = ("name", "tool_calls", "tool_call_id")
_ASKED = ("prompt", "question", "user_input", "text", "query", "instruction", "input")
_ANSWERED = ("response", "answer", "output", "completion", "model_output")
_VIOLATES = ("label", "violates", "unsafe", "harmful", "toxic", "toxicity")
# What labels say of a text, by what they are.
_VERDICTS = (
    ("false", "0", "0.0", "no", "safe", "harmless", "benign", "ok"),
    ("true", "1", "1.0", "yes", "unsafe", "harmful", "toxic", "violates"),
)
GUARD_CHOICES = ("keeps", "violates")

# ShareGPT's names of the roles.
_ROLES = {"human": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant"}


@dataclass(frozen=True)
class Item:
    """One line. Either `messages` or `text` is what the model is given.

    `expected` is what it should say: accepted answers, or the one label;
    `choices` are what it has to choose from and `answer` the right one's index.
    Of "guard" `text` is a prompt, `response` perhaps the answer to it that is to be
    judged, and `policies` are by what.
    """

    line: int  # from 1, as editors count
    digest: str  # of the line's content
    messages: tuple[Message, ...] = ()
    system: str | None = None
    text: str = ""
    expected: tuple[str, ...] = ()
    choices: tuple[str, ...] = field(default=(), repr=False)
    answer: int | None = None
    # Of "tools": what may be called, what has to be (None: anything), and where it counts.
    tools: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    calls: tuple[Expected, ...] | None = ()
    category: str = ""
    response: str | None = None
    policies: tuple[Policy, ...] = ()

    @property
    def shown(self) -> str:
        """What a person reads as the question."""
        asked = str(self.messages[-1]["content"]) if self.messages else self.text
        return asked if self.response is None else f"{asked}\n→ {self.response}"


def parse_items(
    data: bytes,
    name: str,
    task: Task,
    labels: Sequence[str] = (),
    policies: Sequence[Policy] = BUILT_IN,
) -> list[Item]:
    """The items of a JSON Lines file; blank lines are left out.

    `name` is the file's, for errors. `labels` are the classes of "classify"; by
    default those that occur, in alphabetical order. `policies` are those of "guard"
    for lines that name none. Raises SlmError "bad_data"
    with the line, and "invalid_argument" when there is none.
    """
    items = []
    # Not splitlines(), which breaks at characters that JSON strings may hold.
    for number, raw in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not raw.strip():
            continue
        line = _Line(name, number, task, _parse(raw, name, number))
        item = _PARSERS[task](line, labels)
        if task == "guard":
            item = replace(item, policies=_policies(line, policies))
        items.append(replace(item, digest=hashlib.sha256(raw.strip()).hexdigest()))
    if not items:
        raise SlmError("bad_data", f"{name} has no lines; it takes one JSON object a line")
    if task != "classify":
        return items
    classes = tuple(labels) or tuple(sorted({item.expected[0] for item in items}))
    if len(classes) < 2:
        raise SlmError(
            "bad_data",
            f"{name} has the one label {classes[0]!r}, which leaves nothing to tell apart; "
            "name all of them with --labels",
        )
    return [
        replace(item, choices=classes, answer=classes.index(item.expected[0])) for item in items
    ]


def choose(items: list[Item], limit: int | None, seed: int) -> list[Item]:
    """`limit` items drawn without replacement, in the file's order."""
    if limit is None or limit >= len(items):
        return items
    drawn = random.Random(seed).sample(range(len(items)), limit)  # noqa: S311 (no secret)
    return [items[i] for i in sorted(drawn)]


class _Line:
    """A line under way: what it holds, and how to complain about it."""

    def __init__(self, file: str, number: int, task: Task, fields: dict[str, Any]) -> None:
        self.file, self.number, self.task, self.fields = file, number, task, fields

    def bad(self, expected: str, found: str | None = None) -> NoReturn:
        found = found or f"the keys {', '.join(self.fields) or '(none)'}"
        raise SlmError(
            "bad_data",
            f"{self.file}, line {self.number}: --task {self.task} expects {expected}, "
            f"found {found}; correct the line",
        )

    def first(self, names: Sequence[str]) -> tuple[str, Any] | None:
        """The first of these fields that has a value."""
        for name in names:
            if self.fields.get(name) is not None:
                return name, self.fields[name]
        return None

    def string(self, names: Sequence[str], expected: str) -> tuple[str, str]:
        found = self.first(names)
        if found is None:
            self.bad(expected)
        name, value = found
        if not isinstance(value, str) or not value.strip():
            self.bad(f'text as "{name}"', _shown(value))
        return name, value

    def item(self, names: Sequence[str], expected: str) -> tuple[str, Item]:
        """What the model is given, and the field that it came from."""
        system = self.fields.get("system")
        base = Item(self.number, "", system=system if isinstance(system, str) else None)
        if (found := self.first(_MESSAGES)) is not None:
            name, value = found
            return name, replace(base, messages=self.messages(name, value))
        name, text = self.string(names, expected)
        extra = self.fields.get("input")
        if name == "instruction" and isinstance(extra, str) and extra.strip():  # as Alpaca has it
            text = f"{text}\n\n{extra}"
        return name, replace(base, text=text)

    def messages(self, name: str, value: Any) -> tuple[Message, ...]:
        shape = f'"{name}" as [{{"role": "user", "content": "…"}}, …]'
        if not isinstance(value, list) or not value:
            self.bad(shape, _shown(value))
        messages = []
        for entry in value:
            fields = entry if isinstance(entry, dict) else {}
            role = fields.get("role", fields.get("from"))
            content = fields.get("content", fields.get("value"))
            kept = {key: fields[key] for key in _OF_TOOLS if self.task == "tools" and key in fields}
            if content is None and kept.get("tool_calls"):
                content = ""  # who only calls has said nothing
            if not isinstance(role, str) or not isinstance(content, str):
                self.bad(shape, _shown(entry))
            messages.append({"role": _ROLES.get(role, role), "content": content, **kept})
        return tuple(messages)

    def texts(self, name: str, value: Any) -> tuple[str, ...]:
        """One accepted answer or several."""
        values = value if isinstance(value, list) else [value]
        texts = tuple(_scalar(entry) for entry in values)
        if not texts or not all(texts):
            self.bad(f'text or a list of texts as "{name}"', _shown(value))
        return tuple(text for text in texts if text)


def _parse(raw: bytes, name: str, number: int) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except ValueError as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
    else:
        if isinstance(value, dict):
            return value
        reason = f"it is a {type(value).__name__}"
    raise SlmError(
        "bad_data",
        f"{name}, line {number} is not a JSON object ({reason}); write one object a line",
    )


def _chat(line: _Line, labels: Sequence[str]) -> Item:
    _, item = line.item(_PROMPT, '"messages" and "expected"')
    return _with_expected(line, item, '"expected" (or a last message of the assistant)')


def _generate(line: _Line, labels: Sequence[str]) -> Item:
    _, item = line.item(_PROMPT, '"prompt" and "reference"')
    return _with_expected(line, item, '"reference" or "references"')


def _with_expected(line: _Line, item: Item, expected: str) -> Item:
    if (found := line.first(_EXPECTED)) is not None:
        return replace(item, expected=line.texts(*found))
    if len(item.messages) > 1 and item.messages[-1]["role"] == "assistant":
        answer = item.messages[-1]["content"]
        return replace(item, messages=item.messages[:-1], expected=(answer,))
    return line.bad(expected)


def _classify(line: _Line, labels: Sequence[str]) -> Item:
    name, item = line.item(_TEXT, '"text" (or "messages") and "label"')
    found = line.first([key for key in _LABEL if key != name])
    if found is None:
        if len(item.messages) > 1 and item.messages[-1]["role"] == "assistant":
            label = item.messages[-1]["content"].strip()
            item = replace(item, messages=item.messages[:-1])
        else:
            line.bad('"label"')
    else:
        (label, *others) = line.texts(*found)
        if others:
            line.bad("one label", _shown(found[1]))
        # Data sets number their classes, and --labels says what the numbers mean.
        if labels and label not in labels and label.isdigit() and int(label) < len(labels):
            label = labels[int(label)]
    if labels and label not in labels:
        line.bad(f"one of the labels {', '.join(labels)}", repr(label))
    return replace(item, expected=(label,))


def _perplexity(line: _Line, labels: Sequence[str]) -> Item:
    _, text = line.string(("text", "content", "sentence", "document", "prompt"), '"text"')
    return Item(line.number, "", text=text)


def _choice(line: _Line, labels: Sequence[str]) -> Item:
    name, item = line.item(_QUESTION, '"question", "choices" and "answer"')
    found = line.first(_CHOICES)
    if found is None:
        line.bad('"choices"')
    names, choices = _choices(line, *found)
    correct = line.first([key for key in _CORRECT if key != name])
    if correct is None:
        line.bad('"answer"')
    answer = _answer(correct[1], names, choices)
    if answer is None:
        line.bad(
            f'"{correct[0]}" as one of the choices, its letter or its index from 0 '
            f"to {len(choices) - 1}",
            _shown(correct[1]),
        )
    return replace(item, choices=choices, answer=answer, expected=(choices[answer],))


def _choices(line: _Line, name: str, value: Any) -> tuple[list[str], tuple[str, ...]]:
    """Their names and the choices: from a list, {"A": …} or {"text": […], "label": […]}."""
    names: list[str] = []
    if isinstance(value, dict) and isinstance(value.get("text"), list):
        names = [str(entry) for entry in value.get("label", [])]
        value = value["text"]
    elif isinstance(value, dict):
        names, value = list(value), list(value.values())
    if (
        not isinstance(value, list)
        or len(value) < 2
        or (names and len(names) != len(value))
        or not all(isinstance(entry, str) and entry.strip() for entry in value)
    ):
        line.bad(f'"{name}" as a list of two or more texts', _shown(value))
    return names or [chr(ord("A") + i) for i in range(len(value))], tuple(value)


def _answer(value: Any, names: Sequence[str], choices: Sequence[str]) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 <= value < len(choices) else None
    text = str(value).strip()
    for known in (choices, names, [name.lower() for name in names]):
        if text in known:
            return list(known).index(text)
    return int(text) if text.isdigit() and int(text) < len(choices) else None


def _tools(line: _Line, labels: Sequence[str]) -> Item:
    _, item = line.item(_PROMPT, '"messages", "tools" and "calls"')
    try:
        names = check_tools(line.fields.get("tools"))
    except SlmError as error:
        line.bad('"tools" in OpenAI\'s shape', error.message)
    if not names:
        line.bad("at least one of the tools", "none")
    category, calls = line.fields.get("category", ""), line.fields.get("calls")
    if not isinstance(category, str):
        line.bad('text as "category"', _shown(category))
    if calls != "any" and not _all_calls(calls):
        line.bad(
            '"calls" as [{"name": "…", "arguments": {…}}], [] for none or "any"', _shown(calls)
        )
    expected = None if calls == "any" else tuple(map(_call, calls or ()))
    said = "some call" if expected is None else "; ".join(map(str, expected)) or "no call"
    return replace(
        item,
        tools=tuple(line.fields["tools"]),
        calls=expected,
        category=category,
        expected=(said,),
    )


def _all_calls(calls: Any) -> bool:
    return isinstance(calls, list) and all(
        isinstance(call, dict)
        and isinstance(call.get("name"), str)
        and (
            isinstance(call.get("arguments"), dict)
            or (
                isinstance(accepted := call.get("accepted"), dict)
                and all(isinstance(values, list) for values in accepted.values())
            )
        )
        for call in calls
    )


def _call(call: Mapping[str, Any]) -> Expected:
    """`accepted` are several values of each parameter, `arguments` the only ones."""
    if "accepted" in call:
        return Expected(call["name"], call["accepted"])
    return Expected.exactly(call["name"], call["arguments"])


def _guard(line: _Line, labels: Sequence[str]) -> Item:
    name, item = line.item(_ASKED, '"prompt" (or "messages"), perhaps "response", and "label"')
    response = None
    if item.messages:
        answered = len(item.messages) > 1 and item.messages[-1]["role"] == "assistant"
        asked = [m["content"] for m in item.messages if m["role"] == "user"]
        if not asked:
            line.bad("a message of the user", _shown(line.fields[name]))
        response = item.messages[-1]["content"] if answered else None
        item = replace(item, text=asked[-1], messages=())
    elif (found := line.first([key for key in _ANSWERED if key != name])) is not None:
        response = found[1]
        if not isinstance(response, str):
            line.bad(f'text as "{found[0]}"', _shown(response))
    label = line.first(_VIOLATES)
    if label is None:
        line.bad('"label", true where the text violates a rule')
    verdict = (_scalar(label[1]) or "").casefold()
    answer = next((i for i, words in enumerate(_VERDICTS) if verdict in words), None)
    if answer is None:
        line.bad(f'true or false as "{label[0]}"', _shown(label[1]))
    return replace(
        item,
        response=response,
        choices=GUARD_CHOICES,
        answer=answer,
        expected=(GUARD_CHOICES[answer],),
    )


def _policies(line: _Line, known: Sequence[Policy]) -> tuple[Policy, ...]:
    """The line's own policy, else all of them."""
    value = line.fields.get("policy")
    if value is None:
        return tuple(known)
    for policy in (*known, *BUILT_IN):
        if value == policy.name:
            return (policy,)
    if isinstance(value, dict) and set(value) == {"name", "text"}:
        name, text = value["name"], value["text"]
        if isinstance(name, str) and isinstance(text, str) and name.strip() and text.strip():
            return (Policy(name, text),)
    names = ", ".join(dict.fromkeys(policy.name for policy in (*known, *BUILT_IN)))
    return line.bad(f'"policy" as one of {names}, or {{"name": …, "text": …}}', _shown(value))


_PARSERS: dict[Task, Callable[[_Line, Sequence[str]], Item]] = {
    "chat": _chat,
    "classify": _classify,
    "generate": _generate,
    "perplexity": _perplexity,
    "choice": _choice,
    "tools": _tools,
    "guard": _guard,
}


def _scalar(value: Any) -> str | None:
    """A label may be a number or a truth value; None for what is no answer."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    return value.strip() or None if isinstance(value, str) else None


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
