"""Granite 4's hybrids: the weights of a tiny one by their names in transformers, and its part of
tiny_gguf.py: llama.cpp's conventions for its recurrent layers, written a second time and
independently of the converter, which tests hold to it.
"""

from __future__ import annotations

import gguf
import numpy as np

from tests.goldens.tiny_models import F32, Tensor, TinyModel, uniform

EXPANSION = 2  # of the embedding, which llama.cpp takes for granted


def weights(model: TinyModel) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}

    def draw(name: str, shape: tuple[int, ...], mean: float, spread: float) -> None:
        values = mean + spread * uniform(f"{model.name} {name}", shape)
        tensors[name] = Tensor(values.astype(np.float32))

    def linear(name: str, rows: int, cols: int, gain: float) -> None:
        draw(f"{name}.weight", (rows, cols), 0.0, gain * np.sqrt(3 / cols))

    embd, q, kv = model.n_embd, model.n_head * model.head_dim, model.n_head_kv * model.head_dim
    width, heads = EXPANSION * embd, model.n_value_heads
    draw("model.embed_tokens.weight", (model.n_vocab, embd), 0.0, np.sqrt(3))
    draw("model.norm.weight", (embd,), 1.0, 0.5)
    for layer in range(model.n_layer):
        at = f"model.layers.{layer}."
        draw(f"{at}input_layernorm.weight", (embd,), 1.0, 0.5)
        draw(f"{at}post_attention_layernorm.weight", (embd,), 1.0, 0.5)
        if model.recurs(layer):
            linear(f"{at}mamba.in_proj", width + model.n_recurrent + heads, embd, 1.5)
            draw(f"{at}mamba.conv1d.weight", (model.n_recurrent, 1, model.n_taps), 0.0, 1.0)
            draw(f"{at}mamba.conv1d.bias", (model.n_recurrent,), 0.0, 0.5)
            # States that last for a few tokens up to hundreds of them.
            draw(f"{at}mamba.dt_bias", (heads,), -2.0, 2.0)
            draw(f"{at}mamba.A_log", (heads,), -1.0, 2.0)
            draw(f"{at}mamba.D", (heads,), 1.0, 0.5)
            draw(f"{at}mamba.norm.weight", (width,), 1.0, 0.5)
            linear(f"{at}mamba.out_proj", embd, width, 1.0)
        else:
            linear(f"{at}self_attn.q_proj", q, embd, model.qk_gain)
            linear(f"{at}self_attn.k_proj", kv, embd, model.qk_gain)
            linear(f"{at}self_attn.v_proj", kv, embd, 1.0)
            linear(f"{at}self_attn.o_proj", embd, q, 1.0)
        linear(f"{at}shared_mlp.input_linear", 2 * model.n_ff, embd, 1.5)
        linear(f"{at}shared_mlp.output_linear", embd, model.n_ff, 1.0)
    return tensors


def add_hyperparameters(writer: gguf.GGUFWriter, model: TinyModel) -> None:
    writer.add_ssm_conv_kernel(model.n_taps)
    writer.add_ssm_state_size(model.state_dim)
    writer.add_ssm_group_count(model.n_key_heads)
    writer.add_ssm_time_step_rank(model.n_value_heads)
    writer.add_ssm_inner_size(EXPANSION * model.n_embd)
    writer.add_rope_scaling_finetuned(False)  # there are no rotary positions


def parts_of(name: str, values: F32, model: TinyModel) -> dict[str, F32]:
    """A tensor of the checkpoint as llama.cpp wants it, by the names that its converter looks up:
    of the two matrices of a gated unit those of models that have them apart."""
    if "shared_mlp.input_linear" in name:
        at = name.partition("shared_mlp")[0]
        gate, up = np.split(values, 2)
        return {f"{at}mlp.gate_proj.weight": gate, f"{at}mlp.up_proj.weight": up}
    if "shared_mlp.output_linear" in name:
        return {name.replace("shared_mlp.output_linear", "mlp.down_proj"): values}
    if name.endswith(".A_log"):
        return {name: -np.exp(values)[:, None]}
    if name.endswith(".D"):
        return {name: values[:, None]}
    if name.endswith("mamba.norm.weight"):
        return {name: values.reshape(model.n_key_heads, -1)}
    if name.endswith("conv1d.weight"):
        return {name: values[:, 0]}
    return {name: values}
