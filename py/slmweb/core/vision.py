"""The encoder of pictures inside the core, beside the model that it belongs to, and what it
makes of a picture.

Owns the loading of its file (llama.cpp's "mmproj"), which follows an adapter's. Pixels come
as they are to be seen: squares of the encoder's size, or of sides that it takes. Which prompts
show a picture, and where, is said by `Session.pictures`.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

import numpy as np
from numpy.typing import NDArray

from ..errors import SlmError
from .files import open_encoder
from .held import Held
from .loading import Progress, TensorInfo, about, feed_tensors, read_header

if TYPE_CHECKING:
    from .model import Model


class VisionInfo(TypedDict):
    """slm_vision_describe."""

    name: str | None
    projector: str
    image_size: int  # side of the square that a picture is, pixels; 0: it keeps its shape
    patch_size: int
    factor: int  # rows and columns of patches that make one position
    n_tokens: int  # positions that a picture takes, or at most where nobody asks for more
    max_tokens: int  # at most in any case
    whole_picture: bool  # a picture is one evaluation
    whole_prompt: bool  # a prompt with pictures is
    parameters: int
    packed_bytes: int
    types: dict[str, int]  # tensor type -> bytes
    tensors: list[TensorInfo]


class Vision(Held):
    """An encoder in the core; `Model.load_vision` makes it. Close it before the model, or use it
    in a `with`; pictures outlive it."""

    NOUN = "encoder of pictures"
    FREE = "slm_vision_free"

    def __init__(
        self, model: Model, path: Path, progress: Progress, *, weights: bool = True
    ) -> None:
        super().__init__(model.core, model.core.pointer("slm_vision_new", model.handle))
        self.model = model
        self.path = path  # of its file, or a packed model's folder
        try:
            with open_encoder(path) as opened:
                read_header(self.core, "slm_vision_header", self.handle, opened)
                text = self.core.string(self.core.pointer("slm_vision_describe", self.handle))
                self.info: VisionInfo = json.loads(text)
                if weights:
                    tensors = self.info["tensors"]
                    feed_tensors(
                        self.core, "slm_vision_feed", self.handle, [opened], tensors, progress
                    )
                    try:
                        self.core.check("slm_vision_ready", self.handle)
                    except SlmError as error:
                        raise about(opened, error) from None
        except BaseException:
            self.close()
            raise

    @classmethod
    def check(cls, model: Model, file: Path) -> VisionInfo:
        """What an encoder is, once its header has been checked against `model`, whose layout is
        enough. Raises what `Model.load_vision` raises."""
        with cls(model, file, lambda done, total: None, weights=False) as vision:
            return vision.info

    @property
    def encode_bytes(self) -> int:
        """What encoding a picture of `n_tokens` takes beside the weights, with one thread."""
        width = height = self.info["image_size"]
        if width == 0:
            width, height = sides_of_most(self.info)
        return self._bytes(width, height)

    def _bytes(self, width: int, height: int) -> int:
        """Raises SlmError "invalid_argument" for sides that the encoder does not take."""
        size: float = self.core.call("slm_vision_bytes", self.pointer(), width, height)
        if size < 0:
            raise self.core.error(int(size))
        return int(size)

    def encode(self, rgb: NDArray[np.uint8]) -> Picture:
        """Encodes a picture of [height, width, 3]: rows of red, green and blue.

        Raises SlmError "invalid_argument" for sides that the encoder does not take,
        "out_of_memory".
        """
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
            raise SlmError(
                "invalid_argument",
                f"the picture is {list(rgb.shape)} of {rgb.dtype}, but an encoder takes "
                "[height, width, 3] of uint8; convert it",
            )
        handle = self.pointer()
        height, width, _ = rgb.shape
        self._bytes(width, height)
        with self.core.allocate(rgb.size) as address:
            self.core.view(address, rgb.size)[:] = np.ascontiguousarray(rgb).tobytes()
            picture = self.core.pointer("slm_vision_encode", handle, address, width, height)
        return Picture(self, picture, tokens_of(self.info, width, height))


class Grid(Protocol):
    """What is to be known of an encoder's patches; VisionInfo has it."""

    def __getitem__(self, key: str, /) -> Any: ...


def tokens_of(encoder: Grid, width: int, height: int) -> int:
    """Positions that a picture of these sides in pixels takes."""
    patch, factor = encoder["patch_size"], encoder["factor"]
    return int((width // patch // factor) * (height // patch // factor))


def sides_of_most(encoder: Grid) -> tuple[int, int]:
    """Width and height in pixels of a picture that takes `n_tokens` positions, of any shape."""
    n, step = encoder["n_tokens"], encoder["patch_size"] * encoder["factor"]
    rows = next(rows for rows in range(math.isqrt(n), 0, -1) if n % rows == 0)
    return n // rows * step, rows * step


class Picture(Held):
    """A picture as the model sees it, `n_tokens` positions long. A session that still shows it
    keeps it alive."""

    NOUN = "picture"
    AGAIN = "encode it again"
    FREE = "slm_picture_free"

    def __init__(self, vision: Vision, handle: int, n_tokens: int) -> None:
        super().__init__(vision.core, handle)
        self.n_tokens = n_tokens
        self.is_whole = vision.info["whole_picture"]  # in one evaluation

    def rows(self) -> NDArray[np.float32]:
        """What stands in place of embeddings, [n_tokens, n_embd]."""
        handle = self.pointer()
        n = self.core.check("slm_picture_read", handle, 0, 0)
        with self.core.allocate(4 * n) as address:
            self.core.check("slm_picture_read", handle, address, n)
            rows: NDArray[np.float32] = self.core.array(address, n, np.float32)
        return rows.reshape(self.n_tokens, -1)
