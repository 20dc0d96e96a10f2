"""rope, attention and attention_merge, against float64: shapes of heads, tiles, segments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from tests.gpu.cases import F32, F64, NONE, Batch, Build, Check, close, run_all

EPSILON = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Attention:
    head_dim: int
    group: int = 1  # query heads of a key head
    n: int = 1
    past: int = 0
    queries: int = 4
    f16: bool = True
    window: int = 0
    ahead: int = 0
    softcap: float = 0
    segment: int = 0  # 0: not split
    capacity: int = 256
    large: float = 1  # the scores' factor
    first: int = 0  # of the call's tokens; past counts those before it, which were left out
    n_head_kv: int = 2


def cache(random: np.random.Generator, of: Attention) -> F32:
    """(n_head_kv, capacity, head_dim) of numbers that the cache's type has."""
    values = random.standard_normal((of.n_head_kv, of.capacity, of.head_dim))
    return values.astype(np.float16 if of.f16 else np.float32).astype(np.float32)


def stored(values: F32, f16: bool) -> np.typing.NDArray[np.uint32]:
    return np.ascontiguousarray(values.astype(np.float16) if f16 else values).view(np.uint32)


def attend(of: Attention, q: F64, keys: F32, values: F32) -> tuple[F64, F64]:
    """(n, n_head, head_dim), and the tolerance."""
    n_head = of.n_head_kv * of.group
    out = np.zeros((of.n, n_head, of.head_dim))
    slack = np.zeros(out.shape)
    for t in range(of.n):
        position = of.past + t
        first = max(0, position + 1 - of.window) if of.window else 0
        end = min(position + 1 + of.ahead, of.past + of.n)
        seen = np.arange(first, end) % of.capacity
        for head in range(n_head):
            k, v = (a[head // of.group, seen].astype(np.float64) for a in (keys, values))
            scores = k @ q[t, head]
            error = 8 * EPSILON * np.linalg.norm(k, axis=1).max() * np.linalg.norm(q[t, head])
            if of.softcap:
                scores = of.softcap * np.tanh(scores / of.softcap)
                error += 4 * EPSILON * of.softcap
            weights = np.exp(scores - scores.max())
            weights /= weights.sum()
            out[t, head] = weights @ v
            # A score that is off by e makes its weight off by that share; exp(-x) is as exact as x.
            error += 4 * EPSILON * (2 + np.minimum(scores.max() - scores, 100) @ weights)
            slack[t, head] = error * (weights @ np.abs(v)) + 1e-7 * error
    return out, slack + 1e-12


def attention(of: Attention) -> Build:
    def build(batch: Batch, random: np.random.Generator) -> Check:
        n_head = of.n_head_kv * of.group
        width = n_head * of.head_dim
        stride = -(-width // 32) * 32
        q = np.zeros((of.n, stride + 32), np.float32)
        q[:, :width] = of.large * random.standard_normal((of.n, width)) / np.sqrt(of.head_dim)
        keys, values = cache(random, of), cache(random, of)
        end = of.past + of.n
        first = max(0, of.past + 1 - of.window) if of.window else 0
        segments = -(-end // of.segment) - first // of.segment + 1 if of.segment else 1
        buffers = {
            "batch": np.array([of.past - of.first, 0, 0, 0], np.uint32),
            "q": q,
            "keys": stored(keys, of.f16),
            "values": stored(values, of.f16),
            "out": np.full((of.n, stride), np.nan, np.float32),
            "partials": np.full((of.n, n_head, segments, of.head_dim + 2), np.nan, np.float32),
        }
        case = batch.case(buffers, "out")
        case.dispatch(
            "attention",
            (of.n_head_kv, -(-of.n * of.group // of.queries), segments),
            {
                "n_head": n_head,
                "n_head_kv": of.n_head_kv,
                "q_stride": q.shape[1],
                "out_stride": stride,
                "capacity": of.capacity,
                "window": of.window,
                "ahead": min(of.ahead, of.n),
                "n": of.n,
                "first": of.first,
                "segment": of.segment or 1,
                "softcap": float(of.softcap),
            },
            {
                "HEAD_DIM": of.head_dim,
                "QUERIES": of.queries,
                "SPLIT": int(of.segment > 0),
                "F16": int(of.f16),
            },
        )
        if of.segment:
            case.dispatch(
                "attention_merge",
                (n_head, of.n),
                {
                    "n_head": n_head,
                    "head_dim": of.head_dim,
                    "out_stride": stride,
                    "segments": segments,
                },
            )

        def check() -> None:
            heads = q[:, :width].reshape(of.n, n_head, of.head_dim).astype(np.float64)
            want, slack = attend(of, heads, keys, values)
            got = case.results["out"][:, :width].reshape(want.shape)
            close(got, want, slack)

        return check

    return build


@dataclass(frozen=True)
class RopeCase:
    head_dim: int
    half: int
    n: int = 3
    past: int = 5
    neox: bool = False
    qk_norm: bool = False
    v_norm: bool = False
    first: int = 0  # of the call's tokens; those before it were left out
    appends: bool = True
    temperature: float = 0  # of queries, which grow with their position, every `span` of it
    span: float = 1
    f16: bool = True
    n_head: int = 3
    n_head_kv: int = 2
    capacity: int = 7
    large: float = 1
    parts: int = 1  # of what rotates, each as if alone


def rope(of: RopeCase) -> Build:
    def build(batch: Batch, random: np.random.Generator) -> Check:
        def rows(n_head: int) -> F32:
            data = random.standard_normal((of.n, n_head * of.head_dim + 32)) * of.large
            return data.astype(np.float32)

        q, k, v = rows(of.n_head), rows(of.n_head_kv), rows(of.n_head_kv)
        theta = random.uniform(0, 6, (of.first + of.n, of.half))
        angles = np.zeros((of.first + of.n, 2 * of.half + 6), np.float32)
        angles[:, 0 : 2 * of.half : 2], angles[:, 1 : 2 * of.half : 2] = (
            np.cos(theta),
            np.sin(theta),
        )
        vectors = (1 + 0.1 * random.standard_normal(1088)).astype(np.float32)
        size = of.n_head_kv * of.capacity * of.head_dim // (2 if of.f16 else 1)
        buffers = {
            "batch": np.array([of.past, 0, 0, 0], np.uint32),
            "angles": angles,
            "vectors": vectors,
            "k": k,
            "v": v,
            "q": q,
            "keys": np.full(size, 0x3C003C00, np.uint32),
            "values": np.full(size, 0x3C003C00, np.uint32),
        }
        case = batch.case(buffers, "q", "keys", "values")
        case.dispatch(
            "rope",
            (of.n_head + of.n_head_kv * of.appends, of.n),
            {
                "n_head": of.n_head,
                "n_head_kv": of.n_head_kv,
                "head_dim": of.head_dim,
                "half": of.half,
                "pairs": of.half // of.parts,
                "q_stride": q.shape[1],
                "kv_stride": k.shape[1],
                "angle_stride": angles.shape[1],
                "capacity": of.capacity,
                "q_norm": 32 if of.qk_norm else NONE,
                "k_norm": 544 if of.qk_norm else NONE,
                "epsilon": 1e-5,
                "scale": 0.125,
                "first": of.first,
                "temperature": float(of.temperature),
                "temperature_span": float(of.span),
            },
            {
                "NEOX": int(of.neox),
                "QK_NORM": int(of.qk_norm),
                "V_NORM": int(of.v_norm),
                "F16": int(of.f16),
            },
        )

        def rotated(rows: F32, n_head: int, norm: int) -> F64:
            h: F64 = rows[:, : n_head * of.head_dim].astype(np.float64)
            h = h.reshape(of.n, n_head, of.head_dim)
            if of.qk_norm:
                h = h / np.sqrt((h**2).mean(-1, keepdims=True) + 1e-5)
                h = h * vectors[norm : norm + of.head_dim]
            out: F64 = h.copy()
            pair = np.arange(of.half)
            pairs = of.half // of.parts
            first = pair + pair // pairs * pairs if of.neox else 2 * pair
            second = first + (pairs if of.neox else 1)
            a, b = h[..., first], h[..., second]
            c, s = np.cos(theta)[of.first :, None], np.sin(theta)[of.first :, None]
            out[..., first], out[..., second] = a * c - b * s, a * s + b * c
            return out

        def check() -> None:
            want_q = q.astype(np.float64)
            position = of.past + of.first + np.arange(of.n)
            warmth = 1 + of.temperature * np.log(1 + position // of.span)
            turned = rotated(q, of.n_head, 32) * 0.125 * warmth[:, None, None]
            want_q[:, : of.n_head * of.head_dim] = turned.reshape(of.n, -1)
            close(case.results["q"], want_q, 1e-6 * of.large * 8)
            kind = np.float16 if of.f16 else np.float32
            shape = (of.n_head_kv, of.capacity, of.head_dim)
            slots = (of.past + of.first + np.arange(of.n)) % of.capacity
            value: F64 = v[:, : of.n_head_kv * of.head_dim].astype(np.float64)
            value = value.reshape(of.n, of.n_head_kv, -1)
            if of.v_norm:
                value = value / np.sqrt((value**2).mean(-1, keepdims=True) + 1e-5)
            for name, heads in (("keys", rotated(k, of.n_head_kv, 544)), ("values", value)):
                want = buffers[name].view(kind).reshape(shape).astype(np.float64)
                largest = 65504 if of.f16 else np.inf
                if of.appends:
                    want[:, slots] = np.clip(heads, -largest, largest).swapaxes(0, 1)
                got = case.results[name].view(kind).reshape(shape)
                step = 2.0**-10 if of.f16 else 8 * EPSILON  # halves may round towards zero
                close(got, want, step * np.abs(want) + 1e-6 * of.large)

        return check

    return build


ATTENTION = [
    Attention(8, group=3, n=5, past=2),
    Attention(16, group=1, n=1, past=40, queries=1),
    Attention(32, group=4, n=33, queries=8),
    Attention(64, group=3, n=1, past=127),
    Attention(64, group=3, n=70, past=3, queries=8),
    Attention(64, group=3, n=2, past=255, capacity=300, segment=64),
    Attention(64, group=3, n=9, past=90, window=20, capacity=31, queries=8),
    Attention(64, group=3, n=9, past=15, window=20),  # reaches the window's edge
    Attention(80, group=2, n=7, past=30, queries=2),
    Attention(96, group=1, n=4, past=64, queries=3, f16=False),
    Attention(128, group=8, n=1, past=100, queries=8, softcap=50),
    Attention(64, group=3, n=70, ahead=70),  # all of a text, both ways
    Attention(32, group=1, n=90, window=9, ahead=8, queries=8),
    Attention(256, group=3, n=50, window=33, ahead=32, queries=8, n_head_kv=1, f16=False),
    Attention(128, group=2, n=13, past=500, queries=8, window=33, capacity=64, f16=False),
    Attention(192, group=1, n=6, past=31, window=1),
    Attention(256, group=4, n=1, past=1000, window=512, capacity=640, segment=128, n_head_kv=1),
    Attention(256, group=4, n=20, past=300, window=64, capacity=128, queries=8, segment=32),
    Attention(512, group=2, n=3, past=33, softcap=30),
    Attention(64, group=3, n=1, past=130, first=7, window=20, segment=64),
    Attention(64, group=3, n=3, past=60, first=60),
    Attention(64, group=3, n=3, past=60, large=1e4),
    Attention(64, group=3, n=3, past=60, large=1e4, softcap=50),
    Attention(64, group=3, n=3, past=200, large=1e4, segment=64),
]
ROPE = [
    RopeCase(8, 4),
    RopeCase(64, 32, neox=True),
    RopeCase(80, 20, neox=True, qk_norm=True, f16=False),
    RopeCase(128, 64, qk_norm=True),
    RopeCase(256, 128, neox=True, qk_norm=True, n=9, capacity=16),
    RopeCase(512, 16, f16=False),
    RopeCase(64, 32, neox=True, qk_norm=True, v_norm=True, parts=2),
    RopeCase(24, 12, neox=True, f16=False, parts=2),
    RopeCase(64, 32, neox=True, large=1e5),
    RopeCase(64, 32, neox=True, n=9, capacity=16, first=2, temperature=0.1, span=4),
    RopeCase(64, 32, neox=True, qk_norm=True, v_norm=True),
    RopeCase(512, 256, neox=True, qk_norm=True, v_norm=True, f16=False, first=2),
    RopeCase(64, 32, neox=True, qk_norm=True, v_norm=True, first=3, appends=False),
]
BUILDS: dict[str, Build] = {str(of): attention(of) for of in ATTENTION}
BUILDS |= {str(of): rope(of) for of in ROPE}


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Check]:
    return run_all(tmp_path_factory.mktemp("attention"), BUILDS)


@pytest.mark.parametrize("name", BUILDS)
def test_attention(checks: dict[str, Check], name: str) -> None:
    checks[name]()
