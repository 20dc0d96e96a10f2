"""Matrices that are wider than the model: what a file says of them gets its room."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from slmweb.core import Model
from tests.goldens import tiny_gemma3n
from tests.goldens.tiny_gguf import write_gguf
from tests.goldens.tiny_models import MODELS, sequence

WIDE = 4096  # columns, where the model's widest else have a few hundred
N_BATCH = 16


def test_a_rank_above_every_width(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    for rank in (tiny_gemma3n.RANK, WIDE):
        monkeypatch.setattr(tiny_gemma3n, "RANK", rank)
        (path,) = write_gguf("gemma3n", tmp_path / f"{rank}.gguf")
        with Model.open(path) as model:
            sizes.append(model.session_bytes(64, N_BATCH))
            if rank != WIDE:
                continue
            ids = sequence(MODELS["gemma3n"], 2 * N_BATCH)
            with model.session(64, N_BATCH) as session, model.session(64, 1) as one:
                together = np.concatenate(list(session.logits(ids)))
                alone = np.concatenate(list(one.logits(ids)))
    # Its rows, and a batch of them as it is multiplied.
    assert sizes[1] - sizes[0] > N_BATCH * WIDE * (4 + 1)
    assert np.isfinite(together).all()
    assert np.linalg.norm(together - alone) <= 0.05 * np.linalg.norm(alone)
