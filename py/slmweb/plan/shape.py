"""The shape of a model: its tensors and the numbers that memory and speed follow from.

Owns reading a shape from where there are no weights to load: a GGUF header, a packed folder, a
Hugging Face config.json. Knows nothing of devices. Tensor names are GGUF's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..convert.families import FAMILIES
from ..convert.family import (
    Dimension,
    Family,
    Memory,
    Row,
    delta_heads,
    feed_forward,
    memories,
    recurrent_sizes,
    space_of,
)
from ..convert.layers import N_STREAMS, Layers, read_layers, stream_sizes
from ..convert.recognize import ENCODER_DECODERS, MULTIMODAL, UNTIED, decoder_of, family_with
from ..convert.tensors import HEAD
from ..core.files import is_pack
from ..errors import SlmError, os_reason
from ..kinds import advice
from ..quantize.choice import is_kept
from ..vision.encoder_file import encoder_of
from . import encoder
from .encoder import Encoder
from .tensors import Tensor, fitting

# Tokens of one evaluation: kMaxBatch in wasm/src/compute.cpp. A text that is embedded is one, and
# so is a prompt that an encoder reads.
MOST_TOKENS = 8192

# The header of a GGUF is nearly all vocabulary: a token's text, its score or merge, and its kind.
HEADER_BYTES_PER_TOKEN = 32

# Of configs; a vision model has its language model's shape.
_MODEL_TYPES = dict.fromkeys(
    [*(family.model_type for family in FAMILIES), *MULTIMODAL, *ENCODER_DECODERS]
)
_BY_ARCHITECTURE = {family.architecture: family for family in FAMILIES}


@dataclass(frozen=True)
class Shape:
    """A model without its weights; `tensors` and parameters are the language model's. `windows` has
    a sliding window for each layer with keys and values of its own, 0 where it sees everything;
    `kv` numbers of a position's keys in each, empty where all have n_head_kv heads of head_dim.
    Where layers differ, n_ff, n_head_kv and head_dim are the largest of theirs."""

    architecture: str
    n_ctx_train: int
    n_vocab: int
    n_embd: int
    n_layer: int
    n_head: int
    n_head_kv: int
    head_dim: int
    n_ff: int
    windows: tuple[int, ...]
    tensors: tuple[Tensor, ...]
    header_bytes: int
    encoder: Encoder | None = None  # of pictures
    kv: tuple[int, ...] = ()
    rotated: int = 0  # columns of a head, of a family whose models differ in it

    @property
    def kv_widths(self) -> tuple[int, ...]:
        """Numbers of a position's keys, along `windows`."""
        return self.kv or (self.n_head_kv * self.head_dim,) * len(self.windows)

    @property
    def n_per_layer(self) -> int:
        """Columns of each layer's embeddings; 0 where there are none."""
        return self._per_layer_width // self.n_layer

    @property
    def _per_layer_width(self) -> int:
        return next((t.rows for t in self.tensors if t.name == "per_layer_model_proj.weight"), 0)

    @property
    def per_layer_rows(self) -> tuple[int, ...]:
        """Widths of the activations that these take: of all layers, with a table twice, and of one,
        without a table twice."""
        width, one = self._per_layer_width, self.n_per_layer
        if not width:
            return ()
        return (width, width, one) if self.table_bytes else (width, one, one)

    @property
    def table_bytes(self) -> int:
        """Of what is looked up by rows, which stays in linear memory whatever the backend."""
        return sum(t.file_bytes for t in self.tensors if t.is_table)

    @property
    def laurel_rank(self) -> int:
        """Of what goes beside attention where there are several residuals; 0 where there is one."""
        return next((t.rows for t in self.tensors if t.name == "blk.0.laurel_l.weight"), 0)

    @property
    def branches(self) -> tuple[int, ...]:
        """Widths of the activations beside a block's: what is normalized before it is added, of
        every Gemma that has attention alone; of OLMo 2 queries and keys before their norms too."""
        if rank := self.laurel_rank:
            # The other residuals and what is computed beside them; Laurel, the other half of a
            # gated unit, and what mixes residuals.
            wide = (N_STREAMS - 1 + 3) * (self.n_embd,)
            return (*wide, rank, self.n_ff, N_STREAMS, N_STREAMS, N_STREAMS**2)
        if self.architecture == "olmo2":
            return (self.n_embd, self.n_head * self.head_dim, self.n_head_kv * self.head_dim)
        return (self.n_embd,) if "gemma" in self.architecture and not self.channels else ()

    @property
    def states(self) -> tuple[int, ...]:
        """Numbers that each recurrent layer remembers: inputs of its convolution, and behind them
        of RG-LRU a state of as many channels, of a delta rule or a state space a matrix for each
        head."""
        recurrence = _BY_ARCHITECTURE[self.architecture].recurrence
        columns, rows = self._heads
        return tuple(
            (t.columns - 1 + int(recurrence == "rg_lru")) * t.rows + columns * rows
            for t in self.tensors
            if t.is_convolution
        )

    @property
    def _heads(self) -> tuple[int, int]:
        """Of a delta rule or a state space: columns of all heads' states, and rows of each; (0, 0)
        without."""
        found = {t.name.partition(".ssm_")[2]: t for t in self.tensors if ".ssm_" in t.name}
        if "out.weight" not in found:
            return 0, 0
        columns, norm = found["out.weight"].columns, found["norm.weight"]
        if _BY_ARCHITECTURE[self.architecture].recurrence == "state_space":
            # What is convolved beside them writes, or reads, for each group of heads.
            return columns, (self.channels - columns) // (2 * norm.rows)
        return columns, norm.columns

    @property
    def channels(self) -> int:
        """Of a recurrent layer's convolution; 0 where none recurs."""
        return max((t.rows for t in self.tensors if t.is_convolution), default=0)

    @property
    def recurrent_rows(self) -> tuple[int, ...]:
        """Widths of the activations of a model's recurrent layers, and of the gates of its others'
        attention."""
        n = self.channels
        recurrence = _BY_ARCHITECTURE[self.architecture].recurrence if n else None
        if recurrence == "rg_lru":
            return (n,) * 4
        if recurrence == "short_convolution":
            return (3 * n, n)
        if recurrence == "delta_rule":
            n_q, (n_values, width) = self.n_head * self.head_dim, self._heads
            return (2 * n_q, n_q, n, n, n_values, n_values, *(n_values // width,) * 2)
        if recurrence == "state_space":
            n_in = max(t.rows for t in self.tensors if t.name.endswith(".ssm_in.weight"))
            width = self._heads[0]
            return (n_in, n, width, n_in - n - width)
        return ()

    @property
    def rope_dims(self) -> int:
        """Of a head that are rotated."""
        share = _BY_ARCHITECTURE[self.architecture].rotary_share
        return self.rotated if share is None else int(self.head_dim * share)

    @property
    def embeds(self) -> bool:
        """Texts, each in one evaluation, in place of generating them."""
        return _BY_ARCHITECTURE[self.architecture].embeds

    @property
    def reads(self) -> bool:
        """Whether an encoder reads a prompt whole, and a decoder answers."""
        return bool(_BY_ARCHITECTURE[self.architecture].encoder)

    def positions(self, n_ctx: int) -> int:
        """Of a layer's cache: an answer's first token has one that no context counts."""
        return n_ctx + int(self.reads)

    @property
    def pooled(self) -> tuple[int, ...]:
        """Widths of the rows that a text's embedding passes through on its way out."""
        behind = ("dense_2.weight", "dense_3.weight", "output.weight")
        return tuple(t.columns for t in self.tensors if self.embeds and t.name in behind)

    @property
    def n_out(self) -> int:
        """Numbers that an evaluation puts out: logits, or those of an embedding."""
        if not self.embeds:
            return self.n_vocab
        last = ("dense_3.weight", "output.weight")
        return next((t.rows for t in self.tensors if t.name in last), self.n_embd)

    @property
    def parameters(self) -> int:
        return sum(tensor.elements for tensor in self.tensors)

    @property
    def file_bytes(self) -> int:
        """Bytes of the GGUF and of its encoder's, and so of the download."""
        own = self.header_bytes + sum(tensor.file_bytes for tensor in self.tensors)
        return own + (self.encoder.file_bytes if self.encoder else 0)

    def n_batch(self, n_ctx: int, n_batch: int) -> int:
        """Tokens of one evaluation in a page's session that else takes `n_batch`: a text to be
        embedded is whole in one, and so are a picture and a prompt that an encoder reads."""
        if self.embeds:
            return n_ctx
        if self.reads:
            return min(n_ctx, MOST_TOKENS)
        return n_batch if self.encoder is None else self.encoder.n_batch(n_ctx, n_batch)

    @property
    def types(self) -> dict[str, int]:
        """Bytes by tensor type, largest first."""
        sizes: dict[str, int] = {}
        for tensor in self.tensors:
            sizes[tensor.type] = sizes.get(tensor.type, 0) + tensor.file_bytes
        return dict(sorted(sizes.items(), key=lambda item: -item[1]))

    @property
    def head(self) -> Tensor:
        """The matrix that makes logits: output.weight, or the token embedding when tied."""
        named = {tensor.name: tensor for tensor in self.tensors}
        return named.get("output.weight", named["token_embd.weight"])

    @property
    def layer_matrices(self) -> list[Tensor]:
        """What a token of an answer goes through."""
        return [t for t in self.tensors if t.name.startswith("blk.") and t.is_matrix]

    @property
    def prompt_matrices(self) -> list[Tensor]:
        """What a prompt's tokens go through: an encoder, where there is one, and of the decoder's
        layers what makes keys and values of its results."""
        if not self.reads:
            return self.layer_matrices
        read = [t for t in self.tensors if t.name.startswith("enc.blk.") and t.is_matrix]
        return read + [
            t for t in self.layer_matrices if ".attn_k." in t.name or ".attn_v." in t.name
        ]

    def quantized(self, kind: str | Callable[[str], str]) -> Shape:
        """The same model with every matrix in type `kind`, or in that which `kind` tells by its
        name, or in what stands in for it where rows are no multiple of its block; what `quantize`
        leaves as it is stays, and vectors are F32. Its encoder is in what `quantize` makes of
        one."""
        wanted = kind if callable(kind) else lambda name: kind
        return replace(
            self,
            tensors=tuple(
                t
                if is_kept(t.name)
                else replace(t, type=fitting(wanted(t.name), t.columns) if t.is_matrix else "F32")
                for t in self.tensors
            ),
            encoder=self.encoder and self.encoder.beside(kind if isinstance(kind, str) else None),
        )


def runs(model_type: object) -> bool:
    """Whether a config of that model type has a shape here."""
    return str(model_type) in _MODEL_TYPES


def read_shape(path: Path) -> Shape:
    """The shape of a GGUF file, a packed folder, a checkpoint folder or a config.json.

    Raises SlmError: "unreadable", "bad_file", "unsupported", "bad_manifest".
    """
    if is_pack(path):
        return _from_gguf(path)
    if path.is_dir():
        path = path / "config.json"
    if path.suffix == ".json":
        try:
            config = json.loads(path.read_bytes())
        except OSError as error:
            raise SlmError(
                "unreadable",
                f"cannot read {path}: {os_reason(error)}; name a GGUF file, a packed folder or a "
                "folder with config.json",
            ) from None
        except ValueError as error:
            raise SlmError("bad_file", f"{path} is not JSON ({error})") from None
        return from_config(config, str(path))
    return _from_gguf(path)


def from_config(config: Mapping[str, Any], where: str) -> Shape:
    """The shape that a checkpoint's config.json describes, in BF16 as most are published.

    Raises SlmError "bad_file" or "unsupported"; `where` names the config in its sentence.
    """
    if not isinstance(config, Mapping):
        raise SlmError("bad_file", f"{where} is no JSON object; download it again")
    whole, text = config, config.get("text_config")
    config = text if isinstance(text, Mapping) and text else config
    if whole.get("model_type") in ENCODER_DECODERS:
        config = _decoder(whole, where)
    # That of a language model within another one may be left out.
    kind = config.get("model_type") or MULTIMODAL.get(str(whole.get("model_type")))
    family = family_with(MULTIMODAL.get(str(kind), str(kind)), config)
    if family is None:
        told = advice(whole.get("model_type"), whole)
        raise SlmError(
            "unsupported",
            f"{where} has the model type {kind!r}, which does not run here"
            + (f": {told}" if told else "; supported are " + ", ".join(_MODEL_TYPES)),
        )

    given = {key: value for key, value in family.plain(config).items() if value is not None}
    config = {**family.defaults, **given}

    def number(key: str, otherwise: int | None = None) -> int:
        value = config.get(key)
        value = otherwise if value is None else value
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise SlmError(
                "bad_file", f"{where} should have a whole number above 0 as '{key}', not {value!r}"
            )
        return value

    n_embd, n_head = number("hidden_size"), number("num_attention_heads")
    n_layer, n_vocab = number("num_hidden_layers"), number("vocab_size")
    n_head_kv = number("num_key_value_heads", n_head)
    gemma = "gemma" in family.architecture
    head_dim = number("head_dim", 256 if gemma and not family.recurs else n_embd // n_head)
    n_ctx = number("max_position_embeddings", 8192)
    if "pad_token_id" in family.defaults:  # positions begin behind it
        n_ctx = max(1, n_ctx - 1 - number("pad_token_id", 1))
    positions = n_ctx
    if family.embeds:
        n_ctx = min(n_ctx, MOST_TOKENS)
    window = number("sliding_window", 4096) if family.window_pattern else 0
    if family.windowed and config.get("sliding_window"):
        window = number("sliding_window")
    if "attention_window_size" in family.defaults:
        window = number("attention_window_size")
    layers = (
        read_layers(family, {**family.defaults, **_given(config)}, where)
        if family.layered
        else None
    )
    if layers is not None:
        head_dim, n_head_kv = max(layers.head_dims), max(layers.n_heads_kv)
    n_ff = max(layers.n_ffs) if layers is not None else feed_forward(family, config, number)
    kinds: tuple[Memory, ...] = memories(family, config, n_layer)
    if layers is not None:
        kinds = tuple("shared" if layers.is_shared(i) else "attention" for i in range(n_layer))
    if not kinds:
        raise SlmError("bad_file", f"{where} has kinds of layers that nobody knows")
    delta = delta_heads(family, number)
    channels = number("lru_width", n_embd) if family.recurs else 0
    space = space_of(family, number)
    if (wide := delta or space) is not None:
        channels = wide.channels
    sizes: dict[Dimension, int] = {
        "vocab": n_vocab, "embd": n_embd, "ff": n_ff, "q": n_head * head_dim,
        "kv": n_head_kv * head_dim, "head": head_dim, "ctx": positions,
        "types": config.get("type_vocab_size", 2),
        # The config of another folder says; EmbeddingGemma's, here.
        "wide": 4 * n_embd, "embedding": config.get("embedding_dim", n_embd),
        "channels": channels, "block": channels // n_head, "taps": config.get("conv1d_width", 4),
        "layer": layers.n_per_layer if layers else 0, "one": 1,
        "layers": layers.n_per_layer * n_layer if layers else 0,
        "gates_and_in": 3 * channels, "gated_q": 2 * n_head * head_dim,
        **recurrent_sizes(delta, space), **stream_sizes(layers),
        "qkv": (n_head + 2 * n_head_kv) * head_dim, "gate_and_up": 2 * n_ff,
    }  # fmt: skip

    def tensor(row: Row, at: str = "", own: Mapping[Dimension, int] = sizes) -> Tensor:
        rows, columns = [1, *(own[dimension] for dimension in row.shape)][-2:]
        found = Tensor(at + row.target, rows, columns, "F32")
        return replace(found, type="BF16") if found.is_matrix else found

    tied = config.get("tie_word_embeddings", gemma)
    if (of_all := whole.get("model_type")) in MULTIMODAL:
        tied = whole.get("tie_word_embeddings", of_all not in UNTIED)
    tensors = [tensor(row) for row in family.model if not (tied and row.source == HEAD)]
    tensors += [
        tensor(row, f"{at}{i}.", sizes | _of_layer(layers, i, n_head))
        for at, rows in (("enc.blk.", family.encoder), ("blk.", family.layer))
        for i in range(n_layer)
        for row in rows
        if row.memory in ("", kinds[i]) and (not row.promise or config.get(row.promise))
    ]
    tensors = _stacked(tensors)
    if family.partly_rotated:
        # What some layers' heads do not rotate; see Hyperparameters.rope_factors.
        tensors.append(Tensor("rope_freqs.weight", 1, head_dim // 2, "F32"))
    rotated = 0
    if family.rotary_share is None:
        told = config.get("rope_scaling") or config.get("rope_parameters")
        scaling = told if isinstance(told, Mapping) else {}
        share = scaling.get("partial_rotary_factor", config.get("partial_rotary_factor", 1.0))
        rotated = int(head_dim * share)
        tensors += [
            Tensor(f"rope_factors_{key}.weight", 1, rotated // 2, "F32")
            for key in ("long", "short")
            if f"{key}_factor" in scaling
        ]
    windows = (
        _windows_of(family, [layers.local[i] for i in layers.own], window)
        if layers is not None
        else _windows(family, kinds.count("attention"), window)
    )
    kv = tuple(layers.n_heads_kv[i] * layers.head_dims[i] for i in layers.own) if layers else ()
    return Shape(
        family.architecture, n_ctx, n_vocab, n_embd, n_layer, n_head, n_head_kv, head_dim, n_ff,
        windows, tuple(tensors), HEADER_BYTES_PER_TOKEN * n_vocab,
        encoder.from_config(whole, n_embd), kv, rotated,
    )  # fmt: skip


def _stacked(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Matrices of one name as one of all their rows."""
    rows: dict[str, int] = {}
    for tensor in tensors:
        rows[tensor.name] = rows.get(tensor.name, 0) + tensor.rows
    return [replace(t, rows=rows[t.name]) for t in {t.name: t for t in tensors}.values()]


def _decoder(config: Mapping[str, Any], where: str) -> dict[str, Any]:
    try:
        decoder = decoder_of(config)
    except ValueError as error:
        raise SlmError(
            "unsupported", f"{where} has an encoder and a decoder that differ by {error}"
        ) from None
    if decoder is None:
        raise SlmError("bad_file", f"{where} has no encoder with a text_config or no decoder")
    return decoder


def _given(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if value is not None}


def _of_layer(layers: Layers | None, i: int, n_head: int) -> dict[Dimension, int]:
    """The sizes that a layer has for itself."""
    if layers is None:
        return {}
    head = layers.head_dims[i]
    return {
        "ff": layers.n_ffs[i], "q": n_head * head, "kv": layers.n_heads_kv[i] * head, "head": head,
    }  # fmt: skip


def _windows(family: Family, n_layer: int, window: int) -> tuple[int, ...]:
    # A model that embeds keeps all of a text, whatever its tokens see of it; a prompt that an
    # encoder has read stays, too.
    if family.recurs or family.windowed:
        return (window,) * n_layer
    period = (0 if family.embeds or family.encoder else family.window_pattern) or 1
    return tuple(0 if (i + 1) % period == 0 else window for i in range(n_layer))


def _windows_of(family: Family, local: Sequence[bool], window: int) -> tuple[int, ...]:
    """The same, where each layer says whether it has one."""
    return tuple(window if is_local and not family.embeds else 0 for is_local in local)


def _from_gguf(path: Path) -> Shape:
    from ..core.model import Model

    with Model.open(path, weights=False) as model:
        info: dict[str, Any] = dict(model.info)
    name = path.name
    missing = [key for key in ("n_ctx_train", "n_vocab", "n_embd", "n_layer", "n_head", "n_ff")
               if not info.get(key)]  # fmt: skip
    architecture = info["architecture"]
    family = _BY_ARCHITECTURE.get(architecture)
    if family is None:
        raise SlmError(
            "unsupported",
            f"{name} is of the architecture {architecture!r}, which does not run here; "
            + (advice(architecture) or "supported are " + ", ".join(_BY_ARCHITECTURE)),
        )
    tensors = tuple(
        Tensor(t["name"], math.prod(t["shape"][1:]), t["shape"][0], t["type"])
        for t in info["tensors"]
    )
    if missing or not any(t.name == "token_embd.weight" for t in tensors):
        raise SlmError(
            "bad_file", f"{name} does not state {', '.join(missing) or 'its token embedding'}; "
            "convert the model again",
        )  # fmt: skip
    n_head = info["n_head"]
    # The file may have keys and values of layers that attend to others', which are left out.
    own = range(info["n_layer"] - (info["n_shared"] or 0))
    keys = {
        i: t.rows
        for i in range(info["n_layer"])
        for t in tensors
        if t.name == f"blk.{i}.attn_k.weight"
    }
    if family.layered:
        unused = {
            f"blk.{i}.{name}.weight"
            for i in range(own.stop, info["n_layer"])
            for name in ("attn_k", "attn_v", "attn_k_norm")
        }
        tensors = tuple(t for t in tensors if t.name not in unused)
    return Shape(
        architecture=architecture,
        n_ctx_train=min(info["n_ctx_train"], MOST_TOKENS if family.embeds else info["n_ctx_train"]),
        n_vocab=info["n_vocab"],
        n_embd=info["n_embd"],
        n_layer=info["n_layer"],
        n_head=n_head,
        n_head_kv=info["n_head_kv"] or n_head,
        head_dim=info["head_dim"] or info["n_embd"] // n_head,
        n_ff=info["n_ff"],
        windows=_windows(
            family,
            info["n_layer"] - sum(t.is_convolution for t in tensors),
            info["sliding_window"] or 0,
        )
        if not family.layered
        else _windows_of(family, [info["local_layers"][i] for i in own], info["sliding_window"]),
        kv=tuple(keys[i] for i in own) if family.layered else (),
        rotated=(info["rope_dims"] or info["head_dim"] or info["n_embd"] // n_head)
        if family.rotary_share is None
        else 0,
        tensors=tensors,
        header_bytes=sum(
            min((t["offset"] for t in info["tensors"] if t["file"] == i), default=0)
            for i in range(info["files"])
        ),
        encoder=_encoder_of(path),
    )


def _encoder_of(path: Path) -> Encoder | None:
    """Of a file that merely lies beside the model and cannot be read, there is none."""
    found = encoder_of(path)
    if found is None:
        return None
    try:
        return encoder.from_gguf(found)
    except SlmError:
        if is_pack(path):
            raise
        return None
