"""Rows that several families have: the tensors of a transformer's layer and of its two
ends, as transformers and llama.cpp name them.
"""

from __future__ import annotations

from dataclasses import replace

from .family import Change, Dimension, Memory, Row


def model_rows(norm: Change = "none") -> tuple[Row, ...]:
    return (
        Row("model.embed_tokens.weight", "token_embd.weight", ("vocab", "embd")),
        Row("model.norm.weight", "output_norm.weight", ("embd",), norm),
        Row("lm_head.weight", "output.weight", ("vocab", "embd")),
    )


def layer_rows(
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


def gate_rows(source: str, target: str) -> tuple[Row, Row]:
    at = f"temporal_block.rg_lru.{source}"
    return (
        Row(f"{at}_weight", f"{target}.weight", ("channels", "block"), "blocks"),
        Row(f"{at}_bias", f"{target}.bias", ("channels",), "block_biases"),
    )


def rows_with_bias(source: str, target: str, shape: tuple[Dimension, ...]) -> tuple[Row, Row]:
    return (
        Row(f"{source}.weight", f"{target}.weight", shape),
        Row(f"{source}.bias", f"{target}.bias", shape[:1]),
    )


LLAMA_BIASES = (
    Row("self_attn.q_proj.bias", "attn_q.bias", ("q",), "rotary_q", "attention_bias"),
    Row("self_attn.k_proj.bias", "attn_k.bias", ("kv",), "rotary_k", "attention_bias"),
    Row("self_attn.v_proj.bias", "attn_v.bias", ("kv",), promise="attention_bias"),
    Row("self_attn.o_proj.bias", "attn_output.bias", ("embd",), promise="attention_bias"),
    Row("mlp.gate_proj.bias", "ffn_gate.bias", ("ff",), promise="mlp_bias"),
    Row("mlp.up_proj.bias", "ffn_up.bias", ("ff",), promise="mlp_bias"),
    Row("mlp.down_proj.bias", "ffn_down.bias", ("embd",), promise="mlp_bias"),
)
QWEN2_BIASES = (
    Row("self_attn.q_proj.bias", "attn_q.bias", ("q",)),
    Row("self_attn.k_proj.bias", "attn_k.bias", ("kv",)),
    Row("self_attn.v_proj.bias", "attn_v.bias", ("kv",)),
)
FFN_NORM = Row("post_attention_layernorm.weight", "ffn_norm.weight", ("embd",))
# Gemma 2 and 3 call four norms by other names, and the second one is another norm.
SANDWICH_NORMS = (
    Row(
        "post_attention_layernorm.weight",
        "post_attention_norm.weight",
        ("embd",),
        "plus_one",
    ),
    Row("pre_feedforward_layernorm.weight", "ffn_norm.weight", ("embd",), "plus_one"),
    Row("post_feedforward_layernorm.weight", "post_ffw_norm.weight", ("embd",), "plus_one"),
)


def of_layers_with(memory: Memory, *rows: Row) -> tuple[Row, ...]:
    return tuple(replace(row, memory=memory) for row in rows)
