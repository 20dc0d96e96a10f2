"""Writes the tiny models of tiny_models.py as GGUF files, in llama.cpp's
conventions: tensor names, metadata keys, the row order of llama's rotary heads,
Gemma's norms with the one added. make_logits.py runs these very files in
llama.cpp, so the conventions are known to be its own. Refuses to know how a
model is computed.
"""

from __future__ import annotations

import math
from pathlib import Path

import gguf
import numpy as np

from tests.goldens import tiny_delta as delta
from tests.goldens import tiny_gemma3n as gemma3n
from tests.goldens import tiny_gemma4 as gemma4
from tests.goldens import tiny_griffin as griffin
from tests.goldens import tiny_space as space
from tests.goldens import tiny_t5gemma2 as t5gemma2
from tests.goldens.tiny_models import (
    EMBEDDERS,
    ENCODER_DECODERS,
    F32,
    MIXED_MODELS,
    MODELS,
    TYPED_MODELS,
    Tensor,
    TinyModel,
    weights,
)

# How those with byte-level tokens cut a text before any merge.
BPE = {"qwen2": "qwen2", "qwen3": "qwen2", "phi3": "gpt-4o", "lfm2": "lfm2", "qwen35": "qwen35"}


def write_gguf(
    name: str, path: Path, *, version: int = 3, split_max_tensors: int = 0
) -> list[Path]:
    """Writes the model `name` of MODELS, EMBEDDERS, ENCODER_DECODERS, TYPED_MODELS or MIXED_MODELS
    and returns its files: `path` alone, or with `split_max_tensors` a set of shards beside it."""
    typed = (TYPED_MODELS | MIXED_MODELS).values()
    model = {**MODELS, **EMBEDDERS, **ENCODER_DECODERS, **{m.name: m for m in typed}}[name]
    return write_model(
        model, weights(model), path, version=version, split_max_tensors=split_max_tensors
    )


def write_model(
    model: TinyModel,
    tensors: dict[str, Tensor],
    path: Path,
    *,
    version: int = 3,
    split_max_tensors: int = 0,
) -> list[Path]:
    writer = gguf.GGUFWriter(path, model.arch, split_max_tensors=split_max_tensors)
    _add_hyperparameters(writer, model)
    if model.arch == "recurrentgemma":
        griffin.add_hyperparameters(writer, model)
    elif model.arch == "gemma3n":
        gemma3n.add_hyperparameters(writer, model)
    elif model.has_gemma4_layers:
        gemma4.add_hyperparameters(writer, model)
    elif model.arch == "t5gemma2":
        t5gemma2.add_hyperparameters(writer, model)
    if model.arch == "lfm2":
        writer.add_shortconv_l_cache(model.n_taps)
    if model.arch == "qwen35":
        delta.add_hyperparameters(writer, model)
    if model.arch == "granitehybrid":
        space.add_hyperparameters(writer, model)
    if model.arch in BPE:
        _add_bpe_tokenizer(writer, model)
    elif model.n_unused_positions:
        _add_unigram_tokenizer(writer, model)
    elif model.arch == "bert":
        _add_wordpiece_tokenizer(writer, model)
    else:
        _add_spm_tokenizer(writer, model)
    if model.arch == "recurrentgemma":
        griffin.add_tensors(writer, model, tensors)
    elif model.arch == "t5gemma2":
        t5gemma2.add_tensors(writer, tensors)
    else:
        _add_tensors(writer, model, tensors)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    files = writer.format_shard_names(path)
    writer.close()
    if version == 2:  # the same layout as 3, little-endian only
        for file in files:
            content = bytearray(file.read_bytes())
            content[4:8] = (2).to_bytes(4, "little")
            file.write_bytes(content)
    return files


def _add_hyperparameters(writer: gguf.GGUFWriter, model: TinyModel) -> None:
    writer.add_name(f"tiny {model.name}")
    writer.add_license("apache-2.0")
    writer.add_block_count(model.n_layer)
    writer.add_context_length(model.n_ctx_train)
    writer.add_embedding_length(model.n_embd)
    if not model.has_gemma4_layers and model.arch != "gemma3n":
        writer.add_feed_forward_length(model.n_ff)
    writer.add_head_count(model.n_head)
    if model.arch in ("lfm2", "granitehybrid"):  # llama.cpp finds its layers by this
        of_layers = [0 if model.recurs(i) else model.n_head_kv for i in range(model.n_layer)]
        writer.add_head_count_kv(of_layers)
    elif not model.has_gemma4_layers:
        writer.add_head_count_kv(model.n_head_kv)
    if model.arch == "bert":
        writer.add_layer_norm_eps(model.eps)
        writer.add_causal_attention(False)
        writer.add_token_type_count(1 if model.n_unused_positions else 2)
    else:
        writer.add_layer_norm_rms_eps(model.eps)
    if model.arch not in ("gemma", "bert"):  # llama.cpp's converter writes none for it
        writer.add_rope_freq_base(model.rope_base)
    if model.rotates_neighbours:
        writer.add_vocab_size(model.n_vocab)
        writer.add_rope_dimension_count(model.head_dim)
    if model.arch == "phi3":
        writer.add_rope_dimension_count(model.rope_dims)
        if model.window is None:  # by which llama.cpp tells it from older files, which had none
            writer.add_sliding_window(0)
    if (long := model.long_rope) is not None:
        writer.add_rope_scaling_orig_ctx_len(long.original_context)
        scale = model.n_ctx_train / long.original_context
        magnitude = math.sqrt(1 + math.log(scale) / math.log(long.original_context))
        writer.add_rope_scaling_attn_factors(magnitude)
    if model.head_dim * model.n_head != model.n_embd and not model.has_gemma4_layers:
        writer.add_key_length(model.head_dim)
        writer.add_value_length(model.head_dim)
    if model.width_of_window is not None:
        writer.add_sliding_window(model.width_of_window)
    if model.rope_linear_factor != 1:
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(model.rope_linear_factor)
    if model.attn_softcap is not None:
        writer.add_attn_logit_softcapping(model.attn_softcap)
    if model.final_softcap is not None:
        writer.add_final_logit_softcapping(model.final_softcap)
    if (yarn := model.yarn) is not None:
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(yarn.factor)
        writer.add_rope_scaling_orig_ctx_len(yarn.original_context)
        if yarn.mscale is not None:
            writer.add_rope_scaling_yarn_log_mul(yarn.mscale)
    if model.temperature is not None:
        writer.add_attn_temperature_scale(model.temperature)
    if model.factors is not None:
        embedding, attention, residual, logits = model.factors
        writer.add_embedding_scale(embedding)
        writer.add_attention_scale(attention)
        writer.add_residual_scale(residual)
        writer.add_logit_scale(logits)
    if model.n_embedding:
        writer.add_pooling_type(gguf.PoolingType.MEAN)
    if model.n_wide:
        writer.add_dense_features_dims("dense_2", model.n_embd, model.n_wide)
        writer.add_dense_features_dims("dense_3", model.n_wide, model.n_embedding)


def _add_tensors(writer: gguf.GGUFWriter, model: TinyModel, tensors: dict[str, Tensor]) -> None:
    # Of those that gguf does not know.
    likes = {"vaultgemma": "gemma2", "gemma-embedding2": "gemma4"}
    known = likes.get(model.arch, model.arch)
    arch = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == known)
    names = gguf.get_tensor_name_map(arch, model.n_layer)
    if model.llama3_rope is not None:
        writer.add_tensor("rope_freqs.weight", rope_factors(model))
    if model.long_rope is not None:
        for key, factors in model.long_rope.factors(model.rope_dims // 2).items():
            kind = key.removesuffix("_factor")
            writer.add_tensor(f"rope_factors_{kind}.weight", np.array(factors, np.float32))
    if model.arch == "gemma4":
        writer.add_tensor("rope_freqs.weight", gemma4.rope_factors(model))
    if model.arch == "granitehybrid":
        tensors = {
            name: Tensor(part)
            for whole, tensor in tensors.items()
            for name, part in space.parts_of(whole, tensor.values, model).items()
        }
    if model.arch == "gemma3n":
        for whole, matrices in gemma3n.stacked(tensors).items():
            writer.add_tensor(whole, matrices)
    plain_norms = model.has_gemma4_layers or model.arch == "gemma3n"
    for hf_name, tensor in tensors.items():
        if ".altup_projections." in hf_name or ".altup_unembed_projections." in hf_name:
            continue
        # What is no parameter but a buffer has no ending, which llama.cpp's converter adds.
        bare = hf_name.endswith(("layer_scalar", "correct_output_scale"))
        named = f"{hf_name}.weight" if bare else hf_name
        named = named.replace(".dt_bias", ".dt_proj.bias")
        if model.arch == "gemma-embedding2":
            named = gemma4.name_in_gemma4(named)
        name = names.get_name(named, try_suffixes=(".weight", ".bias"))
        assert name is not None, hf_name
        if tensor.blocks is not None:
            assert model.arch == "qwen2", "the other conversions move rows or change values"
            writer.add_tensor(name, tensor.blocks, raw_dtype=model.type_of(hf_name))
            continue
        values = tensor.values
        if model.arch == "qwen35":
            values = delta.values_of(hf_name, values, model)
        if ".position_embeddings." in hf_name:
            values = values[model.n_unused_positions :]
        if hf_name.endswith("conv.conv.weight"):
            values = values[:, 0]
        if model.is_gemma and not plain_norms and hf_name.endswith("norm.weight"):
            values = values + 1
        elif model.rotates_neighbours and ".q_proj." in hf_name:
            values = interleave_halves(values, model.n_head)
        elif model.rotates_neighbours and ".k_proj." in hf_name:
            values = interleave_halves(values, model.n_head_kv)
        writer.add_tensor(name, np.ascontiguousarray(values))


def interleave_halves(rows: F32, n_head: int) -> F32:
    """Transformers rotates row i of a head with row i + head_dim / 2, llama.cpp
    for llama row 2 i with row 2 i + 1: the converter reorders the rows."""
    heads = rows.reshape(n_head, 2, -1, rows.shape[1])
    return heads.swapaxes(1, 2).reshape(rows.shape)


def rope_factors(model: TinyModel) -> F32:
    """What each rotary frequency is divided by under Llama 3.1's scaling: one
    for short wavelengths, `factor` for long ones, a blend between."""
    rope = model.llama3_rope
    assert rope is not None
    factors = []
    for i in range(0, model.head_dim, 2):
        wavelength = 2 * math.pi * model.rope_base ** (i / model.head_dim)
        turns = rope.original_context / wavelength
        if turns > rope.high_freq_factor:
            factors.append(1.0)
        elif turns < rope.low_freq_factor:
            factors.append(rope.factor)
        else:
            blend = (turns - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor)
            factors.append(1 / ((1 - blend) / rope.factor + blend))
    return np.array(factors, np.float32)


def _add_vocabulary(
    writer: gguf.GGUFWriter, model: TinyModel, tokens: list[tuple[str, gguf.TokenType, float]]
) -> None:
    """Fills the vocabulary up with unused tokens, as llama.cpp's converter does."""
    tokens = tokens + [
        (f"[PAD{i}]", gguf.TokenType.UNUSED, -1000.0) for i in range(len(tokens), model.n_vocab)
    ]
    writer.add_token_list([text for text, _, _ in tokens])
    writer.add_token_types([kind for _, kind, _ in tokens])
    if model.arch not in (*BPE, "bert") or model.n_unused_positions:
        writer.add_token_scores([score for _, _, score in tokens])


def _add_spm_tokenizer(writer: gguf.GGUFWriter, model: TinyModel) -> None:
    kind = gguf.TokenType
    if model.is_gemma:
        special = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
        eos, bos, unk = 1, 2, 3
    else:
        special = ["<unk>", "<s>", "</s>"]
        unk, bos, eos = 0, 1, 2
    tokens = [(t, kind.UNKNOWN if t == "<unk>" else kind.CONTROL, 0.0) for t in special]
    tokens += [(f"<0x{byte:02X}>", kind.BYTE, 0.0) for byte in range(256)]
    pieces = [
        *("▁t", "he", "▁the", "in", "er", "an", "▁a", "on", "re", "▁"),
        *"etaoinsrhlducm",
    ]
    tokens += [(piece, kind.NORMAL, -float(rank)) for rank, piece in enumerate(pieces)]
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    _add_vocabulary(writer, model, tokens)
    writer.add_bos_token_id(bos)
    writer.add_eos_token_id(eos)
    writer.add_unk_token_id(unk)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(not model.is_gemma)


def _add_bpe_tokenizer(writer: gguf.GGUFWriter, model: TinyModel) -> None:
    kind = gguf.TokenType
    merges = ["Ġ t", "h e", "Ġt he", "i n", "e r", "a n", "Ġ a", "o n", "r e"]
    tokens = [(char, kind.NORMAL, 0.0) for char in byte_characters()]
    tokens += [(merge.replace(" ", ""), kind.NORMAL, 0.0) for merge in merges]
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    first = len(tokens)
    tokens += [(text, kind.CONTROL, 0.0) for text in special]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(BPE[model.arch])
    _add_vocabulary(writer, model, tokens)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(first)
    writer.add_eos_token_id(first + 2)
    writer.add_pad_token_id(first)
    writer.add_add_bos_token(False)


def _add_wordpiece_tokenizer(writer: gguf.GGUFWriter, model: TinyModel) -> None:
    kind = gguf.TokenType
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens = [(text, kind.CONTROL, 0.0) for text in special]
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,!?<>"
    tokens += [("▁" + letter, kind.NORMAL, 0.0) for letter in letters]
    tokens += [(piece, kind.NORMAL, 0.0) for piece in (*letters, "▁the", "▁rain", "in", "an", "er")]
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    _add_vocabulary(writer, model, tokens)
    for i, name in enumerate(("padding", "unknown", "cls", "seperator", "mask")):
        writer.add_uint32(f"tokenizer.ggml.{name}_token_id", i)


def _add_unigram_tokenizer(writer: gguf.GGUFWriter, model: TinyModel) -> None:
    kind = gguf.TokenType
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    tokens = [(t, kind.UNKNOWN if t == "<unk>" else kind.CONTROL, 0.0) for t in special]
    pieces = ("▁the", "▁", "▁rain", "in", "an", "er", *"abcdefghijklmnopqrstuvwxyz0123456789.,!?<>")
    tokens += [(piece, kind.NORMAL, -2 - rank / 8) for rank, piece in enumerate(pieces)]
    writer.add_tokenizer_model("t5")
    writer.add_tokenizer_pre("default")
    _add_vocabulary(writer, model, tokens)
    for i, name in enumerate(("bos", "padding", "eos", "unknown")):
        writer.add_uint32(f"tokenizer.ggml.{name}_token_id", i)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(True)
    writer.add_add_space_prefix(True)
    writer.add_remove_extra_whitespaces(True)


def byte_characters() -> list[str]:
    """GPT-2's printable character for each byte: Latin-1 where it is printable,
    else the next one from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return [
        chr(byte) if byte in printable else chr(0x100 + others.index(byte)) for byte in range(256)
    ]
