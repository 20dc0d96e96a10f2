"""GGUF files from their smallest parts, true or false: the gguf package writes
only valid files, and the reader must also be shown the others. Owns the layout
of the format and the tiny vocabularies that fuzzers and tests start from; knows
nothing of what the reader accepts.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)

FORMATS = {
    U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f",
    BOOL: "B", U64: "Q", I64: "q", F64: "d",
}  # fmt: skip

Scalar = int | float | str | bytes

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)


def string(text: str | bytes) -> bytes:
    content = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(content)) + content


def value(kind: int, item: Scalar) -> bytes:
    if kind == STRING:
        assert isinstance(item, str | bytes)
        return string(item)
    return struct.pack("<" + FORMATS[kind], item)


def entry(key: str | bytes, kind: int, item: Scalar) -> bytes:
    return string(key) + struct.pack("<I", kind) + value(kind, item)


def array(key: str | bytes, kind: int, items: Sequence[Scalar], count: int | None = None) -> bytes:
    """`count` replaces the true number of items."""
    head = struct.pack("<IIQ", ARRAY, kind, len(items) if count is None else count)
    return string(key) + head + b"".join(value(kind, item) for item in items)


def tensor(name: str | bytes, shape: Sequence[int], kind: int = 0, offset: int = 0) -> bytes:
    dimensions = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return string(name) + dimensions + struct.pack("<IQ", kind, offset)


def gguf(
    entries: Sequence[bytes] = (),
    tensors: Sequence[bytes] = (),
    *,
    version: int = 3,
    magic: bytes = b"GGUF",
    n_entries: int | None = None,
    n_tensors: int | None = None,
    alignment: int = 32,
    data: bytes = b"",
) -> bytes:
    """`n_entries` and `n_tensors` replace the true numbers."""
    counts = (
        len(tensors) if n_tensors is None else n_tensors,
        len(entries) if n_entries is None else n_entries,
    )
    header = magic + struct.pack("<IQQ", version, *counts) + b"".join([*entries, *tensors])
    return header + bytes(-len(header) % alignment if tensors else 0) + data


def byte_alphabet() -> list[str]:
    """GPT-2's character for every byte."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    moved = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(moved)) for byte in range(256)]


def spm_entries(*, user_defined: bool = False, add_space_prefix: bool = True) -> list[bytes]:
    """All bytes, some letters, and tokens whose scores make the order of merges matter."""
    tokens = [("<unk>", UNKNOWN, 0.0), ("<s>", CONTROL, 0.0), ("</s>", CONTROL, 0.0)]
    tokens += [(f"<0x{byte:02X}>", BYTE, 0.0) for byte in range(256)]
    pieces = ["▁t", "he", "in", "er", "▁the", "▁▁", "the", "ing", "▁▁▁▁", "日本", "\n\n", "aa"]
    pieces += ["aaaa", "▁a", "<s", "ab", "bc", "abc", *"▁etaoinshrdlucb<>/日本é\n"]
    tokens += [(piece, NORMAL, -float(rank // 2)) for rank, piece in enumerate(pieces)]
    if user_defined:
        tokens += [("<mark>", USER_DEFINED, 0.0), ("  ", USER_DEFINED, 0.0)]
    return [
        entry("general.architecture", STRING, "llama"),
        entry("tokenizer.ggml.model", STRING, "llama"),
        array("tokenizer.ggml.tokens", STRING, [text for text, _, _ in tokens]),
        array("tokenizer.ggml.token_type", I32, [kind for _, kind, _ in tokens]),
        array("tokenizer.ggml.scores", F32, [score for _, _, score in tokens]),
        entry("tokenizer.ggml.bos_token_id", U32, 1),
        entry("tokenizer.ggml.eos_token_id", U32, 2),
        entry("tokenizer.ggml.add_space_prefix", BOOL, add_space_prefix),
    ]


def bpe_entries(pre: str) -> list[bytes]:
    merges = ["Ġ t", "h e", "i n", "e r", "Ġt he", "in g", "Ġ Ġ", "ĠĠ ĠĠ", "Ċ Ċ", "a a", "aa aa"]
    merges += ["Ã ©", "' s", "1 2", "12 3", "æ Ĺ", "æĹ ¥", "! !", "a b", "b c", "ab c"]
    tokens = [*byte_alphabet(), *(merge.replace(" ", "") for merge in merges)]
    kinds = [NORMAL] * len(tokens)
    tokens += ["<|im_start|>", "<|im_end|>", "<mark>"]
    kinds += [CONTROL, CONTROL, USER_DEFINED]
    return [
        entry("general.architecture", STRING, "llama"),
        entry("tokenizer.ggml.model", STRING, "gpt2"),
        entry("tokenizer.ggml.pre", STRING, pre),
        array("tokenizer.ggml.tokens", STRING, tokens),
        array("tokenizer.ggml.token_type", I32, kinds),
        array("tokenizer.ggml.merges", STRING, merges),
        entry("tokenizer.ggml.bos_token_id", U32, tokens.index("<|im_start|>")),
        entry("tokenizer.ggml.eos_token_id", U32, tokens.index("<|im_end|>")),
    ]


PRETOKENIZERS = ("gpt-2", "smollm", "llama-bpe", "qwen2", "default")


def every_type() -> list[bytes]:
    """A value and an array of every type."""
    scalars: dict[int, Scalar] = {**dict.fromkeys(FORMATS, 1), F32: 1.5, F64: -2.5, STRING: "text"}
    entries = [entry(f"test.value_{kind}", kind, item) for kind, item in scalars.items()]
    arrays = [array(f"test.array_{kind}", kind, [item] * 3) for kind, item in scalars.items()]
    return [*entries, *arrays, array("test.empty", STRING, [])]
