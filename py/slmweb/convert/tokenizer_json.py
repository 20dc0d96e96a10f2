"""tokenizer.json, the format of the tokenizers library, as a vocabulary.

Owns the recognition of what llama.cpp and the core can imitate: byte-level BPE with
one of the pre-tokenizers that they know, and SentencePiece's BPE with byte
fallback. WordPiece and unigram have files of their own. Whatever else the file asks
for is refused, since near misses give wrong tokens silently.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gguf import TokenType

from ..errors import SlmError
from .checkpoint import Json, read_json
from .unigram import read_unigram
from .vocabulary import Vocabulary
from .wordpiece import read_wordpiece

_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# Qwen 3.5's, with marks among the letters.
_MARKED_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}"
    r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_CASED = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]%s[\p{Ll}\p{Lm}\p{Lo}\p{M}]%s"
_SIGNS = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_ENDING = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_O200K = f"{_CASED % ('*', '+')}{_ENDING}|{_CASED % ('+', '*')}{_ENDING}" r"|\p{N}{1,3}" f"{_SIGNS}"
_TEKKEN = f"{_CASED % ('*', '+')}|{_CASED % ('+', '*')}" r"|\p{N}" f"{_SIGNS}"
# The pre-tokenizers by what they split off before ByteLevel, and whether a word
# that is a token is taken whole.
_PRE = {
    ("gpt-2", False): "gpt-2",
    ("digits", False): "smollm",
    (_WORDS % r"\p{N}{1,3}", True): "llama-bpe",
    (_WORDS % r"\p{N}{1,3}", False): "smaug-bpe",
    (_WORDS % r"\p{N}", False): "qwen2",
    (_MARKED_WORDS, False): "qwen35",
    (_O200K, False): "gpt-4o",
    (_TEKKEN, True): "tekken",
}
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
# Of the splits that SentencePiece would try, how many a merge list may lack.
_MISSING_SPLITS = 0.01


def read_tokenizer_json(path: Path, n_vocab: int, bpe: bool = False) -> Vocabulary:
    """The vocabulary, with added tokens, not yet padded; see read_vocabulary for `bpe`.

    Raises SlmError "unreadable", "bad_file" or "unsupported".
    """
    file = read_json(path)
    model = file.get("model")
    if isinstance(model, dict) and model.get("type") == "WordPiece":
        vocabulary = read_wordpiece(path, file, model)
        _add_tokens(path, file, vocabulary, n_vocab)
        return vocabulary
    if isinstance(model, dict) and model.get("type") == "Unigram":
        return _read_unigram(path, file, model, n_vocab)
    if not isinstance(model, dict) or model.get("type", "BPE") != "BPE":
        kind = model.get("type") if isinstance(model, dict) else None
        raise _unsupported(
            path, f"a model of the type {kind!r}", "BPE, WordPiece and Unigram are supported"
        )
    for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(key):
            raise _unsupported(path, f"{key} {model[key]!r}", "BPE is supported without")
    try:
        texts: dict[str, int] = {str(text): int(i) for text, i in model["vocab"].items()}
        merges = [_pair(merge) for merge in model["merges"]]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise SlmError(
            "bad_file", f"{path} has a damaged vocabulary or merge list; download it again"
        ) from None
    if not merges or not texts or not 0 <= min(texts.values()) <= max(texts.values()) < 1 << 24:
        raise SlmError("bad_file", f"{path} has no usable vocabulary; download it again")
    read = _read_sentencepiece_like if model.get("byte_fallback") else _read_byte_level
    vocabulary = read(path, file, model, texts, merges)
    if bpe and vocabulary.model == "llama":
        _keep_merges(path, vocabulary, merges)
    added = _add_tokens(path, file, vocabulary, n_vocab)
    if (pair := _taken_out_of_order(added)) is not None:
        vocabulary.notes.append(
            f"where the tokens {pair[0]!r} and {pair[1]!r} overlap in a text, the leftmost is "
            "taken, while transformers takes the second, which it looks for before normalizing"
        )
    if vocabulary.model == "llama":
        _check_splits(path, vocabulary, merges)
    vocabulary.add_bos, vocabulary.add_eos = _adds(file.get("post_processor"))
    return vocabulary


def _add_tokens(path: Path, file: Json, vocabulary: Vocabulary, n_vocab: int) -> list[Json]:
    """The tokens beside the model's own, by rising ids, which are added to the vocabulary."""
    added = sorted(_objects(file.get("added_tokens")), key=lambda e: int(e.get("id", -1)))
    for entry in added:
        text, token = entry.get("content"), entry.get("id")
        if not isinstance(text, str) or not isinstance(token, int) or token < 0:
            raise SlmError("bad_file", f"{path} has a damaged added token; download it again")
        vocabulary.add(token, text, bool(entry.get("special")), n_vocab)
        if entry.get("lstrip") or entry.get("rstrip") or entry.get("single_word"):
            where = "along in transformers, which llama.cpp and the core leave"
            vocabulary.remark(
                text,
                f"takes white space beside it {where}",
                f"take white space beside them {where}",
            )
    return added


def _read_unigram(path: Path, file: Json, model: Json, n_vocab: int) -> Vocabulary:
    normalizers = _steps(file.get("normalizer"), "normalizers")
    pre_tokenizers = _steps(file.get("pre_tokenizer"), "pretokenizers")
    vocabulary = read_unigram(path, model, normalizers, pre_tokenizers)
    unknown = vocabulary.special["unk"]
    _add_tokens(path, file, vocabulary, n_vocab)
    vocabulary.types[unknown] = TokenType.UNKNOWN  # which added tokens list as a special one
    vocabulary.add_bos, vocabulary.add_eos = _adds(file.get("post_processor"))
    return vocabulary


def _read_byte_level(
    path: Path, file: Json, model: Json, texts: Mapping[str, int], merges: list[tuple[str, str]]
) -> Vocabulary:
    notes = []
    for step in _steps(file.get("normalizer"), "normalizers"):
        if step.get("type") != "NFC":
            raise _unsupported(path, f"the normalizer {step.get('type')!r}", "none and NFC are")
        notes.append("text is tokenized as it is, where transformers composes it to NFC first")
    pre = _pre_tokenizer(path, file, bool(model.get("ignore_merges")))
    tokens = _by_id(texts)
    vocabulary = Vocabulary(
        "gpt2",
        pre,
        tokens,
        [TokenType.NORMAL if text in texts else TokenType.UNUSED for text in tokens],
        merges=[" ".join(pair) for pair in merges],
        notes=notes,
    )
    if any(" " in part for pair in merges for part in pair):
        raise _unsupported(path, "merges with spaces", "byte-level merges spell them Ġ")
    return vocabulary


def _pre_tokenizer(path: Path, file: Json, ignore_merges: bool) -> str:
    """llama.cpp's name for what cuts text into words."""
    steps = _steps(file.get("pre_tokenizer"), "pretokenizers")
    *before, last = steps or [{}]
    words: object = None
    if last.get("type") == "ByteLevel" and not last.get("add_prefix_space"):
        if not before and last.get("use_regex", True):
            words = "gpt-2"
        elif len(before) == 1 and last.get("use_regex", True):
            if before[0].get("type") == "Digits" and before[0].get("individual_digits"):
                words = "digits"
        elif len(before) == 1 and before[0].get("type") == "Split":
            split = before[0]
            # The expressions match all of a text, so that taking away what they do not match
            # leaves the same words.
            if (split.get("behavior"), bool(split.get("invert"))) in (
                ("Isolated", False),
                ("Removed", True),
            ):
                words = (split.get("pattern") or {}).get("Regex")
    name = _PRE.get((str(words), ignore_merges))
    if name is None:
        kinds = " and ".join(str(step.get("type")) for step in steps) or "none"
        raise _unsupported(
            path,
            f"a pre-tokenizer ({kinds}) that is not known here",
            "those of GPT-2, GPT-4o, SmolLM, Llama 3, Qwen2, Qwen 3.5 and Tekken are supported",
        )
    return name


def _read_sentencepiece_like(
    path: Path, file: Json, model: Json, texts: Mapping[str, int], merges: list[tuple[str, str]]
) -> Vocabulary:
    if model.get("ignore_merges"):
        raise _unsupported(path, "ignore_merges with byte fallback", "either is supported alone")
    notes: list[str] = []
    add_space_prefix = _space_prefix(path, file, notes)
    # A merge list is ordered by the scores of what it makes, so ranks can stand for
    # scores; of a token with several splits the first counts.
    ranks: dict[str, int] = {}
    for rank, (left, right) in enumerate(merges):
        ranks.setdefault(left + right, rank)
    tokens = _by_id(texts)
    unknown = model.get("unk_token")
    types = [
        TokenType.UNUSED
        if text not in texts
        else TokenType.BYTE
        if _BYTE.fullmatch(text)
        else TokenType.UNKNOWN
        if text == unknown
        else TokenType.NORMAL
        for text in tokens
    ]
    scores = [-float(ranks.get(text, len(merges))) for text in tokens]
    return Vocabulary(
        "llama",
        "default",
        tokens,
        types,
        scores,
        add_space_prefix=add_space_prefix,
        notes=notes,
    )


def _keep_merges(path: Path, vocabulary: Vocabulary, merges: Sequence[tuple[str, str]]) -> None:
    """Gemma 4's, which llama.cpp and the core apply in their order, as transformers does."""
    if vocabulary.add_space_prefix:
        raise _unsupported(path, "a space in front of texts", "Gemma 4 is supported without")
    if any(" " in part for pair in merges for part in pair):
        raise _unsupported(path, "merges with spaces", "Gemma 4's spell them ▁")
    vocabulary.model, vocabulary.pre, vocabulary.scores = "gemma4", "", []
    vocabulary.merges = [" ".join(pair) for pair in merges]


def _space_prefix(path: Path, file: Json, notes: list[str]) -> bool:
    """Whether a space is put in front of the text. Raises where more is done to it."""
    normalizers = _steps(file.get("normalizer"), "normalizers")
    pre_tokenizers = _steps(file.get("pre_tokenizer"), "pretokenizers")
    prefix = escapes = False
    for step in normalizers:
        if step == {"type": "Prepend", "prepend": "▁"}:
            prefix = True
        elif step == {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}:
            escapes = True
        else:
            raise _unsupported(
                path, f"the normalizer {step.get('type')!r}", "SentencePiece's spaces are supported"
            )
    for step in pre_tokenizers:
        # Where spaces are escaped already, splitting at them does nothing.
        if step.get("type") == "Split" and step.get("pattern") == {"String": " "} and escapes:
            continue
        if step.get("type") != "Metaspace" or step.get("split", True):
            raise _unsupported(
                path, f"the pre-tokenizer {step.get('type')!r}", "whole texts are supported"
            )
        escapes = True
        if step.get("prepend_scheme", "always") != "never":
            prefix = True
            notes.append(
                "a space is put in front of every text, as SentencePiece does it; transformers "
                "puts none before one that is there, nor after a special token"
            )
    if not escapes:
        raise _unsupported(path, "byte fallback without SentencePiece's spaces", "expected ▁")
    return prefix


def _check_splits(path: Path, vocabulary: Vocabulary, merges: Sequence[tuple[str, str]]) -> None:
    """SentencePiece joins any two tokens that make a third; a merge list only those pairs
    that it names. They agree where the list was made of a SentencePiece model."""
    normal = {
        text
        for text, kind in zip(vocabulary.tokens, vocabulary.types, strict=True)
        if kind is TokenType.NORMAL
    }
    listed = set(merges)
    splits = missing = 0
    for text in normal:
        for cut in range(1, len(text)):
            if text[:cut] in normal and text[cut:] in normal:
                splits += 1
                missing += (text[:cut], text[cut:]) not in listed
    if missing > _MISSING_SPLITS * splits:
        raise _unsupported(
            path,
            f"{missing} of {splits} possible merges not to be made",
            "a tokenizer made of a SentencePiece model is supported, and so is byte-level BPE",
        )
    if missing:
        vocabulary.notes.append(
            f"{missing} of {splits} possible merges are not in the tokenizer's list, "
            "so rare texts may be tokenized differently"
        )


def _taken_out_of_order(added: Sequence[Json]) -> tuple[str, str] | None:
    """Two added tokens of which transformers takes the second first, wherever it stands: those
    that are looked for before the text is normalized precede the others."""
    first = {str(e["content"]) for e in added if e["content"] and not e.get("normalized")}
    beginnings = {text[:n]: text for text in sorted(first) for n in range(1, len(text) + 1)}
    for entry in added:
        text = str(entry["content"])
        if not entry.get("normalized"):
            continue
        for start in range(len(text)):
            # It may end in the other's beginning, or hold all of it.
            ends = range(start + 1, len(text) + 1)
            inside = next((text[start:end] for end in ends if text[start:end] in first), None)
            other = inside or (beginnings.get(text[start:]) if start > 0 else None)
            if other is not None and other != text:
                return text, other
    return None


def _adds(post_processor: object) -> tuple[bool | None, bool | None]:
    """Whether BOS and EOS are put around a text; None where the file does not say."""
    for step in _steps(post_processor, "processors"):
        if step.get("type") == "TemplateProcessing":
            template = _objects(step.get("single"))
            if template:
                return "SpecialToken" in template[0], "SpecialToken" in template[-1]
    return None, None


def _steps(value: object, plural: str) -> list[Json]:
    """The steps of a sequence, of one step, or of none."""
    if not isinstance(value, dict):
        return []
    if value.get("type") != "Sequence":
        return [value]
    return [step for item in _objects(value.get(plural)) for step in _steps(item, plural)]


def _objects(value: object) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _pair(merge: Any) -> tuple[str, str]:
    """A merge, which old files write as one string."""
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    if not isinstance(left, str) or not isinstance(right, str):
        raise TypeError
    return left, right


def _by_id(texts: Mapping[str, int]) -> list[str]:
    tokens = [f"[PAD{i}]" for i in range(max(texts.values()) + 1)]
    for text, token in texts.items():
        tokens[token] = text
    return tokens


def _unsupported(path: Path, what: str, otherwise: str) -> SlmError:
    return SlmError("unsupported", f"{path} asks for {what}; {otherwise}")
