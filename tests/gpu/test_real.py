"""The real models on the GPU: what SmolLM2 writes is what it writes on the CPU, and
next-token distributions on real text are those of the exact weights. An emulated
device takes half a second for a token, so fewer positions than on the CPU are asked.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from slmweb.core import Instance, Model, Sampling
from tests.goldens import distribution
from tests.goldens.distribution import compare, log_softmax, perplexity
from tests.gpu.core import GpuInstance
from tests.parity.test_distributions import KL, SAME_TOP

Gpu = Callable[[str], GpuInstance]
RealModel = Callable[[str], Path]

N_TOKENS = 64
POSITIONS = {"smollm2": 64, "gemma3-270m": 40}


def greedy(core: Instance, path: Path) -> list[int]:
    """Without the rounding of activations, which decides between nearly equal tokens."""
    with Model.open(path, core=core) as model, model.session(128) as session:
        session.exact()
        prompt = model.tokenizer.encode("The sky is blue because")
        generation = session.generate(prompt, Sampling(temperature=0), max_tokens=N_TOKENS)
        list(generation)
        return list(generation.ids)


def test_smollm2_writes_what_it_writes_on_the_cpu(gpu: Gpu, real_model: RealModel) -> None:
    path = real_model("smollm2")
    found = greedy(gpu("lane"), path)
    assert len(found) == N_TOKENS
    assert found == greedy(Instance("simd"), path)


@pytest.mark.parametrize("name", POSITIONS)
def test_distributions_of_exact_weights(script: Path, real_model: RealModel, name: str) -> None:
    """On a device that binds no more than every one does: Gemma's head is larger and is split."""
    n = POSITIONS[name]
    exact, _ = distribution.load(f"{name}-f32")
    ids = exact.ids[:n]
    with (
        closing(GpuInstance(script, maxBinding=128 << 20)) as core,
        Model.open(real_model(name), core=core) as model,
        model.session(n, n) as session,
    ):
        logprobs = log_softmax(np.concatenate(list(session.logits(ids.tolist()))))
    # Of fewer positions the perplexity is another one, and nothing is said of it here.
    part = replace(
        exact,
        ids=ids,
        top=exact.top[:n],
        logprobs=exact.logprobs[:n],
        log_rest=exact.log_rest[:n],
        perplexity=perplexity(logprobs, ids),
    )
    found = compare(part, logprobs)
    print(f"{name} on the GPU against exact weights: {found}")
    assert found.kl <= KL
    assert found.same_top >= SAME_TOP
