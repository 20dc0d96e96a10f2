"""Whole models on the GPU, as the tests of the CPU have them: every family's tiny
checkpoint and every tensor type against transformers. The GPU computes with exact
weights and float32 activations, so that its bounds are those of float32 for all
types; only the f16 cache of quantized models rounds.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from slmweb.core import Instance, Model
from slmweb.errors import SlmError
from tests.goldens.tiny_gguf import write_gguf, write_model
from tests.goldens.tiny_models import (
    ANSWERS,
    EMBEDDERS,
    ENCODER_DECODERS,
    MIXED_MODELS,
    MODELS,
    TYPED_MODELS,
    answer,
    sequence,
    weights,
)
from tests.gpu.core import GpuInstance
from tests.parity import test_answers
from tests.parity.logits import assert_close, evaluate
from tests.parity.test_tensor_types import GOLDEN, assert_rounded
from tests.parity.test_tiny_logits import BOUND, N_CTX, golden

# A quantized model's keys and values are kept as f16, a relative rounding of 2^-12, which the
# softmax of a model of two bits amplifies most.
CACHE_BOUND = 6e-3
# Their goldens are kept as f16 themselves.
GOLDEN_BOUND = 3e-4

Gpu = Callable[[str], GpuInstance]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiny")


def tiny(name: str, folder: Path) -> Path:
    path = folder / f"{name}.gguf"
    if not path.exists():
        write_gguf(name, path)
    return path


@pytest.mark.parametrize("name", MODELS)
def test_every_family(gpu: Gpu, folder: Path, name: str) -> None:
    """Whole, in chunks, and token by token, across the windows' border."""
    ids, logits = golden(name).ids, golden(name).logits
    with Model.open(tiny(name, folder), core=gpu("lane")) as model:
        with model.session(N_CTX, 96) as session:
            assert_close(evaluate(session, ids), logits, BOUND)
        with model.session(N_CTX, 23) as session:
            assert_close(evaluate(session, ids[:69]), logits[:69], BOUND)
            alone = [session.eval([i]) for i in ids[69:77]]
        assert_close(
            np.concatenate([row for row in alone if row is not None]), logits[69:77], BOUND
        )


@pytest.mark.parametrize("form", ["lane", "sweep"])
@pytest.mark.parametrize("name", EMBEDDERS)
def test_embeddings(gpu: Gpu, folder: Path, name: str, form: str) -> None:
    """Of texts of one token, a few, and many, as the CPU makes them."""
    ids = sequence(EMBEDDERS[name])
    path = tiny(name, folder)
    with (
        Model.open(path) as reference,
        reference.session(N_CTX) as exact,
        Model.open(path, core=gpu(form)) as model,
        model.session(N_CTX) as session,
    ):
        for n in (1, 3, 40, 96):
            distance = np.linalg.norm(session.embed(ids[:n]) - exact.embed(ids[:n]))
            assert distance < BOUND, f"{n} tokens: {distance:.1e}"


@pytest.mark.parametrize("form", ["lane", "sweep"])
@pytest.mark.parametrize("name", ENCODER_DECODERS)
def test_answers_to_what_an_encoder_reads(gpu: Gpu, folder: Path, name: str, form: str) -> None:
    """Past the windows of both, then shorter prompts, in the same session."""
    tiny_model = ENCODER_DECODERS[name]
    with (
        Model.open(tiny(name, folder), core=gpu(form)) as model,
        model.session(N_CTX, 32) as session,
    ):
        for n, n_answer in ANSWERS:
            prompt, given = sequence(tiny_model, n), answer(tiny_model, n_answer)
            found = test_answers.told(session, prompt, given, 32)
            assert_close(found, test_answers.golden(name, n), BOUND)


@pytest.mark.parametrize("form", ["sweep", "subgroup"])
@pytest.mark.parametrize("name", ["llama", "gemma3"])
def test_the_forms_for_real_gpus(gpu: Gpu, folder: Path, name: str, form: str) -> None:
    expected = golden(name)
    with Model.open(tiny(name, folder), core=gpu(form)) as model:
        for n_batch, n in ((96, 96), (3, 9), (1, 5)):
            with model.session(N_CTX, n_batch) as session:
                assert_close(evaluate(session, expected.ids[:n]), expected.logits[:n], BOUND)


def test_the_cache_is_reused(gpu: Gpu, folder: Path) -> None:
    """Another continuation, then the first one again, from what the cache still holds."""
    expected = golden("llama")
    ids, n_kept, n_vocab = expected.ids, 61, MODELS["llama"].n_vocab
    other = ids[:n_kept] + [(i + 1) % n_vocab for i in ids[n_kept:]]
    with (
        Model.open(tiny("llama", folder), core=gpu("lane")) as model,
        model.session(N_CTX, 16) as s,
    ):
        evaluate(s, ids)
        for turn in (other, ids):
            reused = s.reuse(turn)
            assert reused == n_kept
            logits = evaluate(s, turn[reused:])
        assert_close(logits, expected.logits[n_kept:], BOUND)


@pytest.mark.parametrize("name", MODELS)
def test_dispatches_of_a_token(gpu: Gpu, folder: Path, name: str) -> None:
    """At most ten a layer, and thirteen where it has embeddings of its own, beside embedding and
    head: each costs a real GPU microseconds. Gemma 3n's four residuals are mixed before a layer and
    corrected behind it, and what its last norms put out is added to three of them."""
    core = gpu("lane")
    with Model.open(tiny(name, folder), core=core) as model, model.session(N_CTX, 8) as session:
        session.eval([1])
        before = core.facts()["stats"]["dispatches"]
        session.eval([2])
        dispatches = core.facts()["stats"]["dispatches"] - before
    most = 30 if MODELS[name].arch == "gemma3n" else 13 if MODELS[name].n_per_layer else 10
    assert 0 < dispatches - 2 <= most * MODELS[name].n_layer


@pytest.mark.parametrize("name", [name for name in MODELS if MODELS[name].n_shared])
@pytest.mark.parametrize("n", [32, 7, 2, 1])
def test_a_prompt_ends_before_the_shared_layers(gpu: Gpu, folder: Path, name: str, n: int) -> None:
    """Only the last token of a batch goes on, at its own position; without logits, none does."""
    expected = golden(name)
    core = gpu("lane")
    with Model.open(tiny(name, folder), core=core) as model, model.session(N_CTX, 32) as session:
        assert session.eval(expected.ids[:32], "none") is None
        last = session.eval(expected.ids[32 : 32 + n])
        assert last is not None
        assert_close(last, expected.logits[31 + n : 32 + n], BOUND)
        more = evaluate(session, expected.ids[32 + n :])
        assert_close(more, expected.logits[32 + n :], BOUND)


@pytest.mark.parametrize("name", TYPED_MODELS | MIXED_MODELS)
def test_every_tensor_type(gpu: Gpu, tmp_path: Path, name: str) -> None:
    with np.load(GOLDEN) as file:
        ids: list[int] = file[f"{name}.ids"].tolist()
        expected = file[f"{name}.logits"].astype(np.float32)
    (path,) = write_gguf((TYPED_MODELS | MIXED_MODELS)[name].name, tmp_path / "model.gguf")
    with Model.open(path, core=gpu("lane")) as model, model.session(64) as session:
        assert_close(evaluate(session, ids), expected, CACHE_BOUND)
        session.exact()
        assert_close(evaluate(session, ids), expected, GOLDEN_BOUND)


@pytest.mark.parametrize("name", TYPED_MODELS)
def test_the_form_that_rounds_as_the_cpu_does(gpu: Gpu, tmp_path: Path, name: str) -> None:
    """Token by token, where it serves; within what the CPU's own rounding is held to."""
    with np.load(GOLDEN) as file:
        ids: list[int] = file[f"{name}.ids"][:12].tolist()
        expected = file[f"{name}.logits"][:12].astype(np.float32)
    (path,) = write_gguf(TYPED_MODELS[name].name, tmp_path / "model.gguf")
    with Model.open(path, core=gpu("dot8")) as model, model.session(64, 2) as session:
        assert_rounded(evaluate(session, ids), expected, name)
        session.exact()
        assert_close(evaluate(session, ids), expected, GOLDEN_BOUND)


@pytest.mark.parametrize("form", ["lane", "sweep", "dot8", "subgroup"])
def test_kernels_prove_themselves(gpu: Gpu, tmp_path: Path, form: str) -> None:
    """The self-tests that run on each visitor's device, for a type with every kind of region."""
    core = gpu(form)
    (path,) = write_gguf(TYPED_MODELS["Q5_K"].name, tmp_path / "model.gguf")
    with Model.open(path, core=core) as model:
        names = []
        for i in range(core.check("slm_check_count", model.handle)):
            names.append(core.string(core.pointer("slm_check_name", model.handle, i)))
            core.check("slm_check_start", model.handle, i)
            error = core.call("slm_check_error", model.handle)
            assert error <= core.call("slm_check_bound"), f"{names[-1]}: {error}"
    # As the model cuts them, and a few tokens at once.
    assert set(names) >= {
        "embed Q5_K 36 x 256 x 3", "matvec Q5_K 37 x 256 x 1", "matvec Q5_K 37 x 256 x 4",
        "matmul Q5_K 37 x 256 x 5", "glu Q5_K 37 x 256 x 1",
    }  # fmt: skip


def test_a_tensor_larger_than_a_binding_is_split(script: Path, folder: Path) -> None:
    """By rows, here at 20 KiB: the embedding and most matrices lie in several parts."""
    expected = golden("gemma3")
    with (
        closing(GpuInstance(script, maxBinding=20480)) as core,
        Model.open(tiny("gemma3", folder), core=core) as model,
        model.session(48, 16) as session,
    ):
        ids = expected.ids[:40]
        assert_close(evaluate(session, ids), expected.logits[:40], BOUND)


def test_what_cannot_be_split_is_refused(script: Path, folder: Path) -> None:
    with (
        closing(GpuInstance(script, maxBinding=4096)) as core,
        Model.open(tiny("gemma3", folder), core=core) as model,
    ):
        with pytest.raises(SlmError, match=r"binds at most 4096.*choose a shorter context"):
            model.session(4096)
        with pytest.raises(SlmError, match=r"binds at most 4096.*choose a smaller n_batch"):
            model.session(8, 4096)


def test_heads_wider_than_the_kernels_are_refused(gpu: Gpu, tmp_path: Path) -> None:
    wide = replace(MODELS["llama"], name="wide", n_layer=1, n_head=2, n_head_kv=1, head_dim=576)
    (path,) = write_model(wide, weights(wide), tmp_path / "wide.gguf")
    with (
        Model.open(path, core=gpu("lane")) as model,
        pytest.raises(SlmError, match=r"heads of 576 columns.*up to 512, so use the CPU"),
    ):
        model.session(16)


def test_rings_that_wrap_and_attention_that_is_shared_out(gpu: Gpu, folder: Path) -> None:
    """Far beyond the goldens: the GPU against the CPU, whose own tests hold it to them."""
    ids = sequence(MODELS["gemma3"], 270)
    found = []
    for core in (gpu("lane"), Instance("simd")):
        with (
            Model.open(tiny("gemma3", folder), core=core) as model,
            model.session(512, 32) as session,
        ):
            logits = [evaluate(session, ids[:250])]
            logits += [row for i in ids[250:] if (row := session.eval([i])) is not None]
            found.append(np.concatenate(logits))
    assert found[0].shape[0] == len(ids)
    assert_close(found[0], found[1], BOUND)


def test_what_is_prepared_is_all_that_is_needed(script: Path, folder: Path) -> None:
    """No evaluation of an answer has to wait for a compiler."""
    with (
        closing(GpuInstance(script)) as core,
        Model.open(tiny("gemma2", folder), core=core) as model,
    ):
        core.check("slm_model_prepare", model.handle, 300, 32)
        total = core.facts()["pipelines"]["total"]
        with model.session(300, 32) as session:
            ids = sequence(MODELS["gemma2"], 260)
            evaluate(session, ids[:64])  # logits of all
            for n in (1, 2, 3, 4, 5, 31):
                session.eval(ids[64 : 64 + n])
            session.eval(ids[110:142], "none")
            for i in ids[142:180]:
                session.eval([i])
        with model.session(24, 24) as session:
            session.exact()
            session.eval(ids[:23])
            session.eval(ids[23:24])
        assert core.facts()["pipelines"]["total"] == total
