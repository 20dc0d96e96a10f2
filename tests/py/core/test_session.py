"""Evaluation and generation: batches, cache, stopping, limits, sampling."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from slmweb.core import Generation, Model, Sampling, Session
from slmweb.errors import SlmError
from tests.goldens.tiny_gguf import write_model
from tests.goldens.tiny_models import TinyModel, weights

GREEDY = Sampling(temperature=0, ignore_eog=True)
# Hot enough that a random model does not repeat itself.
WILD = Sampling(seed=3, temperature=20, top_k=0, top_p=1, min_p=0, ignore_eog=True)
PROMPT = [5, 17, 40, 41, 42, 9, 9, 80]


@pytest.fixture(scope="module")
def model(gemma3: Path) -> Iterator[Model]:
    with Model.open(gemma3) as opened:
        yield opened


@pytest.fixture
def session(model: Model) -> Iterator[Session]:
    with model.session(64, n_batch=8) as opened:
        yield opened


def all_logits(session: Session, ids: list[int]) -> np.ndarray:
    session.reuse(ids[:1])
    return np.concatenate(list(session.logits(ids)))


def test_the_size_of_a_batch_changes_nothing(model: Model) -> None:
    ids = [(7 * i) % 300 for i in range(50)]  # twice the sliding window
    with model.session(64, n_batch=1) as one, model.session(64, n_batch=50) as fifty:
        singly, together = all_logits(one, ids), all_logits(fifty, ids)
    assert singly.shape == (50, 307)
    assert np.abs(singly - together).max() < 1e-4 * np.abs(together).max()


def test_logits_come_as_asked(session: Session) -> None:
    assert session.eval(PROMPT[:3], "none") is None
    last = session.eval(PROMPT[3:6], "last")
    everything = all_logits(session, PROMPT)
    assert last is not None
    assert last.shape == (1, 307)
    assert last.dtype == np.float32
    assert np.allclose(last[0], everything[5], atol=1e-4)


def test_logits_are_a_copy(session: Session) -> None:
    first = session.eval(PROMPT[:1])
    assert first is not None
    kept = first.copy()
    session.eval(PROMPT[1:2])
    assert (first == kept).all()


def test_too_many_tokens_for_the_context_leave_it_as_it_was(session: Session) -> None:
    for _ in range(8):
        session.eval(PROMPT)
    assert session.n_past == 64
    with pytest.raises(SlmError) as caught:
        session.eval([1])
    assert caught.value.code == "context_full"
    assert session.n_past == 64


def test_a_prompt_beyond_the_context_is_refused_with_the_numbers(session: Session) -> None:
    with pytest.raises(SlmError, match="65 tokens and the context holds 64") as caught:
        session.prefill([1] * 65)
    assert caught.value.code == "context_full"


def test_a_batch_larger_than_agreed_is_refused(session: Session) -> None:
    with pytest.raises(SlmError) as caught:
        session.eval([1] * 9)
    assert caught.value.code == "invalid_argument"
    assert session.n_past == 0


def test_no_tokens_are_refused(session: Session) -> None:
    with pytest.raises(SlmError):
        session.eval([])
    with pytest.raises(SlmError, match="no tokens"):
        session.prefill([])


def test_prefill_reports_and_reuses(session: Session) -> None:
    seen: list[tuple[int, int]] = []
    ids = list(range(20))
    assert session.prefill(ids, progress=lambda done, total: seen.append((done, total))) == 0
    assert seen == [(8, 20), (16, 20), (20, 20)]
    seen.clear()
    more = [*ids[:15], *range(100, 110)]
    assert session.prefill(more, progress=lambda done, total: seen.append((done, total))) == 15
    assert seen == [(23, 25), (25, 25)]
    assert session.n_past == 25


def test_a_reused_cache_computes_what_a_fresh_one_does(model: Model, session: Session) -> None:
    session.prefill(list(range(40)))
    changed = [*range(30), 7, 8, 9]
    session.prefill(changed)
    with model.session(64) as fresh:
        fresh.prefill(changed)
        a, b = session.eval([3]), fresh.eval([3])
    assert a is not None
    assert b is not None
    assert np.allclose(a, b, atol=1e-3)


def test_prefill_stops_between_batches(session: Session) -> None:
    asked = iter([False, False, True])
    session.prefill(list(range(40)), stopped=lambda: next(asked))
    assert session.n_past == 16


def test_greedy_is_the_most_likely_token_every_time(session: Session) -> None:
    answer = session.generate(PROMPT, GREEDY, max_tokens=12)
    list(answer)
    assert (len(answer.ids), answer.finish_reason, answer.cached) == (12, "length", 0)
    ids = PROMPT + answer.ids
    rows = all_logits(session, ids)
    assert rows.argmax(axis=1)[len(PROMPT) - 1 : -1].tolist() == answer.ids
    assert answer.prefill_seconds > 0
    assert answer.decode_seconds > 0


def test_the_text_is_the_tokens_decoded(model: Model, session: Session) -> None:
    answer = session.generate(PROMPT, WILD, max_tokens=30)
    text = "".join(answer)
    assert text == model.tokenizer.decode(answer.ids).decode("utf-8", "replace")


def test_the_same_seed_gives_the_same_text(session: Session) -> None:
    def run(seed: int) -> list[int]:
        answer = session.generate(PROMPT, replace(WILD, seed=seed), max_tokens=20)
        list(answer)
        return answer.ids

    assert run(1) == run(1)
    assert run(1) != run(2)


@pytest.mark.parametrize("sampling", [WILD, replace(WILD, temperature=0.5, min_p=0.9), GREEDY])
@pytest.mark.parametrize("done", [1, 5, 11])
def test_an_answer_goes_on_in_another_session(
    model: Model, session: Session, sampling: Sampling, done: int
) -> None:
    whole = session.generate(PROMPT, sampling, max_tokens=12)
    text = "".join(whole)
    with model.session(64, n_batch=8) as other:
        other.configure(sampling)
        other.prefill(PROMPT + whole.ids[:done])
        for token in whole.ids[:done]:
            other.core.check("slm_session_accept", other.handle, token)
        rest = Generation(other, [], sampling, None, None, lambda: False)
        with other.core.allocate(4096) as room:
            before = rest._take(room, flush=False)
            ids = [other.core.check("slm_session_sample", other.handle)]
            while len(ids) < 12 - done:
                other.eval(ids[-1:])
                ids.append(other.core.check("slm_session_sample", other.handle))
            assert before + rest._take(room, flush=True) == text
    assert ids == whole.ids[done:]


def test_a_token_that_does_not_exist_is_not_taken(session: Session) -> None:
    with pytest.raises(SlmError, match="token 307 does not exist"):
        session.core.check("slm_session_accept", session.handle, 307)


def test_an_answer_ends_where_the_context_does(session: Session) -> None:
    answer = session.generate([1] * 60, GREEDY)
    list(answer)
    # 4 evaluated and one more that needs no evaluation.
    assert (len(answer.ids), answer.finish_reason) == (5, "length")
    assert session.n_past == 64


def test_an_answer_can_be_stopped_after_any_token(session: Session) -> None:
    answer = session.generate(PROMPT, GREEDY, stopped=lambda: len(answer.ids) >= 3)
    list(answer)
    assert (len(answer.ids), answer.finish_reason) == (3, "aborted")


def test_an_answer_can_be_stopped_before_its_first_token(session: Session) -> None:
    answer = session.generate(list(range(30)), GREEDY, stopped=lambda: True)
    assert list(answer) == []
    assert (answer.ids, answer.finish_reason) == ([], "aborted")


def test_leaving_the_loop_early_keeps_the_session_usable(session: Session) -> None:
    before = session.core.memory_bytes
    for _ in range(50):
        for _piece in session.generate(PROMPT, GREEDY, max_tokens=20):
            break
    assert session.core.memory_bytes == before
    answer = session.generate(PROMPT, GREEDY, max_tokens=2)
    list(answer)
    assert len(answer.ids) == 2


def test_the_next_turn_evaluates_only_what_is_new(session: Session) -> None:
    first = session.generate(PROMPT, GREEDY, max_tokens=5)
    list(first)
    second = session.generate([*PROMPT, *first.ids, 50, 51], GREEDY, max_tokens=2)
    list(second)
    # The last token of an answer is sampled and never evaluated.
    assert second.cached == len(PROMPT) + 4


def test_a_stop_string_ends_the_text_before_it(model: Model, session: Session) -> None:
    whole = "".join(session.generate(PROMPT, Sampling(seed=3, ignore_eog=True), max_tokens=40))
    stop = whole[10:12]
    answer = session.generate(PROMPT, Sampling(seed=3, ignore_eog=True, stop=[stop]), max_tokens=40)
    assert "".join(answer) == whole[: whole.index(stop)]
    assert answer.finish_reason == "stop"


def test_an_end_of_generation_token_ends_it(model: Model, session: Session) -> None:
    eog = model.info["eog"][0]
    answer = session.generate(PROMPT, Sampling(temperature=0, logit_bias={eog: 1000.0}))
    assert "".join(answer) == ""
    assert (answer.ids, answer.finish_reason) == ([eog], "stop")


def test_a_forbidden_token_never_comes(session: Session) -> None:
    first = session.generate(PROMPT, GREEDY, max_tokens=1)
    list(first)
    (token,) = first.ids
    biased = Sampling(temperature=0, ignore_eog=True, logit_bias={token: float("-inf")})
    answer = session.generate(PROMPT, biased, max_tokens=10)
    list(answer)
    assert token not in answer.ids


def test_logprobs_are_those_of_the_logits(session: Session) -> None:
    pieces = session.generate(PROMPT, Sampling(temperature=0, ignore_eog=True), max_tokens=1)
    next(iter(pieces))
    chosen, *top = session.logprobs(3)
    row = all_logits(session, PROMPT)[-1].astype(np.float64)
    expected = row - row.max() - np.log(np.exp(row - row.max()).sum())
    assert chosen == top[0]
    assert [token for token, _ in top] == np.argsort(-row)[:3].tolist()
    assert np.allclose([value for _, value in top], np.sort(expected)[::-1][:3], atol=1e-3)


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(temperature=float("nan")),
        Sampling(temperature=-1),
        Sampling(top_p=2),
        Sampling(seed=-1),
        Sampling(stop=[""]),
        Sampling(stop=["x" * 300]),
        Sampling(logit_bias={99999: 1.0}),
    ],
)
def test_nonsense_parameters_are_refused(session: Session, sampling: Sampling) -> None:
    with pytest.raises(SlmError) as caught:
        list(session.generate(PROMPT, sampling, max_tokens=1))
    assert caught.value.code == "invalid_argument"


@pytest.mark.parametrize(("n_ctx", "n_batch"), [(0, 8), (64, 0), (2**32 - 1, 8)])
def test_a_session_of_no_sense_is_refused(model: Model, n_ctx: int, n_batch: int) -> None:
    with pytest.raises(SlmError) as caught:
        Session(model, n_ctx, n_batch)
    assert caught.value.code in ("invalid_argument", "out_of_memory")


def test_a_model_without_weights_cannot_be_evaluated(llama: Path) -> None:
    with Model.open(llama, weights=False) as header, pytest.raises(SlmError):
        header.session(8)


def test_sizes_past_32_bits_are_refused_not_wrapped(tmp_path: Path) -> None:
    """Heads this wide, at a million positions, take 2^34 bytes a layer, which is 0 in
    the 32 bits of a wasm pointer: a session so small would be written out of bounds."""
    shape = TinyModel(
        "wide", "llama", n_layer=1, n_embd=32, n_head=8, n_head_kv=8, head_dim=1024, n_ctx_train=512
    )
    (path,) = write_model(shape, weights(shape), tmp_path / "wide.gguf")
    with Model.open(path) as model:
        n_ctx, n_batch = 1 << 20, 64
        size = model.core.call("slm_session_bytes", model.handle, n_ctx, n_batch)
        assert size > 2 * n_ctx * 8 * 1024 * 4
        with pytest.raises(SlmError) as error:
            Session(model, n_ctx, n_batch)
        assert error.value.code == "out_of_memory"
        assert "keys and values" in error.value.message
        with Session(model, 64, 8) as session:
            assert session.eval([1, 2, 3]) is not None


def forced(
    session: Session, tokens: list[int], stop: str, *, n: int = 12
) -> tuple[str, Generation]:
    """An answer that goes through `tokens` again and again, whatever the model thinks."""
    bias = {token: 1e4 - 40 * i for i, token in enumerate(tokens)}
    sampling = Sampling(temperature=0, logit_bias=bias, presence_penalty=100, stop=[stop])
    answer = session.generate(PROMPT[1:2], sampling, max_tokens=n)
    return "".join(answer), answer


@pytest.mark.parametrize(
    ("stop", "shown"),
    [
        ("<start_of_turn>", "A"),  # it is one
        ("<start_of_turn>B", "A"),  # begins with one
        ("A<start_of_turn>", ""),  # ends with one
        ("A<start_of_turn>B", ""),  # contains one
        ("_of_turn>B", "A"),  # begins inside of one
        ("B", "A"),
    ],
)
def test_a_stop_string_sees_special_tokens(
    model: Model, session: Session, stop: str, shown: str
) -> None:
    a, b = (model.tokenizer.encode(c, bos=False)[-1] for c in "ab")
    text = {c: model.tokenizer.decode([t]).decode() for c, t in (("A", a), ("B", b))}
    (special,) = model.tokenizer.encode("<start_of_turn>", bos=False)
    wanted = stop.replace("A", text["A"]).replace("B", text["B"])
    found, answer = forced(session, [a, special, b], wanted)
    assert answer.ids == [a, special, b][: len(answer.ids)]
    assert (found, answer.finish_reason) == (shown.replace("A", text["A"]), "stop")


def test_an_end_token_completes_a_stop_string(model: Model, session: Session) -> None:
    (a,) = model.tokenizer.encode("a", bos=False)[-1:]
    (end,) = model.tokenizer.encode("<end_of_turn>", bos=False)
    text = model.tokenizer.decode([a]).decode()
    found, answer = forced(session, [a, end], f"{text}<end_of_turn>")
    assert (found, answer.ids, answer.finish_reason) == ("", [a, end], "stop")
    # Without that stop string the text stays, and the token gives none.
    found, answer = forced(session, [a, end], "zzz")
    assert (found, answer.finish_reason) == (text, "stop")


def test_special_tokens_give_no_text(model: Model, session: Session) -> None:
    (a,) = model.tokenizer.encode("a", bos=False)[-1:]
    (special,) = model.tokenizer.encode("<start_of_turn>", bos=False)
    text = model.tokenizer.decode([a]).decode()
    found, answer = forced(session, [a, special], "<start_of_turn><start", n=2)
    assert (found, answer.finish_reason) == (text, "length")
