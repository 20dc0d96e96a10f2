"""Messages to prompt, by the chat template that the GGUF carries.

Owns the Jinja environment, which follows transformers' (templates are written
for it): immutable sandbox, trimmed blocks, loop controls, `raise_exception`,
`strftime_now`, a `tojson` that does not escape HTML. A template is somebody
else's program, so it runs in Jinja's sandbox and its failures are sentences.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ..errors import SlmError
from .model import Model

Message = Mapping[str, Any]  # {"role": "system" | "user" | "assistant" | …, "content": str}


class _Generation(Extension):
    """`{% generation %}` marks the assistant's text for training; here it is its body."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
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
) -> str:
    """The prompt that `template` makes of `messages`.

    `now` is what `strftime_now` formats (by default the local time).
    Raises SlmError "bad_template" with the template's own reason.
    """
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation]
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = (now or datetime.datetime.now()).strftime
    try:
        return environment.from_string(template).render(
            messages=list(messages),
            bos_token=bos_token,
            eos_token=eos_token,
            add_generation_prompt=add_generation_prompt,
            **variables,
        )
    except RecursionError:
        reason = "it nests too deeply"
    # A template can fail in as many ways as a program: TypeError, ZeroDivisionError…
    except Exception as error:
        reason = str(error) or type(error).__name__
    raise SlmError(
        "bad_template",
        f"the model's chat template refused these messages ({reason.splitlines()[0].rstrip('.')}); "
        "roles may have to alternate, and some models know no system prompt",
    )


def chat_prompt(model: Model, messages: Sequence[Message], **variables: Any) -> list[int]:
    """The token ids with which `model` is to answer `messages`.

    Raises SlmError "bad_template", also when the model has no template.
    """
    prompt, bos = chat_text(model, messages, **variables)
    return model.tokenizer.encode(prompt, bos=bos)


def chat_text(model: Model, messages: Sequence[Message], **variables: Any) -> tuple[str, bool]:
    """The prompt before it is tokenized, and whether the tokenizer is to add BOS to it."""
    info = model.info
    if not info["chat_template"]:
        raise SlmError(
            "bad_template",
            "the model has no chat template, so it was not trained to chat; use an instruct model",
        )

    def text(token: int | None) -> str:
        if token is None:
            return ""
        return model.tokenizer.decode([token], special=True).decode("utf-8", "replace")

    bos = text(info["bos"])
    prompt = render(
        info["chat_template"], messages, bos_token=bos, eos_token=text(info["eos"]), **variables
    )
    # Most templates write BOS themselves; the tokenizer must not write it again.
    return prompt, not (bos and prompt.startswith(bos))
