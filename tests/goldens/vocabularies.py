"""The tokenizers whose token ids are compared with llama.cpp's, each as a GGUF
that holds a vocabulary and no tensors. Owns how such a file is made: from a
tiny model's generated file, or from the header of a real model, there with
another pre-tokenizer where the case asks for it. Knows no tokenizer.
"""

from __future__ import annotations

import json
import mmap
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.goldens.real_models import REAL_MODELS
from tests.goldens.tiny_gguf import write_gguf

HERE = Path(__file__).parent
TOKENS = HERE / "tokens"


@dataclass(frozen=True)
class Vocabulary:
    name: str
    source: str  # a tiny model's name, "smollm2" or "gemma3-270m"
    pre: str | None = None  # replaces tokenizer.ggml.pre

    @property
    def is_real(self) -> bool:
        return self.source in REAL_MODELS


VOCABULARIES = {
    v.name: v
    for v in (
        Vocabulary("smollm2", "smollm2"),
        # One vocabulary under every pre-tokenizer: the splits differ, and with
        # them the ids.
        *(
            Vocabulary(f"smollm2-{pre}", "smollm2", pre)
            for pre in ("gpt-2", "llama-bpe", "qwen2", "default")
        ),
        Vocabulary("gemma3-270m", "gemma3-270m"),
        Vocabulary("tiny-llama", "llama"),  # adds a space in front
        Vocabulary("tiny-qwen2", "qwen2"),
    )
}


@dataclass(frozen=True)
class Case:
    name: str
    text: bytes


def corpus() -> list[Case]:
    """Texts are characters ("text") or, where they are not UTF-8, bytes ("hex")."""
    entries = json.loads((HERE / "unicode_corpus.json").read_text())
    return [
        Case(e["name"], e["text"].encode() if "text" in e else bytes.fromhex(e["hex"]))
        for e in entries
    ]


def write_vocabulary(vocabulary: Vocabulary, model: Path | None, path: Path) -> None:
    """`model` is the real model's file, for the vocabularies that come of one."""
    with tempfile.TemporaryDirectory() as folder:
        if model is None:
            model = Path(folder, "tiny.gguf")
            write_gguf(vocabulary.source, model)
        path.write_bytes(header_without_tensors(model, vocabulary.pre))


def header_without_tensors(model: Path, pre: str | None) -> bytes:
    """The metadata alone. Walks the file by hand: gguf's reader takes ten seconds
    for the 262,144 tokens of Gemma."""
    with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        (n_entries,) = struct.unpack_from("<Q", data, 16)
        header, at = bytearray(data[:24]), 24
        header[8:16] = bytes(8)  # the number of tensors
        for _ in range(n_entries):
            key = _skip(data, at, STRING)
            end = _skip(data, key + 4, int.from_bytes(data[key : key + 4], "little"))
            entry = data[at:end]
            if pre is not None and entry[8:].startswith(b"tokenizer.ggml.pre"):
                entry = entry[: key + 4 - at] + len(pre).to_bytes(8, "little") + pre.encode()
            header += entry
            at = end
    return bytes(header) + bytes(-len(header) % 32)


STRING, ARRAY = 8, 9
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


def _skip(data: mmap.mmap, at: int, kind: int) -> int:
    """The end of the value of this type at `at`."""
    if kind == STRING:
        (length,) = struct.unpack_from("<Q", data, at)
        return at + 8 + int(length)
    if kind == ARRAY:
        item, count = struct.unpack_from("<IQ", data, at)
        if item in _SIZES:
            return at + 12 + _SIZES[item] * int(count)
        at += 12
        for _ in range(count):
            at = _skip(data, at, item)
        return at
    return at + _SIZES[kind]
