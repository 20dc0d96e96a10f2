"""BERT's WordPiece in a tokenizer.json, as a vocabulary.

Owns the recognition of the one pipeline that llama.cpp and the core imitate: BERT's
reading of text without case and accents, its cuts at white space and punctuation, and
[CLS] and [SEP] around. Knows no other tokenizers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gguf import TokenType

from ..errors import SlmError
from .checkpoint import Json
from .vocabulary import Vocabulary

_GOES_ON = "##"
_BEGINS_WORD = "▁"
_MODEL = {
    "continuing_subword_prefix": _GOES_ON,
    "unk_token": "[UNK]",
    "max_input_chars_per_word": 100,
}
_NORMALIZER = {
    "type": "BertNormalizer",
    "clean_text": True,
    "handle_chinese_chars": True,
    "lowercase": True,
}
# The tokens by their roles in tokenizer.ggml.*, which spells one of them like this.
SPECIAL = {"unk": "[UNK]", "seperator": "[SEP]", "pad": "[PAD]", "cls": "[CLS]", "mask": "[MASK]"}


def read_wordpiece(path: Path, file: Json, model: Json) -> Vocabulary:
    """The vocabulary, without added tokens. Raises SlmError "bad_file" or "unsupported"."""
    texts = model.get("vocab")
    whole = isinstance(texts, dict) and all(type(i) is int for i in texts.values())
    if not texts or not whole or sorted(texts.values()) != [*range(len(texts))]:
        raise SlmError("bad_file", f"{path} has no usable vocabulary; download it again")
    _check(path, "WordPiece", model, _MODEL)
    normalizer, cuts = (file.get(key) or {} for key in ("normalizer", "pre_tokenizer"))
    if not isinstance(normalizer, dict) or not isinstance(cuts, dict):
        raise SlmError(
            "bad_file", f"{path} has a damaged normalizer or pre_tokenizer; download it again"
        )
    _check(path, "normalizer", normalizer, _NORMALIZER)
    if normalizer.get("strip_accents") is False:
        raise _unsupported(path, "accents that are kept", "models without are")
    _check(path, "pre_tokenizer", cuts, {"type": "BertPreTokenizer"})
    missing = [text for role, text in SPECIAL.items() if text not in texts and role != "mask"]
    if missing:
        raise _unsupported(path, f"no token {' or '.join(missing)}", "BERT's tokens are")
    special = {role: int(texts[text]) for role, text in SPECIAL.items() if text in texts}
    tokens = sorted(texts, key=lambda text: texts[text])
    controls = set(special.values())
    return Vocabulary(
        "bert",
        "default",
        [text if i in controls else _phantom(text) for i, text in enumerate(tokens)],
        [TokenType.CONTROL if i in controls else TokenType.NORMAL for i in range(len(tokens))],
        special=special,
    )


def _phantom(text: str) -> str:
    """llama.cpp's spelling: what begins a word is marked, not what goes on."""
    return text.removeprefix(_GOES_ON) if text.startswith(_GOES_ON) else _BEGINS_WORD + text


def _check(path: Path, what: str, found: Json, wanted: Mapping[str, Any]) -> None:
    for key, value in wanted.items():
        if found.get(key) != value:
            raise _unsupported(path, f"a {what} with {key} {found.get(key)!r}", f"{value!r} is")


def _unsupported(path: Path, what: str, otherwise: str) -> SlmError:
    return SlmError("unsupported", f"{path} asks for {what}; {otherwise} supported")
