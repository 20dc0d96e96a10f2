"""No command writes over what it reads: every command's class.

Owns which of a command's parameters are inputs. That an output is one of them
is found in atomic.py, whatever the command; here it is also asked before any
work is done, since a conversion takes minutes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from ..atomic import check_output, reading
from ..errors import SlmError

OUT = "out"  # every command's parameter for what it writes
# What is worked on where it lies: a packed model that is signed.
IN_PLACE = "folder"
# How a parameter is shown whose text names a file, with more behind it.
PATH_METAVARS = ("FILE", "DIR", "PUB")


class GuardedCommand(TyperCommand):
    """Protects the files that the command's parameters name, apart from its output."""

    def invoke(self, ctx: Any) -> Any:
        files: list[Path] = []
        for parameter in self.params:
            if parameter.name not in (OUT, IN_PLACE):
                texts = str(getattr(parameter, "metavar", None)).startswith(PATH_METAVARS)
                for path in named(ctx.params.get(parameter.name or ""), texts):
                    files += expand(path)
        with reading(files):
            out = ctx.params.get(OUT)
            if isinstance(out, Path) and not out.is_dir():
                check_output(out)
            return super().invoke(ctx)


def named(value: object, texts: bool) -> Iterator[Path]:
    """The existing paths in a parameter's value; in `texts` also FILE of FILE:SCALE, FILE=TITLE."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, str) and texts:
        for text in (value, value.rpartition(":")[0], value.partition("=")[0]):
            with contextlib.suppress(OSError, ValueError):
                if text and Path(text).exists():
                    yield Path(text)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from named(item, texts)


def expand(path: Path) -> Iterator[Path]:
    """The files that are read where `path` is named: all of a split set, all of a folder. Not a
    checkpoint's GGUFs, which are earlier outputs."""
    from ..core.files import model_files

    if path.is_dir():
        yield from (file for file in path.rglob("*") if file.suffix.lower() != ".gguf")
        return
    yield path
    with contextlib.suppress(SlmError):
        yield from model_files([path])


class GuardedTyper(typer.Typer):
    """A program all of whose commands are guarded."""

    def command(self, *arguments: Any, **options: Any) -> Any:
        return super().command(*arguments, **{"cls": GuardedCommand, **options})
