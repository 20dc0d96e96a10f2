"""A picture's file to the pixels that an encoder takes, through Pillow.

Owns decoding (orientation, transparency over white, limits), cutting and resizing as transformers'
image processors do it, to the last bit. Knows no tokens. The core normalises, so pixels stay bytes.
"""

from __future__ import annotations

import base64
import binascii
import io
import math
import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from ..errors import SlmError, os_reason
from .projectors import Budget, PanAndScan, Projector, Tiles

if TYPE_CHECKING:
    from PIL import Image

Pixels = npt.NDArray[np.uint8]  # [height, width, 3], red, green, blue
Detail = Literal["auto", "low", "high"]

# What browsers decode too. Pillow's other readers see few files, and some of them run programs.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "AVIF", "TIFF")
# 100 million are 300 MB as pixels; the largest cameras of phones make as many.
MAX_PIXELS = 108_000_000
_DATA_URL = re.compile(r"data:[\w.+/-]*(?:;[\w.+=-]+)*?(?P<base64>;base64)?,", re.ASCII)


@dataclass(frozen=True)
class Views:
    """A picture as an encoder sees it: `rows` * `columns` cuts of it (none of both where it is not
    cut), row by row, and the whole. Of pan and scan the whole comes first, of tiles last."""

    images: tuple[Pixels, ...]
    rows: int = 0
    columns: int = 0


def open_picture(source: str | bytes | os.PathLike[str] | Image.Image) -> Image.Image:
    """The picture in a file's path or bytes, or in a data URL: upright, RGB, what is clear white.

    Raises SlmError "unreadable", "bad_file" for what is no picture, and "invalid_argument" for an
    address on the network, which nothing here fetches.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    if isinstance(source, Image.Image):
        return _rgb(ImageOps.exif_transpose(source))
    data, shown = _bytes_of(source)
    try:
        with warnings.catch_warnings():
            # Pillow warns of what is large and of metadata that is damaged; the limit is ours.
            warnings.simplefilter("ignore")
            opened = Image.open(io.BytesIO(data), formats=FORMATS)
            if opened.width * opened.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            return _rgb(ImageOps.exif_transpose(opened))
    except UnidentifiedImageError:
        reason = f"expected a picture ({', '.join(FORMATS)}), found something else"
    # Decoders of damaged files raise as they like.
    except (OSError, ValueError, SyntaxError, EOFError, ArithmeticError, LookupError) as error:
        reason = str(error).rstrip(".") or type(error).__name__
    except Image.DecompressionBombError:
        raise SlmError(
            "bad_file", f"{shown} has more than {MAX_PIXELS:,} pixels; make it smaller"
        ) from None
    raise SlmError("bad_file", f"{shown} cannot be decoded: {reason}; save it again as PNG or JPEG")


# More than any picture of MAX_PIXELS takes; what is larger is something else.
_MAX_BYTES = 512 << 20


def _bytes_of(source: str | bytes | os.PathLike[str]) -> tuple[bytes, str]:
    """A file's bytes, and what it is called in sentences."""
    if isinstance(source, bytes):
        return source, "the picture"
    if isinstance(source, str) and source.startswith("data:"):
        match = _DATA_URL.match(source)
        try:
            if match is None or match["base64"] is None:
                raise ValueError("it is not in base64")
            return base64.b64decode(source[match.end() :], validate=True), "the data URL"
        except (ValueError, binascii.Error) as error:
            raise SlmError(
                "bad_file",
                f"the data URL of a picture cannot be read ({error}); write "
                "data:image/png;base64,…",
            ) from None
    if isinstance(source, str) and re.match(r"[a-z][a-z0-9+.-]+://", source, re.I):
        raise SlmError(
            "invalid_argument",
            f"expected a picture's file, its bytes or a data URL, found the address "
            f"{source[:80]}, and nothing is fetched; save the picture first",
        )
    path = Path(source)
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is no file")
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"it has more than {_MAX_BYTES >> 20} MiB")
        return path.read_bytes(), str(path)
    except (OSError, ValueError) as error:
        reason = os_reason(error) if isinstance(error, OSError) else str(error)
        raise SlmError("unreadable", f"cannot read the picture {path}: {reason}") from None


def _rgb(image: Image.Image) -> Image.Image:
    from PIL import Image

    if image.mode.startswith("I;16"):  # Pillow would cut off what is brighter than 255
        grey = (np.asarray(image).astype(np.uint32) * 255 + 32767) // 65535
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        over = image.convert("RGBA")
        white = Image.new("RGBA", over.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, over).convert("RGB")
    return image.convert("RGB")


def views(
    image: Image.Image, projector: Projector, image_size: int, detail: Detail = "auto"
) -> Views:
    """What the encoder is to see of a picture in RGB: squares of `image_size` pixels a side, or
    the picture in its shape, where they are the squares that make one position each."""
    if isinstance(projector.cut, Budget):
        size = _within(image.size, getattr(projector.cut, detail), image_size)
        return Views((_pixels(_resized(image, size, projector)),))
    cut = projector.cut if detail == "high" else None
    if isinstance(cut, PanAndScan):
        crops, rows, columns = _crops(image, cut)
        squares = [_square(one, projector, image_size) for one in (image, *crops)]
        return Views(tuple(squares), rows, columns)
    if not isinstance(projector.cut, Tiles):
        return Views((_square(image, projector, image_size),))
    # Also the whole alone comes from the picture at the size at which it would be cut.
    image = _resized(image, _longest(image.size, projector.cut, image_size), projector)
    if cut is None:
        return Views((_square(image, projector, image_size),))
    image = _resized(image, _whole_tiles(image.size, image_size), projector)
    columns, rows = image.width // image_size, image.height // image_size
    tiles = [
        _pixels(image.crop((x, y, x + image_size, y + image_size)))
        for y in range(0, image.height, image_size)
        for x in range(0, image.width, image_size)
    ]
    if len(tiles) == 1:
        return Views(tuple(tiles))
    return Views((*tiles, _square(image, projector, image_size)), rows, columns)


def _crops(image: Image.Image, rule: PanAndScan) -> tuple[list[Image.Image], int, int]:
    """Pan and scan: the crops and their grid, none of a picture that is nearly square or small."""
    wide = image.width >= image.height
    longer, shorter = max(image.size), min(image.size)
    if longer / shorter < rule.min_ratio:
        return [], 0, 0
    n = min(longer // rule.min_side, math.floor(longer / shorter + 0.5))
    n = min(rule.max_crops, max(2, n))
    step = math.ceil(longer / n)
    if min(step, shorter) < rule.min_side:
        return [], 0, 0
    edges = [(at, min(at + step, longer)) for at in range(0, n * step, step)]
    boxes = [(a, 0, b, shorter) if wide else (0, a, shorter, b) for a, b in edges]
    return [image.crop(box) for box in boxes], *((1, n) if wide else (n, 1))


def _within(size: tuple[int, int], n: int, side: int) -> tuple[int, int]:
    """The largest width and height, multiples of `side` in about the same ratio, that have at most
    `n` squares of it."""
    width, height = size
    factor = math.sqrt(n * side**2 / (width * height))
    columns, rows = math.floor(factor * width / side), math.floor(factor * height / side)
    if rows == 0:
        columns, rows = min(width // height, n), 1
    elif columns == 0:
        columns, rows = 1, min(height // width, n)
    return columns * side, rows * side


def _longest(size: tuple[int, int], rule: Tiles, side: int) -> tuple[int, int]:
    """Width and height with the longer edge at the rule's length, the other in proportion."""
    width, height = size
    ratio = width / height
    edge = rule.sides * side
    if width >= height:
        width, height = edge, _even(int(edge / ratio))
    else:
        width, height = _even(int(edge * ratio)), edge
    if max(width, height) > rule.max_edge:
        ratio, edge = width / height, rule.max_edge
        width, height = (edge, int(edge / ratio)) if width >= height else (int(edge * ratio), edge)
    return max(1, width), max(1, height)


def _even(n: int) -> int:
    return n + n % 2


def _whole_tiles(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Width and height as multiples of the side, the longer edge first."""
    width, height = size
    ratio = width / height
    if width >= height:
        width = _up(width, side)
        return width, _up(int(width / ratio), side)
    height = _up(height, side)
    return _up(int(height * ratio), side), height


def _up(n: int, side: int) -> int:
    return math.ceil(n / side) * side


def _square(image: Image.Image, projector: Projector, side: int) -> Pixels:
    return _pixels(_resized(image, (side, side), projector))


def _resized(image: Image.Image, size: tuple[int, int], projector: Projector) -> Image.Image:
    from PIL.Image import Resampling

    return image.resize(size, Resampling[projector.filter.upper()])


def _pixels(image: Image.Image) -> Pixels:
    return np.asarray(image, np.uint8)
