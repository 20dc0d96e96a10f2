"""The encoder of pictures of a model, without its weights: its tensors, and what encoding costs.

Owns reading it from a Hugging Face config.json or a GGUF header, and its memory as the core lays it
out (wasm/src/cpu/encode.cpp, models/siglip.cpp and gemma4_vision.cpp; tests hold it to what the
core itself says).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..convert.vision import ENCODERS
from ..errors import SlmError
from ..quantize.choice import kept_of_encoder
from ..quantize.container import read_metadata, read_tensors, read_text, read_u32
from ..vision.masks import PREFIX
from ..vision.projectors import PROJECTORS, Budget, n_batch_for
from .tensors import Tensor, fitting

# What `quantize` makes of an encoder by itself, and what `convert` writes.
_WEB, _CONVERTED = "Q8_0", "F16"
# A tensor's name, shape, type and place in a header.
_HEADER_BYTES_PER_TENSOR = 80
# What hears beside what sees, which nothing loads.
_AUDIO = ("a.", "mm.a.")
# The rows of patches that are merged where a file does not say.
_FACTORS = {"gemma3": 4, "gemma4v": 3, "paligemma": 1, "idefics3": 2}


@dataclass(frozen=True)
class Encoder:
    """An encoder and a projector. `factor` rows and columns of patches become one position."""

    projector: str
    image_size: int  # 0: pictures keep their shape
    patch_size: int
    factor: int
    n_embd: int
    n_ff: int
    n_head: int
    n_layer: int
    tensors: tuple[Tensor, ...]
    left_out: int = 0  # bytes of its file that the core does not load: a decoder of masks

    @property
    def n_patches(self) -> int:
        if self._budget is not None:
            return self.n_tokens * self.factor**2
        return (self.image_size // self.patch_size) ** 2

    @property
    def n_tokens(self) -> int:
        """Positions that a picture takes, or at most where nobody asks for more."""
        if self._budget is not None:
            return self._budget.auto
        return (self.image_size // self.patch_size // self.factor) ** 2

    @property
    def _budget(self) -> Budget | None:
        cut = PROJECTORS[self.projector].cut
        return cut if isinstance(cut, Budget) else None

    @property
    def whole_picture(self) -> bool:
        """Whether a picture is one evaluation."""
        return self.projector in ("gemma3", "paligemma")

    @property
    def whole_prompt(self) -> bool:
        """Whether a prompt with pictures is one evaluation."""
        return self.projector == "paligemma"

    @property
    def n_merged(self) -> int:
        """Columns that the projection takes."""
        return self.n_embd * (self.factor**2 if self.projector == "idefics3" else 1)

    @property
    def n_pixels(self) -> int:
        """Numbers of a patch."""
        return 3 * self.patch_size**2

    @property
    def parameters(self) -> int:
        return sum(tensor.elements for tensor in self.tensors)

    @property
    def file_bytes(self) -> int:
        loaded = sum(tensor.file_bytes + _HEADER_BYTES_PER_TENSOR for tensor in self.tensors)
        return loaded + self.left_out

    @property
    def layer_matrices(self) -> list[Tensor]:
        return [t for t in self.tensors if t.name.startswith("v.blk.") and t.is_matrix]

    @property
    def attention_products(self) -> int:
        """Of every patch with every other, for scores and for values."""
        return 2 * self.n_patches**2 * self.n_embd * self.n_layer

    def n_batch(self, n_ctx: int, n_batch: int) -> int:
        return n_batch_for(self.n_tokens, self.whole_picture, self.whole_prompt, n_ctx, n_batch)

    def beside(self, kind: str | None) -> Encoder:
        """The encoder of a language model that is in type `kind`: as `convert` writes it beside
        one of whole floats, else as `quantize` makes it."""
        matrices = _CONVERTED if kind in ("F32", "F16", "BF16") else _WEB
        return replace(
            self,
            tensors=tuple(
                replace(t, type=fitting(matrices, t.columns))
                if t.is_matrix and not kept_of_encoder(t.name)
                else t
                for t in self.tensors
            ),
        )

    @property
    def rounds(self) -> bool:
        """Whether products round activations: some matrix is quantized."""
        return any(t.type not in ("F32", "F16", "BF16") for t in self.tensors)

    def encode_bytes(self, threads: int = 1) -> int:
        """Bytes that encoding a picture takes beside the weights, on the CPU."""
        n, head_dim = self.n_patches, self.n_embd // self.n_head
        plain = all(t.type == "F32" for t in self.tensors if t.is_matrix)
        keys = 2 * _up(n, 32) * self.n_embd * (4 if plain else 2)
        if self._budget is not None:
            rows = self.n_pixels + 8 * self.n_embd + 2 * self.n_ff + 2 * head_dim  # and angles
        else:
            rows = self.n_pixels + 6 * self.n_embd + self.n_ff
            rows += 0 if self.projector == "paligemma" else self.n_merged
        widest = _up(max(self.n_embd, self.n_ff, self.n_merged, self.n_pixels), 32) // 32
        shared = n * (116 * widest if self.rounds else 0) + 4 * n * self.n_embd
        scores = 4 * 16 * (32 + 2 * head_dim)
        own = 116 * widest + 4 * self.n_embd + 2 * 288 * widest + scores
        results = 4 * max(8192, 16 * n, 16 * (head_dim + 2))
        partial = 4 * self.n_head * (head_dim + 2)
        return keys + 4 * n * rows + shared + partial + threads * (own + results)


def _up(n: int, step: int) -> int:
    return -(-n // step) * step


def from_config(config: Mapping[str, Any], n_text: int) -> Encoder | None:
    """The encoder that a checkpoint's config.json describes, as `convert` writes it beside a
    language model with rows of `n_text`; None where there is none that runs here.

    Raises SlmError "bad_file".
    """
    known, given = ENCODERS.get(str(config.get("model_type"))), config.get("vision_config")
    if known is None or not isinstance(given, Mapping):
        return None
    values = {**known.defaults, **{k: v for k, v in given.items() if v is not None}}

    def number(key: str) -> int:
        value = values.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise SlmError(
                "bad_file",
                f"'{key}' of vision_config should be a whole number above 0, not {value!r}",
            )
        return value

    if known.keeps_shape:
        found = Encoder(
            known.projector,
            0,
            number("patch_size"),
            number("pooling_kernel_size"),
            number("hidden_size"),
            number("intermediate_size"),
            number("num_attention_heads"),
            number("num_hidden_layers"),
            (),
        )
        clips = values.get("use_clipped_linears") is True
        places = number("position_embedding_size")
        return replace(found, tensors=_gemma4_tensors(found, n_text, places, clips))
    side = number("image_size") // number("patch_size")
    factor, tokens = (config.get(key) for key in ("scale_factor", "mm_tokens_per_image"))
    factor = factor if isinstance(factor, int) and factor > 0 else known.factor
    if known.projector == "gemma3":
        factor = side // math.isqrt(tokens if isinstance(tokens, int) and tokens > 0 else 256)
    found = Encoder(
        known.projector,
        number("image_size"),
        number("patch_size"),
        max(1, factor),
        number("hidden_size"),
        number("intermediate_size"),
        number("num_attention_heads"),
        number("num_hidden_layers"),
        (),
    )
    return replace(found, tensors=_tensors(found, n_text))


def _tensors(encoder: Encoder, n_text: int) -> tuple[Tensor, ...]:
    n, ff = encoder.n_embd, encoder.n_ff

    def vector(name: str, size: int) -> list[Tensor]:
        return [Tensor(name, 1, size, "F32")]

    def norm(name: str) -> list[Tensor]:
        return [*vector(f"{name}.weight", n), *vector(f"{name}.bias", n)]

    def linear(name: str, rows: int, columns: int, kind: str = _CONVERTED) -> list[Tensor]:
        return [Tensor(f"{name}.weight", rows, columns, kind), *vector(f"{name}.bias", rows)]

    tensors = linear("v.patch_embd", n, encoder.n_pixels, "F32")
    tensors.append(Tensor("v.position_embd.weight", encoder.n_patches, n, "F32"))
    for i in range(encoder.n_layer):
        at = f"v.blk.{i}."
        tensors += norm(f"{at}ln1") + norm(f"{at}ln2")
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            tensors += linear(at + name, n, n)
        tensors += linear(f"{at}ffn_up", ff, n) + linear(f"{at}ffn_down", n, ff)
    tensors += norm("v.post_ln")
    if encoder.projector == "gemma3":
        tensors += vector("mm.soft_emb_norm.weight", n)
        tensors.append(Tensor("mm.input_projection.weight", n_text, n, _CONVERTED))
    elif encoder.projector == "paligemma":
        tensors += linear("mm.input_projection", n_text, n)
    else:
        tensors.append(Tensor("mm.model.fc.weight", n_text, encoder.n_merged, _CONVERTED))
    return tuple(tensors)


def _gemma4_tensors(encoder: Encoder, n_text: int, places: int, clips: bool) -> tuple[Tensor, ...]:
    n, ff, head = encoder.n_embd, encoder.n_ff, encoder.n_embd // encoder.n_head
    tensors = [
        Tensor("v.patch_embd.weight", n, encoder.n_pixels, "F32"),
        Tensor("v.position_embd.weight", 2 * places, n, _CONVERTED),
    ]
    shapes = {
        **dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_out"), (n, n)),
        **dict.fromkeys(("ffn_gate", "ffn_up"), (ff, n)),
        "ffn_down": (n, ff),
    }
    bounds = ("input_min", "input_max", "output_min", "output_max") if clips else ()
    for i in range(encoder.n_layer):
        at = f"v.blk.{i}."
        for name in ("ln1", "ln2", "attn_post_norm", "ffn_post_norm"):
            tensors.append(Tensor(f"{at}{name}.weight", 1, n, "F32"))
        for name in ("attn_q_norm", "attn_k_norm"):
            tensors.append(Tensor(f"{at}{name}.weight", 1, head, "F32"))
        for name, (rows, columns) in shapes.items():
            tensors.append(Tensor(f"{at}{name}.weight", rows, columns, _CONVERTED))
            tensors += [Tensor(f"{at}{name}.{bound}", 1, 1, "F32") for bound in bounds]
    tensors.append(Tensor("mm.input_projection.weight", n_text, n, _CONVERTED))
    return tuple(tensors)


def from_gguf(path: Path) -> Encoder | None:
    """The encoder in a GGUF file or a packed model; None for one that does not run here.

    Raises SlmError "unreadable" or "bad_file".
    """
    metadata = read_metadata(path)
    projector = (
        read_text(metadata, "clip.projector_type")
        or read_text(metadata, "clip.vision.projector_type")
        or ""
    )
    if projector not in _FACTORS:
        return None

    def number(key: str, otherwise: int = 0) -> int:
        value = read_u32(metadata, f"clip.vision.{key}", otherwise)
        if value < 1:
            raise SlmError(
                "bad_file", f"{path} does not state 'clip.vision.{key}'; convert the model again"
            )
        return value

    tensors, left_out = [], 0
    for tensor in read_tensors(path):
        if tensor["name"].startswith(PREFIX):
            left_out += tensor["size"] + _HEADER_BYTES_PER_TENSOR
            continue
        columns, *others = tensor["shape"]
        rows = math.prod(others)
        if tensor["name"].startswith(_AUDIO):
            continue
        if tensor["name"] == "v.patch_embd.weight":
            if len(others) != 3:
                raise SlmError(
                    "bad_file",
                    f"{path}: v.patch_embd.weight has {1 + len(others)} dimensions, expected 4; "
                    "convert the model again",
                )
            rows, columns = others[-1], math.prod(tensor["shape"][:-1])
        elif tensor["name"] == "mm.input_projection.weight" and projector == "gemma3":
            rows, columns = columns, rows  # the core turns it
        tensors.append(Tensor(tensor["name"], rows, columns, tensor["type"]))
    return Encoder(
        projector,
        0 if isinstance(PROJECTORS[projector].cut, Budget) else number("image_size"),
        number("patch_size"),
        number("projector.scale_factor", _FACTORS[projector]),
        number("embedding_length"),
        number("feed_forward_length"),
        number("attention.head_count"),
        number("block_count"),
        tuple(tensors),
        left_out,
    )
