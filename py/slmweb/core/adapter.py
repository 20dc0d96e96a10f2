"""A LoRA adapter inside the core, beside the model that it belongs to.

Owns its loading, which follows the model's own: a header that the core checks
against the base, then the tensors' bytes. Which sessions use it, and how
strongly, is said by `Session.adapters`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from .files import ByteFile
from .held import Held
from .loading import Progress, TensorInfo, feed_tensors, read_header

if TYPE_CHECKING:
    from .model import Model


class AdapterInfo(TypedDict):
    """slm_adapter_describe."""

    name: str | None
    rank: int  # the largest of its matrices
    packed_bytes: int
    tensors: list[TensorInfo]


class Adapter(Held):
    """A GGUF adapter in the core; `Model.load_adapter` makes it.

    Close it, or use it in a `with`. A session that still uses it keeps it alive.
    """

    NOUN = "adapter"
    FREE = "slm_adapter_free"

    def __init__(
        self, model: Model, file: Path, progress: Progress, *, weights: bool = True
    ) -> None:
        super().__init__(model.core, model.core.pointer("slm_adapter_new", model.handle))
        self.model = model
        try:
            with ByteFile(file) as opened:
                read_header(self.core, "slm_adapter_header", self.handle, opened)
                text = self.core.string(self.core.pointer("slm_adapter_describe", self.handle))
                self.info: AdapterInfo = json.loads(text)
                if weights:
                    tensors = self.info["tensors"]
                    feed_tensors(
                        self.core, "slm_adapter_feed", self.handle, [opened], tensors, progress
                    )
                    self.core.check("slm_adapter_ready", self.handle)
        except BaseException:
            self.close()
            raise

    @classmethod
    def check(cls, model: Model, file: Path) -> AdapterInfo:
        """What an adapter is, once its header has been checked against `model`, whose
        layout is enough. Raises what `Model.load_adapter` raises."""
        with cls(model, file, lambda done, total: None, weights=False) as adapter:
            return adapter.info
