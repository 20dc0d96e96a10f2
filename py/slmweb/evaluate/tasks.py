"""What each task asks of a model for one item, and what is written down about it.

Owns the way from an item to a record: a JSON object that the journal keeps and
from which every figure is computed, so that nothing has to be evaluated twice.
Labels and choices are scored, not generated: the model cannot answer beside the
question, and the probabilities show how sure it was.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..core.guard import THRESHOLD, Question, question, yes_and_no
from ..errors import SlmError
from .calls import are_right
from .data import Item
from .divergence import Divergences
from .engine import CoreEngine, Engine, Timing
from .prompts import Continuation, Prompt, Wording, continue_prompt, make_prompt, whole_text

By = Literal["likelihood", "generation"]
Record = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """Everything besides model and item that a record depends on."""

    wording: Wording
    by: By = "likelihood"  # how "classify" decides
    max_tokens: int = 128
    temperature: float = 0.0
    seed: int = 0
    n_ctx: int | None = None
    threshold: float = THRESHOLD  # from which on "guard" counts a text as violating


@dataclass(frozen=True)
class Prepared:
    """An item as one model will see it."""

    item: Item
    prompt: Prompt | None
    # A label or choice each; for the other tasks the windows of the expected text.
    continuations: tuple[Continuation, ...]
    questions: tuple[Question, ...] = ()  # a policy each, of "guard"


def prepare(engine: Engine, item: Item, settings: Settings) -> Prepared:
    """Tokenizes and checks that everything fits, so that a run does not fail half-way.

    Raises SlmError "bad_data" or "bad_template" with the line.
    """
    model, task = engine.model, settings.wording.task
    if task == "perplexity":
        texts = whole_text(model, item.text, engine.n_ctx)
        if not texts:
            raise SlmError(
                "bad_data",
                f"line {item.line}: the text has fewer than two tokens, and it takes two to "
                "predict one; give more text",
            )
        return Prepared(item, None, tuple(texts))
    if task == "guard":
        return _prepare_guard(engine, item)
    try:
        prompt = make_prompt(model, item, settings.wording)
    except SlmError as error:
        where = "" if error.message.startswith("line ") else f"line {item.line}: "
        raise SlmError(error.code, where + error.message) from None
    answers = () if task == "tools" else item.choices or item.expected[:1]
    continuations = tuple(continue_prompt(model, prompt, answer) for answer in answers)
    _check_length(engine, item, [len(prompt.ids) + 1, *(len(c.ids) for c in continuations)])
    return Prepared(item, prompt, continuations)


def _prepare_guard(engine: Engine, item: Item) -> Prepared:
    yes, _ = yes_and_no(engine.model)
    asked = [question(engine.model, policy, item.text, item.response) for policy in item.policies]
    _check_length(engine, item, [len(q.ids) for q in asked])
    # What a comparison looks at: the place of the answer. A page cannot compare.
    answers = tuple(Continuation(None, True, (*q.ids, yes), len(q.ids), 0) for q in asked)
    return Prepared(item, None, answers, tuple(asked))


def _check_length(engine: Engine, item: Item, lengths: Sequence[int]) -> None:
    longest = max(lengths)
    if longest > engine.n_ctx:
        raise SlmError(
            "bad_data",
            f"line {item.line} takes {longest} tokens and the context holds {engine.n_ctx}; "
            "shorten it or give a larger --n-ctx",
        )


def evaluate_item(
    prepared: Prepared, engine: Engine, reference: CoreEngine | None, settings: Settings
) -> Record:
    """The record of one item; the cache is empty before it."""
    engine.forget()
    task, item = settings.wording.task, prepared.item
    timing, compared = Timing(), Divergences()
    record: Record = {"line": item.line}

    def score(continuation: Continuation, expected: bool = True) -> list[float]:
        if reference is None or not expected:
            return engine.score(continuation, timing)
        assert isinstance(engine, CoreEngine)
        return _compare(engine, reference, continuation, timing, compared)

    if reference is not None:
        reference.forget()
    if task == "guard":
        # What breaks one of several rules is not allowed.
        found = [engine.judge(asked, timing) for asked in prepared.questions]
        if reference is not None:
            for continuation in prepared.continuations:
                score(continuation)
        record |= {"probabilities": found, "policies": [p.name for p in item.policies]}
        record |= {"nll": 0.0, "tokens": 0, "bytes": 0, "timing": timing.to_json()}
        return record | _divergence(reference, compared)
    if item.choices:
        scored = [
            score(continuation, i == item.answer)
            for i, continuation in enumerate(prepared.continuations)
        ]
        sums = [sum(logprobs) for logprobs in scored]
        record |= {"logprobs": sums, "n_bytes": [c.n_bytes for c in prepared.continuations]}
        record["prediction"] = int(np.argmax(sums))
        assert item.answer is not None
        gold = scored[item.answer]
    if task in ("chat", "generate", "tools") or settings.by == "generation":
        assert prepared.prompt is not None
        answer = engine.generate(
            prepared.prompt, settings.max_tokens, settings.temperature, settings.seed, timing
        )
        record |= {"text": answer.text, "finish_reason": answer.finish_reason}
        if item.choices:
            record["prediction"] = find_label(answer.text, item.choices)
        if (form := prepared.prompt.form) is not None:
            record["calls"] = [list(call) for call in answer.calls]
            record["right"] = are_right(answer.calls, item.calls, item.tools)
            # It opened a call and wrote none that could be read.
            bare = form.bare and answer.text.lstrip().startswith("{")
            record["unread"] = bare or form.open in answer.text
    if not item.choices:
        gold = [p for continuation in prepared.continuations for p in score(continuation)]
    record |= {
        "nll": -sum(gold),
        "tokens": len(gold),
        "bytes": sum(c.n_bytes for c in prepared.continuations)
        if not item.choices
        else prepared.continuations[item.answer or 0].n_bytes,
        "timing": timing.to_json(),
    }
    return record | _divergence(reference, compared)


def _divergence(reference: CoreEngine | None, compared: Divergences) -> Record:
    return {} if reference is None else {"kl": compared.kl, "flips": sum(compared.flips)}


def decided(record: Record, settings: Settings) -> Record:
    """A record with what follows from it and the threshold, which costs no evaluation."""
    if settings.wording.task != "guard":
        return record
    return {**record, "prediction": int(max(record["probabilities"]) >= settings.threshold)}


def find_label(text: str, labels: Sequence[str]) -> int | None:
    """The label that an answer gives: the one that it is, else the first that it contains.

    Of two that begin at one place the longer counts. None when there is none.
    """
    plain = re.sub(r"\W+", " ", text).strip().casefold()
    found: list[tuple[int, int, int]] = []
    for index, label in enumerate(labels):
        wanted = re.sub(r"\W+", " ", label).strip().casefold()
        if plain == wanted:
            return index
        at = f" {plain} ".find(f" {wanted} ")
        if at >= 0:
            found.append((at, -len(wanted), index))
    return min(found)[2] if found else None


def _compare(
    engine: CoreEngine,
    reference: CoreEngine,
    continuation: Continuation,
    timing: Timing,
    compared: Divergences,
) -> list[float]:
    """Scores a continuation and takes down how far the reference's distributions are."""
    done = len(compared.logprobs)
    start = continuation.first
    others = reference.rows(continuation, Timing())
    for rows, expected in zip(engine.rows(continuation, timing), others, strict=True):
        compared.add(rows, expected, continuation.ids[start : start + len(rows)])
        start += len(rows)
    return compared.logprobs[done:]
