"""The figures of a model: what was measured, and what it is of what the device can do.

Owns the order of the three processes that a model takes (compiling alone with an empty cache,
measuring, and once more with a timestamp around every dispatch) and the arithmetic of the shares.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from slmweb.generated.abi import N_BATCH
from slmweb.paths import wasm_file

from .accounting import counts, weight_bytes
from .models import GpuModel
from .node import Node, fresh_cache

# Of bytes read over bytes of weights; more means that weights are read twice.
MOST_READ = 1.05


@dataclass(frozen=True)
class Plan:
    prompt: int
    past: int
    generate: int
    repeat: int
    warm: bool
    profile: bool
    """A table of the operations as well."""
    profiled: int = 8  # tokens


@dataclass(frozen=True)
class Operation:
    """Milliseconds and dispatches of one evaluation: a token, or a prompt."""

    operation: str
    dispatches: float
    ms: float


@dataclass(frozen=True)
class Figures:
    model: str
    title: str
    form: str  # of the products: the fastest
    forms: dict[str, float]  # milliseconds by which it was chosen
    prompt: int
    prefill_tokens_per_s: float
    prefill_flops_per_s: float
    prefill_share: float  # of the device's own arithmetic peak
    decode_tokens_per_s: float
    decode_bytes_per_s: float
    decode_share: float  # of the device's own copy bandwidth
    dispatches: float  # of a token
    host_ms: float  # of a token: recording and submitting
    read_bytes: float  # of a token: of weights, by the operations' own accounting
    read_over_weights: float
    pipelines: int
    compile_cold_ms: float
    compile_warm_ms: float
    memory_bytes: int
    dispatches_by_operation: dict[str, int]
    decode_operations: tuple[Operation, ...]
    prefill_operations: tuple[Operation, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(
    node: Node, model: GpuModel, rates: dict[str, float], plan: Plan, say: Callable[[str], None]
) -> Figures:
    """`rates` are the device's own, as in web/src/gpu/measure.ts."""
    wish = request(model, plan)
    with fresh_cache() as folder:
        cache = Path(folder)
        say(f"{model.title}: compiling")
        cold = node.ask("compile", cache=cache, **wish)
        say(f"{model.title}: measuring")
        found = node.ask("model", cache=cache, **wish)
        timed: dict[str, Any] = {"times": {"decode": [], "prefill": []}}
        if plan.profile and node.device.timestamps:
            say(f"{model.title}: timing its operations")
            once = {"generate": plan.profiled, "repeat": 1, "warm": False, "profile": True}
            timed = node.ask("model", cache=cache, **(wish | once))
    return _figures(model, rates, plan, cold, found, timed["times"])


def request(model: GpuModel, plan: Plan) -> dict[str, Any]:
    """Of the kind "model", or with more than is needed "compile"."""
    return {
        "wasm": str(wasm_file("webgpu")),
        "source": {"path": str(model.path), "size": model.size, "random": model.random},
        "n_ctx": max(plan.prompt, plan.past + plan.generate + 3),
        "n_batch": N_BATCH["gpu"],
        "prompt": plan.prompt,
        "past": plan.past,
        "generate": plan.generate,
        "repeat": plan.repeat,
        "warm": plan.warm,
        "profile": False,
    }


def _figures(
    model: GpuModel,
    rates: dict[str, float],
    plan: Plan,
    cold: dict[str, Any],
    found: dict[str, Any],
    times: dict[str, Any],
) -> Figures:
    prefill_s = statistics.median(found["prefill_ms"]) / 1000
    decode_s = statistics.median(found["decode_ms"]) / 1000
    read = weight_bytes(found["records"])
    flops = model.prefill_flops(plan.prompt) / prefill_s
    return Figures(
        model=model.name,
        title=model.title,
        form=found["form"],
        forms={form["name"]: form["ms"] for form in found["forms"]},
        prompt=plan.prompt,
        prefill_tokens_per_s=plan.prompt / prefill_s,
        prefill_flops_per_s=flops,
        prefill_share=flops / rates["flops_per_second"],
        decode_tokens_per_s=1 / decode_s,
        decode_bytes_per_s=read / decode_s,
        decode_share=read / decode_s / rates["copy_bytes_per_second"],
        dispatches=found["dispatches"],
        host_ms=found["encode_ms"],
        read_bytes=read,
        read_over_weights=read / model.read_bytes,
        pipelines=found["pipelines"],
        compile_cold_ms=cold["compile_ms"],
        compile_warm_ms=found["compile_ms"],
        memory_bytes=found["memory_bytes"],
        dispatches_by_operation=counts(found["records"]),
        decode_operations=_operations(times["decode"], plan.profiled),
        prefill_operations=_operations(times["prefill"], 1),
    )


def _operations(times: list[dict[str, Any]], evaluations: int) -> tuple[Operation, ...]:
    return tuple(
        Operation(t["operation"], t["dispatches"] / evaluations, t["ms"] / evaluations)
        for t in times
    )
