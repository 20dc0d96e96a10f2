"""Tokens that the device draws itself: the same as the CPU's sampler draws from the same
logits and seed, whatever it is set to, and whether or not the device's guess was taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from slmweb.core import Instance, Model
from slmweb.core.session import Sampling, Session
from slmweb.errors import SlmError
from slmweb.generated.abi import EvalFlag
from tests.goldens.tiny_gguf import write_gguf, write_model
from tests.goldens.tiny_models import MODELS, sequence, weights
from tests.gpu.core import GpuInstance

Gpu = Callable[[str], GpuInstance]

N_TOKENS = 40
N_CTX = 64
N_VOCAB = MODELS["gemma3"].n_vocab
RESULT_BYTES = 16

SETTINGS = {
    "greedy": Sampling(temperature=0),
    "as by default": Sampling(seed=1),
    "hot": Sampling(temperature=3, top_k=128, top_p=1, min_p=0, seed=2),
    "narrow": Sampling(temperature=2, top_k=7, top_p=0.6, min_p=0, seed=3),
    "min-p": Sampling(temperature=2, top_k=100, top_p=1, min_p=0.3, seed=4),
    "repeat penalty": Sampling(temperature=0, repeat_penalty=1.8),
    "penalties": Sampling(seed=5, presence_penalty=0.7, frequency_penalty=0.9, penalty_last_n=9),
    "biases": Sampling(
        seed=6, repeat_penalty=1.1, ignore_eog=True, logit_bias={5: 8, 6: -math.inf, 7: 8.5}
    ),
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("drawing") / "gemma3.gguf"
    write_gguf("gemma3", path)
    return path


def sample(session: Session) -> int:
    return session.core.check("slm_session_sample", session.handle)


def start(session: Session, sampling: Sampling, flag: EvalFlag, prompt: Sequence[int]) -> int:
    session.exact()
    session.configure(sampling)
    session.reuse([])
    session._eval(prompt[:-1], EvalFlag.NO_LOGITS)
    session._eval(prompt[-1:], flag)
    return sample(session)


def tokens_of(core: Instance, path: Path, sampling: Sampling, flag: EvalFlag) -> list[int]:
    """Of an answer, each evaluated as `flag` says."""
    prompt = sequence(MODELS["gemma3"], 9)
    with Model.open(path, core=core) as model, model.session(N_CTX, 16) as session:
        tokens = [start(session, sampling, flag, prompt)]
        while len(tokens) < N_TOKENS:
            session._eval(tokens[-1:], flag)
            tokens.append(sample(session))
    return tokens


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("form", ["lane", "sweep"])
def test_the_cpus_tokens(gpu: Gpu, path: Path, form: str, name: str) -> None:
    sampling = SETTINGS[name]
    expected = tokens_of(Instance("simd"), path, sampling, EvalFlag.SAMPLE)
    core = gpu(form)
    before = core.facts()["stats"]
    assert tokens_of(core, path, sampling, EvalFlag.SAMPLE_ON) == expected
    after = core.facts()["stats"]
    # Nothing crosses but what was drawn.
    assert after["read_bytes"] - before["read_bytes"] == N_TOKENS * RESULT_BYTES
    assert tokens_of(core, path, sampling, EvalFlag.SAMPLE) == expected


@pytest.mark.parametrize("sampling", [Sampling(top_k=0, seed=7), Sampling(top_k=129, seed=8)])
def test_more_candidates_than_a_device_has_room_for(
    gpu: Gpu, path: Path, sampling: Sampling
) -> None:
    expected = tokens_of(Instance("simd"), path, sampling, EvalFlag.SAMPLE)
    assert tokens_of(gpu("lane"), path, sampling, EvalFlag.SAMPLE_ON) == expected


def test_an_answer_to_what_an_encoder_has_read(gpu: Gpu, tmp_path: Path) -> None:
    """Whose first token has a place of its own, past the decoder's window."""
    (path,) = write_gguf("t5gemma2", tmp_path / "t5gemma2.gguf")
    expected = tokens_of(Instance("simd"), path, Sampling(seed=3), EvalFlag.SAMPLE)
    assert tokens_of(gpu("lane"), path, Sampling(seed=3), EvalFlag.SAMPLE_ON) == expected


def test_another_token_than_was_drawn(gpu: Gpu, path: Path) -> None:
    """What the device has begun with its own is not taken for it, in a ring of keys neither."""
    prompt = sequence(MODELS["gemma3"], 9)
    found = []
    for core in (Instance("simd"), gpu("lane")):
        tokens = []
        with Model.open(path, core=core) as model, model.session(N_CTX, 16) as session:
            tokens.append(start(session, Sampling(), EvalFlag.SAMPLE_ON, prompt))
            for i in range(30):
                chosen = (tokens[-1] + (i % 3)) % N_VOCAB
                if i % 4 == 3:  # as from another device
                    session.core.check("slm_session_accept", session.handle, chosen)
                session._eval([chosen], EvalFlag.SAMPLE_ON)
                tokens.append(sample(session))
            session.reuse(prompt)
            session._eval(prompt[-1:], EvalFlag.SAMPLE_ON)
            tokens.append(sample(session))
            last = session.eval([tokens[-1]])
            assert last is not None
            tokens.append(int(last.argmax()))
        found.append(tokens)
    assert found[0] == found[1]


def test_the_end_of_the_context(gpu: Gpu, path: Path) -> None:
    ids = sequence(MODELS["gemma3"], 8)
    with Model.open(path, core=gpu("lane")) as model, model.session(8, 8) as session:
        session._eval(ids, EvalFlag.SAMPLE_ON)
        token = sample(session)
        with pytest.raises(SlmError, match="the context is full"):
            session._eval([token], EvalFlag.SAMPLE_ON)
        assert session.n_past == 8


@pytest.mark.parametrize("backend", ["cpu", "lane", "dot8"])
def test_logits_of_which_one_is_no_number(gpu: Gpu, tmp_path: Path, backend: str) -> None:
    tiny = replace(MODELS["llama"], name="damaged")
    damaged = weights(tiny)
    head = "lm_head.weight" if "lm_head.weight" in damaged else "model.embed_tokens.weight"
    damaged[head].values[200, 3] = np.nan
    (path,) = write_model(tiny, damaged, tmp_path / "damaged.gguf")
    core = Instance("simd") if backend == "cpu" else gpu(backend)
    with Model.open(path, core=core) as model, model.session(16) as session:
        session.configure(Sampling(logit_bias={200: -math.inf}))  # forbidding it hides nothing
        session._eval([5], EvalFlag.SAMPLE_ON)
        with pytest.raises(SlmError, match="not numbers") as failure:
            sample(session)
        assert failure.value.code == "bad_file"


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_every_token_is_forbidden(gpu: Gpu, path: Path, backend: str) -> None:
    core = Instance("simd") if backend == "cpu" else gpu("lane")
    with Model.open(path, core=core) as model, model.session(16) as session:
        session.configure(Sampling(logit_bias=dict.fromkeys(range(N_VOCAB), -math.inf)))
        session._eval([5], EvalFlag.SAMPLE_ON)
        with pytest.raises(SlmError, match="logit_bias forbids every one") as failure:
            sample(session)
        assert failure.value.code == "invalid_argument"
        for wrong in (math.inf, math.nan):
            with pytest.raises(SlmError, match="not a number below infinity"):
                session.configure(Sampling(logit_bias={3: wrong}))
