"""The rows of the Gemma family in the table of families.py, which says what a row is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .family import Family, Row
from .layers import N_STREAMS
from .rows import (
    FFN_NORM,
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

GEMMAS: tuple[Family, ...] = (
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
