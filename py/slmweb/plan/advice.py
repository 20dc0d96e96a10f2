"""Which quantization to choose on a device, in a sentence or two with numbers."""

from __future__ import annotations

from collections.abc import Sequence

from ..sizes import apart, bytes_text
from .memory import WASM_LIMIT
from .option import AS_IT_IS, Option, available_bytes, gpu_bytes
from .rates import Device

# What `quantize` and `build` write unless they are told otherwise: the default mix.
WEB = "web"

# What a recommendation looks for: read along comfortably, wait no longer than this on 4G.
COMFORTABLE_TOKENS_PER_SECOND = 8
PATIENCE_SECONDS = 120
# As good as the fastest: nobody sees the difference.
NEARLY = 0.9


def choose(options: Sequence[Option]) -> Option | None:
    """The best quality whose default context fits, that decodes as fast as one reads, and that
    comes within two minutes on 4G; else the best among the fastest that fit, if need be with a
    shorter context; fewer than four bits only where nothing else fits. None: nothing does."""
    usable = [option for option in options if option.backend is not None]
    if not usable:
        return None
    sound = [option for option in usable if not option.rough] or usable
    fitting = [option for option in sound if option.best_fit.verdict == "fits"] or sound
    good = [
        option
        for option in fitting
        if option.best_decode >= COMFORTABLE_TOKENS_PER_SECOND
        and option.download_seconds["4G"] <= PATIENCE_SECONDS
        and option.type != "F16"
    ]
    if good:
        return good[0]
    fastest = max(option.best_decode for option in fitting)
    return next(option for option in fitting if option.best_decode >= NEARLY * fastest)


def recommend(options: Sequence[Option], device: Device, n_ctx: int) -> str:
    """The sentences about what `choose` chooses; else why nothing fits."""
    on = f"On {device.title} ({device.memory_gib:g} GiB)"
    chosen = choose(options)
    if chosen is None:
        return f"{on} nothing fits: {_why_nothing(options, device)}; choose a smaller model."
    found = chosen.best_fit
    sentence = (
        f"{on} use {_named(chosen)}: {bytes_text(chosen.download_bytes)} to download "
        f"({_duration(chosen.download_seconds['4G'])} on 4G), "
        f"{bytes_text(found.needed)} of memory with {found.n_ctx:,} tokens of context, and about "
        f"{_rate(chosen.best_decode)} tokens/s {_where(chosen)}."
    )
    if chosen.needs_gpu:
        sentence += f" It needs the GPU: {_why_not_cpu(chosen)}."
    if chosen.type not in (AS_IT_IS, WEB):  # the mix is what they make unasked
        sentence += f" `slmweb build` and `quantize` make it with `--type {chosen.type.lower()}`."
    if found.verdict == "shorter" and found.available is not None:
        more = bytes_text(found.available)
        place = {"memory": "its GPU may be given", "binding": "its GPU has in one piece"}
        sentence += (
            f" With {n_ctx:,} tokens it would need more than the {more} that "
            f"{place.get(found.limit or '', 'a tab may take')}."
        )
    if chosen.rough:
        sentence += (
            " Only two or three bits a weight fit, with which a small model answers visibly worse; "
            "a smaller model with four bits or more does better."
        )
    elif chosen.best_decode < COMFORTABLE_TOKENS_PER_SECOND:
        sentence += " That is slower than one reads; a smaller model would be kinder."
    elif chosen.download_seconds["4G"] > PATIENCE_SECONDS:
        sentence += " That is a long download; a smaller model would be kinder."
    return sentence


def _where(chosen: Option) -> str:
    """The place, beside the other one where there are two."""
    cpu = _rate(chosen.decode_tokens_per_second)
    if chosen.gpu is None:
        return "on the CPU"
    if chosen.backend == "cpu":
        return f"on the CPU ({_rate(chosen.gpu.decode_tokens_per_second)} on the GPU)"
    return "on the GPU" if chosen.needs_gpu else f"on the GPU ({cpu} on the CPU)"


def _why_not_cpu(chosen: Option) -> str:
    needs, available = apart(chosen.fit.needed, chosen.fit.available or WASM_LIMIT)
    what = "a page can have" if chosen.fit.limit == "wasm" else "a tab may take"
    return f"the CPU would take {needs} and {what} {available}"


def _why_nothing(options: Sequence[Option], device: Device) -> str:
    least = min(options, key=lambda option: option.fit.needed)
    needs, may_take = apart(least.fit.needed, available_bytes(device))
    sentence = f"even {_named(least)} needs {needs} and a tab may take {may_take}"
    if device.gpu is None or device.gpu.memory_gib is None or least.gpu is None:
        return sentence
    has = bytes_text(gpu_bytes(device, device.gpu))
    return f"even {_named(least)} needs {needs}, its GPU has {has} and a tab may take {may_take}"


def _named(option: Option) -> str:
    return "it as it is" if option.type == AS_IT_IS else option.type


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _rate(n: float) -> str:
    return f"{n:.1f}" if n < 10 else f"{n:.0f}"
