"""What differs between the kinds of picture encoders, as data.

Owns the filter by which a picture is resized, how it is cut or how large it stays where somebody
wants to see more of it, and the words around its rows. web/src/vision/projectors.ts is the same
table. Sizes are the encoder's own, which the core tells; mean and deviation too, by which the core
normalises.
Sources: transformers' processors of each family (gemma3, gemma4, paligemma, idefics3, smolvlm).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from ..errors import SlmError

Filter = Literal["bilinear", "bicubic", "lanczos"]  # PIL's, which widen as a picture shrinks


@dataclass(frozen=True)
class PanAndScan:
    """Crops of a picture that is long, side by side along its longer edge, after the whole."""

    min_side: int  # of a crop, in pixels of the picture
    max_crops: int
    min_ratio: float  # of the longer edge to the shorter one
    before_whole: str
    before_crops: str
    between_crops: str


@dataclass(frozen=True)
class Tiles:
    """A grid of squares, after the longer edge has become so many times the encoder's side; the
    whole comes last."""

    sides: int
    max_edge: int  # pixels
    before_tile: str  # of {row} and {column}, counted from 1
    after_row: str
    before_whole: str


@dataclass(frozen=True)
class Budget:
    """Positions that a picture takes at most, which keeps its shape: by a message's detail."""

    low: int
    auto: int
    high: int


@dataclass(frozen=True)
class Projector:
    """A kind of encoder. `whole` are the words before and after the rows of a picture that is not
    cut."""

    name: str
    filter: Filter
    placeholder: str  # a chat template's word for a picture
    soft: str  # the token at whose positions the rows stand
    whole: tuple[str, str]
    cut: PanAndScan | Tiles | Budget | None  # where a message asks for detail "high"
    chats: bool = (
        True  # by the chat template; else a prompt is pictures, BOS, a text and a line feed
    )


PROJECTORS: Final[Mapping[str, Projector]] = {
    projector.name: projector
    for projector in (
        Projector(
            "gemma3",
            filter="bilinear",
            placeholder="<start_of_image>",
            soft="<image_soft_token>",
            whole=("\n\n<start_of_image>", "<end_of_image>\n\n"),
            cut=PanAndScan(
                min_side=256,
                max_crops=4,
                min_ratio=1.2,
                before_whole="Here is the original image ",
                before_crops=" and here are some crops to help you see better ",
                between_crops=" ",
            ),
        ),
        Projector(
            "gemma4v",
            filter="bicubic",
            placeholder="<|image|>",
            soft="<|image|>",
            whole=("<|image>", "<image|>"),
            # Of the choices 70, 140, 280, 560 and 1120; the last takes a page's memory.
            cut=Budget(low=70, auto=280, high=560),
        ),
        Projector(
            "paligemma",
            filter="bicubic",
            placeholder="<image>",
            soft="<image>",
            whole=("", ""),
            cut=None,
            chats=False,
        ),
        Projector(
            "idefics3",
            filter="lanczos",
            placeholder="<image>",
            soft="<image>",
            whole=("<fake_token_around_image><global-img>", "<fake_token_around_image>"),
            cut=Tiles(
                sides=4,
                max_edge=4096,
                before_tile="<fake_token_around_image><row_{row}_col_{column}>",
                after_row="\n",
                before_whole="\n",
            ),
        ),
    )
}


def projector_of(name: str) -> Projector:
    """The projector that the core calls so. Raises SlmError "unsupported"."""
    if (found := PROJECTORS.get(name)) is None:
        raise SlmError(
            "unsupported",
            f"the encoder of pictures has the projector {name!r}; supported are "
            + ", ".join(PROJECTORS),
        )
    return found


def n_batch_for(
    n_tokens: int, whole_picture: bool, whole_prompt: bool, n_ctx: int, n_batch: int = 128
) -> int:
    """Tokens of one evaluation in a session that shows pictures of `n_tokens`: each lies whole in
    it with `whole_picture`, and with `whole_prompt` all that comes before an answer."""
    if whole_prompt:
        return n_ctx
    return max(n_batch, min(n_tokens, n_ctx)) if whole_picture else n_batch
