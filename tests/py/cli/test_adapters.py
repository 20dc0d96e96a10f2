"""--adapter on the command line, and a pack that carries adapters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slmweb.cli.common import parse_adapter
from slmweb.core import Model
from slmweb.errors import SlmError
from slmweb.pack.manifest import PackedAdapter, read_manifest
from slmweb.pack.pack import pack, verify
from tests.goldens.tiny_adapters import LAW, TALE, write_adapter
from tests.goldens.tiny_models import MODELS
from tests.py.cli.program import slmweb

QWEN2 = MODELS["qwen2"]
IDS = [5, 17, 40, 41, 42]


@pytest.fixture(scope="module")
def law(model_folder: Path) -> Path:
    return write_adapter(QWEN2, LAW, model_folder / "qwen2-law.gguf")


@pytest.fixture(scope="module")
def tale(model_folder: Path) -> Path:
    return write_adapter(QWEN2, TALE, model_folder / "qwen2-tale.gguf")


def run(*arguments: str) -> Any:
    done = slmweb(*arguments, "--json")
    assert (done.returncode, done.stderr) == (0, b"")
    return json.loads(done.stdout)


def refused(*arguments: str) -> tuple[int, str]:
    done = slmweb(*arguments)
    assert done.stdout == b""
    return done.returncode, done.stderr.decode()


def test_logits_mix_what_is_named(qwen2: Path, law: Path, tale: Path, tmp_path: Path) -> None:
    out = tmp_path / "logits.npy"
    adapters = ["--adapter", str(law), "--adapter", f"{tale}:0.5"]
    run("logits", str(qwen2), "--ids", "5,17,40,41,42", "--out", str(out), *adapters)
    with Model.open(qwen2) as model, model.session(16) as session:
        session.adapters([(model.load_adapter(law), 1.0), (model.load_adapter(tale), 0.5)])
        expected = session.eval(IDS, "all")
    assert expected is not None
    assert (np.load(out) == expected).all()


def test_perplexity_is_that_of_the_domain(qwen2: Path, law: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("The law of the land, and of the sea." * 4)

    def perplexity(*options: str) -> float:
        found: float = run("perplexity", str(qwen2), str(text), *options)["perplexity"]
        return found

    base = perplexity()
    assert perplexity("--adapter", f"{law}:0") == base
    assert perplexity("--adapter", str(law)) != base


def test_chat_answers_in_the_domain(qwen2: Path, law: Path) -> None:
    options = [
        *("chat", str(qwen2), "-p", "What is the law?"),
        "--temperature=0",
        "--max-tokens=12",
    ]
    base = run(*options)["content"]
    assert run(*options, "--adapter", str(law))["content"] != base
    assert run(*options, "--adapter", f"{law}:0.0")["content"] == base


@pytest.mark.parametrize(
    ("option", "path", "scale"),
    [
        ("a.gguf", "a.gguf", 1.0),
        ("a.gguf:2", "a.gguf", 2.0),
        ("a.gguf:-0.5", "a.gguf", -0.5),
        ("C:\\a.gguf", "C:\\a.gguf", 1.0),
        ("C:\\a.gguf:1e-1", "C:\\a.gguf", 0.1),
        ("a:b", "a:b", 1.0),
    ],
)
def test_the_scale_follows_the_file(option: str, path: str, scale: float) -> None:
    assert parse_adapter(option) == (Path(path), scale)


def test_a_file_may_be_called_like_a_scale(tmp_path: Path) -> None:
    path = tmp_path / "a:2"
    path.write_bytes(b"")
    assert parse_adapter(str(path)) == (path, 1.0)


def test_a_scale_that_is_no_number_is_refused(qwen2: Path, law: Path) -> None:
    for scale in ("nan", "inf"):
        with pytest.raises(SlmError, match="finite number"):
            parse_adapter(f"a.gguf:{scale}")
    status, sentence = refused("chat", str(qwen2), "-p", "?", "--adapter", f"{law}:nan")
    assert status == 2
    assert f"{law}:nan" in sentence


def test_an_adapter_of_another_base_is_refused(llama: Path, law: Path, tmp_path: Path) -> None:
    status, sentence = refused(
        *("logits", str(llama), "--ids", "1", "--out", str(tmp_path / "x.npy")),
        *("--adapter", str(law)),
    )
    assert status == 1
    assert sentence.count("\n") == 1
    assert str(law) in sentence
    assert "'general.architecture' is 'qwen2', but should be 'llama'" in sentence
    assert not (tmp_path / "x.npy").exists()


# ---- packed with the model


def test_a_pack_carries_adapters(qwen2: Path, law: Path, tale: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    run("pack", str(qwen2), "-o", str(out), "--adapter", f"{law}=Law and order",
        "--adapter", str(tale), "--verify")  # fmt: skip
    manifest = read_manifest(out)
    assert manifest.adapters == (
        PackedAdapter("qwen2-law", "Law and order", 1),
        PackedAdapter("qwen2-tale", "tiny tale", 2),
    )
    assert [file.name for file in manifest.files] == [path.name for path in (qwen2, law, tale)]
    assert manifest.size == sum(path.stat().st_size for path in (qwen2, law, tale))
    packed = b"".join((out / chunk.sha256).read_bytes() for chunk in manifest.files[1].chunks)
    assert packed == law.read_bytes()
    assert verify(out) == manifest
    first = (out / "manifest.json").read_bytes()
    pack([qwen2], out, adapters=[(law, "Law and order"), (tale, None)], name="model")
    assert (out / "manifest.json").read_bytes() == first


def test_a_pack_without_adapters_says_nothing_of_them(
    qwen2: Path, law: Path, tmp_path: Path
) -> None:
    with_law = pack([qwen2], tmp_path, adapters=[(law, None)])
    without = pack([qwen2], tmp_path)
    assert "adapters" not in json.loads((tmp_path / "manifest.json").read_text())
    # Other adapters are another version, and what is not named is deleted.
    assert with_law.root != without.root
    assert not any((tmp_path / c.sha256).exists() for c in with_law.files[1].chunks)


def test_a_pack_refuses_what_a_page_could_not_use(
    llama: Path, qwen2: Path, law: Path, tmp_path: Path
) -> None:
    with pytest.raises(SlmError, match=r"general\.architecture"):
        pack([llama], tmp_path / "a", adapters=[(law, None)])
    with pytest.raises(SlmError, match="the name 'qwen2-law'") as caught:
        pack([qwen2], tmp_path / "a", adapters=[(law, None), (law, "Again")])
    assert caught.value.code == "invalid_argument"
    assert not (tmp_path / "a").exists()
