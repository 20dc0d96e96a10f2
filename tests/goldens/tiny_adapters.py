"""Tiny LoRA adapters of the tiny models: their factors, drawn here as the weights
are, and the same adapter as a GGUF file in llama.cpp's conventions. Knows neither
torch nor peft; a test loads the factors into peft to hear what they should do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType
from gguf.quants import dequantize, quantize

from tests.goldens.tiny_gguf import interleave_halves
from tests.goldens.tiny_models import F32, TinyModel, uniform

MODULES = (
    *("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"),
    *("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"),
)


# What makes Gemma 4's layers' embeddings and takes them in; adapted beside all of MODULES.
PER_LAYER_MODEL = "model.per_layer_model_projection"
PER_LAYER = ("per_layer_input_gate", "per_layer_projection")

EMBEDDING, HEAD = "model.embed_tokens", "lm_head"


@dataclass(frozen=True)
class TinyAdapter:
    name: str
    rank: int
    alpha: float
    modules: tuple[str, ...] = MODULES  # of every layer
    whole: tuple[str, ...] = ()  # EMBEDDING, HEAD: of the model
    tensor_type: GGMLQuantizationType = GGMLQuantizationType.F32
    # Of the change, beside a matrix whose own gain is 1.
    gain: float = 0.5


# A rank that fills no vector, and a second adapter that leaves some matrices alone.
LAW = TinyAdapter("law", rank=3, alpha=6.0)
TALE = TinyAdapter("tale", rank=8, alpha=4.0, modules=MODULES[1:6])
# Everything that can be adapted.
EVERY = TinyAdapter("every", rank=5, alpha=7.0, whole=(EMBEDDING, HEAD))


# What Phi-3 has the rows of in one matrix.
_STACKED = {
    **dict.fromkeys(MODULES[:3], "self_attn.qkv_proj"),
    **dict.fromkeys(MODULES[4:6], "mlp.gate_up_proj"),
}


@dataclass(frozen=True)
class Factors:
    """y += alpha / r * b (a x), with the values that the file's type can hold. Of the
    embedding x is a token's unit vector."""

    a: F32  # [r, columns]
    b: F32  # [rows, r]


def modules_of(model: TinyModel, adapter: TinyAdapter) -> list[str]:
    """Hugging Face names of what is adapted, but for the embedding and the head. A layer that
    attends to another's keys and values has none."""
    stacked = _STACKED if model.arch == "phi3" else {}
    modules = dict.fromkeys(stacked.get(module, module) for module in adapter.modules)
    per_layer = model.n_per_layer and adapter.modules == MODULES
    found = [
        f"model.layers.{layer}.{module}"
        for layer in range(model.n_layer)
        for module in (*modules, *(PER_LAYER if per_layer else ()))
        if not (model.is_shared(layer) and module.endswith(("k_proj", "v_proj")))
    ]
    return [*found, *([PER_LAYER_MODEL] if per_layer else [])]


def _shape(model: TinyModel, name: str) -> tuple[int, int]:
    if name == PER_LAYER_MODEL:
        return model.n_layer * model.n_per_layer, model.n_embd
    _, _, number, module = name.split(".", 3)
    layer = int(number)
    head, ff = model.head_size(layer), model.ff_size(layer)
    q, kv = model.n_head * head, model.kv_heads(layer) * head
    return {
        "self_attn.q_proj": (q, model.n_embd),
        "self_attn.k_proj": (kv, model.n_embd),
        "self_attn.v_proj": (kv, model.n_embd),
        "self_attn.qkv_proj": (q + 2 * kv, model.n_embd),
        "self_attn.o_proj": (model.n_embd, q),
        "mlp.gate_proj": (ff, model.n_embd),
        "mlp.up_proj": (ff, model.n_embd),
        "mlp.gate_up_proj": (2 * ff, model.n_embd),
        "mlp.down_proj": (model.n_embd, ff),
        "per_layer_input_gate": (model.n_per_layer, model.n_embd),
        "per_layer_projection": (model.n_embd, model.n_per_layer),
    }[module]


def factors(model: TinyModel, adapter: TinyAdapter) -> dict[str, Factors]:
    """Of every module that is adapted, by its Hugging Face name."""
    r = adapter.rank

    def draw(name: str, shape: tuple[int, int], std: float) -> F32:
        seed = f"{model.name} {adapter.name} {name}"
        values: F32 = (uniform(seed, shape) * np.sqrt(3) * std).astype(np.float32)
        if adapter.tensor_type is GGMLQuantizationType.F32:
            return values
        kind = adapter.tensor_type
        held: F32 = dequantize(quantize(values, kind), kind).astype(np.float32).reshape(shape)
        return held

    found = {}
    scale = adapter.gain * np.sqrt(r) / adapter.alpha
    for name in modules_of(model, adapter):
        rows, columns = _shape(model, name)
        found[name] = Factors(
            draw(f"{name} a", (r, columns), columns**-0.5), draw(f"{name} b", (rows, r), scale)
        )
    embedding = 0.4 if model.is_gemma else 1.0  # the spread of the base's
    for name in adapter.whole:
        rows, columns = model.n_vocab, model.n_embd
        std = columns**-0.5 * 4  # of logits
        if name == EMBEDDING:
            rows, columns, std = columns, rows, embedding
        found[name] = Factors(
            draw(f"{name} a", (r, columns), std), draw(f"{name} b", (rows, r), scale)
        )
    return found


def write_adapter(model: TinyModel, adapter: TinyAdapter, path: Path) -> Path:
    tensors = {
        name + ending: values
        for name, (a, b) in gguf_tensors(model, adapter).items()
        for ending, values in ((".lora_a", a), (".lora_b", b))
    }
    return write_adapter_file(
        path,
        tensors,
        architecture=model.arch,
        alpha=adapter.alpha,
        name=f"tiny {adapter.name}",
        tensor_type=adapter.tensor_type,
    )


def write_adapter_file(
    path: Path,
    tensors: Mapping[str, F32],
    *,
    architecture: str = "llama",
    general_type: str | None = "adapter",
    adapter_type: str | None = "lora",
    alpha: float | None = 8.0,
    name: str = "adapter",
    tensor_type: GGMLQuantizationType = GGMLQuantizationType.F32,
) -> Path:
    """Any adapter, true or false; None leaves a key out."""
    writer = gguf.GGUFWriter(path, architecture)
    if general_type is not None:
        writer.add_type(general_type)
    writer.add_name(name)
    if adapter_type is not None:
        writer.add_string(gguf.Keys.Adapter.TYPE, adapter_type)
    if alpha is not None:
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
    for key, values in tensors.items():
        # What is quantized already is quantized again without a loss.
        exact = tensor_type is GGMLQuantizationType.F32
        data = values if exact else quantize(values, tensor_type)
        writer.add_tensor(key, np.ascontiguousarray(data), raw_dtype=tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def gguf_tensors(model: TinyModel, adapter: TinyAdapter) -> dict[str, tuple[F32, F32]]:
    """(a, b) by the base tensor's name, rows in the order of the base's file."""
    arch = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == model.arch)
    names = gguf.get_tensor_name_map(arch, model.n_layer)
    tensors = {}
    for module, f in factors(model, adapter).items():
        # A head that is tied has a name all the same.
        name = names.get_name(f"{module}.weight", try_suffixes=(".weight",))
        name = "output.weight" if module == HEAD else name
        assert name is not None, module
        # llama.cpp looks the embedding's A up by rows.
        a, b = f.a.T if module == EMBEDDING else f.a, f.b
        if model.arch == "llama" and module.endswith("q_proj"):
            b = interleave_halves(b, model.n_head)
        elif model.arch == "llama" and module.endswith("k_proj"):
            b = interleave_halves(b, model.n_head_kv)
        tensors[name] = (a, b)
    return tensors
