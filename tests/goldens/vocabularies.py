"""The tokenizers whose token ids are compared with llama.cpp's, each as a GGUF
that holds a vocabulary and no tensors. Owns how such a file is made: from a
tiny model's generated file, or from the header of a real model, there with
another pre-tokenizer where the case asks for it. Knows no tokenizer.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import gguf

from tests.goldens.tiny_gguf import write_gguf

HERE = Path(__file__).parent
TOKENS = HERE / "tokens"


@dataclass(frozen=True)
class Vocabulary:
    name: str
    source: str  # a tiny model's name, "smollm2" or "gemma3-270m"
    pre: str | None = None  # replaces tokenizer.ggml.pre


VOCABULARIES = {
    v.name: v
    for v in (
        Vocabulary("smollm2", "smollm2"),
        # One vocabulary under every pre-tokenizer: the splits differ, and with
        # them the ids.
        *(Vocabulary(f"smollm2-{pre}", "smollm2", pre) for pre in ("gpt-2", "llama-bpe", "qwen2", "default")),
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
    reader = gguf.GGUFReader(model)
    fields = reader.fields.values()
    end = max(field.offset + sum(int(part.nbytes) for part in field.parts) for field in fields)
    header = bytearray(reader.data[:end])
    header[8:16] = bytes(8)  # the number of tensors
    if pre is not None:
        field = reader.fields["tokenizer.ggml.pre"]
        length, text = field.parts[-2:]
        at = field.offset + sum(int(part.nbytes) for part in field.parts[:-2])
        old = int(length.nbytes) + int(text.nbytes)
        header[at : at + old] = len(pre).to_bytes(8, "little") + pre.encode()
    padding = -len(header) % 32
    return bytes(header) + bytes(padding)
