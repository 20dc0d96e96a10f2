"""A sparse autoencoder inside the core, beside the model that it was trained on.

Owns its loading, which follows an adapter's, and the file, of which the decoder's rows are read
when they are asked for. What it makes of rows, a session says: `Session.features`.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypedDict

import numpy as np
import numpy.typing as npt

from ..errors import SlmError
from ..generated.abi import Site, Status
from .files import ByteFile

if TYPE_CHECKING:
    from .model import Model, Progress, TensorInfo


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


class Sae:
    """A side file in the core; `Model.load_sae` makes it. Close it before its model, or use it in
    a `with`. A session that has encoded with it keeps it alive."""

    def __init__(
        self, model: Model, file: Path, progress: Progress, *, weights: bool = True
    ) -> None:
        from .model import feed_tensors, read_header

        self.model = model
        self.core = model.core
        self._file = ByteFile(file)
        self.handle = self.core.pointer("slm_sae_new", model.handle)
        try:
            if self.handle == 0:
                raise self.core.error(Status.OUT_OF_MEMORY)
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
        """Frees the SAE; closing twice is fine."""
        self._file.close()
        if self.handle:
            handle, self.handle = self.handle, 0
            self.core.call("slm_sae_free", handle)

    def pointer(self) -> int:
        """The handle of an SAE that is open. Raises SlmError "wrong_state"."""
        if self.handle == 0:
            raise SlmError("wrong_state", "the SAE is closed; load it again")
        return self.handle

    def __enter__(self) -> Sae:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
