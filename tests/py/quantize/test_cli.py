"""`slmweb quantize` and `slmweb imatrix` as typed: text, JSON, and exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from slmweb.cli.quantize import parse_size
from slmweb.errors import SlmError
from slmweb.quantize.imatrix import read_imatrix
from slmweb.quantize.recipes import read_recipes
from tests.py.cli.program import slmweb
from tests.py.quantize.files import types


def test_quantize(wide: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    arguments = ["quantize", str(wide), "-o", str(out), "--type", "q5_0"]
    done = slmweb(*arguments, "--override", "*.ffn_down.weight=Q8_0")
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    assert f"wrote {out}: " in text
    assert re.search(r"\d\.\d\d bits per weight: .*Q5_0 .*Q8_0", text)
    assert types(out)["blk.1.ffn_down.weight"] == "Q8_0"

    done = slmweb(*arguments, "--json")
    result: dict[str, Any] = json.loads(done.stdout)
    assert result["size"] == out.stat().st_size
    assert result["source_size"] == wide.stat().st_size
    assert set(result["types"]) == {"Q5_0", "F32"}
    assert (result["mix"], result["fallbacks"], result["weighted"]) == (None, [], 0)


def test_web_is_the_default_and_a_size_may_be_given(wide: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    done = slmweb("quantize", str(wide), "-o", str(out), "--json")
    assert json.loads(done.stdout)["mix"] == read_recipes().default.name
    done = slmweb("quantize", str(wide), "-o", str(out), "--max-size", "200MB", "--json")
    assert json.loads(done.stdout)["mix"] == read_recipes().mixes[0].name


def test_fallbacks_are_told(llama: Path, tmp_path: Path) -> None:
    done = slmweb("quantize", str(llama), "-o", str(tmp_path / "o.gguf"), "--type", "Q8_0")
    text = done.stdout.decode()
    assert "2 matrices are F16: their rows of 172 are not whole blocks of Q8_0" in text


def test_imatrix(wide: Path, tmp_path: Path) -> None:
    text, out = tmp_path / "hen.txt", tmp_path / "m.gguf"
    text.write_text("the hen ran on. " * 40)
    done = slmweb("imatrix", str(wide), str(text), "-o", str(out), "--chunk", "64", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["tokens"] == 64 * result["chunks"] > 64
    matrix = read_imatrix(out)
    assert len(matrix.entries) == result["entries"] == 15
    assert matrix.datasets == ("hen.txt",)
    # Q8_0 takes no weights, and the report says so.
    arguments = ["quantize", str(wide), "-o", str(tmp_path / "q.gguf"), "--type", "Q8_0"]
    done = slmweb(*arguments, "--imatrix", str(out))
    assert f"0 matrices were weighed by {out}" in done.stdout.decode()


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["quantize", "{model}"], 2, "--out"),
        (["quantize", "{model}", "-o", "{dir}/o", "--type", "Q9"], 2, "Q9"),
        (["quantize", "{model}", "-o", "{dir}/o", "--override", "x"], 2, "PATTERN=TYPE"),
        (["quantize", "{model}", "-o", "{dir}/o", "--override", "x=F16"], 2, "matches no matrix"),
        (["quantize", "{model}", "-o", "{dir}/o", "--max-size", "big"], 2, "200MB"),
        (["quantize", "{model}", "-o", "{dir}/o", "--max-size", "0"], 2, "not a size"),
        (["quantize", "{model}", "-o", "{dir}/o", "--max-size", "1kB"], 2, "the smallest"),
        (["quantize", "{model}", "-o", "{dir}/o", "--imatrix", "{dir}/absent"], 1, "no such file"),
        (["quantize", "{model}", "-o", "{dir}/o", "--imatrix", "{model}"], 1, "imatrix"),
        (["quantize", "{model}", "-o", "{dir}"], 1, "it is a folder"),
        (["quantize", "{dir}/absent", "-o", "{dir}/o"], 1, "no such file"),
        (["imatrix", "{model}", "{dir}/absent", "-o", "{dir}/o"], 1, "no such file"),
        (["imatrix", "{model}", "-", "-o", "{dir}/o"], 2, "0 tokens"),
        (["imatrix", "{model}", "-", "-o", "{dir}"], 1, "it is a folder"),
        (["imatrix", "{model}", "-", "-o", "{dir}/o", "--chunk", "1"], 2, "--chunk"),
    ],
)
def test_mistakes(
    wide: Path, tmp_path: Path, arguments: list[str], status: int, words: str
) -> None:
    filled = [a.format(model=wide, dir=tmp_path) for a in arguments]
    done = slmweb(*filled)
    err = done.stderr.decode()
    assert (done.returncode, done.stdout) == (status, b""), err
    assert words in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "size"),
    [("200MB", 200_000_000), ("1.5 GB", 1_500_000_000), ("256MiB", 2**28), ("3kb", 3000), ("7", 7)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1MB", "nan", "1e9", "2 potatoes", "1.2.3GB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(SlmError, match="not a size"):
        parse_size(text)
