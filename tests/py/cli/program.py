"""Runs the program as a shell would, but inside the test's process: a start of
Python costs more than most commands. What only a real process shows (signals,
pipes, terminals, start-up time) is tested with one.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from unittest import mock

from slmweb.cli.app import run


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: bytes
    stderr: bytes


def slmweb(*arguments: str, text: bytes = b"", env: Mapping[str, str] | None = None) -> Done:
    """Runs `slmweb arguments` with `text` on stdin."""
    out, err = io.BytesIO(), io.BytesIO()
    with (
        mock.patch.dict(os.environ, env or {}),
        mock.patch("sys.stdin", io.TextIOWrapper(io.BytesIO(text), "utf-8")),
        contextlib.redirect_stdout(io.TextIOWrapper(out, "utf-8", write_through=True)),
        contextlib.redirect_stderr(io.TextIOWrapper(err, "utf-8", write_through=True)),
    ):
        status = run(arguments)
        return Done(status, out.getvalue(), err.getvalue())
