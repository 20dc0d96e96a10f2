"""The shaders of models with several residuals against float64, and of feed-forward networks that
let few gates through; large numbers and empty rows must stay finite."""

from __future__ import annotations

import numpy as np
import pytest

from tests.gpu.cases import F32, F64, Batch, Build, Check, close, run_all

EPSILON = float(np.finfo(np.float32).eps)
WIDTHS = [32, 64, 256, 1024, 1056, 2048]


def match(width: int, n: int) -> Build:
    def build(batch: Batch, random: np.random.Generator) -> Check:
        x = (random.standard_normal((n, width)) * 10).astype(np.float32)
        y = (random.standard_normal((n, width)) * 3).astype(np.float32)
        least = 1e-5 * width
        y[-1] = 0
        y[0] *= np.float32(1e-4)  # shorter than what counts
        case = batch.case({"x": x, "y": y}, "y")
        case.dispatch("match", (n,), {"quads": width // 4, "least": least})

        def check() -> None:
            wanted, is_ = ((rows.astype(np.float64) ** 2).sum(1) for rows in (x, y))
            want = y * np.sqrt(wanted / np.maximum(is_, least))[:, None]
            close(case.results["y"], want, 16 * EPSILON * (np.abs(want) + 1e-6))

        return check

    return build


def sparse_glu(width: int, n: int, cut: float) -> Build:
    def build(batch: Batch, random: np.random.Generator) -> Check:
        stride = -(-width // 32) * 32
        x, up = np.zeros((2, n, stride), np.float32)
        x[:, :width] = random.standard_normal((n, width)) * 3 + 5
        up[:, :width] = random.standard_normal((n, width))
        x[-1, :width] = 7  # without a deviation, so that none is above the mean
        case = batch.case({"up": up, "x": x}, "x")
        case.dispatch("sparse_glu", (n,), {"width": width, "stride": stride, "cut": cut})

        def check() -> None:
            g = x[:, :width].astype(np.float64)
            least = g.mean(1, keepdims=True) + cut * g.std(1, keepdims=True)
            a = np.maximum(g - least, 0)
            gelu = a / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (a + 0.044715 * a**3)))
            found = case.results["x"][:, :width]
            # What is left of two numbers around 10 has their error.
            slack = 64 * EPSILON * (np.abs(g) + np.abs(least)) * (np.abs(up[:, :width]) + 1)
            close(found, gelu * up[:, :width], slack)
            closed = g < least - 1e-4
            assert closed[:-1].mean() > 0.25
            assert (found[closed] == 0).all()

        return check

    return build


def streams(width: int, n: int, correct: bool) -> Build:
    def build(batch: Batch, random: np.random.Generator) -> Check:
        rows: F32 = random.standard_normal((4, n, width)).astype(np.float32)
        y = random.standard_normal((n, width)).astype(np.float32)
        coefficients = (random.standard_normal((n, 32)) / 2).astype(np.float32)
        vectors = random.standard_normal(32 + width).astype(np.float32)
        buffers = {f"s{i}": stream for i, stream in enumerate(rows)}
        case = batch.case(
            {"coefficients": coefficients, "vectors": vectors, "y": y, **buffers}, "y", *buffers
        )
        params = {"quads": width // 4, "coefficients_stride": 32, "scale": 32}
        grid = (-(-width // 256), n)
        case.dispatch("streams", grid, params, {"CORRECT": int(correct)})

        def check() -> None:
            before: F64 = rows.astype(np.float64)
            if correct:
                by = 1 + coefficients[:, :4].T[:, :, None].astype(np.float64)
                want = before + by * (y - before[0])
            else:
                by = coefficients[:, :16].reshape(n, 4, 4).astype(np.float64)
                want = before + np.einsum("njs,snw->jnw", by, before)
            for i, stream in enumerate(want):
                close(case.results[f"s{i}"], stream, 16 * EPSILON * (np.abs(stream) + 4))
            if correct:
                scaled = want[0] * vectors[32:]
                close(case.results["y"], scaled, 16 * EPSILON * (np.abs(scaled) + 8))
            else:
                np.testing.assert_array_equal(case.results["y"], y)

        return check

    return build


BUILDS: dict[str, Build] = {}
for _width in WIDTHS:
    BUILDS[f"match-{_width}"] = match(_width, 3)
    BUILDS[f"mix-{_width}"] = streams(_width, 3, correct=False)
    BUILDS[f"correct-{_width}"] = streams(_width, 3, correct=True)
for _width in (4, 33, *WIDTHS, 8192):
    BUILDS[f"sparse-{_width}"] = sparse_glu(_width, 3, 1.6448536)
    BUILDS[f"half-{_width}"] = sparse_glu(_width, 2, 0.25)


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Check]:
    return run_all(tmp_path_factory.mktemp("streams"), BUILDS)


@pytest.mark.parametrize("name", BUILDS)
def test_against_float64(checks: dict[str, Check], name: str) -> None:
    checks[name]()
