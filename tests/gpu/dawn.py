"""Cases for the runner on Dawn: buffers, dispatches and what comes back, as numpy arrays.

Knows how runner.ts wants to be told, and no operation. A module of tests adds all
its cases to one Batch, since a start of Dawn and each pipeline cost more than a case.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.dawn import ROOT, environment

Array = npt.NDArray[Any]
F32 = npt.NDArray[np.float32]
Param = int | float | np.float32 | Sequence[int]

ESBUILD = ROOT / "node_modules/.bin/esbuild"
NONE = 0xFFFFFFFF


def words(params: Sequence[Param]) -> list[int]:
    """Params as the words of a uniform buffer: a float's bits, vectors one after the other."""
    out: list[int] = []
    for param in params:
        if isinstance(param, float | np.float32):
            out.append(int(np.float32(param).view(np.uint32)))
        elif isinstance(param, Sequence):
            out += [int(p) for p in param]
        else:
            out.append(int(param))
    return out


@dataclass
class Case:
    """Buffers by name, dispatches in order, and the names of the buffers that come back."""

    buffers: dict[str, Array]
    reads: Sequence[str]
    dispatches: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None
    seconds: float = 0
    results: dict[str, Array] = field(default_factory=dict)

    def dispatch(
        self,
        operation: str,
        grid: Sequence[int],
        params: Sequence[Param],
        buffers: Mapping[str, str] | Sequence[str] = (),
        overrides: Mapping[str, int] | None = None,
        format: int = 0,  # noqa: A002
    ) -> None:
        """`buffers` are the case's by the shader's name, or those of the same name."""
        order = list(self.buffers)
        named = buffers if isinstance(buffers, Mapping) else {name: name for name in buffers}
        self.dispatches.append(
            {
                "operation": operation,
                "format": format,
                "overrides": dict(overrides or {}),
                "grid": [*grid, 1, 1][:3],
                "buffers": {name: order.index(own) for name, own in named.items()},
                "params": words(params),
            }
        )


@dataclass
class Batch:
    """Cases of one process, run by the first look at a result."""

    folder: Path
    features: Sequence[str] = ()
    cases: list[Case] = field(default_factory=list)
    compile: list[dict[str, Any]] = field(default_factory=list)
    compiled: list[str | None] = field(default_factory=list)
    found: list[str] | None = None  # features of the device; None: no device

    def case(self, buffers: dict[str, Array], reads: Sequence[str]) -> Case:
        self.cases.append(Case(buffers, reads))
        return self.cases[-1]

    def run(self) -> None:
        bundled, data, cases = self.folder / "runner.mjs", bytearray(), []
        for case in self.cases:
            buffers = []
            for array in case.buffers.values():
                content = np.ascontiguousarray(array).tobytes()
                zero = not any(content)
                buffers.append(
                    {"bytes": max(16, -(-len(content) // 16) * 16), "at": None if zero else len(data)}
                )
                data += b"" if zero else content + bytes(-len(content) % 16)
            names = list(case.buffers)
            reads = [names.index(name) for name in case.reads]
            cases.append({"buffers": buffers, "dispatches": case.dispatches, "reads": reads})
        work = {"features": list(self.features), "compile": self.compile, "cases": cases}
        (self.folder / "cases.json").write_text(json.dumps(work))
        (self.folder / "data.bin").write_bytes(bytes(data))
        command = [
            str(ESBUILD), str(ROOT / "tests/gpu/runner.ts"), "--bundle", "--platform=node",
            "--format=esm", "--target=node22", "--log-level=warning", f"--outfile={bundled}",
        ]  # fmt: skip
        subprocess.run(command, check=True, cwd=ROOT)
        subprocess.run(["node", bundled, self.folder], check=True, cwd=ROOT, env=environment())
        results = json.loads((self.folder / "results.json").read_text())
        self.found = results["features"]
        if self.found is None:
            return
        self.compiled = results["compiled"]
        content, at = (self.folder / "results.bin").read_bytes(), 0
        for case, error, seconds in zip(
            self.cases, results["errors"], results["seconds"], strict=True
        ):
            case.error, case.seconds = error, seconds
            for name in case.reads:
                array = case.buffers[name]
                case.results[name] = np.frombuffer(
                    content, array.dtype, array.size, at
                ).reshape(array.shape)
                at += max(16, -(-array.nbytes // 16) * 16)
