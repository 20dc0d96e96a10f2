"""The GGUF reader against headers that are cut, mutated or absurd: an error that
names the field, or a model, and nothing else.
"""

from __future__ import annotations

import json
import random
import struct
import unicodedata

import gguf
import pytest

import raw_gguf as raw
from tests.wasm.native_core import BAD_FILE, NEED_MORE, OK, UNSUPPORTED, NativeCore

VOCABULARY = raw.bpe_entries("gpt-2")

TENSORS = [raw.tensor("first", (32, 3), 2, 0), raw.tensor("second", (5, 2, 2), 0, 64)]
DATA = bytes(64 + 80)


def header(*entries: bytes, tensors: list[bytes] | None = None, data: bytes = DATA) -> bytes:
    """A file that is whole but for what is passed."""
    return raw.gguf([*VOCABULARY, *entries], TENSORS if tensors is None else tensors, data=data)


def test_a_whole_file_is_described(core: NativeCore) -> None:
    content = header(raw.entry("general.name", raw.STRING, 'a "b"\n\\ \x07é'))
    core.load(content)
    described = core.describe()
    assert described["name"] == 'a "b"\n\\ \x07é'
    first, second = described["tensors"]
    assert (first["type"], first["shape"], first["size"]) == ("Q4_0", [32, 3], 3 * 18)
    assert (second["type"], second["shape"], second["size"]) == ("F32", [5, 2, 2], 80)
    assert first["offset"] == len(content) - len(DATA)
    assert second["offset"] == first["offset"] + 64


@pytest.mark.parametrize("version", [2, 3])
def test_versions_2_and_3_read_alike(core: NativeCore, version: int) -> None:
    core.load(raw.gguf([*VOCABULARY, *raw.every_type()], TENSORS, version=version, data=DATA))
    assert len(core.describe()["tensors"]) == 2


def test_block_sizes_are_those_of_ggml(core: NativeCore) -> None:
    for name, (kind, block, _) in raw.BLOCKS.items():
        block_size, block_bytes = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(kind)]
        assert block_size == block
        core.load(header(tensors=[raw.tensor("t", (block * 2, 3), kind)], data=bytes(8192)))
        assert core.describe()["types"] == {name: 2 * 3 * block_bytes}


def test_alignment_of_the_file_is_respected(core: NativeCore) -> None:
    entries = [*VOCABULARY, raw.entry("general.alignment", raw.U32, 4096)]
    content = raw.gguf(entries, [raw.tensor("t", (4,))], alignment=4096, data=bytes(16))
    core.load(content)
    assert core.describe()["tensors"][0]["offset"] == len(content) - 16


def test_a_header_cut_anywhere_asks_for_more(core: NativeCore) -> None:
    content = header()
    end = len(content) - len(DATA) - 31  # the padding may be missing
    for n in range(end):
        answer = core.header(content[:n], len(content))
        assert answer.status == NEED_MORE, (n, answer.sentence)
    assert core.header(content[: len(content) - len(DATA)], len(content)).status == OK


@pytest.mark.parametrize("name", [*raw.ARCHITECTURES, "types"])
def test_a_file_cut_anywhere_is_refused(core: NativeCore, name: str) -> None:
    content = raw.gguf(raw.every_type()) if name == "types" else raw.model(name)
    # Every byte of the header, and some of the weights, which are all alike.
    for n in (*range(min(len(content), 4000)), *range(4000, len(content), 97)):
        answer = core.header(content[:n])
        assert answer.status == BAD_FILE, (n, answer.sentence)
        assert_is_a_sentence(answer.sentence)


def test_mutations_give_a_model_or_a_sentence(core: NativeCore) -> None:
    rng = random.Random(20241)
    wholes = [header(), *raw.models().values(), raw.gguf(raw.spm_entries(user_defined=True))]
    refused = 0
    for _ in range(15000):
        content = bytearray(rng.choice(wholes))
        end = min(len(content), 6000)  # more mutations would only hit weights
        for _ in range(rng.choice((1, 1, 2, 8))):
            at = rng.randrange(end)
            match rng.randrange(5):
                case 0:
                    content[at] = rng.randrange(256)
                case 1:
                    content[at] ^= 1 << rng.randrange(8)
                case 2:
                    content[at : at + 8] = struct.pack("<Q", rng.choice(ABSURD))
                case 3:
                    del content[at : at + rng.randrange(1, 9)]
                case _:
                    content[at:at] = rng.randbytes(rng.randrange(1, 9))
        answer = core.header(bytes(content))
        if answer.status == OK:
            answer = core.layout()
        assert answer.status <= OK
        if answer.status < OK:
            refused += 1
            assert_is_a_sentence(answer.sentence)
    assert refused > 7500  # else the mutations hit nothing


ABSURD = [0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1]


def assert_is_a_sentence(text: str) -> None:
    assert len(text) > 30, text
    assert not any(unicodedata.category(c) == "Cc" for c in text), text


NO_TENSORS: list[bytes] = []

# What is wrong, the file, the status, and words of the sentence.
LIES = {
    "magic": (raw.gguf(magic=b"GGML"), BAD_FILE, ["'GGUF'", "'GGML'"]),
    "empty file": (b"", BAD_FILE, ["magic number"]),
    "version 1": (raw.gguf(version=1), UNSUPPORTED, ["version 1", "2 or 3"]),
    "version 4": (raw.gguf(version=4), UNSUPPORTED, ["version 4", "2 or 3"]),
    "big-endian": (raw.gguf(version=3 << 24), UNSUPPORTED, ["big-endian", "gguf-convert-endian"]),
    "tensor count": (raw.gguf(n_tensors=2**60), BAD_FILE, ["tensor count", str(2**60)]),
    "metadata count": (raw.gguf(n_entries=2**64 - 1), BAD_FILE, ["metadata count", str(2**64 - 1)]),
    "key length": (
        raw.gguf([struct.pack("<Q", 2**63) + b"key"], n_entries=1) + bytes(64),
        BAD_FILE, ["key of metadata entry 0", str(2**63)],
    ),
    "empty key": (
        header(raw.entry("", raw.U32, 1)), BAD_FILE, ["key of metadata entry", "0 bytes"],
    ),
    "value type": (
        raw.gguf([raw.string("my.key") + struct.pack("<IQ", 13, 0)]),
        BAD_FILE, ["'my.key'", "type 13"],
    ),
    "string length": (
        raw.gguf([raw.string("my.key") + struct.pack("<IQ", raw.STRING, 2**64 - 1)]),
        BAD_FILE, ["'my.key'", str(2**64 - 1)],
    ),
    "array count": (
        raw.gguf([raw.array("my.key", raw.U64, [1, 2], count=2**61)]),
        BAD_FILE, ["'my.key'", str(2**61)],
    ),
    "array count past the file": (
        raw.gguf([raw.array("my.key", raw.STRING, ["a", "b"], count=5)]),
        BAD_FILE, ["'my.key'", "5"],
    ),
    "string in an array": (
        raw.gguf([raw.array("my.key", raw.U64, [2**40, 7]).replace(
            struct.pack("<II", raw.ARRAY, raw.U64), struct.pack("<II", raw.ARRAY, raw.STRING))]),
        BAD_FILE, ["'my.key'", str(2**40)],
    ),
    "array of arrays": (
        raw.gguf([raw.string("my.key") + struct.pack("<IIQ", raw.ARRAY, raw.ARRAY, 1)]),
        UNSUPPORTED, ["'my.key'", "array of arrays"],
    ),
    "bool of 2": (
        raw.gguf([raw.entry("my.key", raw.BOOL, 2)]), BAD_FILE, ["'my.key'", "Bool of 2"],
    ),
    "duplicate key": (
        header(raw.entry("a", raw.U8, 1), raw.entry("a", raw.U8, 1)), BAD_FILE, ["'a'", "twice"],
    ),
    "alignment 0": (
        header(raw.entry("general.alignment", raw.U32, 0)), BAD_FILE, ["'general.alignment' is 0"],
    ),
    "alignment 48": (
        header(raw.entry("general.alignment", raw.U32, 48)), BAD_FILE,
        ["'general.alignment' is 48"],
    ),
    "alignment 2^31": (
        header(raw.entry("general.alignment", raw.U32, 2**31)), BAD_FILE, ["'general.alignment'"],
    ),
    "alignment as text": (
        header(raw.entry("general.alignment", raw.STRING, "32")), BAD_FILE,
        ["'general.alignment'", "String"],
    ),
    "negative alignment": (
        header(raw.entry("general.alignment", raw.I32, -32)), BAD_FILE,
        ["'general.alignment' is -32"],
    ),
    "alignment past 64 bits of sign": (
        header(raw.entry("general.alignment", raw.U64, 2**64 - 1)), BAD_FILE,
        ["'general.alignment'", str(2**64 - 1)],
    ),
    "name too long": (
        header(tensors=[raw.tensor("n" * 65, (4,))]), BAD_FILE, ["name of tensor 0", "65 bytes"],
    ),
    "name empty": (header(tensors=[raw.tensor("", (4,))]), BAD_FILE, ["name of tensor 0"]),
    "duplicate tensor": (
        header(tensors=[raw.tensor("a", (4,)), raw.tensor("a", (4,), 0, 32)]), BAD_FILE,
        ["'a'", "twice"],
    ),
    "no dimensions": (header(tensors=[raw.tensor("a", ())]), BAD_FILE, ["'a'", "0 dimensions"]),
    "five dimensions": (
        header(tensors=[raw.tensor("a", (1,) * 5)]), BAD_FILE, ["'a'", "5 dimensions"],
    ),
    "zero elements": (header(tensors=[raw.tensor("a", (4, 0))]), BAD_FILE, ["'a'", "dimension 1"]),
    "row length": (
        header(tensors=[raw.tensor("a", (33, 2), 2)]), BAD_FILE, ["'a'", "33", "Q4_0", "32"],
    ),
    "unknown type": (
        header(tensors=[raw.tensor("a", (32,), 99)]), UNSUPPORTED,
        ["'a'", "type number 99", "Q4_K"],
    ),
    "type that is no more": (
        header(tensors=[raw.tensor("a", (32,), 4)]), UNSUPPORTED, ["'a'", "type number 4"],
    ),
    "overflowing shape": (
        header(tensors=[raw.tensor("a", (2**40, 2**40))]), BAD_FILE, ["'a'", str(2**40)],
    ),
    "shape that wraps to something small": (
        header(tensors=[raw.tensor("a", (2**32, 2**32, 2, 2))]), BAD_FILE, ["'a'", str(2**32)],
    ),
    "larger than the file": (
        header(tensors=[raw.tensor("a", (1000,))]), BAD_FILE, ["'a'", "4000 bytes"],
    ),
    "offset past the file": (
        header(tensors=[raw.tensor("a", (4,), 0, 2**40)]), BAD_FILE, ["'a'", str(2**40)],
    ),
    "offset that wraps": (
        header(tensors=[raw.tensor("a", (16,), 0, 2**64 - 32)]), BAD_FILE, ["'a'", str(2**64 - 32)],
    ),
    "offset off the alignment": (
        header(tensors=[raw.tensor("a", (4,), 0, 16)]), BAD_FILE, ["'a'", "16", "32"],
    ),
    "overlapping tensors": (
        header(tensors=[raw.tensor("a", (32,)), raw.tensor("b", (32,))]), BAD_FILE,
        ["'b'", "overlap"],
    ),
    "no architecture": (raw.gguf(VOCABULARY[1:]), BAD_FILE, ["'general.architecture'"]),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_named(core: NativeCore, lie: str) -> None:
    content, status, words = LIES[lie]
    answer = core.header(content)
    assert answer.status == status, answer.sentence
    assert_is_a_sentence(answer.sentence)
    for word in words:
        assert word in answer.sentence


def test_a_hostile_name_stays_printable(core: NativeCore) -> None:
    name = b"\x1b[31m\xff\xc3\x28\n" + "é日".encode()
    answer = core.header(header(raw.entry(name, raw.U8, 1), raw.entry(name, raw.U8, 2)))
    assert answer.status == BAD_FILE
    assert "'?[31m???(?é日'".replace("???(", "??(") in answer.sentence
    assert_is_a_sentence(answer.sentence)


def test_a_long_sentence_is_cut_at_a_character(core: NativeCore) -> None:
    key = "é" * 30000
    answer = core.header(header(raw.entry(key, raw.U8, 1), raw.entry(key, raw.U8, 2)))
    assert len(answer.content) < 1024
    assert set(answer.sentence[-100:]) == {"é"}


def test_more_is_never_asked_for_past_the_end_or_the_limit(core: NativeCore) -> None:
    """A host that doubles what it gives on NEED_MORE must come to an end."""
    long_key = raw.string("my.key") + struct.pack("<IQ", raw.STRING, 2**40)
    content = raw.gguf([long_key])
    assert core.header(content, len(content)).status == BAD_FILE  # the file ends before
    assert core.header(content, 2**41).status == BAD_FILE  # no header is that long
    shorter = raw.gguf([raw.string("my.key") + struct.pack("<IQ", raw.STRING, 2**20)])
    assert core.header(shorter, 2**41).status == NEED_MORE


def test_a_second_header_after_a_refused_one_is_taken(core: NativeCore) -> None:
    core.load(header())
    described = json.dumps(core.describe())
    assert core.header(header(tensors=[raw.tensor("a", ())])).status == BAD_FILE
    core.load(header())
    assert json.dumps(core.describe()) == described


HYPERPARAMETERS = [
    "context_length", "embedding_length", "block_count", "feed_forward_length",
    "attention.head_count", "attention.head_count_kv", "attention.key_length",
]  # fmt: skip


@pytest.mark.parametrize("architecture", raw.ARCHITECTURES)
@pytest.mark.parametrize("key", HYPERPARAMETERS)
@pytest.mark.parametrize("number", [0, 7, 2**31, 2**32 - 1])
def test_absurd_hyperparameters_are_refused(
    core: NativeCore, architecture: str, key: str, number: int
) -> None:
    content = raw.model(architecture, numbers={key: number})
    core.load(content)
    answer = core.layout()
    # BERT has a table of its positions, and the others need no more than a number.
    if (key, number) == ("context_length", 7) and architecture != "bert":
        assert answer.status == OK, answer.sentence
        return
    assert answer.status in (BAD_FILE, UNSUPPORTED)
    assert_is_a_sentence(answer.sentence)
