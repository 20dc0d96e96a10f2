"""Goldens of what is inside: what transformers' own modules hand to each other while they
evaluate the tiny models, taken by hooks; its logits where a hook puts a layer's residual in place
of the last one (the logit lens), and where one adds a direction (steering). Run by make.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from tests.goldens.tiny_models import F32, INSIDE, MODELS, TinyModel, digest, direction, sequence
from tests.goldens.transformers_models import transformers_model

HERE = Path(__file__).parent
COMMAND = "make goldens (tests/goldens/make.py inside)"
N_POSITIONS = 20
SCALE = 3.0


def layers_of(hf: Any) -> Any:
    return hf.model.layers


def mlp_of(layer: Any) -> Any:
    """What a layer adds to its residual last."""
    for name in ("post_feedforward_layernorm", "mlp_block", "feed_forward", "shared_mlp", "mlp"):
        if hasattr(layer, name):
            return getattr(layer, name)
    raise RuntimeError(f"{type(layer).__name__} has no feed-forward network that is known here")


def heads_matrix_of(layer: Any) -> Any:
    """What reads the heads' outputs, or None where a layer recurs."""
    block = getattr(layer, "self_attn", None) or getattr(layer, "temporal_block", None)
    return getattr(block, "o_proj", None) or getattr(block, "out_proj", None)


def of(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) else value


def replaced(value: Any, by: Any) -> Any:
    return (by, *value[1:]) if isinstance(value, tuple) else by


class Hooked:
    """A model and what its hooks have seen, by name."""

    def __init__(self, model: TinyModel) -> None:
        self.hf = transformers_model(model)
        self.seen: dict[str, F32] = {}

    def keep(self, name: str, factor: float = 1.0) -> Callable[..., None]:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            self.seen[name] = np.array((of(output)[0] * factor).numpy(), np.float32)

        return hook

    def keep_input(self, name: str) -> Callable[..., None]:
        def hook(module: Any, inputs: Any) -> None:
            self.seen[name] = np.array(of(inputs)[0].numpy(), np.float32)

        return hook

    def logits(self, ids: list[int], *hooks: Any) -> F32:
        with torch.no_grad():
            out = self.hf(torch.tensor([ids]), use_cache=False).logits[0]
        for hook in hooks:
            hook.remove()
        return np.array(out.numpy(), np.float32)


def inside(model: TinyModel, ids: list[int]) -> dict[str, Any]:
    hooked = Hooked(model)
    layers = layers_of(hooked.hf)
    hooks = []
    # Granite adds a part of what its blocks put out.
    part = getattr(hooked.hf.config, "residual_multiplier", 1.0)
    for i, layer in enumerate(layers):
        hooks.append(layer.register_forward_hook(hooked.keep(f"residual.{i}")))
        hooks.append(mlp_of(layer).register_forward_hook(hooked.keep(f"mlp.{i}", part)))
        if (matrix := heads_matrix_of(layer)) is not None:
            hooks.append(matrix.register_forward_pre_hook(hooked.keep_input(f"heads.{i}")))
    hooked.logits(ids, *hooks)
    seen = dict(hooked.seen)

    middle = len(layers) // 2
    residual = torch.from_numpy(seen[f"residual.{middle - 1}"])[None]
    put = layers[-1].register_forward_hook(lambda m, i, o: replaced(o, residual))
    lens = hooked.logits(ids, put)

    push = SCALE * torch.from_numpy(direction(model))
    put = layers[middle - 1].register_forward_hook(lambda m, i, o: replaced(o, of(o) + push))
    steered = hooked.logits(ids, put)
    kept = {f"{site}.{i}" for site in ("residual", "mlp", "heads") for i in INSIDE[model.name]}
    return {
        **{name: rows for name, rows in seen.items() if name in kept},
        "lens": lens[::5],
        "steered": steered[::5],
    }


def main() -> None:
    (HERE / "inside").mkdir(exist_ok=True)
    for name in INSIDE:
        model = MODELS[name]
        ids = sequence(model, N_POSITIONS)
        np.savez_compressed(
            HERE / "inside" / f"{name}.npz",
            **inside(model, ids),
            ids=np.array(ids, np.int32),
            scale=SCALE,
            weights_sha256=digest(model),
            command=COMMAND,
            versions=f"transformers {transformers.__version__}, torch {torch.__version__}, "
            f"numpy {np.__version__}",
        )
        print(f"{name}: inside layers {INSIDE[name]}")
