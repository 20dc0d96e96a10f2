"""T5Gemma 2's part of tiny_models.py and tiny_gguf.py: an encoder's and a decoder's layers, and
their GGUF in the keys and names of docs/gguf-t5gemma2.md, which are slmweb's own.
"""

from __future__ import annotations

import gguf
import numpy as np

from tests.goldens.tiny_models import Tensor, TinyModel, uniform

START = 2  # BOS, with which a decoder begins
ENCODER, DECODER = "model.encoder.text_model.", "model.decoder."
_NAMES = {
    "pre_self_attn_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "self_attn.o_proj": "attn_output",
    "post_self_attn_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "post_feedforward_layernorm": "post_ffw_norm",
}


def weights(model: TinyModel) -> dict[str, Tensor]:
    """Every tensor of the text's checkpoint by its Hugging Face name; a norm holds one less than
    what it multiplies by."""
    tensors: dict[str, Tensor] = {}

    def draw(name: str, shape: tuple[int, ...], mean: float, spread: float) -> None:
        values = mean + spread * uniform(f"{model.name} {name}", shape)
        tensors[name] = Tensor(values.astype(np.float32))

    def linear(name: str, rows: int, cols: int, gain: float) -> None:
        draw(f"{name}.weight", (rows, cols), 0.0, gain * np.sqrt(3 / cols))

    def norm(name: str, n: int, gain: float = 1.0) -> None:
        draw(f"{name}.weight", (n,), gain - 1, 0.5)

    embd, head = model.n_embd, model.head_dim
    q, kv = model.n_head * head, model.n_head_kv * head
    draw(f"{ENCODER}embed_tokens.weight", (model.n_vocab, embd), 0.0, 0.4 * np.sqrt(3))
    for stack in (ENCODER, DECODER):
        norm(f"{stack}norm", embd)
        for layer in range(model.n_layer):
            at = f"{stack}layers.{layer}."
            linear(f"{at}self_attn.q_proj", q, embd, 1.0)
            linear(f"{at}self_attn.k_proj", kv, embd, 1.0)
            linear(f"{at}self_attn.v_proj", kv, embd, 1.0)
            linear(f"{at}self_attn.o_proj", embd, q, 1.0)
            linear(f"{at}mlp.gate_proj", model.n_ff, embd, 1.5)
            linear(f"{at}mlp.up_proj", model.n_ff, embd, 1.5)
            linear(f"{at}mlp.down_proj", embd, model.n_ff, 1.0)
            for name in ("q_norm", "k_norm"):
                norm(f"{at}self_attn.{name}", head, model.qk_gain)
            for name in ("pre_self_attn_layernorm", "post_self_attn_layernorm",
                         "pre_feedforward_layernorm", "post_feedforward_layernorm"):  # fmt: skip
                norm(f"{at}{name}", embd)
    return tensors


def add_hyperparameters(writer: gguf.GGUFWriter, model: TinyModel) -> None:
    assert model.rope_base_local is not None
    writer.add_rope_freq_base_swa(model.rope_base_local)
    writer.add_decoder_start_token_id(START)


def add_tensors(writer: gguf.GGUFWriter, tensors: dict[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        values = tensor.values + 1 if name.endswith("norm.weight") else tensor.values
        writer.add_tensor(_gguf_name(name), values)


def _gguf_name(name: str) -> str:
    if name.endswith("embed_tokens.weight"):
        return "token_embd.weight"
    before = "enc." if name.startswith(ENCODER) else ""
    rest = name.removeprefix(ENCODER).removeprefix(DECODER).removesuffix(".weight")
    if rest == "norm":
        return f"{before}output_norm.weight"
    _, layer, inner = rest.split(".", 2)
    return f"{before}blk.{layer}.{_NAMES[inner]}.weight"
