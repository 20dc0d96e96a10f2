"""What a family of the converter is: rows of names, shapes and changes, and the traits
by which families differ; and what its config means by the kinds of its layers.

Owns the words that the tables of families.py are written in, and names no model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Dimension = Literal["vocab", "embd", "ff", "q", "kv", "head", "wide", "embedding", "ctx", "types",
                    "channels", "block", "taps", "gates_and_in", "gated_q", "values", "heads",
                    "state", "space_in", "groups", "of_group", "layer", "layers",
                    "one", "qkv", "gate_and_up", "streams", "pairs", "rank"]  # fmt: skip

Change = Literal[
    "none",
    "rotary_q",  # llama.cpp rotates neighbouring rows of a head, transformers halves
    "rotary_k",
    "plus_one",  # Gemma multiplies by one more than a norm's weight
    "query_scale",  # what the runtime's attention scale lacks
    "plus_one_query_scale",
    "taps",  # of a convolution: (channels, 1, taps), in F32
    "blocks",  # of a block-diagonal matrix, each as columns by rows
    "block_biases",  # of such a matrix, block by block
    "decay",  # of RG-LRU, before its softplus
    # Of a delta rule, whose heads of values llama.cpp has in another order: their rows, those
    # behind the rows of queries and keys, the taps of those, their columns, or a number for each.
    "value_rows",
    "value_rows_behind",
    "value_taps_behind",
    "value_columns",
    "value_heads",
    "value_rates",  # of a number's exponential, below 0
    # Of a state space: a number for each head in a row of its own, such a rate, a norm by groups.
    "column",
    "rate_column",
    "groups",
    "after_padding",  # rows of positions, which begin behind the padding token's number
    "padded",  # with rows of zeros, up to the vocabulary's
]

# What a layer remembers; "" is any, and "shared" what another one does.
Memory = Literal["", "attention", "recurrent", "shared"]

# What a recurrent layer is.
Recurrence = Literal["rg_lru", "short_convolution", "delta_rule", "state_space"]


@dataclass(frozen=True)
class Row:
    """A tensor: its name in the checkpoint, in the GGUF, and its shape (numpy's order). Matrices
    of one target are one tensor there, in the table's order."""

    source: str
    target: str
    shape: tuple[Dimension, ...]
    change: Change = "none"
    promise: str = ""  # what the config has to say for it to count; it may then still be missing
    memory: Memory = ""  # of the layers that have it
    layer: int | None = None  # whose it is, in a table with every layer's names written out
    part: tuple[int, int] = (0, 1)  # which of how many that the checkpoint has in one tensor


@dataclass(frozen=True)
class Family:
    architecture: str  # of the GGUF
    model_type: str  # of the config
    model: tuple[Row, ...]
    layer: tuple[Row, ...]  # of "model.layers.N." and "blk.N."
    # Of "model.encoder.layers.N." and "enc.blk.N.", as many layers that read prompts.
    encoder: tuple[Row, ...] = field(default=(), kw_only=True)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    activations: tuple[str, ...] = ("silu", "swish")
    # Which of its two names transformers reads first.
    activation_key: Literal["hidden_act", "hidden_activation"] = "hidden_act"
    window_pattern: int = 0  # every such layer sees everything; 0: all do
    windowed: bool = False  # but none does, where the config has a window
    writes_pattern: bool = False  # which the runtimes do not know by heart
    window_radius: bool = False  # the config counts positions on one side, a GGUF those on both
    softcaps: bool = False  # of scores and logits
    rotary_rows: bool = False  # llama's order of rows, which "rotary_q" and "rotary_k" make
    untied_output: bool = True  # llama.cpp reads an output.weight
    never: tuple[str, ...] = ()  # of the config: what would change what is computed
    layers: str = "model.layers."  # what the names of layer 0 begin with, before the 0
    ignored: tuple[str, ...] = ()  # beginnings of names that play no part in what is computed
    layer_norm: bool = False  # with a bias, where the others have the root mean square alone
    rotary: bool = True
    rope_scalings: tuple[str, ...] = ("default", "linear")
    local_rope_base: str = ""  # of local layers, which have another: the config's name of it
    attention_temperature: bool = False  # queries grow with their position
    rotary_if_said: bool = False  # by the config's position_embedding_type
    unrotated_period: int = 0  # every such layer knows no positions; 0: none
    rotary_share: float | None = 1.0  # of each head, from its start; None: the config says
    layered: bool = False  # its layers differ: layers.py
    last_sees_all: bool = False  # the last of them, whatever the config says
    streams: bool = False  # several residuals, which AltUp mixes, and Laurel beside attention
    bpe: bool = False  # merges of characters, which others have as a SentencePiece model's scores
    n_ff: str = "intermediate_size"  # the config's name of it
    factors: bool = False  # of embeddings, scores, blocks and logits
    mixed_type: bool = False  # whose models may have experts and states besides, or neither
    recurrence: Recurrence | None = None  # of some layers, of which the config has a list
    layer_kinds: str = "block_types"  # the list's name
    # Names that transformers reads before those of the other families, by which they go here.
    aliases: Mapping[str, str] = field(default_factory=dict)
    embeds: bool = False  # sees both ways, and what sentence-transformers put behind it counts

    @property
    def recurs(self) -> bool:
        return self.recurrence is not None

    def plain(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The config under the names of the other families, nulls left out of what is renamed."""
        renamed = {
            plain: config[own] for own, plain in self.aliases.items() if config.get(own) is not None
        }
        return {**config, **renamed}

    @property
    def partly_rotated(self) -> bool:
        """Whether the heads of layers that see everything are, by factors in the file."""
        return "proportional" in self.rope_scalings

    @property
    def n_dense(self) -> int:
        """Matrices behind the pooling."""
        return sum(row.source.startswith("dense_") for row in self.model)


_ATTENTION: Memory = "attention"
_RECURRENT: Memory = "recurrent"


# What configs call layers, under transformers 4 and 5.
_ATTEND = ("attention", "full_attention")
_RECUR: Mapping[Recurrence, tuple[str, ...]] = {
    "rg_lru": ("recurrent",),
    "short_convolution": ("conv",),
    "delta_rule": ("linear_attention",),
    "state_space": ("linear_attention", "mamba"),
}


def memories(family: Family, config: Mapping[str, Any], n_layer: int) -> tuple[Memory, ...]:
    """What each layer remembers; empty where the config's list makes no sense."""
    if family.recurrence is None:
        return n_layer * (_ATTENTION,)
    known: dict[str, Memory] = {
        **dict.fromkeys(_ATTEND, _ATTENTION),
        **dict.fromkeys(_RECUR[family.recurrence], _RECURRENT),
    }
    kinds = config.get(family.layer_kinds) or family.defaults.get(family.layer_kinds)
    if kinds is None and family.recurrence == "delta_rule":
        interval = config.get("full_attention_interval", 4)
        if not isinstance(interval, int) or interval < 1:
            return ()
        kinds = [
            "linear_attention" if (i + 1) % interval else "full_attention" for i in range(n_layer)
        ]
    if kinds is None:  # the first configs of LFM2 count those that attend; all do where none does
        attend = config.get("full_attn_idxs")
        if attend is not None and not isinstance(attend, list):
            return ()
        kinds = [
            "full_attention" if attend is None or i in attend else "conv" for i in range(n_layer)
        ]
    if not isinstance(kinds, list | tuple):
        return ()
    if not kinds or any(str(kind) not in known for kind in kinds):
        return ()
    return tuple(known[str(kinds[i % len(kinds)])] for i in range(n_layer))


@dataclass(frozen=True)
class DeltaHeads:
    """Of a delta rule: heads of keys and of values, and the width of each."""

    n_key: int
    n_value: int
    width: int

    @property
    def channels(self) -> int:
        """Of the convolution: queries, keys and values."""
        return (2 * self.n_key + self.n_value) * self.width

    @property
    def values(self) -> int:
        return self.n_value * self.width


def delta_heads(family: Family, whole: Callable[[str], int]) -> DeltaHeads | None:
    """`whole` reads a whole number above zero of the config, which has the family's defaults."""
    if family.recurrence != "delta_rule":
        return None
    return DeltaHeads(
        whole("linear_num_key_heads"),
        whole("linear_num_value_heads"),
        whole("linear_key_head_dim"),
    )


@dataclass(frozen=True)
class Space:
    """Of a state space: heads, the numbers of all of them, groups of heads, and rows of a state."""

    n_head: int
    width: int
    n_group: int
    n_state: int

    @property
    def channels(self) -> int:
        """Of the convolution: x, what writes and what reads."""
        return self.width + 2 * self.n_group * self.n_state

    @property
    def rows_in(self) -> int:
        """Of the matrix that makes gates, what is convolved, and steps."""
        return self.width + self.channels + self.n_head


def space_of(family: Family, whole: Callable[[str], int]) -> Space | None:
    """`whole` reads a whole number above zero of the config, which has the family's defaults."""
    if family.recurrence != "state_space":
        return None
    return Space(
        whole("mamba_n_heads"),
        whole("mamba_expand") * whole("hidden_size"),
        whole("mamba_n_groups"),
        whole("mamba_d_state"),
    )


def recurrent_sizes(delta: DeltaHeads | None, space: Space | None) -> dict[Dimension, int]:
    """Of what recurrent layers have beside their convolution."""
    return {
        "values": delta.values if delta else space.width if space else 0,
        "heads": delta.n_value if delta else space.n_head if space else 0,
        "state": delta.width if delta else 0,
        "space_in": space.rows_in if space else 0,
        "groups": space.n_group if space else 0,
        "of_group": space.width // space.n_group if space else 0,
    }


def feed_forward(family: Family, config: Mapping[str, Any], whole: Callable[[str], int]) -> int:
    """Rows of the matrix that a gated unit's other one is multiplied with. `whole` reads a whole
    number above zero of the config, which has the family's defaults."""
    width = whole(family.n_ff)
    if family.model_type == "recurrent_gemma":
        return width // 2  # which counts both
    if not config.get("block_auto_adjust_ff_dim"):
        return width
    factor, step = config.get("block_ffn_dim_multiplier"), whole("block_multiple_of")
    width = int(2 * width / 3)
    if isinstance(factor, int | float):
        width = -(-int(factor * width) // step) * step
    return width
