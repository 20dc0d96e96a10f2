"""Consent: asked for once, remembered by licence, never assumed."""

from __future__ import annotations

from pathlib import Path

import pytest

from slmweb.errors import SlmError
from slmweb.pull.licenses import consent
from slmweb.pull.pull import pull
from slmweb.pull.registry import Entry, License, Local, Registry

TERMS = License("toy-terms", "Toy Terms", "https://example.org/license", ask_first=True)


def test_terms_come_before_anything_else(tmp_path: Path, home: Path) -> None:
    model = tmp_path / "toy.gguf"
    model.write_bytes(b"GGUF")
    entry = Entry("toy", "Toy", Local(model), TERMS)
    asking = Registry({TERMS.id: TERMS}, {"toy": entry})
    out = tmp_path / "out"
    with pytest.raises(SlmError, match=r"example\.org/license.*--accept-license") as error:
        pull("toy", out=out, registry=asking)
    assert error.value.code == "license"
    questions: list[str] = []

    def answer(yes: bool, question: str) -> bool:
        questions.append(question)
        return yes

    with pytest.raises(SlmError, match="SLMWEB_ACCEPT_TOY_TERMS=1"):
        pull("toy", out=out, registry=asking, ask=lambda q: answer(False, q))
    assert not out.exists()
    assert "Toy Terms, https://example.org/license" in questions[0]

    assert pull("toy", out=out, registry=asking, ask=lambda q: answer(True, q)).is_file()
    pull("toy", out=tmp_path / "again", registry=asking)  # the answer is remembered
    assert len(questions) == 2
    consent("Another", TERMS, accepted=False, ask=None)  # for the licence, whatever the model
    (home / "xdg_config_home/slmweb/licenses.json").write_text("[")
    with pytest.raises(SlmError, match="--accept-license"):  # damage is no consent
        consent("Another", TERMS, accepted=False, ask=None)


def test_the_environment_can_say_yes_for_a_run(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("SLMWEB_ACCEPT_TOY_TERMS", "1")
    consent("Toy", TERMS, accepted=False, ask=None)
    assert not (home / "xdg_config_home").exists()
