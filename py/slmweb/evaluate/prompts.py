"""From an item to what the model reads, and to where its answer begins and ends.

Owns the wording of prompts and the chat template's part in them. A model with a
template is spoken to through it, with the task as the user's message; one
without continues plain text. Knows nothing of scores.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.chat import chat_text
from ..core.model import Model
from ..core.perplexity import windows
from ..core.tools import begun, tool_form
from ..errors import SlmError
from ..generated.tool_forms import ToolForm
from .data import Item, Message, Task

# {text} is the line's own text, {labels} the classes. A line with "messages" is
# taken as it is.
DEFAULT_PROMPTS: dict[Task, str] = {
    "chat": "{text}",
    "generate": "{text}",
    "perplexity": "{text}",
    "choice": "{text}",
    "tools": "{text}",
    "guard": "{text}",
    "classify": "Classify the text as one of: {labels}.\n\nText: {text}\n\n"
    "Answer with the label only.",
}
# What a model without a chat template needs to see that an answer is due, after
# the default prompt.
PLAIN_ENDINGS: dict[Task, str] = {"classify": "\n\nLabel:", "choice": "\nAnswer:", "chat": "\n"}


@dataclass(frozen=True)
class Wording:
    """How items become prompts. `prompt` None is the task's default."""

    task: Task
    prompt: str | None = None
    system: str | None = None
    raw: bool = False  # plain text even where there is a chat template
    labels: Sequence[str] = ()
    template: str | None = None  # in place of the models' own
    must_call: bool = False  # of "tools": an answer is begun as a call


_PLACEHOLDER = re.compile(r"(?<![\\\w{}])\{([A-Za-z_]\w*)\}(?!\})")


def check_wording(wording: Wording) -> None:
    """Raises SlmError "invalid_argument" for words that would not reach the model, or without
    which the items' texts would not."""
    task, prompt = wording.task, wording.prompt
    if wording.raw and (task == "tools" or wording.template is not None):
        raise SlmError(
            "invalid_argument",
            "--raw leaves the chat template out, and "
            + ("tools need it" if task == "tools" else "--chat-template gives one")
            + "; leave --raw out",
        )
    if task in ("perplexity", "guard") and (prompt is not None or wording.system is not None):
        option = "--system" if prompt is None else "--prompt"
        why = (
            "takes the texts as they are"
            if task == "perplexity"
            else "asks in the words that guards are trained on"
        )
        raise SlmError("invalid_argument", f"{option} is not for {task}, which {why}; leave it out")
    if prompt is None:
        return
    known = ("text", "labels") if task in ("classify", "choice") else ("text",)
    listed = " and ".join(f"{{{name}}}" for name in known)
    for name in _PLACEHOLDER.findall(prompt):
        if name not in known:
            raise SlmError(
                "invalid_argument",
                f"--prompt has {{{name}}}, and --task {task} fills in {listed}; correct it, or "
                f"write {{ {name} }} if the braces are meant",
            )
    if "{text}" not in prompt:
        raise SlmError(
            "invalid_argument",
            f"--prompt {prompt!r} has no {{text}}, so that no line's text would reach the model; "
            "put {text} where it belongs",
        )


@dataclass(frozen=True)
class Prompt:
    """What one model reads for one item."""

    text: str
    bos: bool  # the tokenizer is to add BOS
    ids: tuple[int, ...]
    messages: tuple[Message, ...]  # empty: plain text
    glue: str  # between the prompt and an answer
    end: str  # what ends an answer; "" when nothing does
    plain: tuple[tuple[int, int], ...] = ()  # where control tokens are text
    tools: tuple[Mapping[str, Any], ...] = ()
    form: ToolForm | None = None  # of their calls
    begun: str = ""  # what the answer has been begun with

    @property
    def special(self) -> bool:
        """Whether special tokens in the text are parsed: those of a template are."""
        return bool(self.messages)


@dataclass(frozen=True)
class Continuation:
    """Tokens of which those from `first` (1 or more) on are predicted."""

    text: str | None  # None: a window of a longer text
    bos: bool
    ids: tuple[int, ...]
    first: int
    n_bytes: int  # of the predicted text


def make_prompt(model: Model, item: Item, wording: Wording) -> Prompt:
    """Raises SlmError "bad_template" or, for messages without a template, "bad_data"."""
    template = wording.template or model.info["chat_template"]
    form = tool_form(template) if wording.task == "tools" else None
    chat = bool(template) and not wording.raw and wording.task != "perplexity"
    if item.messages and not chat:
        why = "--raw was given" if wording.raw else "the model has no chat template"
        raise SlmError(
            "bad_data",
            f'line {item.line} has "messages" and {why}; give plain text, or an instruct model',
        )
    system = item.system or wording.system
    if not chat:
        ending = "" if wording.prompt else PLAIN_ENDINGS.get(wording.task, "")
        text = _filled(item, wording) + ending
        text = f"{system}\n\n{text}" if system else text
        ids = model.tokenizer.encode(text, special=False)
        return Prompt(text, True, tuple(ids), (), " " if text.endswith(":") else "", "")
    messages = item.messages or ({"role": "user", "content": _filled(item, wording)},)
    if system and messages[0]["role"] != "system":
        messages = ({"role": "system", "content": system}, *messages)
    rendered, bos = chat_text(model, messages, template=template, tools=list(item.tools) or None)
    plain = tuple(rendered.spans)
    begin = ""
    if form is not None and wording.must_call:
        begin = begun(form, [tool["function"]["name"] for tool in item.tools])
    text = str.__str__(rendered) + begin
    ids = model.tokenizer.encode(text, bos=bos, plain=plain)
    end = _turn_end(model)
    return Prompt(text, bos, tuple(ids), messages, "", end, plain, item.tools, form, begin)


def continue_prompt(model: Model, prompt: Prompt, answer: str) -> Continuation:
    """The prompt with `answer` to its end.

    Both are tokenized together, as a trained answer was; where a token spans the
    seam, it counts as the answer's.
    """
    begin = len(prompt.text + prompt.glue)
    text = prompt.text + prompt.glue + answer + prompt.end
    # In an answer, too, control tokens are text.
    plain = (*prompt.plain, (begin, begin + len(answer)))
    ids = model.tokenizer.encode(text, special=prompt.special, bos=prompt.bos, plain=plain)
    pairs = zip(ids, prompt.ids, strict=False)
    shared = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(ids), len(prompt.ids)))
    first = max(1, min(shared, len(ids) - 1))
    return Continuation(text, prompt.bos, tuple(ids), first, len(answer.encode()))


def whole_text(model: Model, text: str, n_ctx: int) -> list[Continuation]:
    """Windows of at most `n_ctx` tokens, every one to be predicted as for perplexity.

    Empty when the text has fewer than two tokens.
    """
    info = model.info
    ids = model.tokenizer.encode(text, special=False)
    if len(ids) < 2:
        return []
    cut = windows(ids, n_ctx, info["bos"] if info["add_bos"] else None)
    return [
        Continuation(
            text if len(cut) == 1 else None,
            True,
            tuple(window),
            row + 1,
            len(model.tokenizer.decode(window[row + 1 :])),
        )
        for window, row in cut
    ]


def _filled(item: Item, wording: Wording) -> str:
    template = wording.prompt or DEFAULT_PROMPTS[wording.task]
    # Not str.format: the text of an item, or the prompt, may hold braces.
    return template.replace("{labels}", ", ".join(item.choices)).replace("{text}", item.text)


def _turn_end(model: Model) -> str:
    """The token with which the assistant's turn ends.

    It belongs to the answer: without it "no" would always be at least as likely
    as "no change".
    """
    info = model.info
    token = info["eot"] if info["eot"] is not None else info["eos"]
    if token is None:
        return ""
    return model.tokenizer.decode([token], special=True).decode("utf-8", "replace")
