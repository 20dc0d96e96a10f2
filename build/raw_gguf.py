"""GGUF files from their smallest parts, true or false: the gguf package writes
only valid files, and the reader must also be shown the others. Owns the layout
of the format and the tiny vocabularies and models that fuzzers and tests start
from; knows nothing of what the reader accepts.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence

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


def charsmap(changes: Mapping[bytes, bytes]) -> bytes:
    """What SentencePiece compiles such changes to: a trie as a double array in darts-clone's
    units, each a byte, whether a value lies at its children's base, and that base, from which the
    children are by exclusive or; and the texts behind it."""
    texts, begins = b"", {}
    for text in changes.values():
        if text not in begins:
            begins[text] = len(texts)
            texts += text + b"\0"
    units: dict[int, int] = {0: 0}

    def place(at: int, prefix: bytes) -> None:
        length = len(prefix)
        labels = sorted({key[length] for key in changes if key[:length] == prefix < key})
        taken = [0, *labels] if prefix in changes else labels
        base = next(b for b in range(1, 1 << 20) if all((at ^ b ^ c) not in units for c in taken))
        units[at] |= base << 10 | (prefix in changes) << 8
        for label in labels:
            units[at ^ base ^ label] = label
        if prefix in changes:
            units[at ^ base] = 1 << 31 | begins[changes[prefix]]
        for label in labels:
            place(at ^ base ^ label, prefix + bytes([label]))

    place(0, b"")
    trie = [units.get(i, 0) for i in range(max(units) + 1)]
    return struct.pack(f"<{len(trie) + 1}I", 4 * len(trie), *trie) + texts


def unigram_entries() -> list[bytes]:
    """A unigram vocabulary whose table makes a space of a tab, one letter of another, three of
    one, and nothing of a control character."""
    tokens = ["<unk>", "<s>", "</s>", "▁the", "▁t", "he", "▁", "<h1>", *"thecabo."]
    kinds = [UNKNOWN, CONTROL, CONTROL, *[NORMAL] * 4, USER_DEFINED, *[NORMAL] * 8]
    changes = {b"\t": b" ", b"\n": b" ", b"\x07": b"", b"\xef\xbc\xa1": b"a", "ĉ".encode(): b"c",
               b"\xe2\x80\xa6": b"...", b"e\xcc\x81": b"h"}  # fmt: skip
    return [
        entry("tokenizer.ggml.model", STRING, "t5"),
        array("tokenizer.ggml.tokens", STRING, tokens),
        array("tokenizer.ggml.token_type", I32, kinds),
        array("tokenizer.ggml.scores", F32, [-1 - i / 4 for i in range(len(tokens))]),
        array("tokenizer.ggml.precompiled_charsmap", U8, [*charsmap(changes)]),
        entry("tokenizer.ggml.unknown_token_id", U32, 0),
        entry("tokenizer.ggml.add_space_prefix", BOOL, True),
        entry("tokenizer.ggml.remove_extra_whitespaces", BOOL, True),
    ]


PRETOKENIZERS = ("gpt-2", "smollm", "llama-bpe", "qwen2", "default")


def every_type() -> list[bytes]:
    """A value and an array of every type."""
    scalars: dict[int, Scalar] = {**dict.fromkeys(FORMATS, 1), F32: 1.5, F64: -2.5, STRING: "text"}
    entries = [entry(f"test.value_{kind}", kind, item) for kind, item in scalars.items()]
    arrays = [array(f"test.array_{kind}", kind, [item] * 3) for kind, item in scalars.items()]
    return [*entries, *arrays, array("test.empty", STRING, [])]


# ---- whole models ---------------------------------------------------------

# ggml's numbers, elements and bytes of a block, of the types used here.
BLOCKS = {
    "F32": (0, 1, 4), "F16": (1, 1, 2), "Q4_0": (2, 32, 18), "Q4_1": (3, 32, 20),
    "Q5_0": (6, 32, 22), "Q5_1": (7, 32, 24), "Q8_0": (8, 32, 34), "Q2_K": (10, 256, 84),
    "Q3_K": (11, 256, 110), "Q4_K": (12, 256, 144), "Q5_K": (13, 256, 176),
    "Q6_K": (14, 256, 210), "IQ4_NL": (20, 32, 18), "BF16": (30, 1, 2),
    "IQ2_XXS": (16, 256, 66), "IQ2_XS": (17, 256, 74), "IQ3_XXS": (18, 256, 98),
    "IQ1_S": (19, 256, 50), "IQ3_S": (21, 256, 110), "IQ2_S": (22, 256, 82),
    "IQ4_XS": (23, 256, 136), "IQ1_M": (29, 256, 56), "TQ1_0": (34, 256, 54),
    "TQ2_0": (35, 256, 66), "MXFP4": (39, 32, 17), "Q1_0": (41, 128, 18),
}  # fmt: skip

ARCHITECTURES = ("llama", "qwen2", "qwen3", "smollm3", "phi3", "granite", "mistral3", "olmo2",
                 "gemma", "gemma2", "gemma3", "vaultgemma", "gemma-embedding", "bert",
                 "recurrentgemma", "lfm2", "qwen35", "granitehybrid", "gemma3n", "gemma4",
                 "gemma-embedding2", "t5gemma2")  # fmt: skip


def model(
    architecture: str,
    types: Sequence[str] = ("F32",),
    *,
    n_embd: int = 32,
    numbers: Mapping[str, int] | None = None,
) -> bytes:
    """A model of two layers with weights that mean nothing but are finite. Its
    matrices take the types in turn, where their rows are long enough. `numbers`
    replaces hyperparameters in the metadata only."""
    n_vocab, n_ff, n_head, n_head_kv, head_dim = 12, 32, 2, 1, 8
    metadata = {
        "context_length": 64, "embedding_length": n_embd, "block_count": 2,
        "feed_forward_length": n_ff, "attention.head_count": n_head,
        "attention.head_count_kv": n_head_kv, "attention.key_length": head_dim,
        "attention.value_length": head_dim, "attention.sliding_window": 4,
        "recurrent.width": 64, "recurrent.block_width": 32, "recurrent.conv_kernel": 4,
        "rope.scaling.original_context_length": 16, "shortconv.l_cache": 3,
        "ssm.conv_kernel": 4, "ssm.state_size": 8, "ssm.group_count": 2,
        "ssm.time_step_rank": 4, "ssm.inner_size": 32,
        "attention.key_length_swa": 8, "embedding_length_per_layer_input": 32,
        "pooling_type": 1, "dense_2_feat_out": 8, "dense_3_feat_out": 16,
        "embedding_length_out": 16, "decoder_start_token_id": 1,
        "altup.num_inputs": 4, "altup.active_idx": 0,
        **(numbers or {}),
    }  # fmt: skip
    if architecture == "lfm2":  # which is refused with windows
        del metadata["attention.sliding_window"]
    has_gemma4_layers = architecture in ("gemma3n", "gemma4", "gemma-embedding2")
    pattern = (
        [array(f"{architecture}.attention.sliding_window_pattern", BOOL, [True, False])]
        if has_gemma4_layers
        else []
    )
    if architecture == "gemma3n":
        pattern.append(array("gemma3n.activation_sparsity_scale", F32, [1.5, -math.inf]))
    entries = [
        entry("general.architecture", STRING, architecture),
        *(entry(f"{architecture}.{key}", U32, number) for key, number in metadata.items()),
        entry(f"{architecture}.attention.layer_norm_rms_epsilon", F32, 1e-6),
        *pattern,
        *_small_vocabulary(),
    ]

    gemma3 = architecture in ("gemma3", "gemma-embedding", "t5gemma2")
    shapes: dict[str, tuple[int, ...]] = {"token_embd": (n_embd, n_vocab), "output_norm": (n_embd,)}
    if architecture == "gemma-embedding":
        shapes |= {"dense_2": (n_embd, 8), "dense_3": (8, 16)}
    for layer in range(2):
        shapes |= {
            f"blk.{layer}.{name}": shape
            for name, shape in {
                "attn_norm": (n_embd,),
                "attn_q": (n_embd, n_head * head_dim),
                "attn_k": (n_embd, n_head_kv * head_dim),
                "attn_v": (n_embd, n_head_kv * head_dim),
                **({"attn_q_norm": (head_dim,), "attn_k_norm": (head_dim,)}
                   if architecture in ("qwen3", "lfm2", "qwen35") or gemma3 or has_gemma4_layers
                   else {}),
                "attn_output": (n_head * head_dim, n_embd),
                **({"post_attention_norm": (n_embd,), "post_ffw_norm": (n_embd,)}
                   if architecture == "gemma2" or gemma3 or has_gemma4_layers else {}),
                "ffn_norm": (n_embd,),
                "ffn_gate": (n_embd, n_ff),
                "ffn_up": (n_embd, n_ff),
                "ffn_down": (n_ff, n_embd),
            }.items()
        }  # fmt: skip
    if has_gemma4_layers:
        shapes |= {"per_layer_model_proj": (n_embd, 64), "per_layer_proj_norm": (32,)}
        if architecture == "gemma-embedding2":
            shapes["output"] = (n_embd, 16)
        else:
            shapes["per_layer_token_embd"] = (64, n_vocab)
        if architecture == "gemma4":
            shapes["rope_freqs"] = (head_dim // 2,)
        for layer in range(2):
            shapes |= {
                f"blk.{layer}.layer_output_scale": (1,),
                f"blk.{layer}.inp_gate": (n_embd, 32),
                f"blk.{layer}.proj": (32, n_embd),
                f"blk.{layer}.post_norm": (n_embd,),
            }
    if architecture == "gemma3n":
        shapes |= {f"altup_{name}": (n_embd, n_embd, 3) for name in ("proj", "unembd_proj")}
        for layer in range(2):
            del shapes[f"blk.{layer}.layer_output_scale"]
            shapes |= {
                f"blk.{layer}.laurel_l": (n_embd, 4), f"blk.{layer}.laurel_r": (4, n_embd),
                f"blk.{layer}.laurel_post_norm": (n_embd,),
                f"blk.{layer}.altup_router": (n_embd, 4),
                f"blk.{layer}.altup_router_norm": (n_embd,),
                f"blk.{layer}.altup_predict_coef": (4, 16),
                f"blk.{layer}.altup_correct_coef": (4, 4),
                f"blk.{layer}.altup_correct_scale": (n_embd,),
            }  # fmt: skip
    if architecture == "phi3":
        for layer in range(2):
            for name in ("attn_q", "attn_k", "attn_v", "ffn_gate"):
                del shapes[f"blk.{layer}.{name}"]
            shapes[f"blk.{layer}.attn_qkv"] = (n_embd, (n_head + 2 * n_head_kv) * head_dim)
            shapes[f"blk.{layer}.ffn_up"] = (n_embd, 2 * n_ff)
        shapes |= {f"rope_factors_{kind}": (head_dim // 2,) for kind in ("long", "short")}
    if architecture == "olmo2":
        for layer in range(2):
            for name in ("attn_norm", "ffn_norm"):
                del shapes[f"blk.{layer}.{name}"]
            shapes |= {
                f"blk.{layer}.attn_q_norm": (n_head * head_dim,),
                f"blk.{layer}.attn_k_norm": (n_head_kv * head_dim,),
                f"blk.{layer}.post_attention_norm": (n_embd,),
                f"blk.{layer}.post_ffw_norm": (n_embd,),
            }
    if architecture == "t5gemma2":
        shapes |= {f"enc.{name}": s for name, s in shapes.items() if name != "token_embd"}
    if architecture == "bert":
        shapes = _bert(n_embd, n_vocab, n_ff, n_head * head_dim, n_head_kv * head_dim)
    if architecture == "qwen35":
        for layer in range(2):
            shapes[f"blk.{layer}.post_attention_norm"] = shapes.pop(f"blk.{layer}.ffn_norm")
        shapes["blk.1.attn_q"] = (n_embd, 2 * n_head * head_dim)
        for name in ("attn_q", "attn_k", "attn_v", "attn_q_norm", "attn_k_norm", "attn_output"):
            del shapes[f"blk.0.{name}"]
        shapes |= {
            "blk.0.attn_qkv": (n_embd, 64), "blk.0.attn_gate": (n_embd, 32),
            "blk.0.ssm_beta": (n_embd, 4), "blk.0.ssm_alpha": (n_embd, 4),
            "blk.0.ssm_conv1d": (4, 64), "blk.0.ssm_dt.bias": (4,), "blk.0.ssm_a": (4,),
            "blk.0.ssm_norm": (8,), "blk.0.ssm_out": (32, n_embd),
        }  # fmt: skip
    if architecture == "granitehybrid":
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            del shapes[f"blk.0.{name}"]
        shapes |= {
            "blk.0.ssm_in": (n_embd, 100), "blk.0.ssm_conv1d": (4, 64),
            "blk.0.ssm_conv1d.bias": (64,), "blk.0.ssm_dt.bias": (4,), "blk.0.ssm_a": (1, 4),
            "blk.0.ssm_d": (1, 4), "blk.0.ssm_norm": (16, 2), "blk.0.ssm_out": (32, n_embd),
        }  # fmt: skip
    if architecture == "lfm2":
        shapes["token_embd_norm"] = shapes.pop("output_norm")
        for name in ("attn_q", "attn_k", "attn_v", "attn_q_norm", "attn_k_norm", "attn_output"):
            del shapes[f"blk.0.{name}"]
        shapes |= {
            "blk.0.shortconv.in_proj": (n_embd, 3 * n_embd), "blk.0.shortconv.conv": (3, n_embd),
            "blk.0.shortconv.out_proj": (n_embd, n_embd),
        }  # fmt: skip
    if architecture == "recurrentgemma":
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            del shapes[f"blk.0.{name}"]
        shapes |= {
            "blk.0.rec_gate": (n_embd, 64), "blk.0.rec_in": (n_embd, 64),
            "blk.0.rec_out": (64, n_embd), "blk.0.rec_conv": (4, 64), "blk.0.rec_conv.bias": (64,),
            "blk.0.rec_input_gate": (32, 64), "blk.0.rec_recurrence_gate": (32, 64),
            "blk.0.rec_decay": (64,),
        }  # fmt: skip
    tensors, data = [], bytearray()
    for i, (name, shape) in enumerate(shapes.items()):
        is_matrix = len(shape) > 1 and not name.endswith(".ssm_norm")
        kind, block, size = BLOCKS[types[i % len(types)] if is_matrix else "F32"]
        if shape[0] % block:
            kind, block, size = BLOCKS["F32"]
        full = name if name.endswith((".bias", ".ssm_a", ".ssm_d")) else f"{name}.weight"
        tensors.append(tensor(full, shape, kind, len(data)))
        n_bytes = shape[0] // block * size * math.prod(shape[1:])
        # Bytes below 0x3F make floats and half floats below 2.
        data += bytes((j * 37 + i * 11) % 0x3F for j in range(n_bytes))
        data += bytes(-len(data) % 32)
    return gguf(entries, tensors, data=bytes(data))


def _bert(n_embd: int, n_vocab: int, n_ff: int, n_q: int, n_kv: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd": (n_embd, n_vocab),
        "position_embd": (n_embd, 64),
        "token_types": (n_embd, 2),
    }
    linear = {
        "attn_q": (n_embd, n_q), "attn_k": (n_embd, n_kv), "attn_v": (n_embd, n_kv),
        "attn_output": (n_q, n_embd), "ffn_up": (n_embd, n_ff), "ffn_down": (n_ff, n_embd),
    }  # fmt: skip
    norms = ["token_embd_norm"]
    for at in ("blk.0.", "blk.1."):
        shapes |= {at + name: shape for name, shape in linear.items()}
        shapes |= {f"{at}{name}.bias": shape[1:] for name, shape in linear.items()}
        norms += [f"{at}{name}" for name in ("attn_output_norm", "layer_output_norm")]
    return shapes | {f"{name}{end}": (n_embd,) for name in norms for end in ("", ".bias")}


def _small_vocabulary() -> list[bytes]:
    tokens = ["<unk>", "<s>", "</s>", "▁the", "▁t", "he", *"▁theca"]
    kinds = [UNKNOWN, CONTROL, CONTROL, *[NORMAL] * 9]
    return [
        entry("tokenizer.ggml.model", STRING, "llama"),
        array("tokenizer.ggml.tokens", STRING, tokens),
        array("tokenizer.ggml.token_type", I32, kinds),
        array("tokenizer.ggml.scores", F32, [-float(i) for i in range(len(tokens))]),
    ]


def models() -> dict[str, bytes]:
    """One of every architecture and, between them, every tensor type."""
    short = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "IQ4_NL", "F16", "BF16", "F32")
    made = {name: model(name, short[i:] + short[:i]) for i, name in enumerate(ARCHITECTURES)}
    long = ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K")
    indexed = ("IQ4_XS", "IQ3_S", "IQ3_XXS", "IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ1_M", "IQ1_S",
               "TQ2_0", "TQ1_0")  # fmt: skip
    short_blocks = ("MXFP4", "Q1_0")
    return made | {
        "few-bits": model("llama", short_blocks, n_embd=256),
        "k-quants": model("llama", long, n_embd=256),
        "indexed": model("llama", indexed, n_embd=256),
    }


def adapters() -> dict[str, bytes]:
    """Adapters of model("llama"), whose width is 32."""

    def adapter(kind: str, r: int) -> bytes:
        number, block, size = BLOCKS[kind]
        tensors, data = [], bytearray()
        for name, shape in (
            ("blk.0.attn_q.weight.lora_a", (32, r)),
            ("blk.0.attn_q.weight.lora_b", (r, 16)),
            ("blk.1.ffn_down.weight.lora_a", (32, r)),
            ("blk.1.ffn_down.weight.lora_b", (r, 32)),
        ):
            tensors.append(tensor(name, shape, number, len(data)))
            data += bytes(j * 37 % 0x3F for j in range(shape[0] // block * size * shape[1]))
            data += bytes(-len(data) % 32)
        entries = [
            entry("general.type", STRING, "adapter"),
            entry("general.architecture", STRING, "llama"),
            entry("adapter.type", STRING, "lora"),
            entry("adapter.lora.alpha", F32, 8.0),
        ]
        return gguf(entries, tensors, data=bytes(data))

    return {"adapter-f32": adapter("F32", 3), "adapter-q8_0": adapter("Q8_0", 32)}
