"""What differs between the kinds of picture encoders, as data.

Owns the filter by which a picture is resized, how it is cut where somebody wants to see more of it,
and the words around its rows. web/src/vision/projectors.ts is the same table. Sizes are the
encoder's own, which the core tells; mean and deviation too, by which the core normalises.
Sources: transformers' processors of each family (gemma3, paligemma, idefics3, smolvlm).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from ..errors import SlmError

Filter = Literal["bilinear", "bicubic", "lanczos"]  # PIL's, which widen as a picture shrinks


@dataclass(frozen=True)
class PanAndScan:
    """Crops of a picture that is long, side by side along its longer edge."""

    min_side: int  # of a crop, in pixels of the picture
    max_crops: int
    min_ratio: float  # of the longer edge to the shorter one


@dataclass(frozen=True)
class Tiles:
    """A grid of squares, after the longer edge has become so many times the encoder's side."""

    sides: int
    max_edge: int  # pixels


@dataclass(frozen=True)
class Projector:
    """A kind of encoder. `whole` are the words before and after the rows of a picture that is not
    cut."""

    name: str
    filter: Filter
    placeholder: str  # a chat template's word for a picture
    soft: str  # the token at whose positions the rows stand
    whole: tuple[str, str]
    cut: PanAndScan | Tiles | None  # where a message asks for detail "high"
    chats: bool = (
        True  # by the chat template; else a prompt is pictures, BOS, a text and a line feed
    )
    parts_only: bool = False  # the chat template takes no content that is a string


PROJECTORS: Final[Mapping[str, Projector]] = {
    projector.name: projector
    for projector in (
        Projector(
            "gemma3",
            filter="bilinear",
            placeholder="<start_of_image>",
            soft="<image_soft_token>",
            whole=("\n\n<start_of_image>", "<end_of_image>\n\n"),
            cut=PanAndScan(min_side=256, max_crops=4, min_ratio=1.2),
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
            cut=Tiles(sides=4, max_edge=4096),
            parts_only=True,
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
