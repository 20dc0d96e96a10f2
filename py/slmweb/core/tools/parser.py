"""Tells calls from text while an answer is being written.

Owns where a call begins and ends, and the white space around it. Text that turns
out to be no call comes out as the text that it is: nothing is lost.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Literal

from ...generated.tool_forms import ToolForm
from .reader import Call, Unread, read_calls

# What is longer, in characters, or ends at none of so many marks is no call: each is read to.
MOST_BODY = 65536
MOST_ENDS = 32

_SPACE = " \t\r\n"


class ToolParser:
    """Pieces of text and calls, in the order of the answer.

    `names` are those of the tools: what calls another is text. `single` ends after
    the first call.
    """

    def __init__(self, form: ToolForm, names: Container[str], *, single: bool = False) -> None:
        self.calls = 0
        self._form, self._names, self._single = form, names, single
        self._text = ""  # not decided yet
        self._mark: str | None = None  # what has opened a call, "" where a brace has
        # Of the body that is open: where the next end may begin, how many were too early,
        # and the length at which a bare one is read again.
        self._seen = self._tried = self._due = 0
        self._space = ""  # comes out before more text, and not before a call
        self._said = False  # some text
        self._after_call = False

    @property
    def done(self) -> bool:
        """Whether nothing more is wanted of the answer."""
        return self._single and self.calls > 0

    def push(self, text: str) -> list[str | Call]:
        self._text += text
        return self._decided(final=False)

    def finish(self) -> list[str | Call]:
        """What is left at the answer's end."""
        found = self._decided(final=True)
        if self._space and not self.calls:
            found.append(self._space)
        self._space = ""
        return found

    def _decided(self, final: bool) -> list[str | Call]:
        found: list[str | Call] = []
        while (
            not self.done
            and (self._mark is not None or self._opened(found, final))
            and self._closed(found, final)
        ):
            pass
        return found

    def _opened(self, found: list[str | Call], final: bool) -> bool:
        """Goes on to where a call opens; False where none does yet."""
        text, mark = self._text, self._form.open
        if self._form.bare and not self._said and text.lstrip(_SPACE).startswith("{"):
            self._begin("")
            return True
        at = text.find(mark)
        if at >= 0:
            self._say(found, text[:at])
            self._text = text[at + len(mark) :]
            self._begin(mark)
            return True
        begun = 0 if final else _begun(text, mark)
        self._say(found, text[: len(text) - begun])
        self._text = text[len(text) - begun :]
        return False

    def _begin(self, mark: str) -> None:
        self._mark = mark
        self._seen = self._tried = self._due = 0

    def _closed(self, found: list[str | Call], final: bool) -> bool:
        """Takes the call that is open, or what is none; False where more text has to tell."""
        text, read = self._text, self._read(final)
        if read == "wait":
            return False
        if read is not None:
            calls = read[0][:1] if self._single else read[0]
            found += calls
            self.calls += len(calls)
            self._text, self._mark, self._space = text[read[1] :], None, ""
            self._after_call = True
            return True
        if self._mark == "":
            self._mark, self._text = text[:1], text[1:]
        self._say(found, self._mark or "")
        self._mark = None
        return True

    def _read(self, final: bool) -> tuple[list[Call], int] | Literal["wait"] | None:
        """The calls of the body that is open and where the text goes on; None where it is none.
        No end is tried twice."""
        text, close = self._text, self._form.close
        # Without a mark of its own a call ends where the next one opens.
        mark = close or self._form.open
        while True:
            end = text.find(mark, self._seen)
            self._seen = max(self._seen, len(text) - len(mark) + 1) if end < 0 else end
            if self._seen > MOST_BODY:
                return None
            if end < 0:
                break
            if self._tried == MOST_ENDS:
                return None
            calls = self._calls_to(end)
            if calls != "short":
                return None if calls is None else (calls, end + len(close))
            # The mark may stand in a text.
            self._tried += 1
            self._seen = end + len(mark)
        if final:
            calls = None if len(text) > MOST_BODY else self._calls_to(len(text))
            return None if calls is None or calls == "short" else (calls, len(text))
        # More calls may follow a bare one, but what is none shall not wait for the answer's end.
        if self._mark == "" and len(text) >= self._due:
            self._due = len(text) + len(text) // 8
            if self._calls_to(len(text) - _begun(text, mark)) is None:
                return None
        return "wait"

    def _calls_to(self, end: int) -> list[Call] | Literal["short"] | None:
        """The calls up to there; None where they are none, "short" where more text could make
        them some."""
        try:
            calls = read_calls(self._text[:end], self._form)
        except Unread as problem:
            return "short" if problem.short else None
        return calls if all(call.name in self._names for call in calls) else None

    def _say(self, found: list[str | Call], text: str) -> None:
        text = self._space + text
        if self._after_call:
            text = text.lstrip(_SPACE)
        said = text.rstrip(_SPACE)
        self._space = text[len(said) :]
        if said:
            found.append(said)
            self._said, self._after_call = True, False


def parse_answer(text: str, form: ToolForm, names: Container[str]) -> tuple[str, list[Call]]:
    """A whole answer's text and calls."""
    parser = ToolParser(form, names)
    found = parser.push(text) + parser.finish()
    said = "".join(piece for piece in found if isinstance(piece, str))
    return said, [piece for piece in found if isinstance(piece, Call)]


def _begun(text: str, mark: str) -> int:
    """Characters at the end of `text` that begin `mark`."""
    most = min(len(mark) - 1, len(text))
    return next((n for n in range(most, 0, -1) if text.endswith(mark[:n])), 0)
