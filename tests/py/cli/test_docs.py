"""What the documents tell a person to type exists: commands with their options, make's targets.

Nothing is executed. The program reads each command line as if it were typed, up to where the
command would begin.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from slmweb.cli.app import app
from slmweb.cli.outputs import GuardedCommand
from tests.py.cli.program import slmweb

ROOT = Path(__file__).parents[3]
DOCUMENTS = (
    *(ROOT / "README.md", ROOT / "CONTRIBUTING.md"),
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "docs/benchmarks/LOG.md",
)
# What the programs print and the page says.
SOURCES = [
    path
    for folder, kinds in (("py", ("py", "j2", "toml")), ("web/src", ("ts",)))
    for kind in kinds
    for path in sorted((ROOT / folder).rglob(f"*.{kind}"))
]
# Options of other programs that docs/ mentions.
FOREIGN = {"--bind", "--config", "--directory", "--pure"}

_FENCE = re.compile(r"^```.*?\n(.*?)^```", re.M | re.S)
_INLINE = re.compile(r"`((?:python -m )?slmweb [a-z][^`]*)`")
_LINE = re.compile(r"(?:python -m )?slmweb (.*)", re.S)


def fenced(text: str) -> Iterator[str]:
    """The lines of code, each with what a backslash or an open quote continues."""
    for block in _FENCE.findall(text):
        whole = ""
        for line in block.replace("\\\n", " ").splitlines():
            whole += line
            try:
                shlex.split(whole, comments=True)
            except ValueError:
                whole += "\n"
                continue
            yield whole
            whole = ""


def commands_of(path: Path) -> Iterator[str]:
    for line in fenced(path.read_text()):
        if (match := _LINE.fullmatch(line.strip())) is not None:
            yield match[1]


def mentions_of(path: Path) -> Iterator[str]:
    """Commands in running text, which may leave out what the sentence is not about."""
    text = re.sub(r"\{quote\(.*?\)+\}", "X", path.read_text().replace("\\`", "`"))
    for found in _INLINE.findall(_FENCE.sub("", text)):
        match = _LINE.fullmatch(" ".join(found.split()))
        assert match is not None
        yield match[1]


WRITTEN = sorted({(path, line) for path in DOCUMENTS for line in commands_of(path)})
MENTIONED = sorted({(p, line) for p in (*DOCUMENTS, *SOURCES) for line in mentions_of(p)})


def name_of(value: object) -> str:
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else str(value)


@pytest.fixture(autouse=True)
def _nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(command: GuardedCommand, context: Any) -> None:
        pass

    monkeypatch.setattr(GuardedCommand, "invoke", nothing)


@pytest.mark.parametrize(("path", "line"), WRITTEN, ids=name_of)
def test_a_command_can_be_typed(path: Path, line: str) -> None:
    done = slmweb(*shlex.split(line, comments=True))
    assert (done.returncode, done.stderr.decode()) == (0, "")


@pytest.mark.parametrize(("path", "line"), MENTIONED, ids=name_of)
def test_a_command_that_is_mentioned_exists(path: Path, line: str) -> None:
    done = slmweb(*shlex.split(line))
    unsaid = re.match(rb"slmweb: (Missing|Option '.*' requires an argument)", done.stderr)
    assert done.returncode == 0 or unsaid, done.stderr.decode()


def test_enough_was_found() -> None:
    """An expression that matches nothing would pass."""
    assert len(WRITTEN) > 30
    assert {path.name for path, _ in WRITTEN} >= {"README.md", "bundle.md", "evaluate.md"}
    assert len(MENTIONED) > 30
    assert {path.suffix for path, _ in MENTIONED} == {".md", ".py", ".ts", ".toml"}


@pytest.mark.parametrize("name", sorted(typer.main.get_command(app).commands))  # type: ignore[attr-defined]
def test_the_example_of_the_help_can_be_typed(name: str) -> None:
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    example = command.epilog.removeprefix("Example: slmweb ").partition(" < ")[0]
    done = slmweb(*shlex.split(example))
    assert (done.returncode, done.stderr.decode()) == (0, "")


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("*.md")), ids=name_of)
def test_an_option_that_is_mentioned_exists(path: Path) -> None:
    commands = typer.main.get_command(app).commands.values()  # type: ignore[attr-defined]
    known = {option for c in commands for p in c.params for option in (*p.opts, *p.secondary_opts)}
    # ARGS are for what make runs.
    text = re.sub(r'ARGS=("[^"]*"|\S+)', "", path.read_text())
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", text))
    assert named <= known | FOREIGN | {"--help"}


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_a_target_of_make_exists(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    text = path.read_text()
    lines = [*fenced(text), *re.findall(r"`([^`]+)`", _FENCE.sub("", text))]
    asked = {m[1] for line in lines if (m := re.match(r"(?:[A-Z]+=\S+ )*make ([a-z-]+)", line))}
    assert asked <= targets
