"""Norms, activations, pooling and sums, against float64; large numbers that must stay finite."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.gpu.cases import Batch, Build, Check, close, grid, run_all

EPSILON = float(np.finfo(np.float32).eps)
WIDTHS = [1, 3, 4, 5, 31, 32, 33, 255, 256, 640, 1023, 1024, 1025, 2304]


def rmsnorm(width: int, add: bool, plain: bool = False) -> Build:
    def build(batch: Batch, random: np.random.Generator) -> Check:
        # Of x, rows before those that are wanted, and columns.
        n, before, left = 3, 0 if add else 2, 0 if add else 32
        stride = -(-width // 32) * 32
        rows = np.zeros((before + n, left + stride), np.float32)
        rows[:, : left + width] = random.standard_normal((before + n, left + width)) * 10
        weight = np.zeros(32 + stride, np.float32)
        weight[32 : 32 + width] = random.standard_normal(width)
        out = np.zeros((n, stride), np.float32)
        if add:
            out[:, :width] = random.standard_normal((n, width))
        shared = {"width": width, "stride": stride, "weight": 32, "epsilon": 1e-6}
        if add:
            case = batch.case({"y": rows, "vectors": weight, "x": out}, "x")
            case.dispatch("add_rmsnorm", grid(n, most=2), {**shared, "n": n, "factor": 0.75})
        else:
            case = batch.case({"x": rows, "vectors": weight, "out": out}, "out")
            beside = {"x_stride": left + stride, "first": before * (left + stride) + left}
            case.dispatch("rmsnorm", (n,), {**shared, **beside}, {"PLAIN": int(plain)})

        def check() -> None:
            x = rows[before:, left:].astype(np.float64)
            mean = (x[:, :width] ** 2).mean(1, keepdims=True)
            by = 1 if plain else weight[32:]
            want = (x / np.sqrt(mean + 1e-6) * by + out) * (0.75 if add else 1)
            close(case.results["x" if add else "out"], want, 8 * EPSILON * (np.abs(want) + 1))

        return check

    return build


def layernorm(width: int) -> Build:
    def build(batch: Batch, random: np.random.Generator) -> Check:
        stride = -(-width // 32) * 32
        rows = np.zeros((3, stride), np.float32)
        rows[:, :width] = random.standard_normal((3, width)) * 10 + 5
        vectors = np.zeros(64 + 2 * stride, np.float32)
        vectors[32 : 32 + width], vectors[64 + stride : 64 + stride + width] = (
            random.standard_normal((2, width))
        )
        case = batch.case({"vectors": vectors, "x": rows}, "x")
        params = {"width": width, "stride": stride, "weight": 32, "bias": 64 + stride}
        case.dispatch("layernorm", (3,), {**params, "epsilon": 1e-6})

        def check() -> None:
            x = rows.astype(np.float64)[:, :width]
            off = x - x.mean(1, keepdims=True)
            unit = off / np.sqrt((off**2).mean(1, keepdims=True) + 1e-6)
            want = np.zeros((3, stride))
            bias = vectors[64 + stride : 64 + stride + width]
            want[:, :width] = unit * vectors[32 : 32 + width] + bias
            # A mean that is far from zero costs digits of what is left.
            close(case.results["x"], want, 64 * EPSILON * (np.abs(want) + 1))

        return check

    return build


def erf_gelu(n: int) -> Build:
    def build(batch: Batch, random: np.random.Generator) -> Check:
        x = (random.standard_normal(n) * 3).astype(np.float32)
        x[:8] = [0, -0.0, 1e4, -1e4, 88, -88, 1e-30, -11]
        case = batch.case({"x": x}, "x")
        case.dispatch("gelu", grid(-(-n // 256), most=3), {"n": n})

        def check() -> None:
            want = [0.5 * v * (1 + math.erf(v / math.sqrt(2))) for v in x.astype(float)]
            # 1.5e-7 of the error function, times half of x, which is as good as none beyond 6.
            close(case.results["x"], np.array(want), 1e-6 + 2 * EPSILON * np.abs(want))

        return check

    return build


def pool(first: int, count: int, width: int) -> Build:
    def build(batch: Batch, random: np.random.Generator) -> Check:
        stride = -(-width // 32) * 32
        rows = random.standard_normal((7, stride)).astype(np.float32)
        case = batch.case({"x": rows, "out": np.zeros(stride, np.float32)}, "out")
        params = {"stride": stride, "quads": -(-width // 4), "first": first, "count": count}
        case.dispatch("pool", (-(-width // 256),), params)

        def check() -> None:
            found = case.results["out"][:width]
            close(found, rows[first : first + count, :width].mean(0), 4 * EPSILON)

        return check

    return build


def combine(n: int, period: int, factor: float) -> Build:
    def build(batch: Batch, random: np.random.Generator) -> Check:
        x = random.standard_normal(4 * period).astype(np.float32)
        y = random.standard_normal(4 * n).astype(np.float32)
        if factor == 0:
            y[:4] = [np.nan, np.inf, -np.inf, 0]
        case = batch.case({"x": x, "y": y}, "y")
        params = {"n": n, "period": period, "factor": factor}
        case.dispatch("combine", grid(-(-n // 256), most=3), params)

        def check() -> None:
            again = np.resize(x, 4 * n)
            want = again.astype(np.float64) + factor * y if factor else again
            close(case.results["y"], want, 2 * EPSILON)

        return check

    return build


def glu(gelu: bool, n: int) -> Build:
    def build(batch: Batch, random: np.random.Generator) -> Check:
        gate = (random.standard_normal(n) * 3).astype(np.float32)
        gate[:8] = [0, -0.0, 1e4, -1e4, 88, -88, 1e-30, -11]
        up = random.standard_normal(n).astype(np.float32)
        up[:4] = 1e4
        case = batch.case({"gate": gate, "up": up}, "gate")
        params = {"n": n, "quads": n // 4, "up_quads": 0, "up_first": 0}
        case.dispatch("glu", grid(-(-n // 256), most=3), params, {"GELU": int(gelu)})

        def check() -> None:
            g = gate.astype(np.float64)
            a = 2 * np.sqrt(2 / np.pi) * (g + 0.044715 * g**3) if gelu else g
            want = g / (1 + np.exp(np.minimum(-a, 700))) * up
            # exp of a is off by as many epsilons as a is large.
            slack = (4 + 4 * np.minimum(np.abs(a), 100)) * EPSILON * np.abs(want) + 1e-20
            close(case.results["gate"], want, slack)

        return check

    return build


def gate(n: int, width: int, by_width: int, first: int) -> Build:
    """A gated unit whose other factor is columns of wider rows."""

    def build(batch: Batch, random: np.random.Generator) -> Check:
        gate = random.standard_normal((n, width)).astype(np.float32)
        by = random.standard_normal((n, by_width)).astype(np.float32)
        case = batch.case({"gate": gate, "up": by}, "gate")
        params = {"quads": width // 4, "up_quads": by_width // 4, "up_first": first // 4}
        words = {"n": gate.size, **params}
        case.dispatch("glu", grid(-(-gate.size // 256), most=3), words, {"GELU": 0})

        def check() -> None:
            g = gate.astype(np.float64)
            want = g / (1 + np.exp(-g)) * by[:, first : first + width]
            close(case.results["gate"], want, 16 * EPSILON * (np.abs(want) + 1e-3))

        return check

    return build


def last_rows(n: int, kept: int, width: int) -> Build:
    def build(batch: Batch, random: np.random.Generator) -> Check:
        rows = random.standard_normal((n, width)).astype(np.float32)
        case = batch.case({"x": rows}, "x")
        quads = width // 4
        case.dispatch("last_rows", (2,), {"n": kept * quads, "first": (n - kept) * quads})

        def check() -> None:
            np.testing.assert_array_equal(case.results["x"][:kept], rows[n - kept :])
            np.testing.assert_array_equal(case.results["x"][kept:], rows[kept:])

        return check

    return build


BUILDS: dict[str, Build] = {}
for _width in WIDTHS:
    BUILDS[f"rmsnorm-{_width}"] = rmsnorm(_width, add=False)
    BUILDS[f"rmsnorm-plain-{_width}"] = rmsnorm(_width, add=False, plain=True)
    BUILDS[f"add_rmsnorm-{_width}"] = rmsnorm(_width, add=True)
    BUILDS[f"layernorm-{_width}"] = layernorm(_width)
for _n in (32, 256, 288, 2048):
    BUILDS[f"silu-{_n}"] = glu(False, _n)
    BUILDS[f"gelu-{_n}"] = glu(True, _n)
    BUILDS[f"erf-gelu-{_n}"] = erf_gelu(_n)
BUILDS["gate"] = gate(5, 64, 320, 128)
BUILDS["last-row"] = last_rows(7, 1, 96)
BUILDS["last-rows"] = last_rows(6, 3, 1024)
for _n, _period, _factor in ((8, 8, 0.0), (600, 600, -1.0), (600, 200, 1.0), (8, 1, 1.0)):
    BUILDS[f"combine-{_n}-{_period}-{_factor}"] = combine(_n, _period, _factor)
for _first, _count in ((0, 7), (0, 1), (6, 1)):
    BUILDS[f"pool-{_first}-{_count}"] = pool(_first, _count, 1028)


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Check]:
    return run_all(tmp_path_factory.mktemp("elementwise"), BUILDS)


@pytest.mark.parametrize("name", BUILDS)
def test_elementwise(checks: dict[str, Check], name: str) -> None:
    checks[name]()
