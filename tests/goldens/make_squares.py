"""Golden of what encoders of pictures are given: the squares that transformers' own image
processors (its Pillow forms) make of drawn pictures, as 8-bit RGB, and the text around them where
their processors cut a picture. Needs Pillow 12.2.0 beside .venv-goldens' packages: from 13 on it
may resize the height before the width, which is not the order that models learned from.

  python -m tests.goldens.make_squares
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import transformers
from PIL import Image
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.gemma4.image_processing_pil_gemma4 import Gemma4ImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.smolvlm.processing_smolvlm import get_image_prompt_string

GOLDEN = Path(__file__).parent / "squares.json"
SIDE = 24  # pixels of a square
N_TOKENS = 2  # that stand for it in the texts
# Of a picture that keeps its shape: pixels of a patch's side, and patches of a position's.
PATCH, FACTOR = 2, 3
RAW = {"do_rescale": False, "do_normalize": False}  # the core normalises
# What Gemma3Processor asks of the image processor.
PAN_AND_SCAN = {
    "pan_and_scan_min_crop_size": 256,
    "pan_and_scan_max_num_crops": 4,
    "pan_and_scan_min_ratio_to_activate": 1.2,
}
SIZES = ((24, 24), (1, 1), (7, 40), (100, 31), (61, 61), (25, 23))
SHAPES = (
    ((1, 1), "low"), ((7, 40), "low"), ((100, 31), "low"), ((61, 61), "low"), ((31, 700), "low"),
    ((900, 4), "low"), ((60, 42), "low"), ((64, 47), "auto"),
)  # fmt: skip
LONG = ((640, 300), (300, 640), (1300, 310), (520, 250), (600, 520))


def drawn(width: int, height: int) -> Image.Image:
    """A picture that any language draws alike: smooth in parts, noisy in others."""
    y, x, c = np.mgrid[0:height, 0:width, 0:3].astype(np.int64)
    values = (x * x * 3 + y * y * 5 + x * y * (7 + c) + 31 * c) // 4 % 256
    return Image.fromarray(values.astype(np.uint8), "RGB")


def squares(values: Any) -> list[str]:
    """Base64 of each (side, side, 3) of values of (n, 3, side, side)."""
    array = np.asarray(values).reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
    rounded = np.clip(np.rint(array), 0, 255).astype(np.uint8)
    return [base64.b64encode(square.tobytes()).decode() for square in rounded]


def with_shape(picture: Image.Image, n: int) -> Any:
    """What Gemma 4's processor makes of a picture, [height, width, 3], put together again."""
    processor: Any = Gemma4ImageProcessorPil(
        patch_size=PATCH, pooling_kernel_size=FACTOR, max_soft_tokens=n, do_rescale=False
    )
    made = processor(picture, input_data_format="channels_last")
    places = np.asarray(made["image_position_ids"][0])
    patches = np.asarray(made["pixel_values"][0])[places[:, 0] >= 0]
    columns, rows = places.max(axis=0) + 1
    whole = patches.reshape(rows, columns, PATCH, PATCH, 3).transpose(0, 2, 1, 3, 4)
    return np.clip(np.rint(whole.reshape(rows * PATCH, columns * PATCH, 3)), 0, 255).astype(
        np.uint8
    )


def main() -> None:
    size = {"height": SIDE, "width": SIDE}
    processors: Any = (Gemma3ImageProcessorPil, SiglipImageProcessorPil, Idefics3ImageProcessorPil)
    of_gemma, of_siglip, of_idefics = processors  # whose types say less than they take
    gemma = of_gemma(size=size, **RAW)
    siglip = of_siglip(size=size, resample=Image.Resampling.BICUBIC, **RAW)
    idefics = of_idefics(
        size={"longest_edge": 4 * SIDE}, max_image_size={"longest_edge": SIDE}, **RAW
    )
    words: Any = get_image_prompt_string
    cases: list[dict[str, Any]] = []

    def case(projector: str, detail: str, size: tuple[int, int], values: Any, text: Any) -> None:
        shown = {"width": size[0], "height": size[1], "squares": squares(values), "text": text}
        cases.append({"projector": projector, "detail": detail, **shown})

    for one in SIZES:
        picture = drawn(*one)
        case("gemma3", "auto", one, gemma(picture)["pixel_values"], None)
        case("paligemma", "auto", one, siglip(picture)["pixel_values"], None)
        for detail in ("auto", "high"):
            made = idefics(picture, do_image_splitting=detail == "high", return_row_col_info=True)
            values = np.asarray(made["pixel_values"])
            text = words(
                made["rows"][0][0],
                made["cols"][0][0],
                N_TOKENS,
                fake_token_around_image="<fake_token_around_image>",
                image_token="<image>",
                global_image_token="<global-img>",
            )
            case("idefics3", detail, one, values, text)
    for one in LONG:
        made = gemma(drawn(*one), do_pan_and_scan=True, **PAN_AND_SCAN)
        case("gemma3", "high", one, made["pixel_values"], None)
    budgets = {"low": 70, "auto": 280}
    for one, detail in SHAPES:
        shown = with_shape(drawn(*one), budgets[detail])
        height, width, _ = shown.shape
        n_tokens = (width // (PATCH * FACTOR)) * (height // (PATCH * FACTOR))
        cases.append(
            {
                "projector": "gemma4v",
                "detail": detail,
                "width": one[0],
                "height": one[1],
                "squares": [base64.b64encode(shown.tobytes()).decode()],
                "sides": [[width, height]],
                "text": f"<|image>{'<|image|>' * n_tokens}<image|>",
            }
        )
    golden = {
        "source": f"transformers {transformers.__version__}, Pillow {PIL.__version__}",
        "command": "python -m tests.goldens.make_squares",
        "side": SIDE,
        "n_tokens": N_TOKENS,
        "patch_size": PATCH,
        "factor": FACTOR,
        "cases": cases,
    }
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
