"""The models of the benchmark: their GGUF files, their packed form and how much work a token is.

Fetching and packing belong to build/model.py; this adds the requantized SmolLM2, and asks for the
Gemma terms (SLMWEB_ACCEPT_GEMMA=1) because no program may accept them for a person.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import model as fetcher
from script import DIST, ROOT, BuildError
from slmweb.pull.pull import pulled
from slmweb.pull.registry import Entry, read_registry

from . import environment
from .work import Work, work_of

GGUFS = DIST / "gguf"
CONSENT = "SLMWEB_ACCEPT_GEMMA"


@dataclass(frozen=True)
class Model:
    name: str
    title: str
    family: str  # whose targets it has
    path: Path  # of the GGUF
    source: Entry

    @cached_property
    def work(self) -> Work:
        return work_of(self.path)

    def pack(self) -> Path:
        """The folder with manifest.json and chunks, packed where this release has not yet."""
        # Only the model of the demo is for the chat page to offer; the others are for measuring.
        parent = DIST / "models" if self.name == "smollm2-q4_1" else DIST / "bench"
        folder = parent / str(self.source.name)
        with self.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        entry = dataclasses.replace(self.source, sha256=digest)
        if not fetcher.is_packed(entry, folder):
            fetcher.pack(entry, self.path, folder)
        return folder


def smollm2_q4_1() -> Model:
    registry = read_registry()
    path = fetcher.fetch(registry, "smollm2", accepted=True)
    source = registry.find("smollm2")
    return Model("smollm2-q4_1", "SmolLM2 135M Q4_1", "smollm2", path, source)


def smollm2_q4_0() -> Model:
    """Q4_0 from Q4_1 loses quality twice, which does not matter to speed."""
    shipped = smollm2_q4_1()
    path = GGUFS / shipped.path.name.replace("Q4_1", "Q4_0")
    if not path.is_file():
        part = path.with_suffix(".part")
        script = ROOT / "tests" / "goldens" / "requantize.py"
        command = [str(environment.bench_python()), str(script), str(shipped.path), str(part)]
        environment.call("requantizing SmolLM2 to Q4_0", [*command, "Q4_0"])
        part.replace(path)
    source = dataclasses.replace(
        shipped.source, name="smollm2-135m-instruct-q4_0", title="SmolLM2 135M Instruct Q4_0"
    )
    return Model("smollm2-q4_0", "SmolLM2 135M Q4_0", "smollm2", path, source)


def gemma3_q4_k_m() -> Model:
    registry = read_registry()
    source = registry.find("gemma3-270m")
    path = pulled(source, GGUFS)
    if path is None:
        if os.environ.get(CONSENT) != "1":
            url = source.license and source.license.url
            raise BuildError(
                f"{source.title} comes under terms of its own ({url}); "
                f"read them, then set {CONSENT}=1 to measure it too"
            )
        path = fetcher.fetch(registry, "gemma3-270m", accepted=False, gguf_only=True)
    return Model("gemma3-270m-q4_k_m", "Gemma 3 270M Q4_K_M", "gemma3", path, source)


MODELS = {
    "smollm2-q4_1": smollm2_q4_1,
    "smollm2-q4_0": smollm2_q4_0,
    "gemma3-270m-q4_k_m": gemma3_q4_k_m,
}
