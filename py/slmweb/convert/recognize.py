"""Which family of families.py a config is of, and where in a config its language model is.

Owns the kinds of configs that hold others: vision models, encoders with decoders.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .families import FAMILIES
from .family import Family

# A vision model around a family's language model, whose type its own config may leave out.
MULTIMODAL = {
    "gemma3": "gemma3_text",
    "shieldgemma2": "gemma3_text",
    "paligemma": "gemma",
    "idefics3": "llama",
    "smolvlm": "llama",
    "mistral3": "ministral3",
    "gemma3n": "gemma3n_text",
    "gemma4": "gemma4_text",
    "embedding_gemma2": "embedding_gemma2_text",
    "qwen3_5": "qwen3_5_text",
}

# An encoder and a decoder, each with a config of its own in this one; the decoder's has its type.
ENCODER_DECODERS = {"t5gemma2": "t5gemma2_decoder"}

# What the two halves have in common; with as many layers, too.
_ALIKE = (
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "head_dim", "query_pre_attn_scalar", "sliding_window", "rms_norm_eps",
    "hidden_activation", "layer_types", "sliding_window_pattern", "rope_parameters", "rope_scaling",
    "rope_theta", "rope_local_base_freq", "attention_bias", "attn_logit_softcapping",
)  # fmt: skip

# Those of them whose head is their own, unless the config ties it.
UNTIED = ("idefics3", "smolvlm", "qwen3_5")

SEES_PROMPTS_WHOLE = ("paligemma",)  # both ways, and only where there is a picture


def decoder_of(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The config of the decoder of an encoder and a decoder, whose layers are alike; None where
    there is none. Raises ValueError with the key by which the two differ."""
    encoder, decoder = config.get("encoder"), config.get("decoder")
    encoder = encoder.get("text_config") if isinstance(encoder, Mapping) else None
    if not isinstance(encoder, Mapping) or not isinstance(decoder, Mapping):
        return None
    model_type = decoder.get("model_type") or ENCODER_DECODERS[str(config.get("model_type"))]
    family = next((f for f in FAMILIES if f.model_type == model_type), None)
    defaults = family.defaults if family is not None else {}
    for key in _ALIKE:
        own, other = (half.get(key) or defaults.get(key) for half in (decoder, encoder))
        if own != other:
            raise ValueError(key)
    tied = config.get("tie_word_embeddings", True)
    return {**decoder, "model_type": model_type, "tie_word_embeddings": tied}


def family_with(model_type: str, config: Mapping[str, Any]) -> Family | None:
    """The family of a language model's config: of those of one type, the one that sees both ways
    if the config says so."""
    found = [
        family
        for family in FAMILIES
        if family.model_type == model_type
        and (not family.mixed_type or _has_its_parts(family, config))
    ]
    both_ways = bool(config.get("use_bidirectional_attention"))
    return next((f for f in found if len(found) == 1 or f.embeds == both_ways), None)


def _has_its_parts(family: Family, config: Mapping[str, Any]) -> bool:
    """No experts, and layers that remember a state where the family has them; by default there are
    both."""
    kinds = config.get("layer_types")
    kinds = kinds if isinstance(kinds, list) and kinds else ("mamba",)
    attends = all(kind in ("attention", "full_attention") for kind in kinds)
    return config.get("num_local_experts") == 0 and attends != family.recurs
