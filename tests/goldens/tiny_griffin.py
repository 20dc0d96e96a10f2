"""RecurrentGemma's part of tiny_gguf.py: docs/gguf-recurrentgemma.md, written a second time and
independently of the converter, which tests hold to it.
"""

from __future__ import annotations

import gguf
import numpy as np

from tests.goldens.tiny_models import F32, Tensor, TinyModel

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.final_norm": "output_norm",
    "temporal_pre_norm": "attn_norm",
    "channel_pre_norm": "ffn_norm",
    "temporal_block.q_proj": "attn_q",
    "temporal_block.k_proj": "attn_k",
    "temporal_block.v_proj": "attn_v",
    "temporal_block.o_proj": "attn_output",
    "temporal_block.linear_y": "rec_gate",
    "temporal_block.linear_x": "rec_in",
    "temporal_block.linear_out": "rec_out",
    "temporal_block.conv_1d": "rec_conv",
    "temporal_block.rg_lru.input_gate": "rec_input_gate",
    "temporal_block.rg_lru.recurrent_gate": "rec_recurrence_gate",
    "mlp_block.gate_proj": "ffn_gate",
    "mlp_block.up_proj": "ffn_up",
    "mlp_block.down_proj": "ffn_down",
}


def add_hyperparameters(writer: gguf.GGUFWriter, model: TinyModel) -> None:
    writer.add_rope_dimension_count(model.head_dim // 2)
    writer.add_uint32("recurrentgemma.recurrent.width", model.n_recurrent)
    writer.add_uint32("recurrentgemma.recurrent.block_width", model.n_recurrent // model.n_head)
    writer.add_uint32("recurrentgemma.recurrent.conv_kernel", model.n_taps)


def add_tensors(writer: gguf.GGUFWriter, model: TinyModel, tensors: dict[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        parts = name.replace("_gate_", "_gate.").split(".")
        at = ""
        if parts[:2] == ["model", "layers"]:
            at, parts = f"blk.{parts[2]}.", parts[3:]
        if parts[-1] == "recurrent_param":
            writer.add_tensor(f"{at}rec_decay.weight", -8 * np.log1p(np.exp(tensor.values)))
            continue
        target = f"{at}{NAMES['.'.join(parts[:-1])]}.{parts[-1]}"
        writer.add_tensor(target, np.ascontiguousarray(_values(name, tensor.values)))


def _values(name: str, values: F32) -> F32:
    if name.endswith("norm.weight"):
        return values + 1
    if name.endswith("conv_1d.weight"):
        return values[:, 0]
    if name.endswith("_gate_weight"):
        return values.swapaxes(1, 2).reshape(-1, values.shape[-1])
    return values.reshape(-1) if name.endswith("_gate_bias") else values
