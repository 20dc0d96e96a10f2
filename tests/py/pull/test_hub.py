"""`pull hf:…` against a hub on the loopback interface."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from slmweb import paths
from slmweb.errors import SlmError
from slmweb.pull.hub import Hub
from slmweb.pull.pull import pull
from slmweb.pull.registry import Repo
from slmweb.pull.remote import PARTIAL
from tests.py.pull.hub_server import COMMIT, FakeHub, FakeRepo, serve_hub

GGUF = bytes(range(256)) * 40
OTHER = GGUF[::-1]
CHECKPOINT = {
    "config.json": b'{"model_type": "llama"}',
    "tokenizer.json": b"{}" * 600,
    "model-00001-of-00002.safetensors": GGUF,
    "model-00002-of-00002.safetensors": OTHER,
    "model.safetensors.index.json": b"{}",
    "README.md": b"---",
    "pytorch_model.bin": b"old" * 1000,
    "original/consolidated.00.pth": b"old",
    "onnx/model.safetensors": b"other",
}


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    repos = {
        "me/one": FakeRepo({"one.gguf": GGUF, "README.md": b"#"}),
        "me/two": FakeRepo({"a/two-q4.gguf": GGUF, "two-q8.gguf": OTHER}),
        "me/split": FakeRepo({f"s-0000{i}-of-00002.gguf": GGUF[i:] for i in (1, 2)}),
        "me/seeing": FakeRepo(
            {
                "cat-Q4_K_M.gguf": GGUF,
                "mmproj-cat-f16.gguf": OTHER,
                "mmproj-cat-q8_0.gguf": OTHER[:5000],
            }
        ),
        "me/checkpoint": FakeRepo(dict(CHECKPOINT)),
        "me/gated": FakeRepo({"g.gguf": GGUF}, gated=True),
        "me/empty": FakeRepo({"README.md": b"#"}),
        "me/gemma-tune": FakeRepo({"t.gguf": GGUF}, license="gemma"),
    }
    with serve_hub(repos) as running:
        yield running


def fetch(hub: FakeHub, name: str, out: Path | None = None, **options: bool) -> Path:
    return pull(f"hf:{name}", out=out, endpoint=hub.url, **options)  # type: ignore[arg-type]


def code_and_sentence(error: pytest.ExceptionInfo[SlmError]) -> tuple[str, str]:
    assert "\n" not in error.value.message
    return error.value.code, error.value.message


def test_the_only_gguf_of_a_repository(hub: FakeHub) -> None:
    seen: list[tuple[int, int]] = []
    path = pull("hf:me/one", endpoint=hub.url, progress=lambda n, total: seen.append((n, total)))
    assert path == paths.gguf_dir() / "me--one" / "one.gguf"
    assert path.read_bytes() == GGUF
    assert seen[-1] == (len(GGUF), len(GGUF))
    assert sorted(p.name for p in path.parent.iterdir()) == ["one.gguf", "pulled.json"]


def test_the_second_time_nothing_is_fetched(hub: FakeHub) -> None:
    path = fetch(hub, "me/one")
    hub.requests.clear()
    assert fetch(hub, "me/one") == path
    assert [p for _, p, _ in hub.requests if "resolve" in p or "content" in p] == []


def test_a_file_is_named_where_there_are_several(hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(SlmError, match=r"holds 2 GGUF models .*hf:me/two:a/two-q4\.gguf"):
        fetch(hub, "me/two")
    path = fetch(hub, "me/two:a/two-q4.gguf", tmp_path / "out")
    assert path == tmp_path / "out" / "two-q4.gguf"
    with pytest.raises(SlmError, match=r"no file three\.gguf; its GGUF files are: a/two-q4\.gguf"):
        fetch(hub, "me/two:three.gguf")


def test_a_split_set_comes_whole(hub: FakeHub) -> None:
    path = fetch(hub, "me/split:s-00002-of-00002.gguf")
    assert path.name == "s-00001-of-00002.gguf"
    assert path.with_name("s-00002-of-00002.gguf").read_bytes() == GGUF[2:]


def test_the_smallest_encoder_of_pictures_comes_along(hub: FakeHub) -> None:
    path = fetch(hub, "me/seeing")
    assert path.name == "cat-Q4_K_M.gguf"
    names = ["cat-Q4_K_M.gguf", "mmproj-cat-q8_0.gguf", "pulled.json"]
    assert sorted(p.name for p in path.parent.iterdir()) == names
    hub.requests.clear()
    assert fetch(hub, "me/seeing:cat-Q4_K_M.gguf") == path
    assert not [p for _, p, _ in hub.requests if "/content/" in p]
    # One that is named comes alone, beside what is there.
    assert fetch(hub, "me/seeing:mmproj-cat-f16.gguf").read_bytes() == OTHER
    sha256 = hashlib.sha256(GGUF).hexdigest()
    assert pull("hf:me/seeing", endpoint=hub.url, sha256=sha256) == path
    with pytest.raises(SlmError, match="lists another SHA-256"):
        pull("hf:me/seeing", endpoint=hub.url, sha256="0" * 64)


def test_a_checkpoint_is_what_convert_reads(hub: FakeHub) -> None:
    folder = fetch(hub, f"me/checkpoint@{COMMIT}")
    assert folder == paths.checkpoints_dir() / f"me--checkpoint@{COMMIT}"
    wanted = {n: data for n, data in CHECKPOINT.items() if "/" not in n and not n.endswith(".bin")}
    names = {path.name for path in folder.iterdir()} - {"pulled.json"}
    assert {name: (folder / name).read_bytes() for name in names} == wanted


def test_a_model_that_embeds_comes_with_its_modules() -> None:
    """Their files have names that others have; what lies in other folders is left."""
    files = {
        **CHECKPOINT,
        "modules.json": b"[]",
        "1_Pooling/config.json": b'{"a": 1}',
        "2_Dense/config.json": b"{}",
        "2_Dense/model.safetensors": b"12345678",
        "onnx/model.safetensors": b"12345678",
    }
    with serve_hub({"me/embedder": FakeRepo(files)}) as hub:
        folder = pull("hf:me/embedder", endpoint=hub.url)
        assert (folder / "1_Pooling/config.json").read_bytes() == b'{"a": 1}'
        assert (folder / "config.json").read_bytes() == CHECKPOINT["config.json"]
        assert (folder / "2_Dense/model.safetensors").is_file()
        assert not (folder / "onnx").exists()
        hub.requests.clear()
        pull("hf:me/embedder", endpoint=hub.url)
        assert [p for _, p, _ in hub.requests if "resolve" in p or "content" in p] == []


def test_a_kind_that_does_not_run_is_refused_before_it_is_fetched(tmp_path: Path) -> None:
    for config, told in (
        ({"model_type": "mixtral"}, "it is a mixture of experts, .* use a dense model instead"),
        ({"model_type": "voxtral"}, "it is a model that hears or speaks"),
        ({"model_type": "new", "is_encoder_decoder": True}, "an encoder and a decoder"),
    ):
        files = {**CHECKPOINT, "config.json": json.dumps(config).encode()}
        with serve_hub({"me/other": FakeRepo(files)}) as hub:
            with pytest.raises(SlmError, match=f"'{config['model_type']}', .*{told}") as error:
                pull("hf:me/other", endpoint=hub.url, out=tmp_path / "out")
            fetched = [path for _, path, _ in hub.requests if "resolve" in path]
            assert all(path.endswith("config.json") for path in fetched)
        assert error.value.code == "unsupported"
        assert not (tmp_path / "out").exists()


def test_a_checkpoint_without_its_config_is_not_whole(hub: FakeHub, tmp_path: Path) -> None:
    """The config comes last, and goes first when a shard has changed."""
    shard = "model-00002-of-00002.safetensors"
    hub.lie[f"me/checkpoint/{shard}"] = OTHER[::-1]
    out = tmp_path / "out"
    with pytest.raises(SlmError, match=f"me/checkpoint/{shard} should have the hash"):
        fetch(hub, "me/checkpoint", out)
    assert not (out / "config.json").exists()
    assert not (out / shard).exists()
    hub.lie.clear()
    assert (fetch(hub, "me/checkpoint", out) / "config.json").is_file()
    hub.repos["me/checkpoint"].files[shard] = GGUF[1:]
    hub.lie[f"me/checkpoint/{shard}"] = GGUF[:-1]
    with pytest.raises(SlmError, match="should have the hash"):
        fetch(hub, "me/checkpoint", out)
    assert not (out / "config.json").exists()


def test_a_checkpoint_wants_a_folder_of_its_own(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(SlmError, match="holds other files already"):
        fetch(hub, "me/checkpoint", tmp_path)


def test_a_broken_connection_is_continued(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """huggingface_hub goes on after the last whole piece; its own are 10 MB."""
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
    hub.break_after["me/one/one.gguf"] = [3000]
    assert fetch(hub, "me/one").read_bytes() == GGUF
    assert hub.ranges("me/one/one.gguf") == [None, "bytes=3000-"]


def test_a_killed_pull_is_continued(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier process has left counts; here one that was interrupted by the keyboard."""

    def interrupt(done: int, total: int) -> None:
        if done > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull("hf:me/one", endpoint=hub.url, progress=interrupt)
    folder = paths.gguf_dir() / "me--one"
    assert not (folder / "one.gguf").exists()
    (partial,) = (folder / PARTIAL).iterdir()
    partial.write_bytes(GGUF[:4321])
    assert fetch(hub, "me/one").read_bytes() == GGUF
    assert hub.ranges("me/one/one.gguf")[-1] == "bytes=4321-"
    assert not (folder / PARTIAL).exists()


def test_a_server_without_ranges_sends_all_again(hub: FakeHub) -> None:
    hub.break_after["me/one/one.gguf"] = [3000]
    hub.ignore_range = True
    assert fetch(hub, "me/one").read_bytes() == GGUF


@pytest.mark.parametrize("name", ["one.gguf", "README.md"])
def test_a_wrong_hash_leaves_no_file(hub: FakeHub, name: str) -> None:
    """Large files have a SHA-256 in the listing, small ones Git's own hash."""
    data = hub.repos["me/one"].files[name]
    hub.lie[f"me/one/{name}"] = data[:-1] + b"\x00"
    with pytest.raises(SlmError) as error:
        fetch(hub, f"me/one:{name}")
    code, sentence = code_and_sentence(error)
    assert code == "corrupt"
    assert f"me/one/{name} should have the hash" in sentence
    left = [p for p in paths.gguf_dir().rglob("*") if p.is_file()]
    assert left == []
    hub.lie.clear()
    assert fetch(hub, f"me/one:{name}").read_bytes() == data


def test_redirects_do_not_carry_the_token(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.token = "secret"
    monkeypatch.setenv("HF_TOKEN", "secret")
    fetch(hub, "me/one")
    sent = {path.split("/")[1]: given for path, given in hub.authorized}
    assert sent == {"api": True, "me": True, "content": False}


def test_a_gated_repository_says_what_to_do(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.token = "secret"
    for token in (None, "secret"):  # 401 to a stranger, 403 to somebody who has not agreed
        if token:
            monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(SlmError) as error:
            fetch(hub, "me/gated")
        code, sentence = code_and_sentence(error)
        assert code == "network"
        assert f"is gated: accept its terms at {hub.url}/me/gated" in sentence
        assert "HF_TOKEN" in sentence


def test_a_refused_token_is_named(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.token = "right"
    monkeypatch.setenv("HF_TOKEN", "wrong")
    with pytest.raises(SlmError, match="does not take the token in HF_TOKEN"):
        fetch(hub, "me/one")


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("me/none", r"me/none at http\S+ does not exist or is private"),
        ("me/one@v9", "has no revision 'v9'"),
        ("me/empty", "holds neither safetensors nor a GGUF file"),
    ],
)
def test_what_is_not_there(hub: FakeHub, name: str, complaint: str) -> None:
    with pytest.raises(SlmError, match=complaint) as error:
        fetch(hub, name)
    assert "\n" not in error.value.message


def test_out_of_reach_uses_what_was_pulled(hub: FakeHub) -> None:
    path = fetch(hub, "me/one")
    said: list[str] = []
    gone = "http://127.0.0.1:9"
    assert pull("hf:me/one", endpoint=gone, say=said.append) == path
    assert "is out of reach" in said[0]
    with pytest.raises(SlmError, match=r"is out of reach .*check the network"):
        pull("hf:me/two", endpoint=gone)


def test_a_card_with_terms_asks_first(hub: FakeHub) -> None:
    with pytest.raises(SlmError, match="--accept-license") as error:
        fetch(hub, "me/gemma-tune")
    assert error.value.code == "license"
    assert not any("resolve" in path for _, path, _ in hub.requests)
    assert fetch(hub, "me/gemma-tune", accept_license=True).is_file()


def test_a_full_disk_is_one_sentence(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.file_download

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(huggingface_hub.file_download, "http_get", full)
    with pytest.raises(SlmError, match=r"cannot write .*no space left on device") as error:
        fetch(hub, "me/one")
    assert error.value.code == "unwritable"
    assert not (paths.gguf_dir() / "me--one" / "one.gguf").exists()


def test_one_small_file_in_memory(hub: FakeHub) -> None:
    asked = Hub(hub.url)
    listing = asked.list(Repo("me/checkpoint"))
    assert asked.read(listing, "config.json") == CHECKPOINT["config.json"]
