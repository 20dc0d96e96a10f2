"""Measures one GGUF file against its reference, and keeps every figure.

Owns the text, the reference's logits and the cache of results in dist/quality;
the key of a result is the SHA-256 of the file that was measured, so that nothing
stale is ever used. The core does the computing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from script import ROOT, replace
from slmweb.core import Instance, Model, Sampling
from slmweb.core.session import Logits
from slmweb.evaluate.divergence import Divergences

TEXT = ROOT / "tests/goldens/texts/prose_and_code.txt"
N_TOKENS = 512
N_PROMPT, N_GENERATE = 128, 32  # of the speed's run


@dataclass(frozen=True)
class Quality:
    """One file on N_TOKENS of TEXT; `kl` in nats per token, `flips` a share."""

    size: int
    bits_per_weight: float
    perplexity: float
    kl: float
    flips: float


@dataclass(frozen=True)
class Speed:
    """Tokens per second under wasmtime on one thread."""

    prefill: float
    decode: float


class Bench:
    """Measures files of one model; `folder` keeps what was measured."""

    def __init__(self, folder: Path, reference: Path) -> None:
        self.folder = folder
        self.reference = reference
        self._logits: Logits | None = None

    def quality(self, path: Path) -> Quality:
        figures = self._kept("quality", path, lambda: asdict(self._quality(path)))
        return Quality(size=int(figures.pop("size")), **figures)

    def speed(self, path: Path, *, again: bool = False) -> Speed:
        return Speed(**self._kept("speed", path, lambda: asdict(self._speed(path)), again))

    def _kept(
        self, what: str, path: Path, compute: Callable[[], dict[str, float]], again: bool = False
    ) -> dict[str, float]:
        kept = self.folder / f"{what}-{sha256(path)[:16]}.json"
        if again or not kept.is_file():
            replace(kept, json.dumps(compute()).encode())
        found: dict[str, float] = json.loads(kept.read_bytes())
        return found

    def _quality(self, path: Path) -> Quality:
        reference, gathered, row = self._reference_logits(), Divergences(), 0
        with Model.open(path, core=self.core) as model, model.session(N_TOKENS) as session:
            ids = token_ids(model)
            for logits in session.logits(ids):
                rows = slice(row, row + len(logits))
                targets = ids[rows.start + 1 : rows.stop + 1]
                gathered.add(logits, np.asarray(reference[rows]), targets)
                row += len(logits)
            info = model.info
        result = gathered.result()
        weights = sum(tensor["size"] for tensor in info["tensors"])
        assert result.perplexity is not None
        return Quality(
            path.stat().st_size,
            8 * weights / info["parameters"],
            result.perplexity,
            result.kl,
            result.flips,
        )

    def _speed(self, path: Path) -> Speed:
        with (
            Model.open(path, core=self.core) as model,
            model.session(N_PROMPT + N_GENERATE) as session,
        ):
            ids = token_ids(model)[:N_PROMPT]
            answer = session.generate(
                ids, Sampling(temperature=0, ignore_eog=True), max_tokens=N_GENERATE
            )
            for _ in answer:
                pass
        return Speed(N_PROMPT / answer.prefill_seconds, N_GENERATE / answer.decode_seconds)

    def _reference_logits(self) -> Logits:
        """Logits of the reference at every position, [N_TOKENS, n_vocab]; on disk."""
        if self._logits is None:
            path = self.folder / f"logits-{sha256(self.reference)[:16]}.npy"
            if not path.is_file():
                opened = Model.open(self.reference, core=self.core)
                with opened as model, model.session(N_TOKENS) as session:
                    rows = np.concatenate(list(session.logits(token_ids(model))))
                partial = path.with_suffix(".part.npy")
                np.save(partial, rows)
                partial.replace(path)
            self._logits = np.load(path, mmap_mode="r")
        return self._logits

    @property
    def core(self) -> Instance:
        """A fresh one each time: linear memory never shrinks."""
        return Instance("relaxed")


def token_ids(model: Model) -> list[int]:
    ids = model.tokenizer.encode(TEXT.read_bytes(), special=False)[:N_TOKENS]
    assert len(ids) == N_TOKENS
    return ids


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
