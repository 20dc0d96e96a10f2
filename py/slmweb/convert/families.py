"""The families that are converted, as tables: which tensor of a checkpoint becomes
which of the GGUF, of which shape, and what llama.cpp's conventions change in it;
and what a config means where it leaves a value out (transformers' defaults).

Owns names and defaults, and computes nothing: tensors.py does. Gemma's are in gemmas.py; which
family a config is of is said by recognize.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .family import Change, Family, Row
from .gemmas import GEMMAS
from .rows import (
    FFN_NORM,
    LLAMA_BIASES,
    QWEN2_BIASES,
    layer_rows,
    model_rows,
    of_layers_with,
    rows_with_bias,
)


def _bert_model(positions: Change = "none") -> tuple[Row, ...]:
    at = "embeddings."
    return (
        Row(f"{at}word_embeddings.weight", "token_embd.weight", ("vocab", "embd")),
        Row(f"{at}position_embeddings.weight", "position_embd.weight", ("ctx", "embd"), positions),
        Row(f"{at}token_type_embeddings.weight", "token_types.weight", ("types", "embd")),
        *rows_with_bias(f"{at}LayerNorm", "token_embd_norm", ("embd",)),
    )


# Of Granite 4's models without experts, whose gated unit's two matrices are one tensor.
_GRANITE4_NORM, *_GRANITE4_HEADS = (
    row for row in layer_rows("rotary_q", "rotary_k") if "ffn_" not in row.target
)

_GRANITE4_ATTENTION = (
    *_GRANITE4_HEADS,
    *(row for row in LLAMA_BIASES if "ffn_" not in row.target),
)

_GRANITE4_FEED_FORWARD = (
    FFN_NORM,
    Row("shared_mlp.input_linear.weight", "ffn_gate.weight", ("ff", "embd"), part=(0, 2)),
    Row("shared_mlp.input_linear.weight", "ffn_up.weight", ("ff", "embd"), part=(1, 2)),
    Row("shared_mlp.output_linear.weight", "ffn_down.weight", ("embd", "ff")),
)

_BERT = Family(
    "bert",
    "bert",
    _bert_model(),
    (
        *rows_with_bias("attention.self.query", "attn_q", ("q", "embd")),
        *rows_with_bias("attention.self.key", "attn_k", ("kv", "embd")),
        *rows_with_bias("attention.self.value", "attn_v", ("kv", "embd")),
        *rows_with_bias("attention.output.dense", "attn_output", ("embd", "q")),
        *rows_with_bias("attention.output.LayerNorm", "attn_output_norm", ("embd",)),
        *rows_with_bias("intermediate.dense", "ffn_up", ("ff", "embd")),
        *rows_with_bias("output.dense", "ffn_down", ("embd", "ff")),
        *rows_with_bias("output.LayerNorm", "layer_output_norm", ("embd",)),
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
    *(row for row in layer_rows() if row.target != "attn_norm.weight"),
    Row("self_attn.q_norm.weight", "attn_q_norm.weight", ("q",)),
    Row("self_attn.k_norm.weight", "attn_k_norm.weight", ("kv",)),
    Row("post_attention_layernorm.weight", "post_attention_norm.weight", ("embd",)),
    Row("post_feedforward_layernorm.weight", "post_ffw_norm.weight", ("embd",)),
)

_OLMO_DEFAULTS: Mapping[str, Any] = {"rms_norm_eps": 1e-5, "max_position_embeddings": 2048}

FAMILIES: tuple[Family, ...] = (
    Family(
        "llama",
        "llama",
        model_rows(),
        (*layer_rows("rotary_q", "rotary_k"), FFN_NORM, *LLAMA_BIASES),
        rope_scalings=("default", "linear", "llama3"),
        rotary_rows=True,
    ),
    Family("qwen2", "qwen2", model_rows(), (*layer_rows(), FFN_NORM, *QWEN2_BIASES)),
    # Phi-3 and 3.5 mini, Phi-4 mini.
    Family(
        "phi3",
        "phi3",
        model_rows(),
        (
            *(
                row
                for row in layer_rows()
                if row.target in ("attn_norm.weight", "attn_output.weight", "ffn_down.weight")
            ),
            Row("self_attn.qkv_proj.weight", "attn_qkv.weight", ("qkv", "embd")),
            Row("mlp.gate_up_proj.weight", "ffn_up.weight", ("gate_and_up", "embd")),
            FFN_NORM,
        ),
        {
            "vocab_size": 32_064,
            "hidden_size": 3072,
            "intermediate_size": 8192,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "max_position_embeddings": 4096,
            "original_max_position_embeddings": 4096,
            "rms_norm_eps": 1e-5,
        },
        windowed=True,
        rope_scalings=("default", "longrope"),
        rotary_share=None,
    ),
    Family(
        "qwen3",
        "qwen3",
        model_rows(),
        (*layer_rows(q_norm="none"), FFN_NORM),
        {"head_dim": 128},
    ),
    Family(
        "smollm3",
        "smollm3",
        model_rows(),
        (*layer_rows("rotary_q", "rotary_k"), FFN_NORM, *LLAMA_BIASES),
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
        model_rows(),
        (*layer_rows("rotary_q", "rotary_k"), FFN_NORM, *LLAMA_BIASES),
        rotary_rows=True,
        factors=True,
    ),
    # Granite 4's dense models have the type of its hybrids, and nothing but attention.
    Family(
        "granite",
        "granitemoehybrid",
        model_rows(),
        (_GRANITE4_NORM, *_GRANITE4_ATTENTION, *_GRANITE4_FEED_FORWARD),
        rotary_rows=True,
        rotary_if_said=True,
        n_ff="shared_intermediate_size",
        factors=True,
        mixed_type=True,
    ),
    Family(
        "granitehybrid",
        "granitemoehybrid",
        model_rows(),
        (
            _GRANITE4_NORM,
            *of_layers_with("attention", *_GRANITE4_ATTENTION),
            *of_layers_with(
                "recurrent",
                Row("mamba.in_proj.weight", "ssm_in.weight", ("space_in", "embd")),
                Row("mamba.conv1d.weight", "ssm_conv1d.weight", ("channels", "taps"), "taps"),
                Row("mamba.conv1d.bias", "ssm_conv1d.bias", ("channels",)),
                Row("mamba.dt_bias", "ssm_dt.bias", ("heads",)),
                Row("mamba.A_log", "ssm_a", ("heads", "one"), "rate_column"),
                Row("mamba.D", "ssm_d", ("heads", "one"), "column"),
                Row("mamba.norm.weight", "ssm_norm.weight", ("groups", "of_group"), "groups"),
                Row("mamba.out_proj.weight", "ssm_out.weight", ("embd", "values")),
            ),
            *_GRANITE4_FEED_FORWARD,
        ),
        {
            "mamba_n_heads": 128,
            "mamba_n_groups": 1,
            "mamba_d_state": 256,
            "mamba_expand": 2,
            "conv1d_width": 4,
        },
        rotary_rows=True,
        rotary_if_said=True,
        n_ff="shared_intermediate_size",
        factors=True,
        mixed_type=True,
        recurrence="state_space",
        layer_kinds="layer_types",
        never=("mamba_proj_bias",),
        aliases={"mamba_d_conv": "conv1d_width"},
    ),
    Family("olmo2", "olmo2", model_rows(), _OLMO_LAYER, _OLMO_DEFAULTS),
    Family(
        "olmo2",
        "olmo3",
        model_rows(),
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
        model_rows(),
        (*layer_rows("rotary_q", "rotary_k"), FFN_NORM),
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
    _BERT,
    # Its positions are counted from one behind the padding token's number on, by a table that has
    # rows for what is never asked for.
    replace(
        _BERT,
        model_type="xlm-roberta",
        model=_bert_model("after_padding"),
        defaults={**_BERT.defaults, "pad_token_id": 1},
        ignored=(*_BERT.ignored, "lm_head.", "classifier."),
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
            *of_layers_with(
                "attention",
                Row("self_attn.q_proj.weight", "attn_q.weight", ("q", "embd")),
                Row("self_attn.k_proj.weight", "attn_k.weight", ("kv", "embd")),
                Row("self_attn.v_proj.weight", "attn_v.weight", ("kv", "embd")),
                Row("self_attn.q_layernorm.weight", "attn_q_norm.weight", ("head",)),
                Row("self_attn.k_layernorm.weight", "attn_k_norm.weight", ("head",)),
                Row("self_attn.out_proj.weight", "attn_output.weight", ("embd", "q")),
            ),
            *of_layers_with(
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
        model_rows("plus_one"),
        (
            Row("input_layernorm.weight", "attn_norm.weight", ("embd",), "plus_one"),
            *of_layers_with(
                "attention",
                # Each head's query, and behind it the gate of what the head puts out.
                Row("self_attn.q_proj.weight", "attn_q.weight", ("gated_q", "embd")),
                Row("self_attn.k_proj.weight", "attn_k.weight", ("kv", "embd")),
                Row("self_attn.v_proj.weight", "attn_v.weight", ("kv", "embd")),
                Row("self_attn.q_norm.weight", "attn_q_norm.weight", ("head",), "plus_one"),
                Row("self_attn.k_norm.weight", "attn_k_norm.weight", ("head",), "plus_one"),
                Row("self_attn.o_proj.weight", "attn_output.weight", ("embd", "q")),
            ),
            *of_layers_with(
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
    *GEMMAS,
)
