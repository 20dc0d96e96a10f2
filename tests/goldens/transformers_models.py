"""The tiny models of tiny_models.py in transformers: the same weights under a config of
their architecture, in float32 with eager attention. What they compute is what
everything else is held to. Needs torch and transformers.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
import transformers

from tests.goldens.tiny_models import F32, TinyModel, weights

GRANITE_FACTORS = (
    "embedding_multiplier",
    "attention_multiplier",
    "residual_multiplier",
    "logits_scaling",
)


def transformers_config(model: TinyModel) -> Any:
    classes: dict[str, Any] = {
        "llama": transformers.LlamaConfig,
        "qwen2": transformers.Qwen2Config,
        "qwen3": transformers.Qwen3Config,
        "smollm3": transformers.SmolLM3Config,
        "phi3": transformers.Phi3Config,
        "granite": transformers.GraniteConfig,
        "olmo2": transformers.Olmo3Config if model.window else transformers.Olmo2Config,
        "mistral3": transformers.Ministral3Config,
        "gemma": transformers.GemmaConfig,
        "gemma2": transformers.Gemma2Config,
        "gemma3": transformers.Gemma3TextConfig,
        "vaultgemma": transformers.VaultGemmaConfig,
        "gemma-embedding": transformers.Gemma3TextConfig,
    }
    if model.arch == "bert":
        kind: Any = transformers.BertConfig
        if model.n_unused_positions:
            kind = partial(transformers.XLMRobertaConfig, pad_token_id=1, type_vocab_size=1)
        return kind(
            vocab_size=model.n_vocab,
            hidden_size=model.n_embd,
            intermediate_size=model.n_ff,
            num_hidden_layers=model.n_layer,
            num_attention_heads=model.n_head,
            max_position_embeddings=model.n_unused_positions + model.n_ctx_train,
            layer_norm_eps=model.eps,
        )
    if model.arch == "recurrentgemma":
        griffin: Any = transformers.RecurrentGemmaConfig
        return griffin(
            vocab_size=model.n_vocab,
            hidden_size=model.n_embd,
            intermediate_size=2 * model.n_ff,
            num_hidden_layers=model.n_layer,
            num_attention_heads=model.n_head,
            num_key_value_heads=model.n_head_kv,
            lru_width=model.n_recurrent,
            conv1d_width=model.n_taps,
            attention_window_size=model.window or 24,
            logits_soft_cap=model.final_softcap or 30.0,
            rms_norm_eps=model.eps,
            max_position_embeddings=model.n_ctx_train,
            attn_implementation="eager",
        )
    if model.arch == "gemma4":
        return _gemma4_config(model)
    if model.arch == "gemma-embedding2":
        return _embedding_gemma2_config(model)
    if model.arch == "lfm2":
        lfm2: Any = transformers.Lfm2Config
        return lfm2(
            vocab_size=model.n_vocab,
            hidden_size=model.n_embd,
            # Of which two thirds remain, rounded up.
            intermediate_size=model.n_ff * 3 // 2 - 8,
            block_multiple_of=model.n_ff // 4,
            num_hidden_layers=model.n_layer,
            num_attention_heads=model.n_head,
            num_key_value_heads=model.n_head_kv,
            layer_types=[
                "conv" if model.recurs(i) else "full_attention" for i in range(model.n_layer)
            ],
            conv_L_cache=model.n_taps,
            norm_eps=model.eps,
            max_position_embeddings=model.n_ctx_train,
            tie_word_embeddings=model.tied,
            rope_parameters={"rope_type": "default", "rope_theta": model.rope_base},
            attn_implementation="eager",
        )
    if model.arch == "qwen35":
        qwen35: Any = transformers.Qwen3_5TextConfig
        return qwen35(
            vocab_size=model.n_vocab,
            hidden_size=model.n_embd,
            intermediate_size=model.n_ff,
            num_hidden_layers=model.n_layer,
            num_attention_heads=model.n_head,
            num_key_value_heads=model.n_head_kv,
            head_dim=model.head_dim,
            linear_conv_kernel_dim=model.n_taps,
            linear_key_head_dim=model.state_dim,
            linear_value_head_dim=model.state_dim,
            linear_num_key_heads=model.n_key_heads,
            linear_num_value_heads=model.n_value_heads,
            layer_types=[
                "linear_attention" if model.recurs(i) else "full_attention"
                for i in range(model.n_layer)
            ],
            rms_norm_eps=model.eps,
            max_position_embeddings=model.n_ctx_train,
            tie_word_embeddings=model.tied,
            rope_parameters={
                "rope_type": "default",
                "rope_theta": model.rope_base,
                "partial_rotary_factor": 0.25,
            },
            attn_implementation="eager",
        )
    if model.arch == "granitehybrid":
        hybrid: Any = transformers.GraniteMoeHybridConfig
        return hybrid(
            vocab_size=model.n_vocab,
            hidden_size=model.n_embd,
            shared_intermediate_size=model.n_ff,
            num_local_experts=0,
            num_hidden_layers=model.n_layer,
            num_attention_heads=model.n_head,
            num_key_value_heads=model.n_head_kv,
            mamba_n_heads=model.n_value_heads,
            mamba_n_groups=model.n_key_heads,
            mamba_d_state=model.state_dim,
            mamba_d_conv=model.n_taps,
            layer_types=[
                "linear_attention" if model.recurs(i) else "full_attention"
                for i in range(model.n_layer)
            ],
            position_embedding_type="nope",
            rms_norm_eps=model.eps,
            max_position_embeddings=model.n_ctx_train,
            tie_word_embeddings=model.tied,
            attn_implementation="eager",
            **dict(zip(GRANITE_FACTORS, model.factors or (), strict=True)),
        )
    rope: dict[str, object] = {"rope_type": "default", "rope_theta": model.rope_base}
    if (scaling := model.llama3_rope) is not None:
        rope |= {
            "rope_type": "llama3",
            "factor": scaling.factor,
            "low_freq_factor": scaling.low_freq_factor,
            "high_freq_factor": scaling.high_freq_factor,
            "original_max_position_embeddings": scaling.original_context,
        }
    if model.rope_linear_factor != 1:
        rope |= {"rope_type": "linear", "factor": model.rope_linear_factor}
    if (yarn := model.yarn) is not None:
        rope |= {
            "rope_type": "yarn",
            "factor": yarn.factor,
            "original_max_position_embeddings": yarn.original_context,
        }
        if yarn.mscale is not None:
            rope |= {"mscale": yarn.mscale, "mscale_all_dim": yarn.mscale}
        if model.temperature is not None:
            rope["llama_4_scaling_beta"] = model.temperature
    if (long := model.long_rope) is not None:
        rope |= {"rope_type": "longrope", **long.factors(model.rope_dims // 2)}
    options: dict[str, object] = {}
    if model.rope_base_local is not None:
        local = {"rope_type": "default", "rope_theta": model.rope_base_local}
        rope = {"full_attention": rope, "sliding_attention": local}
    if model.arch == "phi3":
        rope["partial_rotary_factor"] = model.rotary_share
        options["sliding_window"] = model.window
        if model.long_rope is not None:
            options["original_max_position_embeddings"] = model.long_rope.original_context
    elif model.arch != "qwen2":
        options["head_dim"] = model.head_dim
    if model.query_pre_attn_scalar is not None:
        options |= {
            # VaultGemma's config has a window that no layer looks through.
            "sliding_window": model.window or 24,
            "layer_types": [
                "sliding_attention" if model.is_local(i) else "full_attention"
                for i in range(model.n_layer)
            ],
            "query_pre_attn_scalar": model.query_pre_attn_scalar,
            "attn_logit_softcapping": model.attn_softcap,
            "final_logit_softcapping": model.final_softcap,
        }
    if model.arch == "olmo2" and model.window is not None:
        options["sliding_window"] = model.window
    if model.arch in ("smollm3", "phi3", "olmo2", "mistral3"):
        # Its defaults are ids of a vocabulary that is not tiny.
        options |= {"pad_token_id": None, "bos_token_id": 1, "eos_token_id": 2}
    if model.factors is not None:
        options |= dict(zip(GRANITE_FACTORS, model.factors, strict=True))
    if model.arch == "gemma-embedding":
        options["use_bidirectional_attention"] = True
    return classes[model.arch](
        vocab_size=model.n_vocab,
        hidden_size=model.n_embd,
        intermediate_size=model.n_ff,
        num_hidden_layers=model.n_layer,
        num_attention_heads=model.n_head,
        num_key_value_heads=model.n_head_kv,
        max_position_embeddings=model.n_ctx_train,
        rms_norm_eps=model.eps,
        tie_word_embeddings=model.tied,
        rope_parameters=rope,
        attn_implementation="eager",
        **options,
    )


def _gemma4_config(model: TinyModel) -> Any:
    gemma4: Any = transformers.Gemma4TextConfig
    return gemma4(
        vocab_size=model.n_vocab,
        hidden_size=model.n_embd,
        intermediate_size=model.n_ff,
        num_hidden_layers=model.n_layer,
        num_attention_heads=model.n_head,
        num_key_value_heads=model.n_head_kv,
        head_dim=model.head_dim,
        global_head_dim=model.global_head_dim,
        max_position_embeddings=model.n_ctx_train,
        rms_norm_eps=model.eps,
        sliding_window=model.window,
        layer_types=[
            "sliding_attention" if model.is_local(i) else "full_attention"
            for i in range(model.n_layer)
        ],
        rope_parameters={
            "sliding_attention": {"rope_type": "default", "rope_theta": model.rope_base_local},
            "full_attention": {
                "rope_type": "proportional",
                "partial_rotary_factor": 0.25,
                "rope_theta": model.rope_base,
            },
        },
        final_logit_softcapping=model.final_softcap,
        vocab_size_per_layer_input=model.n_vocab,
        hidden_size_per_layer_input=model.n_per_layer,
        num_kv_shared_layers=model.n_shared,
        use_double_wide_mlp=model.double_wide,
        attn_implementation="eager",
    )


def _embedding_gemma2_config(model: TinyModel) -> Any:
    embedder: Any = transformers.EmbeddingGemma2TextConfig
    return embedder(
        vocab_size=model.n_vocab,
        hidden_size=model.n_embd,
        intermediate_size=model.n_ff,
        num_hidden_layers=model.n_layer,
        num_attention_heads=model.n_head,
        num_key_value_heads=model.n_head_kv,
        num_global_key_value_heads=model.n_global_head_kv,
        head_dim=model.head_dim,
        global_head_dim=model.global_head_dim,
        max_position_embeddings=model.n_ctx_train,
        rms_norm_eps=model.eps,
        sliding_window=model.window,
        sliding_window_pattern=model.window_pattern,
        rope_parameters={
            "sliding_attention": {"rope_type": "default", "rope_theta": model.rope_base_local},
            "full_attention": {"rope_type": "default", "rope_theta": model.rope_base},
        },
        hidden_size_per_layer_input=model.n_per_layer,
        embedding_dim=model.n_embedding,
        attn_implementation="eager",
    )


def transformers_model(model: TinyModel) -> Any:
    auto: Any = transformers.AutoModelForCausalLM
    hf = auto.from_config(transformers_config(model)).float().eval()
    state = {name: torch.from_numpy(t.values.copy()) for name, t in weights(model).items()}
    missing, unexpected = hf.load_state_dict(state, strict=False)
    tied = ["lm_head.weight"] if model.tied else []
    if unexpected or sorted(missing) != tied:
        raise RuntimeError(f"{model.name}: missing {missing}, unexpected {unexpected}")
    hf.tie_weights()
    return hf


def transformers_embedder(model: TinyModel) -> Any:
    """The model without what sentence-transformers put behind it."""
    auto: Any = transformers.AutoModel
    hf = auto.from_config(transformers_config(model)).float().eval()
    state = {
        name.removeprefix("model."): torch.from_numpy(t.values.copy())
        for name, t in weights(model).items()
        if not name.startswith("dense_")
    }
    missing, unexpected = hf.load_state_dict(state, strict=False)
    if unexpected or any(not name.startswith("pooler.") for name in missing):
        raise RuntimeError(f"{model.name}: missing {missing}, unexpected {unexpected}")
    return hf


def transformers_embedding(model: TinyModel, ids: list[int]) -> F32:
    """The embedding as it comes, not scaled to any length."""
    with torch.no_grad():
        hidden = transformers_embedder(model)(torch.tensor([ids])).last_hidden_state[0]
    tensors = weights(model)
    if not model.n_wide:
        mean: F32 = np.asarray(hidden.numpy(), np.float32).mean(axis=0)
        return mean
    embedding: F32 = tensors["dense_3.weight"].values @ (
        tensors["dense_2.weight"].values @ np.asarray(hidden.numpy(), np.float32).mean(axis=0)
    )
    return embedding


def transformers_logits(model: TinyModel, ids: list[int]) -> F32:
    with torch.no_grad():
        out = transformers_model(model)(torch.tensor([ids]), use_cache=False).logits[0]
    return np.asarray(out.numpy(), np.float32)
