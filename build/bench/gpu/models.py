"""The models of the GPU's benchmark: files where there are any, else shapes with random weights.

What is multiplied changes no speed, so sizes that nobody could fetch for a benchmark are headers
alone (some MB, most of it vocabulary); weights.ts makes the blocks as they are sent to the device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from script import DIST, BuildError
from slmweb.generated.abi import TENSOR_TYPES
from slmweb.plan.shape import Shape, from_config, read_shape
from slmweb.pull.registry import read_registry

from ..models import gemma3_q4_k_m, smollm2_q4_1

FOLDER = DIST / "bench" / "gpu"
TYPES = ("Q4_0", "Q4_K", "Q8_0")

_GEMMA_7B = {
    "model_type": "gemma", "hidden_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16,
    "num_key_value_heads": 16, "head_dim": 256, "intermediate_size": 24576, "vocab_size": 256000,
    "max_position_embeddings": 8192,
}  # fmt: skip
_TINY = {
    "model_type": "gemma3_text", "hidden_size": 256, "num_hidden_layers": 6,
    "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 64, "intermediate_size": 1024,
    "vocab_size": 4096, "max_position_embeddings": 8192, "sliding_window": 512,
}  # fmt: skip


@dataclass(frozen=True)
class GpuModel:
    """`path` is a GGUF file, or the header of one that would be `size` bytes."""

    name: str
    title: str
    shape: Shape
    path: Path
    size: int
    random: bool

    @property
    def read_bytes(self) -> int:
        """Of the weights that one token needs, as they lie in the file."""
        return sum(t.file_bytes for t in [*self.shape.layer_matrices, self.shape.head])

    def prefill_flops(self, n_tokens: int) -> int:
        """Of the products with weights; the head is for the last token alone."""
        layers = sum(t.elements for t in self.shape.layer_matrices)
        return 2 * (n_tokens * layers + self.shape.head.elements)


def choose(wanted: str) -> list[str]:
    """Names of MODELS. Raises BuildError with those that there are."""
    names = [name for name in wanted.split(",") if name]
    for name in names:
        if name not in MODELS:
            raise BuildError(f"there is no model {name!r}; choose from {', '.join(MODELS)}")
    return names


def _file(made: Callable[[], Any]) -> GpuModel:
    model = made()
    path: Path = model.path
    size = path.stat().st_size
    return GpuModel(model.name, model.title, read_shape(path), path, size, random=False)


def _synthetic(name: str, title: str, config: dict[str, Any], kind: str) -> GpuModel:
    shape = from_config(config, title).quantized(kind)
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.header.gguf"
    size = write_header(shape, path)
    return GpuModel(name, f"{title} {kind}, random", shape, path, size, random=True)


def write_header(shape: Shape, path: Path) -> int:
    """Writes a GGUF without its tensors' data; returns the size of the whole."""
    writer = gguf.GGUFWriter(path, shape.architecture)
    writer.add_name(path.name.removesuffix(".header.gguf"))
    add_metadata(writer, shape)
    for tensor in shape.tensors:
        rows = [tensor.rows] if tensor.rows > 1 else []
        kind = TENSOR_TYPES[tensor.type]
        writer.add_tensor_info(
            tensor.name, [*rows, tensor.columns], np.dtype(np.float32), tensor.file_bytes,
            raw_dtype=gguf.GGMLQuantizationType(kind.id),
        )  # fmt: skip
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    align = writer.data_alignment
    sizes = [path.stat().st_size, *(tensor.file_bytes for tensor in shape.tensors)]
    return sum(-(-size // align) * align for size in sizes)


def add_metadata(writer: gguf.GGUFWriter, shape: Shape) -> None:
    """What the core asks of a file beside its tensors."""
    writer.add_block_count(shape.n_layer)
    writer.add_context_length(shape.n_ctx_train)
    writer.add_embedding_length(shape.n_embd)
    writer.add_feed_forward_length(shape.n_ff)
    writer.add_head_count(shape.n_head)
    if shape.architecture in ("lfm2", "granitehybrid"):
        attends = {t.name for t in shape.tensors if t.name.endswith("attn_k.weight")}
        of_layers = [f"blk.{i}.attn_k.weight" in attends for i in range(shape.n_layer)]
        writer.add_head_count_kv([shape.n_head_kv * has for has in of_layers])
    else:
        writer.add_head_count_kv(shape.n_head_kv)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_layer_norm_rms_eps(1e-6)
    if any(shape.windows):
        writer.add_sliding_window(max(shape.windows))
    if shape.architecture == "gemma2":
        writer.add_attn_logit_softcapping(50)
        writer.add_final_logit_softcapping(30)
    if shape.architecture == "lfm2":
        writer.add_shortconv_l_cache(max(shape.states) // shape.channels + 1)
    if shape.architecture == "granitehybrid":
        sizes = {t.name.partition(".ssm_")[2]: t for t in shape.tensors}
        width, groups = sizes["out.weight"].columns, sizes["norm.weight"].rows
        writer.add_ssm_conv_kernel(sizes["conv1d.weight"].columns)
        writer.add_ssm_state_size((shape.channels - width) // (2 * groups))
        writer.add_ssm_inner_size(width)
        writer.add_ssm_time_step_rank(sizes["a"].rows)
        writer.add_ssm_group_count(groups)
    if shape.architecture == "qwen35":
        sizes = {t.name.partition(".ssm_")[2]: t for t in shape.tensors}
        writer.add_rope_dimension_count(shape.rope_dims)
        writer.add_ssm_conv_kernel(sizes["conv1d.weight"].columns)
        writer.add_ssm_state_size(width := sizes["norm.weight"].columns)
        writer.add_ssm_inner_size(values := sizes["out.weight"].columns)
        writer.add_ssm_time_step_rank(values // width)
        writer.add_ssm_group_count((shape.channels - values) // (2 * width))
    if shape.architecture == "recurrentgemma":
        at = f"{shape.architecture}.recurrent"
        writer.add_rope_dimension_count(shape.rope_dims)
        writer.add_uint32(f"{at}.width", shape.channels)
        writer.add_uint32(f"{at}.block_width", shape.channels // shape.n_head)
        writer.add_uint32(f"{at}.conv_kernel", max(shape.states) // shape.channels)
    _add_vocabulary(writer, shape.n_vocab)


def _add_vocabulary(writer: gguf.GGUFWriter, n_vocab: int) -> None:
    """Bytes, and pieces that no text has: enough for a tokenizer."""
    kinds = gguf.TokenType
    tokens = [(text, kinds.CONTROL) for text in ("<pad>", "<eos>", "<bos>")]
    tokens += [("<unk>", kinds.UNKNOWN)]
    tokens += [(f"<0x{byte:02X}>", kinds.BYTE) for byte in range(256)]
    tokens += [(f"[{i}]", kinds.NORMAL) for i in range(len(tokens), n_vocab)]
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([text for text, _ in tokens])
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types([kind for _, kind in tokens])
    writer.add_bos_token_id(2)
    writer.add_eos_token_id(1)
    writer.add_unk_token_id(3)
    writer.add_add_bos_token(True)


def _shapes() -> dict[str, tuple[str, dict[str, Any]]]:
    models = read_registry().models
    return {
        "gemma3-1b": ("Gemma 3 1B", dict(models["gemma3-1b-it"].config or {})),
        "gemma-2b": ("Gemma 2B", dict(models["gemma-2b-it"].config or {})),
        "gemma-7b": ("Gemma 7B", _GEMMA_7B),
        "tiny": ("Tiny Gemma", _TINY),
        "smollm2-random": ("SmolLM2 135M", dict(models["smollm2-135m-instruct"].config or {})),
    }


MODELS: dict[str, Callable[[], GpuModel]] = {
    "smollm2-q4_1": lambda: _file(smollm2_q4_1),
    "gemma3-270m-q4_k_m": lambda: _file(gemma3_q4_k_m),
    **{
        f"{name}-{kind.lower()}": partial(_synthetic, f"{name}-{kind.lower()}", title, config, kind)
        for name, (title, config) in _shapes().items()
        for kind in TYPES
    },
}
# An emulated device takes half a second for a token of SmolLM2.
EMULATED = ("smollm2-q4_1", "tiny-q4_0")
REAL = tuple(name for name in MODELS if not name.startswith(("tiny", "smollm2-random")))
# Of the size that onnxruntime gets, in blocks like its own.
COMPARED = "smollm2-random-q4_0"
