"""A GGUF model evaluated in float64, straight from the papers: what exact sessions are
held to on real weights, which no golden file could hold. Knows the families of the
real models, llama and gemma3, and none of the core's ways; slow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf.quants import dequantize
from numpy.typing import NDArray

F64 = NDArray[np.float64]

WINDOW_PERIOD = 6  # of gemma3: every such layer looks at everything


class Reference:
    def __init__(self, path: Path) -> None:
        reader = gguf.GGUFReader(path)
        self._fields = reader.fields
        self._tensors = {tensor.name: tensor for tensor in reader.tensors}
        self._arch = str(reader.fields["general.architecture"].contents())
        assert self._arch in ("llama", "gemma3")
        self._n_head = self._key("attention.head_count")
        self._n_head_kv = self._key("attention.head_count_kv", self._n_head)
        self._head_dim = self._key(
            "attention.key_length", self._key("embedding_length") // self._n_head
        )

    def logits(self, ids: list[int]) -> F64:
        """Of every token, (len(ids), n_vocab)."""
        gemma = self._arch == "gemma3"
        embedding = self._weight("token_embd.weight")
        x = embedding[ids] * (np.sqrt(np.float32(embedding.shape[1])) if gemma else 1)
        for layer in range(self._key("block_count")):
            out = self._attention(layer, self._norm(x, f"blk.{layer}.attn_norm"))
            x = x + self._norm(out, f"blk.{layer}.post_attention_norm")
            y = self._norm(x, f"blk.{layer}.ffn_norm")
            gate, up = (self._times(y, f"blk.{layer}.ffn_{name}") for name in ("gate", "up"))
            out = self._times((_gelu(gate) if gemma else _silu(gate)) * up, f"blk.{layer}.ffn_down")
            x = x + self._norm(out, f"blk.{layer}.post_ffw_norm")
        head = "output" if "output.weight" in self._tensors else "token_embd"
        return self._times(self._norm(x, "output_norm"), head)

    def _attention(self, layer: int, y: F64) -> F64:
        n, head_dim = len(y), self._head_dim
        local = self._arch == "gemma3" and (layer + 1) % WINDOW_PERIOD != 0
        q, k, v = (
            self._times(y, f"blk.{layer}.attn_{name}").reshape(n, -1, head_dim) for name in "qkv"
        )
        q = self._rotate(self._norm(q, f"blk.{layer}.attn_q_norm"), local)
        k = self._rotate(self._norm(k, f"blk.{layer}.attn_k_norm"), local)
        k, v = (np.repeat(each, self._n_head // self._n_head_kv, axis=1) for each in (k, v))
        scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(head_dim)
        distance = np.arange(n)[:, None] - np.arange(n)
        window = self._key("attention.sliding_window") if local else n
        scores[:, (distance < 0) | (distance >= window)] = -np.inf
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        attended = np.einsum("hqk,khd->qhd", weights, v).reshape(n, -1)
        return self._times(attended, f"blk.{layer}.attn_output")

    def _rotate(self, x: F64, local: bool) -> F64:
        """(n, heads, head_dim) by their positions: neighbours in llama, else halves."""
        base = self._key("rope.freq_base_swa", 10000.0) if local else self._key("rope.freq_base")
        frequencies = float(base) ** (-np.arange(0, self._head_dim, 2) / self._head_dim)
        angles = (np.arange(len(x))[:, None] * frequencies)[:, None]
        half = self._head_dim // 2
        first, second = (
            (slice(0, None, 2), slice(1, None, 2))
            if self._arch == "llama"
            else (slice(0, half), slice(half, None))
        )
        out = np.empty_like(x)
        a, b = x[..., first], x[..., second]
        out[..., first] = a * np.cos(angles) - b * np.sin(angles)
        out[..., second] = a * np.sin(angles) + b * np.cos(angles)
        return out

    def _norm(self, x: F64, name: str) -> F64:
        """RMSNorm, where the model has it."""
        if f"{name}.weight" not in self._tensors:
            return x
        epsilon = self._key("attention.layer_norm_rms_epsilon")
        scaled = x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + epsilon)
        normed: F64 = scaled * self._weight(f"{name}.weight")
        return normed

    def _times(self, x: F64, name: str) -> F64:
        product: F64 = x @ self._weight(f"{name}.weight").T
        return product

    def _weight(self, name: str) -> F64:
        tensor = self._tensors[name]
        weights: F64 = dequantize(tensor.data, tensor.tensor_type).astype(np.float64)
        return weights

    def _key(self, name: str, otherwise: Any = None) -> Any:
        field = self._fields.get(f"{self._arch}.{name}")
        return otherwise if field is None else field.contents()


def _silu(x: F64) -> F64:
    curve: F64 = x / (1 + np.exp(-x))
    return curve


def _gelu(x: F64) -> F64:
    curve: F64 = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return curve
