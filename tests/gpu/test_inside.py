"""Looking inside on the GPU: taps, the lens and steering against transformers, as the CPU is held
to it, and what happens to them where the device draws tokens itself.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from slmweb.core import Model, Sampling, Site
from slmweb.generated.abi import EvalFlag
from tests.goldens.tiny_models import INSIDE, MODELS, direction, uniform
from tests.gpu.core import GpuInstance
from tests.parity import test_sae as saes
from tests.parity.logits import F32, assert_close, evaluate
from tests.parity.test_inside import golden, parse, places, rows_of, tiny

BOUND = 1e-4  # of the norm, as everywhere on the GPU
N_CTX = 64

Gpu = Callable[[str], GpuInstance]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inside")


@pytest.mark.parametrize("name", INSIDE)
def test_every_family(gpu: Gpu, folder: Path, name: str) -> None:
    expected = golden(name)
    ids, looked = expected["ids"].tolist(), places(expected)
    middle = MODELS[name].n_layer // 2 - 1
    with (
        Model.open(tiny(name, folder), core=gpu("lane")) as model,
        model.session(N_CTX, 9) as session,
    ):
        session.tap([*map(parse, looked), (Site.RESIDUAL, middle)])
        *found, rows = rows_of(session, ids, len(looked) + 1)
        for place, values in zip(looked, found, strict=True):
            print(place)
            assert_close(values, expected[place], BOUND)
        assert_close(session.lens(rows)[::5], expected["lens"], BOUND)
        session.tap([])
        session.steer(middle, direction(MODELS[name]), float(expected["scale"]))
        session.reuse([])
        assert_close(evaluate(session, ids)[::5], expected["steered"], BOUND)


@pytest.mark.parametrize("form", ["sweep", "subgroup"])
def test_the_forms_for_real_gpus(gpu: Gpu, folder: Path, form: str) -> None:
    expected = golden("gemma2")
    looked, ids = places(expected), expected["ids"].tolist()
    with Model.open(tiny("gemma2", folder), core=gpu(form)) as model:
        for n_batch in (20, 1):
            with model.session(N_CTX, n_batch) as session:
                session.tap([parse(place) for place in looked])
                found = rows_of(session, ids, len(looked))
            for place, values in zip(looked, found, strict=True):
                assert_close(values, expected[place], BOUND)


def test_a_token_that_the_device_draws_has_its_rows(gpu: Gpu, folder: Path) -> None:
    """While the host asks it to go on by itself: greedy, with steering, then looked at, too."""
    core, ids, n = gpu("lane"), golden("llama")["ids"].tolist(), 6
    push = direction(MODELS["llama"])
    with Model.open(tiny("llama", folder), core=core) as model, model.session(N_CTX) as session:
        session.steer(0, push, 2.0)

        def answer(taps: int) -> tuple[list[int], list[F32]]:
            session.reuse([])
            session.configure(Sampling(temperature=0, ignore_eog=True))
            drawn: list[int] = []
            rows: list[F32] = []
            for _ in range(n):
                session._eval(drawn[-1:] or ids, EvalFlag.SAMPLE_ON)
                rows += [session.tapped(tap)[-1] for tap in range(taps)]
                drawn.append(core.check("slm_session_sample", session.handle))
            return drawn, rows

        alone, _ = answer(0)
        session.tap([(Site.RESIDUAL, 1)])
        looked_at, rows = answer(1)
        assert looked_at == alone
        session.reuse([])
        (expected,) = rows_of(session, [*ids, *alone[:-1]], 1)
        assert_close(np.stack(rows), expected[len(ids) - 1 :], BOUND)


def test_a_lens_between_two_tokens_does_not_change_the_answer(gpu: Gpu, folder: Path) -> None:
    """The device may be ahead, on the token that it drew; the lens comes in between."""
    core, ids = gpu("lane"), golden("gemma3")["ids"].tolist()
    with Model.open(tiny("gemma3", folder), core=core) as model, model.session(N_CTX) as session:

        def answer(look: bool) -> list[int]:
            session.reuse([])
            session.configure(Sampling(temperature=0, ignore_eog=True))
            drawn: list[int] = []
            for _ in range(6):
                session._eval(drawn[-1:] or ids, EvalFlag.SAMPLE_ON)
                drawn.append(core.check("slm_session_sample", session.handle))
                if look:
                    session.lens(np.full((2, 64), 0.5, np.float32))
            return drawn

        assert answer(look=True) == answer(look=False)


@pytest.mark.parametrize("kind", ["F32", "Q8_0"])
@pytest.mark.parametrize("form", ["lane", "sweep", "dot8"])
def test_features(gpu: Gpu, folder: Path, form: str, kind: str) -> None:
    """One row, a few and many, without rounding whichever form is selected."""
    path = tiny(saes.NAME, folder)
    with (
        Model.open(path, core=gpu(form)) as model,
        model.load_sae(saes.write_sae(folder, model, Site.RESIDUAL, kind)) as sae,
        model.session(N_CTX) as session,
    ):
        rows = uniform("rows", (40, 64)).astype(np.float32)
        held = saes.held(Site.RESIDUAL, kind)
        for n in (1, 3, 40):
            found = saes.all_features(session, sae, rows[:n])
            expected = held.encoded(rows[:n])
            sure = np.abs(expected - held.threshold) > 1e-3
            error = np.linalg.norm((found - expected) * sure) / np.linalg.norm(expected)
            assert error < 1e-5
        np.testing.assert_array_equal(sae.direction(9), held.w_dec[9])
