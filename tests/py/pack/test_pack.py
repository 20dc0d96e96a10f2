"""Packing: what is written, that it is whole, the same every time, and checked."""

from __future__ import annotations

import hashlib
import json
import os
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from bench.gpu.models import write_header
from slmweb.bundle.build import build
from slmweb.core.model import Model
from slmweb.errors import SlmError
from slmweb.pack.manifest import MODEL_NAME, read_manifest
from slmweb.pack.pack import context_lengths, default_name, pack, verify
from slmweb.plan.shape import from_config
from slmweb.server.models import ModelFolder
from tests.goldens.tiny_gguf import write_gguf
from tests.py.models import with_template

CHUNK = 100_000


def test_chunks_are_the_file_and_the_manifest_says_so(llama: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    pack(
        [llama],
        folder,
        name="tiny",
        title="Tiny",
        version="2026-11",
        license="mit",
        license_url="https://example.org/licence",
        source="drawn at random",
        sampling={"temperature": 0.5},
        chunk_size=CHUNK,
    )
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    files = manifest.pop("files")
    data = llama.read_bytes()
    weights = manifest["memory"].pop("weights")
    contexts = manifest["memory"].pop("contexts")
    assert manifest.pop("known_answer")["arithmetic"] == "exact"
    lines = [f"file {files[0]['sha256']} {len(data)}\n"]
    lines += [f"chunk {chunk['sha256']} {chunk['size']}\n" for chunk in files[0]["chunks"]]
    assert manifest == {
        "schema": 2,
        "name": "tiny",
        "title": "Tiny",
        "version": "2026-11",
        "architecture": "llama",
        "parameters": 138432,
        "context_length": 512,
        "license": "mit",
        "license_url": "https://example.org/licence",
        "source": "drawn at random",
        "chat_template": None,
        "root": hashlib.sha256("".join(lines).encode()).hexdigest(),
        "size": len(data),
        "memory": {"n_ctx_default": 512},
        "sampling": {"temperature": 0.5},
    }
    assert 0.9 * len(data) < weights < 1.1 * len(data)
    (file,) = files
    assert file["name"] == llama.name
    assert (file["size"], file["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert all(chunk["size"] <= CHUNK for chunk in file["chunks"])
    assert [context["n_ctx"] for context in contexts] == [512]
    read = b"".join((folder / chunk["sha256"]).read_bytes() for chunk in file["chunks"])
    assert read == data
    for chunk in file["chunks"]:
        content = (folder / chunk["sha256"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == chunk["sha256"]
    assert len(list(folder.iterdir())) == len(file["chunks"]) + 1


def test_what_a_model_is_good_for_reaches_the_list_of_models(llama: Path, tmp_path: Path) -> None:
    pack([llama], tmp_path / "one", name="one", good_for="Short  answers\nin English.")
    pack([llama], tmp_path / "two", name="two")
    assert read_manifest(tmp_path / "one").good_for == "Short answers in English."
    assert "good_for" not in json.loads((tmp_path / "two/manifest.json").read_text())
    entries = ModelFolder(tmp_path).entries()
    assert [entry.get("good_for") for entry in entries] == ["Short answers in English.", None]
    for text in ("", "x" * 201, "a\u202eb"):
        with pytest.raises(SlmError, match="in one line of 1 to 200"):
            pack([llama], tmp_path / "three", good_for=text)


def test_title_and_licence_come_from_the_metadata(llama: Path, tmp_path: Path) -> None:
    manifest = pack([llama], tmp_path / "x")
    assert (manifest.title, manifest.license) == ("tiny llama", "apache-2.0")
    assert manifest.name == "tiny-llama"
    assert read_manifest(tmp_path / "x") == manifest


def test_the_same_model_gives_the_same_bytes(llama: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        pack([llama], tmp_path / name, chunk_size=CHUNK)
    a, b = ({path.name: path.read_bytes() for path in (tmp_path / n).iterdir()} for n in "ab")
    assert a == b


def test_chunks_can_be_read_by_everybody_the_umask_allows(llama: Path, tmp_path: Path) -> None:
    pack([llama], tmp_path / "x")
    reference = tmp_path / "reference"
    reference.touch()
    assert {path.stat().st_mode for path in (tmp_path / "x").iterdir()} == {
        reference.stat().st_mode
    }


def test_packing_again_repairs_and_cleans_up(llama: Path, tmp_path: Path) -> None:
    folder = tmp_path / "x"
    manifest = pack([llama], folder, chunk_size=CHUNK)
    first = folder / manifest.files[0].chunks[0].sha256
    first.write_bytes(b"rotten")
    stale = folder / ("0" * 64)
    stale.write_bytes(b"of another model")
    half = folder / f".{'1' * 64}.123.tmp"
    half.write_bytes(b"half")
    keep = folder / "README.txt"
    keep.write_text("mine")
    untouched = (folder / manifest.files[0].chunks[1].sha256).stat().st_mtime_ns
    pack([llama], folder, chunk_size=CHUNK)
    verify(folder)
    assert not stale.exists()
    assert not half.exists()
    assert keep.exists()
    assert (folder / manifest.files[0].chunks[1].sha256).stat().st_mtime_ns == untouched


def test_an_interrupted_pack_leaves_no_manifest_and_no_half_chunk(
    llama: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "x"

    def interrupt(done: int, total: int) -> None:
        if folder.is_dir() and len(list(folder.iterdir())) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack([llama], folder, chunk_size=CHUNK, progress=interrupt)
    assert not (folder / "manifest.json").exists()
    assert list(folder.iterdir())
    for path in folder.iterdir():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name


def test_a_failed_write_leaves_the_old_pack(
    llama: Path, qwen2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "x"
    before = pack([llama], folder, name="x", chunk_size=CHUNK)

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SlmError, match="no space left on device") as caught:
        pack([qwen2], folder, name="x", chunk_size=CHUNK)
    assert caught.value.code == "unwritable"
    assert verify(folder) == before
    assert not list(folder.glob(".*.tmp"))


def changed(source: Path, target: Path, name: str) -> Path:
    """A copy in which one tensor has other values."""
    with Model.open(source, weights=False) as model:
        (tensor,) = [tensor for tensor in model.info["tensors"] if tensor["name"] == name]
    data = bytearray(source.read_bytes())
    data[tensor["offset"]] ^= 1
    target.write_bytes(data)
    return target


def test_versions_share_every_chunk_but_that_of_the_changed_tensor(
    llama: Path, tmp_path: Path
) -> None:
    name = "blk.1.ffn_up.weight"
    second = changed(llama, tmp_path / "second.gguf", name)
    old = pack([llama], tmp_path / "old", chunk_size=CHUNK)
    new = pack([second], tmp_path / "new", chunk_size=CHUNK)
    (size,) = [c.size for c in new.files[0].chunks if c not in old.files[0].chunks]
    assert size <= CHUNK < new.size / 4
    assert old.root != new.root


def test_chunks_begin_and_end_where_tensors_or_their_granules_do(
    llama: Path, tmp_path: Path
) -> None:
    manifest = pack([llama], tmp_path / "x", chunk_size=10_000)
    with Model.open(llama, weights=False) as model:
        model.layout()
        tensors = model.info["tensors"]
    ends = list(accumulate(chunk.size for chunk in manifest.files[0].chunks))
    first = min(tensor["offset"] for tensor in tensors)
    assert first in ends
    for end in ends[:-1]:
        if end <= first:
            continue
        (tensor,) = [t for t in tensors if t["offset"] <= end < t["offset"] + t["size"]]
        assert (end - tensor["offset"]) % tensor["granule"] == 0
        if end != tensor["offset"]:
            assert tensor["size"] > 10_000


def test_the_memory_of_contexts_is_what_a_session_takes(gemma3: Path, tmp_path: Path) -> None:
    manifest = pack([gemma3], tmp_path / "x")
    with Model.open(gemma3) as model:
        whole = [model.session_bytes(c.n_ctx) for c in manifest.memory.contexts]
        n_ctx_train = model.info["n_ctx_train"]
    assert [c.bytes for c in manifest.memory.contexts] == whole
    assert manifest.memory.contexts[-1].n_ctx == n_ctx_train


def test_context_lengths_are_powers_of_two_and_the_longest() -> None:
    assert context_lengths(64) == [64]
    assert context_lengths(512) == [512]
    assert context_lengths(2048) == [512, 1024, 2048]
    assert context_lengths(3000) == [512, 1024, 2048, 3000]
    assert context_lengths(1 << 20)[-2:] == [65536, 131072]


def test_a_split_set_is_several_files(tmp_path: Path) -> None:
    parts = write_gguf("qwen2", tmp_path / "tiny.gguf", split_max_tensors=9)
    seen: list[tuple[int, int]] = []
    manifest = pack(
        [parts[0]], tmp_path / "x", progress=lambda done, total: seen.append((done, total))
    )
    assert [file.name for file in manifest.files] == [part.name for part in parts]
    assert manifest.size == sum(part.stat().st_size for part in parts)
    assert manifest.name == "tiny"
    # Read once for the known answer, and once to be cut.
    assert seen[-1] == (2 * manifest.size, 2 * manifest.size)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    verify(tmp_path / "x")


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_verification_finds_a_damaged_chunk(llama: Path, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "x"
    manifest = pack([llama], folder, chunk_size=CHUNK)
    chunk = folder / manifest.files[0].chunks[2].sha256
    data = bytearray(chunk.read_bytes())
    if damage == "flip":
        data[77] ^= 1
        chunk.write_bytes(data)
    elif damage == "cut":
        chunk.write_bytes(data[:-1])
    else:
        chunk.unlink()
    with pytest.raises(SlmError, match=chunk.name):
        verify(folder)


def test_verification_finds_exchanged_chunks(llama: Path, tmp_path: Path) -> None:
    folder = tmp_path / "x"
    pack([llama], folder, chunk_size=CHUNK)
    manifest = json.loads((folder / "manifest.json").read_text())
    chunks = manifest["files"][0]["chunks"]
    chunks[0], chunks[1] = chunks[1], chunks[0]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(SlmError, match="its root is not that of its chunks"):
        verify(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 1}', '{"schema": 2}', "null", "{"])
def test_a_damaged_manifest_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(SlmError, match="is not a manifest that can be used") as caught:
        read_manifest(tmp_path)
    assert caught.value.code == "bad_manifest"


@pytest.mark.parametrize(
    "options",
    [
        {"name": "Upper"},
        {"name": "../x"},
        {"name": ""},
        {"name": ".x"},
        {"name": "a" * 101},
        {"license_url": "javascript:alert(1)"},
        {"license_url": "http://example.org"},
        {"version": ""},
        {"version": "<b>"},
        {"chunk_size": 100},
        {"chunk_size": 65 << 20},
        {"sampling": {"temperature": float("nan")}},
        {"sampling": {"heat": 1.0}},
    ],
)
def test_what_the_page_would_refuse_is_refused_here(
    llama: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    with pytest.raises(SlmError) as caught:
        pack([llama], tmp_path / "x", **options)
    assert caught.value.code == "invalid_argument"
    assert not (tmp_path / "x").exists()


def test_a_model_that_cannot_run_is_not_packed(tmp_path: Path) -> None:
    path = tmp_path / "notes.gguf"
    path.write_text("no model")
    with pytest.raises(SlmError, match="notes"):
        pack([path], tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_names_come_from_file_names() -> None:
    assert default_name(Path("SmolLM2-135M-Instruct.Q4_1.gguf")) == "smollm2-135m-instruct-q4_1"
    assert default_name(Path("gemma-3-270m-Q4_K_M.gguf")) == "gemma-3-270m-q4_k_m"
    assert default_name(Path("Big Model-00001-of-00002.GGUF")) == "big-model"
    assert default_name(Path("語.gguf")) == "model"
    assert MODEL_NAME.fullmatch(default_name(Path("__x__.gguf")))


def test_a_template_that_cannot_be_parsed_is_refused(llama: Path, tmp_path: Path) -> None:
    path = with_template(llama, tmp_path / "broken.gguf", "one\n{% for m in messages %}")
    with pytest.raises(SlmError, match=r"syntax error \(line 2: ") as caught:
        pack([path], tmp_path / "out")
    assert caught.value.code == "bad_template"
    assert not (tmp_path / "out").exists()
    with pytest.raises(SlmError, match=r"syntax error \(line 2: "):
        build(path, tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_a_model_that_only_a_gpu_has_room_for(tmp_path: Path) -> None:
    """Gemma 7B in Q4_0 but for its vocabulary: more than 4 GiB of zeros, which take no room."""
    config = {
        "model_type": "gemma", "hidden_size": 3072, "num_hidden_layers": 28,
        "num_attention_heads": 16, "num_key_value_heads": 16, "head_dim": 256,
        "intermediate_size": 24576, "vocab_size": 512, "max_position_embeddings": 131072,
    }  # fmt: skip
    path = tmp_path / "large.gguf"
    os.truncate(path, write_header(from_config(config, "Large").quantized("Q4_0"), path))
    manifest = pack([path], tmp_path / "large", with_known_answer=False)
    assert manifest.size > manifest.memory.weights > 1 << 32
    # Keys and values of 28 layers in f16, and what a batch on a GPU takes; the longest context is
    # the one whose keys fit what every GPU binds.
    longest = manifest.memory.contexts[-1]
    assert longest.n_ctx == (128 << 20) // (2 * 16 * 256)
    assert 1 < longest.bytes / (28 * 2 * 2 * 16 * 256 * longest.n_ctx) < 1.1
