"""What a GGUF says about a model beside its tokens: sizes by architecture, the facts
of the model card, sampling defaults, all in llama.cpp's keys.

Owns the names and types of the keys, which are the gguf library's where it has
them. Knows no tensors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from gguf import GGUFWriter, LlamaFileType, RopeScalingType

from .checkpoint import first_with, read_json_if_there, read_text
from .family import Family
from .hyperparameters import Hyperparameters
from .layers import N_STREAMS, Layers

FILE_TYPES = {
    "f32": LlamaFileType.ALL_F32,
    "f16": LlamaFileType.MOSTLY_F16,
    "bf16": LlamaFileType.MOSTLY_BF16,
}


def add_hyperparameters(writer: GGUFWriter, family: Family, hyper: Hyperparameters) -> None:
    writer.add_vocab_size(hyper.n_vocab)
    writer.add_context_length(hyper.n_ctx)
    writer.add_embedding_length(hyper.n_embd)
    writer.add_block_count(hyper.n_layer)
    writer.add_head_count(hyper.n_head)
    if hyper.layers is not None:
        _add_layers(writer, hyper.layers)
    else:
        writer.add_feed_forward_length(hyper.n_ff)
        kinds = [hyper.memory(i) for i in range(hyper.n_layer)]
        # By this llama.cpp tells which layers attend.
        some = family.recurrence in ("short_convolution", "state_space")
        writer.add_head_count_kv(
            [hyper.n_head_kv if k == "attention" else 0 for k in kinds] if some else hyper.n_head_kv
        )
    writer.add_key_length(hyper.head_dim)
    writer.add_value_length(hyper.head_dim)
    if family.layer_norm:
        writer.add_layer_norm_eps(hyper.norm_epsilon)
    else:
        writer.add_layer_norm_rms_eps(hyper.norm_epsilon)
    if family.rotary:
        writer.add_rope_dimension_count(hyper.rope_dims)
        writer.add_rope_freq_base(hyper.rope_base)
    if not hyper.rotates:  # by this key llama.cpp knows it
        writer.add_rope_scaling_finetuned(False)
    if (factors := hyper.factors) is not None:
        writer.add_embedding_scale(factors.embedding)
        writer.add_attention_scale(factors.attention)
        writer.add_residual_scale(factors.residual)
        writer.add_logit_scale(factors.logits)
    if family.embeds:
        writer.add_causal_attention(False)
    if hyper.start is not None:
        writer.add_decoder_start_token_id(hyper.start)
    if hyper.n_types:
        writer.add_token_type_count(hyper.n_types)
    if hyper.rope_linear_factor != 1:
        writer.add_rope_scaling_type(RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(hyper.rope_linear_factor)
    if (yarn := hyper.yarn) is not None:
        writer.add_rope_scaling_type(RopeScalingType.YARN)
        writer.add_rope_scaling_factor(yarn.factor)
        writer.add_rope_scaling_orig_ctx_len(yarn.original_context)
        writer.add_rope_scaling_yarn_beta_fast(yarn.beta_fast)
        writer.add_rope_scaling_yarn_beta_slow(yarn.beta_slow)
        if yarn.log_multiplier:
            writer.add_rope_scaling_yarn_log_mul(yarn.log_multiplier)
        if yarn.magnitude != 1:
            writer.add_rope_scaling_attn_factors(yarn.magnitude)
    if (long := hyper.long_rope) is not None:
        writer.add_rope_scaling_orig_ctx_len(long.original_context)
        writer.add_rope_scaling_attn_factors(long.magnitude)
    if hyper.temperature:
        writer.add_attn_temperature_scale(hyper.temperature)
    if hyper.rope_base_local is not None:
        writer.add_rope_freq_base_swa(hyper.rope_base_local)
    if hyper.window is not None:
        writer.add_sliding_window(hyper.window)
    if family.writes_pattern:
        layers = range(1, hyper.n_layer + 1)
        writer.add_sliding_window_pattern([i % family.window_pattern != 0 for i in layers])
    if hyper.pooling is not None:
        writer.add_pooling_type(hyper.pooling)
    if "embedding_dim" in family.defaults:
        writer.add_embedding_length_out(hyper.n_embedding)
    if hyper.n_wide:
        writer.add_dense_features_dims("dense_2", hyper.n_embd, hyper.n_wide)
        writer.add_dense_features_dims("dense_3", hyper.n_wide, hyper.n_embedding)
    recurrence = hyper.recurrence
    if recurrence is not None and family.recurrence == "short_convolution":
        writer.add_shortconv_l_cache(recurrence.taps)
    elif recurrence is not None and (space := recurrence.space) is not None:
        writer.add_ssm_conv_kernel(recurrence.taps)
        writer.add_ssm_state_size(space.n_state)
        writer.add_ssm_group_count(space.n_group)
        writer.add_ssm_time_step_rank(space.n_head)
        writer.add_ssm_inner_size(space.width)
    elif recurrence is not None and (delta := recurrence.delta) is not None:
        writer.add_ssm_conv_kernel(recurrence.taps)
        writer.add_ssm_state_size(delta.width)
        writer.add_ssm_group_count(delta.n_key)
        writer.add_ssm_time_step_rank(delta.n_value)
        writer.add_ssm_inner_size(delta.values)
        recurs = [memory == "recurrent" for memory in recurrence.memories]
        writer.add_array(f"{family.architecture}.attention.recurrent_layers", recurs)
        if False in recurs:  # which llama.cpp read before the list
            writer.add_full_attention_interval(recurs.index(False) + 1)
        # Of three positions, which are one in a text; llama.cpp asks for them.
        writer.add_rope_dimension_sections([11, 11, 10, 0])
    elif recurrence is not None:
        for key, value in (
            ("width", recurrence.channels),
            ("block_width", recurrence.block),
            ("conv_kernel", recurrence.taps),
        ):
            writer.add_uint32(f"{family.architecture}.recurrent.{key}", value)
    if hyper.attn_softcap is not None:
        writer.add_attn_logit_softcapping(hyper.attn_softcap)
    if hyper.final_softcap is not None:
        writer.add_final_logit_softcapping(hyper.final_softcap)


def _add_layers(writer: GGUFWriter, layers: Layers) -> None:
    """Numbers of each layer, a single one where they are all the same."""
    writer.add_feed_forward_length(_one_or_all(layers.n_ffs))
    writer.add_head_count_kv(_one_or_all(layers.n_heads_kv))
    if (streams := layers.streams) is not None:
        writer.add_altup_active_idx(0)
        writer.add_altup_num_inputs(N_STREAMS)
        writer.add_activation_sparsity_scale(list(streams.cuts))
    else:
        local = layers.head_dims[layers.local.index(True)] if any(layers.local) else 0
        for add in (
            writer.add_key_length_swa,
            writer.add_value_length_swa,
            writer.add_rope_dimension_count_swa,
        ):
            add(local or max(layers.head_dims))
    writer.add_shared_kv_layers(layers.n_shared)
    writer.add_sliding_window_pattern(list(layers.local))
    writer.add_embedding_length_per_layer_input(layers.n_per_layer)


def _one_or_all(values: Sequence[int]) -> int | list[int]:
    return values[0] if len(set(values)) == 1 else list(values)


def add_facts(writer: GGUFWriter, folders: Sequence[Path], name: str, kind: str = "model") -> None:
    """The model card's licence, languages, tags and base model; the generation
    config's sampling. What the card does not say, or says unreadably, is left out.

    `folders` are those of the adapters, the last one first, and the base's, whose
    card counts; of the generation configs the first."""
    writer.add_type(kind)
    writer.add_name(name)
    card = _model_card(folders[-1] / "README.md")
    for key, add in (
        ("license", writer.add_license),
        ("license_name", writer.add_license_name),
        ("license_link", writer.add_license_link),
    ):
        if isinstance(value := card.get(key), str):
            add(value)
    if languages := _strings(card.get("language")):
        writer.add_languages(languages)
    if tags := _strings(card.get("tags")):
        writer.add_tags(tags)
    if bases := _strings(card.get("base_model")):
        writer.add_base_model_count(len(bases))
        for i, base in enumerate(bases):
            organization, _, model = base.rpartition("/")
            writer.add_base_model_name(i, model.replace("-", " "))
            writer.add_base_model_organization(i, organization)
            if organization:
                writer.add_base_model_repo_url(i, f"https://huggingface.co/{base}")
    sampling = read_json_if_there(first_with("generation_config.json", folders))
    if isinstance(value := sampling.get("temperature"), int | float):
        writer.add_sampling_temp(float(value))
    if isinstance(value := sampling.get("top_p"), int | float):
        writer.add_sampling_top_p(float(value))
    if isinstance(value := sampling.get("top_k"), int):
        writer.add_sampling_top_k(value)


def _model_card(path: Path) -> Mapping[str, Any]:
    """The YAML that opens a model card."""
    text = read_text(path) if path.is_file() else ""
    if not text.startswith("---\n"):
        return {}
    try:
        card = yaml.safe_load(text[4:].split("\n---", 1)[0])
    except yaml.YAMLError:
        return {}
    return card if isinstance(card, dict) else {}


def _strings(value: object) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, str) and item]
