"""What an answer points at in a picture: boxes, and the outlines that a small decoder makes of
codes.

Owns the words (four <locNNNN>, then maybe sixteen <segNNN>, then a label) and the decoder of a
VQ-VAE whose codebook the codes are places in: PaliGemma's, which its makers published as
vae-oid.npz, and which `convert --masks` puts beside the encoder of pictures, under "masks.". The
core does not load it: 40 million products make a mask. web/src/vision/masks.ts and
web/src/chat/boxes.ts are the same. Knows neither sessions nor how a picture is drawn. Graph and
names: big_vision, evaluators/proj/paligemma/transfers/segmentation.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ..core.files import open_encoder
from ..errors import SlmError

if TYPE_CHECKING:
    from ..core.vision import Vision, VisionInfo

F32 = NDArray[np.float32]

SIDE = 64  # of a mask, in pixels
N_CODES = 16  # of a mask: 4 x 4, row by row
N_ENTRIES = 128  # of the codebook
PREFIX = "masks."
CODEBOOK = "codebook"

_CODE, _WIDTH = 512, 128
_UPSAMPLED = (128, 64, 32, 16)  # channels behind each transposed convolution: it doubles the side


def _shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {CODEBOOK: (N_ENTRIES, _CODE)}

    def convolution(at: str, n_out: int, n_in: int, side: int) -> None:
        shapes[f"decoder.{at}.weight"] = (n_out, n_in, side, side)
        shapes[f"decoder.{at}.bias"] = (n_out,)

    convolution("0", _WIDTH, _CODE, 1)
    for block in (2, 3):
        for at, side in ((0, 3), (2, 3), (4, 1)):
            convolution(f"{block}.net.{at}", _WIDTH, _WIDTH, side)
    n_in = _WIDTH
    for i, n_out in enumerate(_UPSAMPLED):
        # A transposed convolution's weights are [n_in, n_out, 4, 4].
        shapes[f"decoder.{4 + 2 * i}.weight"] = (n_in, n_out, 4, 4)
        shapes[f"decoder.{4 + 2 * i}.bias"] = (n_out,)
        n_in = n_out
    convolution("12", 1, n_in, 1)
    return shapes


# By name: the modules of the decoder as PyTorch numbers them, and what their weights are like.
SHAPES: Final[Mapping[str, tuple[int, ...]]] = _shapes()

_FOUND = re.compile(r"((?:<loc\d{4}>){4})((?:<seg\d{3}>)*)[ \t]*([^<;\n]*)")


@dataclass(frozen=True)
class Found:
    """A thing in a picture: `box` is left, top, right and bottom in shares of its sides, `codes`
    those of its outline, or None."""

    label: str
    box: tuple[float, float, float, float]
    codes: tuple[int, ...] | None


def found_in(answer: str) -> list[Found]:
    """What an answer points at, in its order. What is inside out is no box, and other than sixteen
    codes of the codebook are no outline."""
    found = []
    for place, outline, label in _FOUND.findall(answer):
        top, left, bottom, right = (
            min(1023, int(digits)) / 1024 for digits in re.findall(r"\d{4}", place)
        )
        if right <= left or bottom <= top:
            continue
        codes = tuple(int(digits) for digits in re.findall(r"\d{3}", outline))
        whole = len(codes) == N_CODES and max(codes) < N_ENTRIES
        found.append(Found(label.strip(), (left, top, right, bottom), codes if whole else None))
    return found


def has_masks(info: VisionInfo) -> bool:
    """Whether an encoder's file holds a decoder of masks."""
    return any(tensor["name"].startswith(PREFIX) for tensor in info["tensors"])


class MaskDecoder:
    """The decoder's weights, by the names of SHAPES."""

    def __init__(self, weights: Mapping[str, F32]) -> None:
        self._weights = weights

    @classmethod
    def of(cls, vision: Vision) -> MaskDecoder:
        """The one in the file of an encoder. Raises SlmError "unsupported" where there is none, and
        "bad_file"."""
        return cls.read(vision.path, vision.info)

    @classmethod
    def read(cls, path: Path, info: VisionInfo) -> MaskDecoder:
        """As `of`, for an encoder's file or a packed model, of which the core has told `info`."""
        if not has_masks(info):
            raise SlmError(
                "unsupported",
                f"{path} has no decoder of masks; convert the model again with --masks vae-oid.npz",
            )
        there = {
            tensor["name"].removeprefix(PREFIX): tensor
            for tensor in info["tensors"]
            if tensor["name"].startswith(PREFIX)
        }
        weights: dict[str, F32] = {}
        with open_encoder(path) as file:
            for name, shape in SHAPES.items():
                tensor = there.get(name)
                if (
                    tensor is None
                    or tensor["type"] != "F32"
                    or tuple(reversed(tensor["shape"])) != shape
                ):
                    raise SlmError(
                        "bad_file",
                        f"{path}: {PREFIX}{name} should be {list(shape)} of F32 for masks of "
                        f"{SIDE} x {SIDE}; convert the model again with --masks vae-oid.npz",
                    )
                data = bytearray(tensor["size"])
                file.read_into(memoryview(data), tensor["offset"])
                weights[name] = np.frombuffer(data, "<f4").reshape(shape)
        return cls(weights)

    def decode(self, codes: Sequence[int]) -> F32:
        """The mask of sixteen codes, [64, 64], from about -1 (outside) to 1 (inside).

        Raises SlmError "invalid_argument" for other codes.
        """
        if len(codes) != N_CODES or not all(0 <= code < N_ENTRIES for code in codes):
            raise SlmError(
                "invalid_argument",
                f"a mask has {N_CODES} codes from 0 to {N_ENTRIES - 1}, found {list(codes)[:20]}; "
                "give those of one outline",
            )
        x: F32 = self._weights[CODEBOOK][list(codes)].T.reshape(_CODE, 4, 4)
        x = _relu(self._convolved(x, "0"))
        for block in (2, 3):
            y = _relu(self._convolved(x, f"{block}.net.0"))
            y = _relu(self._convolved(y, f"{block}.net.2"))
            x = x + self._convolved(y, f"{block}.net.4")
        for i in range(len(_UPSAMPLED)):
            x = _relu(self._doubled(x, f"{4 + 2 * i}"))
        mask: F32 = self._convolved(x, "12")[0]
        return mask

    def _convolved(self, x: F32, at: str) -> F32:
        """[n_in, side, side] to [n_out, side, side]; zeros are around it."""
        weight, bias = self._weights[f"decoder.{at}.weight"], self._weights[f"decoder.{at}.bias"]
        n_in, side, _ = x.shape
        reach = weight.shape[2]
        padded = np.pad(x, ((0, 0), (reach // 2,) * 2, (reach // 2,) * 2))
        out = np.repeat(bias[:, None], side * side, axis=1)
        for dy in range(reach):
            for dx in range(reach):
                part = padded[:, dy : dy + side, dx : dx + side].reshape(n_in, -1)
                out += weight[:, :, dy, dx] @ part
        return out.reshape(-1, side, side)

    def _doubled(self, x: F32, at: str) -> F32:
        """[n_in, side, side] to [n_out, 2 * side, 2 * side]: a pixel adds to the 4 x 4 around its
        place; what falls outside is cut off."""
        weight, bias = self._weights[f"decoder.{at}.weight"], self._weights[f"decoder.{at}.bias"]
        n_in, side, _ = x.shape
        out = np.zeros((weight.shape[1], 2 * side + 2, 2 * side + 2), np.float32)
        flat = x.reshape(n_in, -1)
        for dy in range(4):
            for dx in range(4):
                part = (weight[:, :, dy, dx].T @ flat).reshape(-1, side, side)
                out[:, dy : dy + 2 * side : 2, dx : dx + 2 * side : 2] += part
        return out[:, 1:-1, 1:-1] + bias[:, None, None]


def placed(mask: F32, box: tuple[float, float, float, float], width: int, height: int) -> F32:
    """The mask of a box in a picture of [height, width]: bilinear within the box, -1 around it.
    Above 0 is inside of the outline."""
    left, top, right, bottom = box
    rows, y = _sampled(top, bottom, height)
    columns, x = _sampled(left, right, width)
    out = np.full((height, width), -1, np.float32)
    if len(y) and len(x):
        wide = _between(mask, x)
        out[rows, columns] = _between(wide.T, y).T
    return out


def _sampled(start: float, end: float, n: int) -> tuple[slice, NDArray[np.float64]]:
    """Those of `n` pixels whose middles lie between two shares, and where in the mask they are."""
    first, last = (int(np.ceil(share * n - 0.5)) for share in (start, end))
    middles = np.arange(first, last) + 0.5
    at = (middles - start * n) / ((end - start) * n) * SIDE - 0.5
    return slice(first, last), np.clip(at, 0, SIDE - 1)


def _between(values: F32, at: NDArray[np.float64]) -> F32:
    """Columns of `values` at fractional places."""
    before = np.minimum(at.astype(int), SIDE - 2)
    share = (at - before).astype(np.float32)
    mixed: F32 = values[:, before] * (1 - share) + values[:, before + 1] * share
    return mixed


def _relu(x: F32) -> F32:
    kept: F32 = np.maximum(x, 0)
    return kept
