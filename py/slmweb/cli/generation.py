"""What the commands that write text share: how it is sampled, stopped and accounted for."""

from __future__ import annotations

import contextlib
import secrets
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import SlmError
from .common import finite

if TYPE_CHECKING:
    from ..core.session import Generation, Sampling

TemperatureOption = Annotated[
    float, typer.Option(min=0, max=100, callback=finite, help="Randomness; 0 is greedy.")
]
TopKOption = Annotated[int, typer.Option(min=0, help="Keep the k likeliest tokens; 0 is off.")]
TopPOption = Annotated[
    float, typer.Option(min=0, max=1, callback=finite, help="Nucleus; 1 is off.")
]
MinPOption = Annotated[
    float, typer.Option(min=0, max=1, callback=finite, help="Least share of the likeliest.")
]
RepeatPenaltyOption = Annotated[
    float, typer.Option(min=0.01, max=100, callback=finite, help="1 is off.")
]
PenaltyOption = Annotated[float, typer.Option(min=-100, max=100, callback=finite, help="0 is off.")]
SeedOption = Annotated[
    int | None,
    typer.Option(
        min=0, max=2**53, help="Same seed, same text; by default random.", show_default=False
    ),
]
StopOption = Annotated[
    list[str] | None, typer.Option(help="End the answer before this text; repeatable.")
]


def sampling_of(*, seed: int | None, stop: list[str] | None, **options: float) -> Sampling:
    """From the options above. Raises SlmError "invalid_argument"."""
    from ..core.session import Sampling

    for text in stop or []:
        if not 1 <= len(text.encode("utf-8", "surrogateescape")) <= 256:
            raise SlmError("invalid_argument", "a --stop text has 1 to 256 bytes; change it")
    drawn = secrets.randbits(53) if seed is None else seed
    return Sampling(**options, seed=drawn, stop=stop or [])  # type: ignore[arg-type]


def numbers(answer: Generation) -> dict[str, Any]:
    """What --json says of an answer beside its text."""
    return {
        "finish_reason": answer.finish_reason,
        "usage": {
            "prompt_tokens": len(answer.prompt),
            "completion_tokens": len(answer.ids),
            "total_tokens": len(answer.prompt) + len(answer.ids),
            "prompt_tokens_details": {"cached_tokens": answer.cached},
        },
        "timings": {
            "prefill_seconds": answer.prefill_seconds,
            "decode_seconds": answer.decode_seconds,
        },
    }


@contextlib.contextmanager
def interruptible() -> Iterator[Any]:
    """Turns the first Ctrl-C into a request to stop; yields a function that tells of it.

    A second one is a KeyboardInterrupt, in case the first is not heard.
    """
    asked = False

    def ask(number: int, frame: object) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)
