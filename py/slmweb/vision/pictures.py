"""The pictures of a conversation, each encoded once.

Owns which encoded pictures are kept: those of the last prompt, by their pixels, so that the next
turn finds them where they were, and the cache with them. Knows nothing of words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from types import TracebackType

from ..core.session import Session
from ..core.vision import Picture, Vision
from .preprocess import Pixels
from .projectors import n_batch_for
from .prompt import Prompt

Progress = Callable[[int, int], None]  # pictures encoded, and to be encoded


class Pictures:
    """Close it before the encoder, or use it in a `with`; sessions keep what they still show."""

    def __init__(self, vision: Vision) -> None:
        self.vision = vision
        self._kept: dict[bytes, Picture] = {}

    def show(
        self,
        session: Session,
        prompt: Prompt,
        progress: Progress = lambda done, total: None,
    ) -> None:
        """Encodes what is new in `prompt`, and lets its pictures stand in the session's prompts to
        come. Raises SlmError: what `Vision.encode` and `Session.pictures` raise.
        """
        names = [_name(image) for image in prompt.images]
        new = {
            name: image
            for name, image in zip(names, prompt.images, strict=True)
            if name not in self._kept
        }
        for done, (name, image) in enumerate(new.items()):
            progress(done, len(new))
            self._kept[name] = self.vision.encode(image)
        if new:
            progress(len(new), len(new))
        session.pictures([self._kept[name] for name in names], prompt.at)
        for name in self._kept.keys() - set(names):
            self._kept.pop(name).close()

    def session(self, n_ctx: int | None = None) -> Session:
        """A session of the model, in whose evaluations a picture has room."""
        model, info = self.vision.model, self.vision.info
        n_ctx = n_ctx or model.default_n_ctx
        whole = info["n_tokens"], info["whole_picture"], info["whole_prompt"]
        return model.session(n_ctx, n_batch_for(*whole, n_ctx))

    def close(self) -> None:
        """Frees them; closing twice is fine."""
        while self._kept:
            self._kept.popitem()[1].close()

    def __enter__(self) -> Pictures:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _name(image: Pixels) -> bytes:
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest()
