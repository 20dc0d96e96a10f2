"""Tells calls from text while an answer is being written.

Owns where a call begins and ends, and the white space around it. Text that turns
out to be no call comes out as the text that it is: nothing is lost.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Literal

from ...generated.tool_forms import ToolForm
from .reader import Call, Unread, read_calls

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
            self._mark = ""
            return True
        at = text.find(mark)
        if at >= 0:
            self._say(found, text[:at])
            self._text, self._mark = text[at + len(mark) :], mark
            return True
        begun = 0 if final else _begun(text, mark)
        self._say(found, text[: len(text) - begun])
        self._text = text[len(text) - begun :]
        return False

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
        """The calls of the body that is open and where the text goes on; None where it is none."""
        text, close = self._text, self._form.close
        # Without a mark of its own a call ends where the next one opens.
        ends = [(at, at + len(close)) for at in _places(text, close or self._form.open)]
        if final or self._mark == "":
            ends.append((len(text), len(text)))
        for end, after in ends:
            try:
                calls = read_calls(text[:end], self._form)
            except Unread as problem:
                if problem.short:
                    continue  # the mark may stand in a text
                return None
            if any(call.name not in self._names for call in calls):
                return None
            # More calls may follow a bare one.
            return "wait" if self._mark == "" and not final else (calls, after)
        return None if final else "wait"

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


def _places(text: str, mark: str) -> list[int]:
    found, at = [], text.find(mark)
    while at >= 0:
        found.append(at)
        at = text.find(mark, at + len(mark))
    return found
