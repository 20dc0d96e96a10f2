"""The families that are converted, as tables: which tensor of a checkpoint becomes
which of the GGUF, of which shape, and what llama.cpp's conventions change in it;
and what a config means where it leaves a value out (transformers' defaults).

Owns names and defaults, and computes nothing: tensors.py does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .family import Change, Family, Row
from .layers import N_STREAMS
from .rows import (
    FFN_NORM,
    LLAMA_BIASES,
    QWEN2_BIASES,
    SANDWICH_NORMS,
    gate_rows,
    layer_rows,
    model_rows,
    of_layers_with,
    rows_with_bias,
)

_GELU = ("gelu_pytorch_tanh",)


def _gemma4_norm(source: str, target: str) -> Row:
    return Row(f"{source}.weight", f"{target}.weight", ("embd",))


def _gemma4_projection(at: str) -> tuple[Row, Row]:
    norm = f"{at}per_layer_projection_norm.weight"
    return (
        Row(
            f"{at}per_layer_model_projection.weight",
            "per_layer_model_proj.weight",
            ("layers", "embd"),
        ),
        Row(norm, "per_layer_proj_norm.weight", ("layer",)),
    )


def _gemma4_layer(gate: str = "") -> tuple[Row, ...]:
    """`gate` is what the names of the tensors begin with that a layer's embeddings pass through."""
    return (
        *of_layers_with("attention", *layer_rows(q_norm="none")[2:4]),
        *layer_rows()[:2],
        *layer_rows()[4:],
        Row("self_attn.q_norm.weight", "attn_q_norm.weight", ("head",)),
        *of_layers_with(
            "attention", Row("self_attn.k_norm.weight", "attn_k_norm.weight", ("head",))
        ),
        _gemma4_norm("post_attention_layernorm", "post_attention_norm"),
        _gemma4_norm("pre_feedforward_layernorm", "ffn_norm"),
        _gemma4_norm("post_feedforward_layernorm", "post_ffw_norm"),
        Row(f"{gate}per_layer_input_gate.weight", "inp_gate.weight", ("layer", "embd")),
        Row(f"{gate}per_layer_projection.weight", "proj.weight", ("embd", "layer")),
        _gemma4_norm(f"{gate}post_per_layer_input_norm", "post_norm"),
        Row("layer_scalar", "layer_output_scale.weight", ("one",)),
    )


def _of_other_streams(source: str, target: str) -> tuple[Row, ...]:
    """The matrices of Gemma 3n's residuals but the first, which llama.cpp has in one tensor."""
    return tuple(
        Row(f"model.{source}.{i}.weight", f"{target}.weight", ("embd", "embd"))
        for i in range(N_STREAMS - 1)
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

# Gemma 3's, whose norms have other names here.
_T5GEMMA2_LAYER = (
    Row("pre_self_attn_layernorm.weight", "attn_norm.weight", ("embd",), "plus_one"),
    *layer_rows(norm="plus_one", q_norm="plus_one_query_scale")[1:],
    Row("post_self_attn_layernorm.weight", "post_attention_norm.weight", ("embd",), "plus_one"),
    *SANDWICH_NORMS[1:],
)

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
    Family(
        "gemma",
        "gemma",
        model_rows("plus_one"),
        (
            *layer_rows(norm="plus_one"),
            Row(FFN_NORM.source, FFN_NORM.target, ("embd",), "plus_one"),
        ),
        {"head_dim": 256, "tie_word_embeddings": True, "max_position_embeddings": 8192},
        # Gemma's first configs say gelu and mean the other (transformers does too).
        activations=(*_GELU, "gelu"),
        untied_output=False,
    ),
    Family(
        "gemma2",
        "gemma2",
        model_rows("plus_one"),
        (*layer_rows(q="query_scale", norm="plus_one"), *SANDWICH_NORMS),
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
        model_rows("plus_one"),
        (*layer_rows(norm="plus_one", q_norm="plus_one_query_scale"), *SANDWICH_NORMS),
        _GEMMA3_DEFAULTS,
        activations=_GELU,
        activation_key="hidden_activation",
        window_pattern=6,
        local_rope_base="rope_local_base_freq",
    ),
    Family(
        "gemma3n",
        "gemma3n_text",
        (
            *model_rows()[:2],
            Row(
                "model.embed_tokens_per_layer.weight",
                "per_layer_token_embd.weight",
                ("vocab", "layers"),
                "padded",
            ),
            *_gemma4_projection("model."),
            *_of_other_streams("altup_projections", "altup_proj"),
            *_of_other_streams("altup_unembed_projections", "altup_unembd_proj"),
            model_rows()[2],
        ),
        (
            # As Gemma 4's, but for the factor of a layer.
            *(row for row in _gemma4_layer() if row.source != "layer_scalar"),
            Row("laurel.linear_left.weight", "laurel_l.weight", ("rank", "embd")),
            Row("laurel.linear_right.weight", "laurel_r.weight", ("embd", "rank")),
            _gemma4_norm("laurel.post_laurel_norm", "laurel_post_norm"),
            _gemma4_norm("altup.router_norm", "altup_router_norm"),
            Row("altup.modality_router.weight", "altup_router.weight", ("streams", "embd")),
            Row("altup.prediction_coefs.weight", "altup_predict_coef.weight", ("pairs", "streams")),
            Row(
                "altup.correction_coefs.weight", "altup_correct_coef.weight", ("streams", "streams")
            ),
            Row("altup.correct_output_scale", "altup_correct_scale.weight", ("embd",)),
        ),
        {
            "vocab_size": 262_400,
            "hidden_size": 2048,
            "intermediate_size": 16_384,
            "num_hidden_layers": 35,
            "num_attention_heads": 8,
            "num_key_value_heads": 2,
            "head_dim": 256,
            "max_position_embeddings": 32_768,
            "tie_word_embeddings": True,
            "sliding_window": 512,
            "final_logit_softcapping": 30.0,
            "num_kv_shared_layers": 15,
            "rope_theta": 1_000_000.0,
            "rope_local_base_freq": 10_000.0,
            "vocab_size_per_layer_input": 262_144,
            "hidden_size_per_layer_input": 256,
            "altup_num_inputs": 4,
            "altup_active_idx": 0,
            "altup_correct_scale": True,
            "laurel_rank": 64,
        },
        activations=_GELU,
        activation_key="hidden_activation",
        window_pattern=5,
        rope_scalings=("default",),
        local_rope_base="rope_local_base_freq",
        layered=True,
        streams=True,
    ),
    Family(
        "gemma4",
        "gemma4_text",
        (
            *model_rows()[:2],
            Row(
                "model.embed_tokens_per_layer.weight",
                "per_layer_token_embd.weight",
                ("vocab", "layers"),
            ),
            *_gemma4_projection("model."),
            model_rows()[2],
        ),
        _gemma4_layer(),
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
            "attention_k_eq_v": False,
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
        last_sees_all=True,
        bpe=True,
    ),
    # llama.cpp counts the modules of sentence-transformers: the model is 0, pooling 1.
    Family(
        "gemma-embedding",
        "gemma3_text",
        (
            *model_rows("plus_one")[:2],
            Row("dense_2.weight", "dense_2.weight", ("wide", "embd")),
            Row("dense_3.weight", "dense_3.weight", ("embedding", "wide")),
        ),
        (*layer_rows(norm="plus_one", q_norm="plus_one_query_scale"), *SANDWICH_NORMS),
        _GEMMA3_DEFAULTS,
        activations=_GELU,
        activation_key="hidden_activation",
        window_pattern=6,
        local_rope_base="rope_local_base_freq",
        untied_output=False,
        embeds=True,
    ),
    # As llama.cpp has it since October 2026. Its layers' embeddings are made of a token's own.
    Family(
        "gemma-embedding2",
        "embedding_gemma2_text",
        (
            *model_rows()[:2],
            *_gemma4_projection("model.ple."),
            Row("model.embedding_projection.weight", "output.weight", ("embedding", "embd")),
        ),
        _gemma4_layer("ple_block."),
        {
            "vocab_size": 262_144,
            "hidden_size": 512,
            "intermediate_size": 2048,
            "num_hidden_layers": 24,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "num_global_key_value_heads": 1,
            "head_dim": 256,
            "global_head_dim": 512,
            "max_position_embeddings": 262_144,
            "tie_word_embeddings": True,
            "sliding_window": 512,
            "num_kv_shared_layers": 0,
            "rope_local_base_freq": 10_000.0,
            "hidden_size_per_layer_input": 512,
            "embedding_dim": 768,
            "rope_parameters": {
                "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
                "full_attention": {"rope_type": "default", "rope_theta": 1_000_000.0},
            },
        },
        activations=_GELU,
        activation_key="hidden_activation",
        window_pattern=6,
        window_radius=True,
        rope_scalings=("default",),
        local_rope_base="rope_local_base_freq",
        untied_output=False,
        never=("attention_bias",),
        layered=True,
        last_sees_all=True,
        bpe=True,
        embeds=True,
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
    # llama.cpp has no such architecture: its layers are Gemma's, its numbers Gemma 2's. The
    # config's window belongs to no layer.
    Family(
        "vaultgemma",
        "vaultgemma",
        model_rows("plus_one"),
        (
            *layer_rows(q="query_scale", norm="plus_one"),
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
            *of_layers_with(
                "attention",
                Row("temporal_block.q_proj.weight", "attn_q.weight", ("q", "embd")),
                Row("temporal_block.k_proj.weight", "attn_k.weight", ("kv", "embd")),
                Row("temporal_block.v_proj.weight", "attn_v.weight", ("kv", "embd")),
                *rows_with_bias("temporal_block.o_proj", "attn_output", ("embd", "q")),
            ),
            *of_layers_with(
                "recurrent",
                *rows_with_bias("temporal_block.linear_y", "rec_gate", ("channels", "embd")),
                *rows_with_bias("temporal_block.linear_x", "rec_in", ("channels", "embd")),
                *rows_with_bias("temporal_block.linear_out", "rec_out", ("embd", "channels")),
                Row(
                    "temporal_block.conv_1d.weight", "rec_conv.weight", ("channels", "taps"), "taps"
                ),
                Row("temporal_block.conv_1d.bias", "rec_conv.bias", ("channels",)),
                *gate_rows("input_gate", "rec_input_gate"),
                *gate_rows("recurrent_gate", "rec_recurrence_gate"),
                Row(
                    "temporal_block.rg_lru.recurrent_param",
                    "rec_decay.weight",
                    ("channels",),
                    "decay",
                ),
            ),
            Row("channel_pre_norm.weight", "ffn_norm.weight", ("embd",), "plus_one"),
            *rows_with_bias("mlp_block.gate_proj", "ffn_gate", ("ff", "embd")),
            *rows_with_bias("mlp_block.up_proj", "ffn_up", ("ff", "embd")),
            *rows_with_bias("mlp_block.down_proj", "ffn_down", ("embd", "ff")),
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
    # Nobody else has a GGUF of it: docs/gguf-t5gemma2.md.
    Family(
        "t5gemma2",
        "t5gemma2_decoder",
        (
            *model_rows("plus_one")[:1],
            Row("model.encoder.norm.weight", "enc.output_norm.weight", ("embd",), "plus_one"),
            *model_rows("plus_one")[1:],
        ),
        _T5GEMMA2_LAYER,
        {**_GEMMA3_DEFAULTS, "bos_token_id": 2},
        activations=_GELU,
        activation_key="hidden_activation",
        window_pattern=6,
        local_rope_base="rope_local_base_freq",
        untied_output=False,
        # In place of the embedding of what stands behind a picture.
        ignored=("model.embed_tokens.eoi_embedding",),
        encoder=_T5GEMMA2_LAYER,
    ),
)


# A vision model around a family's language model, whose type its own config may leave out.
MULTIMODAL = {
    "gemma3": "gemma3_text",
    "shieldgemma2": "gemma3_text",
    "paligemma": "gemma",
    "idefics3": "llama",
    "smolvlm": "llama",
    "mistral3": "ministral3",
    "gemma3n": "gemma3n_text",
    "gemma4": "gemma4_text",
    "embedding_gemma2": "embedding_gemma2_text",
    "qwen3_5": "qwen3_5_text",
}
# An encoder and a decoder, each with a config of its own in this one; the decoder's has its type.
ENCODER_DECODERS = {"t5gemma2": "t5gemma2_decoder"}
# What the two halves have in common; with as many layers, too.
_ALIKE = (
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "head_dim", "query_pre_attn_scalar", "sliding_window", "rms_norm_eps",
    "hidden_activation", "layer_types", "sliding_window_pattern", "rope_parameters", "rope_scaling",
    "rope_theta", "rope_local_base_freq", "attention_bias", "attn_logit_softcapping",
)  # fmt: skip
# Those of them whose head is their own, unless the config ties it.
UNTIED = ("idefics3", "smolvlm", "qwen3_5")
SEES_PROMPTS_WHOLE = ("paligemma",)  # both ways, and only where there is a picture


def decoder_of(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The config of the decoder of an encoder and a decoder, whose layers are alike; None where
    there is none. Raises ValueError with the key by which the two differ."""
    encoder, decoder = config.get("encoder"), config.get("decoder")
    encoder = encoder.get("text_config") if isinstance(encoder, Mapping) else None
    if not isinstance(encoder, Mapping) or not isinstance(decoder, Mapping):
        return None
    model_type = decoder.get("model_type") or ENCODER_DECODERS[str(config.get("model_type"))]
    family = next((f for f in FAMILIES if f.model_type == model_type), None)
    defaults = family.defaults if family is not None else {}
    for key in _ALIKE:
        own, other = (half.get(key) or defaults.get(key) for half in (decoder, encoder))
        if own != other:
            raise ValueError(key)
    tied = config.get("tie_word_embeddings", True)
    return {**decoder, "model_type": model_type, "tie_word_embeddings": tied}


def family_with(model_type: str, config: Mapping[str, Any]) -> Family | None:
    """The family of a language model's config: of those of one type, the one that sees both ways
    if the config says so."""
    found = [
        family
        for family in FAMILIES
        if family.model_type == model_type
        and (not family.mixed_type or _has_its_parts(family, config))
    ]
    both_ways = bool(config.get("use_bidirectional_attention"))
    return next((f for f in found if len(found) == 1 or f.embeds == both_ways), None)


def _has_its_parts(family: Family, config: Mapping[str, Any]) -> bool:
    """No experts, and layers that remember a state where the family has them; by default there are
    both."""
    kinds = config.get("layer_types")
    kinds = kinds if isinstance(kinds, list) and kinds else ("mamba",)
    attends = all(kind in ("attention", "full_attention") for kind in kinds)
    return config.get("num_local_experts") == 0 and attends != family.recurs
