"""The known answer of a packed model: what its weights make of a few tokens.

Owns the choice of the tokens, the bound and the comparison; web/src/core/known_answer.ts
compares in the same way. Whoever runs the model later evaluates the same tokens: when
the logits agree, the weights, the kernels and the machine under them are right
together. The arithmetic is the core's exact one (slm_session_exact), so that what a
device may differ by is rounding alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..core.model import Model
from ..core.session import Logits
from ..errors import SlmError
from .manifest import KnownAnswer

N_TOKENS = 24
N_TOP = 32
# Over twice the worst that a right device was off by, and a thirtieth of what rounding the
# activations to 8 bits does; docs/pack.md has the measurements.
BOUND = 3e-3

_TEXT = (
    "The harbour lay quiet under the morning fog, and only the bell of the outer buoy could be "
    "heard. A clerk counted 1,024 crates twice, wrote the number down, and began again."
)


def choose_tokens(model: Model) -> list[int]:
    """BOS where there is one, ids from all over the vocabulary, and the beginning of a sentence.

    The first make every part of a large embedding be read. After them text, where a model
    is less chaotic than among strange tokens: rounding moves its logits half as far.
    """
    info = model.info
    n = min(N_TOKENS, info["n_ctx_train"] or N_TOKENS)
    begin = [] if info["bos"] is None else [info["bos"]]
    text = model.tokenizer.encode(_TEXT, special=False, bos=False)[: N_TOKENS // 2]
    spread = _spread(info["n_vocab"] or 1, N_TOKENS - len(begin) - len(text))
    return [*begin, *spread, *text][-n:]


def _spread(n_vocab: int, n: int) -> list[int]:
    """`n` ids of a vocabulary, each far from those before: multiples of the golden ratio."""
    return [(i * 2654435769 % (1 << 32)) * n_vocab >> 32 for i in range(1, n + 1)]


def compute(model: Model) -> KnownAnswer:
    """The known answer of a model that is loaded.

    Raises SlmError "bad_file" for weights that give no numbers, and "out_of_memory".
    """
    tokens = choose_tokens(model)
    logits = _evaluate(model, [tokens])
    if not np.isfinite(logits).all():
        raise SlmError(
            "bad_file",
            "expected weights that give finite logits, found infinite ones or none; "
            "convert or download the model again",
        )
    wide = logits.astype(np.float64)
    top = np.argsort(-wide, kind="stable")[:N_TOP]
    return KnownAnswer(
        tokens=tuple(tokens),
        ids=tuple(int(i) for i in top),
        logits=tuple(_rounded(wide[i]) for i in top),
        scale=_rounded(wide.std()),
        bound=BOUND,
        arithmetic="exact",
    )


def error_of(answer: KnownAnswer, logits: Logits) -> float:
    """How far `logits` are from the answer's, in its scale; infinity for what is no number.

    The greatest difference over the listed ids, or what another id lies above the last of
    them, where none may be.
    """
    wide = logits.astype(np.float64)
    ids = np.array(answer.ids)
    if len(wide) <= ids.max() or not np.isfinite(wide).all():
        return math.inf
    expected = np.array(answer.logits)
    others = np.delete(wide, ids)
    above = others.max() - expected.min() if len(others) else 0.0
    return float(max(np.abs(wide[ids] - expected).max(), above) / answer.scale)


def check(model: Model, answer: KnownAnswer) -> float:
    """Computes the answer with `model`; returns the error. Raises SlmError "corrupt" over the bound.

    The last token comes alone, so that prefill and decode both take part.
    """
    tokens = answer.tokens
    error = error_of(answer, _evaluate(model, [tokens[:-1], tokens[-1:]]))
    if not error <= answer.bound:
        raise SlmError(
            "corrupt",
            f"expected the pack's known answer within {answer.bound:g} of its scale, found an error "
            f"of {error:.2g}: the weights are damaged, or this machine computes wrongly; "
            "run `slmweb verify` on the pack, and try another machine",
        )
    return error


def _evaluate(model: Model, pieces: Sequence[Sequence[int]]) -> Logits:
    """The exact logits of the last token."""
    n = sum(len(piece) for piece in pieces)
    with model.session(n, n) as session:
        session.exact()
        for piece in pieces:
            if piece:
                logits = session.eval(piece)
    assert logits is not None
    row: Logits = logits[0]
    return row


def _rounded(x: float) -> float:
    return float(f"{x:.6g}")
