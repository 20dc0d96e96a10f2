"""`pull kaggle:…` against a Kaggle on the loopback interface."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from kagglesdk import kaggle_env

from slmweb import paths
from slmweb.errors import SlmError
from slmweb.pull.pull import pull
from slmweb.pull.registry import Kaggle, read_registry
from slmweb.pull.remote import PARTIAL
from tests.py.pull import kaggle_server
from tests.py.pull.hub_server import FakeHub, FakeRepo
from tests.py.pull.kaggle_server import VERSION, serve_kaggle

WEIGHTS = bytes(range(256)) * 40
CHECKPOINT = {
    "config.json": b'{"model_type": "gemma2"}',
    "tokenizer.json": b"{}" * 600,
    "tokenizer.model": b"pieces",
    "generation_config.json": b"{}",
    "model-00001-of-00002.safetensors": WEIGHTS,
    "model-00002-of-00002.safetensors": WEIGHTS[::-1],
    "original/consolidated.pth": b"old",
}
NAME = "kaggle:google/gemma-2/transformers"


@pytest.fixture
def kaggle(monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[FakeHub]:
    repos = {
        "google/gemma-2-2b-it": FakeRepo(dict(CHECKPOINT), license="Gemma"),
        "google/free": FakeRepo(dict(CHECKPOINT), license="Apache 2.0"),
        "google/gguf": FakeRepo({"m.gguf": b"GGUF" + WEIGHTS}, license="Apache 2.0"),
        "google/closed": FakeRepo({"m.gguf": WEIGHTS}, gated=True),
    }
    for variable in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_ENVIRONMENT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(home))
    with serve_kaggle(repos) as running:
        endpoints = kaggle_env._env_to_endpoint
        monkeypatch.setitem(endpoints, kaggle_env.KaggleEnv.PROD, running.url)
        yield running


def contents(kaggle: FakeHub) -> list[str]:
    return [path for method, path, _ in kaggle.requests if path.startswith("/content/")]


def test_a_checkpoint_over_several_pages(kaggle: FakeHub) -> None:
    folder = pull(f"{NAME}/free")
    assert folder == paths.checkpoints_dir() / "google--gemma-2--transformers--free"
    wanted = {name: data for name, data in CHECKPOINT.items() if "/" not in name}
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert f'"commit": "{VERSION}"' in found.pop("pulled.json").decode()
    assert found == wanted
    kaggle.requests.clear()
    assert pull(f"{NAME}/free") == folder
    assert contents(kaggle) == []


def test_a_version_and_a_file(kaggle: FakeHub) -> None:
    path = pull(f"{NAME}/gguf/1:m.gguf")
    assert path == paths.gguf_dir() / "google--gemma-2--transformers--gguf@1" / "m.gguf"
    assert path.read_bytes() == b"GGUF" + WEIGHTS


def test_its_licence_is_asked_about_before_anything_is_fetched(kaggle: FakeHub) -> None:
    with pytest.raises(SlmError, match=r"Gemma Terms of Use.*--accept-license") as error:
        pull(f"{NAME}/gemma-2-2b-it")
    assert error.value.code == "license"
    assert contents(kaggle) == []
    assert (pull(f"{NAME}/gemma-2-2b-it", accept_license=True) / "config.json").is_file()


def test_what_a_broken_connection_left_is_continued(
    kaggle: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
    kaggle.break_after["google/gguf/m.gguf"] = [0, 3000]  # the first answers kagglehub
    assert pull(f"{NAME}/gguf").read_bytes() == b"GGUF" + WEIGHTS
    assert kaggle.ranges("google/gguf/m.gguf")[-1] == "bytes=3000-"


def test_wrong_bytes_leave_no_file(kaggle: FakeHub) -> None:
    kaggle.lie["google/gguf/m.gguf"] = b"GGUF" + WEIGHTS[:-1] + b"!"
    with pytest.raises(SlmError, match=r"m\.gguf at Kaggle should have the hash") as error:
        pull(f"{NAME}/gguf")
    assert error.value.code == "corrupt"
    folder = paths.gguf_dir() / "google--gemma-2--transformers--gguf"
    assert list(folder.iterdir()) == [folder / PARTIAL]
    kaggle.lie["google/gguf/m.gguf"] = b"GGUF"
    with pytest.raises(SlmError, match=r"should have 10,244 bytes, but has 4"):
        pull(f"{NAME}/gguf")


def test_a_file_that_is_kept_as_an_archive(
    kaggle: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tokenizer.json", CHECKPOINT["tokenizer.json"])
    monkeypatch.setitem(kaggle_server.ZIPPED, "tokenizer.json.zip", buffer.getvalue())
    folder = pull(f"{NAME}/free")
    assert (folder / "tokenizer.json").read_bytes() == CHECKPOINT["tokenizer.json"]
    assert not (folder / PARTIAL).exists()


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        (
            "closed",
            r"may not be read by this account: accept its terms at https://www\.kaggle\.com",
        ),
        ("none", r"does not exist or is private; check its spelling"),
    ],
)
def test_what_kaggle_refuses_is_one_sentence(kaggle: FakeHub, name: str, complaint: str) -> None:
    with pytest.raises(SlmError, match=complaint) as error:
        pull(f"{NAME}/{name}")
    assert error.value.code == "network"
    assert "\n" not in error.value.message


def test_credentials(kaggle: FakeHub, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    kaggle.token = "secret"
    with pytest.raises(SlmError, match=r"needs an account: make a token at .* KAGGLE_API_TOKEN"):
        pull(f"{NAME}/gguf")
    home.mkdir(exist_ok=True)
    (home / "kaggle.json").write_text("{")
    with pytest.raises(SlmError, match="Invalid Kaggle credentials file"):
        pull(f"{NAME}/gguf")
    monkeypatch.setenv("KAGGLE_API_TOKEN", "secret")
    assert pull(f"{NAME}/gguf").is_file()


def test_out_of_reach(kaggle: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    prod = kaggle_env.KaggleEnv.PROD
    monkeypatch.setitem(kaggle_env._env_to_endpoint, prod, "http://127.0.0.1:9")
    with pytest.raises(SlmError, match=r"is out of reach .*check the network"):
        pull(f"{NAME}/gguf")


def test_without_kagglehub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(SlmError, match=r'pip install "slmweb\[kaggle\]"') as error:
        pull(f"{NAME}/gguf")
    assert error.value.code == "missing_extra"


def test_names_of_kaggle() -> None:
    find = read_registry().find
    assert find("kaggle:a/b/c/d").origin == Kaggle("a/b/c/d")
    assert find("kaggle:a/b/c/d.e/12:x/m.gguf").origin == Kaggle("a/b/c/d.e", 12, "x/m.gguf")
    for wrong in ("kaggle:a/b", "kaggle:a/b/c/d/e", "kaggle:a/b/c/d/0", "kaggle:../b/c/d/e/f"):
        with pytest.raises(SlmError, match="kaggle:owner/model/framework/variation"):
            find(wrong)
