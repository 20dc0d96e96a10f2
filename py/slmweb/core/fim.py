"""A text to be filled in the middle, as the tokens that a model was taught.

What is before the place and behind it, in the order that is asked for, after the
other files. web/src/api/fim.ts is the same for the browser, and both are held to
tests/goldens/fim_cases.json. Texts are a stranger's: they are encoded without
control tokens, so nothing in them can end a part or open one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from ..errors import SlmError
from .model import FimTokens, Model

Form = Literal["psm", "spm"]
# The ids of a text; what looks like a control token in it is text.
Encode = Callable[[str], Sequence[int]]


@dataclass(frozen=True)
class Infill:
    """What is before the place and behind it. `files` are (path, text), the nearest last.

    `path` is that of the file that is filled in. `form` "psm" has what is before the
    place first, "spm" what is behind it, so that the answer goes on with what is before.
    """

    prefix: str
    suffix: str
    form: Form = "psm"
    files: Sequence[tuple[str, str]] = ()
    path: str | None = None
    repo: str | None = None


@dataclass(frozen=True)
class FittedPrompt:
    """`dropped` tokens were left out, so that the others fit."""

    ids: list[int]
    dropped: int


def infill_prompt(
    encode: Encode, tokens: FimTokens, bos: int | None, infill: Infill, room: int | None = None
) -> FittedPrompt:
    """At most `room` tokens, if that is more than the markers take.

    What is furthest from the place goes first: whole files, then the beginning of
    the prefix and the end of the suffix, three of the one to one of the other.
    """
    separator, repo = tokens["separator"], tokens["repo"]

    def opened(name: str, text: str) -> list[int]:
        return [] if separator is None else [separator, *encode(f"{name}\n{text}")]

    head = [] if bos is None else [bos]
    if infill.repo is not None and repo is not None:
        head += [repo, *encode(f"{infill.repo}\n")]
    others = [opened(path, _ended_line(text)) for path, text in infill.files]
    own = [] if infill.path is None else opened(infill.path, "")
    before, behind = list(encode(infill.prefix)), list(encode(infill.suffix))
    all_of_it = len(before) + len(behind) + sum(map(len, others))

    left = all_of_it if room is None else max(0, room - len(head) - len(own) - 3)
    kept = behind[: max(left // 4, left - len(before))]
    near = _cut_beginning(before, left - len(kept))
    rest = left - len(near) - len(kept)
    first = len(others)
    while first > 0 and len(others[first - 1]) <= rest:
        first -= 1
        rest -= len(others[first])

    if infill.form == "psm":
        middle = [tokens["prefix"], *near, tokens["suffix"], *kept, tokens["middle"]]
    else:
        middle = [tokens["prefix"], tokens["suffix"], *kept, tokens["middle"], *near]
    files = [token for file in others[first:] for token in file]
    dropped = all_of_it - len(near) - len(kept) - len(files)
    return FittedPrompt([*head, *files, *own, *middle], dropped)


def prompt_room(n_ctx: int, max_tokens: int) -> int:
    """What a prompt may take: it leaves room for the answer, but no more than a quarter."""
    return n_ctx - min(max_tokens, n_ctx // 4)


def trimmed(ids: Sequence[int], head: int, room: int) -> FittedPrompt:
    """A prompt that is continued at its end, without its beginning but with the first `head`
    tokens, if it is too long."""
    kept = _cut_beginning(ids[head:], max(0, room - head))
    return FittedPrompt([*ids[:head], *kept], len(ids) - head - len(kept))


def fill_or_continue(model: Model, infill: Infill, room: int | None = None) -> FittedPrompt:
    """The prompt with which `model` fills in `infill`, or the text up to the place if it has no
    tokens for that. Raises SlmError "unsupported" for files and names that it has none for."""
    info = model.info
    tokens = info["fim"]
    bos = info["bos"] if info["add_bos"] else None

    def encode(text: str) -> list[int]:
        return model.tokenizer.encode(text, special=False, bos=False)

    known = tokens or {"separator": None, "repo": None}
    for asked, token, what in (
        (bool(infill.files or infill.path), known["separator"], "a token between files"),
        (bool(infill.repo), known["repo"], "a token before the name of a repository"),
    ):
        if asked and token is None:
            raise SlmError(
                "unsupported",
                f"the model {info['name'] or 'at hand'} has no {what.removeprefix('a ')}; "
                "leave files and names out, or take a model that fills in code",
            )
    if tokens is not None:
        return infill_prompt(encode, tokens, bos, infill, room)
    ids = [*([] if bos is None else [bos]), *encode(infill.prefix)]
    return trimmed(ids, 0 if bos is None else 1, len(ids) if room is None else room)


def _cut_beginning(ids: Sequence[int], room: int) -> Sequence[int]:
    """The end of `ids`. It is cut in steps of a quarter, so that the next requests, a few letters
    later, begin at the same token and find it in the cache."""
    if len(ids) <= room:
        return ids
    step = max(1, room // 4)
    return ids[-((room - len(ids)) // step) * step :]


def _ended_line(text: str) -> str:
    return text if text == "" or text.endswith("\n") else text + "\n"
