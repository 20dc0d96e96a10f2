"""build/bundle.py: the files of dist/web are what the server and the sandbox rely on."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path

import brotli
import pytest

import bundle


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("web")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle, "OUTPUT", folder)
        bundle.main([])
    return folder


@pytest.fixture
def names(web: Path) -> dict[str, str]:
    listing: dict[str, str] = json.loads((web / "assets.json").read_text())
    return listing


def test_every_entry_is_listed_under_the_hash_of_its_content(
    web: Path, names: dict[str, str]
) -> None:
    assert {entry.name for entry in bundle.ENTRIES} | {"licenses.txt"} <= set(names)
    for name, file in names.items():
        digest = hashlib.sha256((web / file).read_bytes()).hexdigest()
        assert digest.startswith(re.sub(r".*-([0-9a-f]{16})\..*", r"\1", file)), name


def test_compressed_siblings_hold_the_same_bytes(web: Path, names: dict[str, str]) -> None:
    for file in names.values():
        content = (web / file).read_bytes()
        if Path(file).suffix in bundle.COMPRESSED:
            assert brotli.decompress((web / f"{file}.br").read_bytes()) == content
            assert gzip.decompress((web / f"{file}.gz").read_bytes()) == content


def test_nothing_else_is_there(web: Path, names: dict[str, str]) -> None:
    known = {"assets.json", *names.values()}
    assert {re.sub(r"\.(br|gz)$", "", path.name) for path in web.iterdir()} == known


@pytest.mark.parametrize("name", ["frame.js", "editor.js", "inspect.js"])
def test_the_frame_can_be_inlined(web: Path, names: dict[str, str], name: str) -> None:
    script = (web / names[name]).read_text()
    assert not re.search(r"</script|<!--|\x00", script, re.I)


@pytest.mark.parametrize("name", ["frame.js", "editor.js", "inspect.js", "worker.js", "store.js"])
def test_classic_scripts_are_whole(web: Path, names: dict[str, str], name: str) -> None:
    """No import or export: a blob: worker and an inline script have nowhere to import from."""
    script = (web / names[name]).read_text()
    assert re.match(r"""("use strict";)?\(\(\)=>\{""", script)
    assert not re.search(r"\bimport\s*\(|\bimport\.meta\b", script)


def test_licences_of_all_that_is_bundled(web: Path, names: dict[str, str]) -> None:
    text = (web / names["licenses.txt"]).read_text()
    for package in ("@codemirror/view", "dompurify", "marked", "wasm-feature-detect"):
        assert re.search(rf"^{package} \d", text, re.MULTILINE), package
    assert "esbuild" not in text


def test_a_second_run_writes_nothing_and_removes_what_is_stale(
    web: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bundle, "OUTPUT", web)
    before = {path: path.stat().st_mtime_ns for path in web.iterdir()}
    (web / "shell-0000000000000000.js").write_text("old")
    web.with_suffix(".stamp").unlink()  # as if a source had a new date
    bundle.main([])
    assert {path: path.stat().st_mtime_ns for path in web.iterdir()} == before
    assert capsys.readouterr().out == "bundle: up to date\n"
