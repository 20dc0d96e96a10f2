"""What runs a model during an evaluation, and the one that does it in Python.

`Engine` is all that a task asks for: how likely a continuation is, and an
answer. `CoreEngine` runs the shipped .wasm under wasmtime and can also show the
logits themselves, which a comparison of two models needs; browser.py runs the
page's engine. An engine forgets between items, so that a result depends on
nothing but its item.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

from ..core.guard import Question, judge, yes_and_no
from ..core.instance import Instance, Variant
from ..core.loading import Progress
from ..core.model import Model
from ..core.perplexity import log_likelihood
from ..core.session import Logits, Sampling
from ..core.tools import Call, marks, parse_answer
from ..pack import known_answer
from .prompts import Continuation, Prompt


@dataclass
class Timing:
    """Tokens and seconds of what was evaluated for one item."""

    prefill_tokens: int = 0
    prefill_seconds: float = 0.0
    decode_tokens: int = 0
    decode_seconds: float = 0.0
    first_token_seconds: float | None = None  # from the request to the first logits or token

    def to_json(self) -> dict[str, float | None]:
        return asdict(self)


@dataclass(frozen=True)
class Generated:
    text: str
    finish_reason: str
    calls: tuple[Call, ...] = ()  # of tools; the text is what is beside them


class Engine(Protocol):
    """`model` has at least its header loaded, `runtime` says what computes."""

    model: Model
    n_ctx: int
    runtime: str

    def score(self, continuation: Continuation, timing: Timing) -> list[float]:
        """The natural-log probability of every predicted token."""
        ...

    def generate(
        self, prompt: Prompt, max_tokens: int, temperature: float, seed: int, timing: Timing
    ) -> Generated: ...

    def judge(self, question: Question, timing: Timing) -> float:
        """The probability of Yes, given that the answer is Yes or No."""
        ...

    def forget(self) -> None:
        """Empties the cache."""
        ...

    def close(self) -> None: ...


class CoreEngine:
    """A model under wasmtime, on one thread. Close it after use."""

    def __init__(
        self,
        path: Path,
        *,
        n_ctx: int | None = None,
        variant: Variant | None = None,
        verify: bool = False,
        progress: Progress | None = None,
    ) -> None:
        core = Instance(variant)
        self.model = Model.open(path, core=core, progress=progress)
        try:
            if verify:
                known_answer.verify(self.model, path)
            self.session = self.model.session(n_ctx)
        except BaseException:
            self.model.close()
            raise
        self._words: tuple[int, int] | None = None
        self.n_ctx = self.session.n_ctx
        self.runtime = f"wasmtime, {core.path.stem.removeprefix('slm-')}"

    def score(self, continuation: Continuation, timing: Timing) -> list[float]:
        logprobs: list[float] = []
        targets = continuation.ids[continuation.first :]
        for rows in self.rows(continuation, timing):
            chosen = targets[len(logprobs) : len(logprobs) + len(rows)]
            logprobs += log_likelihood(rows, chosen).tolist()
        return logprobs

    def rows(self, continuation: Continuation, timing: Timing) -> Iterator[Logits]:
        """The logits that predict ids[first:], [n, n_vocab], in blocks."""
        session, ids, first = self.session, continuation.ids, continuation.first
        start = time.perf_counter()
        cached = session.reuse(ids[:first])
        for at in range(cached, first - 1, session.n_batch):
            session.eval(ids[at : min(at + session.n_batch, first - 1)], "none")
        for rows in session.logits(ids[first - 1 : -1]):
            now = time.perf_counter()
            if timing.first_token_seconds is None:
                timing.first_token_seconds = now - start
            timing.prefill_seconds += now - start
            yield rows
            start = time.perf_counter()  # what is done with the rows is not the model's time
        timing.prefill_tokens += len(ids) - 1 - cached

    def generate(
        self, prompt: Prompt, max_tokens: int, temperature: float, seed: int, timing: Timing
    ) -> Generated:
        form = prompt.form
        sampling = Sampling(temperature=temperature, seed=seed)
        if form is not None:
            # What a call is told by: marks that are special tokens give no text by themselves.
            tokens = [self.model.tokenizer.encode(mark, bos=False) for mark in marks(form)]
            show = [ids[0] for ids in tokens if len(ids) == 1]
            sampling = replace(sampling, show=show, stop=form.stops)
        answer = self.session.generate(prompt.ids, sampling, max_tokens=max_tokens)
        text = "".join(answer)
        timing.prefill_tokens += len(prompt.ids) - answer.cached
        timing.prefill_seconds += answer.prefill_seconds
        timing.decode_tokens += len(answer.ids)
        timing.decode_seconds += answer.decode_seconds
        if timing.first_token_seconds is None:
            timing.first_token_seconds = answer.prefill_seconds
        reason = answer.finish_reason or "stop"
        if form is None:
            return Generated(text, reason)
        names = {tool["function"]["name"] for tool in prompt.tools}
        said, calls = parse_answer(prompt.begun + text, form, names)
        ended = "tool_calls" if calls and reason == "stop" else reason
        return Generated(said, ended, tuple(calls))

    def judge(self, question: Question, timing: Timing) -> float:
        if self._words is None:
            self._words = yes_and_no(self.model)
        start = time.perf_counter()
        found, cached = judge(self.session, question.ids, self._words)
        seconds = time.perf_counter() - start
        timing.prefill_tokens += len(question.ids) - cached
        timing.prefill_seconds += seconds
        if timing.first_token_seconds is None:
            timing.first_token_seconds = seconds
        return found

    def forget(self) -> None:
        self.session.reuse([0])

    def close(self) -> None:
        self.session.close()
        self.model.close()
