"""tokenizer.model: a SentencePiece model, read from its protobuf without that library.

Owns the few fields of sentencepiece_model.proto that a GGUF needs. Knows only the
BPE kind that llama.cpp's "llama" tokenizer and the core imitate; the others are
refused.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from gguf import TokenType

from ..errors import SlmError, os_reason
from .vocabulary import ADDED_SCORE, Vocabulary

# ModelProto: 1 pieces, 2 trainer_spec, 3 normalizer_spec. SentencePiece: 1 piece,
# 2 score, 3 type. TrainerSpec: 3 model_type, 40 to 43 unk_id, bos_id, eos_id, pad_id.
# NormalizerSpec: 2 precompiled_charsmap, 3 add_dummy_prefix,
# 4 remove_extra_whitespaces, 5 escape_whitespaces.
_BPE = 2
_KINDS = {
    1: TokenType.NORMAL,
    2: TokenType.UNKNOWN,
    3: TokenType.CONTROL,
    4: TokenType.USER_DEFINED,
    5: TokenType.UNUSED,
    6: TokenType.BYTE,
}
_SPECIAL = {"unk": (40, 0), "bos": (41, 1), "eos": (42, 2), "pad": (43, -1)}  # field, default

_Value = int | float | bytes


def read_sentencepiece(path: Path) -> Vocabulary:
    """The vocabulary. Raises SlmError "unreadable", "bad_file" or "unsupported"."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SlmError("unreadable", f"cannot read {path}: {os_reason(error)}") from None
    vocabulary = Vocabulary("llama", "default", [], [], add_bos=None)
    trainer: dict[int, _Value] = {}
    normalizer: dict[int, _Value] = {}
    try:
        for number, value in _fields(data):
            if number == 1:
                _add_piece(vocabulary, dict(_fields(_bytes(value))))
            elif number == 2:
                trainer = dict(_fields(_bytes(value)))
            elif number == 3:
                normalizer = dict(_fields(_bytes(value)))
    except (ValueError, IndexError, KeyError, struct.error):
        raise SlmError(
            "bad_file", f"{path} is no SentencePiece model or is damaged; download it again"
        ) from None
    if not vocabulary.tokens:
        raise SlmError("bad_file", f"{path} holds no tokens; download it again")
    if trainer.get(3, 1) != _BPE:
        raise SlmError(
            "unsupported",
            f"{path} is a SentencePiece model of another kind than BPE; "
            "the families that are supported use BPE",
        )
    if normalizer.get(2) or normalizer.get(4, 1) or not normalizer.get(5, 1):
        raise SlmError(
            "unsupported",
            f"{path} normalizes text before it is tokenized, which neither llama.cpp nor the core "
            "does; train it with the identity normalization and without removing white space",
        )
    vocabulary.add_space_prefix = bool(normalizer.get(3, 1))
    vocabulary.special = {
        name: token
        for name, (field, default) in _SPECIAL.items()
        if 0 <= (token := _signed(trainer.get(field, default))) < len(vocabulary.tokens)
    }
    return vocabulary


def _add_piece(vocabulary: Vocabulary, piece: dict[int, _Value]) -> None:
    text = _bytes(piece[1]).decode()
    kind = _KINDS[int(piece.get(3, 1))]
    if kind is TokenType.USER_DEFINED:
        text = text.replace("▁", " ")  # it is looked for in the text as it is
    vocabulary.tokens.append(text)
    vocabulary.types.append(kind)
    merged = kind in (TokenType.NORMAL, TokenType.BYTE)
    vocabulary.scores.append(float(piece.get(2, 0.0)) if merged else ADDED_SCORE)


def _fields(data: bytes) -> Iterator[tuple[int, _Value]]:
    """The fields of a message: varints, 32-bit floats and bytes; 64-bit ones are skipped."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield number, value
        elif kind == 1:
            at += 8
        elif kind == 2:
            length, at = _varint(data, at)
            if length > len(data) - at:
                raise ValueError("a field ends past the end")
            yield number, data[at : at + length]
            at += length
        elif kind == 5:
            yield number, struct.unpack_from("<f", data, at)[0]
            at += 4
        else:
            raise ValueError("a field of an unknown kind")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _bytes(value: _Value) -> bytes:
    if isinstance(value, bytes):
        return value
    raise ValueError("expected a message")


def _signed(value: _Value) -> int:
    """An int32, which protobuf writes as 64 bits."""
    number = int(value)
    return number - (1 << 64) if number >> 63 else number
