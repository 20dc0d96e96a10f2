"""Pictures on the command line: shown in a chat, packed with the model, and refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from slmweb.core import Model
from slmweb.pack.manifest import read_manifest
from tests.py.cli.program import slmweb
from tests.py.models import tiny, with_special, with_template
from tests.py.vision.encoders import write_encoder
from tests.py.vision.test_preprocess import made
from tests.py.vision.test_prompt import GEMMA3

GREEDY = ("--temperature", "0", "--max-tokens", "4")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """cat.gguf with mmproj-cat.gguf beside it, and two pictures."""
    made_in = tmp_path_factory.mktemp("made")
    folder = tmp_path_factory.mktemp("seeing")
    special = ["<start_of_image>", "<end_of_image>", "<image_soft_token>"]
    plain = with_special(tiny("gemma3", made_in), made_in / "special.gguf", special)
    model = with_template(plain, folder / "cat.gguf", GEMMA3)
    with Model.open(model, weights=False) as opened:
        n_embd = opened.info["n_embd"]
    assert n_embd is not None
    write_encoder(folder / "mmproj-cat.gguf", projected=n_embd, factor=1)
    made(80, 50).save(folder / "a.png")
    made(30, 90, seed=1).save(folder / "b.jpg")
    return folder


def chat(*arguments: str | Path, text: str = "") -> list[dict[str, Any]]:
    done = slmweb("chat", *map(str, arguments), *GREEDY, "--json", text=text.encode())
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def prompt_tokens(answer: dict[str, Any]) -> int:
    n: int = answer["usage"]["prompt_tokens"]
    return n


def test_a_picture_is_shown_with_the_first_question(folder: Path) -> None:
    model = folder / "cat.gguf"
    (blind,) = chat(model, "-p", "and in the")
    (one,) = chat(model, "--image", folder / "a.png", "-p", "and in the")
    (two,) = chat(
        model, "--image", folder / "a.png", "--image", folder / "b.jpg", "-p", "and in the"
    )
    # A picture takes 16 positions, with a token and line feeds on both sides.
    words = prompt_tokens(one) - prompt_tokens(blind)
    assert words > 16
    assert prompt_tokens(two) - prompt_tokens(one) == words


def test_a_picture_can_be_shown_in_the_middle_of_a_conversation(folder: Path) -> None:
    model = folder / "cat.gguf"
    first, second, third = chat(model, text=f"and in\n/image {folder / 'b.jpg'}\nthe\nand\n")
    assert prompt_tokens(second) - prompt_tokens(first) > 16
    # The picture stays, and so does what the cache has of it.
    cached = third["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert cached > prompt_tokens(second) - 3


def test_a_packed_model_brings_its_encoder(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "cat"
    done = slmweb("pack", str(folder / "cat.gguf"), "-o", str(out), "--verify", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["vision"] == "gemma3"
    asked = ("--image", folder / "a.png", "-p", "and in the")
    (packed,) = chat(out, *asked)
    (plain,) = chat(folder / "cat.gguf", *asked)
    assert packed["content"] == plain["content"]
    assert packed["usage"] == plain["usage"]


def test_a_pack_may_leave_the_encoder_out(folder: Path, tmp_path: Path) -> None:
    model, out = str(folder / "cat.gguf"), tmp_path / "cat"
    assert slmweb("pack", model, "-o", str(out), "--no-pictures").returncode == 0
    assert read_manifest(out).vision is None
    both = slmweb("pack", model, "-o", str(out), "--no-pictures", "--mmproj", model)
    assert b"say opposites" in both.stderr


def test_what_lies_beside_a_model_and_is_not_its_encoder_is_told(
    folder: Path, tmp_path: Path
) -> None:
    model = tmp_path / "cat.gguf"
    shutil.copy(folder / "cat.gguf", model)
    write_encoder(tmp_path / "mmproj-cat.gguf", projected=8)
    out = tmp_path / "packed"
    done = slmweb("pack", str(model), "-o", str(out))
    assert done.returncode == 0
    assert b"packed without its encoder of pictures" in done.stderr
    assert read_manifest(out).vision is None
    named = slmweb(
        "pack", str(model), "-o", str(out), "--mmproj", str(tmp_path / "mmproj-cat.gguf")
    )
    assert named.returncode != 0
    # Who asks for no picture is not kept from chatting.
    assert len(chat(model, "-p", "and")) == 1
    seen = slmweb("chat", str(model), "--image", str(folder / "a.png"), "-p", "and")
    assert seen.returncode != 0
    assert b"the model sees no pictures" in seen.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--image", "none.png"), b"cannot read the picture"),
        (("--image", "text.txt"), b"expected a picture"),
        (("--mmproj", "text.txt"), b"text.txt"),
        (("--mmproj", "none.gguf"), b"cannot read none.gguf"),
    ],
)
def test_what_is_no_picture_is_refused_in_a_sentence(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    said: bytes,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("no picture, and no encoder either")
    done = slmweb("chat", str(folder / "cat.gguf"), *arguments, "-p", "and")
    assert done.returncode != 0
    assert said in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_model_without_an_encoder_says_how_to_give_one(folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "dog.gguf"
    shutil.copy(folder / "cat.gguf", model)
    done = slmweb("chat", str(model), "--image", str(folder / "a.png"), "-p", "and")
    assert done.returncode != 0
    assert b"name its encoder with --mmproj" in done.stderr
    given = ("--mmproj", folder / "mmproj-cat.gguf", "--image", folder / "a.png", "-p", "and")
    assert len(chat(model, *given)) == 1


def test_quantize_writes_an_encoder_that_is_found(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "cat.gguf", tmp_path / "cat.gguf")
    out = tmp_path / "mmproj-cat-q8_0.gguf"
    done = slmweb("quantize", str(folder / "mmproj-cat.gguf"), "-o", str(out))
    assert done.returncode == 0, done.stderr
    assert b"2 matrices are F16" in done.stdout
    assert len(chat(tmp_path / "cat.gguf", "--image", folder / "a.png", "-p", "and")) == 1
