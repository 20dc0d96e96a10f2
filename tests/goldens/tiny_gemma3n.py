"""Gemma 3n's part of tiny_models.py and tiny_gguf.py: four streams through layers of two kinds,
products of low rank, embeddings for each layer, and the GGUF of them in llama.cpp's keys and names.
"""

from __future__ import annotations

import math

import gguf
import numpy as np

from tests.goldens.tiny_models import F32, Tensor, TinyModel, uniform

STREAMS, RANK = 4, 12
CUT = 1.6448536  # deviations above the mean, beyond which a twentieth of a normal distribution lies


def is_sparse(model: TinyModel, layer: int) -> bool:
    return layer < model.n_sparse


def weights(model: TinyModel) -> dict[str, Tensor]:
    """Every tensor of the checkpoint by its Hugging Face name. Norms hold what they multiply by."""
    tensors: dict[str, Tensor] = {}

    def draw(name: str, shape: tuple[int, ...], mean: float, spread: float) -> None:
        values = mean + spread * uniform(f"{model.name} {name}", shape)
        tensors[name] = Tensor(values.astype(np.float32))

    def linear(name: str, rows: int, cols: int, gain: float) -> None:
        draw(f"{name}.weight", (rows, cols), 0.0, gain * np.sqrt(3 / cols))

    def norm(name: str, n: int, gain: float = 1.0) -> None:
        draw(f"{name}.weight", (n,), gain, gain / 2)

    embd, each, head = model.n_embd, model.n_per_layer, model.head_dim
    q, kv, ff = model.n_head * head, model.n_head_kv * head, model.n_ff
    draw("model.embed_tokens.weight", (model.n_vocab, embd), 0.0, 0.4 * np.sqrt(3))
    wide = model.n_layer * each
    draw("model.embed_tokens_per_layer.weight", (model.n_vocab, wide), 0.0, np.sqrt(3 / each))
    linear("model.per_layer_model_projection", wide, embd, 1.0)
    norm("model.per_layer_projection_norm", each)
    for i in range(STREAMS - 1):
        linear(f"model.altup_projections.{i}", embd, embd, 1.0)
        linear(f"model.altup_unembed_projections.{i}", embd, embd, 1.0)
    norm("model.norm", embd)
    for layer in range(model.n_layer):
        at = f"model.layers.{layer}."
        linear(f"{at}self_attn.q_proj", q, embd, 1.0)
        linear(f"{at}self_attn.o_proj", embd, q, 1.0)
        norm(f"{at}self_attn.q_norm", head, model.qk_gain)
        if not model.is_shared(layer):
            linear(f"{at}self_attn.k_proj", kv, embd, 1.0)
            linear(f"{at}self_attn.v_proj", kv, embd, 1.0)
            norm(f"{at}self_attn.k_norm", head, model.qk_gain)
        linear(f"{at}mlp.gate_proj", ff, embd, 1.5)
        linear(f"{at}mlp.up_proj", ff, embd, 1.5)
        linear(f"{at}mlp.down_proj", embd, ff, 1.0)
        linear(f"{at}laurel.linear_left", RANK, embd, 1.0)
        linear(f"{at}laurel.linear_right", embd, RANK, 1.0)
        # What is routed is over n_embd, so that tanh sees numbers around 1.
        linear(f"{at}altup.modality_router", STREAMS, embd, 1.0 * embd)
        linear(f"{at}altup.prediction_coefs", STREAMS**2, STREAMS, 0.15)
        linear(f"{at}altup.correction_coefs", STREAMS, STREAMS, 0.4)
        draw(f"{at}altup.correct_output_scale", (embd,), 1.0, 0.5)
        linear(f"{at}per_layer_input_gate", each, embd, 1.5)
        linear(f"{at}per_layer_projection", embd, each, 1.0)
        for name in ("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm",
                     "post_feedforward_layernorm", "post_per_layer_input_norm",
                     "laurel.post_laurel_norm", "altup.router_norm"):  # fmt: skip
            norm(f"{at}{name}", embd)
    return tensors


def add_hyperparameters(writer: gguf.GGUFWriter, model: TinyModel) -> None:
    assert model.rope_base_local is not None
    layers = range(model.n_layer)
    writer.add_feed_forward_length([model.n_ff for _ in layers])
    writer.add_shared_kv_layers(model.n_shared)
    writer.add_embedding_length_per_layer_input(model.n_per_layer)
    writer.add_altup_active_idx(0)
    writer.add_altup_num_inputs(STREAMS)
    writer.add_activation_sparsity_scale(
        [CUT if is_sparse(model, i) else -math.inf for i in layers]
    )
    writer.add_sliding_window_pattern([model.is_local(i) for i in layers])
    writer.add_rope_freq_base_swa(model.rope_base_local)


def stacked(tensors: dict[str, Tensor]) -> dict[str, F32]:
    """The matrices of the other streams, which the file has in one tensor each."""
    return {
        target: np.stack([tensors[f"model.{source}.{i}.weight"].values for i in range(STREAMS - 1)])
        for source, target in (
            ("altup_projections", "altup_proj.weight"),
            ("altup_unembed_projections", "altup_unembd_proj.weight"),
        )
    }
