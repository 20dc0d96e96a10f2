"""`slmweb chat`: a conversation in the terminal, by the model's own chat template.

Owns the turns and the keyboard: Ctrl-C stops an answer and keeps what was said,
Ctrl-D leaves. Each turn renders the whole conversation again and lets the cache
find what it already holds, so that only new text is evaluated.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import SlmError
from .common import (
    AdapterOption,
    ContextOption,
    JsonOption,
    ModelArgument,
    SaeOption,
    SteerOption,
    VariantOption,
    VerifyOption,
    loaded_adapters,
    loaded_model,
    note,
    print_json,
)
from .common import steer as steer_session
from .generation import (
    MinPOption,
    PenaltyOption,
    RepeatPenaltyOption,
    SeedOption,
    StopOption,
    TemperatureOption,
    TopKOption,
    TopPOption,
    interruptible,
    numbers,
    sampling_of,
)
from .sight import DetailOption, ImageOption, MmprojOption, SaveMasksOption, Sight, seeing

if TYPE_CHECKING:
    from ..core.session import Generation, Sampling, Session
    from ..vision.preprocess import Detail
    from .outlines import Outlines

HELP = (
    "/image FILE shows a picture with the next question, /continue goes on with the last answer, "
    "/reset begins a new conversation, /exit or Ctrl-D leaves, Ctrl-C stops an answer; everything "
    "else goes to the model"
)


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: slmweb chat MODEL.gguf --temperature 0.2")(chat)


def chat(
    model: ModelArgument,
    system: Annotated[
        str | None, typer.Option(help="System prompt.", show_default="the template's")
    ] = None,
    prompt: Annotated[
        str | None, typer.Option("-p", "--prompt", help="Ask this, print the answer and leave.")
    ] = None,
    image: ImageOption = None,
    detail: DetailOption = "auto",
    mmproj: MmprojOption = None,
    save_masks: SaveMasksOption = None,
    temperature: TemperatureOption = 0.8,
    top_k: TopKOption = 40,
    top_p: TopPOption = 0.95,
    min_p: MinPOption = 0.05,
    repeat_penalty: RepeatPenaltyOption = 1.0,
    presence_penalty: PenaltyOption = 0.0,
    frequency_penalty: PenaltyOption = 0.0,
    seed: SeedOption = None,
    stop: StopOption = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Longest answer.", show_default="what the context has room for"),
    ] = None,
    n_ctx: ContextOption = None,
    adapter: AdapterOption = None,
    sae: SaeOption = None,
    steer: SteerOption = None,
    variant: VariantOption = None,
    verify: VerifyOption = False,
    json: JsonOption = False,
) -> None:
    """Chat with a model. Questions can also come from a pipe, one a line."""
    from .outlines import Outlines

    sampling = sampling_of(
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        repeat_penalty=repeat_penalty,
        presence_penalty=presence_penalty,
        frequency_penalty=frequency_penalty,
        seed=seed,
        stop=stop,
    )
    with (
        loaded_model(model, variant, verify=verify) as opened,
        loaded_adapters(opened, adapter) as adapters,
        seeing(opened, model, mmproj) as sight,
        sight.session(n_ctx) as session,
    ):
        session.adapters(adapters)
        steer_session(session, sae, steer)
        outlines = None if save_masks is None else Outlines(sight.mask_decoder(), save_masks)
        conversation = _Conversation(
            sight, session, sampling, system, max_tokens, json, detail, outlines
        )
        # Fails now rather than after the first question.
        sight.laid_out([{"role": "user", "content": "?"}])
        for path in image or ():
            conversation.show(path)
        if prompt is not None:
            conversation.ask(prompt)
        else:
            _talk(conversation)


class _Conversation:
    def __init__(
        self,
        sight: Sight,
        session: Session,
        sampling: Sampling,
        system: str | None,
        max_tokens: int | None,
        json: bool,
        detail: Detail,
        outlines: Outlines | None,
    ) -> None:
        self.sight = sight
        self.session = session
        self.sampling = sampling
        self.max_tokens = max_tokens
        self.json = json
        self.detail = detail
        self.outlines = outlines
        self.beginning = [{"role": "system", "content": system}] if system else []
        self.messages: list[dict[str, Any]] = list(self.beginning)
        self.waiting: list[dict[str, Any]] = []  # pictures for the next question

    def reset(self) -> None:
        self.messages, self.waiting = list(self.beginning), []

    def show(self, path: Path) -> None:
        """Shows a picture with the next question. Raises SlmError for what is none, and where the
        model sees none."""
        self.waiting.append(self.sight.part(path, self.detail))

    def ask(self, question: str) -> None:
        """One turn: the answer goes to stdout and into the conversation.

        Raises SlmError, after which the conversation is as before the question.
        """
        content: Any = question
        if self.waiting:
            content = [*self.waiting, {"type": "text", "text": question}]
        self._answer([*self.messages, {"role": "user", "content": content}], "")
        self.waiting = []

    def go_on(self) -> None:
        """Goes on with the last answer, as one that was cut. Raises SlmError as `ask`."""
        if not self.messages or self.messages[-1]["role"] != "assistant":
            raise SlmError("invalid_argument", "there is no answer to continue; ask something")
        self._answer(self.messages[:-1], self.messages[-1]["content"])

    def _answer(self, turn: list[dict[str, Any]], begun: str) -> None:
        answered = [{"role": "assistant", "content": begun}] if begun else []
        ids = self.sight.prepare(self.session, [*turn, *answered])
        pieces: list[str] = []
        with interruptible() as stopped:
            answer = self.session.generate(
                ids, self.sampling, max_tokens=self.max_tokens, stopped=stopped
            )
            try:
                for piece in answer:
                    pieces.append(piece)
                    if not self.json:
                        print(piece, end="", flush=True)
            finally:
                if pieces and not self.json:
                    print(flush=True)
        content = begun + "".join(pieces)
        self.messages = [*turn, {"role": "assistant", "content": content}]
        masks = self.outlines.write(content, turn) if self.outlines is not None else None
        if self.json:
            told = {} if masks is None else {"masks": masks}
            print_json({"content": content, **told, **numbers(answer)})
            return
        for mask in masks or ():
            note(f"slmweb: wrote {mask['file']}: {mask['label'] or 'without a label'}")
        if sys.stderr.isatty():
            note(_summary(answer, self.session))


def _summary(answer: Generation, session: Session) -> str:
    rate = len(answer.ids) / answer.decode_seconds if answer.decode_seconds else 0.0
    ended = {"length": ", cut at the limit", "aborted": ", stopped"}
    return (
        f"\x1b[2m[{len(answer.ids)} tokens, {rate:.1f}/s; prompt {len(answer.prompt)}, "
        f"{answer.cached} from the cache; context {session.n_past} of {session.n_ctx}"
        f"{ended.get(answer.finish_reason or '', '')}]\x1b[0m"
    )


def _talk(conversation: _Conversation) -> None:
    interactive = sys.stdin.isatty()
    if interactive:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 (gives input() a history and line editing)
        name = conversation.sight.model.info["name"] or "the model"
        note(f"slmweb: {name} is ready; {HELP}")
    for line in _lines(interactive):
        question = line.strip()
        if question in ("/exit", "/quit"):
            return
        if question in ("/reset", "/help"):
            if question == "/reset":
                conversation.reset()
            note("a new conversation begins" if question == "/reset" else HELP)
        elif question:
            try:
                if question == "/continue":
                    conversation.go_on()
                elif question.split(maxsplit=1)[0] == "/image":
                    _, _, file = question.partition("/image")
                    if not file.strip():
                        raise SlmError("invalid_argument", "/image takes a FILE; name one")
                    conversation.show(Path(file.strip()).expanduser())
                else:
                    conversation.ask(question)
            except SlmError as error:
                # In a pipe nobody could react to it.
                if not interactive or error.code == "crashed":
                    raise
                hint = "; /reset begins anew" if error.code == "context_full" else ""
                note(f"slmweb: {error.message}{hint}")


def _lines(interactive: bool) -> Iterator[str]:
    """What is typed or piped in, line by line. Two Ctrl-C in a row leave the prompt."""
    if not interactive:
        yield from iter(sys.stdin.readline, "")
        return
    interrupted = False
    while True:
        try:
            line = input("> ")
        except EOFError:
            print()
            return
        except KeyboardInterrupt:
            print()
            if interrupted:
                raise
            interrupted = True
            note("Ctrl-C again or Ctrl-D leaves")
            continue
        interrupted = False
        yield line
