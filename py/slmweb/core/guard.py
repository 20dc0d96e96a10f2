"""How probably a text breaks a rule, as ShieldGemma is asked it.

Owns the question and its score; web/src/api/guard.ts asks the same and scores alike. The words are
the model's own chat template's where that takes a `guideline`, else ShieldGemma's; the answer is
one number of one prefill. The text comes before the rule, so the rules of one text share all of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..errors import SlmError
from ..generated.guard import (
    GUARD_TEMPLATE,
    PICTURE_POLICIES,
    POLICIES,
    PROMPT_OPENING,
    RESPONSE_OPENING,
    Words,
)
from .chat import lacks_bos, render, special_tokens
from .model import Model
from .session import Session

THRESHOLD = 0.5


@dataclass(frozen=True)
class Policy:
    """A rule: a built-in one by its name, or one in plain words with a name of its own."""

    name: str
    text: str | None = None
    built_in: ClassVar[Mapping[str, Words]] = POLICIES

    def __post_init__(self) -> None:
        if self.text is None and self.name not in self.built_in:
            raise SlmError(
                "invalid_argument",
                f"{self.name!r} is no built-in policy; give it a text, or name one of "
                f"{', '.join(self.built_in)}",
            )
        if not self.name.strip() or (self.text is not None and not self.text.strip()):
            raise SlmError("invalid_argument", "a policy needs a name and says what it forbids")

    @property
    def title(self) -> str:
        """Its name for people."""
        return self.name if self.text is not None else self.built_in[self.name].title

    def guideline(self, answered: bool) -> str:
        """Its words about a question, or about an answer."""
        opening = RESPONSE_OPENING if answered else PROMPT_OPENING
        text = self.text if self.text is not None else f"{opening} {POLICIES[self.name].text}"
        return f'"{self.title}": {text}'


BUILT_IN = tuple(map(Policy, POLICIES))


class PicturePolicy(Policy):
    """A rule for pictures; one in plain words is the whole question."""

    built_in = PICTURE_POLICIES

    @property
    def question(self) -> str:
        """What stands beside the picture."""
        if self.text is not None:
            return self.text
        return f"{self.title}: {self.built_in[self.name].text}"


PICTURES_BUILT_IN = tuple(map(PicturePolicy, PICTURE_POLICIES))


@dataclass(frozen=True)
class Question:
    """What a guard reads: a text, or an answer to it, and a rule."""

    policy: Policy
    prompt: str
    response: str | None
    text: str
    ids: tuple[int, ...]


def question(model: Model, policy: Policy, prompt: str, response: str | None = None) -> Question:
    """The question whether `prompt`, or `response` to it, breaks the rule.

    Control tokens in both are text. Raises SlmError "bad_template".
    """
    own = model.info["chat_template"]
    template = own if own and re.search(r"\bguideline\b", own) else GUARD_TEMPLATE
    messages = [{"role": "user", "content": prompt}]
    if response is not None:
        messages.append({"role": "assistant", "content": response})
    bos, eos = special_tokens(model)
    guideline = policy.guideline(response is not None)
    text = render(template, messages, bos_token=bos, eos_token=eos, guideline=guideline)
    ids = model.tokenizer.encode(text, bos=lacks_bos(text, bos), plain=text.spans)
    return Question(policy, prompt, response, str.__str__(text), tuple(ids))


def yes_and_no(model: Model) -> tuple[int, int]:
    """The tokens of the two words where a line begins: elsewhere a space may belong to them.

    Raises SlmError "unsupported" for a vocabulary that cuts them.
    """
    line = model.tokenizer.encode("\n", special=False, bos=False)

    def token_of(word: str) -> int:
        ids = model.tokenizer.encode(f"\n{word}", special=False, bos=False)
        if len(ids) == len(line) + 1 and ids[:-1] == line:
            return ids[-1]
        raise SlmError(
            "unsupported",
            f'the vocabulary has no token for "{word}" ({len(ids) - len(line)} of them make it), '
            "and a guard answers with Yes or No; use another model",
        )

    return token_of("Yes"), token_of("No")


def probability(yes: float, no: float) -> float:
    """Of Yes, given that it is one of the two; from their logits, or their log probabilities."""
    difference = no - yes
    # exp of a large number would overflow.
    return 1 / (1 + math.exp(difference)) if difference < 700 else 0.0


@dataclass(frozen=True)
class Score:
    policy: Policy
    probability: float
    threshold: float
    tokens: int
    cached_tokens: int

    @property
    def violates(self) -> bool:
        return self.probability >= self.threshold


def judge(session: Session, ids: Sequence[int], words: tuple[int, int]) -> tuple[float, int]:
    """The probability of Yes after a question, and how many of its tokens the cache held."""
    cached = session.prefill(ids)
    yes, no = session.last_logits()[list(words)].astype(np.float64).tolist()
    return probability(yes, no), cached


def check(
    session: Session,
    prompt: str,
    response: str | None = None,
    policies: Sequence[Policy] = BUILT_IN,
    threshold: float = THRESHOLD,
) -> list[Score]:
    """A score for each policy: of `prompt`, or of `response` to it.

    What the session's cache holds is reused and replaced. Raises SlmError "bad_template",
    "unsupported", and "context_full": no text is judged by a part of it.
    """
    words = yes_and_no(session.model)
    questions = (question(session.model, policy, prompt, response) for policy in policies)
    return [score(session, asked.policy, asked.ids, words, threshold) for asked in questions]


def score(
    session: Session,
    policy: Policy,
    ids: Sequence[int],
    words: tuple[int, int],
    threshold: float,
) -> Score:
    """What a question scores. Raises SlmError "context_full"."""
    if len(ids) > session.n_ctx:
        raise SlmError(
            "context_full",
            f"what is judged takes {len(ids)} tokens with the rule and the context holds "
            f"{session.n_ctx}; shorten it or ask for a larger n_ctx",
        )
    chance, cached = judge(session, ids, words)
    return Score(policy, chance, threshold, len(ids), cached)
