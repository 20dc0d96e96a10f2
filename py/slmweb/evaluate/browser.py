"""The engine of the page as an evaluation asks it.

The model's header is read in Python as well, for its tokenizer: prompts are made in one
place, and the page has to count the same tokens.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Literal

from ..browser import Backend, PageModel
from ..core.guard import Question
from ..core.instance import Variant
from ..core.loading import Progress
from ..core.model import Model
from ..core.tools import Call
from ..errors import SlmError
from .engine import Generated, Timing
from .prompts import Continuation, Prompt


class BrowserEngine:
    """A model in Chromium. Close it after use. Raises SlmError: what `Model.open` and `PageModel`
    raise."""

    def __init__(
        self,
        path: Path,
        *,
        n_ctx: int | None = None,
        variant: Variant | None = None,
        backend: Backend | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._stack = contextlib.ExitStack()
        try:
            self.model = self._stack.enter_context(Model.open(path, weights=False))
            self._page = PageModel(
                path,
                n_ctx=n_ctx or self.model.default_n_ctx,
                variant=variant,
                backend=backend,
                progress=progress,
            )
            self._stack.callback(self._page.close)
        except BaseException:
            self.close()
            raise
        self.n_ctx = int(self._page.info["n_ctx"])
        self.runtime = self._page.runtime

    def score(self, continuation: Continuation, timing: Timing) -> list[float]:
        if continuation.text is None:
            raise SlmError(
                "context_full",
                f"a text is longer than the context of {self.n_ctx} tokens, and a page predicts "
                "only texts that fit; cut it, or run without --browser",
            )
        prompt = self._without_bos(continuation.text, continuation.bos)
        answer = self._ask(
            "text", {"prompt": prompt, "echo": True, "logprobs": 0, "max_tokens": 0}, timing
        )
        self._check(answer, continuation.ids)
        logprobs: list[float] = answer["logprobs"][continuation.first :]
        return logprobs

    def generate(
        self, prompt: Prompt, max_tokens: int, temperature: float, seed: int, timing: Timing
    ) -> Generated:
        common = {"max_tokens": max_tokens, "temperature": temperature, "seed": seed}
        if prompt.messages:
            choice = "required" if prompt.begun else "auto"
            tools = {"tools": list(prompt.tools), "tool_choice": choice} if prompt.tools else {}
            asked = {"messages": list(prompt.messages), **tools, **common}
            answer = self._ask("chat", asked, timing)
        else:
            text = self._without_bos(prompt.text, prompt.bos)
            answer = self._ask("text", {"prompt": text, **common}, timing)
        self._check(answer, prompt.ids)
        made = [call["function"] for call in answer["tool_calls"]]
        calls = tuple(Call(call["name"], call["arguments"]) for call in made)
        return Generated(answer["text"], answer["finish_reason"], calls)

    def judge(self, question: Question, timing: Timing) -> float:
        policy = question.policy
        rule = {"name": policy.name} | ({"text": policy.text} if policy.text is not None else {})
        answered = {} if question.response is None else {"response": question.response}
        params = {"prompt": question.prompt, **answered, "policies": [rule]}
        answer = self._ask("guard", params, timing)
        self._check(answer, question.ids)
        (score,) = answer["scores"]
        found: float = score["probability"]
        return found

    def forget(self) -> None:
        """Nothing to do: the page makes the same text of a request whatever its cache holds."""

    def close(self) -> None:
        self._stack.close()

    def _without_bos(self, text: str, bos: bool) -> str:
        """The page adds BOS where the model asks for it, so a template's own has to go."""
        info = self.model.info
        if bos or not info["add_bos"] or info["bos"] is None:
            return text
        token = self.model.tokenizer.decode([info["bos"]], special=True)
        return text.removeprefix(token.decode("utf-8", "replace"))

    def _check(self, answer: dict[str, Any], ids: tuple[int, ...]) -> None:
        found = answer["usage"]["prompt_tokens"]
        if found != len(ids):
            raise SlmError(
                "unsupported",
                f"the page reads a prompt as {found} tokens that are {len(ids)} here (text that "
                "looks like a special token?); run without --browser",
            )

    def _ask(
        self, kind: Literal["chat", "text", "guard"], params: dict[str, Any], timing: Timing
    ) -> dict[str, Any]:
        answer = self._page.ask(kind, params)
        numbers = answer["timings"]
        timing.prefill_tokens += numbers["prefill_tokens"]
        timing.prefill_seconds += numbers["prefill_ms"] / 1000
        timing.decode_tokens += numbers["decode_tokens"]
        timing.decode_seconds += numbers["decode_ms"] / 1000
        if timing.first_token_seconds is None:
            timing.first_token_seconds = numbers["prefill_ms"] / 1000
        return answer
