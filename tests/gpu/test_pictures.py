"""Pictures on the GPU, as the tests of the CPU have them: encoder, prompts and answers
against transformers, and the shaders that only pictures need against numpy.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from slmweb.core import Model
from tests.goldens.tiny_pictures import VISIONS
from tests.gpu.cases import Batch, Build, Check, close, grid, run_all
from tests.gpu.core import GpuInstance
from tests.parity.logits import assert_close
from tests.parity.test_pictures import ANSWER, N_CTX, converted, expected, logits

BOUND = 1e-4

Gpu = Callable[[str], GpuInstance]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pictures")


@pytest.mark.parametrize("form", ["lane", "sweep"])
@pytest.mark.parametrize("name", VISIONS)
def test_every_model_that_sees(gpu: Gpu, folder: Path, name: str, form: str) -> None:
    text, mmproj = converted(folder, VISIONS[name])
    want = expected(name)
    with (
        Model.open(text, core=gpu(form)) as model,
        model.load_vision(mmproj) as vision,
        model.session(N_CTX, N_CTX) as session,
    ):
        shown = [vision.encode(rgb) for rgb in want.pictures]
        for picture, features in zip(shown, want.features, strict=True):
            assert_close(picture.rows(), features, BOUND)
        session.pictures(shown, want.at)
        for picture in shown:
            picture.close()
        assert_close(logits(session, [want.ids, *[[t] for t in ANSWER]]), want.logits, BOUND)
        # Without pictures the same tokens are seen as they are.
        session.pictures([], [])
        assert session.reuse(want.ids) == want.at[0]
        plain = logits(session, [want.ids[want.at[0] :]])
        with Model.open(text) as cpu, cpu.session(N_CTX, N_CTX) as other:
            assert_close(plain, logits(other, [want.ids])[want.at[0] :], BOUND)


def patches(side: int, height: int, patch: int) -> Build:
    """Of a picture that is `side` wide."""

    def build(batch: Batch, random: np.random.Generator) -> Check:
        rgb = random.integers(0, 256, (height, side, 3), dtype=np.uint8)
        across, down = side // patch, height // patch
        width = 3 * patch * patch
        stride = -(-width // 32) * 32
        pixels = np.zeros(-(-rgb.size // 4) * 4, np.uint8)
        pixels[: rgb.size] = rgb.reshape(-1)
        out = np.zeros((across * down, stride), np.float32)
        case = batch.case({"pixels": pixels.view(np.uint32), "out": out}, "out")
        factors, offsets = random.standard_normal((2, 3))
        n = across * down * width
        case.dispatch(
            "patches",
            grid(-(-n // 64), most=7),
            {
                "width": side,
                "length": patch,
                "across": across,
                "stride": stride,
                "n": n,
                **{f"factor{i}": float(f) for i, f in enumerate(factors)},
                **{f"offset{i}": float(f) for i, f in enumerate(offsets)},
            },
        )

        def check() -> None:
            want = np.zeros(out.shape)
            values = rgb * factors + offsets
            for row in range(across * down):
                y, x = row // across * patch, row % across * patch
                square = values[y : y + patch, x : x + patch]
                want[row, :width] = square.transpose(2, 0, 1).reshape(-1)
            close(case.results["out"], want, 1e-4)

        return check

    return build


def merge_rows(side: int, down: int, factor: int, width: int, mean: bool) -> Build:
    """Of `down` rows of `side` patches."""

    def build(batch: Batch, random: np.random.Generator) -> Check:
        stride = -(-width // 32) * 32
        x = np.zeros((down * side, stride), np.float32)
        x[:, :width] = random.standard_normal((down * side, width))
        across, lines = side // factor, down // factor
        n_out = width if mean else width * factor * factor
        out = np.zeros((lines * across, -(-n_out // 32) * 32), np.float32)
        case = batch.case({"x": x, "out": out}, "out")
        n = lines * across * n_out // 4
        params = {"across": side, "factor": factor, "quads": width // 4, "x_stride": stride}
        case.dispatch(
            "merge_rows",
            grid(-(-n // 64), most=5),
            {**params, "out_stride": out.shape[1], "n": n},
            {"MEAN": int(mean)},
        )

        def check() -> None:
            squares = x[:, :width].reshape(lines, factor, across, factor, width)
            rows = squares.transpose(0, 2, 1, 3, 4).reshape(lines * across, -1, width)
            want = np.zeros(out.shape)
            want[:, :n_out] = rows.mean(1) if mean else rows.reshape(len(rows), -1)
            close(case.results["out"], want, 1e-6)

        return check

    return build


def clip(n: int, low: float, high: float) -> Build:
    def build(batch: Batch, random: np.random.Generator) -> Check:
        x = random.standard_normal(n).astype(np.float32)
        case = batch.case({"x": x}, "x")
        case.dispatch("clip", grid(-(-n // 256), most=3), {"n": n, "low": low, "high": high})

        def check() -> None:
            close(case.results["x"], np.clip(x, low, high), 1e-30)

        return check

    return build


def copy(n: int, to: int, first: int = 0) -> Build:
    def build(batch: Batch, random: np.random.Generator) -> Check:
        src, dst = (random.standard_normal(2000).astype(np.float32) for _ in range(2))
        case = batch.case({"src": src, "dst": dst}, "dst")
        case.dispatch("copy", (2,), {"n": n, "to": to, "first": first})

        def check() -> None:
            want = dst.copy()
            want[to : to + n] = src[first : first + n]
            close(case.results["dst"], want, 1e-30)

        return check

    return build


BUILDS: dict[str, Build] = {
    "patches-27-4": patches(27, 27, 4),
    "patches-32-16": patches(32, 32, 16),
    "patches-100-8": patches(100, 100, 8),
    "patches-wide": patches(96, 40, 8),
    "patches-tall": patches(40, 96, 8),
    "mean-8-4": merge_rows(8, 8, 4, 72, True),
    "mean-12-2": merge_rows(12, 12, 2, 36, True),
    "one-behind-another-12-3": merge_rows(12, 12, 3, 40, False),
    "one-behind-another-8-4": merge_rows(8, 8, 4, 32, False),
    "mean-wide": merge_rows(12, 3, 3, 40, True),
    "mean-tall": merge_rows(3, 12, 3, 40, True),
    "clip": clip(1000, -0.5, 0.8),
    "clip-from-below": clip(64, -3.4028234663852886e38, 0.1),
    "copy-whole": copy(2000, 0),
    "copy-part": copy(700, 1111),
    "copy-from-within": copy(700, 1111, 1300),
}


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Check]:
    return run_all(tmp_path_factory.mktemp("pictures"), BUILDS)


@pytest.mark.parametrize("name", BUILDS)
def test_shaders(checks: dict[str, Check], name: str) -> None:
    checks[name]()
