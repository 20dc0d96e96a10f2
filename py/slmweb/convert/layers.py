"""What each layer of a model is, where a config lets them differ: Gemma 4's heads, and those of
EmbeddingGemma 2, are larger where a layer sees everything, and Gemma 4's last layers attend to the
keys and values of others.

Owns the meaning of the config's lists, transformers' defaults included, and refuses what no layer
could be. Knows no tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import SlmError

LARGER_GEMMA4 = (
    "12B, 26B-A4B and 31B need more memory than a page has; use gemma-4-e2b-it or gemma-4-e4b-it"
)


@dataclass(frozen=True)
class Layers:
    """One entry of each for every layer."""

    local: tuple[bool, ...]  # whether it sees a window
    head_dims: tuple[int, ...]
    n_heads_kv: tuple[int, ...]
    n_ffs: tuple[int, ...]
    n_shared: int  # the last ones, which attend to others' keys and values
    n_per_layer: int  # columns of each layer's embeddings

    def is_shared(self, layer: int) -> bool:
        return layer >= len(self.local) - self.n_shared

    @property
    def own(self) -> tuple[int, ...]:
        """The layers with keys and values of their own."""
        return tuple(i for i in range(len(self.local)) if not self.is_shared(i))


def read_layers(config: Mapping[str, Any], where: str) -> Layers:
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
    local = _local(config, n_layer, where)
    own = n_layer - n_shared
    if own < 1 or not set(local[own:]) <= set(local[:own]):
        raise SlmError(
            "bad_file",
            f"{where}: the last {n_shared} of {n_layer} layers should attend to keys and values "
            "of layers before them, of which none is of their kind; download it again",
        )
    given = config.get("per_layer_config")
    each = (
        {int(i): c for i, c in given.items() if str(i).isdecimal()}
        if isinstance(given, Mapping)
        else {}
    )
    head, heads_kv = whole("head_dim"), whole("num_key_value_heads")

    def size(layer: int, key: str, otherwise: int) -> int:
        entry = each.get(layer)
        value = entry.get(key) if isinstance(entry, Mapping) else None
        return value if isinstance(value, int) and value > 0 else otherwise

    larger = head if each else whole("global_head_dim")
    # Where a config can ask for keys as values, Gemma 4's, the number counts with them alone.
    of_larger = None if each or "attention_k_eq_v" in config else "num_global_key_value_heads"
    larger_kv = whole(of_larger) if of_larger else heads_kv
    ff, twice = whole("intermediate_size"), bool(config.get("use_double_wide_mlp"))
    return Layers(
        local=local,
        head_dims=tuple(size(i, "head_dim", head if local[i] else larger) for i in range(n_layer)),
        n_heads_kv=tuple(
            size(i, "num_key_value_heads", heads_kv if local[i] else larger_kv)
            for i in range(n_layer)
        ),
        n_ffs=tuple(ff * (2 if twice and i >= own else 1) for i in range(n_layer)),
        n_shared=n_shared,
        n_per_layer=whole("hidden_size_per_layer_input"),
    )


def _local(config: Mapping[str, Any], n_layer: int, where: str) -> tuple[bool, ...]:
    kinds = config.get("layer_types")
    if kinds is None:
        kinds = [
            "full_attention" if (i + 1) % 6 == 0 else "sliding_attention" for i in range(n_layer)
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
    # transformers makes the last one see everything, whatever the list says.
    return (*(known[str(kind)] for kind in kinds[:-1]), False)
