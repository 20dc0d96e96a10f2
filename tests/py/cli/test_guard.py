"""No command writes over an input, however its path is spelled."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import typer.main

from slmweb.atomic import check_output, reading
from slmweb.cli.app import app
from slmweb.errors import SlmError
from slmweb.pack.sign import generate_key
from tests.py.cli.program import slmweb
from tests.py.convert import checkpoints
from tests.py.models import tiny

# Other ways to write a path; what they need lasts as long as the stack.
Spelling = Callable[[Path, contextlib.ExitStack], str]


def _other_case(path: Path, stack: contextlib.ExitStack) -> str:
    """As macOS and Windows take it; elsewhere the calls that look are made to."""
    other = path.with_name(path.name.upper())
    if not other.exists():
        for name in ("stat", "lstat", "access"):
            stack.enter_context(mock.patch.object(os, name, _folding(getattr(os, name))))
        assert other.samefile(path)
    return str(other)


def _folding(call: Callable[..., Any]) -> Callable[..., Any]:
    """The function on a file system for which A and a are one name."""

    def found(path: Any, *arguments: Any, **options: Any) -> Any:
        with contextlib.suppress(FileNotFoundError):
            if answer := call(path, *arguments, **options):  # os.access says False instead
                return answer
        as_stored = Path("/")
        for part in Path.cwd().joinpath(os.fsdecode(path)).parts[1:]:
            with contextlib.suppress(NotADirectoryError):
                names = {name.casefold(): name for name in os.listdir(as_stored)}  # noqa: PTH208
                part = part if part in names.values() else names.get(part.casefold(), part)
            as_stored /= part
        return call(as_stored, *arguments, **options)

    return found


def _mounted(path: Path, stack: contextlib.ExitStack) -> str:
    """The folder, or the file's, at a second place, which no name tells."""
    folder = path if path.is_dir() else path.parent
    place = folder.with_name("mounted")
    place.mkdir()
    stack.callback(place.rmdir)
    mount = ["mount", "--bind", str(folder), str(place)]
    done = subprocess.run(mount, capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("nothing can be mounted here")
    stack.callback(subprocess.check_call, ["umount", str(place)])
    return str(place if path.is_dir() else place / path.name)


def _of_process(path: Path, stack: contextlib.ExitStack) -> str:
    if not Path("/proc/self/cwd").exists():
        pytest.skip("there is no /proc here")
    return f"/proc/self/cwd/{os.path.relpath(path)}"


SPELLINGS: dict[str, Spelling] = {
    "the same": lambda path, stack: str(path),
    "relative": lambda path, stack: os.path.relpath(path),
    "roundabout": lambda path, stack: f"{path.parent}/../{path.parent.name}/./{path.name}",
    "more slashes": lambda path, stack: f"/{path.parent}//{path.name}/",
    "symbolic link": lambda path, stack: str(_link(path, Path.symlink_to)),
    "a linked folder": lambda path, stack: f"{_link(path.parent, Path.symlink_to)}/{path.name}",
    "the process's folder": _of_process,
    "other case": _other_case,
    "mounted twice": _mounted,
}
HARD_LINK: dict[str, Spelling] = {
    "hard link": lambda path, stack: str(_link(path, Path.hardlink_to)),
}

# By command: a command line whose output is an input, with both names to fill in. A folder is
# replaced as a whole, so no input may lie in it.
FILES = {
    "quantize": ["quantize", "{model}", "--type", "Q4_0", "-o", "{model!}"],
    "quantize, its importance matrix": [
        "quantize", "{model}", "--imatrix", "{text}", "-o", "{text!}"],
    "embed": ["embed", "{model}", "x", "--out", "{model!}"],
    "embed, its texts": ["embed", "{model}", "--file", "{text}", "--out", "{text!}"],
    "imatrix": ["imatrix", "{model}", "{text}", "-o", "{model!}"],
    "imatrix, its text": ["imatrix", "{model}", "{text}", "-o", "{text!}"],
    "convert": ["convert", "{checkpoint}", "-o", "{weights!}"],
    "convert, its configuration": ["convert", "{checkpoint}", "-o", "{config!}"],
    "sae": ["sae", "{weights}", "--model", "{model}", "-o", "{weights!}"],
    "sae, its model": ["sae", "{weights}", "--model", "{model}", "-o", "{model!}"],
    "sae, its labels": [
        "sae", "{weights}", "--model", "{model}", "--labels", "{text}", "-o", "{text!}"],
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


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


def contents(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def test_every_command_that_writes_is_tried() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    writing = {n for n, c in commands.items() if any(p.name == "out" for p in c.params)}
    assert writing == OTHERS | {line[0] for line in (*FILES.values(), *FOLDERS.values())}


@pytest.mark.parametrize("spelling", SPELLINGS | HARD_LINK)
@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_read_is_not_written(
    case: str, spelling: str, world: dict[str, Path], tmp_path: Path, stack: contextlib.ExitStack
) -> None:
    target = next(world[a[1:-2]] for a in FILES[case] if a.endswith("!}"))
    spelled = (SPELLINGS | HARD_LINK)[spelling](target, stack)
    before = contents(tmp_path)
    line = [spelled if a.endswith("!}") else a.format(**world) for a in FILES[case]]
    done = slmweb(*line)
    assert done.returncode == 2
    assert b"would be lost" in done.stderr
    assert contents(tmp_path) == before


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("case", FOLDERS)
def test_a_folder_with_an_input_is_not_replaced(
    case: str, spelling: str, world: dict[str, Path], tmp_path: Path, stack: contextlib.ExitStack
) -> None:
    *line, out = FOLDERS[case]
    spelled = SPELLINGS[spelling](world[out[1:-1]], stack)
    before = contents(tmp_path)
    done = slmweb(*(a.format(**world) for a in line), spelled)
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


def test_another_case_of_an_earlier_output_is_replaced(
    world: dict[str, Path], tmp_path: Path
) -> None:
    out = world["checkpoint"] / "MODEL.GGUF"
    for _ in range(2):
        assert slmweb("convert", str(world["checkpoint"]), "-o", str(out)).returncode == 0


@pytest.mark.parametrize("name", ["results.json", "report.md", "report.html", "items.jsonl"])
def test_a_report_is_not_written_over_its_data(
    name: str, world: dict[str, Path], tmp_path: Path
) -> None:
    data = tmp_path / "report" / name
    data.parent.mkdir()
    data.write_text('{"text": "one two three four"}\n')
    before = contents(tmp_path)
    line = ["eval", str(world["model"]), "--data", str(data), "--task", "perplexity"]
    done = slmweb(*line, "-o", str(data.parent))
    assert done.returncode == 2
    assert b"would be lost" in done.stderr
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["0" * 64, "manifest.json"])
def test_a_pack_neither_writes_nor_deletes_its_model(
    name: str, world: dict[str, Path], tmp_path: Path
) -> None:
    """What has the name of a chunk and is none of the pack's is deleted, but for inputs."""
    model = world["model"].rename(world["around"] / name)
    before = contents(tmp_path)
    done = slmweb("pack", str(model), "-o", str(world["around"]), "--name", "x")
    assert done.returncode == 2
    assert b"would be lost" in done.stderr
    assert contents(tmp_path) == before


def test_a_pack_is_not_signed_over_its_key(world: dict[str, Path], tmp_path: Path) -> None:
    generate_key(key := world["around"] / "manifest.json.sig")
    before = contents(tmp_path)
    line = ["pack", str(world["model"]), "-o", str(world["around"]), "--sign", str(key)]
    assert slmweb(*line).returncode == 2
    assert contents(tmp_path) == before


def test_a_pull_spares_its_registry(world: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    registry = out / "config.json"
    registry.write_text("")  # TOML, and no models
    before = contents(tmp_path)
    line = ["pull", str(world["checkpoint"]), "-o", str(out), "--registry", str(registry)]
    done = slmweb(*line)
    assert done.returncode == 2
    assert b"would be lost" in done.stderr
    assert contents(tmp_path) == before


def test_a_pull_follows_no_link_back_to_its_model(world: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "config.json").symlink_to(world["weights"])
    before = contents(world["checkpoint"])
    elsewhere = OSError(errno.EXDEV, "Invalid cross-device link")
    with mock.patch.object(os, "link", side_effect=elsewhere):
        done = slmweb("pull", str(world["checkpoint"]), "-o", str(out))
    assert done.returncode == 2
    assert b"would be lost" in done.stderr
    assert contents(world["checkpoint"]) == before


def test_an_icon_that_a_file_names_is_an_input(world: dict[str, Path], tmp_path: Path) -> None:
    """A site is replaced with all that lies in its folders."""
    model, site = str(world["model"]), tmp_path / "site"
    icon, toml = site / "assets" / "mine.svg", tmp_path / "site.toml"
    line = ["bundle", model, "-o", str(site), "--site", str(toml)]
    toml.write_text("")
    assert slmweb(*line).returncode == 0
    icon.write_text('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"/>')
    toml.write_text('icon = "site/assets/mine.svg"')
    before = contents(tmp_path)
    done = slmweb(*line)
    assert done.returncode == 2
    assert b"which would be replaced" in done.stderr
    assert contents(tmp_path) == before


def test_only_what_is_read_now_is_protected(tmp_path: Path) -> None:
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    inner.touch()
    outer.touch()
    with reading([outer, tmp_path / "absent"]):
        with reading([inner]):
            for path in (inner, outer):
                with pytest.raises(SlmError, match="would be lost"):
                    check_output(path)
        check_output(inner)
        check_output(tmp_path / "absent")
    check_output(outer)
