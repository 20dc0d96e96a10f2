"""The `slmweb` program: its commands, and the one place where errors become exit codes.

0 is success, 1 failure, 2 a command line that makes no sense, 130 Ctrl-C. An
error is one sentence on stderr, never a traceback (SLMWEB_DEBUG=1 shows it).
The commands import what they need when they run, so that --help is fast.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from .. import __version__
from ..errors import SlmError, os_reason
from . import (
    bench,
    build,
    bundle,
    chat,
    complete,
    convert,
    doctor,
    embed,
    inspect,
    logits,
    look,
    models,
    pack,
    plan,
    pull,
    quantize,
    sae,
    screen,
    serve,
    sign,
    text,
)
from . import eval as evaluation
from .outputs import GuardedTyper

app = GuardedTyper(
    name="slmweb",
    help="Small language models that run in the browser, and the tools that prepare them.",
    epilog="Example: slmweb chat MODEL.gguf",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for module in (
    serve,
    chat,
    complete,
    inspect,
    look,
    text,
    logits,
    embed,
    evaluation,
    screen,
    bench,
    models,
    pull,
    plan,
    convert,
    quantize,
    sae,
    pack,
    sign,
    bundle,
    build,
    doctor,
):
    module.register(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"slmweb {__version__}")
        raise typer.Exit


@app.callback()
def _global_options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    pass


def run(arguments: Sequence[str]) -> int:
    """Runs the program and returns its exit status."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character must not end the program.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        status = app(args=list(arguments), standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except SlmError as error:
        return _fail(error.message, error.exit_status, error)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        # Whoever read us has seen enough. Python's own flush at exit must not
        # meet the broken pipe again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except typer.TyperException as error:
        # Usage errors (no public name in typer) bring their own exit code.
        code: int = getattr(error, "exit_code", 2)
        sentence = _one_line(getattr(error, "format_message", error.__str__)())
        command = getattr(getattr(error, "ctx", None), "command_path", "slmweb")
        if not sentence:  # a bare `slmweb` has printed its help
            return code
        return _fail(f"{sentence.rstrip('.')}; see `{command} --help`", code, error)
    except OSError as error:
        # What nobody had expected to be refused; the machine's doing, not a fault of slmweb.
        what = f"use {error.filename}" if error.filename else "go on"
        return _fail(f"cannot {what}: {os_reason(error)}", 1, error)
    except MemoryError as error:
        return _fail("there is not enough memory; use a smaller model or context", 1, error)
    except Exception as error:
        what = _one_line(f"{type(error).__name__}: {error}")
        return _fail(
            f"slmweb failed in a way that it should not ({what}); please report it, "
            "with the trace that SLMWEB_DEBUG=1 shows",
            1,
            error,
        )


def _fail(sentence: str, status: int, error: BaseException) -> int:
    if os.environ.get("SLMWEB_DEBUG"):
        traceback.print_exception(error, file=sys.stderr)
    # A file's name may hold anything; the sentence stays one line.
    shown = "".join(c if c.isprintable() else "?" for c in sentence)
    print(f"slmweb: {shown}", file=sys.stderr)
    return status


def _one_line(text: str) -> str:
    return " ".join(text.split())
