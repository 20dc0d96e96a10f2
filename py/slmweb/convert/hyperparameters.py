"""What config.json says about a model, as numbers: sizes, rotary positions, windows,
soft caps and the attention's scale.

Owns the meaning of a config under transformers 4 and 5, and refuses what neither
the core nor llama.cpp would compute, since a file that loads and is wrong is the
worst outcome. Knows no tensors and no GGUF.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gguf import PoolingType

from ..errors import SlmError
from ..kinds import advice
from ..quantize.choice import MOST_TAPS
from .checkpoint import Checkpoint
from .config import ConfigReader, without_nulls
from .families import FAMILIES
from .family import (
    DeltaHeads,
    Dimension,
    Family,
    Memory,
    Row,
    Space,
    delta_heads,
    feed_forward,
    memories,
    recurrent_sizes,
    space_of,
)
from .layers import Layers, read_layers, stream_sizes
from .recognize import (
    ENCODER_DECODERS,
    MULTIMODAL,
    SEES_PROMPTS_WHOLE,
    UNTIED,
    decoder_of,
    family_with,
)
from .rope import (
    Llama3Scaling,
    LongRope,
    Yarn,
    check_rotary_share,
    read_llama3,
    read_long_rope,
    read_rope,
    read_rotary_share,
    read_yarn,
)
from .sentence import Sentence

# Columns of a head's state, or rows: DeltaRule::kMaxHead and StateSpace::kMaxState.
MOST_STATE = 128


@dataclass(frozen=True)
class Recurrence:
    """Of the layers that remember a state in place of keys and values."""

    memories: tuple[Memory, ...]  # of each layer
    channels: int
    block: int  # columns of a block-diagonal matrix's blocks, of RG-LRU
    taps: int  # of a convolution
    delta: DeltaHeads | None = None  # of a delta rule
    space: Space | None = None  # of a state space


@dataclass(frozen=True)
class Factors:
    """What Granite multiplies: embeddings, scores of attention, what a block adds to the stream;
    logits are divided."""

    embedding: float
    attention: float
    residual: float
    logits: float


@dataclass(frozen=True)
class Hyperparameters:
    n_layer: int
    n_embd: int
    n_ff: int
    n_head: int
    n_head_kv: int
    head_dim: int
    n_vocab: int
    n_ctx: int
    norm_epsilon: float
    tied: bool
    biases: frozenset[str]  # the promises of biases that the config makes: "attention_bias"…
    rope_base: float
    rope_base_local: float | None
    rope_linear_factor: float
    llama3: Llama3Scaling | None
    yarn: Yarn | None
    long_rope: LongRope | None
    temperature: float  # of attention; 0: none
    window: int | None
    attn_softcap: float | None
    final_softcap: float | None
    recurrence: Recurrence | None
    # Where layers differ; n_ff, n_head_kv and head_dim are the largest of theirs.
    layers: Layers | None
    rotary_share: float  # of the pairs of a head, of the layers that see everything
    partly_rotated: bool  # by factors in the file that say which
    query_scale: float  # what queries lack for the runtime's scale to be the model's
    # Of a model that embeds texts: how rows are pooled, and the widths of the matrices behind.
    pooling: PoolingType | None = None
    n_wide: int = 0
    n_embedding: int = 0
    factors: Factors | None = None
    start: int | None = None  # the token that a decoder begins with, where there is an encoder
    rotates: bool = True  # queries and keys, where the family may do without
    n_types: int = 0  # of tokens, which BERT tells apart
    n_unused_positions: int = 0  # rows at the start of a table of positions, which no text reaches

    def with_sentence(self, sentence: Sentence) -> Hyperparameters:
        """Of a model that has these modules behind it. Raises SlmError "bad_file" where a matrix
        does not take what the one before gives."""
        widths = [self.n_embedding or self.n_embd, *(tensor.shape[0] for tensor in sentence.dense)]
        for tensor, width in zip(sentence.dense, widths, strict=False):
            if tensor.shape[1] != width:
                raise SlmError(
                    "bad_file",
                    f"{tensor.file.path} takes {tensor.shape[1]} numbers, and what comes before "
                    f"it gives {width}; download the repository again",
                )
        wide = widths[1] if len(widths) > 2 else 0
        return replace(self, pooling=sentence.pooling, n_wide=wide, n_embedding=widths[-1])

    @property
    def delta(self) -> DeltaHeads | None:
        return self.recurrence.delta if self.recurrence else None

    @property
    def space(self) -> Space | None:
        return self.recurrence.space if self.recurrence else None

    def memory(self, layer: int) -> Memory:
        if self.layers is not None and self.layers.is_shared(layer):
            return "shared"
        return self.recurrence.memories[layer] if self.recurrence else "attention"

    def shape_of(self, row: Row) -> tuple[int, ...]:
        """Of a row of a family's table, whose layer it names where it has one."""
        return tuple(self.size(dimension, row.layer) for dimension in row.shape)

    def size(self, dimension: Dimension, layer: int | None = None) -> int:
        if self.layers is not None and layer is not None:
            head = self.layers.head_dims[layer]
            own = {
                "ff": self.layers.n_ffs[layer],
                "q": self.n_head * head,
                "kv": self.layers.n_heads_kv[layer] * head,
                "head": head,
            }
            if dimension in own:
                return own[dimension]
        per_layer = self.layers.n_per_layer if self.layers else 0
        return {
            "vocab": self.n_vocab,
            "embd": self.n_embd,
            "ff": self.n_ff,
            "q": self.n_head * self.head_dim,
            "kv": self.n_head_kv * self.head_dim,
            "head": self.head_dim,
            "ctx": self.n_ctx,
            "types": self.n_types,
            "channels": self.recurrence.channels if self.recurrence else 0,
            "block": self.recurrence.block if self.recurrence else 0,
            "taps": self.recurrence.taps if self.recurrence else 0,
            "layer": per_layer,
            "layers": per_layer * self.n_layer,
            "one": 1,
            "qkv": (self.n_head + 2 * self.n_head_kv) * self.head_dim,
            "gate_and_up": 2 * self.n_ff,
            "gates_and_in": 3 * self.recurrence.channels if self.recurrence else 0,
            "gated_q": 2 * self.n_head * self.head_dim,
            **stream_sizes(self.layers),
            **recurrent_sizes(self.delta, self.space),
            "wide": self.n_wide,
            "embedding": self.n_embedding,
        }[dimension]

    @property
    def n_looked_up(self) -> int:
        """Rows that a checkpoint's table of layers' embeddings has."""
        return min(self.n_vocab, self.layers.n_looked_up) if self.layers else self.n_vocab

    @property
    def rope_dims(self) -> int:
        """Of a head, those that the runtimes rotate; what Gemma 4 does not has factors."""
        return self.head_dim if self.partly_rotated else int(self.rotary_share * self.head_dim)

    def rope_factors(self) -> dict[str, Sequence[float]]:
        """What each rotary frequency is divided by, by the tensor's name: rope_dims / 2 numbers for
        Llama 3's scaling and LongRoPE's; or one and, where Gemma 4 rotates nothing, so much that
        nothing is left of it."""
        name = "rope_freqs.weight"
        if self.partly_rotated:
            pairs = self.head_dim // 2
            rotated = int(self.rotary_share * self.head_dim / 2)
            return {name: [1.0] * rotated + [1e30] * (pairs - rotated)}
        if (long := self.long_rope) is not None:
            return {
                "rope_factors_long.weight": long.long_factors,
                "rope_factors_short.weight": long.short_factors,
            }
        if (scaling := self.llama3) is None:
            return {}
        factors = []
        for i in range(0, self.head_dim, 2):
            wavelength = 2 * math.pi * self.rope_base ** (i / self.head_dim)
            turns = scaling.original_context / wavelength
            low, high = scaling.low_freq_factor, scaling.high_freq_factor
            blend = min(1.0, max(0.0, (turns - low) / (high - low)))
            factors.append(1 / ((1 - blend) / scaling.factor + blend))
        return {name: factors}


def family_of(checkpoint: Checkpoint) -> tuple[Family, Mapping[str, Any], bool]:
    """The family, its part of the config, and whether a model that sees surrounds it.

    Raises SlmError "unsupported" for any other model.
    """
    config = checkpoint.config
    model_type = config.get("model_type")
    multimodal = model_type in MULTIMODAL
    if multimodal:
        text = config.get("text_config")
        if not isinstance(text, dict):
            raise SlmError(
                "bad_file", f"{checkpoint.config_path} has no text_config; download it again"
            )
        # The head is the whole model's, which says whether it is tied; it is quantized as one.
        config = {
            "quantization_config": config.get("quantization_config"),
            **text,
            "tie_word_embeddings": config.get("tie_word_embeddings", model_type not in UNTIED),
        }
        if model_type in SEES_PROMPTS_WHOLE:
            config["use_bidirectional_attention"] = False
        model_type = text.get("model_type") or MULTIMODAL[str(model_type)]
    if model_type in ENCODER_DECODERS:
        config = _decoder(checkpoint)
        model_type, multimodal = config["model_type"], True
    if (family := family_with(str(model_type), config)) is not None:
        return family, config, multimodal
    named = f"{checkpoint.config_path} has the model_type {model_type!r}, which is not supported"
    if (told := advice(model_type, checkpoint.config)) is not None:
        raise SlmError("unsupported", f"{named}: {told}")
    known = ", ".join(dict.fromkeys(family.model_type for family in FAMILIES))
    raise SlmError(
        "unsupported",
        f"{named}; supported are {known} and the language models of {', '.join(MULTIMODAL)}",
    )


def _decoder(checkpoint: Checkpoint) -> dict[str, Any]:
    try:
        config = decoder_of(checkpoint.config)
    except ValueError as error:
        raise SlmError(
            "unsupported",
            f"{checkpoint.config_path} has an encoder and a decoder that differ by {error}; those "
            "with layers that are alike are supported",
        ) from None
    if config is None:
        raise SlmError(
            "bad_file",
            f"{checkpoint.config_path} has no encoder with a text_config or no decoder; download "
            "it again",
        )
    return {"quantization_config": checkpoint.config.get("quantization_config"), **config}


def hyperparameters(
    checkpoint: Checkpoint, family: Family, config: Mapping[str, Any]
) -> Hyperparameters:
    """Reads the family's part of the config.

    Raises SlmError "bad_file" for a value that makes no sense and "unsupported"
    for one that would change what is computed.
    """
    read = ConfigReader(
        str(checkpoint.config_path), {**family.defaults, **without_nulls(family.plain(config))}
    )
    _refuse_variants(read, family)
    n_head = read.whole("num_attention_heads")
    n_embd = read.whole("hidden_size")
    n_layer = read.whole("num_hidden_layers")
    layers = read_layers(family, read.values, read.path) if family.layered else None
    head_dim = max(layers.head_dims) if layers else read.whole("head_dim", n_embd // n_head)
    _check_windows(read, family, n_layer)
    _check_unrotated(read, family, n_layer)
    rope, local_base = read_rope(read, family)
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind not in family.rope_scalings:
        raise read.unsupported(
            f"the rope scaling '{kind}'",
            f"{family.model_type} is supported with {' or '.join(family.rope_scalings)}",
        )
    share = read_rotary_share(read, family, rope, head_dim)
    long_rope = None
    if kind == "longrope":
        long_rope = read_long_rope(read, rope, int(share * head_dim) // 2)
    either = None if family.layered else False
    softcaps = {
        name: read.cap(f"{name}_logit_softcapping", required=required)
        for name, required in (("attn", family.softcaps), ("final", family.softcaps or either))
    }
    if "logits_soft_cap" in family.defaults:
        softcaps["final"] = read.positive("logits_soft_cap", 30.0)
    # As RoBERTa's has them: up to the padding token's number, itself included.
    n_unused = 1 + read.whole("pad_token_id") if "pad_token_id" in family.defaults else 0
    n_ctx = read.whole("max_position_embeddings", 2048) - n_unused
    if n_ctx < 1:
        raise read.unsupported(f"positions for {n_ctx} tokens", "expected one at least")
    return Hyperparameters(
        n_layer=n_layer,
        n_embd=n_embd,
        n_ff=max(layers.n_ffs) if layers else feed_forward(family, read.values, read.whole),
        n_head=n_head,
        n_head_kv=max(layers.n_heads_kv) if layers else read.whole("num_key_value_heads", n_head),
        head_dim=head_dim,
        n_vocab=read.whole("vocab_size"),
        n_ctx=n_ctx,
        norm_epsilon=read.positive("layer_norm_eps" if family.layer_norm else "rms_norm_eps", 1e-6),
        tied=bool(read.values.get("tie_word_embeddings", False)),
        biases=frozenset(key for key in ("attention_bias", "mlp_bias") if read.values.get(key)),
        rope_base=read.inside(rope, "rope_theta", read.positive("rope_theta", 10_000.0)),
        rope_base_local=local_base,
        rope_linear_factor=read.inside(rope, "factor") if kind == "linear" else 1.0,
        llama3=read_llama3(read, rope) if kind == "llama3" else None,
        yarn=read_yarn(read, rope) if kind == "yarn" else None,
        long_rope=long_rope,
        temperature=read.inside(rope, "llama_4_scaling_beta")
        if family.attention_temperature
        else 0.0,
        window=_window(read, family),
        attn_softcap=softcaps["attn"],
        final_softcap=softcaps["final"],
        recurrence=_recurrence(read, family, n_layer, n_head) if family.recurs else None,
        layers=layers,
        rotary_share=share,
        partly_rotated=family.partly_rotated,
        n_embedding=read.whole("embedding_dim") if "embedding_dim" in family.defaults else 0,
        n_unused_positions=n_unused,
        factors=_factors(read) if family.factors else None,
        rotates=not family.rotary_if_said or read.values.get("position_embedding_type") == "rope",
        n_types=read.whole("type_vocab_size") if "type_vocab_size" in family.defaults else 0,
        query_scale=_query_scale(read, family, n_layer, n_embd // n_head, head_dim),
        start=read.whole("bos_token_id") if family.encoder else None,
    )


def _window(read: ConfigReader, family: Family) -> int | None:
    if "attention_window_size" in family.defaults:
        return read.whole("attention_window_size")
    if family.windowed:  # of llama.cpp's files, 0 is none
        return read.whole("sliding_window") if read.values.get("sliding_window") else 0
    if not family.window_pattern:
        return None
    return read.whole("sliding_window") * (2 if family.window_radius else 1)


def _factors(read: ConfigReader) -> Factors:
    return Factors(
        embedding=read.positive("embedding_multiplier", 1.0),
        attention=read.positive("attention_multiplier", 1.0),
        residual=read.positive("residual_multiplier", 1.0),
        logits=read.positive("logits_scaling", 1.0),
    )


def _recurrence(read: ConfigReader, family: Family, n_layer: int, n_head: int) -> Recurrence:
    found = memories(family, read.values, n_layer)
    if not found:
        raise read.unsupported(
            "another list of kinds of layers", "recurrent ones and attention are supported"
        )
    channels, block = read.whole("lru_width", read.whole("hidden_size")), 0
    if family.recurrence == "rg_lru":
        block = channels // n_head
    if family.recurrence == "rg_lru" and (channels % n_head or block % 32):
        raise read.unsupported(
            f"recurrent layers of {channels} channels in {n_head} blocks",
            "blocks of a multiple of 32 are supported",
        )
    delta = delta_heads(family, read.whole)
    if delta is not None:
        channels = delta.channels
        wide = read.whole("linear_value_head_dim")
        if wide != delta.width or wide % 4 or wide > MOST_STATE or delta.n_value % delta.n_key:
            raise read.unsupported(
                f"a delta rule of {delta.n_key} key heads of {delta.width} and {delta.n_value} "
                f"value heads of {wide}",
                f"heads of one multiple of 4, at most {MOST_STATE}, and values for each key are",
            )
    space = space_of(family, read.whole)
    if space is not None:
        channels = space.channels
        _check_space(read, space)
    taps = read.whole("conv1d_width")
    if not 2 <= taps <= MOST_TAPS:
        raise read.unsupported(f"a convolution of {taps} taps", f"2 to {MOST_TAPS} are supported")
    return Recurrence(found, channels, block, taps, delta, space)


def _check_space(read: ConfigReader, space: Space) -> None:
    head, rest = divmod(space.width, space.n_head)
    odd = rest or head % 4 or space.n_state % 4 or space.n_head % space.n_group
    if odd or space.n_state > MOST_STATE:
        raise read.unsupported(
            f"a state space of {space.n_head} heads in {space.n_group} groups, {space.width} "
            f"numbers wide with states of {space.n_state}",
            "heads and states of a multiple of 4, states of at most "
            f"{MOST_STATE}, and groups of as many heads are supported",
        )
    if read.values.get("mamba_d_head", "auto") not in ("auto", head):
        raise read.unsupported(
            f"heads of {read.values['mamba_d_head']!r} in a state space {space.width} wide",
            f"{space.n_head} heads have {head} numbers each",
        )
    if read.values.get("mamba_conv_bias") is False:
        raise read.unsupported("convolutions without a bias", "those with one are supported")
    limits = read.values.get("time_step_limit", [0.0, math.inf])
    # transformers 5 writes the second one as what JSON can hold.
    if limits not in ([0.0, math.inf], [0.0, {"__float__": "Infinity"}]):
        raise read.unsupported(
            f"the time_step_limit {str(limits)[:40]}", "steps without limits are supported"
        )


def _refuse_variants(read: ConfigReader, family: Family) -> None:
    values = read.values
    if values.get("quantization_config"):
        raise read.unsupported(
            "a quantized checkpoint", "convert the original weights and quantize the GGUF"
        )
    # The name that the family goes by counts; the other one is read where it stands alone.
    given = (values.get(key) for key in ("hidden_act", "hidden_activation"))
    activation = values.get(family.activation_key) or next(filter(None, given), None)
    activation = activation or family.activations[0]
    if activation not in family.activations:
        raise read.unsupported(
            f"the activation '{activation}'", f"{family.activations[0]} is supported"
        )
    both_ways = values.get("use_bidirectional_attention") or values.get("is_causal") is False
    if both_ways and not family.embeds:
        raise read.unsupported(
            "attention in both directions", "models that generate text are supported"
        )
    positions = ("rope", "nope") if family.rotary_if_said else ("absolute",)
    if values.get("position_embedding_type", positions[-1]) not in positions:
        raise read.unsupported(
            f"positions of the type {values['position_embedding_type']!r}",
            f"{positions[0]} ones are supported",
        )
    if values.get("attn_output_gate") is False:
        raise read.unsupported("attention without its gate", "attn_output_gate is supported")
    if values.get("use_sliding_window"):
        raise read.unsupported("sliding windows", f"{family.model_type} is supported without")
    for key in family.never:
        if values.get(key):
            raise read.unsupported(
                f"the {key} {values[key]!r}", f"{family.model_type} is supported without"
            )
    check_rotary_share(read, family, values)


def _check_windows(read: ConfigReader, family: Family, n_layer: int) -> None:
    """Which layers are local is no metadata, but for layers that differ; llama.cpp and the core
    know it by heart."""
    if family.layered:
        return
    period = family.window_pattern
    expected = [
        "sliding_attention" if period and (i + 1) % period else "full_attention"
        for i in range(n_layer)
    ]
    if period and read.values.get("sliding_window_pattern", period) != period:
        raise read.unsupported(
            f"sliding_window_pattern {read.values['sliding_window_pattern']}",
            f"{family.model_type} is supported with {period}",
        )
    found = read.values.get("layer_types", expected)
    if found != expected and not family.recurs and not family.mixed_type:
        raise read.unsupported(
            "another order of sliding and full attention",
            f"{family.model_type} is supported with every layer full"
            + (f" that is a multiple of {period}, the others sliding" if period else ""),
        )


def _check_unrotated(read: ConfigReader, family: Family, n_layer: int) -> None:
    """Which layers know no positions is no metadata either. transformers counts them by an
    interval where the config has no list."""
    if not (period := family.unrotated_period):
        return
    interval = read.whole("no_rope_layer_interval", period)
    rotated = read.values.get("no_rope_layers")
    if rotated is None:
        rotated = [int((i + 1) % interval != 0) for i in range(n_layer)]
    expected = [int((i + 1) % period != 0) for i in range(n_layer)]
    if not isinstance(rotated, list) or rotated[:n_layer] != expected:
        raise read.unsupported(
            "another order of layers without rotary positions",
            f"{family.model_type} is supported with every {period}th layer without",
        )


def _query_scale(
    read: ConfigReader, family: Family, n_layer: int, embd_per_head: int, head_dim: int
) -> float:
    """Both runtimes divide scores by the root of the head's size; where the config
    asks for another divisor, queries carry the difference.

    The 27B models divide by the embedding's share of a head instead, which the
    runtimes know from the number of layers alone.
    """
    if "query_pre_attn_scalar" not in read.values:
        return 1.0
    is_27b = (family.architecture, n_layer) in (("gemma2", 46), ("gemma3", 62))
    divisor = embd_per_head if is_27b else head_dim
    return math.sqrt(divisor / read.positive("query_pre_attn_scalar", 1))
