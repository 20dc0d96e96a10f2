"""Tiny checkpoints as transformers saves them: seeded weights of every family, and
real tokenizers of a few hundred tokens, trained on a page of prose and code.

Owns what the tests convert. The weights are those of tests/goldens/tiny_models.py,
whose gains make every convention show in the logits.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
import torch
import transformers
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    normalizers,
    pre_tokenizers,
    processors,
)
from tokenizers import models as bpe
from tokenizers import trainers as bpe_trainers
from transformers.convert_slow_tokenizer import generate_merges

from tests.goldens.tiny_models import MODELS, Llama3Rope, TinyModel, weights
from tests.goldens.transformers_models import transformers_embedder, transformers_model

F32 = NDArray[np.float32]

TEXT = Path(__file__).parents[2] / "goldens" / "texts" / "prose_and_code.txt"
N_VOCAB = 443  # more than any of the tokenizers has, and odd

LLAMA3_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# As the makers write them.
O200K_WORDS = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEKKEN_WORDS = O200K_WORDS.replace(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?", "").replace("{1,3}", "")
# Without the types that transformers half has.
_FAST: Any = transformers.PreTrainedTokenizerFast
_QWEN2: Any = transformers.Qwen2Tokenizer

CHAT = (
    "{{ bos_token }}{% for message in messages %}{{ '<start_of_turn>' + message['role'] + '\n'"
    " + message['content'] + '<end_of_turn>\n' }}{% endfor %}"
)
TURNS = ["<start_of_turn>", "<end_of_turn>"]


def models() -> dict[str, TinyModel]:
    """Every family, and what real checkpoints of it vary: see test_logits.py."""
    tiny = {
        name: replace(model, n_vocab=N_VOCAB)
        for name, model in MODELS.items()
        if not name.endswith("27b")
    }
    for name, base, change in (
        ("gemma2-scale", "gemma2", {"query_pre_attn_scalar": 20}),
        ("gemma3-scale", "gemma3", {"query_pre_attn_scalar": 20, "rope_linear_factor": 8.0}),
        ("llama-linear", "llama", {"rope_linear_factor": 2.0}),
        ("qwen2-untied", "qwen2", {"tied": False}),
        ("gemma2-27b", "gemma2", {"n_layer": 46, "query_pre_attn_scalar": 16, "qk_gain": 0.8}),
    ):
        tiny[name] = replace(tiny[base], name=name, **change)
    # Longer than the tiny model's own, so that the scaling is that of real ones.
    tiny["llama-rope-scaling"] = replace(
        tiny["llama-rope-scaling"], llama3_rope=Llama3Rope(factor=4.0, original_context=48)
    )
    return tiny


def model_of(tiny: TinyModel) -> Any:
    return transformers_model(tiny)


def logits(model: Any, ids: list[int]) -> F32:
    """transformers' logits at every position, [len(ids), n_vocab]."""
    with torch.no_grad():
        out = model(torch.tensor([ids]), use_cache=False).logits[0]
    return np.asarray(out.float().numpy(), np.float32)


def sentences() -> list[str]:
    return [line for line in TEXT.read_text().splitlines() if line.strip()]


@cache
def sentencepiece_model(gemma: bool) -> bytes:
    """A SentencePiece BPE model, with the special tokens where the family has them."""
    options: dict[str, Any] = (
        {
            "add_dummy_prefix": False,
            "pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3,
            "pad_piece": "<pad>", "eos_piece": "<eos>", "bos_piece": "<bos>",
            "control_symbols": ["<mask>", *TURNS],
            "user_defined_symbols": ["\n", "\n\n", "\n\n\n", "▁▁", "▁▁▁", "<h1>"],
        }
        if gemma
        else {"add_dummy_prefix": True}
    )  # fmt: skip
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences()),
        model_writer=out,
        model_type="bpe",
        vocab_size=430,
        byte_fallback=True,
        split_digits=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True,
        minloglevel=2,
        **options,
    )
    return out.getvalue()


def gemma_tokenizer() -> Any:
    """As Gemma's is on the hub: BPE made of a SentencePiece model, BOS by its template."""
    tokenizer = _of_sentencepiece(transformers.GemmaTokenizer, True, add_bos_token=True)
    tokenizer.add_tokens([AddedToken(t, special=True) for t in TURNS], special_tokens=True)
    tokenizer.chat_template = CHAT
    return tokenizer


def llama2_tokenizer() -> Any:
    """Llama 2's as transformers 5 makes it, which puts a space in front."""
    return _of_sentencepiece(transformers.LlamaTokenizer, False, add_bos_token=True)


def legacy_llama2_tokenizer() -> Any:
    """Llama 2's as the hub has it: the space comes from the normalizer."""
    backend = llama2_tokenizer().backend_tokenizer
    backend.pre_tokenizer = None
    backend.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    return _FAST(tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def _of_sentencepiece(kind: Any, gemma: bool, **options: Any) -> Any:
    processor = sentencepiece.SentencePieceProcessor(model_proto=sentencepiece_model(gemma))
    pieces = [processor.id_to_piece(i) for i in range(processor.get_piece_size())]
    scores = {piece: processor.get_score(i) for i, piece in enumerate(pieces)}
    vocab = {piece: i for i, piece in enumerate(pieces)}
    return kind(vocab=vocab, merges=generate_merges(vocab, scores), **options)


def byte_level_tokenizer(pre: str) -> Any:
    """Byte-level BPE behind the pre-tokenizer that llama.cpp calls `pre`."""
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    steps: dict[str, Callable[[], Any]] = {
        "gpt-2": lambda: pre_tokenizers.ByteLevel(add_prefix_space=False),
        "smollm": lambda: pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False),
            ]
        ),
        "llama-bpe": lambda: pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(LLAMA3_WORDS), "isolated"), byte_level]
        ),
        "gpt-4o": lambda: pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(O200K_WORDS), "removed", invert=True), byte_level]
        ),
        "tekken": lambda: pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(TEKKEN_WORDS), "isolated"), byte_level]
        ),
        "dbrx": lambda: pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(LLAMA3_WORDS), "removed", invert=True), byte_level]
        ),
    }
    if pre == "qwen2":
        plain = _QWEN2()
        trained = _train(plain.backend_tokenizer.pre_tokenizer)
        state = json.loads(trained.to_str())["model"]
        merges = [tuple(merge) for merge in state["merges"]]
        tokenizer = _QWEN2(vocab=state["vocab"], merges=merges)
        tokenizer.add_tokens([AddedToken(t, special=True) for t in ("<|im_start|>", "<|im_end|>")])
    else:
        trained = _train(steps[pre](), ignore_merges=pre in ("llama-bpe", "tekken"))
        if pre in ("llama-bpe", "tekken"):
            trained.post_processor = processors.TemplateProcessing(
                single="<|im_start|> $A", special_tokens=[("<|im_start|>", 0)]
            )
        tokenizer = _FAST(
            tokenizer_object=trained,
            bos_token="<|im_start|>",
            eos_token="<|im_end|>",
            pad_token="<|endoftext|>",
        )
    # Qwen's tool calls are added tokens of the visible kind.
    tokenizer.add_tokens([AddedToken("<tool_call>", special=False, normalized=False)])
    return tokenizer


def _train(pre_tokenizer: Any, ignore_merges: bool = False) -> Tokenizer:
    tokenizer = Tokenizer(bpe.BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = bpe_trainers.BpeTrainer(
        vocab_size=430,
        special_tokens=["<|im_start|>", "<|im_end|>", "<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sentences(), trainer)
    return tokenizer


def wordpiece_tokenizer() -> Any:
    """BERT's, uncased."""
    tokenizer = Tokenizer(bpe.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = bpe_trainers.WordPieceTrainer(
        vocab_size=430, special_tokens=special, show_progress=False
    )
    tokenizer.train_from_iterator(sentences(), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return _FAST(
        tokenizer_object=tokenizer,
        **{f"{text[1:-1].lower()}_token": text for text in special},
    )


@cache
def unigram_model() -> bytes:
    """A SentencePiece unigram model with the normalization of XLM-RoBERTa's."""
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences()),
        model_writer=out,
        model_type="unigram",
        vocab_size=420,
        hard_vocab_limit=False,
        normalization_rule_name="nmt_nfkc",
        minloglevel=2,
    )
    return out.getvalue()


def charsmap_of(model: bytes) -> bytes:
    """The compiled table in a SentencePiece model: field 3, a message, and in it field 2."""

    def field(message: bytes, wanted: int) -> bytes:
        at = 0

        def number() -> int:
            nonlocal at
            value = shift = 0
            while True:
                byte = message[at]
                at += 1
                value |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    return value

        found = b""
        while at < len(message):
            key = number()
            size = {0: 0, 1: 8, 5: 4}.get(key & 7, 0)
            if key & 7 == 0:
                number()
            elif key & 7 == 2:
                size = number()
            if key >> 3 == wanted:
                found = message[at : at + size]
            at += size
        return found

    return field(field(model, 3), 2)


def unigram_tokenizer() -> Any:
    """XLM-RoBERTa's: four special tokens, SentencePiece's pieces but its own three, and a mask."""
    model = unigram_model()
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    pieces = [(processor.id_to_piece(i), processor.get_score(i)) for i in range(3, len(processor))]
    special = [(text, 0.0) for text in ("<s>", "<pad>", "</s>", "<unk>")]
    kind: Any = transformers.XLMRobertaTokenizer
    return kind(
        vocab=[*special, *pieces, ("<mask>", 0.0)], _spm_precompiled_charsmap=charsmap_of(model)
    )


def tokenizer_of(tiny: TinyModel) -> Any:
    if tiny.is_gemma:
        return gemma_tokenizer()
    if tiny.n_unused_positions:
        return unigram_tokenizer()
    return {
        "llama": lambda: byte_level_tokenizer("smollm"),
        "qwen2": lambda: byte_level_tokenizer("qwen2"),
        "qwen3": lambda: byte_level_tokenizer("qwen2"),
        "lfm2": lambda: byte_level_tokenizer("llama-bpe"),
        "qwen35": lambda: byte_level_tokenizer("qwen2"),
        "phi3": lambda: byte_level_tokenizer("gpt-4o"),
        "smollm3": lambda: byte_level_tokenizer("llama-bpe"),
        "granite": lambda: byte_level_tokenizer("dbrx"),
        "granitehybrid": lambda: byte_level_tokenizer("dbrx"),
        "olmo2": lambda: byte_level_tokenizer("dbrx"),
        "mistral3": lambda: byte_level_tokenizer("tekken"),
        "bert": wordpiece_tokenizer,
    }[tiny.arch]()


def save_embedder(folder: Path, tiny: TinyModel, model: Any | None = None) -> Path:
    """A model that embeds texts as sentence-transformers save it: EmbeddingGemma's folders. `model`
    has the tiny one inside, where it is more than that."""
    save(folder, model or transformers_embedder(tiny), tokenizer_of(tiny))
    modules = [("", "Transformer"), ("1_Pooling", "Pooling")]
    (folder / "1_Pooling").mkdir()
    pooling = {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    for i in (2, 3) if tiny.n_wide else ():
        matrix = weights(tiny)[f"dense_{i}.weight"].values
        at = folder / f"{i}_Dense"
        at.mkdir()
        save_file({"linear.weight": matrix}, at / "model.safetensors")
        config = {
            "in_features": matrix.shape[1],
            "out_features": matrix.shape[0],
            "bias": False,
            "activation_function": "torch.nn.modules.linear.Identity",
        }
        (at / "config.json").write_text(json.dumps(config))
        modules.append((at.name, "Dense"))
    modules.append(("4_Normalize", "Normalize"))
    listed = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(modules)
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    return folder


def save(folder: Path, model: Any, tokenizer: Any | None = None, **options: Any) -> Path:
    """The checkpoint's folder; `options` are save_pretrained's."""
    model.save_pretrained(folder, **options)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)
    return folder
