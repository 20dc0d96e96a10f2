"""Files and folders that a command can do nothing with: of each kind, in each command that takes
one, it is one sentence that names the file, and nothing is left half-written.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from slmweb.pack.pack import pack
from slmweb.pack.sign import generate_key
from tests.goldens.tiny_adapters import LAW, write_adapter
from tests.goldens.tiny_models import MODELS
from tests.py.cli.program import Done, slmweb
from tests.py.cli.rights import ordinary
from tests.py.convert import checkpoints

# Command lines with one input to be spoiled, `{name?}`. The others are good, and `{out}` is new.
INPUTS = (
    "inspect {model?}",
    "tokenize {model?} --text x",
    "detokenize {model?} --ids 1",
    "logits {model?} --ids 1 --out {out}",
    "perplexity {model?} {text}",
    "perplexity {model} {text?}",
    "perplexity {model} {text} --adapter {adapter?}",
    "bench {model?} --prompt 1 --generate 1",
    "chat {model?} -p x",
    "chat {model} -p x --adapter {adapter?}",
    "eval {model?} --data {data} --task perplexity",
    "eval {model} --data {data?} --task perplexity",
    "eval {model} --reference {model?} --data {data} --task perplexity",
    "convert {checkpoint?} -o {out}",
    "convert {checkpoint} --adapter {lora?} -o {out}",
    "convert {checkpoint} --adapter {lora?}:0.5 -o {out}",
    "convert {lora} --base {checkpoint?} --adapter-only -o {out}",
    "convert {lora?} --base {checkpoint} --adapter-only -o {out}",
    "quantize {model?} --type Q8_0 -o {out}",
    "quantize {model} --type Q8_0 --imatrix {imatrix?} -o {out}",
    "imatrix {model?} {text} -o {out}",
    "imatrix {model} {text?} -o {out}",
    "pack {model?} -o {out}",
    "pack {model} --adapter {adapter?} -o {out}",
    "pack {model} --sae {sae?} -o {out}",
    "pack {model} --sign {key?} -o {out}",
    "sign {packed?} --key {key}",
    "sign {packed} --key {key?}",
    "verify {packed?}",
    "verify {packed} --key {pub?}",
    "bundle {model?} -o {out}",
    "bundle {packed?} -o {out}",
    "bundle {packed} --site {site?} -o {out}",
    "bundle {packed} --icon {icon?} -o {out}",
    "bundle {packed} --public-key {pub?} -o {out}",
    "build {checkpoint?} -o {out}",
    "build {model?} -o {out}",
    "build {checkpoint} --adapter {lora?} -o {out}",
    "build {model} --sign {key?} -o {out}",
    "build {model} --icon {icon?} -o {out}",
    # An address of others: no server begins, should the input be taken.
    "serve --host 203.0.113.7 --models {models?}",
    "serve --host 203.0.113.7 --public-key {pub?}",
    "serve --host 203.0.113.7 --site {site?}",
    "pull {model?} -o {out}",
    "pull {checkpoint?} -o {out}",
    "pull smollm2 --registry {registry?} -o {out}",
    "plan {model?}",
    "plan {checkpoint?}",
    "plan {packed?}",
    "plan {model} --device {device?}",
)
FOLDERS = ("checkpoint", "lora", "packed", "models")
SPOILED = ("absent", "other kind", "empty", "noise", "unreadable")
# What is no mistake: any text can be read, an empty table says nothing, no model is none, and what
# a checkpoint says is not looked at when it is fetched.
GOOD = {
    ("perplexity {model} {text?}", "noise"),
    ("imatrix {model} {text?} -o {out}", "noise"),
    ("bundle {packed} --site {site?} -o {out}", "empty"),
    ("serve --host 203.0.113.7 --site {site?}", "empty"),
    ("serve --host 203.0.113.7 --models {models?}", "empty"),
    ("serve --host 203.0.113.7 --models {models?}", "noise"),
    ("pull {checkpoint?} -o {out}", "noise"),
}
# Where the sentence is about what is in the file, which needs no name to be found.
NAMELESS = {("text", "empty"), ("registry", "empty")}
NOISE = bytes(range(255, -1, -1)) * 8

# Command lines by what they write.
FILES = (
    "logits {model} --ids 1,2 --out {out}",
    "convert {checkpoint} -o {out}",
    "quantize {model} --type Q8_0 -o {out}",
    "imatrix {model} {text} -o {out}",
    "keygen -o {out}",
)
SITES = ("bundle {packed} -o {out}", "build {model} -o {out}", "build {checkpoint} -o {out}")
PARTS = (
    "pack {model} -o {out}",
    "pull {model} -o {out}",
    "pull {checkpoint} -o {out}",
    "eval {model} --data {data} --task perplexity -o {out}",
)
SMALL = ("keygen", "eval", "logits", "imatrix")


def assert_one_sentence(done: Done, *mentions: str) -> None:
    err = done.stderr.decode()
    assert done.returncode in (1, 2), err
    assert err.startswith("slmweb: "), err
    assert err.count("\n") == 1, err
    assert "failed in a way" not in err
    assert "Traceback" not in err
    assert "[Errno" not in err
    for mention in mentions:
        assert mention in err
    assert done.stdout == b""


def tree(folder: Path) -> dict[str, bytes | None]:
    """All that is there, links as what they lead to."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, qwen2: Path) -> dict[str, Path]:
    """One good input of every kind."""
    folder = tmp_path_factory.mktemp("world")
    small = checkpoints.models()["llama"]
    generate_key(folder / "release.key")
    pack([qwen2], packed := folder / "models" / "packed", name="packed")
    (lora := folder / "lora").mkdir()
    (lora / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    texts = {
        "text.txt": "some words " * 60,
        "data.jsonl": '{"text": "one two three four"}\n',
        "site.toml": 'headline = "Hello"',
        "icon.svg": '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"/>',
        "device.json": "{}",
        "registry.toml": "",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return {
        **{name.partition(".")[0]: folder / name for name in texts},
        "model": qwen2,
        "adapter": write_adapter(MODELS["qwen2"], LAW, folder / "law.gguf"),
        "checkpoint": checkpoints.save(
            folder / "checkpoint", checkpoints.model_of(small), checkpoints.tokenizer_of(small)
        ),
        "lora": lora,
        "imatrix": folder / "imatrix.gguf",  # only ever spoiled
        "sae": folder / "sae.gguf",  # likewise
        "key": folder / "release.key",
        "pub": folder / "release.key.pub",
        "packed": packed,
        "models": packed.parent,
    }


def filled(line: str, world: dict[str, Path], **others: Path) -> list[str]:
    return [word.replace("?}", "}").format(**world, **others) for word in line.split()]


def spoil(path: Path, how: str, is_folder: bool) -> None:
    match how:
        case "absent":
            pass
        case "other kind":
            path.write_text("some text") if is_folder else path.mkdir()
        case "empty":
            path.mkdir() if is_folder else path.touch()
        case "noise" if is_folder:
            path.mkdir()
            for name in ("config.json", "manifest.json", "adapter_config.json"):
                (path / name).write_bytes(NOISE)
        case "noise":
            path.write_bytes(NOISE)
        case "unreadable":
            path.mkdir() if is_folder else path.write_bytes(NOISE)
            path.chmod(0)


@pytest.mark.parametrize(
    ("line", "how"), [pair for pair in itertools.product(INPUTS, SPOILED) if pair not in GOOD]
)
def test_an_input_that_is_none(line: str, how: str, world: dict[str, Path], tmp_path: Path) -> None:
    (name,) = [word.partition("?")[0].strip("{") for word in line.split() if "?" in word]
    bad = tmp_path / f"bad{world[name].suffix}"
    spoil(bad, how, name in FOLDERS)
    before = sorted(tmp_path.iterdir()), tree(world["models"])
    with ordinary():
        spoiled = line.replace(f"{{{name}?}}", str(bad))
        done = slmweb(*filled(spoiled, world, out=tmp_path / "out"))
    assert_one_sentence(done, *(() if (name, how) in NAMELESS else (bad.name,)))
    assert (sorted(tmp_path.iterdir()), tree(world["models"])) == before


@pytest.mark.parametrize("line", FILES)
def test_a_file_that_cannot_be_made(line: str, world: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    before = tree(tmp_path)
    for out in ("folder", "no/file", "file/below", "x" * 300):
        done = slmweb(*filled(line, world, out=tmp_path / out))
        assert_one_sentence(done, str(tmp_path / out))
        assert tree(tmp_path) == before


@pytest.mark.parametrize("line", [*SITES, *PARTS])
def test_a_folder_that_cannot_be_made(line: str, world: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    before = tree(tmp_path)
    for out in ("file", "file/below", "x" * 300):
        done = slmweb(*filled(line, world, out=tmp_path / out))
        assert_one_sentence(done, str(tmp_path / out))
        assert tree(tmp_path) == before


@pytest.mark.parametrize("line", [*FILES, *SITES, *PARTS])
def test_a_folder_that_is_read_only(line: str, world: dict[str, Path], tmp_path: Path) -> None:
    shut = tmp_path / "shut"
    shut.mkdir(mode=0o555)
    with ordinary():
        done = slmweb(*filled(line, world, out=shut / "out"))
    assert_one_sentence(done, str(shut / "out"), "permission denied")
    assert not any(shut.iterdir())


def test_a_pack_in_a_read_only_folder_is_not_signed(world: dict[str, Path], tmp_path: Path) -> None:
    pack([world["model"]], packed := tmp_path / "packed")
    packed.chmod(0o555)
    before = tree(packed)
    with ordinary():
        done = slmweb("sign", str(packed), "--key", str(world["key"]))
        assert_one_sentence(done, str(packed), "permission denied")
        done = slmweb("pack", str(world["model"]), "-o", str(packed), "--title", "Another")
        assert_one_sentence(done, str(packed), "permission denied")
    assert tree(packed) == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("nothing can be mounted here")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize(
    ("line", "free"),
    [
        *((line, 0) for line in (*FILES, *SITES, *PARTS)),
        # For the small ones that would be room enough.
        *((line, 24 << 10) for line in (*FILES, *SITES, *PARTS) if not line.startswith(SMALL)),
    ],
)
def test_a_disk_that_is_full(
    line: str, free: int, world: dict[str, Path], small_disk: Path
) -> None:
    (small_disk / "others").write_bytes(bytes((128 << 10) - free))
    out = small_disk / "out"
    assert_one_sentence(slmweb(*filled(line, world, out=out)), str(out))
    left = {path.name for path in small_disk.rglob("*")} - {"others"}
    if line not in PARTS:
        assert not left
    # What goes on another time may stay, but whole, and not as if it were all.
    assert not any(name.startswith(".") for name in left)
    assert not left & {"manifest.json", "config.json", "results.json"}


@pytest.mark.parametrize("line", [*FILES, *SITES, *PARTS[:-1]])
def test_what_is_interrupted(line: str, world: dict[str, Path], tmp_path: Path) -> None:
    """At the last moment: all is written, and nothing has its name yet."""
    out = tmp_path / "out"
    call = "link" if line.startswith("pull") else "fsync"
    with mock.patch.object(os, call, side_effect=KeyboardInterrupt):
        done = slmweb(*filled(line, world, out=out))
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")
    with contextlib.suppress(OSError):
        out.rmdir()  # of a folder whose files come one by one
    assert not any(tmp_path.iterdir())
