"""`slmweb complete`: the place in a file, and what becomes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from slmweb.core import Model
from slmweb.core.fim import Infill, fill_or_continue
from slmweb.core.session import Sampling
from tests.py.cli.program import slmweb
from tests.py.models import QWEN_CODER, with_special

TEXT = "the one\n  in  \non the\n"


@pytest.fixture(scope="module")
def coder(qwen2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_special(qwen2, tmp_path_factory.mktemp("complete") / "coder.gguf", QWEN_CODER)


def complete(model: Path, *arguments: str, text: bytes = b"") -> dict[str, Any]:
    done = slmweb("complete", str(model), *arguments, "--max-tokens", "6", "--json", text=text)
    assert (done.returncode, done.stderr) == (0, b"")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def expected(model: Path, infill: Infill) -> str:
    with Model.open(model) as opened, opened.session() as session:
        ids = fill_or_continue(opened, infill).ids
        return "".join(session.generate(ids, Sampling(temperature=0), max_tokens=6))


@pytest.mark.parametrize(
    ("place", "at"),
    [("", len(TEXT)), (":1", 7), (":2", 14), (":2:5", 12), (":4", len(TEXT)), (":1:1", 0)],
)
def test_the_place_is_the_end_or_a_line_or_a_column(
    coder: Path, tmp_path: Path, place: str, at: int
) -> None:
    (tmp_path / "a.py").write_text(TEXT)
    answer = complete(coder, f"{tmp_path / 'a.py'}{place}")
    assert answer["text"] == expected(coder, Infill(TEXT[:at], TEXT[at:]))
    assert answer["dropped_tokens"] == 0


def test_a_line_ends_before_its_carriage_return(coder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"the\r\none\r\n")
    answer = complete(coder, f"{tmp_path / 'a.py'}:1")
    assert answer["text"] == expected(coder, Infill("the", "\r\none\r\n"))


def test_two_texts_or_stdin_do_as_well(coder: Path) -> None:
    wanted = expected(coder, Infill("the ", " on"))
    assert complete(coder, "--prefix", "the ", "--suffix", " on")["text"] == wanted
    at_the_end = expected(coder, Infill("the ", ""))
    assert complete(coder, text=b"the ")["text"] == at_the_end
    assert complete(coder, "--prefix", "the ")["text"] == at_the_end


def test_other_files_and_the_other_form(coder: Path, tmp_path: Path) -> None:
    (tmp_path / "a:1").write_text("the ")  # a colon of its own
    (tmp_path / "b.py").write_text("one\n")
    place, other = str(tmp_path / "a:1"), str(tmp_path / "b.py")
    answer = complete(coder, place, "--file", other, "--repo", "r", "--form", "spm")
    infill = Infill("the ", "", "spm", [(other, "one\n")], place, "r")
    assert answer["text"] == expected(coder, infill)


def test_it_prints_what_is_missing_and_nothing_else(coder: Path) -> None:
    done = slmweb("complete", str(coder), "--prefix", "the", "--max-tokens", "6")
    assert done.stdout.decode() == expected(coder, Infill("the", "")) + "\n"


def test_what_does_not_fit_is_left_out_and_said(coder: Path) -> None:
    text = "the " * 200
    done = slmweb("complete", str(coder), "--prefix", text, "--n-ctx", "128", "--max-tokens", "4")
    assert done.returncode == 0
    assert b"tokens far from the place were left out; a larger --n-ctx" in done.stderr


def test_a_model_that_cannot_fill_in_goes_on_and_says_so(qwen2: Path) -> None:
    done = slmweb("complete", str(qwen2), "--prefix", "the", "--suffix", "on", "--max-tokens", "6")
    assert (done.returncode, done.stdout.decode()) == (0, expected(qwen2, Infill("the", "")) + "\n")
    sentence = "tiny qwen2 has no tokens to fill in text with; it goes on with what is before"
    assert sentence in done.stderr.decode()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["{file}:9"], "has 4 lines, and the place is in line 9; name another"),
        (["{file}:1:9"], "has 7 characters, and the place is in column 9; name another"),
        (["{file}", "--suffix", "x"], "name two places; leave one of them out"),
        (["nowhere.py:3"], "cannot read nowhere.py"),
        (["--prefix", "x", "--stop", ""], "a --stop text has 1 to 256 bytes"),
    ],
)
def test_a_place_that_is_none_is_one_sentence(
    coder: Path, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    (tmp_path / "a.py").write_text(TEXT)
    filled = [one.format(file=tmp_path / "a.py") for one in arguments]
    done = slmweb("complete", str(coder), *filled)
    assert done.returncode in (1, 2)
    assert sentence in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1


def test_files_need_a_token_between_them(qwen2: Path, tmp_path: Path) -> None:
    (tmp_path / "b.py").write_text("one\n")
    done = slmweb("complete", str(qwen2), "--prefix", "x", "--file", str(tmp_path / "b.py"))
    assert done.returncode == 1
    assert b"tiny qwen2 has no token between files" in done.stderr
