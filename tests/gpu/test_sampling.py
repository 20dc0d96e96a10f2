"""adjust, topk and pick, against the sampler's rules in float64, and checksum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from tests.gpu.cases import F32, F64, Array, Batch, Build, Check, close, run_all

K = 128
NOTHING = -1e30  # what is not more is no logit


def best_of(logits: F32) -> Array:
    """Ids of the best, largest first, of equal ones the lower."""
    usable = np.flatnonzero(np.isfinite(logits) & (logits > NOTHING))
    return usable[np.lexsort((usable, -logits[usable]))][:K]


def orders(random: np.random.Generator, n: int, kind: str) -> F32:
    """Logits in the patterns that a selection may stumble over."""
    if kind == "rounded":  # thousands of ties
        return np.round(random.standard_normal(n)).astype(np.float32)
    if kind == "equal":
        return np.full(n, -3.25, np.float32)
    if kind == "rising":
        return (np.arange(n) / 1000 - 20).astype(np.float32)
    if kind == "zeros":  # of both signs, which are equal
        return np.where(np.arange(n) % 3 == 0, -0.0, 0.0).astype(np.float32)
    logits = (random.standard_normal(n) * 5).astype(np.float32)
    if kind == "few":  # most are forbidden, some are not numbers
        logits[random.random(n) < 0.999] = -1e30
        logits[::7] = np.nan
        logits[3] = np.inf
        logits[5] = -np.inf
    if kind == "scales":
        logits *= 10.0 ** random.integers(-42, 28, n).astype(np.float32)
    return logits


def topk(n: int, slice_: int, kind: str) -> Build:
    def build(batch: Batch, random: np.random.Generator) -> Check:
        first, slices = 37, -(-n // slice_)
        logits = np.concatenate([np.full(first, 1e9, np.float32), orders(random, n, kind)])
        found = np.zeros((slices, K + 1, 2), np.uint32)
        best = np.full((K + 1, 2), 7, np.uint32)
        sampling = np.array([0, 1, 0, 0.5, 0, 0, 0, 0], np.float32)
        sampling.view(np.uint32)[4] = 1
        buffers = {"logits": logits, "found": found, "best": best, "sampling": sampling}
        buffers |= {"ids": np.full(4, 9, np.int32), "result": np.zeros(4, np.uint32)}
        case = batch.case(buffers, "best", "ids", "result")
        sizes = {"first": first, "n": n, "slice": slice_}
        case.dispatch(
            "topk", (slices,), sizes, {"FIRST": 1}, buffers={"best": "found", "found": ""}
        )
        sizes = {"first": 0, "n": slices, "slice": 0}
        case.dispatch("topk", (1,), sizes, {"FIRST": 0}, buffers={"logits": ""})
        case.dispatch("pick", (1,), {"token": 2})

        def check() -> None:
            row = logits[first:]
            want = best_of(row)
            result = case.results["result"]
            assert case.results["best"].reshape(-1, 2)[: len(want), 1].tolist() == want.tolist()
            assert result[1:4].tolist() == [len(want), np.count_nonzero(~np.isfinite(row)), 1]
            assert result[0] == want[0]
            assert case.results["ids"].tolist() == [9, 9, want[0], 9]

        return check

    return build


def nothing_left(batch: Batch, random: np.random.Generator) -> Check:
    best = np.zeros((K + 1, 2), np.uint32)
    best[:, 1] = 0xFFFFFFFF
    sampling = np.array([0.8, 0.9, 0.1, 0.5, 0, 0, 0, 0], np.float32)
    sampling.view(np.uint32)[4] = 40
    buffers = {"best": best, "sampling": sampling, "ids": np.full(4, 9, np.int32)}
    case = batch.case({**buffers, "result": np.full(4, 5, np.uint32)}, "ids", "result")
    case.dispatch("pick", (1,), {"token": 0})

    def check() -> None:
        assert case.results["result"][:2].tolist() == [0xFFFFFFFF, 0]
        assert case.results["ids"].tolist() == [0, 9, 9, 9]

    return check


@dataclass(frozen=True)
class Sampling:
    temperature: float
    top_k: int = K
    top_p: float = 1
    min_p: float = 0

    def kept(self, row: F32) -> F64:
        """The shares of the candidates that are left, as wasm/src/sampler.cpp has them."""
        k = 1 if self.temperature == 0 else self.top_k
        logits: F64 = row[:k].astype(np.float64)
        weights = np.exp(logits - logits[0])
        keep = len(weights)
        if self.top_p < 1:
            before = np.cumsum(weights) - weights
            keep = max(1, int(np.count_nonzero(before < self.top_p * weights.sum())))
        while keep > 1 and weights[keep - 1] < self.min_p:
            keep -= 1
        heated: F64 = np.exp((logits[:keep] - logits[0]) / (self.temperature or 1))
        shares: F64 = heated / heated.sum()
        return shares


def draw(of: Sampling, spread: float) -> Build:
    """Every candidate that may be drawn is, by the middle of its share."""

    def build(batch: Batch, random: np.random.Generator) -> Check:
        logits = -np.sort(-random.standard_normal(K) * spread).astype(np.float32)
        bits = logits.view(np.uint32)
        keys = bits ^ np.where(bits >> 31, 0xFFFFFFFF, 0x80000000).astype(np.uint32)
        best = np.zeros((K + 1, 2), np.uint32)
        best[:K, 0], best[:K, 1] = keys, random.permutation(1000)[:K]
        shares = of.kept(logits)
        ends = np.cumsum(shares)
        drawn = [i for i in range(len(shares)) if shares[i] > 1e-4]
        cases = []
        for i in drawn:
            middle = ends[i] - shares[i] / 2
            sampling = np.zeros(8, np.float32)
            sampling[:4] = of.temperature, of.top_p, of.min_p, middle
            sampling.view(np.uint32)[4] = of.top_k
            buffers = {"best": best, "sampling": sampling, "ids": np.zeros(4, np.int32)}
            case = batch.case({**buffers, "result": np.zeros(4, np.uint32)}, "result")
            case.dispatch("pick", (1,), {"token": 0})
            cases.append(case)

        def check() -> None:
            for i, case in zip(drawn, cases, strict=True):
                token, count, bad, keep = case.results["result"][:4].tolist()
                assert (token, count, bad, keep) == (best[i, 1], K, 0, len(shares))

        return check

    return build


def adjust(batch: Batch, random: np.random.Generator) -> Check:
    n, first = 300, 50
    logits = random.standard_normal(first + n).astype(np.float32)
    logits[first] = 0
    ids = random.permutation(n)[:70]
    ids[0] = 0
    entries = np.zeros((len(ids), 4), np.float32)
    entries.view(np.uint32)[:, 0] = ids
    entries[:, 1] = random.uniform(1, 2, len(ids))
    entries[:, 2:] = random.standard_normal((len(ids), 2))
    entries[5, 3], entries[6, 3] = -np.inf, -1e30
    words = np.concatenate([[np.uint32(len(ids))], entries.view(np.uint32).ravel()])
    case = batch.case({"adjustments": words.astype(np.uint32), "logits": logits}, "logits")
    case.dispatch("adjust", (3,), {"first": first})

    def check() -> None:
        want = logits.astype(np.float64)
        for id_, (_, repeat, subtract, add) in zip(ids, entries.astype(np.float64), strict=True):
            old = want[first + id_]
            new = (old / repeat if old > 0 else old * repeat) - subtract + add
            want[first + id_] = new if add > NOTHING else NOTHING
        close(case.results["logits"], want, 1e-6 * np.maximum(1, np.abs(want)))

    return check


def terms(words: np.ndarray) -> np.ndarray:
    """What each word adds to the sum at its place."""
    places = np.arange(1, words.size + 1, dtype=np.uint32)
    x = words ^ (places * np.uint32(0x9E3779B1))
    x = (x ^ (x >> 16)) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * np.uint32(0x846CA68B)
    return np.where(words == 0, np.uint32(0), x ^ (x >> 16))


def checksum(n: int, workgroups: Sequence[int]) -> Build:
    """In as many pieces as there are entries in `workgroups`."""

    def build(batch: Batch, random: np.random.Generator) -> Check:
        data = random.integers(0, 2**32, n + 5, np.uint32)
        data[random.random(n + 5) < 0.1] = 0
        case = batch.case({"data": data, "result": np.array([0, 0, 7, 0], np.uint32)}, "result")
        cuts = np.linspace(0, n, len(workgroups) + 1).astype(int).tolist()
        for begin, end, groups in zip(cuts, cuts[1:], workgroups, strict=False):
            params = {"first": 5 + begin, "n": end - begin, "index": begin, "slot": 2}
            case.dispatch("checksum", (groups,), params)

        def check() -> None:
            want = 7 + int(terms(data[5:]).sum(dtype=np.uint64))
            assert case.results["result"].tolist() == [0, 0, want % 2**32, 0]

        return check

    return build


BUILDS: dict[str, Build] = {"adjust": adjust, "nothing-left": nothing_left}
for _kind in ("normal", "rounded", "equal", "rising", "zeros", "few", "scales"):
    BUILDS[f"topk-{_kind}"] = topk(20000, 4096, _kind)
for _n, _slice in ((1, 4096), (100, 50), (128, 128), (129, 64), (255, 4096), (49152, 4096)):
    BUILDS[f"topk-{_n}-{_slice}"] = topk(_n, _slice, "rounded")
for _of in (
    Sampling(0),
    Sampling(1),
    Sampling(0.7, top_k=40),
    Sampling(0.8, top_k=40, top_p=0.9, min_p=0.05),
    Sampling(1.5, top_p=0.5),
    Sampling(1, min_p=0.2),
    Sampling(0.01, top_k=1),
):
    for _spread in (0.5, 3.0):
        BUILDS[f"draw-{_of}-{_spread}"] = draw(_of, _spread)
for _n, _groups in ((1, [1]), (255, [1]), (256, [2]), (257, [1]), (5000, [3]), (70000, [7, 1, 64])):
    BUILDS[f"checksum-{_n}-{_groups}"] = checksum(_n, _groups)


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Check]:
    return run_all(tmp_path_factory.mktemp("sampling"), BUILDS)


@pytest.mark.parametrize("name", BUILDS)
def test_sampling(checks: dict[str, Check], name: str) -> None:
    checks[name]()
