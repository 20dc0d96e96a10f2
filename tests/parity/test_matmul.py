"""Every tensor type's kernel against dequantize-then-multiply, through the ABI.

A model whose only layer adds nothing computes logits = W norm(E[token]): one
matrix product of any size, for one token (decode) or many (prefill). E is F32,
so that the product is the only rounding; the blocks of W are random bits.

The core rounds activations to 8 bits, 127 steps to the largest of 32 columns, so
a logit may be off by half a step times the sum of |w| of each 32 columns. That
bounds every element. On the whole roundings cancel, so that the errors' root
mean square is that of uniform noise: one weight wrong in each block of 32 would
be thirty times as much.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize
from numpy.typing import NDArray

from slmweb.core import Instance, Model
from tests.goldens.tiny_gguf import write_model
from tests.goldens.tiny_models import QUANTIZED_TYPES, Tensor, TinyModel, random_blocks, uniform

F64 = NDArray[np.float64]

TYPES = ("F32", *QUANTIZED_TYPES)
N_COLUMNS = {32: (32, 64, 96, 160, 544), 256: (256, 512, 1280), 1: (8, 32, 36, 172, 544)}
N_TOKENS = (1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 33)
# Rows are interleaved by four; 269 is the least that holds the tiny tokenizer.
N_ROWS = (269, 270, 271, 272, 285)


def cases() -> list[tuple[str, int, int]]:
    return [
        (name, n_rows, n_columns)
        for name in TYPES
        for n_rows, n_columns in zip(
            N_ROWS, N_COLUMNS[GGML_QUANT_SIZES[GGMLQuantizationType[name]][0]], strict=False
        )
    ]


def product_model(name: str, n_rows: int, n_columns: int) -> tuple[TinyModel, dict[str, Tensor]]:
    """The model, with its output matrix in the tensor type `name`."""
    qtype = GGMLQuantizationType[name]
    model = TinyModel(
        f"product-{name}-{n_rows}x{n_columns}",
        "qwen2",
        n_layer=1,
        n_embd=n_columns,
        n_ff=32,
        n_head=1,
        n_head_kv=1,
        head_dim=16,
        n_vocab=n_rows,
        tensor_type=qtype,
    )
    if name == "F32":
        blocks = None
        values = uniform(model.name, (n_rows, n_columns)).astype(np.float32)
    else:
        blocks = random_blocks(model.name, n_rows, n_columns, qtype, 1.0)
        values = dequantize(blocks, qtype).reshape(n_rows, n_columns).astype(np.float32)

    def zeros(*shape: int) -> Tensor:
        return Tensor(np.zeros(shape, np.float32))

    # A few columns stand out, as they do in real models.
    embeddings = uniform(model.name + " embeddings", (n_rows, n_columns)) ** 3
    at = "model.layers.0."
    return model, {
        "model.embed_tokens.weight": Tensor(embeddings.astype(np.float32)),
        "lm_head.weight": Tensor(values, blocks),
        "model.norm.weight": Tensor(np.ones(n_columns, np.float32)),
        f"{at}self_attn.q_proj.weight": zeros(16, n_columns),
        f"{at}self_attn.k_proj.weight": zeros(16, n_columns),
        f"{at}self_attn.v_proj.weight": zeros(16, n_columns),
        f"{at}self_attn.o_proj.weight": zeros(n_columns, 16),
        f"{at}self_attn.q_proj.bias": zeros(16),
        f"{at}self_attn.k_proj.bias": zeros(16),
        f"{at}self_attn.v_proj.bias": zeros(16),
        f"{at}mlp.gate_proj.weight": zeros(32, n_columns),
        f"{at}mlp.up_proj.weight": zeros(32, n_columns),
        f"{at}mlp.down_proj.weight": zeros(n_columns, 32),
        f"{at}input_layernorm.weight": Tensor(np.ones(n_columns, np.float32)),
        f"{at}post_attention_layernorm.weight": Tensor(np.ones(n_columns, np.float32)),
    }


def normalized(rows: F64, eps: float) -> F64:
    return np.asarray(rows / np.sqrt((rows**2).mean(axis=1, keepdims=True) + eps))


def rounding_noise(w: F64, x: F64) -> float:
    """Root mean square of the logits' errors if roundings are uniform and independent."""
    shape = (-1, w.shape[1] // 32, 32)
    step = np.abs(x.reshape(shape)).max(axis=2) / 127
    return float(np.sqrt((step**2 / 12 @ (w.reshape(shape) ** 2).sum(axis=2).T).mean()))


def rounding_bound(w: F64, x: F64, *, eight_bits: bool) -> F64:
    """(tokens, rows): how far a logit may be from w x."""
    float_rounding = np.abs(x) @ np.abs(w).T * 2.0**-20
    if not eight_bits:
        return np.asarray(float_rounding)
    shape = (-1, w.shape[1] // 32, 32)
    half_step = np.abs(x.reshape(shape)).max(axis=2) / 127 / 2
    return np.asarray(half_step @ np.abs(w.reshape(shape)).sum(axis=2).T * 1.001 + float_rounding)


@pytest.mark.parametrize(("name", "n_rows", "n_columns"), cases())
def test_product(tmp_path: Path, core: Instance, name: str, n_rows: int, n_columns: int) -> None:
    model, tensors = product_model(name, n_rows, n_columns)
    path = tmp_path / "product.gguf"
    write_model(model, tensors, path)
    w = tensors["lm_head.weight"].values.astype(np.float64)
    embeddings = tensors["model.embed_tokens.weight"].values.astype(np.float64)
    eight_bits = name not in ("F32", "F16", "BF16")
    with Model.open(path, core=core) as opened, opened.session(256, max(N_TOKENS)) as session:
        for n_tokens in N_TOKENS:
            ids = [(7 * n_tokens + 13 * i) % n_rows for i in range(n_tokens)]
            logits = session.eval(ids, "all")
            assert logits is not None
            x = normalized(embeddings[ids], model.eps)
            difference = logits - x @ w.T
            error = np.abs(difference) / rounding_bound(w, x, eight_bits=eight_bits)
            token, row = np.unravel_index(int(error.argmax()), error.shape)
            assert error.max() <= 1, (
                f"{n_tokens} tokens: row {row} of token {token} is {logits[token, row]:.6g} "
                f"instead of {(x @ w.T)[token, row]:.6g}, {error.max():.2f} times the bound"
            )
            if eight_bits:
                spread = np.sqrt((difference**2).mean()) / rounding_noise(w, x)
                assert spread <= 1.25, (
                    f"{n_tokens} tokens: errors spread {spread:.2f} times too far"
                )


@pytest.mark.parametrize("name", TYPES)
def test_embedding_row(tmp_path: Path, core: Instance, name: str) -> None:
    """Rows of a quantized embedding are dequantized exactly: F32 weights multiply them."""
    model, tensors = product_model(name, 269, 512)
    tensors["model.embed_tokens.weight"], tensors["lm_head.weight"] = (
        tensors["lm_head.weight"],
        Tensor(uniform("output", (269, 512)).astype(np.float32)),
    )
    path = tmp_path / "embedding.gguf"
    write_model(model, tensors, path)
    w = tensors["lm_head.weight"].values.astype(np.float64)
    ids = [0, 1, 2, 3, 100, 267, 268]
    x = normalized(tensors["model.embed_tokens.weight"].values[ids].astype(np.float64), model.eps)
    with Model.open(path, core=core) as opened, opened.session(64) as session:
        logits = session.eval(ids, "all")
    assert logits is not None
    assert (np.abs(logits - x @ w.T) <= rounding_bound(w, x, eight_bits=False)).all()
