"""Kinds of models that do not run here: what each is, and what to use in its place.

Owns the names by which they are met, in a config.json (`model_type`) and in a GGUF
(`general.architecture`), and what else gives a kind away. Whoever refuses a model asks here last,
so that a name that becomes a family of its own counts no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kind:
    what: str
    instead: str
    names: frozenset[str]
    keys: tuple[str, ...] = ()  # of a config: one that is true, filled, or a number above one


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# The first that fits counts: what hears may see as well, and have experts.
KINDS = (
    Kind(
        "a model that hears or speaks",
        "a model of text instead, such as gemma3-1b-it",
        _names(
            """
            bark canary csm dia fastspeech2_conformer gemma3n granite_speech higgs_audio_v2 hubert
            kyutai_speech_to_text moonshine moshi musicgen musicgen_melody parakeet_ctc parakeet_tdt
            phi4_multimodal pocket_tts qwen2_5_omni qwen2_audio qwen3_asr qwen3_omni_moe
            seamless_m4t seamless_m4t_v2 speech_to_text speecht5 vibevoice vits voxtral wav2vec2
            wav2vec2-bert wavlm wavtokenizer-dec whisper
            """
        ),
        ("audio_config",),
    ),
    Kind(
        "a diffusion model, which does not write one token after the other",
        "a model that does instead, such as qwen3-0.6b",
        _names("diffusion_gemma dream llada llada-moe rnd1"),
    ),
    Kind(
        "a mixture of experts, all of which have to be in memory though few compute",
        "a dense model instead, such as qwen3-0.6b",
        _names(
            """
            afmoe arctic bailingmoe bailingmoe2 cohere2_moe dbrx deepseek deepseek2 deepseek_v2
            deepseek_v3 deepseek_v32 dots1 ernie4_5-moe ernie4_5_moe exaone-moe exaone_moe flex_olmo
            glm4_moe glm4moe gpt-oss gpt_oss granitemoe grok grovemoe hunyuan-moe
            hunyuan_v1_moe jetmoe kimi-linear kimi_k25 kimi_linear lfm2_moe lfm2moe llama4
            llama4_text longcat_flash mimo2 minimax minimax-m2 minimax_m2 mixtral nemotron_h_moe
            nomic-bert-moe olmoe phimoe qwen2_moe qwen2moe qwen35moe qwen3_5_moe qwen3_moe
            qwen3_next qwen3moe qwen3next smallthinker
            """
        ),
        ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"),
    ),
    Kind(
        "a model of images",
        "a model of text instead, such as gemma3-1b-it",
        _names(
            """
            aya_vision blip blip-2 chameleon clip cogvlm colpali deepseek2-ocr emu3 florence2 fuyu
            glm4v idefics3 internvl janus kosmos-2 llava llava_next llava_onevision mllama molmo2
            ovis2 paddleocr pixtral qwen2_5_vl qwen2_vl qwen2vl qwen3_vl qwen3vl qwen3vlmoe sam
            siglip siglip2 smolvlm trocr vision-encoder-decoder vit
            """
        ),
        ("vision_config",),
    ),
    Kind(
        "made of an encoder and a decoder",
        "a model that is a decoder alone instead, such as gemma3-1b-it",
        _names("bart blenderbot led longt5 m2m_100 marian mbart mt5 pegasus t5 t5encoder umt5"),
        ("is_encoder_decoder",),
    ),
    Kind(
        "an encoder, which reads text and writes none",
        "a model that writes instead, such as gemma3-270m-it, which can be tuned to name a class",
        _names(
            """
            albert camembert deberta deberta-v2 distilbert electra esm eurobert jina-bert-v2
            jina-bert-v3 longformer mobilebert modern-bert modernbert mpnet neo-bert nomic-bert
            nomic_bert roberta xlm-roberta xlm-roberta-xl
            """
        ),
    ),
    Kind(
        "a model that carries a state from token to token in place of attention, in some layers",
        "one with attention in every layer instead, such as smollm2-360m-instruct",
        _names(
            """
            arwkv7 bamba falcon-h1 falcon_h1 falcon_mamba granitehybrid jamba mamba mamba2
            nemotron_h plamo2 rwkv rwkv6 rwkv6qwen2 rwkv7 xlstm zamba zamba2
            """
        ),
        ("ssm_cfg", "mamba_d_state"),
    ),
)


def advice(name: object, config: Mapping[str, Any] | None = None) -> str | None:
    """What a model of that name is, and what to use in its place; None where nobody knows."""
    kind = next((kind for kind in KINDS if str(name) in kind.names), None)
    if kind is None and config is not None:
        kind = next((k for k in KINDS if any(_says(config.get(key)) for key in k.keys)), None)
    return None if kind is None else f"it is {kind.what}; use {kind.instead} (see `slmweb models`)"


def _says(value: object) -> bool:
    return value > 1 if isinstance(value, int) and not isinstance(value, bool) else bool(value)
