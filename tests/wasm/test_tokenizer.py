"""The tokenizers' rules one by one, on vocabularies small enough to foresee the
ids, under the sanitizers. That ids equal llama.cpp's on real vocabularies is
for the goldens to show.
"""

from __future__ import annotations

import random
import re
import struct
import sys
import time
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pytest

import raw_gguf as raw
from tests.wasm.native_core import BAD_FILE, BOS, SPECIAL, UNSUPPORTED, NativeCore

ROOT = Path(__file__).parents[2]


def spm(
    pieces: Sequence[tuple[str, int, float]], *entries: bytes, add_space_prefix: bool = True
) -> bytes:
    """A vocabulary of <unk>, <s>, </s> and these pieces (text, type, score)."""
    tokens = [("<unk>", raw.UNKNOWN, 0.0), ("<s>", raw.CONTROL, 0.0), ("</s>", raw.CONTROL, 0.0)]
    tokens += pieces
    return raw.gguf(
        [
            raw.entry("general.architecture", raw.STRING, "llama"),
            raw.entry("tokenizer.ggml.model", raw.STRING, "llama"),
            raw.array("tokenizer.ggml.tokens", raw.STRING, [text for text, _, _ in tokens]),
            raw.array("tokenizer.ggml.token_type", raw.I32, [kind for _, kind, _ in tokens]),
            raw.array("tokenizer.ggml.scores", raw.F32, [score for _, _, score in tokens]),
            raw.entry("tokenizer.ggml.add_space_prefix", raw.BOOL, add_space_prefix),
            *entries,
        ]
    )


def bpe(
    merges: Sequence[str],
    *entries: bytes,
    pre: str = "gpt-2",
    special: Sequence[tuple[str, int]] = (),
) -> bytes:
    """A vocabulary of all bytes, the results of the merges and these special tokens."""
    tokens = [*raw.byte_alphabet(), *(merge.replace(" ", "") for merge in merges)]
    kinds = [raw.NORMAL] * len(tokens) + [kind for _, kind in special]
    tokens += [text for text, _ in special]
    return raw.gguf(
        [
            raw.entry("general.architecture", raw.STRING, "llama"),
            raw.entry("tokenizer.ggml.model", raw.STRING, "gpt2"),
            raw.entry("tokenizer.ggml.pre", raw.STRING, pre),
            raw.array("tokenizer.ggml.tokens", raw.STRING, tokens),
            raw.array("tokenizer.ggml.token_type", raw.I32, kinds),
            raw.array("tokenizer.ggml.merges", raw.STRING, merges),
            *entries,
        ]
    )


def pieces(core: NativeCore, text: str | bytes, flags: int = 0) -> list[str]:
    """What each token of `text` stands for."""
    ids = core.tokenize(text, flags)
    return [core.detokenize([i], SPECIAL).decode(errors="backslashreplace") for i in ids]


# ---- SentencePiece ---------------------------------------------------------


def test_the_highest_score_is_joined_first(core: NativeCore) -> None:
    letters = [(c, raw.NORMAL, -9.0) for c in "abc"]
    pairs = [("ab", raw.NORMAL, -2.0), ("bc", raw.NORMAL, -1.0)]
    core.load(spm([*letters, *pairs], add_space_prefix=False))
    assert pieces(core, "abc") == ["a", "bc"]
    core.load(spm([*letters, ("ab", raw.NORMAL, -1.0), pairs[1]], add_space_prefix=False))
    assert pieces(core, "abc") == ["ab", "c"]  # of equals the leftmost


def test_characters_outside_the_vocabulary_become_bytes(core: NativeCore) -> None:
    letters = [("é", raw.NORMAL, 0.0), ("▁", raw.NORMAL, 0.0)]
    named = [(f"<0x{byte:02X}>", raw.BYTE, 0.0) for byte in range(256)]
    core.load(spm([*letters, *named]))
    first = 3 + len(letters)
    assert core.tokenize("é日") == [4, 3, *(first + byte for byte in "日".encode())]
    assert core.tokenize(b"\xff\xe6") == [4, first + 0xFF, first + 0xE6]
    assert core.detokenize(core.tokenize(b"a\xff\x00")) == b"a\xff\x00"


def test_without_byte_tokens_the_byte_itself_or_unknown_stands_in(core: NativeCore) -> None:
    core.load(spm([("a", raw.NORMAL, 0.0)], add_space_prefix=False))
    assert core.tokenize("ab日") == [3, 0, 0, 0, 0]


def test_a_space_goes_before_the_start_and_after_special_tokens(core: NativeCore) -> None:
    letters = [(c, raw.NORMAL, 0.0) for c in "▁ab"]
    core.load(spm(letters))
    assert core.tokenize("a<s>b", SPECIAL | BOS) == [1, 3, 4, 1, 3, 5]
    ids = core.tokenize("a b", BOS)
    assert core.detokenize(ids) == b"a b"  # the space that was added is taken off again
    assert core.detokenize(ids, SPECIAL) == b"<s> a b"
    core.load(spm(letters, add_space_prefix=False))
    assert core.tokenize("a<s>b", SPECIAL | BOS) == [1, 4, 1, 5]
    assert core.detokenize(core.tokenize(" a")) == b" a"


def test_the_text_of_a_control_token_is_text_unless_asked_for(core: NativeCore) -> None:
    letters = [(c, raw.NORMAL, 0.0) for c in "<s>"]
    core.load(spm(letters, add_space_prefix=False))
    assert core.tokenize("<s>", SPECIAL) == [1]
    assert core.tokenize("<s>") == [3, 4, 5]
    assert core.detokenize([1]) == b""
    assert core.detokenize([1], SPECIAL) == b"<s>"


# ---- special tokens --------------------------------------------------------


def test_longer_special_tokens_are_cut_out_first(core: NativeCore) -> None:
    special = [("<a>", raw.USER_DEFINED), ("<a><b>", raw.USER_DEFINED), ("<b>", raw.CONTROL)]
    core.load(bpe([], special=special))
    assert core.tokenize("<a><b><a>") == [257, 256]
    assert pieces(core, "<a>x<b>", SPECIAL) == ["<a>", "x", "<b>"]
    assert pieces(core, "<b>") == ["<", "b", ">"]  # a control token


def test_special_tokens_have_no_words_across_them(core: NativeCore) -> None:
    core.load(bpe(["a b"], special=[("||", raw.USER_DEFINED)]))
    assert pieces(core, "ab||a||bab") == ["ab", "||", "a", "||", "b", "ab"]


def test_phi_3_swallows_white_space_after_special_tokens(core: NativeCore) -> None:
    special = [("<|end|>", raw.CONTROL), ("<|endoftext|>", raw.CONTROL)]
    name = raw.entry("general.name", raw.STRING, "My Phi-3 tune")
    core.load(bpe([], name, special=special))
    text = "a<|end|> \n b<|endoftext|> c"
    assert pieces(core, text, SPECIAL) == ["a", "<|end|>", "b", "<|endoftext|>", " ", "c"]
    core.load(bpe([], special=special))
    assert len(core.tokenize(text, SPECIAL)) == 9


def test_ends_of_generation_are_found_by_key_and_by_name(core: NativeCore) -> None:
    special = [("<|im_end|>", raw.NORMAL), ("<end>", raw.CONTROL), ("<|endoftext|>", raw.CONTROL)]
    eos = raw.entry("tokenizer.ggml.eos_token_id", raw.U32, 257)
    core.load(bpe([], eos, special=special))
    described = core.describe()
    assert described["eog"] == [256, 257, 258]
    assert (described["eos"], described["eot"], described["bos"]) == (257, 256, None)
    assert core.detokenize([256]) == b""  # a name that ends things is not shown


def test_an_end_that_begins_a_call_is_none(core: NativeCore) -> None:
    names = ["<|end|>", "<|return|>", "<|call|>", "<|start|>"]
    core.load(bpe([], special=[(name, raw.CONTROL) for name in names]))
    assert core.describe()["eog"] == [257, 258]
    assert core.detokenize([256, 259]) == b"<|end|><|start|>"


# ---- filling in the middle ---------------------------------------------------

FAMILIES = {
    "CodeGemma": ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|file_separator|>"],
    "Qwen2.5-Coder": ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|file_sep|>",
                      "<|repo_name|>", "<|fim_pad|>"],
    "StarCoder2": ["<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<file_sep>", "<repo_name>",
                   "<fim_pad>"],
    "DeepSeek-Coder": ["<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"],
    "CodeLlama": ["▁<PRE>", "▁<SUF>", "▁<MID>"],
}  # fmt: skip
FIM = ("prefix", "suffix", "middle", "separator", "repo", "pad")


def fim(*ids: int) -> dict[str, int | None]:
    return dict(zip(FIM, [*ids, *[None] * len(FIM)], strict=False))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_tokens_that_fill_in_are_found_by_name(core: NativeCore, family: str) -> None:
    names = FAMILIES[family]
    core.load(bpe([], special=[(name, raw.CONTROL) for name in names]))
    described = core.describe()
    assert described["fim"] == fim(*range(256, 256 + len(names)))
    assert described["eog"] == [*range(256, 256 + len(names))]  # none of them is an answer's text


@pytest.mark.parametrize(
    "keys",
    [("fim_pre", "fim_suf", "fim_mid", "fim_sep"), ("prefix", "suffix", "middle", "fsep")],
)
def test_and_by_the_keys_of_both_times(core: NativeCore, keys: tuple[str, ...]) -> None:
    named = [
        raw.entry(f"tokenizer.ggml.{key}_token_id", raw.U32, 256 + i) for i, key in enumerate(keys)
    ]
    special = [(f"<{i}>", raw.USER_DEFINED) for i in range(4)]
    core.load(bpe([], *named, special=special))
    assert core.describe()["fim"] == fim(256, 257, 258, 259)
    assert pieces(core, "<0>") == ["<", "0", ">"]  # in the text that is completed it is text
    assert core.tokenize("<0>", SPECIAL) == [256]
    sentence = core.header(bpe([], *named, special=special[:3])).sentence
    assert f"'tokenizer.ggml.{keys[3]}_token_id' is 259; expected a token below 259" in sentence


def test_a_gemma_that_only_has_code_gemmas_keys_fills_nothing_in(core: NativeCore) -> None:
    named = [
        raw.entry(f"tokenizer.ggml.{key}_token_id", raw.U32, 256 + i)
        for i, key in enumerate(("prefix", "suffix", "middle", "fsep"))
    ]
    unused = [(f"<unused{i}>", raw.CONTROL) for i in range(4)]
    core.load(bpe([], *named, special=unused))
    described = core.describe()
    assert (described["fim"], described["eog"]) == (None, [])


def test_two_of_three_fill_nothing_in(core: NativeCore) -> None:
    core.load(bpe([], special=[(name, raw.CONTROL) for name in FAMILIES["CodeGemma"][:2]]))
    assert core.describe()["fim"] is None


def test_eos_is_added_where_the_metadata_says_so(core: NativeCore) -> None:
    wish = raw.entry("tokenizer.ggml.add_eos_token", raw.BOOL, 1)
    core.load(spm([("a", raw.NORMAL, 0.0)], wish, add_space_prefix=False))
    assert core.tokenize("a", BOS) == [1, 3, 2]
    assert core.tokenize("a") == [3]
    no_bos = raw.entry("tokenizer.ggml.add_bos_token", raw.BOOL, 0)
    core.load(spm([("a", raw.NORMAL, 0.0)], no_bos, add_space_prefix=False))
    assert core.tokenize("a", BOS) == [3]


# ---- byte-level BPE --------------------------------------------------------


def test_merges_apply_in_the_order_of_the_list(core: NativeCore) -> None:
    core.load(bpe(["b c", "a b", "ab c"]))
    assert pieces(core, "abc") == ["a", "bc"]
    core.load(bpe(["a b", "b c", "ab c"]))
    assert pieces(core, "abc") == ["abc"]


def test_merges_may_lead_through_what_is_no_token(core: NativeCore) -> None:
    """The list says how, the vocabulary only what: parts need not be tokens."""
    tokens = [*raw.byte_alphabet(), "abc"]
    entries = [
        raw.entry("general.architecture", raw.STRING, "llama"),
        raw.entry("tokenizer.ggml.model", raw.STRING, "gpt2"),
        raw.array("tokenizer.ggml.tokens", raw.STRING, tokens),
        raw.array("tokenizer.ggml.merges", raw.STRING, ["a b", "ab c"]),
    ]
    core.load(raw.gguf(entries))
    assert core.tokenize("abc") == [256]
    # A pair that is joined but is no token falls apart again.
    assert pieces(core, "ab") == ["a", "b"]


def test_llama_3_takes_a_word_that_is_a_token_whole(core: NativeCore) -> None:
    special = [("abc", raw.NORMAL)]
    core.load(bpe(["b c"], pre="llama-bpe", special=special))
    assert pieces(core, "abc") == ["abc"]
    core.load(bpe(["b c"], pre="qwen2", special=special))
    assert pieces(core, "abc") == ["a", "bc"]


@pytest.mark.parametrize(
    ("pre", "text", "words"),
    [
        ("gpt-2", "I'll 12345  x'S\n\n y!?", "I|'ll| 12345| | x|'|S|\n|\n| y|!?"),
        ("smollm", "I'll 123  x'S\n\n y!?", "I|'ll| |1|2|3| | x|'|S|\n|\n| y|!?"),
        ("llama-bpe", "I'LL 12345  x's\n\n y!?\n\n.z", "I|'LL| |123|45| | x|'s|\n\n| y|!?\n\n|.z"),
        ("qwen2", "I'LL 123  x's \n y!?\nz", "I|'LL| |1|2|3| | x|'s| \n| y|!?\n|z"),
        ("default", "I'll a+b 12345  x!?-y$1", "I|'|ll| a|+|b| |123|45| | x|!?-|y|$|1"),
        ("default", "٣٤٥123456٦ `q`", "٣٤٥|123|456|٦| `|q|`"),
        ("gpt-2", "a\u00a0\u3000b \u0085c", "a|\u00a0|\u3000|b| |\u0085|c"),
    ],
)
def test_words(core: NativeCore, pre: str, text: str, words: str) -> None:
    """Every word is made a token, so that the ids show where words end."""
    expected = words.split("|")
    alphabet = raw.byte_alphabet()
    spelled = ["".join(alphabet[byte] for byte in word.encode()) for word in expected]
    # Merges from left to right build each word, and nothing beyond a word.
    merges: dict[str, None] = {}
    for word in spelled:
        for i in range(1, len(word)):
            merges[f"{word[:i]} {word[i]}"] = None
    core.load(bpe(list(merges), pre=pre))
    assert pieces(core, text) == expected


def test_broken_utf_8_in_words(core: NativeCore) -> None:
    core.load(bpe([]))
    there_and_back = {
        b"a\xff": "a\ufffd".encode(),
        b"\xc3": "\ufffd".encode(),
        b"\xe6\x97!": "\ufffd\ufffd!".encode(),
        b"\xc0\xaf": b"/",  # overlong forms mean what they say
        b"\xed\xa0\x80": b"\xed\xa0\x80",  # surrogates stay
        b"\xf4\x90\x80\x80": "\ufffd\ufffd\ufffd\ufffd".encode(),
    }
    for text, back in there_and_back.items():
        assert core.detokenize(core.tokenize(text)) == back


# ---- both ------------------------------------------------------------------


@pytest.mark.parametrize("pre", ["spm", *raw.PRETOKENIZERS])
def test_text_comes_back_as_it_was(core: NativeCore, pre: str) -> None:
    core.load(raw.gguf(raw.spm_entries() if pre == "spm" else raw.bpe_entries(pre)))
    rng = random.Random(7)
    alphabet = (
        "  \t\n\r'stmdrevl019.,!$~`aéßǅ日本\u0301\u200d\u3000\u0085👨👩½٣नि\x00\x7f\u10ff\U000e0080"
    )
    for _ in range(400):
        text = "".join(rng.choices(alphabet, k=rng.randrange(40)))
        assert core.detokenize(core.tokenize(text, BOS)).decode() == text
        assert core.detokenize(core.tokenize(text, SPECIAL | BOS)).decode() == text


@pytest.mark.parametrize("pre", ["spm", *raw.PRETOKENIZERS])
@pytest.mark.parametrize("unit", ["a", " ", "\n", "1", "=", "日", "<", "ab c"])
def test_long_runs_take_time_in_proportion(core: NativeCore, pre: str, unit: str) -> None:
    core.load(raw.gguf(raw.spm_entries() if pre == "spm" else raw.bpe_entries(pre)))
    start = time.monotonic()
    ids = core.tokenize(unit * (100_000 // len(unit)))
    assert len(ids) > 1000
    # Sanitized, this takes a tenth of it; in quadratic time it would take minutes.
    assert time.monotonic() - start < 10


def test_ids_outside_the_vocabulary_give_nothing(core: NativeCore) -> None:
    core.load(raw.gguf(raw.bpe_entries("gpt-2")))
    assert core.detokenize([-1, 2**31 - 1, -(2**31), 10**6]) == b""


UNTOKENIZABLE = {
    "no model": ([], BAD_FILE, ["'tokenizer.ggml.model'", "missing"]),
    "model": (
        [raw.entry("tokenizer.ggml.model", raw.STRING, "rwkv")],
        UNSUPPORTED, ["'tokenizer.ggml.model'", "'rwkv'"],
    ),
    "pre": (
        [raw.entry("tokenizer.ggml.model", raw.STRING, "gpt2"),
         raw.entry("tokenizer.ggml.pre", raw.STRING, "poro-chat")],
        UNSUPPORTED, ["'tokenizer.ggml.pre'", "'poro-chat'", "qwen2"],
    ),
    "no tokens": (
        [raw.entry("tokenizer.ggml.model", raw.STRING, "llama")],
        BAD_FILE, ["'tokenizer.ggml.tokens'", "missing"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNTOKENIZABLE)
def test_a_tokenizer_that_we_have_not(core: NativeCore, case: str) -> None:
    entries, status, words = UNTOKENIZABLE[case]
    architecture = raw.entry("general.architecture", raw.STRING, "llama")
    answer = core.header(raw.gguf([architecture, *entries]))
    assert answer.status == status
    assert all(word in answer.sentence for word in words), answer.sentence


def replaced(key: str, entry: bytes | None, entries: Sequence[bytes]) -> bytes:
    """The file with this entry instead of the one of that key, or without it."""
    start = raw.string(key)
    rest = [e for e in entries if not e.startswith(start)]
    return raw.gguf(rest if entry is None else [*rest, entry])


SPM, BPE = raw.spm_entries(), raw.bpe_entries("gpt-2")

DAMAGED = {
    "scores missing": (replaced("tokenizer.ggml.scores", None, SPM), ["'tokenizer.ggml.scores'"]),
    "scores short": (
        replaced("tokenizer.ggml.scores", raw.array("tokenizer.ggml.scores", raw.F32, [1.0]), SPM),
        ["'tokenizer.ggml.scores'", "1 items"],
    ),
    "scores not finite": (
        replaced(
            "tokenizer.ggml.scores",
            raw.array("tokenizer.ggml.scores", raw.F32, [float("nan")] * 400), SPM),
        ["'tokenizer.ggml.scores'", "NaN"],
    ),
    "types short": (
        replaced(
            "tokenizer.ggml.token_type", raw.array("tokenizer.ggml.token_type", raw.I32, [1]), SPM),
        ["'tokenizer.ggml.token_type'", "1 items"],
    ),
    "types of text": (
        replaced(
            "tokenizer.ggml.token_type",
            raw.array("tokenizer.ggml.token_type", raw.STRING, ["a"]), SPM),
        ["'tokenizer.ggml.token_type'", "String"],
    ),
    "token twice": (
        replaced(
            "tokenizer.ggml.tokens",
            raw.array("tokenizer.ggml.tokens", raw.STRING, ["a", "b", "a"]), SPM),
        ["'tokenizer.ggml.tokens'", "'a'", "twice", "2"],
    ),
    "no tokens": (
        replaced("tokenizer.ggml.tokens", raw.array("tokenizer.ggml.tokens", raw.STRING, []), SPM),
        ["'tokenizer.ggml.tokens'", "empty"],
    ),
    "special token too long": (
        bpe([], special=[("<" * 257, raw.CONTROL)]), ["'tokenizer.ggml.tokens'", "257 bytes"],
    ),
    "bos outside": (
        replaced(
            "tokenizer.ggml.bos_token_id", raw.entry("tokenizer.ggml.bos_token_id", raw.U32, 9999),
            SPM),
        ["'tokenizer.ggml.bos_token_id'", "9999"],
    ),
    "merges missing": (replaced("tokenizer.ggml.merges", None, BPE), ["'tokenizer.ggml.merges'"]),
    "merge of one part": (
        replaced(
            "tokenizer.ggml.merges",
            raw.array("tokenizer.ggml.merges", raw.STRING, ["a b", "ab"]), BPE),
        ["'tokenizer.ggml.merges'", "'ab'", "1"],
    ),
    "add_bos of text": (
        raw.gguf([*SPM, raw.entry("tokenizer.ggml.add_bos_token", raw.STRING, "yes")]),
        ["'tokenizer.ggml.add_bos_token'", "String"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_vocabulary_is_named(core: NativeCore, case: str) -> None:
    content, words = DAMAGED[case]
    answer = core.header(content)
    assert answer.status in (BAD_FILE, UNSUPPORTED)
    assert all(word in answer.sentence for word in words), answer.sentence


def test_tokens_made_to_collide_are_refused(core: NativeCore) -> None:
    """Texts with one hash would make every look-up walk through all of them."""
    texts = colliding(400)
    kinds = raw.array("tokenizer.ggml.token_type", raw.I32, [raw.NORMAL] * len(texts))
    without_kinds = [e for e in SPM if not e.startswith(raw.string("tokenizer.ggml.token_type"))]
    tokens = raw.array("tokenizer.ggml.tokens", raw.STRING, texts)
    answer = core.header(replaced("tokenizer.ggml.tokens", tokens, [*without_kinds, kinds]))
    assert answer.status == BAD_FILE
    assert "'tokenizer.ggml.tokens'" in answer.sentence
    assert "hash" in answer.sentence


def colliding(n: int) -> list[bytes]:
    """Texts of 16 bytes with one hash, by running hash_bytes() backwards."""
    mask, multiplier = 2**64 - 1, 0x9E3779B97F4A7C15
    texts = []
    for first in range(1, n + 1):
        state = 16 * multiplier & mask
        state = (state ^ first) * multiplier & mask
        state ^= state >> 29
        texts.append(struct.pack("<QQ", first, state))  # the second word cancels the first
    return texts


def test_character_classes_are_those_of_unicode() -> None:
    """The table against Python's own, which may be of another version: what both
    know must agree."""
    header = (ROOT / "wasm/src/generated/unicode_tables.h").read_text()
    table = header.split("kCharClassRuns[] = {")[1].split("}")[0]
    runs, packed, shift = [], 0, 0
    for byte in map(int, re.findall(r"\d+", table)):
        packed |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            runs.append((packed >> 3, packed & 7))
            packed = shift = 0
    classes = {"L": 1, "N": 2, "P": 3, "Z": 4, "M": 5}
    cased = {"Lu": 6, "Lt": 6, "Ll": 7}
    version = tuple(int(part) for part in unicodedata.unidata_version.split("."))
    first = 0
    for length, char_class in runs:
        for code in range(first, first + length):
            category = unicodedata.category(chr(code))
            newer = version > (15, 1, 0) and char_class == 0
            if category == "Cn" or newer:
                continue
            expected = cased.get(category, classes.get(category[0], 0))
            if code in (*range(0x09, 0x0E), 0x85):  # white space among the controls
                expected = 4
            assert char_class == expected, f"U+{code:04X} {category}"
        first += length
    assert first == sys.maxunicode + 1
