"""matvec, matmul and embed for every tensor type, against float64 with what gguf dequantizes.

Sizes straddle the tiles: 64 rows and tokens, 4 rows of storage, chunks of 16, 32 and 64
blocks. Tolerance is some times float32's epsilon of the norms of the row and of x.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from tests.blocks import TYPES
from tests.gpu.cases import (
    F32,
    F64,
    NONE,
    OPERATIONS,
    Batch,
    Build,
    Check,
    Param,
    close,
    grid,
    run_all,
)
from tests.gpu.packing import Matrix, heap_of, random_matrix, step

EPSILON = float(np.finfo(np.float32).eps)
STORE, ADD, SILU, GELU, CAP, ADD_CAP = range(6)


@dataclass(frozen=True)
class Matvec:
    """A specialization and the sizes that it is tried at."""

    rows: tuple[int, ...]  # of each product
    columns: int
    n: int = 1
    lanes: int = 16
    at_once: int = 1  # ROWS
    tokens: int = 1
    finish: int = STORE
    norm: bool = False
    bias: bool = False
    cap: float = 30
    scale: float = 1
    large: float = 1  # factor of x
    form: str = "matvec"

    @property
    def paired(self) -> bool:
        return self.finish in (SILU, GELU)

    def grid(self) -> tuple[int, int, int]:
        sweeps = self.form != "matvec_lane"
        units = [-(-rows // 4) * 4 if sweeps else rows for rows in self.rows]
        at_once = 64 // self.lanes * self.at_once if sweeps else 64
        workgroups = -(-(units[0] if self.paired else sum(units)) // at_once)
        return *grid(workgroups, most=7), 1 if sweeps else -(-self.n // self.tokens)

    def overrides(self) -> dict[str, int]:
        values = {"TOKENS": self.tokens, "PRODUCTS": len(self.rows)}
        values |= {"FINISH": self.finish, "NORM": int(self.norm)}
        return values | {"LANES": self.lanes, "ROWS": self.at_once}


@dataclass(frozen=True)
class Matmul:
    rows: int
    columns: int
    n: int
    finish: int = STORE
    bias: bool = False
    cap: float = 30
    scale: float = 1


def stride(width: int) -> int:
    return -(-width // 32) * 32


def activations(random: np.random.Generator, n: int, width: int) -> F32:
    """(n, stride), the padding zero."""
    x = np.zeros((n, stride(width)), np.float32)
    x[:, :width] = random.standard_normal((n, width))
    return x


def act(gate: F64, finish: int) -> F64:
    if finish == SILU:
        silu: F64 = gate / (1 + np.exp(np.minimum(-gate, 700)))
        return silu
    gelu: F64 = 0.5 * gate * (1 + np.tanh(np.sqrt(2 / np.pi) * (gate + 0.044715 * gate**3)))
    return gelu


def product(w: Matrix, x: F64, scale: float, bias: F32 | None) -> tuple[F64, F64]:
    """(n, rows) and what float32 may lose of each."""
    y = x @ w.values.T.astype(np.float64)
    norms = np.linalg.norm(x, axis=1)[:, None] * np.linalg.norm(w.values.astype(np.float64), axis=1)
    tolerance = 4 * EPSILON * scale * norms + 1e-12
    if bias is not None:
        y += bias
        tolerance += EPSILON * scale * np.abs(bias)
    return scale * y, tolerance


def finished(y: F64, tolerance: F64, before: F64, of: Matvec | Matmul) -> tuple[F64, F64]:
    """What becomes of a product where there is something, and its tolerance."""
    if of.finish in (ADD, ADD_CAP):
        y = y + before
        tolerance = tolerance + EPSILON * np.abs(y)
    if of.finish in (CAP, ADD_CAP):
        y = of.cap * np.tanh(y / of.cap)
        tolerance = tolerance + 4 * EPSILON * of.cap
    return y, tolerance


def rounded(x: F32) -> tuple[F32, F32]:
    """x (n, stride) as matvec_dot8.wgsl has it; how far off what lies between two bytes may be."""
    blocks = x.reshape(len(x), -1, 32)
    most = np.abs(blocks).max(2, keepdims=True)
    exact = blocks * (127 / np.maximum(most, np.float32(1e-30)))
    between = np.abs(exact % 1 - 0.5) < 1e-3
    return (np.round(exact) * most / 127).reshape(x.shape), (between * most / 127).reshape(x.shape)


def matvec(kind: str, of: Matvec) -> Build:
    def build(batch: Batch, random: np.random.Generator) -> Check:
        paired = of.paired
        matrices = [random_matrix(random, kind, rows, of.columns) for rows in of.rows]
        heap, at = heap_of(matrices)
        before, first_row = 2, 3  # rows of x before, and of y
        x = activations(random, before + of.n, of.columns) * np.float32(of.large)
        norm = np.zeros(stride(of.columns), np.float32)
        norm[: of.columns] = 1 + 0.2 * random.standard_normal(of.columns)
        biases = [random.standard_normal(first_row + rows).astype(np.float32) for rows in of.rows]
        vectors, bias_at = [np.zeros(32, np.float32), norm], []
        for bias in biases:
            bias_at.append(sum(map(len, vectors)))
            vectors.append(np.concatenate([bias, np.zeros(-len(bias) % 32, np.float32)]))
        outs = [activations(random, of.n, first_row + rows) for rows in of.rows]
        buffers = {"heap": heap, "x": x, "vectors": np.concatenate(vectors)}
        buffers |= {f"y{i}": out for i, out in enumerate(outs) if i == 0 or not paired}
        reads = ["y0"] if paired else [f"y{i}" for i in range(len(outs))]
        epsilon, rounds = 1e-5, of.form == "matvec_dot8"
        case = batch.case(buffers, *reads)
        params: dict[str, Param] = {
            **{f"at{i}": at[i] if i < len(at) else [0] for i in range(3)},
            "rows": of.rows,
            "first_row": [first_row] * len(of.rows),
            "bias": bias_at if of.bias else [NONE] * len(of.rows),
            "y_stride": [out.shape[1] for out in outs],
            "blocks": matrices[0].blocks,
            "width": of.columns,
            "x_stride": x.shape[1],
            "first_token": before,
            "n": of.n,
            "norm": 32,
            "epsilon": epsilon,
            "cap": float(of.cap),
            "scale": float(of.scale),
        }
        declared = OPERATIONS[of.form]
        case.dispatch(
            of.form,
            of.grid(),
            {m.name: params[m.name] for m in declared.params},
            {o.name: of.overrides()[o.name] for o in declared.overrides},
            kind,
            {"heap4": "heap"},
        )

        def check() -> None:
            weighed = x[before:] * norm if of.norm else x[before:]
            slips = np.zeros_like(weighed)
            if rounds:
                weighed, slips = rounded(weighed)
            factor = np.ones((of.n, 1))
            if of.norm:
                squares = (x[before:, : of.columns].astype(np.float64) ** 2).mean(1)[:, None]
                factor = 1 / np.sqrt(squares + epsilon)
            used, slips_of = (factor * v[:, : of.columns] for v in (weighed, slips))
            results = []
            for w, bias in zip(matrices, biases, strict=True):
                y, a = product(w, used, of.scale, bias[first_row:] if of.bias else None)
                results.append((y, a + of.scale * (slips_of @ np.abs(w.values.T))))
            if paired:
                (gate, a), (up, b) = results
                y = act(gate, of.finish) * up
                # Both are at most 1.13 times as steep as their argument.
                results = [(y, 1.13 * a * np.abs(up) + b * np.abs(gate) + 8 * EPSILON * np.abs(y))]
            for i, (y, tolerance) in enumerate(results):
                want = outs[i].astype(np.float64)
                slack = np.zeros(want.shape) + 1e-30
                there = slice(first_row, first_row + of.rows[i])
                want[:, there], slack[:, there] = finished(y, tolerance, want[:, there], of)
                close(case.results[f"y{i}"], want, slack)

        return check

    return build


def matmul(kind: str, of: Matmul) -> Build:
    def build(batch: Batch, random: np.random.Generator) -> Check:
        w = random_matrix(random, kind, of.rows, of.columns)
        heap, (at,) = heap_of([w])
        before, first_row = 2, 3
        x = activations(random, before + of.n, of.columns)
        bias = random.standard_normal(first_row + of.rows).astype(np.float32)
        vectors = np.concatenate([np.zeros(32, np.float32), bias])
        y = activations(random, of.n, first_row + of.rows)
        case = batch.case({"heap": heap, "x": x, "vectors": vectors, "y": y}, "y")
        case.dispatch(
            "matmul",
            (-(-of.rows // 64), -(-of.n // 64)),
            {
                "at": at,
                "rows": of.rows,
                "first_row": first_row,
                "bias": 32 if of.bias else NONE,
                "y_stride": y.shape[1],
                "blocks": w.blocks,
                "x_stride": x.shape[1],
                "first_token": before,
                "n": of.n,
                "cap": float(of.cap),
                "scale": float(of.scale),
            },
            {"FINISH": of.finish},
            kind,
            {"heap4": "heap"},
        )

        def check() -> None:
            used = x[before:, : of.columns].astype(np.float64)
            sums, tolerance = product(w, used, of.scale, bias[first_row:] if of.bias else None)
            want = y.astype(np.float64)
            slack = np.zeros(want.shape) + 1e-30
            there = slice(first_row, first_row + of.rows)
            want[:, there], slack[:, there] = finished(sums, tolerance, want[:, there], of)
            close(case.results["y"], want, slack)

        return check

    return build


def embed(
    kind: str, rows: int, columns: int, ids: list[int], index: int = 0, across: int = 1
) -> Build:
    """The table in two parts, as where it does not fit one binding; by `index` other rows than
    those of the ids."""

    def build(batch: Batch, random: np.random.Generator) -> Check:
        first = rows // 2
        parts = [random_matrix(random, kind, n, columns) for n in (first, rows - first)]
        heap, places = heap_of(parts)
        x = np.full((len(ids), stride(columns)), np.nan, np.float32)
        case = batch.case({"heap": heap, "ids": np.array(ids, np.int32), "x": x}, "x")
        for part, place, first_row in zip(parts, places, (0, first), strict=True):
            case.dispatch(
                "embed",
                grid(-(-len(ids) * part.blocks // 64), most=2),
                {
                    "at": place,
                    "blocks": part.blocks,
                    "first_row": first_row,
                    "rows": part.rows,
                    "n": len(ids),
                    "factor": 1.5,
                    "across": across,
                    "half": rows // 2,
                },
                {"INDEX": index},
                kind,
                {"heap4": "heap"},
            )

        def check() -> None:
            table = np.concatenate([part.values for part in parts]).astype(np.float64)
            want = np.zeros(x.shape)
            place = np.arange(len(ids))
            seen = [np.array(ids), place, 0 * place, place % across, rows // 2 + place // across][
                index
            ]
            want[:, :columns] = 1.5 * table[seen]
            close(case.results["x"], want, 4 * EPSILON * np.abs(table).max())

        return check

    return build


def no_numbers(batch: Batch, _: np.random.Generator) -> Check:
    """What is no number stays none, also where bytes would make it one; for one column alone."""
    for spoilt in (np.nan, np.inf, -np.inf):
        x = np.zeros((1, 64), np.float32)
        x[0, 40] = spoilt
        dot8 = Matvec((8,), 64, form="matvec_dot8")
        matvec("Q4_0", dot8)(batch, np.random.default_rng(1))
        batch.cases[-1].buffers["x"][2:] = x
    cases = batch.cases[-3:]

    def check() -> None:
        for case in cases:
            assert not np.isfinite(case.results["y0"][:, 3:11]).any()

    return check


def builds() -> dict[str, Build]:
    found: dict[str, Build] = {"no-numbers": no_numbers}
    columns = [32, 64, 96, 256, 512, 576]
    for kind in TYPES:
        wide = [256, 512, 768] if step(kind) > 32 else columns
        wide = [*wide, *([40] if step(kind) == 1 else [])]
        # Edges of tiles are every type's, but not every type can get them wrong by itself.
        edges = [1, 2, 3, 4, 5, 63, 64, 65, 130] if kind in ("F16", "Q4_0", "Q6_K") else [3, 65]
        for i, rows in enumerate(edges):
            n = min(rows, 66)
            c = wide[i % len(wide)]
            found[f"matmul-{kind}-{rows}x{c}-{n}"] = matmul(kind, Matmul(rows, c, n))
            # One specialization for one token, one for two with everything on.
            found[f"matvec-{kind}-{rows}x{c}"] = matvec(kind, Matvec((rows,), c))
            paired = Matvec((rows, rows), c, 1 + i % 2, lanes=8, at_once=2, tokens=2, finish=SILU)
            pair = replace(paired, norm=True, bias=True)
            found[f"matvec-{kind}-pair-{rows}x{c}-{pair.n}"] = matvec(kind, pair)
            lane = replace(paired, finish=STORE, bias=True, form="matvec_lane")
            found[f"lane-{kind}-{rows}x{c}-{lane.n}"] = matvec(kind, lane)
            subgroup = replace(pair, form="matvec_subgroup")
            found[f"subgroup-{kind}-{rows}x{c}-{subgroup.n}"] = matvec(kind, subgroup)
            if step(kind) > 1:
                dot8 = replace(pair, form="matvec_dot8")
                found[f"dot8-{kind}-{rows}x{c}-{dot8.n}"] = matvec(kind, dot8)
        found[f"embed-{kind}"] = embed(kind, 37, wide[-1], [0, 36, 17, 18, 19, 5, 5])
    for index in (1, 2, 3, 4):
        found[f"embed-index-{index}"] = embed("F16", 20, 64, 12 * [0], index, across=4)
    # Every shape of lanes, rows and tokens; with more blocks than a chunk, and fewer than lanes.
    for lanes in (8, 16, 32, 64):
        for at_once in (1, 2, 4):
            tokens = 1 + (at_once + lanes // 8) % 4
            plain = Matvec((4, 64, 1), 96, tokens, lanes, at_once, tokens, norm=lanes > 16)
            for of in (replace(plain, rows=(65, 5, 8), columns=2080), replace(plain, bias=True)):
                found[f"matvec-{of}"] = matvec("Q4_0", of)
                subgroup = replace(of, form="matvec_subgroup")
                found[f"matvec-{subgroup}"] = matvec("Q4_0", subgroup)
    # As many lanes as an emulated subgroup has: what other devices have where it sweeps with more.
    for of in (
        Matvec((4, 64, 1), 96, 4, lanes=4, at_once=4, tokens=4, norm=True, form="matvec_subgroup"),
        Matvec((65, 5, 8), 2080, 1, lanes=4, at_once=2, bias=True, form="matvec_subgroup"),
        Matvec((66, 66), 288, 2, lanes=4, tokens=2, finish=GELU, form="matvec_subgroup"),
    ):
        found[f"matvec-{of}"] = matvec("Q5_1", of)
    for kind in ("Q8_0", "Q6_K"):  # types of a head
        for of in (
            Matvec((131,), 2304, lanes=32, at_once=4, finish=CAP, norm=True, scale=0.5),
            Matvec((70,), 768, lanes=64, at_once=2, finish=ADD, bias=True),
            Matvec((70,), 768, finish=CAP, cap=50, large=1e4),
        ):
            found[f"matvec-{kind}-{of}"] = matvec(kind, of)
    for of in (
        Matvec((70,), 768, cap=2, finish=ADD_CAP),
        Matvec((29,), 64, 2, tokens=2),  # the next token's results begin behind the last row's
        Matvec((29,), 64, 2, tokens=2, form="matvec_lane"),
        Matvec((70,), 64, 5, tokens=4, cap=2, finish=ADD_CAP, form="matvec_lane"),
        Matvec((70,), 64, 5, tokens=4, finish=CAP, large=1e4, form="matvec_lane"),
        Matvec((66, 3, 65), 288, 5, tokens=4, finish=ADD, norm=True, form="matvec_lane"),
        Matvec((65, 65), 288, 3, tokens=4, finish=GELU, norm=True, form="matvec_lane"),
        Matvec((12, 12), 64, finish=SILU, large=1e4, form="matvec_lane"),
        Matvec((5, 66, 3), 2080, 3, lanes=32, at_once=4, tokens=3, form="matvec_dot8"),
        Matvec((131,), 4128, lanes=64, at_once=2, norm=True, finish=CAP, form="matvec_dot8"),
        Matvec((131,), 4128, lanes=64, at_once=4, norm=True, finish=CAP, form="matvec_subgroup"),
        Matvec((70,), 768, cap=2, finish=ADD_CAP, form="matvec_subgroup"),
        Matvec((12, 12), 64, finish=GELU, norm=True),
        Matvec((12, 12), 64, finish=GELU, large=1e4),
        Matvec((12, 12), 64, finish=SILU, large=1e4),
    ):
        found[f"matvec-{of}"] = matvec("Q4_1", of)
    for case in (
        Matmul(66, 96, 67, finish=ADD, bias=True),
        Matmul(66, 96, 67, finish=CAP, scale=40),
        Matmul(66, 96, 67, finish=ADD_CAP, cap=2),
        Matmul(130, 2080, 3, bias=True, scale=0.25),
    ):
        found[f"matmul-{case}"] = matmul("Q5_0", case)
    return found


BUILDS = builds()


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Check]:
    return run_all(tmp_path_factory.mktemp("products"), BUILDS)


@pytest.mark.parametrize("name", BUILDS)
def test_product(checks: dict[str, Check], name: str) -> None:
    checks[name]()
