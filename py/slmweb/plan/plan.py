"""`plan`: what a model needs and does on a device, at every quantization, and what to choose.

Owns the table and the recommendation. Sizes are memory.py's, speeds rates.py's; where a name means
something to `slmweb pull`, its shape comes from the registry, so that nothing need be fetched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from ..errors import SlmError
from ..pack.manifest import ContextMemory
from ..pull.pull import pulled
from ..pull.registry import Registry, Repo, read_registry
from ..quantize.recipes import read_recipes
from ..sizes import apart, bytes_text
from .memory import DEVICE_SHARE, GIB, WASM_LIMIT, Fit, contexts, fit, weights_bytes
from .rates import Device, predict
from .shape import Shape, from_config, read_shape

# What `quantize` and `build` write unless they are told otherwise: the default mix.
WEB = "web"
# Best quality first.
TYPES = ("F16", "Q8_0", "Q6_K", "Q5_K", "Q5_1", WEB, "Q5_0", "Q4_K", "Q4_1", "IQ4_NL", "Q4_0",
         "Q3_K", "Q2_K")  # fmt: skip
AS_IT_IS = "as it is"
ROUGH = ("Q3_K", "Q2_K")  # quality suffers visibly in small models

# Megabits a second: slow mobile, good mobile, a wire.
LINES = {"3G": 1.6, "4G": 12.0, "broadband": 50.0}

# What a recommendation looks for: read along comfortably, wait no longer than this on 4G.
COMFORTABLE_TOKENS_PER_SECOND = 8
PATIENCE_SECONDS = 120
N_CTX_DEFAULT = 2048


@dataclass(frozen=True)
class ContextNeed:
    """Memory with a context of `n_ctx` tokens, and whether the device is expected to have it."""

    n_ctx: int
    session_bytes: int
    needed_bytes: int
    fits: bool


@dataclass(frozen=True)
class Option:
    """The model in one quantization, on the device."""

    type: str
    rough: bool  # most of its weights have fewer than four bits
    download_bytes: int
    download_seconds: dict[str, float]
    weights_bytes: int
    contexts: tuple[ContextNeed, ...]
    fit: Fit  # at the default context
    prefill_tokens_per_second: float  # of a prompt of 256 tokens
    decode_tokens_per_second: float  # after 256 tokens


@dataclass(frozen=True)
class Plan:
    model: str
    architecture: str
    parameters: int
    n_ctx_train: int
    n_ctx_default: int
    types: dict[str, int] | None  # of the file at hand; None when there is none
    device: Device
    available_bytes: int  # that a tab may take there
    options: tuple[Option, ...]  # the file at hand first, then by falling quality
    recommendation: str


def plan(
    model: str, device: Device, *, registry: Registry | None = None, endpoint: str | None = None
) -> Plan:
    """The plan for a GGUF, a packed folder, a checkpoint folder, a config.json, or what
    `slmweb pull` knows by name. Of the hub at most config.json is fetched.

    Raises SlmError: what `read_shape` raises, "invalid_argument", "network", "bad_registry".
    """
    shape, has_file = _shape(model, registry or read_registry(), endpoint)
    n_ctx = min(N_CTX_DEFAULT, shape.n_ctx_train)
    options = [_option(AS_IT_IS, shape, device, n_ctx)] if has_file else []
    options += [_option(kind, _quantized(shape, kind), device, n_ctx) for kind in TYPES]
    return Plan(
        model=model,
        architecture=shape.architecture,
        parameters=shape.parameters,
        n_ctx_train=shape.n_ctx_train,
        n_ctx_default=n_ctx,
        types=shape.types if has_file else None,
        device=device,
        available_bytes=_available(device),
        options=tuple(options),
        recommendation=recommend(options, device, n_ctx),
    )


def _available(device: Device) -> int:
    """Bytes that a tab may take on the device."""
    return min(WASM_LIMIT, int(DEVICE_SHARE * device.memory_gib * GIB))


def _quantized(shape: Shape, kind: str) -> Shape:
    if kind != WEB:
        return shape.quantized(kind)
    mix = read_recipes().default
    return shape.quantized(lambda tensor: mix.wanted(tensor).name)


def recommend(options: Sequence[Option], device: Device, n_ctx: int) -> str:
    """One or two sentences with numbers.

    The best quality whose default context fits, that decodes as fast as one reads, and that comes
    within two minutes on 4G; else the fastest that fits, if need be with a shorter context; fewer
    than four bits only where nothing else fits at all. Else why nothing does.
    """
    on = f"On {device.title} ({device.memory_gib:g} GiB)"
    usable = [option for option in options if option.fit.verdict != "refused"]
    if not usable:
        least = min(options, key=lambda option: option.fit.needed)
        needs, may_take = apart(least.fit.needed, _available(device))
        return (
            f"{on} nothing fits: even {_named(least)} needs {needs} and a tab may take {may_take}; "
            "choose a smaller model."
        )
    sound = [option for option in usable if not option.rough] or usable
    fitting = [option for option in sound if option.fit.verdict == "fits"] or sound
    good = [
        option
        for option in fitting
        if option.decode_tokens_per_second >= COMFORTABLE_TOKENS_PER_SECOND
        and option.download_seconds["4G"] <= PATIENCE_SECONDS
        and option.type != "F16"
    ]
    chosen = good[0] if good else max(fitting, key=lambda option: option.decode_tokens_per_second)
    found = chosen.fit
    sentence = (
        f"{on} use {_named(chosen)}: {bytes_text(chosen.download_bytes)} to download "
        f"({_duration(chosen.download_seconds['4G'])} on 4G), "
        f"{bytes_text(found.needed)} of memory with {found.n_ctx:,} tokens of context, and about "
        f"{_rate(chosen.decode_tokens_per_second)} tokens/s."
    )
    if chosen.type not in (AS_IT_IS, WEB):  # the mix is what they make unasked
        sentence += f" `slmweb build` and `quantize` make it with `--type {chosen.type.lower()}`."
    if found.verdict == "shorter":
        sentence += (
            f" With {n_ctx:,} tokens it would need more than the "
            f"{bytes_text(_available(device))} that a tab may take."
        )
    if chosen.rough:
        sentence += (
            " Only two or three bits a weight fit, with which a small model answers visibly worse; "
            "a smaller model with four bits or more does better."
        )
    elif chosen.decode_tokens_per_second < COMFORTABLE_TOKENS_PER_SECOND:
        sentence += " That is slower than one reads; a smaller model would be kinder."
    elif chosen.download_seconds["4G"] > PATIENCE_SECONDS:
        sentence += " That is a long download; a smaller model would be kinder."
    return sentence


def _option(kind: str, shape: Shape, device: Device, n_ctx: int) -> Option:
    weights, sessions = weights_bytes(shape), contexts(shape, device.threads)
    rates = predict(shape, device)

    def check(length: int) -> Fit:
        return fit(weights, sessions, length, device_memory=device.memory_gib)

    size = shape.file_bytes
    return Option(
        type=kind,
        rough=_is_rough(shape),
        download_bytes=size,
        download_seconds={name: size * 8 / (speed * 1e6) for name, speed in LINES.items()},
        weights_bytes=weights,
        contexts=tuple(_need(session, check(session.n_ctx), weights) for session in sessions),
        fit=check(n_ctx),
        prefill_tokens_per_second=rates.prefill_tokens_per_second,
        decode_tokens_per_second=rates.decode_tokens_per_second,
    )


def _is_rough(shape: Shape) -> bool:
    rough = sum(t.elements for t in shape.tensors if t.type in ROUGH)
    return 2 * rough > shape.parameters


def _need(session: ContextMemory, found: Fit, weights: int) -> ContextNeed:
    needed = fit(weights, [session], session.n_ctx).needed
    return ContextNeed(session.n_ctx, session.bytes, needed, found.verdict == "fits")


def _shape(model: str, registry: Registry, endpoint: str | None) -> tuple[Shape, bool]:
    """The shape, and whether it is that of a GGUF at hand, whose own types count."""
    path = Path(model)
    if path.exists():
        packed = path.is_dir() and (path / "manifest.json").is_file()
        return read_shape(path), packed or (path.is_file() and path.suffix != ".json")
    entry = registry.find(model)
    if (there := pulled(entry)) is not None:
        return read_shape(there), there.is_file()
    if entry.config is not None:
        return from_config(entry.config, model), False
    if isinstance(entry.origin, Repo):
        from ..pull.hub import Hub

        hub = Hub(endpoint)
        listing = hub.list(entry.origin)
        if not listing.gguf:
            import json

            return from_config(json.loads(hub.read(listing, "config.json")), model), False
    raise SlmError(
        "invalid_argument",
        f"the shape of {model} is only known from its file; run `slmweb pull {quote(model)}` first",
    )


def _named(option: Option) -> str:
    return "it as it is" if option.type == AS_IT_IS else option.type


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _rate(n: float) -> str:
    return f"{n:.1f}" if n < 10 else f"{n:.0f}"
