"""The shape of a model: its tensors and the numbers that memory and speed follow from.

Owns reading a shape from where there are no weights to load: a GGUF header, a packed folder, a
Hugging Face config.json. Knows nothing of devices. Tensor names are GGUF's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..core.files import is_pack
from ..errors import SlmError, os_reason
from ..generated.abi import TENSOR_TYPES
from ..kinds import advice

# The header of a GGUF is nearly all vocabulary: a token's text, its score or merge, and its kind.
HEADER_BYTES_PER_TOKEN = 32

_ARCHITECTURES = {
    "llama": "llama",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "gemma": "gemma",
    "gemma2": "gemma2",
    "gemma3": "gemma3",
    "gemma3_text": "gemma3",
}
# Every such layer looks at the whole context, the others at a sliding window.
_WINDOW_PERIOD = {"gemma2": 2, "gemma3": 6}


@dataclass(frozen=True)
class Tensor:
    name: str
    rows: int
    columns: int
    type: str

    @property
    def is_matrix(self) -> bool:
        return self.rows > 1

    @property
    def elements(self) -> int:
        return self.rows * self.columns

    @property
    def file_bytes(self) -> int:
        kind = TENSOR_TYPES[self.type]
        return self.elements // kind.block_size * kind.block_bytes


@dataclass(frozen=True)
class Shape:
    """A model without its weights. `windows` has a sliding window for each layer, 0 where none."""

    architecture: str
    n_ctx_train: int
    n_vocab: int
    n_embd: int
    n_layer: int
    n_head: int
    n_head_kv: int
    head_dim: int
    n_ff: int
    windows: tuple[int, ...]
    tensors: tuple[Tensor, ...]
    header_bytes: int

    @property
    def parameters(self) -> int:
        return sum(tensor.elements for tensor in self.tensors)

    @property
    def file_bytes(self) -> int:
        """Bytes of the GGUF, and so of the download."""
        return self.header_bytes + sum(tensor.file_bytes for tensor in self.tensors)

    @property
    def types(self) -> dict[str, int]:
        """Bytes by tensor type, largest first."""
        sizes: dict[str, int] = {}
        for tensor in self.tensors:
            sizes[tensor.type] = sizes.get(tensor.type, 0) + tensor.file_bytes
        return dict(sorted(sizes.items(), key=lambda item: -item[1]))

    @property
    def head(self) -> Tensor:
        """The matrix that makes logits: output.weight, or the token embedding when tied."""
        named = {tensor.name: tensor for tensor in self.tensors}
        return named.get("output.weight", named["token_embd.weight"])

    @property
    def layer_matrices(self) -> list[Tensor]:
        return [t for t in self.tensors if t.name.startswith("blk.") and t.is_matrix]

    def quantized(self, kind: str | Callable[[str], str]) -> Shape:
        """The same model with every matrix in type `kind`, or in that which `kind` tells by its
        name, or in what stands in for it where rows are no multiple of its block; vectors are
        F32."""
        wanted = kind if callable(kind) else lambda name: kind
        return replace(
            self,
            tensors=tuple(
                replace(t, type=_fitting(wanted(t.name), t.columns) if t.is_matrix else "F32")
                for t in self.tensors
            ),
        )


# What llama.cpp writes instead of a K-quant for rows that are no multiple of 256.
_STAND_IN = {"Q2_K": "IQ4_NL", "Q3_K": "IQ4_NL", "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}


def _fitting(kind: str, columns: int) -> str:
    if columns % TENSOR_TYPES[kind].block_size == 0:
        return kind
    stand_in = _STAND_IN.get(kind, "F16")
    return stand_in if columns % TENSOR_TYPES[stand_in].block_size == 0 else "F16"


def runs(model_type: object) -> bool:
    """Whether a config of that model type has a shape here."""
    return str(model_type) in _ARCHITECTURES


def read_shape(path: Path) -> Shape:
    """The shape of a GGUF file, a packed folder, a checkpoint folder or a config.json.

    Raises SlmError: "unreadable", "bad_file", "unsupported", "bad_manifest".
    """
    if is_pack(path):
        return _from_gguf(path)
    if path.is_dir():
        path = path / "config.json"
    if path.suffix == ".json":
        try:
            config = json.loads(path.read_bytes())
        except OSError as error:
            raise SlmError(
                "unreadable",
                f"cannot read {path}: {os_reason(error)}; name a GGUF file, a packed folder or a "
                "folder with config.json",
            ) from None
        except ValueError as error:
            raise SlmError("bad_file", f"{path} is not JSON ({error})") from None
        return from_config(config, str(path))
    return _from_gguf(path)


def from_config(config: Mapping[str, Any], where: str) -> Shape:
    """The shape that a checkpoint's config.json describes, in BF16 as most are published.

    Raises SlmError "bad_file" or "unsupported"; `where` names the config in its sentence.
    """
    whole, config = config, config.get("text_config") or config
    kind = config.get("model_type")
    architecture = _ARCHITECTURES.get(str(kind))
    if architecture is None:
        told = advice(whole.get("model_type"), whole)
        raise SlmError(
            "unsupported",
            f"{where} has the model type {kind!r}, which does not run here"
            + (f": {told}" if told else "; supported are " + ", ".join(_ARCHITECTURES)),
        )

    def number(key: str, otherwise: int | None = None) -> int:
        value = config.get(key)
        value = otherwise if value is None else value
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise SlmError(
                "bad_file", f"{where} should have a whole number above 0 as '{key}', not {value!r}"
            )
        return value

    n_embd, n_head = number("hidden_size"), number("num_attention_heads")
    n_layer, n_vocab = number("num_hidden_layers"), number("vocab_size")
    n_head_kv = number("num_key_value_heads", n_head)
    head_dim = number("head_dim", 256 if architecture.startswith("gemma") else n_embd // n_head)
    n_ff, n_ctx = number("intermediate_size"), number("max_position_embeddings", 8192)
    window = number("sliding_window", 4096) if architecture in _WINDOW_PERIOD else 0
    tied = config.get("tie_word_embeddings", architecture.startswith("gemma"))
    tensors = list(
        _tensors(architecture, n_vocab, n_embd, n_layer, n_head * head_dim, n_head_kv * head_dim,
                 head_dim, n_ff, bool(tied))
    )  # fmt: skip
    return Shape(
        architecture, n_ctx, n_vocab, n_embd, n_layer, n_head, n_head_kv, head_dim, n_ff,
        _windows(architecture, n_layer, window), tuple(tensors), HEADER_BYTES_PER_TOKEN * n_vocab,
    )  # fmt: skip


def _tensors(
    architecture: str, n_vocab: int, n_embd: int, n_layer: int, n_q: int, n_kv: int, head_dim: int,
    n_ff: int, tied: bool,
) -> Iterator[Tensor]:  # fmt: skip
    def matrix(name: str, rows: int, columns: int) -> Tensor:
        return Tensor(f"{name}.weight", rows, columns, "BF16")

    def vector(name: str, n: int) -> Tensor:
        return Tensor(name, 1, n, "F32")

    yield matrix("token_embd", n_vocab, n_embd)
    for i in range(n_layer):
        at = f"blk.{i}."
        yield vector(at + "attn_norm.weight", n_embd)
        yield from (matrix(at + "attn_q", n_q, n_embd), matrix(at + "attn_k", n_kv, n_embd))
        yield from (matrix(at + "attn_v", n_kv, n_embd), matrix(at + "attn_output", n_embd, n_q))
        if architecture == "qwen2":
            yield from (
                vector(at + f"attn_{x}.bias", n)
                for x, n in zip("qkv", (n_q, n_kv, n_kv), strict=True)
            )
        if architecture in ("qwen3", "gemma3"):
            yield from (vector(at + f"attn_{x}_norm.weight", head_dim) for x in "qk")
        yield vector(at + "ffn_norm.weight", n_embd)
        yield from (matrix(at + "ffn_gate", n_ff, n_embd), matrix(at + "ffn_up", n_ff, n_embd))
        yield matrix(at + "ffn_down", n_embd, n_ff)
        if architecture in ("gemma2", "gemma3"):
            yield vector(at + "post_attention_norm.weight", n_embd)
            yield vector(at + "post_ffw_norm.weight", n_embd)
    yield vector("output_norm.weight", n_embd)
    if not tied:
        yield matrix("output", n_vocab, n_embd)


def _windows(architecture: str, n_layer: int, window: int) -> tuple[int, ...]:
    period = _WINDOW_PERIOD.get(architecture)
    return tuple(0 if period is None or (i + 1) % period == 0 else window for i in range(n_layer))


def _from_gguf(path: Path) -> Shape:
    from ..core.model import Model

    with Model.open(path, weights=False) as model:
        info: dict[str, Any] = dict(model.info)
    name = path.name
    missing = [key for key in ("n_ctx_train", "n_vocab", "n_embd", "n_layer", "n_head", "n_ff")
               if not info.get(key)]  # fmt: skip
    architecture = info["architecture"]
    if architecture not in _ARCHITECTURES.values():
        known = "supported are " + ", ".join(dict.fromkeys(_ARCHITECTURES.values()))
        raise SlmError(
            "unsupported",
            f"{name} is of the architecture {architecture!r}, which does not run here; "
            + (advice(architecture) or known),
        )
    tensors = tuple(
        Tensor(t["name"], t["shape"][1] if len(t["shape"]) > 1 else 1, t["shape"][0], t["type"])
        for t in info["tensors"]
    )
    if missing or not any(t.name == "token_embd.weight" for t in tensors):
        raise SlmError(
            "bad_file", f"{name} does not state {', '.join(missing) or 'its token embedding'}; "
            "convert the model again",
        )  # fmt: skip
    n_head = info["n_head"]
    return Shape(
        architecture=architecture,
        n_ctx_train=info["n_ctx_train"],
        n_vocab=info["n_vocab"],
        n_embd=info["n_embd"],
        n_layer=info["n_layer"],
        n_head=n_head,
        n_head_kv=info["n_head_kv"] or n_head,
        head_dim=info["head_dim"] or info["n_embd"] // n_head,
        n_ff=info["n_ff"],
        windows=_windows(architecture, info["n_layer"], info["sliding_window"] or 0),
        tensors=tensors,
        header_bytes=sum(
            min((t["offset"] for t in info["tensors"] if t["file"] == i), default=0)
            for i in range(info["files"])
        ),
    )
