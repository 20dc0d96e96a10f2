"""Models that embed texts: what the core makes of a converted checkpoint against what
transformers makes of the checkpoint, and the chains of modules that are refused.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
from numpy.typing import NDArray
from transformers import AutoTokenizer, EmbeddingGemma2Config, EmbeddingGemma2Model

from slmweb.cli.app import run
from slmweb.convert import convert, convert_adapter
from slmweb.core import Instance, Model
from slmweb.errors import SlmError
from slmweb.pack import known_answer
from slmweb.pack.pack import pack
from slmweb.quantize.quantize import quantize
from tests.goldens.tiny_gguf import write_gguf
from tests.goldens.tiny_models import EMBEDDERS, TinyModel, sequence
from tests.goldens.transformers_models import transformers_embedder, transformers_embedding
from tests.py.convert import checkpoints

BOUND = 2e-6
TINY = {name: replace(m, n_vocab=checkpoints.N_VOCAB) for name, m in EMBEDDERS.items()}
# One token, fewer than a window, more than one, and more than four times as many.
LENGTHS = (1, 5, 40, 96)


# What a file of sentence-transformers may say that is computed otherwise, or not at all.
BROKEN: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "no modules": ("modules.json", lambda _: None, "modules.json, which says how, is missing"),
    "a layer more": (
        "modules.json",
        lambda m: [*m[:3], {"type": "x.LayerNorm", "path": "9_LayerNorm"}, *m[3:]],
        "chains Transformer, Pooling, Dense, LayerNorm",
    ),
    "the model elsewhere": (
        "modules.json",
        lambda m: [{**m[0], "path": "0_Transformer"}, *m[1:]],
        "in the folder '0_Transformer'",
    ),
    "outside": (
        "modules.json",
        lambda m: [m[0], {**m[1], "path": "../1_Pooling"}, *m[2:]],
        "without a folder beside it",
    ),
    "anywhere": (
        "modules.json",
        lambda m: [m[0], {**m[1], "path": "/tmp"}, *m[2:]],
        "without a folder beside it",
    ),
    "no name of a file": (
        "modules.json",
        lambda m: [m[0], {**m[1], "path": "1_\0Pooling"}, *m[2:]],
        "without a folder beside it",
    ),
    "another mean": (
        "1_Pooling/config.json",
        lambda c: {"pooling_mode_max_tokens": True},
        "pools by max;",
    ),
    "two means": (
        "1_Pooling/config.json",
        lambda c: {**c, "pooling_mode_cls_token": True},
        "pools by mean and cls",
    ),
    "a bias": ("2_Dense/config.json", lambda c: {**c, "bias": True}, "has a bias"),
    "an activation": (
        "3_Dense/config.json",
        lambda c: {**c, "activation_function": "torch.nn.modules.activation.Tanh"},
        "activation.Tanh",
    ),
    "one matrix": (
        "modules.json",
        lambda m: [*m[:3], m[-1]],
        "expected Transformer, Pooling, Dense, Dense and",
    ),
    "matrices that do not fit": (
        "modules.json",
        lambda m: [*m[:2], m[3], m[2], m[4]],
        "takes 352 numbers, and what comes before it gives 64",
    ),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = tmp_path_factory.mktemp("embedders")
    return {name: checkpoints.save_embedder(made / name, tiny) for name, tiny in TINY.items()}


def expected(tiny: TinyModel, n: int) -> NDArray[np.float32]:
    raw = transformers_embedding(tiny, sequence(tiny, n))
    unit: NDArray[np.float32] = raw / np.linalg.norm(raw)
    return unit


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("n", LENGTHS)
def test_every_family(
    folders: dict[str, Path], tmp_path: Path, core: Instance, name: str, n: int
) -> None:
    tiny = TINY[name]
    assert convert(folders[name], tmp_path / "out.gguf", type="f32").architecture == tiny.arch
    with (
        Model.open(tmp_path / "out.gguf", core=core) as model,
        model.session(128) as session,
    ):
        assert model.info["n_embedding"] == tiny.n_embedding
        found = session.embed(sequence(tiny, n))
        again = session.embed(sequence(tiny, n))
    assert np.linalg.norm(found - expected(tiny, n)) < BOUND
    np.testing.assert_array_equal(found, again)  # whatever was embedded before


def multimodal(text: Any) -> Any:
    """EmbeddingGemma 2 with this text model in it."""
    vision = {
        "model_type": "gemma4_vision", "hidden_size": 16, "intermediate_size": 16,
        "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8,
        "global_head_dim": 8,
    }  # fmt: skip
    config = EmbeddingGemma2Config(
        text_config=text.config.to_dict(), vision_config=vision, audio_config=None
    )
    whole: Any = EmbeddingGemma2Model(config)
    whole.language_model.load_state_dict(text.state_dict())
    return whole.eval()


@pytest.mark.parametrize("sizes", ["by layer", "by kind of layer"])
def test_the_text_of_a_multimodal_embedder(sizes: str, tmp_path: Path, core: Instance) -> None:
    """EmbeddingGemma 2 as the hub has it, with what sees beside, whose layers have its names."""
    tiny = TINY["gemma-embedding2"]
    text = transformers_embedder(tiny)
    folder = checkpoints.save_embedder(tmp_path / "it", tiny, multimodal(text))
    config = json.loads((folder / "config.json").read_text())
    each = config["text_config"].pop("per_layer_config")
    if sizes == "by layer":  # with two digits each, as the hub's file counts them
        config["text_config"]["per_layer_config"] = {f"{int(i):02}": c for i, c in each.items()}
    else:
        config["text_config"]["global_head_dim"] = tiny.global_head_dim
        config["text_config"]["num_global_key_value_heads"] = tiny.n_global_head_kv
    (folder / "config.json").write_text(json.dumps(config))
    converted = convert(folder, tmp_path / "out.gguf", type="f32")
    assert any("vision" in note for note in converted.notes)
    assert converted.vision is None
    assert converted.tensors == len(text.state_dict())
    with Model.open(tmp_path / "out.gguf", core=core) as model, model.session(64) as session:
        found = session.embed(sequence(tiny, 40))
    assert np.linalg.norm(found - expected(tiny, 40)) < BOUND


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("inside", [False, True], ids=["the text alone", "in the whole"])
def test_an_adapter_of_a_multimodal_embedder(inside: bool, tmp_path: Path, core: Instance) -> None:
    """Of matrices in the layers and of those around them, merged and beside the base."""
    tiny = TINY["gemma-embedding2"]
    text = transformers_embedder(tiny)
    base = multimodal(text) if inside else text
    folder = checkpoints.save_embedder(tmp_path / "it", tiny, base)
    modules = ("q_proj", "v_proj", "per_layer_input_gate", "per_layer_model_projection")
    at = r"language_model\." if inside else ""
    names = rf"{at}.*({'|'.join(modules)})|{at}embedding_projection"
    adapted: Any = peft.get_peft_model(base, peft.LoraConfig(r=4, target_modules=names)).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.2, generator=generator)
    adapted.save_pretrained(tmp_path / "adapter")
    ids = sequence(tiny, 40)
    with torch.no_grad():
        mean = adapted(torch.tensor([ids])).last_hidden_state[0].mean(0).numpy()
    wanted = mean / np.linalg.norm(mean)
    assert np.linalg.norm(wanted - expected(tiny, 40)) > 0.1
    merged, plain, beside = (tmp_path / f"{name}.gguf" for name in ("merged", "plain", "beside"))
    convert(folder, merged, type="f32", adapters=[(tmp_path / "adapter", 1.0)])
    convert(folder, plain, type="f32")
    convert_adapter(tmp_path / "adapter", beside, base=folder, type="f32")
    with Model.open(merged, core=core) as model, model.session(64) as session:
        assert np.linalg.norm(session.embed(ids) - wanted) < BOUND
    with (
        Model.open(plain, core=core) as model,
        model.load_adapter(beside) as loaded,
        model.session(64) as session,
    ):
        session.adapters([(loaded, 1.0)])
        assert np.linalg.norm(session.embed(ids) - wanted) < BOUND


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_computed_otherwise_is_refused(
    folders: dict[str, Path], tmp_path: Path, name: str
) -> None:
    folder = shutil.copytree(folders["gemma-embedding"], tmp_path / "copy")
    at, change, sentence = BROKEN[name]
    changed = change(json.loads((folder / at).read_text()))
    (folder / at).unlink()
    if changed is not None:
        (folder / at).write_text(json.dumps(changed))
    with pytest.raises(SlmError, match=re.escape(sentence)):
        convert(folder, tmp_path / "out.gguf")
    assert not (tmp_path / "out.gguf").exists()


@pytest.mark.parametrize(
    "text",
    [
        "The rain in Spain",
        "naïve café, ÀÉÎÕÜ ß Straße İstanbul ǅ",
        "  tabs\tand\r\nlines\u00a0\u3000 ",
        "a-b_c+d=e (f) [g] {h} #!$%&'*/:;<=>?@\\^`|~",
        "日本語 中文字 한국어 हिन्दी عربى",
        "soft\u00adhyphen zero\u200bwidth bom\ufeff nul\x00 bell\x07",
        "x" * 100 + " " + "y" * 101,
        "[CLS] [SEP] [MASK] [UNK]",
        "e\u0301 \u1e9b\u0323 \ufb01 Ⅷ ５ ﷺ 👩🏽‍💻",
        "don't won\u2019t",
    ],
)
def test_wordpiece(folders: dict[str, Path], bert: Path, core: Instance, text: str) -> None:
    """Ids are those of the tokenizers library."""
    theirs: Any = AutoTokenizer.from_pretrained(folders["bert"])
    # Special tokens in the text are text to us, and the library has no such switch.
    plain = text.replace("[", "(").replace("]", ")")
    with Model.open(bert, weights=False, core=core) as model:
        assert model.tokenizer.encode(plain, special=False) == theirs.encode(plain)
        ours = model.tokenizer.encode(text, special=False)
        assert not set(ours[1:-1]) & {0, 2, 3, 4}
        if "[" in text and "a-b" not in text:
            assert model.tokenizer.encode(text) == theirs.encode(text)


def test_wordpiece_gives_its_text_back(bert: Path, core: Instance) -> None:
    with Model.open(bert, weights=False, core=core) as model:
        ids = model.tokenizer.encode("The rain, again")
        assert model.tokenizer.decode(ids) == b"the rain , again"


@pytest.mark.parametrize(
    ("at", "change", "sentence"),
    [
        (("normalizer", "lowercase"), False, "lowercase False"),
        (("normalizer", "strip_accents"), False, "accents that are kept"),
        (("pre_tokenizer", "type"), "Whitespace", "a pre_tokenizer with type 'Whitespace'"),
        (("model", "vocab"), {"[UNK]": 0, "a": "x"}, "no usable vocabulary"),
        (("model", "vocab"), {"[UNK]": 0, "a": None}, "no usable vocabulary"),
        (("normalizer",), [1], "a damaged normalizer or pre_tokenizer"),
        (("model", "continuing_subword_prefix"), "@@", "continuing_subword_prefix '@@'"),
    ],
)
def test_other_wordpiece_is_refused(
    folders: dict[str, Path], tmp_path: Path, at: tuple[str, ...], change: Any, sentence: str
) -> None:
    folder = shutil.copytree(folders["bert"], tmp_path / "copy")
    file = json.loads((folder / "tokenizer.json").read_text())
    if len(at) == 1:
        file[at[0]] = change
    else:
        file[at[0]][at[1]] = change
    (folder / "tokenizer.json").write_text(json.dumps(file))
    with pytest.raises(SlmError, match=re.escape(sentence)):
        convert(folder, tmp_path / "out.gguf")


@pytest.fixture(scope="module")
def bert(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("gguf") / "bert.gguf"
    convert(folders["bert"], out, type="f16")
    return out


@pytest.fixture(scope="module")
def gguf(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("gguf") / "embedder.gguf"
    convert(folders["gemma-embedding"], out, type="f16")
    return out


def test_shorter_embeddings(gguf: Path, core: Instance) -> None:
    """The first numbers, scaled to length 1 again (Kusupati et al. 2022)."""
    ids = [2, 10, 11, 12, 1]
    with Model.open(gguf, core=core) as model, model.session() as session:
        whole = session.embed(ids)
        for n in (1, 8, 63, 64):
            short = session.embed(ids, n)
            np.testing.assert_allclose(short, whole[:n] / np.linalg.norm(whole[:n]), rtol=1e-5)
        with pytest.raises(SlmError, match="this model makes 1 to 64"):
            session.embed(ids, 65)


def test_a_row_that_is_wider_than_all_others(
    folders: dict[str, Path], tmp_path: Path, core: Instance
) -> None:
    """Quantized, the second matrix rounds it, in memory that it has to have room in."""
    convert(folders["gemma-embedding"], tmp_path / "f32.gguf", type="f32")
    quantize(tmp_path / "f32.gguf", tmp_path / "q8.gguf", type="q8_0")
    with Model.open(tmp_path / "q8.gguf", core=core) as model, model.session(1) as session:
        rounded = session.embed([5])
        session.exact()
        assert rounded @ session.embed([5]) > 0.999


def test_texts_get_bos_and_eos(folders: dict[str, Path], gguf: Path, core: Instance) -> None:
    """As the checkpoint's own tokenizer adds them."""
    theirs: Any = AutoTokenizer.from_pretrained(folders["gemma-embedding"])
    with Model.open(gguf, weights=False, core=core) as model:
        for text in ("the rain", "x", "a <bos> b"):
            ours = model.tokenizer.encode(text, special=False, bos=True)
            if "<" not in text:
                assert ours == theirs.encode(text)
            assert ours.count(model.info["bos"] or 0) == 1


def test_what_does_not_fit_the_model(gguf: Path, core: Instance) -> None:
    with Model.open(gguf, core=core) as model:
        with model.session(16, 4) as session:
            assert len(session.embed([5] * 16)) == 64  # a batch is the context
            with pytest.raises(SlmError, match="a text of 17 tokens is more than the 16"):
                session.embed([5] * 17)
            with pytest.raises(SlmError, match="embeds texts and writes none"):
                session.eval([5])
        with pytest.raises(SlmError, match="texts of at most 512 tokens"):
            model.session(513)


def test_a_model_that_generates_embeds_nothing(tmp_path: Path, core: Instance) -> None:
    write_gguf("gemma", tmp_path / "gemma.gguf")
    with (
        Model.open(tmp_path / "gemma.gguf", core=core) as model,
        model.session(16) as session,
        pytest.raises(SlmError, match="generates text and embeds none"),
    ):
        session.embed([5])


def test_a_pack_has_a_known_answer(gguf: Path, tmp_path: Path, core: Instance) -> None:
    """And a damaged one is found out by it."""
    manifest = pack([gguf], tmp_path / "pack")
    answer = manifest.known_answer[0]
    assert len(answer.ids) == 32
    with Model.open(tmp_path / "pack", core=core) as model:
        assert known_answer.check(model, manifest.known_answer) < answer.bound
        changed = replace(answer, logits=tuple(x + 0.1 for x in answer.logits))
        with pytest.raises(SlmError, match="known answer"):
            known_answer.check(model, [changed])


def test_command(gguf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["embed", str(gguf), "the rain", "the sun", "--json", "--dimensions", "8"]) == 0
    found = json.loads(capsys.readouterr().out)
    vectors = np.array([item["embedding"] for item in found["data"]])
    assert [item["index"] for item in found["data"]] == [0, 1]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    (tmp_path / "texts").write_text("the rain\n\nthe sun\n")
    out = tmp_path / "out.npy"
    arguments = ["embed", str(gguf), "--file", str(tmp_path / "texts"), "--out", str(out)]
    assert run([*arguments, "--dimensions", "8"]) == 0
    np.testing.assert_allclose(np.load(out), vectors, rtol=1e-6)
    assert run(["embed", str(gguf), "a", "b", "c"]) == 0
    assert capsys.readouterr().out.count("\n") == 5
    assert run(["embed", str(gguf)]) == 2
    assert "no texts" in capsys.readouterr().err
