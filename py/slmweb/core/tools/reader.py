"""What stands between the marks of a form, as calls: names, and arguments as JSON text.

Owns the syntaxes of bodies. A body is what a model wrote: it is read to its last
character or not at all, to a limited depth, and nothing in it is run. Numbers stay
as they are written; JSON is written without white space, so that TypeScript and
Python say the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import NamedTuple, NoReturn

from ...generated.tool_forms import ToolForm

# Nobody's arguments are so deep, and Python's stack is not either.
MOST_DEPTH = 64

_SPACE = re.compile(r"[ \t\r\n]*")
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_WORD = re.compile(r"[A-Za-z0-9_.+-]+")
_BARE_KEY = re.compile(r"[^\s:,{}\[\]]+")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t",
            "/": "/", "\\": "\\", '"': '"', "'": "'"}  # fmt: skip
_WORDS = {"true": "true", "True": "true", "false": "false", "False": "false",
          "null": "null", "None": "null"}  # fmt: skip


class Call(NamedTuple):
    name: str
    arguments: str  # the text of a JSON object


class Unread(Exception):  # noqa: N818 (no fault of the program)
    """A body that is none. `short`: more text could make it one."""

    def __init__(self, short: bool) -> None:
        super().__init__("not a call of a tool")
        self.short = short


def read_calls(text: str, form: ToolForm) -> list[Call]:
    """The calls of a body, one or more. Raises Unread."""
    short = False
    for body in form.bodies:
        try:
            return _Reader(text, body, form.quote).calls()
        except Unread as problem:
            short |= problem.short
    raise Unread(short)


class _Reader:
    def __init__(self, text: str, body: str, quote: str) -> None:
        self._text, self._body, self._at, self._depth = text, body, 0, 0
        self._quotes = {"pairs": (quote,), "python": ('"', "'")}.get(body, ('"',))

    def calls(self) -> list[Call]:
        read: dict[str, Callable[[], list[Call]]] = {
            "json": self._json, "python": self._python, "pairs": self._pairs, "args": self._args,
        }  # fmt: skip
        found = read[self._body]()
        self._space()
        if self._at < len(self._text):
            raise Unread(False)
        return found

    # ---- calls

    def _json(self) -> list[Call]:
        if self._take("["):
            found = [self._json_call()]
            while self._take(","):
                found.append(self._json_call())
            self._expect("]")
            return found
        found = [self._json_call()]
        while self._take(";") or self._next("{"):
            found.append(self._json_call())
        return found

    def _json_call(self) -> Call:
        self._expect("{")
        fields = dict(self._members("}", ":"))
        name = fields.get("name", "")
        arguments = fields.get("arguments", fields.get("parameters", "{}"))
        # Some put the object into a text, as OpenAI does.
        if arguments.startswith('"'):
            arguments = _Reader(json.loads(arguments), "json", "").whole()
        if not name.startswith('"') or not arguments.startswith("{"):
            raise Unread(False)
        return Call(json.loads(name), arguments)

    def whole(self) -> str:
        """The JSON of a text that is one value."""
        try:
            value = self._value()
        except Unread:
            raise Unread(False) from None
        self._space()
        if self._at < len(self._text):
            raise Unread(False)
        return value

    def _python(self) -> list[Call]:
        listed = self._take("[")
        found = [self._python_call()]
        while self._take(","):
            found.append(self._python_call())
        if listed:
            self._expect("]")
        return found

    def _python_call(self) -> Call:
        name = self._run(_NAME)
        self._expect("(")
        return Call(name, _object(self._members(")", "=")))

    def _pairs(self) -> list[Call]:
        found: list[Call] = []
        while not found or self._next("call:"):
            self._expect("call:")
            name = self._run(_NAME)
            self._expect("{")
            found.append(Call(name, _object(self._members("}", ":"))))
        return found

    def _args(self) -> list[Call]:
        name = self._run(_NAME)
        if self._take("[CALL_ID]"):
            self._run(_NAME)
        if not self._take("[ARGS]") and not self._next("{"):
            self._fail("[ARGS]")
        if not self._next("{"):
            self._fail("{")
        return [Call(name, self._value())]

    # ---- values, as JSON

    def _value(self) -> str:
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise Unread(False)
        try:
            if self._take("{"):
                return _object(self._members("}", ":"))
            if self._take("["):
                return self._items("]")
            if self._body == "python" and self._take("("):
                return self._items(")")
            text = self._string()
            return self._word() if text is None else _quoted(text)
        finally:
            self._depth -= 1

    def _items(self, end: str) -> str:
        items: list[str] = []
        while not self._take(end):
            if items:
                self._expect(",")
                if self._body == "python" and self._take(end):
                    break
            items.append(self._value())
        return f"[{','.join(items)}]"

    def _members(self, end: str, colon: str) -> list[tuple[str, str]]:
        members: list[tuple[str, str]] = []
        while not self._take(end):
            if members:
                self._expect(",")
            key = self._string()
            if key is None:
                if self._body == "pairs":
                    key = self._run(_BARE_KEY)
                elif colon == "=":
                    key = self._run(_NAME)
                else:
                    self._fail('"')
            self._expect(colon)
            members.append((key, self._value()))
        return members

    def _string(self) -> str | None:
        """None where there is none."""
        for quote in self._quotes:
            if not self._take(quote):
                continue
            begin = end = self._at
            while True:
                end = self._text.find(quote, end)
                if end < 0:
                    raise Unread(True)
                if self._body == "pairs" or not self._escaped(begin, end):
                    break
                end += 1
            self._at = end + len(quote)
            inner = self._text[begin:end]
            return inner if self._body == "pairs" else _unescaped(inner)
        return None

    def _escaped(self, begin: int, at: int) -> bool:
        """Whether the number of backslashes before this place is odd."""
        slashes = at
        while slashes > begin and self._text[slashes - 1] == "\\":
            slashes -= 1
        return (at - slashes) % 2 == 1

    def _word(self) -> str:
        word = self._run(_WORD)
        if _NUMBER.fullmatch(word):
            return word
        if word not in _WORDS:
            raise Unread(False)
        return _WORDS[word]

    # ---- text

    def _space(self) -> None:
        self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]

    def _next(self, token: str) -> bool:
        self._space()
        return self._text.startswith(token, self._at)

    def _take(self, token: str) -> bool:
        if not self._next(token):
            return False
        self._at += len(token)
        return True

    def _expect(self, token: str) -> None:
        if not self._take(token):
            self._fail(token)

    def _fail(self, token: str) -> NoReturn:
        raise Unread(token.startswith(self._text[self._at :]))

    def _run(self, pattern: re.Pattern[str]) -> str:
        """A run of characters; one that reaches the end may go on."""
        self._space()
        match = pattern.match(self._text, self._at)
        if match is None:
            raise Unread(self._at == len(self._text))
        if match.end() == len(self._text):
            raise Unread(True)
        self._at = match.end()
        return match[0]


def _object(members: list[tuple[str, str]]) -> str:
    return f"{{{','.join(f'{_quoted(key)}:{value}' for key, value in members)}}}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _unescaped(text: str) -> str:
    """An escape that is none stays as it is, as in Python."""

    def character(match: re.Match[str]) -> str:
        code = match[1] or match[2]
        return chr(int(code, 16)) if code else _ESCAPED.get(match[3], match[0])

    found = _ESCAPE.sub(character, text)
    # Halves of a pair become one character; a half alone is none.
    return found.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
