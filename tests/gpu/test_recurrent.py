"""The shaders of recurrent layers against float64, in one piece and going on from what is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from slmweb.core import Instance, Model
from slmweb.generated.abi import EvalFlag
from slmweb.quantize import quantize
from tests.goldens.tiny_gguf import write_gguf
from tests.goldens.tiny_models import MODELS, sequence
from tests.gpu.cases import Batch, Build, Check, close, run_all
from tests.gpu.core import GpuInstance
from tests.parity.logits import assert_close, evaluate

EPSILON = float(np.finfo(np.float32).eps)


def stride_of(width: int) -> int:
    return -(-width // 32) * 32


def convolve(width: int, n_taps: int, n: int, past: int, bias: bool, around: int = 0) -> Build:
    gates = around == 1

    def build(batch: Batch, random: np.random.Generator) -> Check:
        stride, at = stride_of(width), 5
        first = 2 * width if gates else 3
        wide = first + width
        x = np.zeros((n, stride_of(wide)), np.float32)
        x[:, :wide] = random.standard_normal((n, wide))
        vectors = random.standard_normal(width * (n_taps + 1)).astype(np.float32)
        memory = random.standard_normal(at + (n_taps - 1) * width).astype(np.float32)
        out = np.zeros((n, stride), np.float32)
        case = batch.case(
            {
                "batch": np.array([past, 0, 0, 0], np.uint32),
                "vectors": vectors, "x": x, "memory": memory, "out": out,
            },
            "out", "memory",
        )  # fmt: skip
        params = {
            "width": width, "x_stride": stride_of(wide), "out_stride": stride, "n": n,
            "n_taps": n_taps, "taps": width, "bias": 0 if bias else 0xFFFFFFFF, "first": first,
            "at": at, "around": around,
        }  # fmt: skip
        case.dispatch("convolve", (-(-width // 64),), params)

        def check() -> None:
            before = memory[at:].reshape(-1, width) * (past > 0)
            rows = x[:, first:wide]
            if gates:
                rows = x[:, :width] * rows
            inputs = np.concatenate([before, rows]).astype(np.float64)
            taps = vectors[width:].reshape(width, n_taps).astype(np.float64)
            want = np.zeros((n, stride))
            for t in range(n):
                want[t, :width] = (inputs[t : t + n_taps] * taps.T).sum(0)
            if bias:
                want[:, :width] += vectors[:width]
            if gates:
                want[:, :width] *= x[:, width : 2 * width]
            if around == 2:
                want /= 1 + np.exp(-want)
            close(case.results["out"].reshape(n, stride), want, 64 * EPSILON)
            np.testing.assert_array_equal(
                case.results["memory"][at:].reshape(-1, width), inputs[n:].astype(np.float32)
            )

        return check

    return build


def rg_lru(width: int, n: int, past: int) -> Build:
    def build(batch: Batch, random: np.random.Generator) -> Check:
        stride, at = stride_of(width), 7
        rows = {}
        for name in ("input", "recurrence", "gate", "x"):
            rows[name] = np.zeros((n, stride), np.float32)
            rows[name][:, :width] = random.standard_normal((n, width)) * 2
        # States that are gone at once, and such that last for thousands of tokens.
        decay = -np.exp(random.uniform(-9, 3, width)).astype(np.float32)
        memory = random.standard_normal(at + width).astype(np.float32)
        case = batch.case(
            {
                "batch": np.array([past, 0, 0, 0], np.uint32),
                "vectors": decay, **rows, "memory": memory,
            },
            "x", "memory",
        )  # fmt: skip
        params = {"width": width, "stride": stride, "n": n, "decay": 0, "at": at}
        case.dispatch("rg_lru", (-(-width // 64),), params)

        def check() -> None:
            i, r, g, x = (
                rows[name][:, :width].astype(np.float64)
                for name in ("input", "recurrence", "gate", "x")
            )
            h = memory[at:].astype(np.float64)
            want = np.zeros((n, stride))
            for t in range(n):
                log_a = decay / (1 + np.exp(-r[t]))
                first = past + t == 0
                a = np.zeros(width) if first else np.exp(log_a)
                factor = 1.0 if first else np.sqrt(-np.expm1(2 * log_a))
                h = a * h + factor * x[t] / (1 + np.exp(-i[t]))
                z = np.sqrt(2 / np.pi) * (g[t] + 0.044715 * g[t] ** 3)
                want[t, :width] = h * g[t] * 0.5 * (1 + np.tanh(z))
            slack = 64 * EPSILON * (np.abs(want) + 1)
            close(case.results["x"].reshape(n, stride), want, slack)
            close(case.results["memory"][at:], h, 64 * EPSILON * (np.abs(h) + 1))

        return check

    return build


def delta_rule(width: int, n: int, past: int) -> Build:
    """The norm behind it is a shader of its own."""
    n_head_k, n_head = 2, 4

    def build(batch: Batch, random: np.random.Generator) -> Check:
        n_key, n_values, at = n_head_k * width, n_head * width, 11
        sizes = {"qkv": 2 * n_key + n_values, "strength": n_head, "decay": n_head}
        rows = {}
        for name, columns in sizes.items():
            rows[name] = np.zeros((n, stride_of(columns)), np.float32)
            rows[name][:, :columns] = random.standard_normal((n, columns)) * 2
        bias = random.uniform(-6, 1, n_head).astype(np.float32)
        rate = -np.exp(random.uniform(-4, 2, n_head)).astype(np.float32)
        memory = random.standard_normal(at + n_values * width).astype(np.float32)
        out = np.zeros((n, stride_of(n_values)), np.float32)
        case = batch.case(
            {
                "batch": np.array([past, 0, 0, 0], np.uint32),
                "vectors": np.concatenate([bias, rate]), **rows, "memory": memory, "out": out,
            },
            "out", "memory",
        )  # fmt: skip
        params = {
            "n_head_k": n_head_k, "width": width, "qkv_stride": stride_of(sizes["qkv"]),
            "heads_stride": stride_of(n_head), "out_stride": stride_of(n_values), "n": n,
            "decay_bias": 0, "rate": n_head, "at": at,
        }  # fmt: skip
        case.dispatch("delta_rule", (n_head, -(-width // 16)), params)

        def check() -> None:
            given = {name: rows[name][:, :size].astype(np.float64) for name, size in sizes.items()}
            states = memory[at:].reshape(n_head, width, width).astype(np.float64) * (past > 0)
            want = np.zeros(out.shape)
            for t in range(n):
                q, k = (
                    part / np.sqrt((part**2).sum(1, keepdims=True) + 1e-6)
                    for part in given["qkv"][t, : 2 * n_key].reshape(2, n_head_k, width)
                )
                v = given["qkv"][t, 2 * n_key :].reshape(n_head, width)
                for h in range(n_head):
                    a = np.exp(rate[h] * np.log1p(np.exp(given["decay"][t, h] + bias[h])))
                    b = 1 / (1 + np.exp(-given["strength"][t, h]))
                    s, key = states[h] * a, k[h % n_head_k]
                    s += np.outer(key, b * (v[h] - key @ s))
                    states[h] = s
                    answer = q[h % n_head_k] @ s / np.sqrt(width)
                    want[t, h * width : (h + 1) * width] = answer
            slack = 256 * EPSILON * (np.abs(want) + 1)
            close(case.results["out"].reshape(out.shape), want, slack)
            found = case.results["memory"][at:].reshape(states.shape)
            close(found, states, 256 * EPSILON * (np.abs(states) + 1))

        return check

    return build


def state_space(head_dim: int, n_state: int, n: int, past: int) -> Build:
    """The norm behind it is a shader of its own."""
    n_head, n_group = 4, 2

    def build(batch: Batch, random: np.random.Generator) -> Check:
        width, at = n_head * head_dim, 11
        n_inputs = width + 2 * n_group * n_state
        steps_at = width + n_inputs
        given = np.zeros((n, stride_of(steps_at + n_head)), np.float32)
        given[:, : steps_at + n_head] = random.standard_normal((n, steps_at + n_head)) * 2
        convolved = np.zeros((n, stride_of(n_inputs)), np.float32)
        convolved[:, :n_inputs] = random.standard_normal((n, n_inputs))
        bias = random.uniform(-6, 1, n_head).astype(np.float32)
        rate = -np.exp(random.uniform(-4, 2, n_head)).astype(np.float32)
        skip = random.standard_normal(n_head).astype(np.float32)
        memory = random.standard_normal(at + width * n_state).astype(np.float32)
        out = np.zeros((n, stride_of(width)), np.float32)
        case = batch.case(
            {
                "batch": np.array([past, 0, 0, 0], np.uint32),
                "vectors": np.concatenate([bias, rate, skip]), "input": given,
                "convolved": convolved, "memory": memory, "out": out,
            },
            "out", "memory",
        )  # fmt: skip
        params = {
            "head_dim": head_dim, "n_state": n_state, "in_group": n_head // n_group,
            "write": width, "read": width + n_group * n_state, "steps": steps_at,
            "in_stride": given.shape[1], "convolved_stride": convolved.shape[1],
            "out_stride": out.shape[1], "n": n, "step_bias": 0, "rate": n_head,
            "skip": 2 * n_head, "at": at,
        }  # fmt: skip
        case.dispatch("state_space", (n_head, -(-head_dim // 16)), params)

        def check() -> None:
            rows = convolved[:, :n_inputs].astype(np.float64)
            x = rows[:, :width].reshape(n, n_head, head_dim)
            write, read = np.moveaxis(rows[:, width:].reshape(n, 2, n_group, n_state), 1, 0)
            states = memory[at:].reshape(n_head, n_state, head_dim).astype(np.float64) * (past > 0)
            want = np.zeros(out.shape)
            for t in range(n):
                raw = given[t, steps_at : steps_at + n_head].astype(np.float64) + bias
                step = np.log1p(np.exp(raw))
                for h in range(n_head):
                    group = h // (n_head // n_group)
                    states[h] *= np.exp(rate[h] * step[h])
                    states[h] += np.outer(write[t, group], step[h] * x[t, h])
                    y = read[t, group] @ states[h] + skip[h] * x[t, h]
                    want[t, h * head_dim : (h + 1) * head_dim] = y
            slack = 128 * EPSILON * (np.abs(want) + n_state)
            close(case.results["out"].reshape(out.shape), want, slack)
            found = case.results["memory"][at:].reshape(states.shape)
            close(found, states, 128 * EPSILON * (np.abs(states) + 1))

        return check

    return build


def gated_rmsnorm(width: int, n: int, behind: bool) -> Build:
    """Behind the norm, whose weight all groups then share, or before it."""
    n_group = 2

    def build(batch: Batch, random: np.random.Generator) -> Check:
        wide = n_group * width
        gates = np.zeros((n, stride_of(wide + 5)), np.float32)  # with more behind them
        gates[:, : wide + 5] = random.standard_normal((n, wide + 5)) * 30
        x = np.zeros((n, stride_of(wide)), np.float32)
        x[:, :wide] = random.standard_normal((n, wide))
        weight = random.uniform(0.5, 1.5, width if behind else wide).astype(np.float32)
        case = batch.case({"gate": gates, "vectors": weight, "x": x}, "x")
        params = {
            "width": width, "gate_stride": gates.shape[1], "stride": x.shape[1], "weight": 0,
            "weight_step": 0 if behind else width, "behind": int(behind), "epsilon": 1e-6,
        }  # fmt: skip
        case.dispatch("gated_rmsnorm", (n_group, n), params)

        def check() -> None:
            g = gates[:, :wide].astype(np.float64)
            opened = (g / (1 + np.exp(-g))).reshape(n, n_group, width)
            gated = x[:, :wide].reshape(opened.shape) * (1 if behind else opened)
            normed = gated / np.sqrt((gated**2).mean(2, keepdims=True) + 1e-6)
            normed *= weight.reshape(1, -1, width) * (opened if behind else 1)
            want = np.zeros(x.shape)
            want[:, :wide] = normed.reshape(n, wide)
            close(case.results["x"].reshape(x.shape), want, 64 * EPSILON * (np.abs(want) + 1))

        return check

    return build


def part_heads(n: int) -> Build:
    head_dim, n_head = 24, 3

    def build(batch: Batch, random: np.random.Generator) -> Check:
        width = n_head * head_dim
        x = np.zeros((n, stride_of(2 * width)), np.float32)
        x[:, : 2 * width] = random.standard_normal((n, 2 * width))
        halves = np.zeros((n, stride_of(width)), np.float32)
        case = batch.case({"x": x, "first": halves, "second": halves.copy()}, "first", "second")
        params = {
            "width": width, "head_dim": head_dim, "x_stride": stride_of(2 * width),
            "stride": stride_of(width),
        }  # fmt: skip
        case.dispatch("part_heads", (-(-width // 64), n), params)

        def check() -> None:
            heads = x[:, : 2 * width].reshape(n, n_head, 2, head_dim)
            for i, name in enumerate(("first", "second")):
                found = case.results[name].reshape(halves.shape)[:, :width]
                np.testing.assert_array_equal(found, heads[:, :, i].reshape(n, width))

        return check

    return build


def gate(n: int) -> Build:
    def build(batch: Batch, random: np.random.Generator) -> Check:
        width, stride = 72, stride_of(72)
        x, gates = (np.zeros((n, stride), np.float32) for _ in range(2))
        x[:, :width] = random.standard_normal((n, width))
        gates[:, :width] = random.standard_normal((n, width)) * 30
        case = batch.case({"gate": gates, "x": x}, "x")
        case.dispatch("gate", (-(-width // 64), n), {"width": width, "stride": stride})

        def check() -> None:
            want = x / (1 + np.exp(-gates.astype(np.float64)))
            close(case.results["x"].reshape(x.shape), want, 16 * EPSILON * (np.abs(want) + 1))

        return check

    return build


BUILDS: dict[str, Build] = {}
for _width in (32, 65, 160):
    for _n, _past in ((1, 0), (1, 9), (2, 3), (9, 0), (9, 4)):
        BUILDS[f"rg_lru-{_width}-{_n}-{_past}"] = rg_lru(_width, _n, _past)
        for _taps in (3, 4):
            name = f"convolve-{_width}-{_taps}-{_n}-{_past}"
            BUILDS[name] = convolve(_width, _taps, _n, _past, bias=_taps == 4)
        for _around, _what in ((1, "gated"), (2, "activated")):
            BUILDS[f"{_what}-convolve-{_width}-{_n}-{_past}"] = convolve(
                _width, 3, _n, _past, bias=False, around=_around
            )
for _width in (12, 32, 128):
    for _n, _past in ((1, 0), (1, 9), (2, 3), (9, 0), (9, 4), (131, 0)):
        BUILDS[f"delta_rule-{_width}-{_n}-{_past}"] = delta_rule(_width, _n, _past)
for _width, _rows in ((12, 20), (32, 128), (64, 16)):
    for _n, _past in ((1, 0), (1, 9), (2, 3), (9, 4), (131, 0)):  # gates are made for 128 tokens
        BUILDS[f"state_space-{_width}-{_rows}-{_n}-{_past}"] = state_space(_width, _rows, _n, _past)
for _width in (12, 1536):
    for _behind in (False, True):
        name = f"gated_rmsnorm-{_width}-{'behind' if _behind else 'before'}"
        BUILDS[name] = gated_rmsnorm(_width, 3, _behind)
for _n in (1, 3):
    BUILDS[f"part_heads-{_n}"] = part_heads(_n)
    BUILDS[f"gate-{_n}"] = gate(_n)


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Check]:
    return run_all(tmp_path_factory.mktemp("recurrent"), BUILDS)


@pytest.mark.parametrize("name", BUILDS)
def test_recurrent(checks: dict[str, Check], name: str) -> None:
    checks[name]()


Gpu = Callable[[str], GpuInstance]
NAMES = [name for name, model in MODELS.items() if model.n_taps]


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "F16"])
@pytest.mark.parametrize("name", NAMES)
def test_quantized_blocks(gpu: Gpu, tmp_path: Path, name: str, kind: str) -> None:
    """Against the CPU, neither of which rounds in an exact session."""
    write_gguf(name, tmp_path / "whole.gguf")
    quantize(tmp_path / "whole.gguf", tmp_path / "model.gguf", type=kind)
    ids = sequence(MODELS[name], 40)
    found = []
    for core in (gpu("lane"), Instance("simd")):
        with Model.open(tmp_path / "model.gguf", core=core) as model, model.session(64) as session:
            session.exact()
            found.append(evaluate(session, ids))
    assert_close(found[0], found[1], 1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_state_is_gone_back_to(gpu: Gpu, tmp_path: Path, name: str) -> None:
    """Also past a token that the device has drawn and evaluated, and nobody took."""
    path = tmp_path / "model.gguf"
    write_gguf(name, path)
    ids = sequence(MODELS[name], 60)
    with (
        Model.open(path) as reference,
        reference.session(128) as exact,
        Model.open(path, core=gpu("lane")) as model,
        model.session(128) as session,
    ):
        expected = evaluate(exact, ids)
        session.eval(ids[:20])
        session._eval(ids[20:40], EvalFlag.SAMPLE_ON)
        assert session.reuse(ids) == 40
        assert_close(evaluate(session, ids[40:]), expected[40:], 1e-4)
        assert session.reuse([*ids[:30], 1, 2]) == 20
        assert session.reuse(ids) == 20
        assert_close(evaluate(session, ids[20:]), expected[20:], 1e-4)
        # Another token than was drawn.
        assert session.reuse(ids[:41]) == 20
        session._eval(ids[20:41], EvalFlag.SAMPLE_ON)
        last = session.eval(ids[41:42])
        assert last is not None
        assert_close(last, expected[41:42], 1e-4)
