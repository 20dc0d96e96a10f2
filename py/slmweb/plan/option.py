"""A model in one quantization on a device: what it takes and does there, on the CPU and on the GPU.

Owns the figures that belong together and which of the two is the better place. Sizes and speeds are
memory.py's, rates.py's and gpu.py's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..pack.manifest import ContextMemory
from . import gpu as on_gpu
from .gpu import Gpu, GpuFit, gpu_fit
from .memory import (
    DEVICE_SHARE,
    GIB,
    WASM_LIMIT,
    Fit,
    contexts,
    fit,
    packed_bytes,
    weights_bytes,
)
from .rates import Device, Rates, predict
from .shape import Shape

AS_IT_IS = "as it is"
ROUGH = ("Q3_K", "Q2_K")  # quality suffers visibly in small models

# Megabits a second: slow mobile, good mobile, a wire.
LINES = {"3G": 1.6, "4G": 12.0, "broadband": 50.0}

# By which the CPU and the GPU are compared: a question with some text, and an answer to it.
_PROMPT, _ANSWER = 256, 128

Backend = Literal["cpu", "webgpu"]


@dataclass(frozen=True)
class ContextNeed:
    """Memory with a context of `n_ctx` tokens, and whether the device is expected to have it."""

    n_ctx: int
    session_bytes: int
    needed_bytes: int
    fits: bool  # the CPU
    gpu_fits: bool


@dataclass(frozen=True)
class OnGpu:
    """The model on the device's GPU."""

    weights_bytes: int
    fit: GpuFit  # at the default context
    prefill_tokens_per_second: float
    decode_tokens_per_second: float
    compile_seconds: float  # at the first start; an estimate
    picture_seconds: float | None  # to encode one


@dataclass(frozen=True)
class OfPictures:
    """What the encoder of pictures has of the numbers of an option, and takes for one picture."""

    projector: str
    n_tokens: int
    file_bytes: int  # of the download
    weights_bytes: int
    encode_bytes: int  # while one is encoded; memory that is needed counts it
    seconds: float  # to encode one, on the CPU


@dataclass(frozen=True)
class Option:
    """The model in one quantization, on the device."""

    type: str
    rough: bool  # most of its weights have fewer than four bits
    download_bytes: int
    download_seconds: dict[str, float]
    weights_bytes: int
    contexts: tuple[ContextNeed, ...]
    fit: Fit  # at the default context, on the CPU
    prefill_tokens_per_second: float  # of a prompt of 256 tokens, on the CPU
    decode_tokens_per_second: float  # after 256 tokens, on the CPU
    gpu: OnGpu | None  # None where the device has none
    backend: Backend | None  # the better place; None where it fits neither
    pictures: OfPictures | None  # None where the model sees none

    @property
    def best_fit(self) -> Fit | GpuFit:
        return self.gpu.fit if self.gpu is not None and self.backend == "webgpu" else self.fit

    @property
    def best_decode(self) -> float:
        on = self.gpu if self.gpu is not None and self.backend == "webgpu" else self
        return on.decode_tokens_per_second

    @property
    def needs_gpu(self) -> bool:
        return self.backend == "webgpu" and self.fit.verdict == "refused"


def available_bytes(device: Device) -> int:
    """Bytes that a tab may take of the device's memory, on the CPU."""
    return min(WASM_LIMIT, int(DEVICE_SHARE * device.memory_gib * GIB))


def gpu_bytes(device: Device, gpu: Gpu) -> int:
    """Bytes that a page may fill on the GPU; of memory that it shares, what a tab may take."""
    share = DEVICE_SHARE * device.memory_gib if gpu.memory_gib is None else gpu.memory_gib
    return int(share * GIB)


def make_option(kind: str, shape: Shape, device: Device, n_ctx: int) -> Option:
    weights, sessions = weights_bytes(shape), contexts(shape, device.threads)
    beside = weights + (shape.encoder.encode_bytes(device.threads) if shape.encoder else 0)
    lengths = [session.n_ctx for session in sessions]
    cpu = predict(shape, device)
    on = _on_gpu(shape, device, lengths, n_ctx)

    def need(session: ContextMemory) -> ContextNeed:
        length = session.n_ctx
        found = fit(beside, sessions, length, device_memory=device.memory_gib)
        needed = fit(beside, [session], length).needed
        gpu_fits = device.gpu is not None and (
            gpu_fit(shape, [], length, device.gpu, gpu_bytes(device, device.gpu)).verdict == "fits"
        )
        return ContextNeed(length, session.bytes, needed, found.verdict == "fits", gpu_fits)

    found = fit(beside, sessions, n_ctx, device_memory=device.memory_gib)
    size = shape.file_bytes
    return Option(
        type=kind,
        rough=_is_rough(shape),
        download_bytes=size,
        download_seconds={name: size * 8 / (speed * 1e6) for name, speed in LINES.items()},
        weights_bytes=weights,
        contexts=tuple(map(need, sessions)),
        fit=found,
        prefill_tokens_per_second=cpu.prefill_tokens_per_second,
        decode_tokens_per_second=cpu.decode_tokens_per_second,
        gpu=on,
        backend=_better(found, cpu, on),
        pictures=_of_pictures(shape, device, cpu),
    )


def _of_pictures(shape: Shape, device: Device, cpu: Rates) -> OfPictures | None:
    encoder = shape.encoder
    if encoder is None or cpu.picture_seconds is None:
        return None
    return OfPictures(
        encoder.projector,
        encoder.n_tokens,
        encoder.file_bytes,
        packed_bytes(encoder.tensors),
        encoder.encode_bytes(device.threads),
        cpu.picture_seconds,
    )


def _on_gpu(shape: Shape, device: Device, lengths: list[int], n_ctx: int) -> OnGpu | None:
    if device.gpu is None:
        return None
    rates = on_gpu.predict(shape, device.gpu)
    return OnGpu(
        on_gpu.weights_bytes(shape),
        gpu_fit(shape, lengths, n_ctx, device.gpu, gpu_bytes(device, device.gpu)),
        rates.prefill_tokens_per_second,
        rates.decode_tokens_per_second,
        rates.compile_seconds,
        rates.picture_seconds,
    )


def _better(found: Fit, cpu: Rates, gpu: OnGpu | None) -> Backend | None:
    """Where more of the context fits; where that is equal, what answers sooner."""

    def seconds_of(on: Rates | OnGpu) -> float:
        return _PROMPT / on.prefill_tokens_per_second + _ANSWER / on.decode_tokens_per_second

    contexts = {"cpu": 0 if found.verdict == "refused" else found.n_ctx}
    seconds = {"cpu": seconds_of(cpu)}
    if gpu is not None:
        contexts["webgpu"] = 0 if gpu.fit.verdict == "refused" else gpu.fit.n_ctx
        seconds["webgpu"] = seconds_of(gpu)
    best = max(contexts, key=lambda backend: (contexts[backend], -seconds[backend]))
    if contexts[best] == 0:
        return None
    return "webgpu" if best == "webgpu" else "cpu"


def _is_rough(shape: Shape) -> bool:
    rough = sum(t.elements for t in shape.tensors if t.type in ROUGH)
    return 2 * rough > shape.parameters
