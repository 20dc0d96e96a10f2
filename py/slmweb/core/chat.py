"""Messages to prompt, by the chat template that the GGUF carries.

Owns what becomes of a conversation: the template's variables, a system prompt
that the template refuses (its text opens the first question instead), an answer
to be continued, and sentences for what fails. How a template is run is
jinja.py's, and what a message's characters may not do is the tokenizer's.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import jinja2

from ..errors import SlmError
from .jinja import Environment
from .model import Model
from .provenance import Text, foreign, joined
from .tools import known_form, speaks_of_tools, told

# {"role": "system" | "user" | "assistant" | …, "content": a text, or parts of text and pictures}
Message = Mapping[str, Any]

_TAG = "CONTINUE_FINAL_MESSAGE_TAG "
# What a message is rendered from; all else are the template's own variables.
_FOREIGN = ("tools", "documents")


def check_template(template: str) -> None:
    """Raises SlmError "bad_template" where `template` has a syntax error, with its line."""
    _compiled(template, None)


def _compiled(template: str, now: datetime.datetime | None) -> jinja2.Template:
    environment = Environment() if now is None else Environment(lambda: now)
    try:
        return environment.from_string(template)
    except RecursionError:
        reason, line = "it nests too deeply", None
    # Python's own compiler refuses what Jinja's parser lets pass, a stray `break`.
    except (jinja2.TemplateSyntaxError, SyntaxError) as error:
        line = error.lineno
        reason = (
            error.message if isinstance(error, jinja2.TemplateSyntaxError) else error.msg
        ) or ""
    place = "" if line is None else f"line {line}: "
    raise SlmError(
        "bad_template",
        f"the chat template has a syntax error ({place}{_line(reason)}); correct it, or take it "
        "from the model's own repository",
    )


def render(
    template: str,
    messages: Sequence[Message],
    *,
    bos_token: str = "",
    eos_token: str = "",
    add_generation_prompt: bool = True,
    now: datetime.datetime | None = None,
    **variables: Any,
) -> Text:
    """The prompt that `template` makes of these very `messages`.

    The result's `spans` tell which of its characters came from messages, tools or
    documents. `now` is what `strftime_now` formats (by default the local time).
    Raises SlmError "bad_template" with the template's own reason.
    """
    compiled = _compiled(template, now)
    given = {"tools": None, "documents": None, **variables}
    try:
        given |= {name: foreign(given[name]) for name in _FOREIGN}
        return Text(
            compiled.render(
                messages=[foreign(message) for message in messages],
                bos_token=bos_token,
                eos_token=eos_token,
                add_generation_prompt=add_generation_prompt,
                **given,
            )
        )
    except RecursionError:
        reason = "it nests too deeply"
    # A template can fail in as many ways as a program: TypeError, ZeroDivisionError…
    except Exception as error:
        reason = str(error) or type(error).__name__
    raise SlmError(
        "bad_template",
        f"the model's chat template refused these messages ({_line(reason)}); "
        "roles may have to alternate, and some models know no system prompt",
    )


def _line(reason: str) -> str:
    return (str.splitlines(reason) or [""])[0].rstrip(".")


def chat_prompt(model: Model, messages: Sequence[Message], **variables: Any) -> list[int]:
    """The token ids with which `model` is to answer `messages`; as chat_text.

    Control tokens in messages are text, unless `parse_special` is given as true.
    """
    parse_special = bool(variables.pop("parse_special", False))
    if any(pictures_in(messages)):
        raise SlmError(
            "invalid_argument",
            "the messages hold a picture and no encoder of pictures was given, so that the model "
            "would not see it; use slmweb.vision.prompt.lay_out, or leave it out",
        )
    prompt, bos = chat_text(model, messages, **variables)
    return model.tokenizer.encode(prompt, bos=bos, plain=() if parse_special else prompt.spans)


def chat_text(
    model: Model,
    messages: Sequence[Message],
    *,
    template: str | None = None,
    continue_final_message: bool | None = None,
    add_generation_prompt: bool = True,
    **variables: Any,
) -> tuple[Text, bool]:
    """The prompt before it is tokenized, and whether the tokenizer is to add BOS to it.

    `template` is by default the model's own. A picture among the parts of a message becomes what
    the template writes for one. Calls of tools and their results are in OpenAI's
    shape, and so are the `tools` among the variables. `continue_final_message` ends the prompt
    inside the last message, by default where that is the assistant's; else it ends with the
    header of an answer, unless `add_generation_prompt` is false. Where the template refuses
    a system prompt, its text opens the first question instead. Raises SlmError "bad_template",
    also when the model has no template.
    """
    template = template or model.info["chat_template"]
    if not template:
        raise SlmError(
            "bad_template",
            "the model has no chat template, so it was not trained to chat; use an instruct model",
        )
    bos, eos = special_tokens(model)
    if speaks_of_tools(messages) and (form := known_form(template)) is not None:
        messages = told(messages, template, form)

    wrap = takes_parts_only(template)

    def rendered(some: Sequence[Message], prompt: bool) -> Text:
        return render(
            template,
            [_as_templates_take(message, wrap) for message in some],
            bos_token=bos,
            eos_token=eos,
            add_generation_prompt=prompt and add_generation_prompt,
            **variables,
        )

    prompt = conversation(rendered, messages, continue_final_message)
    return prompt, lacks_bos(prompt, bos)


def pictures_in(messages: Sequence[Message]) -> Iterator[Mapping[str, Any]]:
    """The `image_url` of each picture in the messages' parts, in order, in OpenAI's shape."""
    for message in messages:
        for part in parts_of(message):
            if part.get("type") == "image_url":
                yield part["image_url"]


def parts_of(message: Message) -> Sequence[Mapping[str, Any]]:
    """The parts of a message's content; those of a text are that text."""
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return content if isinstance(content, (list, tuple)) else []


@lru_cache(16)
def takes_parts_only(template: str) -> bool:
    """Whether a template walks through a content's parts, and so through the letters of a text."""
    probe = "slmweb probes this"

    def shows(content: Any) -> bool:
        try:
            return probe in render(template, [{"role": "user", "content": content}])
        except SlmError:
            return False

    return not shows(probe) and shows([{"type": "text", "text": probe}])


def _as_templates_take(message: Message, wrap: bool) -> Message:
    """The message with pictures as templates know them; a text as the one part with `wrap`."""
    content = message.get("content")
    if isinstance(content, str):
        return {**message, "content": parts_of(message)} if wrap else message
    if not any(part.get("type") == "image_url" for part in parts_of(message)):
        return message
    parts = [
        {"type": "image"} if part.get("type") == "image_url" else part for part in parts_of(message)
    ]
    return {**message, "content": parts}


def special_tokens(model: Model) -> tuple[str, str]:
    """What a template calls `bos_token` and `eos_token`."""

    def text(token: int | None) -> str:
        if token is None:
            return ""
        return model.tokenizer.decode([token], special=True).decode("utf-8", "replace")

    return text(model.info["bos"]), text(model.info["eos"])


def lacks_bos(prompt: Text, bos: str) -> bool:
    """Most templates write BOS themselves; the tokenizer must not write it again."""
    own = bool(bos) and prompt.startswith(bos)
    return not (own and (not prompt.spans or prompt.spans[0][0] >= len(bos)))


Renderer = Callable[[Sequence[Message], bool], Text]


def conversation(
    rendered: Renderer, messages: Sequence[Message], continues: bool | None = None
) -> Text:
    """What `rendered` (of messages, with or without an answer's header) makes of a conversation."""
    if continues is None:
        continues = bool(messages) and messages[-1].get("role") == "assistant"

    def whole(some: Sequence[Message]) -> Text:
        return _continued(rendered, some) if continues else rendered(some, True)

    try:
        return whole(messages)
    except SlmError as error:
        folded = _without_system(messages)
        if folded is None or "syntax error" in error.message:
            raise
        try:
            return whole(folded)
        except SlmError:
            raise error from None


def _without_system(messages: Sequence[Message]) -> list[Message] | None:
    """The conversation with the system prompt as the first question's beginning."""
    if [message.get("role") for message in messages[:2]] != ["system", "user"]:
        return None
    system, user = messages[0].get("content"), messages[1].get("content")
    if not isinstance(system, str) or not isinstance(user, str):
        return None
    return [{**messages[1], "content": f"{system}\n\n{user}"}, *messages[2:]]


def _continued(rendered: Renderer, messages: Sequence[Message]) -> Text:
    """The prompt that ends inside the last message.

    As transformers does it: the message is rendered with a tag behind it, and the
    prompt ends where the tag came out.
    """
    last = messages[-1] if messages else {}
    content = last.get("content")
    if not isinstance(content, str):
        raise SlmError("bad_template", "there is no text to continue; end with a message of text")
    # A thought that was cut off goes on as a thought; templates that add a block
    # of thinking to every answer would close an empty one before it.
    if not _thinks(content):
        text = rendered([*messages[:-1], {**last, "content": content + _TAG}], False)
        at = text.rfind(_TAG.rstrip())
        if at >= 0 and content.strip() in text:
            # Where the template trims, the white space at the end belongs to what it trimmed.
            return text[:at] if text.startswith(_TAG, at) else text[:at].rstrip()
    if last.get("role") != "assistant":
        raise SlmError(
            "bad_template",
            f"the chat template leaves out the {last.get('role')}'s last message, so it cannot be "
            "continued; continue an answer",
        )
    # The template rewrites the answer, so it goes on as the model had begun it.
    return joined([rendered(messages[:-1], True), foreign(content)])


def _thinks(content: str) -> bool:
    opened = content.rfind("<think>")
    return opened >= 0 and "</think>" not in content[opened:]
