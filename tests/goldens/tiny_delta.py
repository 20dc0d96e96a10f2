"""Qwen 3.5's part of tiny_gguf.py: llama.cpp's conventions for its recurrent layers, written a
second time and independently of the converter, which tests hold to it.
"""

from __future__ import annotations

import gguf
import numpy as np

from tests.goldens.tiny_models import F32, TinyModel


def add_hyperparameters(writer: gguf.GGUFWriter, model: TinyModel) -> None:
    writer.add_ssm_conv_kernel(model.n_taps)
    writer.add_ssm_state_size(model.state_dim)
    writer.add_ssm_group_count(model.n_key_heads)
    writer.add_ssm_time_step_rank(model.n_value_heads)
    writer.add_ssm_inner_size(model.n_value_heads * model.state_dim)
    writer.add_full_attention_interval(model.attention_period)
    writer.add_rope_dimension_count(model.head_dim // 4)
    writer.add_rope_dimension_sections([11, 11, 10, 0])


def values_of(name: str, values: F32, model: TinyModel) -> F32:
    """A tensor of the checkpoint as llama.cpp wants it."""
    part = name.removesuffix(".weight").rpartition(".")[2]
    if "linear_attn" not in name:
        return values + 1 if part.endswith("norm") else values
    n_keys = 2 * model.n_key_heads * model.state_dim
    if part == "A_log":
        return _tiled(-np.exp(values), model, 1)
    if part in ("dt_bias", "in_proj_a", "in_proj_b"):
        return _tiled(values, model, 1)
    if part == "in_proj_z":
        return _tiled(values, model, model.state_dim)
    if part == "out_proj":
        return np.ascontiguousarray(_tiled(values.T, model, model.state_dim).T)
    if part in ("in_proj_qkv", "conv1d"):
        rows = values[:, 0] if part == "conv1d" else values
        return np.concatenate([rows[:n_keys], _tiled(rows[n_keys:], model, model.state_dim)])
    return values


def _tiled(rows: F32, model: TinyModel, width: int) -> F32:
    """Heads of values that lie by their keys, as they lie when the keys are repeated."""
    heads = [rows[i * width : (i + 1) * width] for i in range(model.n_value_heads)]
    each = model.n_value_heads // model.n_key_heads
    order = [key * each + i for i in range(each) for key in range(model.n_key_heads)]
    return np.concatenate([heads[i] for i in order])
