"""SentencePiece's unigram model: a converted XLM-RoBERTa tokenizer's ids in the core against
those of the tokenizers library and of SentencePiece itself, and what is refused.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from transformers import AutoTokenizer

from slmweb.convert import convert
from slmweb.core import Instance, Model
from slmweb.errors import SlmError
from tests.py.convert import checkpoints
from tests.py.convert.test_embeddings import TINY
from tests.py.quantize.files import metadata

TEXTS = [
    "It is a truth universally acknowledged, that a single man",
    "The rain in Spain stays mainly in the plain.",
    "  leading,   inner   and trailing spaces   ",
    "tabs\tand\r\nlines\n\n end",
    "\u00a0no\u2003break\u3000ideographic",
    "naïve café, ÀÉÎÕÜ ß Straße İstanbul ǅ",
    "\ufb01ne \u2167 \uff15 \uff21\uff22 \u00bd \u2122 \u3392",
    "日本語 中文字 한국어 हिन्दी عربى",
    "soft\u00adhyphen zero\u200bwidth bom\ufeff bell\x07",
    "def f(x):\n    return x * 2  # twice",
    "\u2581a \u2581\u2581b",
    "x" * 200,
    "👩🏽 🙂 unknown",
    "a",
    " ",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("unigram") / "xlm-roberta"
    return checkpoints.save_embedder(made, TINY["xlm-roberta"])


@pytest.fixture(scope="module")
def gguf(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("gguf") / "unigram.gguf"
    convert(folder, out, type="f16")
    return out


@pytest.mark.parametrize("text", TEXTS)
def test_ids_are_those_of_the_tokenizers_library(
    folder: Path, gguf: Path, core: Instance, text: str
) -> None:
    theirs: Any = AutoTokenizer.from_pretrained(folder)
    with Model.open(gguf, weights=False, core=core) as model:
        assert model.tokenizer.encode(text, special=False, bos=True) == theirs.encode(text)


@pytest.mark.parametrize("text", TEXTS)
def test_ids_are_those_of_sentencepiece(gguf: Path, core: Instance, text: str) -> None:
    processor = sentencepiece.SentencePieceProcessor(model_proto=checkpoints.unigram_model())
    # XLM-RoBERTa's own four tokens stand for SentencePiece's three, <unk> first.
    expected = [3 if i == 0 else i + 1 for i in processor.encode(text)]
    with Model.open(gguf, weights=False, core=core) as model:
        assert model.tokenizer.encode(text, special=False, bos=False) == expected


def test_a_page_and_back(gguf: Path, core: Instance) -> None:
    processor = sentencepiece.SentencePieceProcessor(model_proto=checkpoints.unigram_model())
    text = " ".join(checkpoints.sentences())
    with Model.open(gguf, weights=False, core=core) as model:
        ids = model.tokenizer.encode(text, special=False, bos=False)
        assert ids == [3 if i == 0 else i + 1 for i in processor.encode(text)]
        assert 3 not in ids
        assert model.tokenizer.decode(ids).decode() == processor.decode(processor.encode(text))


def test_broken_text(gguf: Path, core: Instance) -> None:
    """Each byte that begins no character is U+FFFD, which is unknown; the table, which makes a
    space of one in a text, is not asked."""
    processor = sentencepiece.SentencePieceProcessor(model_proto=checkpoints.unigram_model())
    with Model.open(gguf, weights=False, core=core) as model:
        for broken in (b"the \xff rain", b"the \xe2\x96", b"a\xc0\x80b", b"\xed\xa0\x80"):
            expected = [3 if i == 0 else i + 1 for i in processor.encode(broken)]
            assert model.tokenizer.encode(broken, special=False, bos=False) == expected


def test_special_tokens_in_a_text(folder: Path, gguf: Path, core: Instance) -> None:
    theirs: Any = AutoTokenizer.from_pretrained(folder)
    with Model.open(gguf, weights=False, core=core) as model:
        text = "the<mask> rain</s>again"
        assert model.tokenizer.encode(text, special=True, bos=True) == theirs.encode(text)
        plain = model.tokenizer.encode(text, special=False, bos=False)
        assert not {0, 1, 2, theirs.mask_token_id} & set(plain)


@pytest.mark.parametrize(
    ("at", "change", "sentence"),
    [
        (("model", "byte_fallback"), True, "bytes for what no token spells"),
        (("model", "unk_id"), None, "no usable vocabulary"),
        (("model", "vocab"), [["a"]], "no usable vocabulary"),
        (("normalizer",), {"type": "NFC"}, "the normalizer 'NFC'"),
        (("normalizer",), {"type": "Precompiled", "precompiled_charsmap": "?"}, "a damaged pre"),
        (("pre_tokenizer",), {"type": "Whitespace"}, "a pre-tokenizer (Whitespace)"),
        (("pre_tokenizer",), None, "a pre-tokenizer (none)"),
        (
            ("pre_tokenizer",),
            {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never"},
            "a pre-tokenizer (Metaspace)",
        ),
    ],
)
def test_others_are_refused(
    folder: Path, tmp_path: Path, at: tuple[str, ...], change: Any, sentence: str
) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    file = json.loads((copy / "tokenizer.json").read_text())
    inner = file if len(at) == 1 else file[at[0]]
    inner[at[-1]] = change
    (copy / "tokenizer.json").write_text(json.dumps(file))
    with pytest.raises(SlmError, match=re.escape(sentence)):
        convert(copy, tmp_path / "out.gguf")


def test_the_pipelines_of_other_versions_are_the_same(
    folder: Path, gguf: Path, tmp_path: Path
) -> None:
    """transformers has written the same normalization in three ways."""
    file = json.loads((folder / "tokenizer.json").read_text())
    table = file["normalizer"]
    table = table if table["type"] == "Precompiled" else table["normalizers"][0]
    spaces = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}
    strip = {"type": "Strip", "strip_left": False, "strip_right": True}
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    old = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}
    for i, (normalizers, pre_tokenizer) in enumerate(
        [
            (
                [table, spaces],
                {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, old]},
            ),
            ([table, strip, {**spaces, "content": "▁"}], metaspace),
        ]
    ):
        copy = shutil.copytree(folder, tmp_path / str(i))
        file["normalizer"] = {"type": "Sequence", "normalizers": normalizers}
        file["pre_tokenizer"] = pre_tokenizer
        (copy / "tokenizer.json").write_text(json.dumps(file))
        convert(copy, tmp_path / f"{i}.gguf", type="f16")
        found, expected = (
            {key: value for key, value in metadata(path).items() if key.startswith("tokenizer.")}
            for path in (tmp_path / f"{i}.gguf", gguf)
        )
        assert found == expected
