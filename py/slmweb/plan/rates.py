"""How fast a model will be on a device: a roofline with the fractions that this core achieves.

Owns the numbers of devices and the formula of the CPU; gpu.py has that of a GPU. The formula is a
sum, not a maximum: without prefetch instructions a thread waits for memory and computes in turn
(docs/benchmarks/LOG.md), so

    seconds = bytes read / (GB/s) + products / (share x kernel rate) + attention.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import SlmError, os_reason
from ..quantize.choice import INDEXED
from .gpu import Gpu
from .memory import moved_state_bytes
from .shape import Shape
from .tensors import Tensor

DEVICES = Path(__file__).with_name("devices.toml")

# Shares of the kernel's rate on scratch data, fitted to docs/benchmarks/results.csv: a whole
# prefill reaches 30 of 42 GMAC/s; with one token memory is the limit, which is counted beside.
PREFILL_SHARE = 0.7
DECODE_SHARE = 1.0
ATTENTION_SHARE = 0.25

# Dot products that one weight costs: values of 8 bits are multiplied as 16-bit integers, of which a
# vector has eight instead of sixteen, and floats four.
_PRODUCTS = {
    "Q8_0": 2.0,
    "IQ4_NL": 2.0,
    "MXFP4": 2.0,
    **dict.fromkeys(INDEXED, 2.0),
    "F32": 4.0,
    "F16": 6.0,
    "BF16": 6.0,
}

_FIELDS = ("memory_gib", "threads", "gmac_per_s", "gb_per_s_per_thread", "gb_per_s")
_GPU_FIELDS = ("gb_per_s", "tflops", "us_per_dispatch", "ms_per_pipeline")
_GPU_OPTIONAL = ("memory_gib", "binding_mib", "decode_share", "prefill_share")


@dataclass(frozen=True)
class Device:
    """See devices.toml for the units."""

    title: str
    memory_gib: float
    threads: int
    gmac_per_s: float
    gb_per_s_per_thread: float
    gb_per_s: float
    gpu: Gpu | None = None


@dataclass(frozen=True)
class Rates:
    prefill_tokens_per_second: float
    decode_tokens_per_second: float
    picture_seconds: float | None  # to encode one; None where the model sees none


def predict(shape: Shape, device: Device, n_prompt: int = 256, n_past: int = 256) -> Rates:
    """Rates for a prompt of `n_prompt` tokens, and for one token after `n_past` others."""
    peak = device.threads * device.gmac_per_s * 1e9
    bandwidth = 1e9 * min(device.gb_per_s, device.threads * device.gb_per_s_per_thread)
    layers, head = shape.layer_matrices, shape.head
    attention = sum(
        2 * shape.n_head * shape.head_dim * min(n_past, window or n_past)
        for window in shape.windows
    )
    decode = (
        (sum(t.file_bytes for t in [*layers, head]) + moved_state_bytes(shape)) / bandwidth
        + sum(_products(t) for t in [*layers, head]) / (DECODE_SHARE * peak)
        + attention / (ATTENTION_SHARE * peak)
    )
    # A prompt's tokens look back on half of it on average; the head is for the last one only.
    looking_back = sum(
        2 * shape.n_head * shape.head_dim * min(n_prompt / 2, window or n_prompt)
        for window in shape.windows
    )
    read = shape.prompt_matrices
    prefill = (
        sum(_products(t) for t in read) / (PREFILL_SHARE * peak)
        + looking_back / (ATTENTION_SHARE * peak)
        + _products(head) / (DECODE_SHARE * peak) / n_prompt
        + (sum(t.file_bytes for t in read) + moved_state_bytes(shape))
        / bandwidth
        / min(n_prompt, 128)
    )
    picture = None
    if (encoder := shape.encoder) is not None:
        products = encoder.n_patches * sum(map(_products, encoder.layer_matrices))
        picture = products / (PREFILL_SHARE * peak)
        picture += encoder.attention_products / (ATTENTION_SHARE * peak)
    return Rates(1 / prefill, 1 / decode, picture)


def _products(tensor: Tensor) -> float:
    return tensor.elements * _PRODUCTS.get(tensor.type, 1.0)


def read_device(name: str) -> Device:
    """A device of devices.toml, or of a JSON file with the same keys.

    Raises SlmError "invalid_argument", "unreadable" or "bad_registry".
    """
    known, gpus = _table()
    if name in known:
        return _device(known[name], gpus, f"the device {name}")
    path = Path(name)
    if path.suffix != ".json":
        raise SlmError(
            "invalid_argument",
            f"there is no device '{name}'; choose from {', '.join(known)}, or name a .json file",
        )
    try:
        table = json.loads(path.read_bytes())
    except OSError as error:
        raise SlmError("unreadable", f"cannot read {path}: {os_reason(error)}") from None
    except ValueError as error:
        raise SlmError("bad_registry", f"{path} is not JSON ({error})") from None
    return _device(table, gpus, f"the device {path}")


def known_devices() -> list[Device]:
    """All of devices.toml that have a GPU: the classes that an advice is given for."""
    known, gpus = _table()
    found = [_device(table, gpus, f"the device {name}") for name, table in known.items()]
    return [device for device in found if device.gpu is not None]


def with_shares(device: Device, decode: float, prefill: float) -> Device:
    """The device with other shares of its GPU's rated figures."""
    if device.gpu is None:
        return device
    return replace(device, gpu=replace(device.gpu, decode_share=decode, prefill_share=prefill))


def _table() -> tuple[dict[str, Any], dict[str, Any]]:
    """The devices, and the GPUs that they name."""
    known = tomllib.loads(DEVICES.read_text(encoding="utf-8"))
    gpus: dict[str, Any] = known.pop("gpu")
    return known, gpus


def _device(table: Any, gpus: Mapping[str, Any], where: str) -> Device:
    numbers: Mapping[str, Any] = table if isinstance(table, dict) else {}
    found = _numbers(numbers, where, _FIELDS)
    return Device(
        title=str(numbers.get("title", where.removeprefix("the device "))),
        memory_gib=found["memory_gib"],
        threads=int(found["threads"]),
        gmac_per_s=found["gmac_per_s"],
        gb_per_s_per_thread=found["gb_per_s_per_thread"],
        gb_per_s=found["gb_per_s"],
        gpu=_gpu(numbers.get("gpu"), gpus, where),
    )


def _gpu(gpu: Any, gpus: Mapping[str, Any], where: str) -> Gpu | None:
    if gpu is None:
        return None
    if isinstance(gpu, str) and gpu not in gpus:
        raise SlmError(
            "bad_registry",
            f"{where} names the GPU {gpu!r}; choose from {', '.join(gpus)}, or write a table",
        )
    table = gpus[gpu] if isinstance(gpu, str) else gpu
    numbers: Mapping[str, Any] = table if isinstance(table, dict) else {}
    found = _numbers(numbers, f"the GPU of {where}", _GPU_FIELDS, _GPU_OPTIONAL)
    return Gpu(str(numbers.get("title", "its GPU")), **found)


def _numbers(
    table: Mapping[str, Any], where: str, fields: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, float]:
    """The fields that are there, all of them numbers above 0."""
    found: dict[str, float] = {}
    for field in [*fields, *(name for name in optional if name in table)]:
        value = table.get(field)
        whole = field != "threads" or isinstance(value, int)
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or value <= 0
            or not whole
        ):
            raise SlmError(
                "bad_registry",
                f"{where} should have a number above 0 as '{field}', but has {value!r}; "
                f"it needs {', '.join(fields)}",
            )
        found[field] = value
    return found
