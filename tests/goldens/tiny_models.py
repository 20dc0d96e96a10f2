"""Tiny random checkpoints, one or more per architecture: what they are (data)
and what their weights are (drawn here, so that no weights lie in git). Owns the
Hugging Face side of each model, tensor names and layouts included; tiny_gguf.py
writes the same model as GGUF. Knows neither torch nor llama.cpp: numpy and gguf
are all that a test environment has.

Sizes are odd on purpose (a vocabulary of 307, a feed-forward of 172): real
fine-tunes add a token, and kernels that round a row count up or down must show.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import quantize
from numpy.typing import NDArray

from tests.blocks import HALVES, dequantize, put_half

F32 = NDArray[np.float32]
Architecture = Literal[
    "llama", "qwen2", "qwen3", "smollm3", "phi3", "granite", "olmo2", "mistral3",
    "gemma", "gemma2", "gemma3", "gemma3n", "gemma4", "vaultgemma", "gemma-embedding", "bert",
    "recurrentgemma", "lfm2", "qwen35", "granitehybrid", "gemma-embedding2",
    "t5gemma2",
]  # fmt: skip

N_POSITIONS = 96


@dataclass(frozen=True)
class Llama3Rope:
    """Llama 3.1's scaling. The original context is far shorter than real ones,
    so that 96 positions see all three bands of frequencies."""

    factor: float = 8.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_context: int = 64


@dataclass(frozen=True)
class Yarn:
    """The original context is short here too: 96 positions go far beyond it."""

    factor: float = 4.0
    original_context: int = 32
    mscale: float | None = None  # of all dimensions as well


@dataclass(frozen=True)
class LongRope:
    """96 positions go beyond the original context, 40 do not."""

    original_context: int = 48

    def factors(self, n_pairs: int) -> dict[str, list[float]]:
        """Of long contexts and of short ones, as a config has them."""
        return {
            "long_factor": [1 + 1.75 * i for i in range(n_pairs)],
            "short_factor": [1 + 0.125 * i for i in range(n_pairs)],
        }


@dataclass(frozen=True)
class TinyModel:
    name: str
    arch: Architecture
    n_layer: int = 2
    n_embd: int = 64
    n_ff: int = 160
    n_head: int = 4
    n_head_kv: int = 2
    head_dim: int = 16
    n_vocab: int = 307
    n_ctx_train: int = 512
    eps: float = 1e-6
    rope_base: float = 10000.0
    tied: bool = False
    llama3_rope: Llama3Rope | None = None
    # Gemma 2 and 3: every `window_pattern`-th layer looks at everything, the
    # others at the last `window` positions, the present one included.
    window: int | None = None
    window_pattern: int = 1
    rope_base_local: float | None = None
    rope_linear_factor: float = 1.0  # of the layers that see everything
    query_pre_attn_scalar: int | None = None
    attn_softcap: float | None = None
    final_softcap: float | None = None
    yarn: Yarn | None = None  # of the layers that see everything
    temperature: float | None = None  # of attention (Ministral 3)
    long_rope: LongRope | None = None
    rotary_share: float = 1.0  # of each head, from its start, where models of a family differ
    # Granite's: of embeddings, scores, what a block adds, and (a divisor) of logits.
    factors: tuple[float, float, float, float] | None = None
    # Of queries and of keys each. Wider attention scores make a model chaotic,
    # which 62 layers of float32 rounding do not survive.
    qk_gain: float = 1.5
    tensor_type: GGMLQuantizationType = GGMLQuantizationType.F32  # of the matrices
    # Of some of them, by what their names hold; the first that fits counts.
    mix: tuple[tuple[str, GGMLQuantizationType], ...] = ()
    # Of layers that recur, which are all but every `attention_period`-th.
    attention_period: int = 1
    n_recurrent: int = 0  # channels
    n_taps: int = 0  # of a convolution
    # Gemma 4: heads of layers that see everything, columns of each layer's embeddings, and the last
    # layers, which attend to others' keys and values and may have twice the feed-forward.
    global_head_dim: int = 0
    n_global_head_kv: int = 0
    n_per_layer: int = 0
    n_shared: int = 0
    double_wide: bool = False
    n_sparse: int = 0  # Gemma 3n: the first layers, whose feed-forward lets few gates through
    # Of a delta rule: heads of keys and of values, and the width of each. Of a state space: groups
    # of heads, its heads, and the rows of a state.
    n_key_heads: int = 0
    n_value_heads: int = 0
    state_dim: int = 0
    # Of a model that embeds texts: what comes out of the two matrices behind its mean.
    n_wide: int = 0
    n_embedding: int = 0
    # Of XLM-RoBERTa's table of positions, before the first that a text has.
    n_unused_positions: int = 0

    @property
    def in_llama_cpp(self) -> bool:
        """Whether the llama.cpp at hand reads the architecture; it aborts on a tiny E4B, leaves out
        the windows of Phi-3, and EmbeddingGemma 2 is younger than it."""
        unknown = ("vaultgemma", "recurrentgemma", "gemma3n", "gemma-embedding2")
        if self.arch in unknown or self.name == "gemma4-e4b":
            return False
        return self.arch != "phi3" or self.window is None

    @property
    def llama_cpp_bound(self) -> float:
        """How much its logits may differ: ggml takes GELU from a half-precision table; SiLU it
        computes. Either way the difference grows with depth."""
        gelus = 1e-3 if self.is_gemma or self.arch == "bert" else 1e-5
        return gelus * math.sqrt(self.n_layer)

    def type_of(self, matrix: str) -> GGMLQuantizationType:
        return next((kind for part, kind in self.mix if part in matrix), self.tensor_type)

    @property
    def rotates_neighbours(self) -> bool:
        """Whether llama.cpp rotates neighbouring rows of a head, where transformers does halves."""
        return self.arch in ("llama", "smollm3", "granite", "granitehybrid", "mistral3")

    @property
    def is_gemma(self) -> bool:
        return "gemma" in self.arch

    @property
    def rope_dims(self) -> int:
        return int(self.head_dim * self.rotary_share)

    @property
    def has_gemma4_layers(self) -> bool:
        return self.arch in ("gemma4", "gemma-embedding2")

    @property
    def width_of_window(self) -> int | None:
        """As a GGUF has it: EmbeddingGemma 2's config counts the positions on one side."""
        both = 2 if self.arch == "gemma-embedding2" else 1
        return self.window and both * self.window

    def recurs(self, layer: int) -> bool:
        return (layer + 1) % self.attention_period != 0

    def is_shared(self, layer: int) -> bool:
        return layer >= self.n_layer - self.n_shared

    def head_size(self, layer: int) -> int:
        return self.head_dim if self.is_local(layer) else self.global_head_dim or self.head_dim

    def kv_heads(self, layer: int) -> int:
        return self.n_head_kv if self.is_local(layer) else self.n_global_head_kv or self.n_head_kv

    def ff_size(self, layer: int) -> int:
        return self.n_ff * (2 if self.double_wide and self.is_shared(layer) else 1)

    def is_local(self, layer: int) -> bool:
        return self.window is not None and (layer + 1) % self.window_pattern != 0


_GEMMA2 = TinyModel(
    "gemma2",
    "gemma2",
    n_layer=4,
    head_dim=32,
    tied=True,
    window=24,
    window_pattern=2,
    query_pre_attn_scalar=32,
    attn_softcap=4.0,
    final_softcap=5.0,
)
_GEMMA3 = TinyModel(
    "gemma3",
    "gemma3",
    n_layer=7,
    n_head_kv=1,
    head_dim=32,
    tied=True,
    rope_base=1000000.0,
    rope_base_local=10000.0,
    window=24,
    window_pattern=6,
    query_pre_attn_scalar=32,
)
_GEMMA4 = TinyModel(
    "gemma4-e2b",
    "gemma4",
    n_layer=10,
    n_ff=172,
    n_head_kv=1,
    tied=True,
    rope_base=1000000.0,
    rope_base_local=10000.0,
    window=24,
    window_pattern=5,
    final_softcap=5.0,
    qk_gain=0.4,
    global_head_dim=32,
    n_per_layer=32,
    n_shared=5,
    double_wide=True,
)

MODELS: dict[str, TinyModel] = {
    m.name: m
    for m in (
        TinyModel("llama", "llama", n_head_kv=4, n_ff=172, eps=1e-5),
        # SmolLM2's shape: a third of the heads are keys', tied, a large base.
        TinyModel(
            "llama-gqa", "llama", n_embd=96, n_head=6, tied=True, rope_base=100000.0, eps=1e-5
        ),
        TinyModel("llama-rope-scaling", "llama", llama3_rope=Llama3Rope(), eps=1e-5),
        TinyModel("qwen2", "qwen2", tied=True, rope_base=1000000.0),
        TinyModel("qwen3", "qwen3", head_dim=32, rope_base=1000000.0),
        TinyModel("smollm3", "smollm3", n_layer=5, n_ff=172, tied=True, rope_base=2000000.0),
        # Phi-3 mini's shape: every layer has a window.
        TinyModel("phi3-mini", "phi3", n_ff=172, n_head_kv=4, eps=1e-5, window=24),
        # Phi-4 mini's: three quarters of a head rotate.
        TinyModel(
            "phi4-mini",
            "phi3",
            n_ff=172,
            n_embd=128,
            head_dim=32,
            eps=1e-5,
            tied=True,
            long_rope=LongRope(),
            rotary_share=0.75,
        ),
        # Logits and scores as wide as the others', though divided.
        TinyModel("granite", "granite", n_ff=172, tied=True, factors=(6.0, 0.125, 0.4, 2.5)),
        TinyModel("olmo2", "olmo2", rope_base=500000.0, eps=1e-5),
        TinyModel(
            "olmo3",
            "olmo2",
            n_layer=5,
            n_ff=172,
            eps=1e-5,
            rope_base=500000.0,
            rope_base_local=500000.0,
            window=24,
            window_pattern=4,
            yarn=Yarn(),
        ),
        TinyModel(
            "mistral3",
            "mistral3",
            n_ff=172,
            head_dim=32,
            eps=1e-5,
            rope_base=1000000.0,
            yarn=Yarn(mscale=1.0),
            temperature=0.3,
        ),
        TinyModel("gemma", "gemma", n_head_kv=1, head_dim=32, tied=True),
        _GEMMA2,
        # llama.cpp tells a 27B model from its siblings by the number of layers,
        # and then divides by n_embd / n_head where the others do by head_dim.
        replace(_GEMMA2, name="gemma2-27b", n_layer=46, query_pre_attn_scalar=16, qk_gain=0.8),
        TinyModel(
            "vaultgemma",
            "vaultgemma",
            head_dim=32,
            tied=True,
            query_pre_attn_scalar=32,
            attn_softcap=4.0,
            final_softcap=5.0,
        ),
        _GEMMA3,
        replace(
            _GEMMA3,
            name="gemma3-27b",
            n_layer=62,
            query_pre_attn_scalar=16,
            rope_linear_factor=8.0,
            qk_gain=0.8,
        ),
        # llama.cpp knows by heart that the first 20 layers have keys and values of their own.
        TinyModel(
            "gemma3n",
            "gemma3n",
            n_layer=8,
            n_ff=172,
            n_head_kv=2,
            tied=True,
            rope_base=1000000.0,
            rope_base_local=10000.0,
            window=24,
            window_pattern=4,
            final_softcap=5.0,
            qk_gain=0.6,
            n_per_layer=32,
            n_shared=4,
            n_sparse=3,
        ),
        # E2B's shape: every fifth layer sees everything, the last ones are wider.
        _GEMMA4,
        replace(
            _GEMMA4,
            name="gemma4-e4b",
            n_layer=12,
            n_head_kv=2,
            window_pattern=6,
            double_wide=False,
        ),
        # Channels are neither as many as columns nor as the feed-forward's; blocks are of 32.
        TinyModel(
            "recurrentgemma",
            "recurrentgemma",
            n_layer=5,
            n_ff=172,
            n_head_kv=1,
            tied=True,
            window=24,
            final_softcap=5.0,
            attention_period=3,
            n_recurrent=128,
            n_taps=4,
        ),
        TinyModel(
            "lfm2",
            "lfm2",
            n_layer=5,
            n_ff=172,
            eps=1e-5,
            tied=True,
            rope_base=1000000.0,
            attention_period=3,
            n_recurrent=64,
            n_taps=3,
        ),
        # A key has two heads of values, and a head's first quarter is rotated.
        TinyModel(
            "qwen35",
            "qwen35",
            n_layer=5,
            n_ff=172,
            head_dim=32,
            rope_base=10000000.0,
            attention_period=4,
            n_recurrent=256,
            n_taps=4,
            n_key_heads=2,
            n_value_heads=4,
            state_dim=32,
        ),
        # Two groups of two heads of 32, where the published models have one of 48.
        TinyModel(
            "granitehybrid",
            "granitehybrid",
            n_layer=5,
            n_ff=172,
            tied=True,
            factors=(6.0, 0.125, 0.4, 2.5),
            attention_period=3,
            n_recurrent=224,
            n_taps=4,
            n_key_heads=2,
            n_value_heads=4,
            state_dim=24,
        ),
    )
}

EMBEDDERS: dict[str, TinyModel] = {
    m.name: m
    for m in (
        replace(
            _GEMMA3, name="gemma-embedding", arch="gemma-embedding", n_wide=352, n_embedding=64
        ),
        # Gemma 4's layers, and a matrix behind them that makes more numbers than they have.
        TinyModel(
            "gemma-embedding2",
            "gemma-embedding2",
            n_layer=6,
            n_ff=172,
            tied=True,
            rope_base=1000000.0,
            rope_base_local=10000.0,
            window=12,
            window_pattern=3,
            qk_gain=0.4,
            global_head_dim=32,
            n_global_head_kv=1,
            n_per_layer=32,
            n_embedding=96,
        ),
        TinyModel(
            "bert", "bert", n_layer=3, n_head_kv=4, n_ff=172, eps=1e-12, tied=True, n_embedding=64
        ),
        TinyModel(
            "xlm-roberta",
            "bert",
            n_head_kv=4,
            n_ff=172,
            eps=1e-5,
            tied=True,
            n_embedding=64,
            n_unused_positions=2,
        ),
    )
}
"""Models that embed texts: they make no logits, so most tests do not ask them."""

# One head of keys for four of queries and an even window, as the 270M models; and with scaled
# positions, more heads and an odd window.
_T5GEMMA2 = replace(_GEMMA3, name="t5gemma2", arch="t5gemma2", n_ff=172)
ENCODER_DECODERS: dict[str, TinyModel] = {
    m.name: m
    for m in (
        _T5GEMMA2,
        replace(_T5GEMMA2, name="t5gemma2-4b", n_head_kv=2, window=25, rope_linear_factor=8.0),
    )
}
"""Models whose encoder reads a prompt whole: logits are those of an answer alone."""

ANSWERS = ((61, 40), (24, 3), (1, 5))
"""Tokens of their prompts and of the answers; the first ones are longer than a window."""

INSIDE: dict[str, tuple[int, ...]] = {
    model.name: tuple(sorted({0, model.n_layer // 2, model.n_layer - 1}))
    for model in {m.arch: m for m in reversed(MODELS.values())}.values()
    if model.arch != "gemma3n"  # which has no single residual, and refuses to be looked into
}
"""The first model of each architecture, and the layers of it that are looked into."""

QUANTIZED_TYPES = (
    *("F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"),
    *("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL"),
    *("IQ4_XS", "IQ3_S", "IQ3_XXS", "IQ2_S", "IQ2_XS", "IQ2_XXS"),
    *("IQ1_M", "IQ1_S", "TQ2_0", "TQ1_0", "MXFP4", "Q1_0"),
)
"""Every tensor type but F32. Its model is qwen2, whose conversion moves no rows,
with rows of 256, the K-quants' block."""

TYPED_MODELS: dict[str, TinyModel] = {
    name: TinyModel(
        f"qwen2-{name.lower()}",
        "qwen2",
        n_embd=256,
        n_ff=512,
        n_head=8,
        n_head_kv=2,
        head_dim=32,
        tied=False,
        tensor_type=GGMLQuantizationType[name],
    )
    for name in QUANTIZED_TYPES
}


# As published files mix them: llama-quantize's Q4_K_M and IQ3_M, what others make by hand with
# 16-bit heads and 8-bit attention beside few bits, and gpt-oss's MXFP4 beside Q8_0.
_MIXES: dict[str, tuple[str, dict[str, str]]] = {
    "Q4_K_M": ("Q4_K", {"0.self_attn.v": "Q6_K", "0.mlp.down": "Q6_K", "lm_head": "Q6_K"}),
    "IQ3_M": ("IQ3_S", {"v_proj": "Q4_K", "o_proj": "Q4_K", "0.mlp.down": "Q4_K",
                        "lm_head": "Q6_K"}),
    "UD-Q2_K_XL": ("IQ2_XXS", {"embed_tokens": "Q5_K", "lm_head": "BF16", "k_proj": "Q8_0",
                               "v_proj": "F16", "1.mlp.down": "IQ4_XS", "o_proj": "IQ4_NL",
                               "0.mlp.up": "IQ3_XXS", "1.self_attn.q": "F32"}),
    "MXFP4_MOE": ("MXFP4", {"self_attn": "Q8_0", "embed_tokens": "BF16", "lm_head": "Q8_0"}),
}  # fmt: skip

MIXED_MODELS: dict[str, TinyModel] = {
    name: replace(
        TYPED_MODELS["Q8_0"],
        name=f"qwen2-{name.lower()}",
        tensor_type=GGMLQuantizationType[base],
        mix=tuple((part, GGMLQuantizationType[kind]) for part, kind in others.items()),
    )
    for name, (base, others) in _MIXES.items()
}


@dataclass(frozen=True)
class Tensor:
    """A tensor as a Hugging Face checkpoint has it. `blocks` is there for
    quantized matrices: ggml's bytes, [rows, bytes per row]."""

    values: F32
    blocks: NDArray[np.uint8] | None = None


def uniform(seed: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """[-1, 1), from the raw bits of PCG64, which numpy promises not to change
    (it does not promise that for its distributions)."""
    key = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "little")
    raw = np.random.PCG64(key).random_raw(int(np.prod(shape)))
    return ((raw >> np.uint64(40)).astype(np.float64) / 2**23 - 1).reshape(shape)


def random_bytes(seed: str, n: int) -> NDArray[np.uint8]:
    key = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "little")
    return np.random.PCG64(key).random_raw((n + 7) // 8).astype("<u8").view(np.uint8)[:n]


# The minimum over the scale at which the weights' mean is zero, of types that have both.
_MINIMUM_OVER_SCALE = {"Q4_1": -7.5, "Q5_1": -15.5, "Q2_K": 1.5, "Q4_K": 7.5, "Q5_K": 15.5}


def random_blocks(
    seed: str, rows: int, cols: int, qtype: GGMLQuantizationType, std: float
) -> NDArray[np.uint8]:
    """Valid blocks of any type, [rows, bytes per row], whose weights have about
    this standard deviation. Everything but the scales is random bits: a wider
    choice than a quantizer's output, and no quantizer is needed."""
    if qtype.name in ("F16", "BF16"):
        values = (uniform(seed, (rows, cols)) * np.sqrt(3) * std).astype(np.float32)
        return quantize(values, qtype).view(np.uint8)
    block, size = GGML_QUANT_SIZES[qtype]
    at, *minimum_at = HALVES[qtype.name]

    def with_scale(n: int, scale: NDArray[np.float64], seed: str) -> NDArray[np.uint8]:
        blocks = random_bytes(seed, n * size).reshape(n, size)
        put_half(blocks, at, scale)
        for offset in minimum_at:
            put_half(blocks, offset, scale * _MINIMUM_OVER_SCALE[qtype.name])
        return blocks

    # At scale 1 the weights have a spread that belongs to the type; undo it.
    spread = float(dequantize(with_scale(256, np.ones(256), qtype.name), qtype).std())
    n = rows * cols // block
    scale = (1 + uniform(seed + " scale", (n,)) / 2) * std / spread
    return with_scale(n, scale, seed).reshape(rows, cols // block * size)


def weights(model: TinyModel) -> dict[str, Tensor]:
    """Every tensor of the checkpoint by its Hugging Face name."""
    if model.arch == "bert":
        return _bert_weights(model)
    if model.arch == "recurrentgemma":
        return _griffin_weights(model)
    if model.has_gemma4_layers:
        from tests.goldens import tiny_gemma4

        return tiny_gemma4.weights(model)
    if model.arch == "gemma3n":
        from tests.goldens import tiny_gemma3n

        return tiny_gemma3n.weights(model)
    if model.arch == "lfm2":
        return _lfm2_weights(model)
    if model.arch == "qwen35":
        return _qwen35_weights(model)
    if model.arch == "granitehybrid":
        from tests.goldens import tiny_space

        return tiny_space.weights(model)
    if model.arch == "t5gemma2":
        from tests.goldens import tiny_t5gemma2

        return tiny_t5gemma2.weights(model)
    tensors: dict[str, Tensor] = {}

    def matrix(name: str, rows: int, cols: int, std: float) -> None:
        seed = f"{model.name} {name}"
        kind = model.type_of(name)
        if kind is GGMLQuantizationType.F32:
            values = (uniform(seed, (rows, cols)) * np.sqrt(3) * std).astype(np.float32)
            tensors[name] = Tensor(values)
            return
        blocks = random_blocks(seed, rows, cols, kind, std)
        values = dequantize(blocks, kind).astype(np.float32).reshape(rows, cols)
        tensors[name] = Tensor(values, blocks)

    def vector(name: str, n: int, mean: float, spread: float) -> None:
        drawn = mean + spread * uniform(f"{model.name} {name}", (n,))
        tensors[name] = Tensor(drawn.astype(np.float32))

    def norm(name: str, n: int, gain: float = 1.0) -> None:
        # Gemma stores a norm's weight less one.
        vector(name, n, gain - 1 if model.is_gemma else gain, 0.5)

    embd, ff, q, kv = (
        model.n_embd,
        model.n_ff,
        model.n_head * model.head_dim,
        model.n_head_kv * model.head_dim,
    )
    qk_norm = model.arch in ("qwen3", "gemma3", "gemma-embedding")
    # Gains keep attention scores and logits a few units wide, where softmax,
    # positions and soft caps all matter; Gemma multiplies embeddings by
    # sqrt(n_embd), so its are smaller.
    matrix("model.embed_tokens.weight", model.n_vocab, embd, 0.4 if model.is_gemma else 1.0)
    if not model.tied:
        matrix("lm_head.weight", model.n_vocab, embd, 4 / np.sqrt(embd))
    norm("model.norm.weight", embd)
    for layer in range(model.n_layer):
        at = f"model.layers.{layer}."
        if model.arch == "phi3":
            # Values are as wide as queries and keys, which the factor of what rotates makes larger.
            matrix(f"{at}self_attn.qkv_proj.weight", q + 2 * kv, embd, 1.25 / np.sqrt(embd))
            matrix(f"{at}self_attn.o_proj.weight", embd, q, 1 / np.sqrt(q))
            matrix(f"{at}mlp.gate_up_proj.weight", 2 * ff, embd, 1.5 / np.sqrt(embd))
            matrix(f"{at}mlp.down_proj.weight", embd, ff, 1 / np.sqrt(ff))
            norm(f"{at}input_layernorm.weight", embd)
            norm(f"{at}post_attention_layernorm.weight", embd)
            continue
        for name, rows, cols, gain in (
            ("self_attn.q_proj", q, embd, model.qk_gain),
            ("self_attn.k_proj", kv, embd, model.qk_gain),
            ("self_attn.v_proj", kv, embd, 1.0),
            ("self_attn.o_proj", embd, q, 1.0),
            ("mlp.gate_proj", ff, embd, 1.5),
            ("mlp.up_proj", ff, embd, 1.5),
            ("mlp.down_proj", embd, ff, 1.0),
        ):
            matrix(f"{at}{name}.weight", rows, cols, gain / np.sqrt(cols))
        if model.arch == "qwen2":
            for name, n in (("q", q), ("k", kv), ("v", kv)):
                vector(f"{at}self_attn.{name}_proj.bias", n, 0.0, 1.0)
        if model.arch == "olmo2":
            norm(f"{at}self_attn.q_norm.weight", q, model.qk_gain)
            norm(f"{at}self_attn.k_norm.weight", kv, model.qk_gain)
            norm(f"{at}post_attention_layernorm.weight", embd)
            norm(f"{at}post_feedforward_layernorm.weight", embd)
            continue
        if qk_norm:
            norm(f"{at}self_attn.q_norm.weight", model.head_dim, model.qk_gain)
            norm(f"{at}self_attn.k_norm.weight", model.head_dim, model.qk_gain)
        norm(f"{at}input_layernorm.weight", embd)
        if model.arch != "vaultgemma":
            norm(f"{at}post_attention_layernorm.weight", embd)
        if model.is_gemma and model.arch != "gemma":
            norm(f"{at}pre_feedforward_layernorm.weight", embd)
        if model.arch in ("gemma2", "gemma3", "gemma-embedding"):
            norm(f"{at}post_feedforward_layernorm.weight", embd)
    if model.n_wide:
        matrix("dense_2.weight", model.n_wide, embd, 1 / np.sqrt(embd))
        matrix("dense_3.weight", model.n_embedding, model.n_wide, 1 / np.sqrt(model.n_wide))
    return tensors


def _bert_weights(model: TinyModel) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}

    def draw(name: str, shape: tuple[int, ...], mean: float, spread: float) -> None:
        values = mean + spread * uniform(f"{model.name} {name}", shape)
        tensors[name] = Tensor(values.astype(np.float32))

    def norm(name: str) -> None:
        draw(f"{name}.weight", (embd,), 1.0, 0.5)
        draw(f"{name}.bias", (embd,), 0.0, 0.5)

    def linear(name: str, rows: int, cols: int, gain: float) -> None:
        draw(f"{name}.weight", (rows, cols), 0.0, gain * np.sqrt(3 / cols))
        draw(f"{name}.bias", (rows,), 0.0, 0.5)

    embd = model.n_embd
    for name, rows in (
        ("word", model.n_vocab),
        ("position", model.n_unused_positions + model.n_ctx_train),
        ("token_type", 1 if model.n_unused_positions else 2),
    ):
        draw(f"embeddings.{name}_embeddings.weight", (rows, embd), 0.0, 1.0)
    norm("embeddings.LayerNorm")
    for layer in range(model.n_layer):
        at = f"encoder.layer.{layer}."
        for part in ("query", "key", "value"):
            linear(f"{at}attention.self.{part}", embd, embd, model.qk_gain)
        linear(f"{at}attention.output.dense", embd, embd, 1.0)
        norm(f"{at}attention.output.LayerNorm")
        linear(f"{at}intermediate.dense", model.n_ff, embd, 1.5)
        linear(f"{at}output.dense", embd, model.n_ff, 1.0)
        norm(f"{at}output.LayerNorm")
    return tensors


def _griffin_weights(model: TinyModel) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}

    def draw(name: str, shape: tuple[int, ...], mean: float, spread: float) -> None:
        values = mean + spread * uniform(f"{model.name} {name}", shape)
        tensors[name] = Tensor(values.astype(np.float32))

    def linear(name: str, rows: int, cols: int, gain: float, bias: bool = True) -> None:
        draw(f"{name}.weight", (rows, cols), 0.0, gain * np.sqrt(3 / cols))
        if bias:
            draw(f"{name}.bias", (rows,), 0.0, 0.5)

    embd, wide, head = model.n_embd, model.n_recurrent, model.head_dim
    draw("model.embed_tokens.weight", (model.n_vocab, embd), 0.0, 0.4 * np.sqrt(3))
    draw("model.final_norm.weight", (embd,), 0.0, 0.5)
    for layer in range(model.n_layer):
        at = f"model.layers.{layer}."
        temporal = f"{at}temporal_block."
        draw(f"{at}temporal_pre_norm.weight", (embd,), 0.0, 0.5)
        draw(f"{at}channel_pre_norm.weight", (embd,), 0.0, 0.5)
        if model.recurs(layer):
            linear(f"{temporal}linear_y", wide, embd, 1.5)
            linear(f"{temporal}linear_x", wide, embd, 1.5)
            linear(f"{temporal}linear_out", embd, wide, 1.0)
            draw(f"{temporal}conv_1d.weight", (wide, 1, model.n_taps), 0.0, 1.0)
            draw(f"{temporal}conv_1d.bias", (wide,), 0.0, 0.5)
            block = wide // model.n_head
            for gate in ("input_gate", "recurrent_gate"):
                name = f"{temporal}rg_lru.{gate}"
                draw(f"{name}_weight", (model.n_head, block, block), 0.0, np.sqrt(3 / block))
                draw(f"{name}_bias", (model.n_head, block), 0.0, 1.0)
            # States that last for a few tokens up to hundreds of them.
            draw(f"{temporal}rg_lru.recurrent_param", (wide,), -5.0, 2.5)
        else:
            linear(f"{temporal}q_proj", model.n_head * head, embd, model.qk_gain, bias=False)
            linear(f"{temporal}k_proj", model.n_head_kv * head, embd, model.qk_gain, bias=False)
            linear(f"{temporal}v_proj", model.n_head_kv * head, embd, 1.0, bias=False)
            linear(f"{temporal}o_proj", embd, model.n_head * head, 1.0)
        linear(f"{at}mlp_block.gate_proj", model.n_ff, embd, 1.5)
        linear(f"{at}mlp_block.up_proj", model.n_ff, embd, 1.5)
        linear(f"{at}mlp_block.down_proj", embd, model.n_ff, 1.0)
    return tensors


def _lfm2_weights(model: TinyModel) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}

    def draw(name: str, shape: tuple[int, ...], mean: float, spread: float) -> None:
        values = mean + spread * uniform(f"{model.name} {name}", shape)
        tensors[f"{name}.weight"] = Tensor(values.astype(np.float32))

    def linear(name: str, rows: int, cols: int, gain: float) -> None:
        draw(name, (rows, cols), 0.0, gain * np.sqrt(3 / cols))

    embd, q, kv = model.n_embd, model.n_head * model.head_dim, model.n_head_kv * model.head_dim
    draw("model.embed_tokens", (model.n_vocab, embd), 0.0, np.sqrt(3) / 2)
    draw("model.embedding_norm", (embd,), 1.0, 0.5)
    for layer in range(model.n_layer):
        at = f"model.layers.{layer}."
        draw(f"{at}operator_norm", (embd,), 1.0, 0.5)
        draw(f"{at}ffn_norm", (embd,), 1.0, 0.5)
        if model.recurs(layer):
            linear(f"{at}conv.in_proj", 3 * embd, embd, 1.5)
            draw(f"{at}conv.conv", (embd, 1, model.n_taps), 0.0, 1.0)
            linear(f"{at}conv.out_proj", embd, embd, 1.0)
        else:
            linear(f"{at}self_attn.q_proj", q, embd, model.qk_gain)
            linear(f"{at}self_attn.k_proj", kv, embd, model.qk_gain)
            linear(f"{at}self_attn.v_proj", kv, embd, 1.0)
            linear(f"{at}self_attn.out_proj", embd, q, 1.0)
            draw(f"{at}self_attn.q_layernorm", (model.head_dim,), model.qk_gain, 0.5)
            draw(f"{at}self_attn.k_layernorm", (model.head_dim,), model.qk_gain, 0.5)
        linear(f"{at}feed_forward.w1", model.n_ff, embd, 1.5)
        linear(f"{at}feed_forward.w3", model.n_ff, embd, 1.5)
        linear(f"{at}feed_forward.w2", embd, model.n_ff, 1.0)
    return tensors


def _qwen35_weights(model: TinyModel) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}

    def draw(name: str, shape: tuple[int, ...], mean: float, spread: float) -> None:
        values = mean + spread * uniform(f"{model.name} {name}", shape)
        tensors[name] = Tensor(values.astype(np.float32))

    def linear(name: str, rows: int, cols: int, gain: float) -> None:
        draw(f"{name}.weight", (rows, cols), 0.0, gain * np.sqrt(3 / cols))

    def norm(name: str, n: int, gain: float = 1.0) -> None:
        draw(f"{name}.weight", (n,), gain - 1, 0.5)  # stored less one

    embd, q, kv = model.n_embd, model.n_head * model.head_dim, model.n_head_kv * model.head_dim
    heads, values = model.n_value_heads, model.n_value_heads * model.state_dim
    draw("model.embed_tokens.weight", (model.n_vocab, embd), 0.0, np.sqrt(3))
    linear("lm_head", model.n_vocab, embd, 4.0)
    norm("model.norm", embd)
    for layer in range(model.n_layer):
        at = f"model.layers.{layer}."
        norm(f"{at}input_layernorm", embd)
        norm(f"{at}post_attention_layernorm", embd)
        if model.recurs(layer):
            linear(f"{at}linear_attn.in_proj_qkv", model.n_recurrent, embd, 1.5)
            linear(f"{at}linear_attn.in_proj_z", values, embd, 1.5)
            linear(f"{at}linear_attn.in_proj_b", heads, embd, 1.5)
            linear(f"{at}linear_attn.in_proj_a", heads, embd, 1.5)
            draw(f"{at}linear_attn.conv1d.weight", (model.n_recurrent, 1, model.n_taps), 0.0, 1.0)
            # States that last for a few tokens up to hundreds of them.
            draw(f"{at}linear_attn.dt_bias", (heads,), -2.0, 2.0)
            draw(f"{at}linear_attn.A_log", (heads,), -1.0, 2.0)
            draw(f"{at}linear_attn.norm.weight", (model.state_dim,), 1.0, 0.5)
            linear(f"{at}linear_attn.out_proj", embd, values, 1.0)
        else:
            linear(f"{at}self_attn.q_proj", 2 * q, embd, model.qk_gain)
            linear(f"{at}self_attn.k_proj", kv, embd, model.qk_gain)
            linear(f"{at}self_attn.v_proj", kv, embd, 1.0)
            linear(f"{at}self_attn.o_proj", embd, q, 1.0)
            norm(f"{at}self_attn.q_norm", model.head_dim, model.qk_gain)
            norm(f"{at}self_attn.k_norm", model.head_dim, model.qk_gain)
        linear(f"{at}mlp.gate_proj", model.n_ff, embd, 1.5)
        linear(f"{at}mlp.up_proj", model.n_ff, embd, 1.5)
        linear(f"{at}mlp.down_proj", embd, model.n_ff, 1.0)
    return tensors


def digest(model: TinyModel) -> str:
    """Of all the weights, so that a golden can tell that they drifted."""
    sha = hashlib.sha256()
    for name, tensor in sorted(weights(model).items()):
        sha.update(name.encode())
        sha.update(tensor.values.astype("<f4").tobytes())
    return sha.hexdigest()


def sequence(model: TinyModel, n: int = N_POSITIONS) -> list[int]:
    """The ids whose logits are compared. XLM-RoBERTa's positions do not count padding, the last
    of the tokens that its table of positions has room for and no use."""
    drawn = (uniform(f"{model.name} sequence", (n,)) + 1) / 2 * model.n_vocab
    return [max(int(i), model.n_unused_positions) for i in drawn]


def answer(model: TinyModel, n: int) -> list[int]:
    """The ids that an answer is made of, whatever the model would write."""
    drawn = (uniform(f"{model.name} answer", (n,)) + 1) / 2 * model.n_vocab
    return [int(i) for i in drawn]


def direction(model: TinyModel) -> F32:
    """What a residual is steered by, [n_embd]."""
    drawn: F32 = uniform(f"{model.name} direction", (model.n_embd,)).astype(np.float32)
    return drawn
