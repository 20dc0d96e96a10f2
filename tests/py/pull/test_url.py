"""`pull https://…` and other addresses, against a web server on the loopback interface."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from slmweb import paths
from slmweb.errors import SlmError
from slmweb.pull.pull import pull
from slmweb.pull.registry import Url, read_registry
from slmweb.pull.remote import PARTIAL, RECORD
from tests.py.pull.hub_server import FakeHub, FakeRepo, serve_hub

GGUF = b"GGUF" + bytes(range(256)) * 40
SHARDS = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
CHECKPOINT = {
    "config.json": b'{"model_type": "llama"}',
    "tokenizer.json": b"{}" * 600,
    "merges.txt": b"a b",
    "model.safetensors.index.json": b'{"weight_map": {"a": "%s", "b": "%s"}}'
    % tuple(name.encode() for name in SHARDS),
    **dict.fromkeys(SHARDS, GGUF),
}
APACHE = "apache-2.0"


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
    repos = {
        "me/one": FakeRepo({"one.gguf": GGUF, "page.gguf": b"<html>no</html>", "x.gguf": b"zip"}),
        "me/split": FakeRepo({f"s-0000{i}-of-00002.gguf": GGUF for i in (1, 2)}),
        "me/checkpoint": FakeRepo(dict(CHECKPOINT)),
        "me/adapter": FakeRepo({"adapter_config.json": b"{}", "adapter_model.safetensors": GGUF}),
        "me/empty": FakeRepo({"README.md": b"#"}),
    }
    with serve_hub(repos) as running:
        yield running


def at(host: FakeHub, path: str) -> str:
    return f"{host.url}/content/{path}"


def fetch(host: FakeHub, path: str, **options: str) -> Path:
    return pull(at(host, path), **{"license": APACHE, **options})  # type: ignore[arg-type]


def test_a_file(host: FakeHub) -> None:
    path = fetch(host, "me/one/one.gguf")
    assert path.read_bytes() == GGUF
    assert path.parent.parent == paths.gguf_dir()
    assert path.parent.name.endswith("content--me--one")
    record = (path.parent / RECORD).read_text()
    assert f'"license": "{APACHE}"' in record
    host.requests.clear()
    assert fetch(host, "me/one/one.gguf") == path
    assert [r for _, _, r in host.requests] == ["bytes=0-0"]


def test_a_split_set_and_a_checkpoint_come_whole(host: FakeHub) -> None:
    path = fetch(host, "me/split/s-00002-of-00002.gguf")
    assert path.name == "s-00001-of-00002.gguf"
    assert path.with_name("s-00002-of-00002.gguf").is_file()
    folder = fetch(host, "me/checkpoint/")
    found = {one.name: one.read_bytes() for one in folder.iterdir() if one.name != RECORD}
    assert found == CHECKPOINT
    assert (fetch(host, "me/adapter") / "adapter_model.safetensors").is_file()


MODULES = {
    "modules.json": json.dumps(
        [{"path": ""}, {"path": "1_Pooling"}, {"path": "2_Dense"}, {"path": "../3_Dense"}]
    ).encode(),
    "1_Pooling/config.json": b'{"a": 1}',
    "2_Dense/config.json": b"{}",
    "2_Dense/model.safetensors": b"12345678",
}


def assert_has_modules(folder: Path) -> None:
    for name, data in MODULES.items():
        assert (folder / name).read_bytes() == data
    assert (folder / "config.json").read_bytes() == CHECKPOINT["config.json"]
    assert not (folder.parent / "3_Dense").exists()


def test_a_model_that_embeds_comes_with_its_modules(tmp_path: Path) -> None:
    """From a web server, from a bucket, and from a folder of this machine."""
    files = {**CHECKPOINT, **MODULES}
    with serve_hub({"me/embedder": FakeRepo(files)}) as host:
        assert_has_modules(fetch(host, "me/embedder"))
    storage: Any = fsspec.filesystem("memory")
    for name, data in files.items():
        storage.pipe(f"/bucket/embedder/{name}", data)
        (tmp_path / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "own" / name).write_bytes(data)
    assert_has_modules(pull("memory://bucket/embedder", license=APACHE, out=tmp_path / "a" / "b"))
    assert_has_modules(pull(str(tmp_path / "own"), out=tmp_path / "c" / "d"))


def test_the_licence_has_to_be_known(host: FakeHub) -> None:
    questions: list[str] = []

    def no(question: str) -> bool:
        questions.append(question)
        return False

    with pytest.raises(SlmError, match=r"nothing says .* --license apache-2\.0") as error:
        pull(at(host, "me/one/one.gguf"), ask=no)
    assert error.value.code == "license"
    assert "under which licence one.gguf comes" in questions[0]
    assert host.ranges("me/one/one.gguf") == ["bytes=0-0"]
    with pytest.raises(SlmError, match="Gemma Terms of Use"):
        fetch(host, "me/one/one.gguf", license="gemma")
    assert pull(at(host, "me/one/one.gguf"), accept_license=True).is_file()
    with pytest.raises(SlmError, match="says itself under which licence it comes"):
        pull("smollm2", license=APACHE)


def test_a_broken_connection_is_continued(host: FakeHub) -> None:
    host.break_after["me/one/one.gguf"] = [3000]
    assert fetch(host, "me/one/one.gguf").read_bytes() == GGUF
    assert host.ranges("me/one/one.gguf") == ["bytes=0-0", None, "bytes=3000-"]


def test_what_has_changed_meanwhile_is_not_continued(host: FakeHub) -> None:
    host.break_after["me/one/one.gguf"] = [3000]
    files, seen = host.repos["me/one"].files, []

    def change(done: int, total: int) -> None:
        seen.append(done)
        files["one.gguf"] = b"GGUF" + GGUF[:3:-1]

    path = pull(at(host, "me/one/one.gguf"), license=APACHE, progress=change)
    assert path.read_bytes() == files["one.gguf"]


def test_the_hash_is_checked_where_one_is_known(host: FakeHub) -> None:
    digest = hashlib.sha256(GGUF).hexdigest()
    with pytest.raises(SlmError, match="should have the hash 0000") as error:
        fetch(host, "me/one/one.gguf", sha256="0" * 64)
    assert error.value.code == "corrupt"
    assert not list(paths.gguf_dir().rglob("*.gguf"))
    assert fetch(host, "me/one/one.gguf", sha256=digest.upper()).is_file()
    with pytest.raises(SlmError, match="a SHA-256 is that of one file"):
        fetch(host, "me/checkpoint", sha256=digest)
    host.headers["x-goog-hash"] = "crc32c=AAAAAA==,md5=AAAAAAAAAAAAAAAAAAAAAA=="
    with pytest.raises(SlmError, match="should have the hash AAAA"):
        fetch(host, "me/split/s-00001-of-00002.gguf")


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("me/one/none.gguf", r"answered with HTTP 404; there is no such thing there"),
        ("me/one/page.gguf", "is a web page; name the address of the file itself"),
        ("me/one/x.gguf", "does not begin with GGUF"),
        ("me/empty", r"has no config\.json, so it is no checkpoint"),
    ],
)
def test_what_is_no_model(host: FakeHub, path: str, complaint: str) -> None:
    with pytest.raises(SlmError, match=complaint) as error:
        fetch(host, path)
    assert "\n" not in error.value.message
    assert not list(paths.gguf_dir().rglob("*.gguf"))


def test_secrets_of_an_address_are_sent_and_not_shown(
    host: FakeHub, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = logging.getLogger("huggingface_hub")
    monkeypatch.setattr(logger, "handlers", [*logger.handlers, caplog.handler])
    host.break_after["me/one/one.gguf"] = [3000]
    name = at(host, "me/one/one.gguf") + "?sig=secret"
    told: list[str] = []
    path = pull(name, license=APACHE, out=tmp_path, say=told.append)
    assert "secret" not in (path.parent / RECORD).read_text() + "".join(told)
    assert read_registry().find("https://me:pw@h/a/b.gguf?x=1").key == "https://h/a/b.gguf"
    with pytest.raises(SlmError) as error:
        pull("http://127.0.0.1:9/m.gguf?sig=secret", license=APACHE)
    assert "is out of reach" in error.value.message
    assert "secret" not in error.value.message + caplog.text


def test_out_of_reach_uses_what_was_pulled(host: FakeHub) -> None:
    path = fetch(host, "me/one/one.gguf")
    del host.repos["me/one"].files["one.gguf"]
    assert fetch(host, "me/one/one.gguf") == path


@pytest.fixture
def bucket() -> Iterator[str]:
    """A file system of fsspec that needs no host."""
    storage = fsspec.filesystem("memory")
    for name, data in CHECKPOINT.items():
        storage.pipe(f"/bucket/checkpoint/{name}", data)
    storage.pipe("/bucket/m.gguf", GGUF)
    storage.pipe("/bucket/deeper/x.bin", b"1")
    yield "memory://bucket"
    storage.rm("/bucket", recursive=True)


def test_other_addresses_through_fsspec(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slmweb.pull.url._PIECE", 1000)
    path = pull(f"{bucket}/m.gguf", license=APACHE)
    assert path.read_bytes() == GGUF
    folder = pull(f"{bucket}/checkpoint", license=APACHE)
    found = {one.name: one.read_bytes() for one in folder.iterdir() if one.name != RECORD}
    assert found == CHECKPOINT


def test_an_interrupted_pull_through_fsspec_goes_on(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slmweb.pull.url._PIECE", 1000)
    seen: list[int] = []

    def interrupt(done: int, total: int) -> None:
        seen.append(done)
        if done == 3000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(f"{bucket}/m.gguf", license=APACHE, progress=interrupt)
    assert list(paths.gguf_dir().rglob("m.gguf")) == []
    assert len(list(paths.gguf_dir().rglob(f"{PARTIAL}/*"))) == 1
    seen.clear()
    path = pull(f"{bucket}/m.gguf", license=APACHE, progress=lambda n, total: seen.append(n))
    assert path.read_bytes() == GGUF
    assert seen[:2] == [0, 4000]


def test_what_fsspec_cannot_open_is_one_sentence(bucket: str) -> None:
    for name, code, complaint in (
        (f"{bucket}/none.gguf", "network", r"there is no memory://bucket/none\.gguf"),
        (f"{bucket}/deeper", "unsupported", "holds neither safetensors nor a GGUF file"),
        (f"{bucket}/deeper/x.bin", "unsupported", "is no GGUF file"),
        ("nosuch://a/m.gguf", "invalid_argument", "Protocol not known: nosuch"),
    ):
        with pytest.raises(SlmError, match=complaint) as error:
            pull(name, license=APACHE)
        assert error.value.code == code


def test_a_file_system_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(
        SlmError, match=r"s3:// needs .*Install s3fs to access S3\); install it with pip"
    ) as error:
        pull("s3://bucket/m.gguf", license=APACHE)
    assert error.value.code == "missing_extra"


def test_addresses_have_names() -> None:
    assert Url("s3://bucket/a/m.GGUF").file == "m.GGUF"
    assert Url("https://h/tuned/?x=m.gguf").file is None
    assert Url("https://h/tuned/?x=m.gguf").name == "tuned"
