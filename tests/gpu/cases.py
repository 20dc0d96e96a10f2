"""Cases for the runner on Dawn: buffers, dispatches and what comes back, as numpy arrays.

Knows how runner.ts wants to be told, and what build/shader_tables.py reads of an
operation; not what one computes. A module of tests adds all its cases to one
Batch, since a start of Dawn and each pipeline cost more than a case.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import generate
from tests.dawn import NO_DEVICE, ROOT, bundle, environment

Array = npt.NDArray[Any]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Param = int | float | Sequence[int]

INTERFACE = generate.read_abi().gpu
OPERATIONS = {operation.name: operation for operation in INTERFACE.operations}
FORMATS = {name.upper(): number for number, name in INTERFACE.formats}
NONE = 0xFFFFFFFF


def words(operation: str, params: Mapping[str, Param]) -> list[int]:
    """Params by name as the words of the uniform buffer: a float's bits, four of a vector."""
    out: list[int] = []
    for member in OPERATIONS[operation].params:
        value = params[member.name]
        if member.type == "f32":
            assert isinstance(value, float)
            out.append(int(np.float32(value).view(np.uint32)))
        elif isinstance(value, Sequence):
            out += [*value, 0, 0, 0][:4]
        else:
            assert isinstance(value, int)
            out.append(value)
    assert set(params) == {member.name for member in OPERATIONS[operation].params}
    return out


@dataclass
class Case:
    """Buffers by name, dispatches in order, and the names of the buffers that come back."""

    buffers: dict[str, Array]
    reads: Sequence[str]
    dispatches: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None
    results: dict[str, Array] = field(default_factory=dict)

    def dispatch(
        self,
        operation: str,
        grid: Sequence[int],
        params: Mapping[str, Param],
        overrides: Mapping[str, int] | None = None,
        weights: str = "F32",
        buffers: Mapping[str, str] | None = None,
    ) -> None:
        """Binds the case's buffers of the shader's names; `buffers` gives other names to some."""
        order, own = list(self.buffers), dict(buffers or {})
        names = {b.name: own.get(b.name, b.name) for b in OPERATIONS[operation].buffers}
        self.dispatches.append(
            {
                "operation": operation,
                "format": FORMATS[weights],
                "overrides": dict(overrides or {}),
                "grid": [*grid, 1, 1][:3],
                "buffers": {k: order.index(v) for k, v in names.items() if v in order},
                "params": words(operation, params),
            }
        )


def grid(workgroups: int, most: int = 65535) -> tuple[int, int]:
    """Over x, and over y where there are too many."""
    return min(workgroups, most), -(-workgroups // most)


@dataclass
class Batch:
    """Cases of one process."""

    folder: Path
    cases: list[Case] = field(default_factory=list)
    compile: list[dict[str, Any]] = field(default_factory=list)
    compiled: list[str | None] = field(default_factory=list)

    def case(self, buffers: dict[str, Array], *reads: str) -> Case:
        self.cases.append(Case(buffers, reads))
        return self.cases[-1]

    def run(self) -> None:
        """Runs everything; skips the test where there is no device."""
        bundled, data, cases = self.folder / "runner.mjs", bytearray(), []
        for case in self.cases:
            buffers = []
            for array in case.buffers.values():
                content = np.ascontiguousarray(array).tobytes()
                at = len(data) if any(content) else None
                buffers.append({"bytes": padded(len(content)), "at": at})
                if at is not None:
                    data += content + bytes(padded(len(content)) - len(content))
            names = list(case.buffers)
            reads = [names.index(name) for name in case.reads]
            cases.append({"buffers": buffers, "dispatches": case.dispatches, "reads": reads})
        work = {"compile": self.compile, "cases": cases}
        (self.folder / "cases.json").write_text(json.dumps(work))
        (self.folder / "data.bin").write_bytes(bytes(data))
        bundle(Path(__file__).with_name("runner.ts"), bundled)
        run = ["node", str(bundled), str(self.folder)]
        subprocess.run(run, check=True, cwd=ROOT, env=environment(), timeout=300)
        results = json.loads((self.folder / "results.json").read_text())
        if results is None:
            pytest.skip(NO_DEVICE)
        self.compiled = results["compiled"]
        content, start = (self.folder / "results.bin").read_bytes(), 0
        for case, error in zip(self.cases, results["errors"], strict=True):
            case.error = error
            for name in case.reads:
                like = case.buffers[name]
                flat = np.frombuffer(content, like.dtype, like.size, start)
                case.results[name] = flat.reshape(like.shape)
                start += padded(like.nbytes)


def padded(n: int) -> int:
    return max(16, -(-n // 16) * 16)


Check = Callable[[], None]
Build = Callable[[Batch, np.random.Generator], Check]


def run_all(folder: Path, builds: Mapping[str, Build]) -> dict[str, Check]:
    """Runs all cases of a module in one process; what is returned judges each."""
    batch = Batch(folder)
    checks = {
        name: build(batch, np.random.default_rng(seed))
        for seed, (name, build) in enumerate(builds.items())
    }
    batch.run()
    for case in batch.cases:
        assert case.error is None, f"{case.dispatches[0]['operation']}: {case.error}"
    return checks


def close(got: Array, want: Array, tolerance: Array | float) -> None:
    """Fails with the element that lies furthest outside of its tolerance."""
    assert got.shape == want.shape
    assert np.isfinite(got).all(), f"{np.count_nonzero(~np.isfinite(got))} are not finite"
    excess = np.abs(got.astype(np.float64) - want) / np.broadcast_to(tolerance, got.shape)
    worst = np.unravel_index(np.argmax(excess), got.shape)
    assert excess[worst] <= 1, (
        f"at {tuple(map(int, worst))}: got {got[worst]}, expected {want[worst]}, "
        f"{excess[worst]:.3g} times the tolerance; "
        f"{np.count_nonzero(excess > 1)} of {got.size} are outside"
    )
