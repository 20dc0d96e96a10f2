"""A sparse autoencoder inside the core, beside the model that it was trained on.

Owns its loading, which follows an adapter's, and the file, of which the decoder's rows are read
when they are asked for. What it makes of rows, a session says: `Session.features`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np
import numpy.typing as npt

from ..errors import SlmError
from ..generated.abi import Site
from .files import ByteFile
from .held import Held
from .loading import Progress, TensorInfo, feed_tensors, read_header

if TYPE_CHECKING:
    from .model import Model


class DecoderInfo(TypedDict):
    offset: int  # bytes from the file's start
    row: int  # bytes of a feature's row


class SaeInfo(TypedDict):
    """slm_sae_describe."""

    name: str | None
    base: str | None
    license: str | None
    site: int
    layer: int
    width: int  # of a row
    features: int
    labels: int  # features that have one
    packed_bytes: int
    tensors: list[TensorInfo]
    decoder: DecoderInfo


class Sae(Held):
    """A side file in the core; `Model.load_sae` makes it. Close it before its model, or use it in
    a `with`. A session that has encoded with it keeps it alive."""

    NOUN = "SAE"
    FREE = "slm_sae_free"

    def __init__(
        self, model: Model, file: Path, progress: Progress, *, weights: bool = True
    ) -> None:
        self._file = ByteFile(file)
        try:
            super().__init__(model.core, model.core.pointer("slm_sae_new", model.handle))
        except BaseException:
            self._file.close()
            raise
        self.model = model
        try:
            read_header(self.core, "slm_sae_header", self.handle, self._file)
            text = self.core.string(self.core.pointer("slm_sae_describe", self.handle))
            self.info: SaeInfo = json.loads(text)
            if weights:
                feed_tensors(
                    *(self.core, "slm_sae_feed", self.handle),
                    *([self._file], self.info["tensors"], progress),
                )
                self.core.check("slm_sae_ready", self.handle)
        except BaseException:
            self.close()
            raise

    @classmethod
    def check(cls, model: Model, file: Path) -> SaeInfo:
        """What an SAE is, once its header has been checked against `model`, whose layout is
        enough. Raises what `Model.load_sae` raises."""
        with cls(model, file, lambda done, total: None, weights=False) as sae:
            return sae.info

    @property
    def place(self) -> tuple[Site, int]:
        """What `Session.tap` takes."""
        return Site(self.info["site"]), self.info["layer"]

    def label(self, feature: int) -> str | None:
        address = self.core.pointer("slm_sae_label", self.pointer(), feature)
        return self.core.string(address) if address else None

    def direction(self, feature: int) -> npt.NDArray[np.float32]:
        """What the decoder adds for a feature, [width]: of SAEs of a residual or of a feed-forward
        network, what `Session.steer` takes. Raises SlmError "invalid_argument"."""
        if not 0 <= feature < self.info["features"]:
            raise SlmError(
                "invalid_argument",
                f"there is no feature {feature}; the SAE has {self.info['features']}",
            )
        decoder, width = self.info["decoder"], self.info["width"]
        n = decoder["row"]
        with self.core.allocate(n + 4 * width + 4) as address:
            self._file.read_into(self.core.view(address, n), decoder["offset"] + feature * n)
            out = address + n + -n % 4
            self.core.check("slm_sae_direction", self.pointer(), address, n, out, width)
            values: npt.NDArray[np.float32] = self.core.array(out, width, np.float32)
            return values

    def close(self) -> None:
        """Frees the SAE and closes its file."""
        self._file.close()
        super().close()
