"""Preprocessing against transformers' own image processors, on pictures of odd sizes."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from slmweb.errors import SlmError
from slmweb.vision import preprocess
from slmweb.vision.preprocess import open_picture, views
from slmweb.vision.projectors import PROJECTORS, projector_of

# Width and height: square, wide, tall, tiny, one pixel, thin, and shares that only just cut.
SIZES = [(64, 64), (301, 200), (133, 517), (7, 5), (1, 1), (3, 700), (1200, 401), (300, 250),
         (640, 533), (257, 1031)]  # fmt: skip


def made(width: int, height: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
    """A picture of waves and noise, in which every filter shows."""
    rng = np.random.default_rng((seed, width, height))
    bands = len(Image.new(mode, (1, 1)).getbands())
    y, x, band = np.ogrid[:height, :width, :bands]
    waves = 127 + 90 * np.sin(x * (0.13 + 0.05 * band) + y * 0.21) * np.cos(y * 0.017 - x * 0.031)
    noise = rng.integers(-35, 36, (height, width, bands))
    pixels = np.clip(waves + noise, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels if bands > 1 else pixels[:, :, 0], mode)


def theirs(processor: Any, image: Image.Image, **options: Any) -> tuple[np.ndarray, Any]:
    """transformers' squares as numbers of 0 to 255, [n, height, width, 3], and its whole answer."""
    answer = processor(image, return_tensors="np", **options)
    values = answer["pixel_values"]
    values = values.reshape(-1, *values.shape[-3:]).transpose(0, 2, 3, 1)
    return (values * 0.5 + 0.5) * 255, answer


def is_within_a_step(mine: preprocess.Views, values: np.ndarray) -> None:
    assert len(mine.images) == len(values)
    worst = max(
        float(np.abs(one.astype(np.float64) - other).max())
        for one, other in zip(mine.images, values, strict=True)
    )
    # Their normalising rounds in float32; beyond that nothing may differ.
    assert worst < 1e-3, worst


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("side", [28, 224])
def test_gemma3_resizes_as_transformers_does(size: tuple[int, int], side: int) -> None:
    from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

    image = made(*size)
    values, _ = theirs(Gemma3ImageProcessorPil(size={"height": side, "width": side}), image)
    is_within_a_step(views(image, PROJECTORS["gemma3"], side), values)


@pytest.mark.parametrize("size", [*SIZES, (1300, 256), (255, 900), (900, 255), (4000, 300)])
def test_gemma3_pans_and_scans_as_transformers_does(size: tuple[int, int]) -> None:
    from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

    image = made(*size)
    processor = Gemma3ImageProcessorPil(size={"height": 56, "width": 56})
    values, answer = theirs(
        processor,
        image,
        do_pan_and_scan=True,
        pan_and_scan_min_crop_size=256,
        pan_and_scan_max_num_crops=4,
        pan_and_scan_min_ratio_to_activate=1.2,
    )
    mine = views(image, PROJECTORS["gemma3"], 56, "high")
    is_within_a_step(mine, values)
    assert mine.rows * mine.columns == answer["num_crops"][0]


@pytest.mark.parametrize("size", SIZES)
def test_paligemma_resizes_as_siglip_does(size: tuple[int, int]) -> None:
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    image = made(*size)
    values, _ = theirs(SiglipImageProcessorPil(size={"height": 224, "width": 224}), image)
    is_within_a_step(views(image, PROJECTORS["paligemma"], 224), values)


@pytest.mark.parametrize("size", [*SIZES, (960, 672), (5000, 3), (3, 9000), (4032, 3024)])
@pytest.mark.parametrize(("detail", "n"), [("low", 70), ("auto", 280), ("high", 560)])
def test_gemma4_keeps_a_pictures_shape_as_transformers_does(
    size: tuple[int, int], detail: preprocess.Detail, n: int
) -> None:
    from transformers.models.gemma4.image_processing_pil_gemma4 import (
        Gemma4ImageProcessorPil,
        get_aspect_ratio_preserving_size,
    )

    image = made(*size)
    (mine,) = views(image, PROJECTORS["gemma4v"], 48, detail).images
    height, width, _ = mine.shape
    wanted = get_aspect_ratio_preserving_size(size[1], size[0], 16, 9 * n, 3)
    assert (height, width) == wanted
    if detail != "low":
        return
    # Its own squares, of patches side by side.
    small = views(image, PROJECTORS["gemma4v"], 6, detail).images[0]
    processor: Any = Gemma4ImageProcessorPil(patch_size=2, max_soft_tokens=n)
    answer = processor(image, return_tensors="np", input_data_format="channels_last")
    places = answer["image_position_ids"][0]
    columns, rows = places.max(axis=0) + 1
    patches = answer["pixel_values"][0][places[:, 0] >= 0] * 255
    values = patches.reshape(rows, columns, 2, 2, 3).transpose(0, 2, 1, 3, 4)
    assert answer["num_soft_tokens_per_image"][0] == rows * columns // 9
    is_within_a_step(preprocess.Views((small,)), values.reshape(1, rows * 2, columns * 2, 3))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("detail", ["low", "high"])
def test_smolvlm_cuts_as_transformers_does(
    size: tuple[int, int], detail: preprocess.Detail
) -> None:
    from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

    image = made(*size)
    side = 64
    processor = SmolVLMImageProcessorPil(
        size={"longest_edge": 4 * side},
        max_image_size={"longest_edge": side},
        do_image_splitting=detail == "high",
    )
    values, answer = theirs(processor, image, return_row_col_info=True)
    mine = views(image, PROJECTORS["idefics3"], side, detail)
    is_within_a_step(mine, values)
    assert [[mine.rows]] == answer["rows"]
    assert [[mine.columns]] == answer["cols"]


def test_the_sizes_of_tiles_are_transformers_at_the_real_side() -> None:
    from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

    processor = SmolVLMImageProcessorPil(
        size={"longest_edge": 2048}, max_image_size={"longest_edge": 512}
    )
    for size in [(31, 17), (200, 301), (1000, 999)]:
        mine = views(made(*size), PROJECTORS["idefics3"], 512, "high")
        n, rows, columns = processor.get_number_of_image_patches(size[1], size[0])
        assert (len(mine.images), mine.rows, mine.columns) == (n, rows, columns)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "CMYK", "1"])
def test_modes_become_rgb_as_transformers_has_it(mode: str) -> None:
    from transformers.image_transforms import convert_to_rgb

    if mode in ("P", "1"):
        image = made(40, 30).convert(mode)
        if mode == "P":
            image.info["transparency"] = 3
    else:
        image = made(40, 30, mode)
    wanted: Any = convert_to_rgb(image.copy(), return_numpy=True)
    assert np.array_equal(np.asarray(open_picture(image)), wanted)


def test_what_is_transparent_becomes_white() -> None:
    clear = Image.new("RGBA", (2, 2), (255, 0, 0, 0))
    assert np.asarray(open_picture(clear)).min() == 255


def test_sixteen_bits_of_grey_become_eight() -> None:
    deep = Image.fromarray(np.array([[0, 257, 32768, 65535]], np.uint16))
    data = io.BytesIO()
    deep.save(data, "PNG")
    assert np.asarray(open_picture(data.getvalue()))[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_turned_upright(orientation: int, tmp_path: Path) -> None:
    from transformers.image_utils import load_image

    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "photo.png"
    made(20, 11).save(path, exif=exif)
    opened = open_picture(path)
    assert opened.size == ((11, 20) if orientation > 4 else (20, 11))
    assert np.array_equal(np.asarray(opened), np.asarray(load_image(str(path))))


def test_a_picture_comes_from_a_path_from_bytes_and_from_a_data_url(tmp_path: Path) -> None:
    image = made(17, 9)
    path = tmp_path / "picture.webp"
    image.save(path, lossless=True)
    data = path.read_bytes()
    url = "data:image/webp;charset=binary;base64," + base64.b64encode(data).decode()
    for source in (path, str(path), data, url, image):
        assert np.array_equal(np.asarray(open_picture(source)), np.asarray(image)), source


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        (b"no picture at all", "bad_file", "expected a picture (PNG, JPEG"),
        (b"", "bad_file", "expected a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "bad_file", "expected a picture"),
        ("data:image/png,abc", "bad_file", "not in base64"),
        ("data:image/png;base64,a*", "bad_file", "data:image/png;base64,…"),
        ("https://example.org/cat.png", "invalid_argument", "nothing is fetched"),
        ("file:///etc/hostname", "invalid_argument", "nothing is fetched"),
        ("no/such/cat.png", "unreadable", "cannot read the picture no/such/cat.png"),
        ("nul\0.png", "unreadable", "cannot read the picture"),
    ],
)
def test_what_is_no_picture_is_refused_in_a_sentence(
    source: str | bytes, code: str, said: str
) -> None:
    with pytest.raises(SlmError) as caught:
        open_picture(source)
    assert caught.value.code == code
    assert said in caught.value.message


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_picture_that_was_cut_short_is_refused_wherever(kind: str) -> None:
    data = io.BytesIO()
    made(24, 18).save(data, kind)
    whole = data.getvalue()
    np.asarray(open_picture(whole))
    codes = set()
    for end in range(0, len(whole), 37):
        try:
            codes.add(str(open_picture(whole[:end]).size))
        except SlmError as error:
            codes.add(error.code)
    # A file may lack what is not needed.
    assert "bad_file" in codes <= {"bad_file", "(24, 18)"}


@pytest.mark.parametrize("side", [11000, 20000])
def test_a_picture_that_claims_too_many_pixels_is_not_decoded(side: int) -> None:
    data = io.BytesIO()
    Image.new("1", (side, side)).save(data, "PNG")
    with pytest.raises(SlmError, match="more than 108,000,000 pixels") as caught:
        open_picture(data.getvalue())
    assert caught.value.code == "bad_file"


def test_an_unknown_projector_is_refused_by_name() -> None:
    with pytest.raises(SlmError, match="'ldp'; supported are gemma3, gemma4v, paligemma, idefics3"):
        projector_of("ldp")
