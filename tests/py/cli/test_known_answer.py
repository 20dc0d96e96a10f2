"""`--verify` of the commands that compute, and `slmweb verify`: a pack that is right goes
through, one that is not ends with one sentence and its figures.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from slmweb.pack.manifest import read_manifest
from tests.py.cli.program import slmweb
from tests.py.cli.test_commands import run, run_json


@pytest.fixture
def folder(qwen2: Path, tmp_path: Path) -> Path:
    out = tmp_path / "my-model"
    assert run_json("pack", str(qwen2), "-o", str(out), "--chunk-size", "50000")["known_answer"]
    return out


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.jsonl"
    path.write_text('{"text": "the hen is in"}\n')
    return path


def fails(*arguments: str | Path) -> str:
    done = slmweb(*map(str, arguments))
    sentence = done.stderr.decode()
    assert (done.returncode, sentence.count("\n")) == (1, 1), sentence
    return sentence


def commands(folder: Path, data: Path) -> list[tuple[str | Path, ...]]:
    return [
        ("chat", folder, "-p", "hi", "--max-tokens", "2", "--verify"),
        ("bench", folder, "--prompt", "4", "--generate", "2", "--repeat", "1", "--verify"),
        ("eval", folder, "--data", data, "--task", "perplexity", "--verify"),
    ]


def test_a_right_pack_goes_through(folder: Path, data: Path) -> None:
    for command in commands(folder, data):
        run(*map(str, command))
    verified = run_json("verify", str(folder))["known_answer"]
    assert verified["error"] < verified["bound"] / 20
    assert "it computes its known answer: error " in run("verify", str(folder)).decode()


def test_damaged_weights_end_every_command(folder: Path, data: Path) -> None:
    """In a chunk whose hash nobody looks at on the way."""
    chunks = read_manifest(folder).files[0].chunks
    path = folder / chunks[len(chunks) // 2].sha256
    content = bytearray(path.read_bytes())
    content[20_003] ^= 0x55  # the sign and some of the exponent of a float32
    path.write_bytes(content)
    for command in commands(folder, data):
        assert "known answer within 0.0002 of its scale, found it off by" in fails(*command)
        run(*(str(argument) for argument in command if argument != "--verify"))


def test_another_answer_ends_verify(folder: Path) -> None:
    path = folder / "manifest.json"
    manifest: dict[str, Any] = json.loads(path.read_text())
    manifest["known_answer"]["logits"][3] += 0.01 * manifest["known_answer"]["scale"]
    path.write_text(json.dumps(manifest))
    assert "found it off by 0.01:" in fails("verify", folder)


def test_packs_can_do_without(folder: Path, qwen2: Path, data: Path) -> None:
    run("pack", str(qwen2), "-o", str(folder), "--no-known-answer")
    assert "there is no known answer" in run("verify", str(folder)).decode()
    assert run_json("verify", str(folder))["known_answer"] is None
    for model in (folder, qwen2):
        for command in commands(model, data):
            done = slmweb(*map(str, command))
            assert done.returncode == 2
            assert b"slmweb pack" in done.stderr or b"pack the model again" in done.stderr


def test_a_browser_checks_by_itself(folder: Path, data: Path) -> None:
    eval_ = ("eval", str(folder), "--data", str(data), "--task", "perplexity")
    done = slmweb(*eval_, "--browser", "--verify")
    assert done.returncode == 2
    assert b"--verify checks what computes in this program" in done.stderr
