"""What each layer of a model is, where a config lets them differ: Gemma 4's heads, and those of
EmbeddingGemma 2, are larger where a layer sees everything, and the last layers of Gemma 3n and 4
attend to the keys and values of others; Gemma 3n's first ones let through few gates.

Owns the meaning of the config's lists, transformers' defaults included, and refuses what no layer
could be. Knows no tensors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from ..errors import SlmError
from .family import Dimension, Family

LARGER_GEMMA4 = (
    "12B, 26B-A4B and 31B need more memory than a page has; use gemma-4-e2b-it or gemma-4-e4b-it"
)


# Residuals of Gemma 3n: Ops::kStreams in wasm/src/ops.h.
N_STREAMS = 4


@dataclass(frozen=True)
class Streams:
    """Of a family with several residuals: what Laurel goes through, and of each layer how many
    deviations above the mean a gate of its feed-forward network has to be, minus infinity where
    none has to."""

    rank: int
    cuts: tuple[float, ...]


@dataclass(frozen=True)
class Layers:
    """One entry of each for every layer."""

    local: tuple[bool, ...]  # whether it sees a window
    head_dims: tuple[int, ...]
    n_heads_kv: tuple[int, ...]
    n_ffs: tuple[int, ...]
    n_shared: int  # the last ones, which attend to others' keys and values
    n_per_layer: int  # columns of each layer's embeddings
    n_looked_up: int  # rows of a table of them, which tokens of pictures and of sound have not
    streams: Streams | None

    def is_shared(self, layer: int) -> bool:
        return layer >= len(self.local) - self.n_shared

    @property
    def own(self) -> tuple[int, ...]:
        """The layers with keys and values of their own."""
        return tuple(i for i in range(len(self.local)) if not self.is_shared(i))


def stream_sizes(layers: Layers | None) -> dict[Dimension, int]:
    """Of what mixes residuals and of Laurel; zeros where there is one residual."""
    if layers is None or layers.streams is None:
        return {"streams": 0, "pairs": 0, "rank": 0}
    return {"streams": N_STREAMS, "pairs": N_STREAMS**2, "rank": layers.streams.rank}


def read_layers(family: Family, config: Mapping[str, Any], where: str) -> Layers:
    """Of a config that has the family's defaults. Raises SlmError "bad_file" and "unsupported";
    `where` names the config."""

    def whole(key: str, least: int = 1) -> int:
        value = config.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and least <= value < 1 << 31:
            return value
        raise SlmError(
            "bad_file",
            f"{where}: {key} is {str(value)[:40]!r}, expected a whole number of at least {least}; "
            "download it again",
        )

    for key in ("enable_moe_block", "attention_k_eq_v"):
        if config.get(key):
            raise SlmError("unsupported", f"{where} asks for {key}: {LARGER_GEMMA4}")
    if not config.get("hidden_size_per_layer_input"):
        raise SlmError("unsupported", f"{where} has no embeddings of each layer: {LARGER_GEMMA4}")
    n_layer, n_shared = whole("num_hidden_layers"), whole("num_kv_shared_layers", 0)
    local = _local(family, config, n_layer, where)
    own = n_layer - n_shared
    if own < 1 or not set(local[own:]) <= set(local[:own]):
        raise SlmError(
            "bad_file",
            f"{where}: the last {n_shared} of {n_layer} layers should attend to keys and values "
            "of layers before them, of which none is of their kind; download it again",
        )
    given = config.get("per_layer_config")
    # Numbers with leading zeros, of a layer's length and not longer: int() refuses the longest.
    each = (
        {int(i): c for i, c in given.items() if str(i).isdecimal() and len(str(i)) < 10}
        if isinstance(given, Mapping)
        else {}
    )
    head, heads_kv = whole("head_dim"), whole("num_key_value_heads")

    def size(layer: int, key: str, otherwise: int) -> int:
        entry = each.get(layer)
        value = entry.get(key) if isinstance(entry, Mapping) else None
        return value if isinstance(value, int) and value > 0 else otherwise

    larger = head if each or family.streams else whole("global_head_dim")
    # Where a config can ask for keys as values, Gemma 4's, the number counts with them alone.
    alike = each or family.streams or "attention_k_eq_v" in config
    of_larger = None if alike else "num_global_key_value_heads"
    larger_kv = whole(of_larger) if of_larger else heads_kv
    twice = bool(config.get("use_double_wide_mlp"))
    ffs = _of_each(config, "intermediate_size", n_layer) or (whole("intermediate_size"),) * n_layer
    return Layers(
        local=local,
        head_dims=tuple(size(i, "head_dim", head if local[i] else larger) for i in range(n_layer)),
        n_heads_kv=tuple(
            size(i, "num_key_value_heads", heads_kv if local[i] else larger_kv)
            for i in range(n_layer)
        ),
        n_ffs=tuple(ff * (2 if twice and i >= own else 1) for i, ff in enumerate(ffs)),
        n_shared=n_shared,
        n_per_layer=whole("hidden_size_per_layer_input"),
        n_looked_up=whole("vocab_size_per_layer_input") if family.streams else whole("vocab_size"),
        streams=Streams(whole("laurel_rank"), _cuts(config, n_layer, where))
        if family.streams
        else None,
    )


def _of_each(config: Mapping[str, Any], key: str, n_layer: int) -> tuple[int, ...] | None:
    """A whole number above zero for every layer, where the config has a list of them."""
    found = config.get(key)
    if not isinstance(found, list) or len(found) != n_layer:
        return None
    return tuple(found) if all(isinstance(n, int) and n > 0 for n in found) else None


def _cuts(config: Mapping[str, Any], n_layer: int, where: str) -> tuple[float, ...]:
    """Of shares of gates that are closed, by where a normal distribution has so many below."""
    for key, value in (("altup_num_inputs", N_STREAMS), ("altup_active_idx", 0)):
        if config.get(key) != value:
            raise SlmError(
                "unsupported", f"{where} asks for {key} {config.get(key)!r}; {value} is supported"
            )
    if config.get("altup_correct_scale") is False:
        raise SlmError(
            "unsupported", f"{where} asks for residuals without altup_correct_scale; use it"
        )
    shares = config.get("activation_sparsity_pattern")
    if shares is None:  # transformers' default
        n_sparse = 10 if n_layer > 10 else 0
        shares = [0.95] * n_sparse + [0.0] * (n_layer - n_sparse)
    if (
        not isinstance(shares, list)
        or len(shares) != n_layer
        or not all(isinstance(share, int | float) and 0 <= share < 1 for share in shares)
    ):
        raise SlmError(
            "bad_file",
            f"{where}: activation_sparsity_pattern should have a number from 0 to below 1 for each "
            f"of {n_layer} layers; download it again",
        )
    return tuple(NormalDist().inv_cdf(share) if share else -math.inf for share in shares)


def _local(family: Family, config: Mapping[str, Any], n_layer: int, where: str) -> tuple[bool, ...]:
    kinds = config.get("layer_types")
    if kinds is None:
        kinds = [
            "sliding_attention" if (i + 1) % family.window_pattern else "full_attention"
            for i in range(n_layer)
        ]
    known = {"sliding_attention": True, "full_attention": False}
    if (
        not isinstance(kinds, list)
        or len(kinds) != n_layer
        or any(str(k) not in known for k in kinds)
    ):
        raise SlmError(
            "unsupported",
            f"{where} asks for another list of kinds of layers; one of sliding_attention and "
            f"full_attention for each of {n_layer} layers is supported",
        )
    local = tuple(known[str(kind)] for kind in kinds)
    return (*local[:-1], False) if family.last_sees_all else local
