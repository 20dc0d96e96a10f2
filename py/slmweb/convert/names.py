"""What a checkpoint's tensors are called without what was put around the model: vision
models, and the wrappers with which training libraries save.

Owns the prefixes. The plain names are those of transformers' causal language models,
"model.layers.0.…" and "lm_head.weight".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..errors import SlmError
from .safetensors import Tensor

# Parts of names that torch.compile, FSDP, activation checkpoints and DeepSpeed leave.
_WRAPPERS = frozenset(
    ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module")
)
_VISION = (
    "vision_tower",
    "vision_model",
    "multi_modal_projector",
    "connector",
    "embed_vision",
    "audio_tower",
    "embed_audio",
    "visual",
)
_AUDIO = ("audio_tower", "embed_audio")
# Where a vision model keeps its language model, and an encoder and a decoder that one.
_LANGUAGE = (
    "language_model.model.",
    "model.language_model.",
    "model.text_model.",
    "model.decoder.",
    "model.",
)
# What stands before an encoder's layers beside a decoder's; the embeddings are those of both.
_DECODER, _ENCODERS = "decoder.", ("encoder.text_model.", "encoder.")
_SHARED = "embed_tokens."
_HEAD = "lm_head.weight"
_PROJECTED = "lm_head.out_proj."  # a head of several classes' module
# Every family has one of these.
_FIRST = tuple(
    f"layers.0.{norm}.weight"
    for norm in ("input_layernorm", "temporal_pre_norm", "operator_norm", "self_attn.q_norm")
)
_AHEAD = "mtp."  # layers that guess more tokens ahead
_BARE = (
    *("layers.", "embed_tokens.", "norm.", "final_norm.", "embedding_norm."),
    *("ple.", "embedding_projection."),
)


def canonical(name: str) -> str | None:
    """The plain name of one tensor or module; None for what is not the language model's.

    Knows the prefixes of transformers' own classes, the bare model among them.
    """
    parts = [part for part in name.split(".") if part not in _WRAPPERS]
    plain = ".".join(parts)
    if any(part in _VISION for part in parts[:2]):
        return None
    for encoder in _ENCODERS:
        if plain.startswith("model." + encoder):
            return _of_encoder(plain.removeprefix("model." + encoder))
    for prefix in _LANGUAGE:
        if plain.startswith(prefix):
            return "model." + plain.removeprefix(prefix)
    plain = plain.removeprefix("language_model.")
    return "model." + plain if plain.startswith(_BARE) else plain


def _of_encoder(name: str) -> str:
    return ("model." if name.startswith(_SHARED) else "model.encoder.") + name


def _decoder_among(prefixes: set[str]) -> tuple[str, str] | None:
    """The prefixes of a decoder and of its encoder, where these are just the two."""
    for decoder in prefixes:
        for encoder in _ENCODERS:
            both = {decoder, decoder.removesuffix(_DECODER) + encoder}
            if decoder.endswith(_DECODER) and prefixes == both:
                return decoder, decoder.removesuffix(_DECODER) + encoder
    return None


def plain_names(names: Iterable[str], where: str) -> dict[str, str]:
    """The plain names of a checkpoint's tensors to those in its files, without what is not
    the language model's.

    Whatever all layers' names begin with is a prefix. Raises SlmError "unsupported"
    where there are several.
    """
    all_names = {name: ".".join(p for p in name.split(".") if p not in _WRAPPERS) for name in names}
    given = {
        name: short
        for name, short in all_names.items()
        if not any(f"{part}." in short for part in _VISION)
    }
    prefixes = {
        name.removesuffix(first)
        for name in given.values()
        for first in _FIRST
        if not name.startswith(_AHEAD) and (name == first or name.endswith("." + first))
    }
    # A second stack of layers beside a plain one is refused by its tensors' names.
    prefix = "model." if "model." in prefixes or not prefixes else min(prefixes)
    encoder = None
    if (pair := _decoder_among(prefixes)) is not None:
        prefix, encoder = pair
    elif len(prefixes) > 1 and "model." not in prefixes:
        listed = " and ".join(repr(p) for p in sorted(prefixes))
        raise SlmError(
            "unsupported",
            f"{where} has the layers of several models, with the prefixes {listed}; save the one "
            "to be converted alone",
        )
    plain: dict[str, str] = {}
    for name, short in given.items():
        short = short.replace(_PROJECTED, "lm_head.")
        if short == _HEAD or (
            short.endswith("." + _HEAD) and prefix.startswith(short.removesuffix(_HEAD))
        ):
            short = _HEAD
        elif short.startswith(prefix):
            short = "model." + short.removeprefix(prefix)
        elif encoder is not None and short.startswith(encoder):
            short = _of_encoder(short.removeprefix(encoder))
        else:
            short = short.removeprefix("bert.").removeprefix("roberta.")  # what classes call it
        if short in plain:
            raise SlmError(
                "unsupported",
                f"{where} has both '{plain[short]}' and '{name}', which are one tensor under "
                "different prefixes; save the checkpoint with one of them",
            )
        plain[short] = name
    return plain


def has_audio(names: Iterable[str]) -> bool:
    """Whether a checkpoint has a part that hears."""
    return any(part in _AUDIO for name in names for part in name.split("."))


def vision_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a checkpoint's encoder of pictures and of its projector, by their names
    without whatever stands before."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        parts = [part for part in name.split(".") if part not in _WRAPPERS]
        inside = [i for i, part in enumerate(parts) if part in _VISION]
        if inside and parts[inside[-1]] not in _AUDIO:
            found[".".join(parts[inside[-1] + 1 :])] = tensor
    return found
