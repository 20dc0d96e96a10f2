"""The known answer of a packed model: what its weights make of a few tokens.

Owns the choice of the tokens, the bound and the comparison; web/src/core/known_answer.ts
compares in the same way. Whoever runs the model later evaluates the same tokens: when
the logits agree, the weights, the kernels and the machine under them are right
together. The arithmetic is the core's exact one (slm_session_exact), so that what a
device may differ by is the rounding of float32 alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..core.files import is_pack
from ..core.model import Model, Progress
from ..core.session import Logits
from ..errors import SlmError
from .manifest import KnownAnswer, read_manifest

N_TOKENS = 24
N_TOP = 32
# Errors that a right device stays under, in an exact session and in one that rounds its cache
# alone, to f16. docs/pack.md has the measurements.
BOUND = 2e-4
F16_BOUND = 2e-2


def choose_tokens(model: Model) -> list[int]:
    """BOS where there is one, and ids from all over the vocabulary, so that every part of a
    large embedding is read. The same for all models of one vocabulary."""
    info = model.info
    n = min(N_TOKENS, info["n_ctx_train"] or N_TOKENS)
    begin = [] if info["bos"] is None else [info["bos"]]
    return [*begin, *_spread(info["n_vocab"] or 1, N_TOKENS)][:n]


def _spread(n_vocab: int, n: int) -> list[int]:
    """`n` ids, each far from those before: multiples of the golden ratio, modulo 1."""
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
        # Half of the last digit is a hundredth of the bound.
        logits=tuple(round(float(wide[i]), 6) for i in top),
        scale=round(float(wide.std()), 6),
        bound=BOUND,
        f16_bound=F16_BOUND,
        arithmetic="exact",
    )


def of_files(files: Sequence[Path], progress: Progress) -> KnownAnswer | None:
    """The known answer of a model's files; None where its weights and a session do not fit.

    The plain variant computes it, whose products no machine fuses, so that the same
    model has the same answer everywhere. `progress` is called with the bytes loaded and in
    all. Raises SlmError: what `Model.open` and `compute` raise.
    """
    try:
        with Model.open(*files, variant="simd", progress=progress) as model:
            return compute(model)
    except SlmError as error:
        if error.code != "out_of_memory":
            raise
        return None


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
    """The error of what `model` computes. Raises SlmError "corrupt" where it is over the bound.

    The last token comes alone, so that prefill and decode both take part.
    """
    tokens = answer.tokens
    error = error_of(answer, _evaluate(model, [tokens[:-1], tokens[-1:]]))
    if not error <= answer.bound:
        raise SlmError(
            "corrupt",
            f"expected the pack's known answer within {answer.bound:g} of its scale, found it off "
            f"by {error:.2g}: the weights are damaged, or this machine computes wrongly; run "
            "`slmweb verify` on the pack, and try another machine",
        )
    return error


def verify(model: Model, folder: Path) -> float:
    """Holds `model`, which came from `folder`, to the known answer of that pack; see `check`.

    Raises SlmError "invalid_argument" where there is no such answer.
    """
    if not is_pack(folder):
        raise SlmError(
            "invalid_argument",
            f"expected a packed model to verify, found {folder}, which says nothing of what it "
            "should compute; pack it with `slmweb pack` and name the folder",
        )
    answer = read_manifest(folder).known_answer
    if answer is None:
        raise SlmError(
            "invalid_argument",
            f"expected a known answer in the manifest of {folder}, found none; pack the model "
            "again with this slmweb",
        )
    return check(model, answer)


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
