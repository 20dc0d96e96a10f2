"""Gemma 4's and EmbeddingGemma 2's part of tiny_models.py and tiny_gguf.py: layers of two kinds
with sizes of their own, embeddings for each layer, and the GGUF of them in llama.cpp's keys and
names.
"""

from __future__ import annotations

import gguf
import numpy as np

from tests.goldens.tiny_models import F32, Tensor, TinyModel, uniform


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

    embd, each = model.n_embd, model.n_per_layer
    at, gate = ("model.", "") if model.arch == "gemma4" else ("model.ple.", "ple_block.")
    draw("model.embed_tokens.weight", (model.n_vocab, embd), 0.0, 0.4 * np.sqrt(3))
    wide = model.n_layer * each
    if model.arch == "gemma4":
        draw("model.embed_tokens_per_layer.weight", (model.n_vocab, wide), 0.0, np.sqrt(3 / each))
    else:
        linear("model.embedding_projection", model.n_embedding, embd, 1.0)
    linear(f"{at}per_layer_model_projection", wide, embd, 1.0)
    norm(f"{at}per_layer_projection_norm", each)
    norm("model.norm", embd)
    for layer in range(model.n_layer):
        at = f"model.layers.{layer}."
        head = model.head_size(layer)
        q, kv, ff = model.n_head * head, model.kv_heads(layer) * head, model.ff_size(layer)
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
        linear(f"{at}{gate}per_layer_input_gate", each, embd, 1.5)
        linear(f"{at}{gate}per_layer_projection", embd, each, 1.0)
        for name in ("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm",
                     "post_feedforward_layernorm", f"{gate}post_per_layer_input_norm"):  # fmt: skip
            norm(f"{at}{name}", embd)
        draw(f"{at}layer_scalar", (1,), 0.8, 0.3)
    return tensors


def add_hyperparameters(writer: gguf.GGUFWriter, model: TinyModel) -> None:
    assert model.rope_base_local is not None
    layers = range(model.n_layer)
    writer.add_shared_kv_layers(model.n_shared)
    writer.add_embedding_length_per_layer_input(model.n_per_layer)
    writer.add_sliding_window_pattern([model.is_local(i) for i in layers])
    writer.add_key_length(model.global_head_dim)
    writer.add_value_length(model.global_head_dim)
    writer.add_key_length_swa(model.head_dim)
    writer.add_value_length_swa(model.head_dim)
    writer.add_rope_dimension_count(model.global_head_dim)
    writer.add_rope_dimension_count_swa(model.head_dim)
    writer.add_rope_freq_base_swa(model.rope_base_local)
    if model.n_embedding:
        writer.add_embedding_length_out(model.n_embedding)
    if model.n_global_head_kv:
        writer.add_head_count_kv([model.kv_heads(i) for i in layers])
    else:
        writer.add_head_count_kv(model.n_head_kv)
    writer.add_feed_forward_length(
        [model.ff_size(i) for i in layers] if model.double_wide else model.n_ff
    )


def name_in_gemma4(name: str) -> str:
    """What Gemma 4 calls a tensor of EmbeddingGemma 2, whose names gguf does not know yet."""
    plain = name.replace("model.ple.", "model.").replace(".ple_block.", ".")
    return plain.replace("model.embedding_projection", "lm_head")


def rope_factors(model: TinyModel) -> F32:
    """A quarter of the global heads' pairs rotates; the others' frequencies become nothing."""
    pairs = model.global_head_dim // 2
    return np.array([1.0 if i < pairs // 4 else 1e30 for i in range(pairs)], np.float32)
