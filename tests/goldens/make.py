"""Makes the golden files again: `make goldens`, or some of them with
`make goldens ARGS="logits tokens"`. Runs in .venv-goldens (torch, transformers,
llama.cpp), which the Makefile installs. Golden files are committed, so this is
for who changes what they are made of, or wants to see that they still hold:
`git diff` afterwards shows what moved.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from tests.goldens import real_models

HOW = {
    "smollm2": "run `make model`",
    "gemma3-270m": "having read its terms, run "
    "`.venv/bin/python build/model.py gemma3-270m --accept-license --gguf-only`",
}


def models() -> dict[str, Path]:
    """Both real models: goldens of one would be older than those of the other."""
    found = {name: real_models.find(name) for name in real_models.REAL_MODELS}
    for name, path in found.items():
        if path is None:
            sys.exit(f"the goldens need {name}, which is not in dist/gguf; {HOW[name]}")
    return {name: path for name, path in found.items() if path is not None}


def generator(name: str) -> Callable[..., None]:
    """Imported when it is its turn: the logits need torch, the tokens do not."""
    main: Callable[..., None] = import_module(f"tests.goldens.make_{name}").main
    return main


STEPS: dict[str, Callable[[], None]] = {
    "logits": lambda: generator("logits")(),
    "answers": lambda: generator("answers")(),
    "inside": lambda: generator("inside")(),
    "tokens": lambda: generator("tokens")(models()),
    "distributions": lambda: generator("distributions")(models()),
    "templates": lambda: generator("templates")(models()["smollm2"]),
}


def main(arguments: list[str]) -> None:
    if strange := [name for name in arguments if name not in STEPS]:
        sys.exit(f"there are no goldens named {', '.join(strange)}; choose from {', '.join(STEPS)}")
    os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
    for name in arguments or STEPS:
        print(f"goldens: {name}", flush=True)
        STEPS[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
