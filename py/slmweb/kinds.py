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
    types: frozenset[str] = frozenset()  # of configs whose keys count; empty: all


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# The first that fits counts: what hears may see as well, and have experts.
KINDS = (
    Kind(
        "a mixture of experts of Granite 4, all of which have to be in memory though few compute",
        "granite4-h-1b instead",
        frozenset(),
        ("num_local_experts", "mamba_d_state"),  # by default there are experts
        _names("granitemoehybrid"),
    ),
    Kind(
        "one of the larger Gemma 4 models, which need more memory than a page has, or their draft",
        "gemma-4-e2b-it or gemma-4-e4b-it instead",
        _names(
            """
            gemma4_assistant gemma4_unified gemma4_unified_assistant
            gemma4_unified_text
            """
        ),
    ),
    Kind(
        "a model that hears or speaks",
        "a model of text instead, such as gemma3-1b-it",
        _names(
            """
            audio-spectrogram-transformer audioflamingo3 bark canary clap clvp csm dac
            data2vec-audio dia encodec fastspeech2_conformer granite_speech
            granite_speech_plus higgs_audio_v2 hubert kyutai_speech_to_text mimi moonshine
            moonshine_streaming moshi moss_transcribe_diarize musicgen musicgen_melody neucodec
            parakeet_ctc parakeet_tdt phi4_multimodal pocket_tts qwen2_5_omni qwen2_audio qwen3_asr
            qwen3_omni_moe seamless_m4t seamless_m4t_v2 sew sew-d speech_to_text speecht5 unispeech
            unispeech-sat univnet vibevoice vibevoice_asr vits voxtral voxtral_realtime wav2vec2
            wav2vec2-bert wav2vec2-conformer wavlm wavtokenizer-dec whisper xcodec xcodec2
            """
        ),
        ("audio_config",),
    ),
    Kind(
        "a diffusion model, which does not write one token after the other",
        "a model that does instead, such as qwen3-0.6b",
        _names(
            """
            diffusion_gemma diffusion_gemma_text dream llada llada-moe rnd1 vibevoice_diffusion
            """
        ),
    ),
    Kind(
        "a mixture of experts, all of which have to be in memory though few compute",
        "a dense model instead, such as qwen3-0.6b",
        _names(
            """
            afmoe arctic bailingmoe bailingmoe2 cohere2_moe dbrx deepseek deepseek2 deepseek_v2
            deepseek_v3 deepseek_v32 dots1 ernie4_5-moe ernie4_5_moe exaone-moe exaone_moe flex_olmo
            glm-dsa glm4_moe glm4moe glm_moe_dsa gpt-oss gpt_oss granitemoe grok
            grovemoe hunyuan-moe hunyuan_v1_moe hy_v3 hy_v4 jetmoe kimi-linear kimi_k25 kimi_linear
            laguna lfm2_moe lfm2moe llama4 llama4_text longcat_flash mimo2 minimax minimax-m2
            minimax_m2 mistral4 mixtral nemotron_h_moe nomic-bert-moe olmoe phimoe qwen2_moe
            qwen2moe qwen35moe qwen3_5_moe qwen3_moe qwen3_next qwen3moe qwen3next smallthinker
            step35
            """
        ),
        ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"),
    ),
    Kind(
        "a model of images",
        "a model of text instead, such as gemma3-1b-it",
        _names(
            """
            align altclip aya_vision beit bit blip blip-2 bridgetower chameleon chinese_clip clip
            clipseg cogvlm colpali convnext convnextv2 cvt deepseek2-ocr deit depth_anything detr
            dinov2 dinov2_with_registers dinov3_convnext dinov3_vit donut-swin dpt efficientnet emu3
            flava florence2 focalnet fuyu git glm4v glm4v_moe groupvit hiera hunyuan_vl
            imagegpt internvl janus kosmos-2 layoutlm layoutlmv2 layoutlmv3 levit llava llava_next
            llava_onevision lxmert mask2former maskformer mllama mobilevit mobilevitv2 molmo2 ovis2
            owlv2 owlvit paddleocr perceiver pix2struct pixtral poolformer pvt qwen2_5_vl qwen2_vl
            qwen2vl qwen3_vl qwen3vl qwen3vlmoe regnet resnet sam sam2 segformer siglip siglip2
            swin swinv2 timm_wrapper trocr videomae vilt vision-encoder-decoder visual_bert
            vit vit_mae vit_msn vivit yolos
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
            albert bert-generation big_bird camembert canine convbert data2vec-text deberta
            deberta-v2 distilbert dpr electra ernie esm esmc eurobert flaubert fnet funnel gte ibert
            jina-bert-v2 jina-bert-v3 jina_embeddings_v3 lilt longformer luke markuplm megatron-bert
            mobilebert modern-bert modernbert mpnet mra neo-bert nomic-bert nomic_bert nystromformer
            rembert roberta roberta-prelayernorm roc_bert roformer splinter squeezebert tapas xlm
            xlm-roberta-xl xlnet xmod yoso
            """
        ),
    ),
    Kind(
        "a model that carries a state from token to token in place of attention, in some layers",
        "one with attention in every layer instead, such as smollm2-360m-instruct",
        _names(
            """
            arwkv7 bamba falcon-h1 falcon_h1 falcon_mamba jamba mamba mamba2
            nemotron_h olmo_hybrid plamo2 rwkv rwkv6 rwkv6qwen2 rwkv7 xlstm zamba zamba2
            """
        ),
        ("ssm_cfg", "mamba_d_state"),
    ),
)


def advice(name: object, config: Mapping[str, Any] | None = None) -> str | None:
    """What a model of that name is, and what to use in its place; None where nobody knows."""
    kind = next((kind for kind in KINDS if str(name) in kind.names), None)
    if kind is None and config is not None:
        kind = next(
            (
                kind
                for kind in KINDS
                if (not kind.types or str(name) in kind.types)
                and any(_says(config.get(key)) for key in kind.keys)
            ),
            None,
        )
    return None if kind is None else f"it is {kind.what}; use {kind.instead} (see `slmweb models`)"


def _says(value: object) -> bool:
    return value > 1 if isinstance(value, int) and not isinstance(value, bool) else bool(value)
