"""`slmweb complete`: what is missing in a text, at a place in a file or between two texts.

Owns how the place is named and found. A model that knows nothing of filling in goes
on with what is before the place.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from ..errors import SlmError
from .common import (
    AdapterOption,
    ContextOption,
    JsonOption,
    ModelArgument,
    VariantOption,
    VerifyOption,
    loaded_adapters,
    loaded_model,
    note,
    print_json,
    read_bytes,
)
from .generation import (
    MinPOption,
    PenaltyOption,
    RepeatPenaltyOption,
    SeedOption,
    StopOption,
    TemperatureOption,
    TopKOption,
    TopPOption,
    interruptible,
    numbers,
    sampling_of,
)


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: slmweb complete MODEL.gguf main.py:12")(complete)


def complete(
    model: ModelArgument,
    place: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE[:LINE[:COLUMN]]",
            help="Where to write: by default at the end of the file, or of the line; in front of "
            "the column. Without it, at the end of stdin.",
            show_default=False,
        ),
    ] = None,
    prefix: Annotated[
        str | None, typer.Option(help="The text before the place.", show_default=False)
    ] = None,
    suffix: Annotated[
        str | None, typer.Option(help="The text behind the place.", show_default=False)
    ] = None,
    file: Annotated[
        list[Path] | None,
        typer.Option(
            help="Another file that matters; repeatable, the most important last.",
            show_default=False,
        ),
    ] = None,
    repo: Annotated[
        str | None, typer.Option(help="What the files belong to.", show_default=False)
    ] = None,
    form: Annotated[
        Literal["psm", "spm"],
        typer.Option(help="What is before the place goes first, or what is behind it."),
    ] = "psm",
    temperature: TemperatureOption = 0.0,
    top_k: TopKOption = 40,
    top_p: TopPOption = 0.95,
    min_p: MinPOption = 0.05,
    repeat_penalty: RepeatPenaltyOption = 1.0,
    presence_penalty: PenaltyOption = 0.0,
    frequency_penalty: PenaltyOption = 0.0,
    seed: SeedOption = None,
    stop: StopOption = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest text to write.")] = 128,
    n_ctx: ContextOption = None,
    adapter: AdapterOption = None,
    variant: VariantOption = None,
    verify: VerifyOption = False,
    json: JsonOption = False,
) -> None:
    """Fill in what is missing in a text, such as code at the cursor."""
    from ..core.fim import Infill, fill_or_continue, prompt_room

    sampling = sampling_of(
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        repeat_penalty=repeat_penalty,
        presence_penalty=presence_penalty,
        frequency_penalty=frequency_penalty,
        seed=seed,
        stop=stop,
    )
    name, before, behind = _texts(place, prefix, suffix)
    files = [(str(path), _text(path)) for path in file or []]
    own = name if files or repo is not None else None
    infill = Infill(before, behind, form, files, own, repo)
    with (
        loaded_model(model, variant, verify=verify) as opened,
        loaded_adapters(opened, adapter) as adapters,
        opened.session(n_ctx) as session,
    ):
        session.adapters(adapters)
        room = prompt_room(session.n_ctx, max_tokens)
        prompt = fill_or_continue(opened, infill, room)
        if opened.info["fim"] is None and behind:
            note(
                f"slmweb: {opened.info['name'] or 'the model'} has no tokens to fill in text "
                "with; it goes on with what is before the place"
            )
        if prompt.dropped:
            note(
                f"slmweb: {prompt.dropped} tokens far from the place were left out; "
                "a larger --n-ctx has room for more"
            )
        pieces: list[str] = []
        with interruptible() as stopped:
            answer = session.generate(prompt.ids, sampling, max_tokens=max_tokens, stopped=stopped)
            for piece in answer:
                pieces.append(piece)
                if not json:
                    print(piece, end="", flush=True)
    if json:
        print_json({"text": "".join(pieces), "dropped_tokens": prompt.dropped, **numbers(answer)})
    else:
        print(flush=True)


def _texts(place: str | None, prefix: str | None, suffix: str | None) -> tuple[str, str, str]:
    """The file's name, what is before the place and what is behind it."""
    if prefix is not None or suffix is not None:
        if place is not None:
            raise SlmError(
                "invalid_argument",
                "a file and --prefix or --suffix name two places; leave one of them out",
            )
        return "untitled", prefix or "", suffix or ""
    path, line, column = _parse(place or "-")
    text = _text(path)
    at = _offset(text, line, column, "stdin" if str(path) == "-" else str(path))
    return "untitled" if str(path) == "-" else str(path), text[:at], text[at:]


def _parse(place: str) -> tuple[Path, int | None, int | None]:
    """FILE[:LINE[:COLUMN]]. Colons of a file that exists belong to its name."""
    found = re.fullmatch(r"(.+?):(\d+)(?::(\d+))?", place, re.S)
    if found is None or Path(place).exists():
        return Path(place), None, None
    return Path(found[1]), int(found[2]), int(found[3]) if found[3] else None


def _text(path: Path) -> str:
    return read_bytes(path).decode("utf-8", "surrogateescape")


def _offset(text: str, line: int | None, column: int | None, name: str) -> int:
    """Where the place is. Lines and columns begin at 1; by default it is the end."""
    if line is None:
        return len(text)
    lines = text.split("\n")
    if not 1 <= line <= len(lines):
        raise SlmError(
            "invalid_argument",
            f"{name} has {len(lines)} lines, and the place is in line {line}; name another",
        )
    length = len(lines[line - 1].removesuffix("\r"))
    if column is None:
        column = length + 1
    if not 1 <= column <= length + 1:
        raise SlmError(
            "invalid_argument",
            f"line {line} of {name} has {length} characters, and the place is in column {column}; "
            "name another",
        )
    return sum(len(one) + 1 for one in lines[: line - 1]) + column - 1
