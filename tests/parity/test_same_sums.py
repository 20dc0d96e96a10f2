"""A token's logits are the same to the last bit, however its context was cut into
evaluations: one token at a time and many at once take different kernels, which
have to round alike. Same seed, same text, whatever the cache held, rests on it.
The real models bring every kind of layer: grouped heads, windows, four types.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from slmweb.core import Instance, Model
from tests.goldens import distribution
from tests.goldens.real_models import REAL_MODELS
from tests.parity.logits import F32

# Past two segments of attention, and at their edges.
WHOLE, CUTS = 300, (1, 127, 128, 129, 255, 298, 299)


@pytest.mark.parametrize("name", REAL_MODELS)
def test_however_a_context_was_cut(
    name: str, core: Instance, real_model: Callable[[str], Path]
) -> None:
    text = distribution.TEXT.read_bytes()
    with Model.open(real_model(name), core=core) as model, model.session(512, 160) as session:
        ids = model.tokenizer.encode(text, special=False)[:WHOLE]

        def last(*pieces: int) -> F32:
            session.reuse([])
            at = 0
            for n in pieces:
                logits = session.eval(ids[at : at + n], "last")
                at += n
            assert at == WHOLE
            assert logits is not None
            row: F32 = logits[0]
            return row

        expected = last(150, 150)
        for cut in CUTS:
            pieces = [min(160, cut), *([cut - 160] if cut > 160 else [])]
            pieces += [min(160, WHOLE - cut), *([WHOLE - cut - 160] if WHOLE - cut > 160 else [])]
            assert (last(*pieces) == expected).all(), f"cut after {cut} tokens"
        assert (last(150, 145, *[1] * 5) == expected).all(), "the last five alone"
