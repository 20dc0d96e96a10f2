"""SentencePiece's unigram model in a tokenizer.json, as a vocabulary.

Owns the recognition of the pipelines that llama.cpp and the core imitate: XLM-RoBERTa's, as
the several versions of transformers write it. A compiled table of characters, spaces that
merge, and a space in front. Knows no other tokenizers.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Sequence
from pathlib import Path

from gguf import TokenType

from ..errors import SlmError
from .checkpoint import Json
from .vocabulary import Vocabulary

_SPACES = {"Regex": " {2,}"}


def read_unigram(
    path: Path, model: Json, normalizers: Sequence[Json], pre_tokenizers: Sequence[Json]
) -> Vocabulary:
    """The vocabulary, without added tokens. Raises SlmError "bad_file" or "unsupported"."""
    try:
        pieces = [(str(text), float(score)) for text, score in model["vocab"]]
        unknown = int(model["unk_id"])
    except (KeyError, TypeError, ValueError):
        pieces, unknown = [], -1
    if not 0 <= unknown < len(pieces) or not all(math.isfinite(score) for _, score in pieces):
        raise SlmError("bad_file", f"{path} has no usable vocabulary; download it again")
    if model.get("byte_fallback"):
        raise _unsupported(path, "bytes for what no token spells", "the unknown token is")
    charsmap = _charsmap(path, normalizers)
    _check_spaces(path, pre_tokenizers)
    return Vocabulary(
        "t5",
        "default",
        [text for text, _ in pieces],
        [TokenType.UNKNOWN if i == unknown else TokenType.NORMAL for i in range(len(pieces))],
        [score for _, score in pieces],
        add_space_prefix=True,
        charsmap=charsmap,
        special={"unk": unknown},
    )


def _charsmap(path: Path, normalizers: Sequence[Json]) -> bytes:
    """The compiled table; none where text stays as it is. What else is done to a text has to be
    what the merging of spaces does anyway."""
    charsmap = b""
    for i, step in enumerate(normalizers):
        kind = step.get("type")
        if kind == "Precompiled" and i == 0:
            try:
                charsmap = base64.b64decode(step.get("precompiled_charsmap") or "", validate=True)
            except (binascii.Error, TypeError, ValueError):
                raise SlmError(
                    "bad_file", f"{path} has a damaged precompiled_charsmap; download it again"
                ) from None
        elif kind == "Strip" and step.get("strip_right") and not step.get("strip_left"):
            continue
        elif (
            kind != "Replace"
            or step.get("pattern") != _SPACES
            or step.get("content") not in (" ", "▁")
        ):
            raise _unsupported(
                path, f"the normalizer {kind!r}", "SentencePiece's compiled table and spaces are"
            )
    return charsmap


def _check_spaces(path: Path, pre_tokenizers: Sequence[Json]) -> None:
    """Words begin with a space, the first of a text as well."""
    steps = [*pre_tokenizers]
    if steps and steps[0].get("type") == "WhitespaceSplit":
        steps = steps[1:]
    (last, *more) = steps or [{}]
    scheme = last.get("prepend_scheme", "always" if last.get("add_prefix_space", True) else "never")
    if more or last.get("type") != "Metaspace" or scheme != "always":
        kinds = " and ".join(str(step.get("type")) for step in pre_tokenizers) or "none"
        raise _unsupported(
            path, f"a pre-tokenizer ({kinds}) of its own", "Metaspace with a space in front is"
        )


def _unsupported(path: Path, what: str, otherwise: str) -> SlmError:
    return SlmError("unsupported", f"{path} asks for {what}; {otherwise} supported")
