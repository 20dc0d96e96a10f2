"""The encoder of pictures in a checkpoint, as the second GGUF file beside its language
model's: llama.cpp's "mmproj".

Owns which models have one that the core runs, what its tensors are called on both sides,
and what its config means where it leaves a value out (transformers' defaults). Knows
neither prompts nor how a picture becomes a square.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter
from numpy.typing import NDArray

from ..errors import SlmError
from .checkpoint import Checkpoint, read_json_if_there
from .gguf_file import Output
from .names import vision_names
from .safetensors import Tensor
from .tensors import TYPES, rounded


@dataclass(frozen=True)
class Encoder:
    """An encoder with a projector, as models of one `model_type` have it."""

    projector: str  # of the GGUF
    defaults: Mapping[str, Any] = field(default_factory=dict)  # of vision_config
    factor: int = 1  # as many rows and columns of patches become one, where no config says so
    activation_key: str = "hidden_act"
    epsilon_key: str = "layer_norm_eps"
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)  # of pixels, where no processor says so
    deviation: tuple[float, float, float] = (0.5, 0.5, 0.5)

    @property
    def keeps_shape(self) -> bool:
        """Whether pictures keep theirs; else they become squares of one size."""
        return self.projector == "gemma4v"


_SIGLIP = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "image_size": 224,
    "patch_size": 16,
    "layer_norm_eps": 1e-6,
}
_SO400M = _SIGLIP | {
    "hidden_size": 1152,
    "intermediate_size": 4096,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "patch_size": 14,
}
_IDEFICS = _SIGLIP | {"hidden_size": 1152, "num_attention_heads": 16, "patch_size": 32}

_GEMMA4 = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 16,
    "num_attention_heads": 12,
    "num_key_value_heads": 12,
    "head_dim": 64,
    "patch_size": 16,
    "pooling_kernel_size": 3,
    "position_embedding_size": 10_240,
    "rms_norm_eps": 1e-6,
}

ENCODERS: Mapping[str, Encoder] = {
    "gemma3": Encoder("gemma3", _SIGLIP, 4),
    # Its processor leaves pixels between 0 and 1, and the core knows what the model makes of them.
    "gemma4": Encoder(
        "gemma4v",
        _GEMMA4,
        3,
        activation_key="hidden_activation",
        epsilon_key="rms_norm_eps",
        mean=(0.0, 0.0, 0.0),
        deviation=(1.0, 1.0, 1.0),
    ),
    "shieldgemma2": Encoder("gemma3", _SIGLIP, 4),
    "paligemma": Encoder("paligemma", _SO400M),
    "idefics3": Encoder("idefics3", _IDEFICS, 2),
    "smolvlm": Encoder("idefics3", _IDEFICS, 2),
}

# What layers and ends are called, and the tensors' shapes (numpy's order) by the sizes' names.
_SIGLIP_LAYER = {
    "layer_norm1.weight": ("ln1.weight", "embd"),
    "layer_norm1.bias": ("ln1.bias", "embd"),
    "layer_norm2.weight": ("ln2.weight", "embd"),
    "layer_norm2.bias": ("ln2.bias", "embd"),
    **{
        f"self_attn.{source}.{kind}": (f"{target}.{kind}", shape)
        for source, target in (
            ("q_proj", "attn_q"), ("k_proj", "attn_k"), ("v_proj", "attn_v"),
            ("out_proj", "attn_out"),
        )
        for kind, shape in (("weight", "embd embd"), ("bias", "embd"))
    },
    "mlp.fc1.weight": ("ffn_up.weight", "ff embd"),
    "mlp.fc1.bias": ("ffn_up.bias", "ff"),
    "mlp.fc2.weight": ("ffn_down.weight", "embd ff"),
    "mlp.fc2.bias": ("ffn_down.bias", "embd"),
}  # fmt: skip
_SIGLIP_ENDS = {
    "embeddings.patch_embedding.weight": ("v.patch_embd.weight", "embd colours patch patch"),
    "embeddings.patch_embedding.bias": ("v.patch_embd.bias", "embd"),
    "embeddings.position_embedding.weight": ("v.position_embd.weight", "patches embd"),
    "post_layernorm.weight": ("v.post_ln.weight", "embd"),
    "post_layernorm.bias": ("v.post_ln.bias", "embd"),
}
_GEMMA4_LINEAR = {
    "self_attn.q_proj": ("attn_q", "embd embd"),
    "self_attn.k_proj": ("attn_k", "embd embd"),
    "self_attn.v_proj": ("attn_v", "embd embd"),
    "self_attn.o_proj": ("attn_out", "embd embd"),
    "mlp.gate_proj": ("ffn_gate", "ff embd"),
    "mlp.up_proj": ("ffn_up", "ff embd"),
    "mlp.down_proj": ("ffn_down", "embd ff"),
}
_GEMMA4_LAYER = {
    "input_layernorm.weight": ("ln1.weight", "embd"),
    "post_attention_layernorm.weight": ("attn_post_norm.weight", "embd"),
    "pre_feedforward_layernorm.weight": ("ln2.weight", "embd"),
    "post_feedforward_layernorm.weight": ("ffn_post_norm.weight", "embd"),
    "self_attn.q_norm.weight": ("attn_q_norm.weight", "head"),
    "self_attn.k_norm.weight": ("attn_k_norm.weight", "head"),
    **{
        f"{source}.linear.weight": (f"{target}.weight", shape)
        for source, (target, shape) in _GEMMA4_LINEAR.items()
    },
}
# What a product reads and writes is clipped to; numbers without a dimension.
_GEMMA4_BOUNDS = {
    f"{source}.{bound}": (f"{target}.{bound}", "")
    for source, (target, _) in _GEMMA4_LINEAR.items()
    for bound in ("input_min", "input_max", "output_min", "output_max")
}
_GEMMA4_ENDS = {
    "patch_embedder.input_proj.weight": ("v.patch_embd.weight", "embd pixels"),
    "patch_embedder.position_embedding_table": ("v.position_embd.weight", "pair places embd"),
}
_PROJECTORS = {
    "gemma3": {
        # Across: the core turns it as it loads, and llama.cpp whenever it computes.
        "mm_input_projection_weight": ("mm.input_projection.weight", "embd text"),
        "mm_soft_emb_norm.weight": ("mm.soft_emb_norm.weight", "embd"),
    },
    "gemma4v": {"embedding_projection.weight": ("mm.input_projection.weight", "text embd")},
    "paligemma": {
        "linear.weight": ("mm.input_projection.weight", "text embd"),
        "linear.bias": ("mm.input_projection.bias", "text"),
    },
    "idefics3": {"modality_projection.proj.weight": ("mm.model.fc.weight", "text merged")},
}
# Of another training, and what is counted anew.
_IGNORED = ("head.", "embeddings.position_ids")
# llama.cpp keeps what it looks up and convolves with as it is, whatever the type.
_PLAIN = ("v.patch_embd.", "v.position_embd.")
_PATCHES = "v.patch_embd.weight"
_PLUS_ONE = "mm.soft_emb_norm.weight"  # Gemma's norms are less by one


@dataclass(frozen=True)
class Vision:
    """An encoder that is ready to be written."""

    projector: str
    sizes: Mapping[str, int]
    norm_epsilon: float
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    longest_edge: int | None  # to which a picture is scaled before it is cut into squares
    outputs: list[Output]

    def add_to(self, writer: GGUFWriter) -> None:
        sizes = self.sizes
        writer.add_clip_has_vision_encoder(True)
        if self.projector == "gemma4v":  # in one file with what hears, where there is that
            writer.add_clip_vision_projector_type(self.projector)
        else:
            writer.add_clip_projector_type(self.projector)
        writer.add_vision_use_gelu(True)
        writer.add_vision_projection_dim(sizes["text"])
        writer.add_vision_image_size(sizes["image"])
        writer.add_vision_patch_size(sizes["patch"])
        writer.add_vision_embedding_length(sizes["embd"])
        writer.add_vision_feed_forward_length(sizes["ff"])
        writer.add_vision_block_count(sizes["layers"])
        writer.add_vision_head_count(sizes["heads"])
        writer.add_vision_attention_layernorm_eps(self.norm_epsilon)
        writer.add_vision_image_mean(list(self.mean))
        writer.add_vision_image_std(list(self.deviation))
        usual = {"gemma3": 4, "gemma4v": 3, "paligemma": 1}  # what llama.cpp takes it for
        if sizes["factor"] != usual.get(self.projector):
            writer.add_vision_projector_scale_factor(sizes["factor"])
        if self.longest_edge is not None:
            writer.add_vision_preproc_image_size(self.longest_edge)


def read_vision(
    checkpoint: Checkpoint, tensors: Mapping[str, Tensor], n_text: int, wanted: GGMLQuantizationType
) -> Vision | None:
    """The encoder of a checkpoint whose language model has rows of `n_text`; None where it has
    none. `tensors` are all of the checkpoint.

    Raises SlmError "bad_file" for a missing tensor or a wrong shape, "unsupported" for what the
    core would not compute.
    """
    encoder = ENCODERS.get(str(checkpoint.config.get("model_type")))
    found = vision_names(tensors) if encoder else {}
    if encoder is None or not found:
        return None
    read = _Reader(checkpoint, encoder)
    sizes = {
        "embd": read.whole("hidden_size"),
        "ff": read.whole("intermediate_size"),
        "layers": read.whole("num_hidden_layers"),
        "heads": read.whole("num_attention_heads"),
        "patch": read.whole("patch_size"),
        "colours": 3,
        "text": n_text,
    }
    ends, layer = _SIGLIP_ENDS, _SIGLIP_LAYER
    if encoder.keeps_shape:
        ends, layer = _GEMMA4_ENDS, _GEMMA4_LAYER
        if read.values.get("use_clipped_linears", False):
            layer = layer | _GEMMA4_BOUNDS
        sizes |= read.sizes_of_gemma4(sizes)
    else:
        sizes["image"] = read.whole("image_size")
        side = sizes["image"] // sizes["patch"]
        factor = _factor(checkpoint, encoder, side)
        sizes |= {"factor": factor, "patches": side * side}
        sizes["merged"] = sizes["embd"] * factor * factor
    table = {
        **ends,
        **_PROJECTORS[encoder.projector],
        **{
            f"encoder.layers.{i}.{source}": (f"v.blk.{i}.{target}", shape)
            for i in range(sizes["layers"])
            for source, (target, shape) in layer.items()
        },
    }
    outputs = []
    for source, (target, shape) in table.items():
        expected = tuple(sizes[size] for size in shape.split())
        outputs.append(
            _output(checkpoint, found.pop(source, None), source, target, expected, wanted)
        )
    for source, tensor in found.items():
        if not source.startswith(_IGNORED):
            raise SlmError(
                "unsupported",
                f"{tensor.file.path}: tensor '{tensor.name}' is not part of the encoder of "
                f"{checkpoint.config['model_type']} as known here, and leaving it out would give "
                "wrong answers; convert a plain checkpoint of this family",
            )
    prepared = _processor(checkpoint.folder)
    return Vision(
        encoder.projector,
        sizes,
        read.positive(encoder.epsilon_key),
        _colours(checkpoint, prepared, "image_mean", encoder.mean),
        _colours(checkpoint, prepared, "image_std", encoder.deviation),
        _longest_edge(prepared) if encoder.projector == "idefics3" else None,
        outputs,
    )


class _Reader:
    """Values of vision_config, or transformers' defaults."""

    def __init__(self, checkpoint: Checkpoint, encoder: Encoder) -> None:
        self.path = checkpoint.config_path
        values = checkpoint.config.get("vision_config")
        if not isinstance(values, dict):
            raise SlmError("bad_file", f"{self.path} has no vision_config; download it again")
        given = {key: value for key, value in values.items() if value is not None}
        self.values = {**encoder.defaults, **given}
        activation = self.values.get(encoder.activation_key, "gelu_pytorch_tanh")
        if activation != "gelu_pytorch_tanh" or self.values.get("num_channels", 3) != 3:
            raise SlmError(
                "unsupported",
                f"{self.path} asks for an encoder of {self.values.get('num_channels', 3)} channels "
                f"with the activation {activation!r}; 3 with gelu_pytorch_tanh are supported",
            )

    def sizes_of_gemma4(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """Those that it has beside others'. Raises SlmError "unsupported" for another rope, and
        for heads that are not what the columns give each."""
        head, rope = self.whole("head_dim"), self.values.get("rope_parameters") or {}
        base = rope.get("rope_theta", 100.0) if isinstance(rope, dict) else None
        alike = self.whole("num_key_value_heads") == sizes["heads"]
        if base != 100 or not alike or head * sizes["heads"] != sizes["embd"]:
            raise SlmError(
                "unsupported",
                f"{self.path} asks for an encoder of {sizes['heads']} heads of {head} columns with "
                f"a rope of {base}; heads that share {sizes['embd']} columns, as many of keys as "
                "of queries, with one of 100 are supported",
            )
        return {
            "head": head,
            "factor": self.whole("pooling_kernel_size"),
            "places": self.whole("position_embedding_size"),
            "pair": 2,
            "pixels": 3 * sizes["patch"] ** 2,
            "image": 224,  # what llama.cpp writes, and nobody reads
        }

    def whole(self, key: str) -> int:
        value = self.values[key]
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 31:
            return value
        raise self._bad(key, value, "a whole number above zero")

    def positive(self, key: str) -> float:
        value = self.values[key]
        if isinstance(value, int | float) and 0 < value < math.inf:
            return float(value)
        raise self._bad(key, value, "a number above zero")

    def _bad(self, key: str, value: Any, expected: str) -> SlmError:
        return SlmError(
            "bad_file",
            f"{self.path}: {key} of vision_config is {str(value)[:40]!r}, expected {expected}; "
            "download it again",
        )


def _factor(checkpoint: Checkpoint, encoder: Encoder, side: int) -> int:
    """Rows of patches that become one."""
    config, factor = checkpoint.config, encoder.factor
    if encoder.projector == "gemma3":
        n_tokens = config.get("mm_tokens_per_image", 256)
        factor = side // math.isqrt(n_tokens) if isinstance(n_tokens, int) and n_tokens > 0 else 0
    if encoder.projector == "idefics3":
        factor = config.get("scale_factor", factor)
    if not isinstance(factor, int) or factor < 1 or side < 1 or side % factor:
        raise SlmError(
            "unsupported",
            f"{checkpoint.config_path} merges {side} x {side} patches by {factor}; whole squares "
            "are supported",
        )
    return factor


def _processor(folder: Path) -> Mapping[str, Any]:
    """How pictures were prepared: of its own file, or of the whole processor's."""
    own = read_json_if_there(folder / "preprocessor_config.json")
    if not own:
        own = read_json_if_there(folder / "processor_config.json").get("image_processor") or {}
    return own if isinstance(own, dict) else {}


def _colours(
    checkpoint: Checkpoint,
    prepared: Mapping[str, Any],
    key: str,
    otherwise: tuple[float, float, float],
) -> tuple[float, float, float]:
    if prepared.get("do_normalize") is False:
        return (0.0, 0.0, 0.0) if key == "image_mean" else (1.0, 1.0, 1.0)
    values = prepared.get(key) or list(otherwise)
    if (
        isinstance(values, list)
        and len(values) == 3
        and all(isinstance(value, int | float) for value in values)
        and (key != "image_std" or min(values) > 0)
    ):
        return (float(values[0]), float(values[1]), float(values[2]))
    raise SlmError(
        "bad_file",
        f"{checkpoint.folder}: {key} of the picture's processor is {str(values)[:40]!r}, expected "
        "three numbers; download it again",
    )


def _longest_edge(prepared: Mapping[str, Any]) -> int | None:
    size = prepared.get("size")
    edge = size.get("longest_edge") if isinstance(size, dict) else None
    return edge if isinstance(edge, int) and edge > 0 else None


def _output(
    checkpoint: Checkpoint,
    tensor: Tensor | None,
    source: str,
    target: str,
    shape: tuple[int, ...],
    wanted: GGMLQuantizationType,
) -> Output:
    if tensor is None:
        raise SlmError(
            "bad_file",
            f"{checkpoint.folder} has no tensor '{source}' of its encoder, which "
            f"{checkpoint.config_path} promises; the checkpoint is incomplete, so download it "
            "again",
        )
    if tensor.shape != shape:
        raise SlmError(
            "bad_file",
            f"{tensor.file.path}: tensor '{tensor.name}' has the shape {list(tensor.shape)}, but "
            f"{checkpoint.config_path} asks for {list(shape)}; use the config that belongs to the "
            "weights",
        )
    # Gemma 4's two tables of positions are a tenth of its encoder: what other matrices are, so
    # that they take half of the room.
    plain = len(shape) < 2 or (target.startswith(_PLAIN) and len(shape) != 3)
    kind = TYPES["f32"] if plain else wanted
    side = math.isqrt(shape[1] // 3) if target == _PATCHES and len(shape) == 2 else 0
    stored = (shape[0], 3, side, side) if side else shape or (1,)

    def blocks() -> Iterator[NDArray[np.generic]]:
        for start, stop in tensor.blocks():
            rows = tensor.read(start, stop)
            if side:  # colours stand together, and a convolution has each apart
                rows = rows.reshape(-1, side, side, 3).transpose(0, 3, 1, 2)
            yield rounded(rows + np.float32(1) if target == _PLUS_ONE else rows, kind, target)

    make: Callable[[], Iterator[NDArray[np.generic]]] = blocks
    return Output(target, stored, kind, make)
