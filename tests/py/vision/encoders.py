"""A tiny encoder of pictures as llama.cpp's converter lays it out, with random weights."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

EMBD, FF, LAYERS, PATCH, SIDE, PROJECTED = 64, 100, 2, 14, 56, 128


def write_encoder(path: Path, projected: int = PROJECTED, factor: int = 4) -> Path:
    """Of the projector gemma3; the rows of ffn_down are no whole blocks, as those of SigLIP.
    `projected` columns come out, of each square of `factor` by `factor` patches."""
    rng = np.random.default_rng(7)
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_type(gguf.GGUFType.MMPROJ)
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type("gemma3")
    writer.add_vision_use_gelu(True)
    writer.add_vision_image_size(SIDE)
    writer.add_vision_patch_size(PATCH)
    writer.add_vision_embedding_length(EMBD)
    writer.add_vision_feed_forward_length(FF)
    writer.add_vision_block_count(LAYERS)
    writer.add_vision_projection_dim(projected)
    writer.add_vision_projector_scale_factor(factor)
    writer.add_vision_head_count(4)
    writer.add_vision_attention_layernorm_eps(1e-6)
    writer.add_vision_image_mean([0.5, 0.5, 0.5])
    writer.add_vision_image_std([0.5, 0.5, 0.5])

    def add(name: str, *shape: int, half: bool = False) -> None:
        values = 0.1 * rng.standard_normal(shape)
        writer.add_tensor(name, values.astype(np.float16 if half else np.float32))

    def linear(name: str, rows: int, columns: int) -> None:
        add(f"{name}.weight", rows, columns, half=True)
        add(f"{name}.bias", rows)

    def norm(name: str) -> None:
        add(f"{name}.weight", EMBD)
        add(f"{name}.bias", EMBD)

    add("v.patch_embd.weight", EMBD, 3, PATCH, PATCH)
    add("v.patch_embd.bias", EMBD)
    add("v.position_embd.weight", (SIDE // PATCH) ** 2, EMBD)
    for i in range(LAYERS):
        for name in ("ln1", "ln2"):
            norm(f"v.blk.{i}.{name}")
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            linear(f"v.blk.{i}.{name}", EMBD, EMBD)
        linear(f"v.blk.{i}.ffn_up", FF, EMBD)
        linear(f"v.blk.{i}.ffn_down", EMBD, FF)
    norm("v.post_ln")
    add("mm.soft_emb_norm.weight", EMBD)
    add("mm.input_projection.weight", EMBD, projected, half=True)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
