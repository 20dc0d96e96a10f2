"""What the commands share: options, input, output and progress.

Owns how things are read from and shown to a person; computes nothing.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from ..errors import SlmError, os_reason
from ..jsonable import jsonable
from ..sizes import bytes_text as bytes_text

if TYPE_CHECKING:
    from ..core.adapter import Adapter
    from ..core.guard import PicturePolicy, Policy
    from ..core.model import Model
    from ..core.sae import Sae
    from ..core.session import Session

_Policy = TypeVar("_Policy", bound="Policy")
Variant = Literal["relaxed", "simd"]
Backend = Literal["auto", "webgpu", "cpu"]


def finite(value: float | None) -> float | None:
    """A typer callback: ranges let NaN pass, since it is neither below nor above."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a finite number.")
    return value


ModelArgument = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL.gguf",
        help="The model; any file of a split set stands for all of them. Or a packed folder.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
VariantOption = Annotated[
    Variant | None,
    typer.Option(
        help="The compiled core to run; by default the fastest that works here.",
        show_default=False,
    ),
]
BackendOption = Annotated[
    Backend | None,
    typer.Option(
        help="Where the page's engine computes: a GPU if it is a real one, a GPU, or the CPU.",
        show_default=False,
    ),
]
ContextOption = Annotated[
    int | None,
    typer.Option(
        "--n-ctx",
        min=4,
        max=1 << 20,
        help="Context length in tokens; by default the model's, at most 2048.",
        show_default=False,
    ),
]
AdapterOption = Annotated[
    list[str] | None,
    typer.Option(
        "--adapter",
        metavar="FILE.gguf[:SCALE]",
        help="A LoRA adapter of the model, at this scale (1); repeatable, to mix several.",
        show_default=False,
    ),
]


SaeOption = Annotated[
    Path | None,
    typer.Option(
        "--sae",
        metavar="FILE.gguf",
        help="A sparse autoencoder of the model, of `slmweb sae`.",
        show_default=False,
    ),
]
SteerOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FEATURE:SCALE",
        help="With --sae: add so many times a feature's direction behind its layer, in the unit of "
        "its activations; repeatable.",
    ),
]


PolicyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--policy",
        metavar="NAME[=TEXT]",
        help="A rule: dangerous, harassment, hate, sexual, of a picture dangerous, sexual, "
        "violence, or one in plain words with a name of your own; repeatable.",
        show_default="all of those",
    ),
]
ThresholdOption = Annotated[
    float,
    typer.Option(
        min=0,
        max=1,
        callback=finite,
        help="The probability from which on a text counts as violating.",
    ),
]
VerifyOption = Annotated[
    bool,
    typer.Option(
        "--verify",
        help="Hold a packed model to its known answer first, and stop where it is not that.",
    ),
]


def parse_policies(options: list[str] | None) -> tuple[Policy, ...]:
    """The rules that --policy names, by default the built-in ones.

    Raises SlmError "invalid_argument".
    """
    from ..core.guard import BUILT_IN, Policy

    return _policies(Policy, options) or BUILT_IN


def parse_picture_policies(options: list[str] | None) -> tuple[PicturePolicy, ...]:
    """The same of rules for pictures."""
    from ..core.guard import PICTURES_BUILT_IN, PicturePolicy

    return _policies(PicturePolicy, options) or PICTURES_BUILT_IN


def _policies(kind: type[_Policy], options: list[str] | None) -> tuple[_Policy, ...]:
    found = []
    for option in options or []:
        name, own, text = option.partition("=")
        found.append(kind(name.strip(), text.strip() if own else None))
    if len({policy.name for policy in found}) < len(found):
        raise SlmError("invalid_argument", "two --policy have one name; give each its own")
    return tuple(found)


@contextlib.contextmanager
def loaded_model(path: Path, variant: Variant | None, *, verify: bool = False) -> Iterator[Model]:
    """The model of a file, its loading shown; with `verify` held to its pack's known answer.

    Raises SlmError: what `Model.open` and `known_answer.verify` raise.
    """
    from ..core.model import Model
    from ..pack import known_answer

    with progress_bar(f"loading {path.name}", "bytes") as progress:
        model = Model.open(path, variant=variant, progress=progress)
    with model:
        if verify:
            known_answer.verify(model, path)
        yield model


@contextlib.contextmanager
def loaded_adapters(
    model: Model, options: list[str] | None
) -> Iterator[list[tuple[Adapter, float]]]:
    """The adapters that --adapter names with their scales, for `Session.adapters`.

    Raises SlmError: what `Model.load_adapter` raises, and "invalid_argument".
    """
    with contextlib.ExitStack() as stack:
        used = []
        for path, scale in map(parse_adapter, options or []):
            with progress_bar(f"loading {path.name}", "bytes") as progress:
                adapter = stack.enter_context(model.load_adapter(path, progress=progress))
            used.append((adapter, scale))
        yield used


@contextlib.contextmanager
def loaded_sae(model: Model, file: Path) -> Iterator[Sae]:
    """Raises SlmError: what `Model.load_sae` raises."""
    with progress_bar(f"loading {file.name}", "bytes") as progress:
        sae = model.load_sae(file, progress=progress)
    with sae:
        yield sae


def steer(session: Session, file: Path | None, options: list[str] | None) -> None:
    """Steers by the features that --steer names, of the SAE that --sae does; its directions stay
    when it is closed. Raises SlmError "invalid_argument", or what loading and steering raise."""
    if (file is None) != (not options):
        raise SlmError(
            "invalid_argument", "--steer names features of an SAE; give --sae FILE and --steer both"
        )
    if file is None:
        return
    with loaded_sae(session.model, file) as sae:
        for feature, scale in map(parse_steering, options or []):
            session.steer_by(sae, feature, scale)


def parse_steering(option: str) -> tuple[int, float]:
    """FEATURE:SCALE. Raises SlmError "invalid_argument"."""
    feature, _, text = option.partition(":")
    with contextlib.suppress(ValueError):
        if math.isfinite(scale := float(text)) and feature.isdecimal():
            return int(feature), scale
    raise SlmError(
        "invalid_argument", f"--steer {option!r} is not of the form FEATURE:SCALE, as in 1234:40"
    )


def parse_adapter(option: str) -> tuple[Path, float]:
    """FILE or FILE:SCALE. A colon that no number follows belongs to the file's name."""
    name, colon, text = option.rpartition(":")
    if colon and not Path(option).exists():
        with contextlib.suppress(ValueError):
            scale = float(text)
            if not math.isfinite(scale):
                raise SlmError(
                    "invalid_argument",
                    f"--adapter {option!r} has the scale {text}; give a finite number",
                )
            return Path(name), scale
    return Path(option), 1.0


def print_json(value: Any) -> None:
    """One line of JSON on stdout; NaN and infinity, which JSON has not, become null."""
    print(json.dumps(jsonable(value), ensure_ascii=False, allow_nan=False), flush=True)


def print_table(rows: list[tuple[str, str]]) -> None:
    """Labels and values in two columns; nothing that a pipe would have to strip."""
    width = max(len(label) for label, _ in rows)
    for label, value in rows:
        print(f"{label:<{width}}  {value}")


def print_columns(rows: list[list[str]]) -> None:
    """Rows of cells, the first column to the left and the others to the right."""
    print("\n".join(columns(rows)))


def columns(rows: list[list[str]]) -> list[str]:
    """The lines that `print_columns` prints; rows may be short."""
    width = max(len(row) for row in rows)
    filled = [row + [""] * (width - len(row)) for row in rows]
    widths = [max(len(row[i]) for row in filled) for i in range(width)]
    lines = []
    for row in filled:
        cells = [
            f"{cell:<{w}}" if i == 0 else f"{cell:>{w}}"
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def note(sentence: str) -> None:
    """Something to know that is not the answer: stderr."""
    print(sentence, file=sys.stderr, flush=True)


def read_bytes(path: Path | None) -> bytes:
    """The bytes of a file, or of stdin for None and "-". Raises SlmError "unreadable"."""
    try:
        if path is None or str(path) == "-":
            return sys.stdin.buffer.read()
        return path.read_bytes()
    except OSError as error:
        name = "stdin" if path is None else str(path)
        raise SlmError("unreadable", f"cannot read {name}: {os_reason(error)}") from None


def parse_ids(text: str) -> list[int]:
    """Token ids from "1,2,3", "1 2 3", "[1, 2]" or what `tokenize --json` prints.

    Raises SlmError "invalid_argument".
    """
    stripped = text.strip()
    if stripped.startswith("{"):
        with contextlib.suppress(ValueError):
            found = json.loads(stripped).get("ids")
            stripped = json.dumps(found) if isinstance(found, list) else stripped
    pieces = [piece for piece in re.split(r"[\s,]+", stripped.strip("[]")) if piece]
    for piece in pieces:
        if not re.fullmatch(r"[0-9]{1,10}", piece):
            shown = piece if len(piece) < 40 else piece[:37] + "..."
            raise SlmError(
                "invalid_argument",
                f"the token id {shown!r} is not a number; give ids as in 1,2,3",
            )
    if not pieces:
        raise SlmError("invalid_argument", "there are no token ids; give some as in 1,2,3")
    return [int(piece) for piece in pieces]


@contextlib.contextmanager
def progress_bar(
    label: str, unit: Literal["bytes", "tokens", "items"]
) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr while the block runs, if somebody watches; yields callback(done, total)."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    amount = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
    columns = (TextColumn(label), BarColumn(), amount, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def count_text(n: int) -> str:
    """A number with thousands separated, e.g. 134,515,008."""
    return f"{n:,}"
