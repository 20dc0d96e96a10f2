"""Goldens of the tokenizers: llama.cpp's ids for every text of the corpus, and
what it makes of those ids again. Run by make.py.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from tests.goldens.llama_cpp_reference import LlamaCpp
from tests.goldens.llama_cpp_reference import version as llama_cpp_version
from tests.goldens.vocabularies import TOKENS, VOCABULARIES, corpus, write_vocabulary

COMMAND = "make goldens (tests/goldens/make.py tokens)"


def main(models: dict[str, Path]) -> None:
    TOKENS.mkdir(exist_ok=True)
    for vocabulary in VOCABULARIES.values():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "vocabulary.gguf")
            write_vocabulary(vocabulary, models.get(vocabulary.source), path)
            with LlamaCpp(path, vocab_only=True) as llama:
                cases = [_survive(llama, case.name, case.text) for case in corpus()]
        if vocabulary.pre is not None:
            # A pre-tokenizer has no part in decoding, yet llama.cpp's takes out
            # spaces before punctuation with some of them.
            cases = [case[:4] for case in cases]
        head = {
            "command": COMMAND,
            "versions": llama_cpp_version(),
            "columns": "text's name; ids with special tokens as text; ids with special tokens "
            "parsed; what stands before and after them under add_bos; bytes of the former ids "
            "and of the latter (special tokens rendered) in hex, null where they are the text; the "
            "name alone where llama.cpp aborts; no bytes where only the pre-tokenizer was replaced",
        }
        # One line a case, so that a difference can be read.
        lines = ",\n".join("  " + json.dumps(case, separators=(",", ":")) for case in cases)
        (TOKENS / f"{vocabulary.name}.json").write_text(
            json.dumps(head)[:-1] + f', "cases": [\n{lines}\n]}}\n'
        )
        print(f"{vocabulary.name}: {len(cases)} texts")


def _survive(llama: LlamaCpp, name: str, text: bytes) -> list[object]:
    """In a child process, since llama.cpp aborts on some invalid UTF-8."""
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.environ["GGML_NO_BACKTRACE"] = "1"
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.write(write, json.dumps(_case(llama, name, text)).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    if answer:
        return list(json.loads(answer))
    print(f"llama.cpp aborts on {name!r}")
    return [name]


def _case(llama: LlamaCpp, name: str, text: bytes) -> list[object]:
    rows: list[list[int]] = []
    around: list[list[int]] = []
    for special in (False, True):
        ids = llama.tokenize(text, special=special, bos=False)
        with_bos = llama.tokenize(text, special=special, bos=True)
        before = len(with_bos) - len(ids)
        # Every model here adds a BOS or nothing, and no EOS.
        assert with_bos[before:] == ids, (name, special)
        rows.append(ids)
        around.append(with_bos[:before])
    assert around[0] == around[1], name
    back = [llama.detokenize(ids, special=bool(i)) for i, ids in enumerate(rows)]
    return [name, *rows, around[0], *(None if b == text else b.hex() for b in back)]
