"""The known answer of a packed model: what its weights make of a few tokens.

Owns the choice of the tokens, the bound and the comparison; web/src/core/known_answer.ts
compares in the same way. Whoever runs the model later evaluates the same tokens: when
the logits agree, the weights, the kernels and the machine under them are right
together. The arithmetic is the core's exact one (slm_session_exact), so that what a
device may differ by is the rounding of float32 alone. A model that does not fit the core
has an answer for a few of its layers at a time, which then stand between its embedding and
its head: what comes out means nothing, but every weight takes part in one of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..core.files import is_pack
from ..core.instance import Instance
from ..core.loading import Progress
from ..core.model import Model
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


def compute(model: Model, layers: tuple[int, int] | None = None) -> KnownAnswer:
    """The known answer of a model that is loaded, and consists of these layers.

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
    scale = round(float(wide.std()), 6)
    if scale == 0:
        raise SlmError(
            "bad_file",
            "expected weights that tell tokens apart, found ones that give all the same logit; "
            "convert or download the model again",
        )
    top = np.argsort(-wide, kind="stable")[:N_TOP]
    return KnownAnswer(
        tokens=tuple(tokens),
        ids=tuple(int(i) for i in top),
        # Half of the last digit is a hundredth of the bound.
        logits=tuple(round(float(wide[i]), 6) for i in top),
        scale=scale,
        bound=BOUND,
        f16_bound=F16_BOUND,
        arithmetic="exact",
        layers=layers,
    )


def of_files(
    files: Sequence[Path], progress: Progress, *, memory_limit: int | None = None
) -> tuple[KnownAnswer, ...]:
    """The known answer of a model's files, or those of its layers, as few at a time as fit the
    core's memory; none where not even one layer fits, with the embedding, the head and a session.

    The plain variant computes it, whose products no machine fuses, so that the same
    model has the same answer everywhere. `progress` is called with what is done and what there
    is to do, which in parts is more than the file. `memory_limit` as in `Instance`. Raises
    SlmError: what `Model.open` and `compute` raise.
    """
    with Model.open(*files, weights=False) as model:
        n_layer = _n_layer(model)
    for n in range(1, n_layer + 1):
        parts = [(n_layer * i // n, n_layer * (i + 1) // n) for i in range(n)]
        try:
            return tuple(
                _of_layers(files, None if n == 1 else part, _share(progress, i, n), memory_limit)
                for i, part in enumerate(parts)
            )
        except SlmError as error:
            if error.code != "out_of_memory":
                raise
    return ()


def _of_layers(
    files: Sequence[Path],
    layers: tuple[int, int] | None,
    progress: Progress,
    memory_limit: int | None,
) -> KnownAnswer:
    core = Instance("simd", memory_limit=memory_limit)
    with Model.open(*files, layers=layers, core=core, progress=progress) as model:
        return compute(model, layers)


def _share(progress: Progress, i: int, n: int) -> Progress:
    """Of `n` loads, which read about as much each: that of load `i`."""
    return lambda done, total: progress(i * total + done, n * total)


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


def check(model: Model, answers: Sequence[KnownAnswer]) -> float:
    """The largest error of what `model`, which is loaded whole, computes.

    Raises SlmError "corrupt" where one is over its bound, and "bad_manifest" where they leave
    layers out.
    """
    try:
        return max(_check(model, answer, answers) for answer in answers)
    finally:
        model.consist_of((0, _n_layer(model)))


def check_pack(folder: Path, answers: Sequence[KnownAnswer], progress: Progress) -> float:
    """`check` of a packed model, of which it loads as many layers at a time as an answer is of.

    Raises SlmError: what `Model.open` and `check` raise.
    """

    def error_of_part(i: int, answer: KnownAnswer) -> float:
        share = _share(progress, i, len(answers))
        with Model.open(folder, layers=answer.layers, progress=share) as model:
            return _check(model, answer, answers)

    return max(error_of_part(i, answer) for i, answer in enumerate(answers))


def _n_layer(model: Model) -> int:
    return model.info["n_layer"] or 1


def _check(model: Model, answer: KnownAnswer, answers: Sequence[KnownAnswer]) -> float:
    """One of the answers. The last token comes alone, so that prefill and decode both take part."""
    last = answers[-1].layers
    if last is not None and last[1] != _n_layer(model):
        raise SlmError(
            "bad_manifest",
            f"expected known answers of all {_n_layer(model)} layers, found them of {last[1]}; "
            "pack the model again",
        )
    if answer.layers is not None:
        model.consist_of(answer.layers)
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
    answers = read_manifest(folder).known_answer
    if not answers:
        raise SlmError(
            "invalid_argument",
            f"expected a known answer in the manifest of {folder}, found none; pack the model "
            "again with this slmweb",
        )
    return check(model, answers)


def _evaluate(model: Model, pieces: Sequence[Sequence[int]]) -> Logits:
    """The exact logits of the last token, or the embedding."""
    n = sum(len(piece) for piece in pieces)
    with model.session(n, n) as session:
        session.exact()
        return session.output(pieces)
