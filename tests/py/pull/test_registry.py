"""The registry, what a name means, and models that are on this machine already."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from slmweb import paths
from slmweb.errors import SlmError
from slmweb.pull.pull import pull, pulled
from slmweb.pull.registry import Kaggle, Local, Repo, Url, Wheels, read_registry


def test_every_entry_can_be_found_and_has_terms() -> None:
    registry = read_registry()
    assert {"smollm2", "gemma3-270m", "gemma2-2b-it", "qwen3-0.6b"} <= set(registry.models)
    for key, entry in registry.models.items():
        assert registry.find(key) is entry
        assert entry.license is not None, key
        assert entry.config is not None, key
        # What `slmweb pack --good-for` takes, and fits beside a title.
        assert entry.good_for is not None, key
        assert 1 <= len(entry.good_for) <= 100, key
        assert entry.good_for.isprintable(), key
        # Hashes are of files that somebody has hashed; the hub vouches for its own.
        assert (entry.sha256 is not None) == isinstance(entry.origin, Wheels), key
    assert registry.licenses["gemma"].ask_first
    assert not registry.licenses["apache-2.0"].ask_first


def test_names_of_the_hub() -> None:
    find = read_registry().find
    assert find("hf:a/b").origin == Repo("a/b")
    assert find("hf:a/b.c@v1.0").origin == Repo("a/b.c", "v1.0")
    assert find("hf:a/b@refs/pr/1:dir/m-q4.gguf").origin == Repo(
        "a/b", "refs/pr/1", "dir/m-q4.gguf"
    )
    for wrong in ("hf:a", "hf:a/b/c", "hf:", "hf:../../etc", "hf:a/b:"):
        with pytest.raises(SlmError, match="hf:owner/name"):
            find(wrong)
    with pytest.raises(SlmError, match=r"no model 'gpt5'; choose from smollm2, .*hf:owner/name"):
        find("gpt5")
    for path in ("nosuch.gguf", "./nosuch", "google/gemma-3-270m", "model.safetensors"):
        with pytest.raises(SlmError, match=f"no {path}; give the path of .*hf:owner/name"):
            find(path)


def test_an_entry_may_come_from_kaggle_or_an_address(tmp_path: Path) -> None:
    path = tmp_path / "registry.toml"
    path.write_text(
        '[model.a]\ntitle = "A"\nkaggle = "a/b/transformers/c"\nversion = 2\n'
        '[model.b]\ntitle = "B"\nurl = "s3://bucket/b.gguf"\n'
    )
    found = read_registry(path).models
    assert found["a"].origin == Kaggle("a/b/transformers/c", 2)
    assert found["b"].origin == Url("s3://bucket/b.gguf")
    assert [found[key].kind for key in "ab"] == ["kaggle", "url"]


def test_a_registry_of_ones_own(tmp_path: Path) -> None:
    model = tmp_path / "mine.gguf"
    model.write_bytes(b"GGUF")
    digest = hashlib.sha256(b"GGUF").hexdigest()
    path = tmp_path / "registry.toml"
    path.write_text(f'[model.mine]\ntitle = "Mine"\npath = "mine.gguf"\nsha256 = "{digest}"\n')
    registry = read_registry(path)
    assert registry.models["mine"].origin == Local(model)
    assert registry.models["mine"].good_for is None
    target = pull("mine", out=tmp_path / "out", registry=registry)
    assert target.read_bytes() == b"GGUF"
    model.write_bytes(b"GGUF, but another")
    with pytest.raises(SlmError, match="should have the SHA-256"):
        pull("mine", out=tmp_path / "again", registry=registry)
    assert list((tmp_path / "again").iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "[model",
        "model = 3",
        '[model.a]\ntitle = "A"\n',
        '[model.a]\ntitle="A"\npath="b"\nsha256="c"\n',
        '[model.a]\ntitle="A"\nrepo="a/b"\nlicense="none"\n',
        '[model.a]\nrepo="a/b"\nstrange=1\n',
        '[model.a]\ntitle="A"\nrepo="a/b"\ngood_for=1\n',
    ],
)
def test_a_broken_registry_is_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "registry.toml"
    path.write_text(text)
    with pytest.raises(SlmError, match="is not a registry of models") as error:
        read_registry(path)
    assert "\n" not in error.value.message


def test_a_file_is_linked_and_a_checkpoint_folder_taken_whole(tmp_path: Path) -> None:
    folder = tmp_path / "tuned"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / ".cache").write_text("not this")
    taken = pull(str(folder))
    assert taken == paths.checkpoints_dir() / "tuned"
    assert sorted(path.name for path in taken.iterdir()) == ["config.json", "model.safetensors"]
    assert (taken / "model.safetensors").samefile(folder / "model.safetensors")
    assert pull(str(folder)) == taken
    (folder / "config.json").unlink()
    (folder / "model.safetensors").unlink()
    with pytest.raises(SlmError, match=r"no config\.json and no \.safetensors file"):
        pull(str(folder))


def test_the_encoder_of_pictures_beside_a_file_comes_along(tmp_path: Path) -> None:
    (tmp_path / "cat.gguf").write_bytes(b"GGUF")
    (tmp_path / "mmproj-cat.gguf").write_bytes(b"GGUF, an encoder")
    digest = hashlib.sha256(b"GGUF").hexdigest()
    taken = pull(str(tmp_path / "cat.gguf"), out=tmp_path / "out", sha256=digest)
    assert taken == tmp_path / "out" / "cat.gguf"
    assert sorted(p.name for p in taken.parent.iterdir()) == ["cat.gguf", "mmproj-cat.gguf"]
    with pytest.raises(SlmError, match="should have the SHA-256"):
        pull(str(tmp_path / "cat.gguf"), out=tmp_path / "again", sha256="0" * 64)


def test_where_links_do_not_reach_it_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def across(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", across)
    model = tmp_path / "m.gguf"
    model.write_bytes(b"GGUF")
    target = pull(str(model))
    assert not target.samefile(model)
    assert target.read_bytes() == b"GGUF"
    assert list(target.parent.iterdir()) == [target]


def test_a_missing_part_of_a_split_set_is_named(tmp_path: Path) -> None:
    (tmp_path / "m-00001-of-00002.gguf").write_bytes(b"GGUF")
    with pytest.raises(SlmError, match=r"m-00002-of-00002\.gguf does not exist"):
        pull(str(tmp_path / "m-00001-of-00002.gguf"))


def test_what_lies_there_by_half_is_not_pulled(tmp_path: Path) -> None:
    entry = read_registry().models["smollm2"]
    assert entry.file is not None
    (tmp_path / entry.file).write_bytes(b"GGUF")
    assert pulled(entry, tmp_path) is None
