"""Goldens of the tiny models with an encoder and a decoder: for prompts of several lengths
transformers' logits of an answer that is given, from the token that every answer begins with on,
as its generation computes them, token by token with the encoder's outputs kept. Run by make.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from tests.goldens.tiny_models import (
    ANSWERS,
    ENCODER_DECODERS,
    F32,
    TinyModel,
    answer,
    digest,
    sequence,
    weights,
)
from tests.goldens.tiny_t5gemma2 import START

HERE = Path(__file__).parent
COMMAND = "make goldens (tests/goldens/make.py answers)"


def transformers_model(model: TinyModel) -> Any:
    layers: dict[str, object] = {
        "vocab_size": model.n_vocab,
        "hidden_size": model.n_embd,
        "intermediate_size": model.n_ff,
        "num_hidden_layers": model.n_layer,
        "num_attention_heads": model.n_head,
        "num_key_value_heads": model.n_head_kv,
        "head_dim": model.head_dim,
        "query_pre_attn_scalar": model.query_pre_attn_scalar,
        "sliding_window": model.window,
        "layer_types": [
            "sliding_attention" if model.is_local(i) else "full_attention"
            for i in range(model.n_layer)
        ],
        "max_position_embeddings": model.n_ctx_train,
        "rms_norm_eps": model.eps,
        "rope_parameters": {
            "full_attention": {
                "rope_type": "default",
                "rope_theta": model.rope_base,
                **(
                    {"rope_type": "linear", "factor": model.rope_linear_factor}
                    if model.rope_linear_factor != 1
                    else {}
                ),
            },
            "sliding_attention": {"rope_type": "default", "rope_theta": model.rope_base_local},
        },
        "bos_token_id": START,
        "eos_token_id": 1,
        "pad_token_id": 0,
    }
    # The encoder of pictures, which no text reaches, is as small as one can be.
    sight = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
             "num_attention_heads": 1, "image_size": 28, "patch_size": 14}  # fmt: skip
    config: Any = transformers.T5Gemma2Config
    kind: Any = transformers.T5Gemma2ForConditionalGeneration
    encoder = {"text_config": layers, "vision_config": sight, "mm_tokens_per_image": 4}
    hf = kind._from_config(
        config(encoder=encoder, decoder=layers, attn_implementation="eager"),
        attn_implementation="eager",
    )
    hf = hf.float().eval()
    state = {name: torch.from_numpy(t.values.copy()) for name, t in weights(model).items()}
    missing, unexpected = hf.load_state_dict(state, strict=False)
    beside = ("vision_tower", "multi_modal_projector", "eoi_embedding", "embed_tokens", "lm_head")
    if unexpected or any(not any(part in name for part in beside) for name in missing):
        raise RuntimeError(f"{model.name}: missing {missing}, unexpected {unexpected}")
    hf.tie_weights()
    return hf


def transformers_answer(hf: Any, prompt: list[int], given: list[int]) -> F32:
    """Logits behind the first token and behind each of `given`."""
    rows = []
    with torch.no_grad():
        encoded = hf.get_encoder()(input_ids=torch.tensor([prompt]), return_dict=True)
        cache: Any = None
        for token in (START, *given):
            out = hf(
                encoder_outputs=encoded,
                decoder_input_ids=torch.tensor([[token]]),
                past_key_values=cache,
                use_cache=True,
            )
            cache = out.past_key_values
            rows.append(np.asarray(out.logits[0, 0].numpy(), np.float32))
        at_once = hf(
            encoder_outputs=encoded,
            decoder_input_ids=torch.tensor([[START, *given]]),
            use_cache=False,
        )
    found = np.stack(rows)
    whole = np.asarray(at_once.logits[0].numpy(), np.float32)
    apart = float((np.linalg.norm(found - whole, axis=1) / np.linalg.norm(whole, axis=1)).max())
    if not apart < 1e-5:
        raise RuntimeError(f"token by token the logits differ by {apart:.1e} from those at once")
    return found


def main() -> None:
    (HERE / "answers").mkdir(exist_ok=True)
    for model in ENCODER_DECODERS.values():
        hf = transformers_model(model)
        found: dict[str, Any] = {}
        for n, n_answer in ANSWERS:
            prompt, given = sequence(model, n), answer(model, n_answer)
            found[f"{n}.logits"] = transformers_answer(hf, prompt, given)
        np.savez_compressed(
            HERE / "answers" / f"{model.name}.npz",
            **found,
            weights_sha256=digest(model),
            command=COMMAND,
            versions=f"transformers {transformers.__version__}, torch {torch.__version__}, "
            f"numpy {np.__version__}",
        )
        print(f"{model.name}: answers to prompts of {', '.join(str(n) for n, _ in ANSWERS)} tokens")
