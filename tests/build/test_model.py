"""build/model.py: what make asks of `slmweb pull` and `slmweb pack`.

Fetching itself, with all its failures, is tested in tests/py/pull.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import model
from script import DIST, ROOT
from slmweb.errors import SlmError
from slmweb.pack.manifest import SCHEMA
from slmweb.pull.registry import Entry, License, Registry, Wheels, read_registry
from slmweb.server.models import ModelFolder

WHOLE = b"GGUF" + bytes(1000)
TERMS = License("toy", "Toy Terms", "https://example.org/license", ask_first=True)
ENTRY = Entry(
    key="toy",
    title="Toy",
    origin=Wheels(("slmweb-toy==1.0",), ("slmweb_toy/toy.gguf",)),
    license=TERMS,
    name="toy",
    file="toy.gguf",
    size=len(WHOLE),
    sha256=hashlib.sha256(WHOLE).hexdigest(),
    source="made here",
)


def script(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "build/model.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_an_unknown_model_is_refused_with_the_known_ones() -> None:
    done = script("gpt5")
    assert done.returncode == 1
    assert done.stderr == "model.py: there is no model 'gpt5'; choose from smollm2, gemma3-270m\n"


def test_the_packed_demo_model_says_what_it_is_good_for() -> None:
    """From the registry through the manifest to the list that the page reads."""
    entry = read_registry().models["smollm2"]
    models = {model["name"]: model for model in ModelFolder(DIST / "models").entries()}
    assert models[str(entry.name)]["good_for"] == entry.good_for is not None


def test_the_demo_model_is_there() -> None:
    """As in the second `make demo`: no import that would take a second, no network."""
    done = script("smollm2", "--gguf-only")
    assert (done.returncode, done.stdout) == (0, "model: SmolLM2 135M Instruct is there\n")
    entry = read_registry().models["smollm2"]
    assert (DIST / "gguf" / str(entry.file)).stat().st_size == entry.size


def test_terms_come_before_the_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "DIST", tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    registry = Registry({TERMS.id: TERMS}, {ENTRY.key: ENTRY})
    with pytest.raises(SlmError, match=r"example\.org/license.*--accept-license"):
        model.fetch(registry, "toy", accepted=False)
    assert not (tmp_path / "gguf").exists()


def test_a_whole_pack_is_not_made_again_and_a_broken_one_is(tmp_path: Path) -> None:
    chunk = hashlib.sha256(WHOLE).hexdigest()
    manifest = {
        "schema": SCHEMA, "title": ENTRY.title, "license": TERMS.id, "license_url": TERMS.url,
        "source": ENTRY.source, "sampling": {}, "known_answer": {},
        "files": [{"sha256": chunk, "chunks": [{"sha256": chunk, "size": len(WHOLE)}]}],
    }  # fmt: skip
    assert not model.is_packed(ENTRY, tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert not model.is_packed(ENTRY, tmp_path)
    (tmp_path / chunk).write_bytes(WHOLE)
    assert model.is_packed(ENTRY, tmp_path)
    assert not model.is_packed(dataclasses.replace(ENTRY, title="Other"), tmp_path)
    good = dataclasses.replace(ENTRY, good_for="Tests.")
    assert not model.is_packed(good, tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"good_for": "Tests."}))
    assert model.is_packed(good, tmp_path)
    assert not model.is_packed(ENTRY, tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"schema": SCHEMA - 1}))
    assert not model.is_packed(ENTRY, tmp_path)
    older = {key: value for key, value in manifest.items() if key != "known_answer"}
    (tmp_path / "manifest.json").write_text(json.dumps(older))
    assert not model.is_packed(ENTRY, tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / chunk).write_bytes(WHOLE[:-1])
    assert not model.is_packed(ENTRY, tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    assert not model.is_packed(ENTRY, tmp_path)
