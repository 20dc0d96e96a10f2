"""Rotary positions of a config: which parameters count under transformers 4 and 5, and
their scalings. Refuses what neither the core nor llama.cpp would compute.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .config import ConfigReader
from .family import Family


@dataclass(frozen=True)
class Llama3Scaling:
    """Llama 3.1's scaling of rotary frequencies (Meta 2024, as transformers has it)."""

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_context: int


@dataclass(frozen=True)
class Yarn:
    """YaRN's scaling of rotary frequencies (Peng et al. 2023, as transformers has it)."""

    factor: float
    original_context: int
    beta_fast: float
    beta_slow: float
    log_multiplier: float  # of the magnitude's divisor; 0: none
    magnitude: float  # of what rotates, over what the factor asks for


@dataclass(frozen=True)
class LongRope:
    """LongRoPE's scaling of rotary frequencies (Ding et al. 2024, as transformers has it)."""

    long_factors: tuple[float, ...]  # what divides them in contexts beyond the original one,
    short_factors: tuple[float, ...]  # and in others
    original_context: int
    magnitude: float  # of what rotates


def read_rope(read: ConfigReader, family: Family) -> tuple[Mapping[str, Any], float | None]:
    """The rotary parameters of the layers that see everything, and the others' base.

    transformers 5 calls them rope_parameters and 4 rope_scaling. Where a config has
    both, transformers takes the old one, wholly; Gemma 3 and OLMo 3, whose parameters are one
    object for each kind of layer, put the old ones on top of the new.
    """
    new, old = (read.object(key) for key in ("rope_parameters", "rope_scaling"))
    if not family.local_rope_base:
        rope, local_base = dict(old or new), None
        # What Phi-3's first configs call it.
        if "longrope" in family.rope_scalings and rope.get("type") == "su":
            rope["rope_type"] = "longrope"
        if any(key.endswith("_attention") for key in rope):
            raise read.unsupported(
                "rotary positions by the kind of layer", f"{family.model_type} has one for all"
            )
    else:
        nested = {key: value for key, value in new.items() if key.endswith("_attention")}
        if new and not nested:
            raise read.unsupported(
                "one rope_parameters for all layers, which transformers ignores",
                "expected full_attention and sliding_attention in it",
            )
        if old and "rope_type" not in old:
            raise read.unsupported(
                "a rope_scaling without rope_type, which transformers ignores",
                "name the scaling there",
            )
        local = read.object("sliding_attention", nested)
        rope = {**read.object("full_attention", nested), **old}
        if local.get("rope_type", local.get("type", "default")) != "default":
            raise read.unsupported("scaled rotary positions in local layers", "plain ones are")
        if family.partly_rotated:
            _check_proportional(read, rope, local)
        # Whatever a config of OLMo 3 says outside is the other layers'.
        outer = read.inside(
            read.values if family.local_rope_base != "rope_theta" else family.defaults,
            family.local_rope_base,
        )
        local_base = read.inside(local, "rope_theta", outer)
    check_rotary_share(read, family, rope)
    return rope, local_base


def _check_proportional(
    read: ConfigReader, rope: Mapping[str, Any], local: Mapping[str, Any]
) -> None:
    """Both runtimes know which pairs do not rotate by the factors of the others' frequencies."""
    if rope.get("rope_type") != "proportional":
        raise read.unsupported(
            f"the rope scaling {rope.get('rope_type')!r} in layers that see everything",
            "proportional is supported",
        )
    share = read.inside(rope, "partial_rotary_factor", 1.0)
    if share > 1 or rope.get("factor", 1) != 1 or local.get("partial_rotary_factor", 1) != 1:
        raise read.unsupported(
            "rotary positions that are scaled or only part of a local head",
            "a part of the heads that see everything is supported",
        )


def check_rotary_share(read: ConfigReader, family: Family, values: Mapping[str, Any]) -> None:
    if family.partly_rotated:
        return
    share = values.get("partial_rotary_factor", family.rotary_share)
    if family.rotary_share is not None and share != family.rotary_share:
        raise read.unsupported(
            f"a partial rotary embedding of {share}",
            f"{family.rotary_share:g} of each head is supported",
        )


def read_rotary_share(
    read: ConfigReader, family: Family, rope: Mapping[str, Any], head_dim: int
) -> float:
    """Of a head's pairs, those that rotate."""
    if family.rotary_share is not None and not family.partly_rotated:
        return family.rotary_share
    outside = read.values.get("partial_rotary_factor", 1.0)
    share = read.inside({"partial_rotary_factor": outside, **rope}, "partial_rotary_factor")
    if not 2 <= int(share * head_dim) <= head_dim or int(share * head_dim) % 2:
        raise read.unsupported(
            f"a partial rotary embedding of {share} of heads of {head_dim}",
            "an even number of columns is supported",
        )
    return share


def read_llama3(read: ConfigReader, rope: Mapping[str, Any]) -> Llama3Scaling:
    # What stands outside counts first, and a model that names no original context
    # has not been stretched beyond its own.
    key = "original_max_position_embeddings"
    own = read.values.get("max_position_embeddings", 2048)
    values = {key: read.values.get(key) or rope.get(key) or own}
    scaling = Llama3Scaling(
        factor=read.inside(rope, "factor"),
        low_freq_factor=read.inside(rope, "low_freq_factor"),
        high_freq_factor=read.inside(rope, "high_freq_factor"),
        original_context=int(read.inside(values, key)),
    )
    if scaling.high_freq_factor <= scaling.low_freq_factor:
        raise read.unsupported("a high_freq_factor below low_freq_factor", "expected above it")
    return scaling


def read_yarn(read: ConfigReader, rope: Mapping[str, Any]) -> Yarn:
    if rope.get("truncate") is False:
        raise read.unsupported("a yarn that is not truncated", "expected truncate true")
    factor = read.inside(rope, "factor")
    all_dim = rope.get("mscale_all_dim") or 0
    if all_dim and rope.get("mscale") and rope["mscale"] != 1:
        raise read.unsupported(f"a yarn with the mscale {rope['mscale']!r}", "expected 1")
    log_multiplier = read.inside(rope, "mscale_all_dim") if all_dim and rope.get("mscale") else 0.0

    def grown(by: float) -> float:
        return 1 + 0.1 * by * math.log(factor) if factor > 1 else 1.0

    # A config may say null for what the factors ask for.
    natural = grown(1) / (grown(log_multiplier) if log_multiplier else 1)
    given = rope.get("attention_factor") or natural
    return Yarn(
        factor=factor,
        original_context=int(read.inside(rope, "original_max_position_embeddings")),
        beta_fast=read.inside(rope, "beta_fast", 32.0),
        beta_slow=read.inside(rope, "beta_slow", 1.0),
        log_multiplier=log_multiplier,
        magnitude=read.inside({"attention_factor": given}, "attention_factor") / natural,
    )


def read_long_rope(read: ConfigReader, rope: Mapping[str, Any], n_pairs: int) -> LongRope:
    """Of heads of which `n_pairs` pairs rotate."""

    def factors(key: str) -> tuple[float, ...]:
        values = rope.get(key)
        if not isinstance(values, list) or len(values) != n_pairs:
            found = len(values) if isinstance(values, list) else repr(values)
            raise read.unsupported(f"a {key} of {found} numbers", f"expected {n_pairs}")
        return tuple(read.inside({key: value}, key) for value in values)

    key = "original_max_position_embeddings"
    # What stands outside counts first, and transformers has it there if the config has not.
    original = read.inside({key: read.values.get(key) or rope.get(key)}, key)
    if original < 2:
        raise read.unsupported(f"{key} {original:g}", "expected a context of at least 2")
    if rope.get("factor") is None:
        longer = read.whole("max_position_embeddings") / original
    else:
        longer = read.inside(rope, "factor")
    natural = math.sqrt(1 + math.log(longer) / math.log(original)) if longer > 1 else 1.0
    return LongRope(
        long_factors=factors("long_factor"),
        short_factors=factors("short_factor"),
        original_context=int(original),
        magnitude=read.inside(
            {"attention_factor": rope.get("attention_factor") or natural}, "attention_factor"
        ),
    )
