"""The vocabularies that llama.cpp tests itself by, with its own texts and ids: every kind of
tokenizer and every pre-tokenizer that the core knows, on the vocabularies of real models.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from slmweb.core import Instance, Model

pytestmark = pytest.mark.llama

FOLDER = Path(__file__).parents[2] / "dist/llama"
SEPARATOR = "\n__ggml_vocab_test__\n"
NAMES = (
    *("bert-bge", "command-r", "deepseek-coder", "deepseek-llm", "falcon", "gemma-4", "gpt-2"),
    *("llama-bpe", "llama-spm", "mpt", "phi-3", "qwen2", "qwen35", "refact", "starcoder"),
)


@pytest.mark.parametrize("name", NAMES)
def test_every_text(name: str) -> None:
    path = FOLDER / f"ggml-vocab-{name}.gguf"
    texts = Path(f"{path}.inp").read_bytes().decode().split(SEPARATOR)
    if texts[-1] == "":  # the mark of most files' last text
        texts.pop()
    ids = [[int(i) for i in line.split()] for line in Path(f"{path}.out").read_text().splitlines()]
    assert len(texts) > 40
    with Model.open(path, weights=False, core=Instance("relaxed")) as model:
        found = [model.tokenizer.encode(text, special=False, bos=False) for text in texts]
    wrong = [text for text, a, b in zip(texts, found, ids, strict=True) if a != b]
    assert not wrong


def test_none_is_left_out() -> None:
    """Of those that come with texts."""
    there = {path.name for path in FOLDER.glob("*.gguf.inp")}
    assert there == {f"ggml-vocab-{name}.gguf.inp" for name in NAMES}
