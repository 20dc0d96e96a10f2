"""Tiny models that see pictures, in transformers: seeded weights under a config of their
architecture, in float32 with eager attention, and prompts with pictures. What they compute
is what the core is held to. Needs torch and transformers.

Heads of SigLIP have 72 columns, as so400m has; a picture takes more positions than the
language model's sliding window, so that what it sees of itself must show. Gemma 4's pictures
have sides of their own, and its bounds clip some of what is between them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from tests.goldens.tiny_models import F32, MODELS, TinyModel, uniform, weights
from tests.goldens.transformers_models import transformers_config

U8 = NDArray[np.uint8]

IMAGE_TOKEN = 442
N_VOCAB = 443  # more than any of the tests' tokenizers has


def _text(name: str) -> TinyModel:
    return replace(MODELS[name], n_vocab=N_VOCAB)


@dataclass(frozen=True)
class TinyVision:
    name: str
    text: TinyModel
    kind: str  # model_type of the whole
    image_size: int = 96
    patch_size: int = 8
    n_embd: int = 144
    n_ff: int = 172
    n_layer: int = 2
    n_head: int = 2
    factor: int = 1
    own_sides: tuple[tuple[int, int], ...] = ()  # width and height of each picture

    @property
    def n_tokens(self) -> int:
        """Positions of the first picture; those of squares are all the same."""
        return self.n_tokens_of(0)

    def sides(self, i: int) -> tuple[int, int]:
        return self.own_sides[i] if self.own_sides else (self.image_size, self.image_size)

    def n_tokens_of(self, i: int) -> int:
        width, height = self.sides(i)
        return (width // self.patch_size // self.factor) * (
            height // self.patch_size // self.factor
        )


VISIONS: dict[str, TinyVision] = {
    vision.name: vision
    for vision in (
        TinyVision("gemma3-pictures", _text("gemma3"), "gemma3", factor=2),
        TinyVision("gemma3-pooled-by-4", _text("gemma3"), "gemma3", factor=4),
        TinyVision("paligemma", _text("gemma"), "paligemma", image_size=48),
        TinyVision("paligemma2", _text("gemma2"), "paligemma", image_size=48),
        TinyVision(
            "gemma4-pictures",
            _text("gemma4-e2b"),
            "gemma4",
            n_embd=96,
            n_head=4,
            factor=3,
            own_sides=((168, 96), (72, 144)),
        ),
        # A strip of pixels is behind the last whole patch, as with 384 by 14.
        TinyVision("smolvlm", _text("llama-gqa"), "idefics3", image_size=100, factor=3),
    )
}


def transformers_vision(tiny: TinyVision) -> Any:
    """The whole model."""
    vision: dict[str, Any] = {
        "hidden_size": tiny.n_embd,
        "intermediate_size": tiny.n_ff,
        "num_hidden_layers": tiny.n_layer,
        "num_attention_heads": tiny.n_head,
        "image_size": tiny.image_size,
        "patch_size": tiny.patch_size,
    }
    text = transformers_config(tiny.text)
    gemma4: dict[str, Any] = {
        **vision,
        "num_key_value_heads": tiny.n_head,
        "head_dim": tiny.n_embd // tiny.n_head,
        "pooling_kernel_size": tiny.factor,
        "position_embedding_size": 64,
        "use_clipped_linears": True,
    }
    idefics: Any = transformers.Idefics3Config  # its own arguments are not all typed
    made: dict[str, Any] = {
        "gemma3": lambda: transformers.Gemma3ForConditionalGeneration(
            transformers.Gemma3Config(
                text_config=text,
                vision_config={**vision, "vision_use_head": False},
                mm_tokens_per_image=tiny.n_tokens,
                image_token_index=IMAGE_TOKEN,
            )
        ),
        "gemma4": lambda: transformers.Gemma4ForConditionalGeneration(
            transformers.Gemma4Config(
                text_config=text,
                vision_config=gemma4,
                audio_config=None,
                image_token_id=IMAGE_TOKEN,
            )
        ),
        "paligemma": lambda: transformers.PaliGemmaForConditionalGeneration(
            transformers.PaliGemmaConfig(
                text_config=text,
                vision_config=transformers.SiglipVisionConfig(**vision, vision_use_head=False),
                projection_dim=tiny.text.n_embd,
                hidden_size=tiny.text.n_embd,
                image_token_index=IMAGE_TOKEN,
            )
        ),
        "idefics3": lambda: transformers.Idefics3ForConditionalGeneration(
            idefics(
                text_config=text,
                vision_config=vision,
                scale_factor=tiny.factor,
                image_token_id=IMAGE_TOKEN,
                pad_token_id=0,
                tie_word_embeddings=tiny.text.tied,
            )
        ),
    }
    model = made[tiny.kind]().float().eval()
    model.set_attn_implementation("eager")
    _fill(model, tiny)
    return model


def _fill(model: Any, tiny: TinyVision) -> None:
    drawn = {name: tensor.values for name, tensor in weights(tiny.text).items()}
    state = {}
    for name, value in model.state_dict().items():
        plain = name.replace("model.language_model.", "model.").replace(
            "model.text_model.", "model."
        )
        if plain == "lm_head.weight" and tiny.text.tied:
            plain = "model.embed_tokens.weight"
        values = drawn[plain] if plain in drawn else _values(f"{tiny.name} {name}", value.shape)
        state[name] = torch.from_numpy(values.copy())
    model.load_state_dict(state)
    model.tie_weights()


def _values(name: str, shape: tuple[int, ...]) -> F32:
    """Gains that keep scores a few units wide, where softmax and positions matter."""
    values = uniform(name, tuple(shape))
    if name.endswith(("_min", "_max")):
        # Of what a product reads or writes, a little is behind them.
        width = 2.2 + 0.4 * values
        return np.asarray(-width if name.endswith("_min") else width, np.float32)
    if name.endswith("position_embedding_table"):
        return (0.7 * values).astype(np.float32)
    if "norm" in name and name.endswith("weight") and "soft_emb" not in name:
        values = 1 + 0.5 * values
    elif len(shape) == 1:
        values = 0.5 * values
    elif "position_embedding" not in name:
        gain = 1.6 if "q_proj" in name or "k_proj" in name else 1.0
        across = name.endswith("input_projection_weight")
        n_in = shape[0] if across else int(np.prod(shape[1:]))
        values = values * np.sqrt(3 / n_in) * gain
    return values.astype(np.float32)


def picture(tiny: TinyVision, seed: str, i: int = 0) -> U8:
    """A generated one: smooth, so that neighbouring patches are alike, with some noise."""
    width, height = tiny.sides(i)
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    waves = uniform(f"picture {seed}", (3, 4)) * 9
    smooth = np.stack([np.sin(a * x + b) * np.cos(c * y + d) for a, b, c, d in waves], axis=-1)
    noise = uniform(f"noise {seed}", (height, width, 3))
    return np.clip(127.5 + 90 * smooth + 40 * noise, 0, 255).astype(np.uint8)


def prompt(tiny: TinyVision, pictures: int) -> tuple[list[int], list[int]]:
    """Token ids and where the pictures begin: words before, between and behind them."""
    words = [int(2 + 148 * (1 + u)) % 290 for u in uniform(f"{tiny.name} prompt", (64,))]
    ids: list[int] = [] if tiny.kind == "paligemma" else words[:5]
    at = []
    for i in range(pictures):
        at.append(len(ids))
        ids += tiny.n_tokens_of(i) * [IMAGE_TOKEN]
        if tiny.kind != "paligemma":
            ids += words[5 + 9 * i : 5 + 9 * i + 9]
    return ids + words[40:60], at


def pixel_values(pictures: list[U8]) -> Any:
    """As the processors make them: [n, 3, side, side], between -1 and 1."""
    values = np.stack(pictures).astype(np.float32) / 255
    return torch.from_numpy((values - 0.5) / 0.5).permute(0, 3, 1, 2).contiguous()


def patch_values(tiny: TinyVision, pictures: list[U8]) -> dict[str, Any]:
    """As Gemma 4's processor makes them, by its own functions: patches and where they are."""
    from transformers.models.gemma4 import image_processing_pil_gemma4 as processor

    values, places = [], []
    most = max(tiny.n_tokens_of(i) for i in range(len(pictures))) * tiny.factor**2
    for rgb in pictures:
        height, width, _ = rgb.shape
        chw = rgb.transpose(2, 0, 1).astype(np.float32) / 255
        patches = processor.convert_image_to_patches(chw, tiny.patch_size)
        columns, rows = width // tiny.patch_size, height // tiny.patch_size
        grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows), indexing="xy"), axis=-1)
        padded = processor.pad_along_first_dim(patches, grid.reshape(-1, 2), most)
        values.append(torch.from_numpy(padded[0].astype(np.float32)))
        places.append(torch.from_numpy(padded[1]))
    return {"pixel_values": torch.stack(values), "image_position_ids": torch.stack(places)}


def transformers_features(model: Any, tiny: TinyVision, pictures: list[U8]) -> list[F32]:
    """What the encoder and the projector make of each picture: [n_tokens, n_embd of the text]."""
    if tiny.kind == "gemma4":
        with torch.no_grad():
            out = model.model.get_image_features(**patch_values(tiny, pictures))
        return [np.asarray(one.numpy(), np.float32) for one in out.pooler_output]
    values = pixel_values(pictures)
    with torch.no_grad():
        if tiny.kind == "idefics3":
            out = model.model.get_image_features(values[None])
        else:
            out = model.model.get_image_features(values)
    found = getattr(out, "pooler_output", out)
    if isinstance(found, list | tuple):
        found = torch.stack(list(found))
    shape = len(pictures), tiny.n_tokens, -1
    return list(np.asarray(found.numpy(), np.float32).reshape(shape))


def transformers_logits(
    model: Any, tiny: TinyVision, ids: list[int], pictures: list[U8], answer: list[int]
) -> F32:
    """Logits of every position of the prompt, and of an answer behind it, token by token."""
    tokens = torch.tensor([ids])
    inputs: dict[str, Any] = {}
    if tiny.kind == "gemma4":
        inputs = patch_values(tiny, pictures)
    else:
        values = pixel_values(pictures)
        inputs["pixel_values"] = values[None] if tiny.kind == "idefics3" else values
    if tiny.kind == "gemma3":
        inputs["token_type_ids"] = (tokens == IMAGE_TOKEN).long()
    if tiny.kind == "paligemma":
        inputs["token_type_ids"] = torch.zeros_like(tokens)
    rows = []
    with torch.no_grad():
        out = model(input_ids=tokens, use_cache=True, **inputs)
        rows.append(out.logits[0].numpy())
        for token in answer:
            out = model(
                input_ids=torch.tensor([[token]]),
                past_key_values=out.past_key_values,
                use_cache=True,
            )
            rows.append(out.logits[0].numpy())
    return np.asarray(np.concatenate(rows), np.float32)
