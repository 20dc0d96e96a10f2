"""The wheel serves the chat from an empty environment, with no compiler and no Node in reach."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from script import DIST, ROOT
from slmweb.generated import abi

NAMES = [f"slm-{variant.name}.wasm" for variant in abi.VARIANTS]


def build_wheel(tree: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    # The build backend is installed here, pinned, so nothing has to be fetched.
    return subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation",
         "--disable-pip-version-check", "--wheel-dir", str(folder), str(tree)],
        capture_output=True, text=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    done = build_wheel(ROOT, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("slmweb-*.whl")
    return path


def test_it_holds_what_was_built_and_nothing_of_the_build(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        for name in NAMES:
            packed = archive.read(f"slmweb/_dist/wasm/{name}")
            built = (DIST / "wasm" / name).read_bytes()
            assert hashlib.sha256(packed).digest() == hashlib.sha256(built).digest()
    assets = json.loads((DIST / "web/assets.json").read_text())
    assert {f"slmweb/_dist/web/{file}" for file in assets.values()} <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"slmweb"}
    assert not [name for name in names if name.endswith((".gguf", ".cpp", ".o"))]
    assert all(name.endswith(".d.ts") for name in names if name.endswith(".ts"))


def test_without_dist_there_is_no_wheel(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for name in ("py/slmweb", "build/wheel_hook.py", "pyproject.toml", "README.md"):
        source = ROOT / name
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.is_file():
            shutil.copy(source, target)
    done = build_wheel(tree, tmp_path)
    assert done.returncode != 0
    assert "run `make wasm web` first" in done.stdout + done.stderr
    assert not list(tmp_path.glob("*.whl"))


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel and what it depends on, and nothing else."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder / "env", with_pip=True)
    subprocess.run(
        [folder / "env/bin/python", "-m", "pip", "install", "--quiet",
         "--disable-pip-version-check", "--constraint", ROOT / "requirements.lock", wheel],
        check=True,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def server(bare: Path) -> Iterator[str]:
    """`slmweb serve` in that environment, whose PATH has only its own folder."""
    environment = {
        "PATH": str(bare / "env/bin"),
        "HOME": str(bare),
        "XDG_DATA_HOME": str(bare / "data"),
        "LANG": "C.UTF-8",
    }
    process = subprocess.Popen(
        [bare / "env/bin/slmweb", "serve", "--port", "0", "--json", "--models", DIST / "models"],
        stdout=subprocess.PIPE, text=True, env=environment, cwd=bare,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as response:
        body: bytes = response.read()
        return body


def test_it_serves_the_page_the_core_and_the_models(server: str) -> None:
    page = fetch(server).decode()
    for name, file in json.loads((DIST / "web/assets.json").read_text()).items():
        assert fetch(f"{server}/assets/{file}") == (DIST / "web" / file).read_bytes(), name
    assert "srcdoc" in page
    for name in NAMES:
        short = name.removeprefix("slm-")
        assert fetch(f"{server}/wasm/{short}") == (DIST / "wasm" / name).read_bytes()
    models = json.loads(fetch(f"{server}/models/index.json"))
    assert "smollm2-135m-instruct-q4_1" in [model["name"] for model in models]


def test_its_own_core_runs(bare: Path) -> None:
    """The command line computes with the wasm of the wheel."""
    model = DIST / "gguf/SmolLM2-135M-Instruct.Q4_1.gguf"
    done = subprocess.run(
        [bare / "env/bin/slmweb", "tokenize", model, "--json"],
        input="Hello world", capture_output=True, text=True, cwd=bare,
        env={"PATH": os.devnull, "HOME": str(bare), "LANG": "C.UTF-8"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ids"] == [19556, 905]


def test_it_bundles_without_compiler_and_node(bare: Path) -> None:
    model = DIST / "models/smollm2-135m-instruct-q4_1"
    done = subprocess.run(
        [bare / "env/bin/slmweb", "bundle", model, "-o", bare / "site", "--json"],
        capture_output=True, text=True, cwd=bare,
        env={"PATH": os.devnull, "HOME": str(bare), "LANG": "C.UTF-8"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["models"] == [model.name]
    assert (bare / "site/hosting/nginx.conf").is_file()
    for name in NAMES:
        built = (DIST / "wasm" / name).read_bytes()
        assert (bare / "site/wasm" / name.removeprefix("slm-")).read_bytes() == built
