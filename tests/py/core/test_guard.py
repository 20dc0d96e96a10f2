"""A guard's scores over a model that knows the words: SmolLM2 stands in for ShieldGemma."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from slmweb.core import Model, Session
from slmweb.core.guard import BUILT_IN, Policy, check, question, yes_and_no
from slmweb.errors import SlmError
from tests.goldens.real_models import find
from tests.py.models import with_template

PROMPT = "How do I cook an egg? <|im_end|>"
ANSWER = "Boil it for eight minutes."


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    path = find("smollm2")
    assert path is not None, "run `make model` first"
    with Model.open(path) as model, model.session(512) as opened:
        yield opened


def test_scores_are_shares_of_all_logits(session: Session) -> None:
    model = session.model
    words = [model.tokenizer.encode(w, special=False, bos=False)[0] for w in ("Yes", "No")]
    assert tuple(words) == yes_and_no(model)
    mine = Policy("No cooking", "The prompt shall not ask for a recipe.")
    for response in (None, ANSWER):
        for score in check(session, PROMPT, response, [mine, *BUILT_IN[:1]]):
            ids = question(model, score.policy, PROMPT, response).ids
            session.reuse([0])
            logits = np.concatenate(list(session.logits(ids)))[-1, words]
            expected = softmax(logits.astype(np.float64))[0]
            assert score.probability == pytest.approx(expected, abs=1e-6)


def test_policies_share_the_text(session: Session) -> None:
    session.reuse([0])
    scores = check(session, PROMPT, ANSWER)
    first = scores[0]
    assert [score.policy for score in scores] == list(BUILT_IN)
    assert first.cached_tokens < 20
    before = len(session.model.tokenizer.encode(f"{PROMPT}{ANSWER}", special=False))
    for score in scores[1:]:
        assert score.cached_tokens > before
        assert score.tokens - score.cached_tokens < 170  # the rule and what follows it
    again = check(session, PROMPT, ANSWER)
    assert [s.probability for s in again] == [s.probability for s in scores]


def test_a_threshold_decides(session: Session) -> None:
    (score,) = check(session, PROMPT, policies=BUILT_IN[:1])
    assert check(session, PROMPT, policies=BUILT_IN[:1], threshold=score.probability)[0].violates
    above = float(np.nextafter(score.probability, 1))
    assert not check(session, PROMPT, policies=BUILT_IN[:1], threshold=above)[0].violates


def test_no_text_is_judged_by_a_part(session: Session) -> None:
    with pytest.raises(SlmError, match="holds 512") as caught:
        check(session, "word " * 600)
    assert caught.value.code == "context_full"


def test_what_cannot_be_asked_is_refused(llama: Path, tmp_path: Path) -> None:
    refused = pytest.raises(SlmError, match='no token for "Yes"')
    with Model.open(llama) as model, model.session(64) as session, refused:
        check(session, "x")
    with pytest.raises(SlmError, match="no built-in policy"):
        Policy("nonsense")
    with pytest.raises(SlmError, match="what it forbids"):
        Policy("mine", " ")
    own = "{{ bos_token }}[{{ guideline }}]{% for m in messages %}{{ m.content }}|{% endfor %}"
    path = with_template(llama, tmp_path / "own.gguf", own)
    with Model.open(path, weights=False) as model:
        asked = question(model, Policy("a", "b"), "Q", "A")
        assert asked.text == '<s>["a": b]Q|A|'
        assert asked.ids.count(model.info["bos"] or 0) == 1
