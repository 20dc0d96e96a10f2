"""What commands that show pictures share: options, finding the encoder, and prompts with them.

Owns when an encoder is loaded: only when a picture is to be seen, for it may be as large as a
model.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..errors import SlmError
from .common import progress_bar

if TYPE_CHECKING:
    from ..core.chat import Message
    from ..core.model import Model
    from ..core.session import Session
    from ..core.vision import VisionInfo
    from ..vision.masks import MaskDecoder
    from ..vision.pictures import Pictures
    from ..vision.preprocess import Detail
    from ..vision.prompt import Prompt

ImageOption = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="A picture to show with the first question; repeatable.",
        show_default=False,
    ),
]
DetailOption = Annotated[
    Literal["auto", "low", "high"],
    typer.Option(
        help="high cuts pictures, or leaves them larger, so that the model sees more of them for "
        "more tokens."
    ),
]
MmprojOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.gguf",
        help="The model's encoder of pictures; by default the mmproj-*.gguf beside the model.",
        show_default=False,
    ),
]

MasksOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.npz",
        help="PaliGemma's decoder of masks, vae-oid.npz; it goes into the encoder's file.",
        show_default=False,
    ),
]
SaveMasksOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Write what answers outline in a picture to this folder, as PNG in its size.",
        show_default=False,
    ),
]


class Sight:
    """A model, with what its encoder says of itself, and the encoder once a picture asks for it.

    `why` says what is wrong with an encoder that cannot be used.
    """

    def __init__(
        self,
        model: Model,
        encoder: Path | None,
        info: VisionInfo | None,
        why: str,
        stack: contextlib.ExitStack,
    ) -> None:
        self.model = model
        self.info = info
        self._encoder = encoder
        self._why = why
        self._stack = stack
        self._pictures: Pictures | None = None

    def load(self) -> Pictures:
        """The encoder, loaded. Raises SlmError "invalid_argument" where there is none, and what
        `Model.load_vision` raises."""
        from ..vision.pictures import Pictures

        if self._encoder is None:
            raise SlmError("invalid_argument", f"the model sees no pictures: {self._why}")
        if self._pictures is None:
            with progress_bar(f"loading {self._encoder.name}", "bytes") as progress:
                vision = self.model.load_vision(self._encoder, progress=progress)
            self._pictures = self._stack.enter_context(Pictures(self._stack.enter_context(vision)))
        return self._pictures

    def session(self, n_ctx: int | None) -> Session:
        """A session in which pictures have room, if the model has an encoder."""
        from ..vision.projectors import n_batch_for

        if self.info is None:
            return self.model.session(n_ctx)
        n_ctx = n_ctx or self.model.default_n_ctx
        info = self.info
        whole = info["n_tokens"], info["whole_picture"], info["whole_prompt"]
        return self.model.session(n_ctx, n_batch_for(*whole, n_ctx))

    def part(self, path: Path, detail: Detail) -> dict[str, Any]:
        """The picture in a file as a part of a message. Raises SlmError as `load`, and for what is
        no picture."""
        from ..vision.preprocess import open_picture

        picture = open_picture(path)
        self.load()
        return {"type": "image_url", "image_url": {"url": picture, "detail": detail}}

    def laid_out(self, messages: Sequence[Message]) -> Prompt:
        """The prompt of messages. Raises SlmError: what `chat_prompt` and `lay_out` raise."""
        from ..core.chat import chat_prompt
        from ..vision.prompt import Prompt, lay_out

        if self.info is None:
            return Prompt(chat_prompt(self.model, messages), [], [])
        return lay_out(self.model, self.info, messages)

    def mask_decoder(self) -> MaskDecoder:
        """The decoder of what answers outline. Raises SlmError where the model has none."""
        from ..vision.masks import MaskDecoder

        if self._encoder is None or self.info is None:
            raise SlmError("invalid_argument", f"the model sees no pictures: {self._why}")
        return MaskDecoder.read(self._encoder, self.info)

    def prepare(self, session: Session, messages: Sequence[Message]) -> list[int]:
        """The token ids of messages, whose pictures the session shows from now on."""
        prompt = self.laid_out(messages)
        if prompt.images or self._pictures is not None:
            pictures = self.load()
            with progress_bar("looking", "items") as progress:
                pictures.show(session, prompt, progress)
        return prompt.ids


@contextlib.contextmanager
def seeing(model: Model, path: Path, mmproj: Path | None) -> Iterator[Sight]:
    """The loaded model of `path` with the encoder that --mmproj names, or else with its own.

    One that merely lies there and cannot be used is as good as none until a picture is shown.
    Raises SlmError for one that was named.
    """
    from ..core.vision import Vision
    from ..vision.encoder_file import encoder_of

    encoder, info = mmproj or encoder_of(path), None
    why = "no mmproj-*.gguf lies beside it; name its encoder with --mmproj"
    if encoder is not None:
        try:
            info = Vision.check(model, encoder)
        except SlmError as error:
            if mmproj is not None or error.code not in ("bad_file", "unsupported", "unreadable"):
                raise
            encoder, why = None, error.message
    with contextlib.ExitStack() as stack:
        yield Sight(model, encoder, info, why, stack)
