"""No command writes over an input, however its path is spelled."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import typer.main

from slmweb.cli.app import app
from tests.py.cli.program import slmweb
from tests.py.convert import checkpoints
from tests.py.models import tiny

SPELLINGS: dict[str, Callable[[Path], str]] = {
    "the same": str,
    "relative": lambda path: os.path.relpath(path),
    "roundabout": lambda path: f"{path.parent}/../{path.parent.name}/./{path.name}",
    "symbolic link": lambda path: str(_link(path, Path.symlink_to)),
    "hard link": lambda path: str(_link(path, Path.hardlink_to)),
}

# By command: a command line whose output is an input, with both names to fill in. A folder is
# replaced as a whole, so no input may lie in it.
FILES = {
    "quantize": ["quantize", "{model}", "--type", "Q4_0", "-o", "{model!}"],
    "quantize, its importance matrix": [
        "quantize", "{model}", "--imatrix", "{text}", "-o", "{text!}"],
    "imatrix": ["imatrix", "{model}", "{text}", "-o", "{model!}"],
    "imatrix, its text": ["imatrix", "{model}", "{text}", "-o", "{text!}"],
    "convert": ["convert", "{checkpoint}", "-o", "{weights!}"],
    "convert, its configuration": ["convert", "{checkpoint}", "-o", "{config!}"],
    "logits": ["logits", "{model}", "--ids", "1,2", "--out", "{model!}"],
}  # fmt: skip
FOLDERS = {
    "bundle": ["bundle", "{model}", "-o", "{around}"],
    "build": ["build", "{model}", "-o", "{around}"],
    "build, a checkpoint": ["build", "{checkpoint}", "-o", "{checkpoint}"],
}
# Commands that write under names of their own, which are no inputs or are refused by what they
# hold: their tests are with them.
OTHERS = {"pack", "pull", "eval", "keygen"}


def _link(path: Path, make: Callable[[Path, Path], None]) -> Path:
    link = path.with_name(f"link-{path.name}")
    make(link, path)
    return link


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    around = tmp_path / "around"
    around.mkdir()
    small = checkpoints.models()["llama"]
    checkpoint = checkpoints.save(
        tmp_path / "checkpoint", checkpoints.model_of(small), checkpoints.tokenizer_of(small)
    )
    text = tmp_path / "text.gguf"
    text.write_text("some words " * 50)
    shutil.copyfile(tiny("llama", tmp_path), model := around / "model.gguf")
    monkeypatch.chdir(tmp_path)
    return {
        "model": model,
        "around": around,
        "text": text,
        "checkpoint": checkpoint,
        "weights": checkpoint / "model.safetensors",
        "config": checkpoint / "config.json",
    }


def contents(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def test_every_command_that_writes_is_tried() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    writing = {n for n, c in commands.items() if any(p.name == "out" for p in c.params)}
    assert writing == OTHERS | {line[0] for line in (*FILES.values(), *FOLDERS.values())}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_read_is_not_written(
    case: str, spelling: str, world: dict[str, Path], tmp_path: Path
) -> None:
    spell = SPELLINGS[spelling]
    target = next(world[a[1:-2]] for a in FILES[case] if a.endswith("!}"))
    spelled = spell(target)
    before = contents(tmp_path)
    line = [spelled if a.endswith("!}") else a.format(**world) for a in FILES[case]]
    done = slmweb(*line)
    assert done.returncode == 2
    assert b"would be lost" in done.stderr
    assert contents(tmp_path) == before


@pytest.mark.parametrize("case", FOLDERS)
def test_a_folder_with_an_input_is_not_replaced(
    case: str, world: dict[str, Path], tmp_path: Path
) -> None:
    before = contents(tmp_path)
    done = slmweb(*(a.format(**world) for a in FOLDERS[case]))
    assert done.returncode == 2, done.stderr
    assert b"which would be replaced" in done.stderr
    assert contents(tmp_path) == before


def test_an_earlier_output_is_replaced(world: dict[str, Path], tmp_path: Path) -> None:
    out = world["checkpoint"] / "model.gguf"
    for _ in range(2):
        assert slmweb("convert", str(world["checkpoint"]), "-o", str(out)).returncode == 0
    small = tmp_path / "small.gguf"
    for _ in range(2):
        assert slmweb("quantize", str(out), "--type", "Q8_0", "-o", str(small)).returncode == 0


def test_a_report_is_not_written_over_its_data(world: dict[str, Path], tmp_path: Path) -> None:
    data = tmp_path / "report" / "results.json"
    data.parent.mkdir()
    data.write_text('{"text": "one two three four"}\n')
    before = data.read_bytes()
    line = ["eval", str(world["model"]), "--data", str(data), "--task", "perplexity"]
    done = slmweb(*line, "-o", str(data.parent))
    assert done.returncode == 2
    assert b"would be lost" in done.stderr
    assert data.read_bytes() == before
