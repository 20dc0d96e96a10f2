"""`slmweb convert` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from gguf import GGUFReader

from tests.py.cli.program import slmweb
from tests.py.convert.test_adapters import MODELS, adapted, save, settings

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = adapted("qwen2-untied", settings(r=2, target_modules=["q_proj"]))
    return save(model, tmp_path_factory.mktemp("adapter") / "lora")


def test_a_checkpoint(qwen2: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    done = slmweb("convert", str(qwen2), "-o", str(out), "--name", "My model")
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode()
    assert f"wrote {out}: qwen2 model" in text
    assert b"note: text is tokenized as it is" in done.stderr
    assert GGUFReader(out).fields["general.name"].contents() == "My model"
    shown = slmweb("inspect", str(out), "--json")
    assert json.loads(shown.stdout)["types"].keys() == {"F16", "F32"}


def test_json(qwen2: Path, adapter: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    arguments = ("convert", str(qwen2), "-o", str(out), "--type", "bf16", "--json")
    done = slmweb(*arguments, "--adapter", str(adapter), "--adapter", f"{adapter}:-1")
    answer = json.loads(done.stdout)
    assert done.stderr == b""
    assert answer["out"] == str(out)
    assert (answer["architecture"], answer["type"]) == ("qwen2", "bf16")
    assert answer["size"] == out.stat().st_size
    assert answer["tensors"] == len(GGUFReader(out).tensors)
    assert answer["parameters"] == sum(int(t.n_elements) for t in GGUFReader(out).tensors)
    assert not answer["adapter_only"]
    # Plus one and minus one of the same adapter is none of it.
    slmweb("convert", str(qwen2), "-o", str(tmp_path / "plain.gguf"), "--type", "bf16")
    assert (tmp_path / "plain.gguf").read_bytes() == out.read_bytes()


def test_an_adapter_by_either_order(qwen2: Path, adapter: Path, tmp_path: Path) -> None:
    """Beside its base, or with the base as an option."""
    outs = [tmp_path / "a.gguf", tmp_path / "b.gguf"]
    for out, arguments in zip(
        outs,
        [(str(qwen2), "--adapter", str(adapter)), (str(adapter), "--base", str(qwen2))],
        strict=True,
    ):
        done = slmweb("convert", *arguments, "--adapter-only", "-o", str(out))
        assert done.returncode == 0, done.stderr
        assert b"qwen2 adapter" in done.stdout
    assert outs[0].read_bytes() == outs[1].read_bytes()
    names = {tensor.name for tensor in GGUFReader(outs[0]).tensors}
    assert "blk.0.attn_q.weight.lora_a" in names
    assert len(names) == 2 * MODELS["qwen2-untied"].n_layer


@pytest.mark.parametrize("options", [(), ("--adapter-only",)])
def test_an_adapter_without_its_base(
    options: tuple[str, ...], adapter: Path, tmp_path: Path
) -> None:
    """It names the base that it asks for, and how to give both."""
    config = adapter / "adapter_config.json"
    copy = tmp_path / "my lora"
    copy.mkdir()
    (copy / "adapter_model.safetensors").write_bytes(
        (adapter / "adapter_model.safetensors").read_bytes()
    )
    base = {"base_model_name_or_path": "google/gemma-2b"}
    (copy / config.name).write_text(json.dumps(json.loads(config.read_text()) | base))
    done = slmweb("convert", str(copy), *options, "-o", str(tmp_path / "out.gguf"))
    assert done.returncode == 2
    assert b"is an adapter of google/gemma-2b" in done.stderr
    assert f"--adapter '{copy}'".encode() in done.stderr
    assert not (tmp_path / "out.gguf").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--adapter-only"], 2, "--adapter-only writes one adapter, and 0 were given"),
        (["--adapter", "lora:much"], 2, "'lora:much' is not DIR or DIR:WEIGHT"),
        (["--adapter", "nowhere"], 1, "nowhere/adapter_config.json is missing"),
        (["--adapter", "nowhere:nan"], 2, "the weight nan of nowhere is not finite"),
        (["--type", "q4_0"], 2, "q4_0"),
    ],
)
def test_arguments_that_make_no_sense(
    arguments: list[str], status: int, words: str, qwen2: Path, tmp_path: Path
) -> None:
    done = slmweb("convert", str(qwen2), "-o", str(tmp_path / "out.gguf"), *arguments)
    assert done.returncode == status
    assert words in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1
    assert list(tmp_path.iterdir()) == []
