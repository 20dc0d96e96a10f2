"""Converted files in llama.cpp itself: loaded unchanged, with the logits of transformers,
the token ids of our core, and adapters alone that do what merging does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slmweb.convert import convert, convert_adapter
from slmweb.core import Instance, Model
from tests.goldens.tiny_models import EMBEDDERS, TinyModel, sequence
from tests.goldens.transformers_models import transformers_embedding
from tests.parity.logits import assert_close
from tests.py.convert import checkpoints
from tests.py.convert.test_adapters import adapted, merged_logits, save, settings
from tests.py.convert.test_tokenizers import TOKENIZERS, texts

pytestmark = [
    pytest.mark.llama,
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

MODELS = {name: tiny for name, tiny in checkpoints.models().items() if tiny.in_llama_cpp}


@pytest.fixture(scope="module")
def llama_cpp() -> Callable[..., Any]:
    """Opens a file in llama.cpp."""
    from tests.goldens.llama_cpp_reference import LlamaCpp

    return LlamaCpp


def saved(tiny: TinyModel, folder: Path) -> Path:
    return checkpoints.save(folder, checkpoints.model_of(tiny), checkpoints.tokenizer_of(tiny))


@pytest.mark.parametrize("name", MODELS)
def test_logits(name: str, tmp_path: Path, llama_cpp: Callable[..., Any]) -> None:
    tiny = MODELS[name]
    convert(saved(tiny, tmp_path / name), tmp_path / "out.gguf", type="f32")
    ids = sequence(tiny)
    with llama_cpp(tmp_path / "out.gguf") as llama:
        found = llama.logits(ids, kv_type=0)
    assert_close(found, checkpoints.logits(checkpoints.model_of(tiny), ids), tiny.llama_cpp_bound)


@pytest.mark.parametrize("kind", ["f16", "bf16"])
def test_16_bit_types_load(kind: str, tmp_path: Path, llama_cpp: Callable[..., Any]) -> None:
    tiny = MODELS["gemma3"]
    convert(saved(tiny, tmp_path / "it"), tmp_path / "out.gguf", type=kind)
    ids = sequence(tiny)
    with llama_cpp(tmp_path / "out.gguf") as llama:
        found = llama.logits(ids, kv_type=0)
    assert_close(found, checkpoints.logits(checkpoints.model_of(tiny), ids), 0.1)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_token_ids(
    name: str, tmp_path: Path, core: Instance, llama_cpp: Callable[..., Any]
) -> None:
    architecture, make = TOKENIZERS[name]
    tiny = replace(MODELS[architecture], n_layer=1)
    folder = checkpoints.save(tmp_path / "it", checkpoints.model_of(tiny), make())
    convert(folder, tmp_path / "out.gguf")
    assert not differing(tmp_path / "out.gguf", core, llama_cpp)


def differing(path: Path, core: Instance, llama_cpp: Callable[..., Any]) -> list[str]:
    """The cases of texts that get other ids in the core."""
    with (
        llama_cpp(path, vocab_only=True) as llama,
        Model.open(path, weights=False, core=core) as model,
    ):
        return [
            case
            for case, text in texts().items()
            for special in (False, True)
            if model.tokenizer.encode(text, special=special)
            != llama.tokenize(text.encode(), special=special, bos=True)
        ]


def test_unigram_ids(tmp_path: Path, core: Instance, llama_cpp: Callable[..., Any]) -> None:
    tiny = replace(EMBEDDERS["xlm-roberta"], n_vocab=checkpoints.N_VOCAB)
    convert(checkpoints.save_embedder(tmp_path / "it", tiny), tmp_path / "out.gguf", type="f32")
    assert not differing(tmp_path / "out.gguf", core, llama_cpp)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("llama-gqa", {}),
        ("llama", {"use_rslora": True}),
        ("qwen2", {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"up_proj": 11}}),
        ("qwen2-untied", {"target_modules": ["q_proj", "lm_head"]}),
        ("gemma2-scale", {}),
        ("gemma3-scale", {"use_rslora": True}),
    ],
    ids=lambda value: value if isinstance(value, str) else ",".join(value) or "plain",
)
def test_adapters_alone(
    name: str, options: dict[str, Any], tmp_path: Path, llama_cpp: Callable[..., Any]
) -> None:
    tiny = MODELS[name]
    base = saved(tiny, tmp_path / "base")
    model = adapted(name, settings(**options))
    folder = save(model, tmp_path / "adapter", save_embedding_layers=False)
    convert(base, tmp_path / "base.gguf", type="f32")
    convert_adapter(folder, tmp_path / "adapter.gguf", base=base, type="f32")
    ids = sequence(tiny)
    with llama_cpp(tmp_path / "base.gguf") as llama:
        found = llama.logits(ids, kv_type=0, adapters=[(tmp_path / "adapter.gguf", 1.0)])
    assert_close(found, merged_logits(model, ids), 3 * tiny.llama_cpp_bound)


@pytest.mark.parametrize("name", [name for name, m in EMBEDDERS.items() if m.in_llama_cpp])
@pytest.mark.parametrize("n", [1, 40, 96])
def test_embeddings(name: str, n: int, tmp_path: Path, llama_cpp: Callable[..., Any]) -> None:
    """Also of texts longer than the local layers' window."""
    tiny = replace(EMBEDDERS[name], n_vocab=checkpoints.N_VOCAB)
    convert(checkpoints.save_embedder(tmp_path / name, tiny), tmp_path / "out.gguf", type="f32")
    ids = sequence(tiny, n)
    with llama_cpp(tmp_path / "out.gguf") as llama:
        found = llama.embedding(ids)
    assert_close(found[None], transformers_embedding(tiny, ids)[None], tiny.llama_cpp_bound)
