"""What answers outline in a picture, written as files.

Owns their names and the one picture that an answer speaks of: the first of the last message that
shows some, as on the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..atomic import atomic_file
from ..core.chat import Message, pictures_in
from ..errors import SlmError, os_reason
from ..vision.masks import found_in, placed

if TYPE_CHECKING:
    from PIL import Image

    from ..vision.masks import MaskDecoder


class Outlines:
    """A folder of masks: white on black, in the picture's size, numbered through a conversation."""

    def __init__(self, decoder: MaskDecoder, folder: Path) -> None:
        self._decoder = decoder
        self._folder = folder
        self._n = 0

    def write(self, answer: str, messages: Sequence[Message]) -> list[dict[str, str]]:
        """Writes what `answer` outlines in the picture of `messages`: label and file of each.

        Raises SlmError "unwritable".
        """
        from PIL import Image

        picture = _last_picture(messages)
        outlined = [found for found in found_in(answer) if found.codes is not None]
        if picture is None:
            return []
        written = []
        for found in outlined:
            assert found.codes is not None
            mask = placed(self._decoder.decode(found.codes), found.box, *picture.size)
            self._n += 1
            path = self._folder / f"mask-{self._n}.png"
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise SlmError("unwritable", f"cannot write {path}: {os_reason(error)}") from None
            with atomic_file(path) as file:
                Image.fromarray((mask > 0).astype("uint8") * 255).save(file, format="PNG")
            written.append({"label": found.label, "file": str(path)})
        return written


def _last_picture(messages: Sequence[Message]) -> Image.Image | None:
    """As `Sight.part` opened it."""
    for message in reversed(messages):
        shown: list[Mapping[str, Any]] = list(pictures_in([message]))
        if shown:
            picture: Image.Image = shown[0]["url"]
            return picture
    return None
