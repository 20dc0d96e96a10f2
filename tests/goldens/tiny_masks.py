"""A decoder of masks like PaliGemma's, in PyTorch: the layers of big_vision's segmentation.py under
seeded weights by the names of vae-oid.npz. Both of our decoders are held to what it computes.

Run as a program it makes masks.json again, for the page's: `python -m tests.goldens.tiny_masks`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

F32 = NDArray[np.float32]
GOLDEN = Path(__file__).parent / "masks.json"
CODES: tuple[tuple[int, ...], ...] = (
    (0, 127, 64, 3, 99, 5, 17, 42, 120, 77, 8, 31, 63, 64, 1, 126),
    tuple(range(40, 56)),
)


class _Residual(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(n, n, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(n, n, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(n, n, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = x + self.net(x)
        return out


@cache
def decoder() -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(512, 128, 1), nn.ReLU(), _Residual(128), _Residual(128)]
    n_in = 128
    for n_out in (128, 64, 32, 16):
        layers += [nn.ConvTranspose2d(n_in, n_out, 4, stride=2, padding=1), nn.ReLU()]
        n_in = n_out
    found = nn.Sequential(*layers, nn.Conv2d(n_in, 1, 1)).eval()
    found.load_state_dict(
        {name: torch.from_numpy(_values(name, tuple(value.shape)))
         for name, value in found.state_dict().items()}
    )  # fmt: skip
    return found


def noise(name: str, shape: tuple[int, ...], gain: float) -> F32:
    """Between -gain and gain, by integers that any language counts alike: a hash of the name and of
    the place."""
    seed = 2166136261
    for byte in name.encode():
        seed = (seed ^ byte) * 16777619 % (1 << 32)
    h = np.arange(int(np.prod(shape)), dtype=np.uint32) * np.uint32(2654435761) + np.uint32(seed)
    for shift in (16, 13):
        h = (h ^ (h >> np.uint32(shift))) * np.uint32(2246822519)
    values = ((h >> np.uint32(8)).astype(np.float64) / 2**23 - 1) * gain
    return values.astype(np.float32).reshape(shape)


def _values(name: str, shape: tuple[int, ...]) -> F32:
    """Noise that neither dies out nor grows on its way."""
    if len(shape) == 1:
        return noise(name, shape, 0.25)
    # Of a transposed convolution's 4 x 4 a pixel gets 2 x 2.
    doubles = shape[2] == 4
    n_in = 4 * shape[0] if doubles else int(np.prod(shape[1:]))
    return noise(name, shape, float(np.sqrt(6 / n_in)))


def codebook() -> F32:
    return noise("codebook", (128, 512), 1.0)


def published() -> dict[str, Any]:
    """What vae-oid.npz holds, by its names; some of the training's own is there, too."""
    state = {f"decoder.{name}": value.numpy() for name, value in decoder().state_dict().items()}
    return {
        "_vq_vae._embedding": codebook(),
        "encoder.0.weight": np.ones((3, 3), np.float32),
        **state,
    }


def decoded(codes: Sequence[int]) -> F32:
    """[64, 64]."""
    rows = torch.from_numpy(codebook()[list(codes)])
    with torch.no_grad():
        mask: F32 = decoder()(rows.reshape(1, 4, 4, 512).permute(0, 3, 1, 2))[0, 0].numpy()
    return mask


def sampled(mask: F32) -> list[float]:
    """Every seventh value."""
    return [round(float(value), 6) for value in mask.reshape(-1)[::7]]


def main() -> None:
    masks = [{"codes": codes, "values": sampled(decoded(codes))} for codes in CODES]
    GOLDEN.write_text(json.dumps({"masks": masks}) + "\n")


if __name__ == "__main__":
    main()
