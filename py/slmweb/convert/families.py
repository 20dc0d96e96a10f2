"""The families that are converted, as tables: which tensor of a checkpoint becomes
which of the GGUF, of which shape, and what llama.cpp's conventions change in it;
and what a config means where it leaves a value out (transformers' defaults).

Owns names and defaults, and computes nothing: tensors.py does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Dimension = Literal["vocab", "embd", "ff", "q", "kv", "head", "wide", "embedding", "ctx", "types",
                    "channels", "block", "taps", "gates_and_in", "gated_q", "values", "heads",
                    "state", "layer", "layers", "one"]  # fmt: skip

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
    "after_padding",  # rows of positions, which begin behind the padding token's number
]

# What a layer remembers; "" is any, and "shared" what another one does.
Memory = Literal["", "attention", "recurrent", "shared"]

# What a recurrent layer is.
Recurrence = Literal["rg_lru", "short_convolution", "delta_rule"]


@dataclass(frozen=True)
class Row:
    """A tensor: its name in the checkpoint, in the GGUF, and its shape (numpy's order)."""

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
    defaults: Mapping[str, Any] = field(default_factory=dict)
    activations: tuple[str, ...] = ("silu", "swish")
    # Which of its two names transformers reads first.
    activation_key: Literal["hidden_act", "hidden_activation"] = "hidden_act"
    window_pattern: int = 0  # every such layer sees everything; 0: all do
    writes_pattern: bool = False  # which the runtimes do not know by heart
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
    rotary_share: float = 1.0  # of each head, from its start
    layered: bool = False  # its layers differ: layers.py
    bpe: bool = False  # merges of characters, which others have as a SentencePiece model's scores
    n_ff: str = "intermediate_size"  # the config's name of it
    factors: bool = False  # of embeddings, scores, blocks and logits
    attention_alone: bool = False  # of a type that may have experts and states besides
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
    def n_dense(self) -> int:
        """Matrices behind the pooling."""
        return sum(row.source.startswith("dense_") for row in self.model)


def _model(norm: Change = "none") -> tuple[Row, ...]:
    return (
        Row("model.embed_tokens.weight", "token_embd.weight", ("vocab", "embd")),
        Row("model.norm.weight", "output_norm.weight", ("embd",), norm),
        Row("lm_head.weight", "output.weight", ("vocab", "embd")),
    )


def _layer(
    q: Change = "none", k: Change = "none", norm: Change = "none", q_norm: Change | None = None
) -> tuple[Row, ...]:
    """What every family's layer has; with `q_norm`, the norms of queries and keys too."""
    rows = (
        Row("input_layernorm.weight", "attn_norm.weight", ("embd",), norm),
        Row("self_attn.q_proj.weight", "attn_q.weight", ("q", "embd"), q),
        Row("self_attn.k_proj.weight", "attn_k.weight", ("kv", "embd"), k),
        Row("self_attn.v_proj.weight", "attn_v.weight", ("kv", "embd")),
        Row("self_attn.o_proj.weight", "attn_output.weight", ("embd", "q")),
        Row("mlp.gate_proj.weight", "ffn_gate.weight", ("ff", "embd")),
        Row("mlp.up_proj.weight", "ffn_up.weight", ("ff", "embd")),
        Row("mlp.down_proj.weight", "ffn_down.weight", ("embd", "ff")),
    )
    if q_norm is None:
        return rows
    return (
        *rows,
        Row("self_attn.q_norm.weight", "attn_q_norm.weight", ("head",), q_norm),
        Row("self_attn.k_norm.weight", "attn_k_norm.weight", ("head",), norm),
    )


def _gate(source: str, target: str) -> tuple[Row, Row]:
    at = f"temporal_block.rg_lru.{source}"
    return (
        Row(f"{at}_weight", f"{target}.weight", ("channels", "block"), "blocks"),
        Row(f"{at}_bias", f"{target}.bias", ("channels",), "block_biases"),
    )


def _with_bias(source: str, target: str, shape: tuple[Dimension, ...]) -> tuple[Row, Row]:
    return (
        Row(f"{source}.weight", f"{target}.weight", shape),
        Row(f"{source}.bias", f"{target}.bias", shape[:1]),
    )


_LLAMA_BIASES = (
    Row("self_attn.q_proj.bias", "attn_q.bias", ("q",), "rotary_q", "attention_bias"),
    Row("self_attn.k_proj.bias", "attn_k.bias", ("kv",), "rotary_k", "attention_bias"),
    Row("self_attn.v_proj.bias", "attn_v.bias", ("kv",), promise="attention_bias"),
    Row("self_attn.o_proj.bias", "attn_output.bias", ("embd",), promise="attention_bias"),
    Row("mlp.gate_proj.bias", "ffn_gate.bias", ("ff",), promise="mlp_bias"),
    Row("mlp.up_proj.bias", "ffn_up.bias", ("ff",), promise="mlp_bias"),
    Row("mlp.down_proj.bias", "ffn_down.bias", ("embd",), promise="mlp_bias"),
)
_QWEN2_BIASES = (
    Row("self_attn.q_proj.bias", "attn_q.bias", ("q",)),
    Row("self_attn.k_proj.bias", "attn_k.bias", ("kv",)),
    Row("self_attn.v_proj.bias", "attn_v.bias", ("kv",)),
)
_FFN_NORM = Row("post_attention_layernorm.weight", "ffn_norm.weight", ("embd",))
# Gemma 2 and 3 call four norms by other names, and the second one is another norm.
_SANDWICH_NORMS = (
    Row(
        "post_attention_layernorm.weight",
        "post_attention_norm.weight",
        ("embd",),
        "plus_one",
    ),
    Row("pre_feedforward_layernorm.weight", "ffn_norm.weight", ("embd",), "plus_one"),
    Row("post_feedforward_layernorm.weight", "post_ffw_norm.weight", ("embd",), "plus_one"),
)
_GELU = ("gelu_pytorch_tanh",)


def _of(memory: Memory, *rows: Row) -> tuple[Row, ...]:
    return tuple(replace(row, memory=memory) for row in rows)


def _gemma4_norm(source: str, target: str) -> Row:
    return Row(f"{source}.weight", f"{target}.weight", ("embd",))


def _bert_model(positions: Change = "none") -> tuple[Row, ...]:
    at = "embeddings."
    return (
        Row(f"{at}word_embeddings.weight", "token_embd.weight", ("vocab", "embd")),
        Row(f"{at}position_embeddings.weight", "position_embd.weight", ("ctx", "embd"), positions),
        Row(f"{at}token_type_embeddings.weight", "token_types.weight", ("types", "embd")),
        *_with_bias(f"{at}LayerNorm", "token_embd_norm", ("embd",)),
    )


_BERT = Family(
    "bert",
    "bert",
    _bert_model(),
    (
        *_with_bias("attention.self.query", "attn_q", ("q", "embd")),
        *_with_bias("attention.self.key", "attn_k", ("kv", "embd")),
        *_with_bias("attention.self.value", "attn_v", ("kv", "embd")),
        *_with_bias("attention.output.dense", "attn_output", ("embd", "q")),
        *_with_bias("attention.output.LayerNorm", "attn_output_norm", ("embd",)),
        *_with_bias("intermediate.dense", "ffn_up", ("ff", "embd")),
        *_with_bias("output.dense", "ffn_down", ("embd", "ff")),
        *_with_bias("output.LayerNorm", "layer_output_norm", ("embd",)),
    ),
    {"type_vocab_size": 2, "max_position_embeddings": 512, "layer_norm_eps": 1e-12},
    activations=("gelu",),
    layers="encoder.layer.",
    # The head of its first training, and what is counted anew.
    ignored=("pooler.", "cls.", "embeddings.position_ids"),
    layer_norm=True,
    rotary=False,
    embeds=True,
)

# OLMo 2 and 3 have no norms before their blocks, and one for all heads together.
_OLMO_LAYER = (
    *(row for row in _layer() if row.target != "attn_norm.weight"),
    Row("self_attn.q_norm.weight", "attn_q_norm.weight", ("q",)),
    Row("self_attn.k_norm.weight", "attn_k_norm.weight", ("kv",)),
    Row("post_attention_layernorm.weight", "post_attention_norm.weight", ("embd",)),
    Row("post_feedforward_layernorm.weight", "post_ffw_norm.weight", ("embd",)),
)
_OLMO_DEFAULTS: Mapping[str, Any] = {"rms_norm_eps": 1e-5, "max_position_embeddings": 2048}

_GEMMA3_DEFAULTS: Mapping[str, Any] = {
    "vocab_size": 262_208,
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "max_position_embeddings": 131_072,
    "tie_word_embeddings": True,
    "query_pre_attn_scalar": 256,
    "sliding_window": 4096,
    "rope_theta": 1_000_000.0,
    "rope_local_base_freq": 10_000.0,
}

FAMILIES: tuple[Family, ...] = (
    Family(
        "llama",
        "llama",
        _model(),
        (*_layer("rotary_q", "rotary_k"), _FFN_NORM, *_LLAMA_BIASES),
        rope_scalings=("default", "linear", "llama3"),
        rotary_rows=True,
    ),
    Family("qwen2", "qwen2", _model(), (*_layer(), _FFN_NORM, *_QWEN2_BIASES)),
    Family(
        "qwen3",
        "qwen3",
        _model(),
        (*_layer(q_norm="none"), _FFN_NORM),
        {"head_dim": 128},
    ),
    Family(
        "smollm3",
        "smollm3",
        _model(),
        (*_layer("rotary_q", "rotary_k"), _FFN_NORM, *_LLAMA_BIASES),
        {
            "vocab_size": 128_256,
            "hidden_size": 2048,
            "intermediate_size": 11_008,
            "num_hidden_layers": 36,
            "num_attention_heads": 16,
            "num_key_value_heads": 4,
            "max_position_embeddings": 32_768,
            "rope_theta": 2_000_000.0,
            "tie_word_embeddings": True,
        },
        rotary_rows=True,
        unrotated_period=4,
    ),
    Family(
        "granite",
        "granite",
        _model(),
        (*_layer("rotary_q", "rotary_k"), _FFN_NORM, *_LLAMA_BIASES),
        rotary_rows=True,
        factors=True,
    ),
    # Granite 4's small models have the type of its hybrids, and nothing but attention.
    Family(
        "granite",
        "granitemoehybrid",
        _model(),
        (
            *(row for row in _layer("rotary_q", "rotary_k") if "ffn_" not in row.target),
            _FFN_NORM,
            *(row for row in _LLAMA_BIASES if "ffn_" not in row.target),
            Row("shared_mlp.input_linear.weight", "ffn_gate.weight", ("ff", "embd"), part=(0, 2)),
            Row("shared_mlp.input_linear.weight", "ffn_up.weight", ("ff", "embd"), part=(1, 2)),
            Row("shared_mlp.output_linear.weight", "ffn_down.weight", ("embd", "ff")),
        ),
        rotary_rows=True,
        rotary_if_said=True,
        n_ff="shared_intermediate_size",
        factors=True,
        attention_alone=True,
    ),
    Family("olmo2", "olmo2", _model(), _OLMO_LAYER, _OLMO_DEFAULTS),
    Family(
        "olmo2",
        "olmo3",
        _model(),
        _OLMO_LAYER,
        {**_OLMO_DEFAULTS, "sliding_window": 4096, "rope_theta": 500_000.0},
        window_pattern=4,
        writes_pattern=True,
        rope_scalings=("default", "yarn"),
        local_rope_base="rope_theta",
    ),
    Family(
        "mistral3",
        "ministral3",
        _model(),
        (*_layer("rotary_q", "rotary_k"), _FFN_NORM),
        {
            "vocab_size": 131_072,
            "hidden_size": 4096,
            "intermediate_size": 14_336,
            "num_hidden_layers": 34,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "max_position_embeddings": 262_144,
            "rms_norm_eps": 1e-5,
        },
        rotary_rows=True,
        rope_scalings=("yarn",),
        attention_temperature=True,
        never=("sliding_window",),
    ),
    Family(
        "gemma",
        "gemma",
        _model("plus_one"),
        (
            *_layer(norm="plus_one"),
            Row(_FFN_NORM.source, _FFN_NORM.target, ("embd",), "plus_one"),
        ),
        {"head_dim": 256, "tie_word_embeddings": True, "max_position_embeddings": 8192},
        # Gemma's first configs say gelu and mean the other (transformers does too).
        activations=(*_GELU, "gelu"),
        untied_output=False,
    ),
    Family(
        "gemma2",
        "gemma2",
        _model("plus_one"),
        (*_layer(q="query_scale", norm="plus_one"), *_SANDWICH_NORMS),
        {
            "head_dim": 256,
            "num_key_value_heads": 4,
            "tie_word_embeddings": True,
            "max_position_embeddings": 8192,
            "query_pre_attn_scalar": 256,
            "sliding_window": 4096,
            "attn_logit_softcapping": 50.0,
            "final_logit_softcapping": 30.0,
        },
        activations=_GELU,
        activation_key="hidden_activation",
        window_pattern=2,
        softcaps=True,
        untied_output=False,
    ),
    Family(
        "gemma3",
        "gemma3_text",
        _model("plus_one"),
        (*_layer(norm="plus_one", q_norm="plus_one_query_scale"), *_SANDWICH_NORMS),
        _GEMMA3_DEFAULTS,
        activations=_GELU,
        activation_key="hidden_activation",
        window_pattern=6,
        local_rope_base="rope_local_base_freq",
    ),
    Family(
        "gemma4",
        "gemma4_text",
        (
            *_model()[:2],
            Row(
                "model.embed_tokens_per_layer.weight",
                "per_layer_token_embd.weight",
                ("vocab", "layers"),
            ),
            Row(
                "model.per_layer_model_projection.weight",
                "per_layer_model_proj.weight",
                ("layers", "embd"),
            ),
            Row("model.per_layer_projection_norm.weight", "per_layer_proj_norm.weight", ("layer",)),
            _model()[2],
        ),
        (
            *_of("attention", *_layer(q_norm="none")[2:4]),
            *_layer()[:2],
            *_layer()[4:],
            Row("self_attn.q_norm.weight", "attn_q_norm.weight", ("head",)),
            *_of("attention", Row("self_attn.k_norm.weight", "attn_k_norm.weight", ("head",))),
            _gemma4_norm("post_attention_layernorm", "post_attention_norm"),
            _gemma4_norm("pre_feedforward_layernorm", "ffn_norm"),
            _gemma4_norm("post_feedforward_layernorm", "post_ffw_norm"),
            Row("per_layer_input_gate.weight", "inp_gate.weight", ("layer", "embd")),
            Row("per_layer_projection.weight", "proj.weight", ("embd", "layer")),
            _gemma4_norm("post_per_layer_input_norm", "post_norm"),
            Row("layer_scalar", "layer_output_scale.weight", ("one",)),
        ),
        {
            "vocab_size": 262_144,
            "hidden_size": 2304,
            "intermediate_size": 9216,
            "num_hidden_layers": 30,
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
            "head_dim": 256,
            "global_head_dim": 512,
            "max_position_embeddings": 131_072,
            "tie_word_embeddings": True,
            "sliding_window": 512,
            "num_kv_shared_layers": 0,
            "rope_local_base_freq": 10_000.0,
            "vocab_size_per_layer_input": 262_144,
            "hidden_size_per_layer_input": 256,
            "rope_parameters": {
                "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
                "full_attention": {
                    "rope_type": "proportional",
                    "partial_rotary_factor": 0.25,
                    "rope_theta": 1_000_000.0,
                },
            },
        },
        activations=_GELU,
        activation_key="hidden_activation",
        window_pattern=6,
        rope_scalings=("proportional",),
        local_rope_base="rope_local_base_freq",
        layered=True,
        bpe=True,
    ),
    # llama.cpp counts the modules of sentence-transformers: the model is 0, pooling 1.
    Family(
        "gemma-embedding",
        "gemma3_text",
        (
            *_model("plus_one")[:2],
            Row("dense_2.weight", "dense_2.weight", ("wide", "embd")),
            Row("dense_3.weight", "dense_3.weight", ("embedding", "wide")),
        ),
        (*_layer(norm="plus_one", q_norm="plus_one_query_scale"), *_SANDWICH_NORMS),
        _GEMMA3_DEFAULTS,
        activations=_GELU,
        activation_key="hidden_activation",
        window_pattern=6,
        local_rope_base="rope_local_base_freq",
        untied_output=False,
        embeds=True,
    ),
    _BERT,
    # Its positions are counted from one behind the padding token's number on, by a table that has
    # rows for what is never asked for.
    replace(
        _BERT,
        model_type="xlm-roberta",
        model=(*_bert_model("after_padding"),),
        defaults={**_BERT.defaults, "pad_token_id": 1},
        ignored=(*_BERT.ignored, "lm_head.", "classifier."),
    ),
    # llama.cpp has no such architecture: its layers are Gemma's, its numbers Gemma 2's. The
    # config's window belongs to no layer.
    Family(
        "vaultgemma",
        "vaultgemma",
        _model("plus_one"),
        (
            *_layer(q="query_scale", norm="plus_one"),
            Row("pre_feedforward_layernorm.weight", "ffn_norm.weight", ("embd",), "plus_one"),
        ),
        {
            "head_dim": 256,
            "num_key_value_heads": 4,
            "tie_word_embeddings": True,
            "max_position_embeddings": 8192,
            "query_pre_attn_scalar": 256,
            "attn_logit_softcapping": 50.0,
            "final_logit_softcapping": 30.0,
        },
        activations=_GELU,
        activation_key="hidden_activation",
        softcaps=True,
        untied_output=False,
    ),
    # Nobody else has a GGUF of it: docs/gguf-recurrentgemma.md.
    Family(
        "recurrentgemma",
        "recurrent_gemma",
        (
            Row("model.embed_tokens.weight", "token_embd.weight", ("vocab", "embd")),
            Row("model.final_norm.weight", "output_norm.weight", ("embd",), "plus_one"),
            Row("lm_head.weight", "output.weight", ("vocab", "embd")),
        ),
        (
            Row("temporal_pre_norm.weight", "attn_norm.weight", ("embd",), "plus_one"),
            *_of(
                "attention",
                Row("temporal_block.q_proj.weight", "attn_q.weight", ("q", "embd")),
                Row("temporal_block.k_proj.weight", "attn_k.weight", ("kv", "embd")),
                Row("temporal_block.v_proj.weight", "attn_v.weight", ("kv", "embd")),
                *_with_bias("temporal_block.o_proj", "attn_output", ("embd", "q")),
            ),
            *_of(
                "recurrent",
                *_with_bias("temporal_block.linear_y", "rec_gate", ("channels", "embd")),
                *_with_bias("temporal_block.linear_x", "rec_in", ("channels", "embd")),
                *_with_bias("temporal_block.linear_out", "rec_out", ("embd", "channels")),
                Row(
                    "temporal_block.conv_1d.weight", "rec_conv.weight", ("channels", "taps"), "taps"
                ),
                Row("temporal_block.conv_1d.bias", "rec_conv.bias", ("channels",)),
                *_gate("input_gate", "rec_input_gate"),
                *_gate("recurrent_gate", "rec_recurrence_gate"),
                Row(
                    "temporal_block.rg_lru.recurrent_param",
                    "rec_decay.weight",
                    ("channels",),
                    "decay",
                ),
            ),
            Row("channel_pre_norm.weight", "ffn_norm.weight", ("embd",), "plus_one"),
            *_with_bias("mlp_block.gate_proj", "ffn_gate", ("ff", "embd")),
            *_with_bias("mlp_block.up_proj", "ffn_up", ("ff", "embd")),
            *_with_bias("mlp_block.down_proj", "ffn_down", ("embd", "ff")),
        ),
        {
            "vocab_size": 256_000,
            "hidden_size": 2560,
            "intermediate_size": 15_360,
            "num_hidden_layers": 26,
            "num_attention_heads": 10,
            "max_position_embeddings": 8192,
            "tie_word_embeddings": True,
            "attention_window_size": 2048,
            "conv1d_width": 4,
            "logits_soft_cap": 30.0,
            "block_types": ("recurrent", "recurrent", "attention"),
            "partial_rotary_factor": 0.5,
        },
        activations=_GELU,
        activation_key="hidden_activation",
        untied_output=False,
        rotary_share=0.5,
        recurrence="rg_lru",
    ),
    Family(
        "lfm2",
        "lfm2",
        (
            Row("model.embed_tokens.weight", "token_embd.weight", ("vocab", "embd")),
            # The name is llama.cpp's; it is the last norm.
            Row("model.embedding_norm.weight", "token_embd_norm.weight", ("embd",)),
            Row("lm_head.weight", "output.weight", ("vocab", "embd")),
        ),
        (
            Row("operator_norm.weight", "attn_norm.weight", ("embd",)),
            *_of(
                "attention",
                Row("self_attn.q_proj.weight", "attn_q.weight", ("q", "embd")),
                Row("self_attn.k_proj.weight", "attn_k.weight", ("kv", "embd")),
                Row("self_attn.v_proj.weight", "attn_v.weight", ("kv", "embd")),
                Row("self_attn.q_layernorm.weight", "attn_q_norm.weight", ("head",)),
                Row("self_attn.k_layernorm.weight", "attn_k_norm.weight", ("head",)),
                Row("self_attn.out_proj.weight", "attn_output.weight", ("embd", "q")),
            ),
            *_of(
                "recurrent",
                Row("conv.in_proj.weight", "shortconv.in_proj.weight", ("gates_and_in", "embd")),
                Row("conv.conv.weight", "shortconv.conv.weight", ("channels", "taps"), "taps"),
                Row("conv.out_proj.weight", "shortconv.out_proj.weight", ("embd", "channels")),
            ),
            Row("ffn_norm.weight", "ffn_norm.weight", ("embd",)),
            Row("feed_forward.w1.weight", "ffn_gate.weight", ("ff", "embd")),
            Row("feed_forward.w3.weight", "ffn_up.weight", ("ff", "embd")),
            Row("feed_forward.w2.weight", "ffn_down.weight", ("embd", "ff")),
        ),
        {
            "vocab_size": 65_536,
            "hidden_size": 2560,
            "intermediate_size": 12_288,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "max_position_embeddings": 128_000,
            "tie_word_embeddings": True,
            "rms_norm_eps": 1e-5,
            "rope_theta": 1_000_000.0,
            "conv1d_width": 3,
            "block_auto_adjust_ff_dim": True,
            "block_ffn_dim_multiplier": 1.0,
            "block_multiple_of": 256,
        },
        recurrence="short_convolution",
        layer_kinds="layer_types",
        aliases={
            "norm_eps": "rms_norm_eps",
            "conv_L_cache": "conv1d_width",
            "tie_embedding": "tie_word_embeddings",
            "block_ff_dim": "intermediate_size",
        },
    ),
    Family(
        "qwen35",
        "qwen3_5_text",
        _model("plus_one"),
        (
            Row("input_layernorm.weight", "attn_norm.weight", ("embd",), "plus_one"),
            *_of(
                "attention",
                # Each head's query, and behind it the gate of what the head puts out.
                Row("self_attn.q_proj.weight", "attn_q.weight", ("gated_q", "embd")),
                Row("self_attn.k_proj.weight", "attn_k.weight", ("kv", "embd")),
                Row("self_attn.v_proj.weight", "attn_v.weight", ("kv", "embd")),
                Row("self_attn.q_norm.weight", "attn_q_norm.weight", ("head",), "plus_one"),
                Row("self_attn.k_norm.weight", "attn_k_norm.weight", ("head",), "plus_one"),
                Row("self_attn.o_proj.weight", "attn_output.weight", ("embd", "q")),
            ),
            *_of(
                "recurrent",
                Row(
                    "linear_attn.in_proj_qkv.weight",
                    "attn_qkv.weight",
                    ("channels", "embd"),
                    "value_rows_behind",
                ),
                Row(
                    "linear_attn.in_proj_z.weight",
                    "attn_gate.weight",
                    ("values", "embd"),
                    "value_rows",
                ),
                Row(
                    "linear_attn.in_proj_b.weight",
                    "ssm_beta.weight",
                    ("heads", "embd"),
                    "value_heads",
                ),
                Row(
                    "linear_attn.in_proj_a.weight",
                    "ssm_alpha.weight",
                    ("heads", "embd"),
                    "value_heads",
                ),
                Row(
                    "linear_attn.conv1d.weight",
                    "ssm_conv1d.weight",
                    ("channels", "taps"),
                    "value_taps_behind",
                ),
                Row("linear_attn.dt_bias", "ssm_dt.bias", ("heads",), "value_heads"),
                Row("linear_attn.A_log", "ssm_a", ("heads",), "value_rates"),
                Row("linear_attn.norm.weight", "ssm_norm.weight", ("state",)),
                Row(
                    "linear_attn.out_proj.weight",
                    "ssm_out.weight",
                    ("embd", "values"),
                    "value_columns",
                ),
            ),
            Row(
                "post_attention_layernorm.weight",
                "post_attention_norm.weight",
                ("embd",),
                "plus_one",
            ),
            Row("mlp.gate_proj.weight", "ffn_gate.weight", ("ff", "embd")),
            Row("mlp.up_proj.weight", "ffn_up.weight", ("ff", "embd")),
            Row("mlp.down_proj.weight", "ffn_down.weight", ("embd", "ff")),
        ),
        {
            "vocab_size": 248_320,
            "hidden_size": 4096,
            "intermediate_size": 12_288,
            "num_hidden_layers": 32,
            "num_attention_heads": 16,
            "num_key_value_heads": 4,
            "head_dim": 256,
            "max_position_embeddings": 32_768,
            "rope_theta": 10_000.0,
            "linear_conv_kernel_dim": 4,
            "conv1d_width": 4,
            "linear_key_head_dim": 128,
            "linear_value_head_dim": 128,
            "linear_num_key_heads": 16,
            "linear_num_value_heads": 32,
        },
        ignored=("mtp.",),  # layers that guess more tokens ahead
        rotary_share=0.25,
        recurrence="delta_rule",
        layer_kinds="layer_types",
        aliases={"linear_conv_kernel_dim": "conv1d_width"},
    ),
)


_ATTENTION: Memory = "attention"


# What configs call it.
_MEMORIES: Mapping[str, Memory] = {
    "recurrent": "recurrent",
    "attention": "attention",
    "conv": "recurrent",
    "full_attention": "attention",
    "linear_attention": "recurrent",
}


def memories(family: Family, config: Mapping[str, Any], n_layer: int) -> tuple[Memory, ...]:
    """What each layer remembers; empty where the config's list makes no sense."""
    if not family.recurs:
        return n_layer * (_ATTENTION,)
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
        kinds = [
            "full_attention" if attend is None or i in attend else "conv" for i in range(n_layer)
        ]
    if not isinstance(kinds, list | tuple):
        return ()
    if not kinds or any(str(kind) not in _MEMORIES for kind in kinds):
        return ()
    return tuple(_MEMORIES[str(kinds[i % len(kinds)])] for i in range(n_layer))


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
    if factor is not None:
        width = -(-int(factor * width) // step) * step
    return width


# A vision model around a family's language model, whose type its own config may leave out.
MULTIMODAL = {
    "gemma3": "gemma3_text",
    "shieldgemma2": "gemma3_text",
    "paligemma": "gemma",
    "idefics3": "llama",
    "smolvlm": "llama",
    "mistral3": "ministral3",
    "gemma4": "gemma4_text",
    "qwen3_5": "qwen3_5_text",
}
# Those of them whose head is their own, unless the config ties it.
UNTIED = ("idefics3", "smolvlm", "qwen3_5")
SEES_PROMPTS_WHOLE = ("paligemma",)  # both ways, and only where there is a picture


def family_with(model_type: str, config: Mapping[str, Any]) -> Family | None:
    """The family of a language model's config: of those of one type, the one that sees both ways
    if the config says so."""
    found = [
        family
        for family in FAMILIES
        if family.model_type == model_type and not (family.attention_alone and _has_more(config))
    ]
    both_ways = bool(config.get("use_bidirectional_attention"))
    return next((f for f in found if len(found) == 1 or f.embeds == both_ways), None)


def _has_more(config: Mapping[str, Any]) -> bool:
    """Experts, or layers that remember a state; by default there are both."""
    kinds = config.get("layer_types") or ("mamba",)
    attends = all(kind in ("attention", "full_attention") for kind in kinds)
    return config.get("num_local_experts") != 0 or not attends
