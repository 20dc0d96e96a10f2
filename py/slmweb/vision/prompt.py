"""Messages with pictures to token ids, and where among them the pictures stand.

Owns the words around a picture's rows and the prompt of encoders whose model knows no chat
(PaliGemma). Text before and after a picture is tokenized apart, which the control tokens on both
sides make the same as together; the chat template is core/chat.py's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..core.chat import Message, chat_text, parts_of, pictures_in, special_tokens
from ..core.model import Model
from ..core.provenance import Text, foreign, joined
from ..core.vision import tokens_of
from ..errors import SlmError
from .preprocess import Detail, Pixels, Views, open_picture, views
from .projectors import Budget, PanAndScan, Projector, Tiles, projector_of

# A message that shows more is a mistake sooner than a question.
MAX_PICTURES = 64
_DETAILS: tuple[Detail, ...] = ("auto", "low", "high")


class Encoder(Protocol):
    """What is to be known of an encoder of pictures; core.vision.VisionInfo has it."""

    def __getitem__(self, key: str, /) -> Any: ...


@dataclass(frozen=True)
class Prompt:
    """Token ids, among which `images[i]` takes its positions from `at[i]` on."""

    ids: list[int]
    at: list[int]
    images: list[Pixels]


def lay_out(
    model: Model, encoder: Encoder, messages: Sequence[Message], **variables: Any
) -> Prompt:
    """The prompt with which `model` is to answer messages, some of whose parts are pictures.

    Such a part is in OpenAI's shape, {"type": "image_url", "image_url": {"url": …, "detail": …}},
    where the url is a data URL, a path, a file's bytes or a Pillow image. The detail "high" cuts a
    picture or leaves it larger, so that the model sees more of it for more tokens. A model that
    knows no chat is asked the last message alone, about the pictures of the last message that has
    some. `variables` as `chat_prompt`. Raises SlmError: what `chat_prompt` and `open_picture`
    raise, and "invalid_argument".
    """
    projector = projector_of(encoder["projector"])
    parse_special = bool(variables.pop("parse_special", False))
    if projector.chats:
        text, bos = chat_text(model, messages, **variables)
    else:
        text, messages, bos = _question(model, projector, messages), _last_seen(messages), False
    side = encoder["image_size"] or encoder["patch_size"] * encoder["factor"]
    seen = [
        views(open_picture(_url(given)), projector, side, _detail(given))
        for given in _counted(messages)
    ]
    pieces = _split(text, projector.placeholder)
    if len(pieces) != len(seen) + 1:
        raise SlmError(
            "bad_template",
            f"the chat template shows {len(pieces) - 1} of the {len(seen)} pictures in these "
            "messages; a picture belongs into a question",
        )
    encode = model.tokenizer.encode
    soft = encode(projector.soft, bos=False)
    ids: list[int] = []
    at: list[int] = []
    images = [image for picture in seen for image in picture.images]
    for i, segment in enumerate(_segments(projector, pieces, seen)):
        if i > 0:
            at.append(len(ids))
            # Rows stand there whatever the id; older files lack the token.
            n = _n_tokens(encoder, images[i - 1])
            ids += (soft if len(soft) == 1 else ids[-1:] or [0]) * n
        if segment or i == 0:
            plain = () if parse_special else segment.spans
            ids += encode(segment, bos=bos and i == 0, plain=plain)
    return Prompt(ids, at, images)


def _n_tokens(encoder: Encoder, image: Pixels) -> int:
    if encoder["image_size"]:
        return int(encoder["n_tokens"])
    height, width, _ = image.shape
    return tokens_of(encoder, width, height)


def words(projector: Projector, seen: Views) -> list[str]:
    """What stands before, between and behind the rows of a picture's views: one more than there
    are views."""
    before, after = projector.whole
    cut = projector.cut
    if len(seen.images) == 1 or cut is None or isinstance(cut, Budget):
        return [before, after]
    if isinstance(cut, PanAndScan):
        between = [f"{after}{cut.between_crops}{before}"] * (len(seen.images) - 2)
        first = [f"{cut.before_whole}{before}", f"{after}{cut.before_crops}{before}"]
        return [*first, *between, after]
    return [*_tile_words(cut, seen, before), after]


def _tile_words(cut: Tiles, seen: Views, before: str) -> Iterator[str]:
    ended = ""
    for row in range(1, seen.rows + 1):
        for column in range(1, seen.columns + 1):
            yield ended + cut.before_tile.format(row=row, column=column)
            ended = ""
        ended = cut.after_row
    yield f"{ended}{cut.before_whole}{before}"


def _segments(
    projector: Projector, pieces: Sequence[Text], seen: Sequence[Views]
) -> Iterator[Text]:
    """What stands before, between and behind the rows of all views: `pieces` of the prompt with a
    picture's words between each two."""
    text = pieces[0]
    for picture, piece in zip(seen, pieces[1:], strict=True):
        first, *others = words(projector, picture)
        text = joined([text, first])
        for other in others:
            yield text
            text = Text(other)
        text = joined([text, piece])
    yield text


def _split(text: Text, placeholder: str) -> list[Text]:
    """The text between the placeholders that the template wrote; those of a message are text."""
    pieces, begin, at = [], 0, 0
    while (at := text.find(placeholder, at)) >= 0:
        end = at + len(placeholder)
        if text[at:end].spans:
            at += 1
            continue
        pieces.append(text[begin:at])
        begin = at = end
    return [*pieces, text[begin:]]


def _question(model: Model, projector: Projector, messages: Sequence[Message]) -> Text:
    """The prompt of a model that knows no chat: pictures, BOS, a text and a line feed."""
    if not messages or messages[-1].get("role") != "user":
        raise SlmError(
            "invalid_argument",
            "the model knows no chat and answers one question; end with a message of the user",
        )
    said = [part["text"] for part in parts_of(messages[-1]) if part.get("type") == "text"]
    n = sum(1 for _ in pictures_in(_last_seen(messages)))
    bos, _ = special_tokens(model)
    return joined([projector.placeholder * n, bos, foreign("".join(said)), "\n"])


def _last_seen(messages: Sequence[Message]) -> list[Message]:
    """The last message that holds a picture, if one does."""
    return [message for message in messages if any(pictures_in([message]))][-1:]


def _counted(messages: Sequence[Message]) -> list[Mapping[str, Any]]:
    found = list(pictures_in(messages))
    if len(found) > MAX_PICTURES:
        raise SlmError(
            "invalid_argument",
            f"the messages hold {len(found)} pictures and at most {MAX_PICTURES} are shown; leave "
            "out the oldest",
        )
    return found


def _url(given: Mapping[str, Any]) -> Any:
    if not isinstance(given, Mapping) or "url" not in given:
        raise SlmError(
            "invalid_argument",
            'expected a picture as {"type": "image_url", "image_url": {"url": …}}, found no url; '
            "give a data URL, a path or a file's bytes",
        )
    return given["url"]


def _detail(given: Mapping[str, Any]) -> Detail:
    detail = given.get("detail") or "auto"
    if detail not in _DETAILS:
        raise SlmError(
            "invalid_argument",
            f"the detail of a picture is {detail!r}; choose auto, low or high",
        )
    return detail
