"""Which tensor becomes which type.

Owns the classes of tensors that recipes speak of, overrides by pattern, and what
happens where a row is not a whole number of blocks. Knows names and shapes only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from ..errors import SlmError
from ..generated.abi import TENSOR_TYPES, TensorType

# The matrices of every family, by how much their precision matters together.
CLASSES: Final[Mapping[str, tuple[str, ...]]] = {
    "embedding": ("token_embd", "output"),
    "attn_kv": (
        "attn_k",
        "attn_v",
        "rec_input_gate",
        "rec_recurrence_gate",
        "ssm_alpha",
        "ssm_beta",
    ),
    "attn_qo": (
        "attn_q",
        "attn_output",
        "rec_gate",
        "rec_in",
        "rec_out",
        "in_proj",
        "out_proj",
        "attn_qkv",
        "attn_gate",
        "ssm_in",
        "ssm_out",
    ),
    "ffn_in": ("ffn_gate", "ffn_up", "inp_gate"),
    "ffn_down": ("ffn_down", "proj"),
}

# Gemma 4's embeddings of each layer: half of the model, of which a token reads a row.
ROW_TABLE: Final = "per_layer_token_embd.weight"
# Their error goes through a norm and a gate. On seeded checkpoints four bits of them cost as much
# as five of the feed-forward's matrices, and eight bits as little as anybody's.
_OF_TABLE: Final[Mapping[str, str]] = {"Q5_1": "Q4_1", "Q5_0": "Q4_0"}
# What llama.cpp leaves as it is, being small: what makes each layer's embeddings of a token's own,
# and Gemma 3n's products of low rank and those that mix its residuals.
_KEPT: Final = ("per_layer_model_proj.weight", "altup_*", "*.altup_*", "*.laurel_*")


def is_kept(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in _KEPT)


# For rows that 256 does not divide, as llama.cpp does it: the next larger type
# with blocks of 32. What 32 does not divide either stays in F16.
_FALLBACKS = {"Q2_K": "Q4_0", "Q3_K": "Q4_0", "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}


# Indices into a table, four bits each in memory whatever the file has: what IQ4_NL takes, which
# is better and so is what to choose instead.
INDEXED = ("IQ4_XS", "IQ3_S", "IQ3_XXS", "IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ1_M", "IQ1_S",
           "TQ2_0", "TQ1_0")  # fmt: skip
# Published files hold them. MXFP4 and Q1_0 are what a model was trained for; for others IQ4_NL
# and Q2_K are better.
READ_ONLY = (*INDEXED, "MXFP4", "Q1_0")
TARGETS = tuple(name for name in TENSOR_TYPES if name not in READ_ONLY)


@dataclass(frozen=True)
class Override:
    """Matrices whose name matches `pattern` (a glob: `*`, `?`, `[…]`) become `type`."""

    pattern: str
    type: TensorType


@dataclass(frozen=True)
class Choice:
    """What one tensor becomes; `wanted` differs where the row did not allow it."""

    type: TensorType
    wanted: TensorType


def tensor_type(name: str) -> TensorType:
    """The type of that name, in any case. Raises SlmError "invalid_argument"."""
    found = TENSOR_TYPES.get(name.upper())
    if found is None or found.name in READ_ONLY:
        hint = ""
        if found is not None:
            hint = " to write (files that have it are read)"
        if name.upper().endswith(("_K_S", "_K_M", "_K_L")):
            hint = f" ({name.upper()} is a mix of llama.cpp's; its main type is {name[:4].upper()})"
        raise SlmError(
            "invalid_argument",
            f"there is no tensor type {name!r}{hint}; choose web or one of {', '.join(TARGETS)}",
        )
    return found


def parse_override(text: str) -> Override:
    """`PATTERN=TYPE`. Raises SlmError "invalid_argument"."""
    pattern, equals, kind = text.rpartition("=")
    if not equals or not pattern:
        raise SlmError(
            "invalid_argument",
            f"the override {text!r} is not PATTERN=TYPE, as in 'blk.*.ffn_down.weight=Q6_K'",
        )
    return Override(pattern, tensor_type(kind))


def tensor_class(name: str) -> str:
    """The class of a matrix; of one that no family knows, the most careful one."""
    part = name.removesuffix(".weight").rpartition(".")[2]
    for kind, parts in CLASSES.items():
        if part in parts:
            return kind
    return "embedding"


def table_type(ffn_in: TensorType) -> TensorType:
    """Of ROW_TABLE in a mix that has `ffn_in` for that class."""
    return TENSOR_TYPES[_OF_TABLE.get(ffn_in.name, ffn_in.name)]


# Of an encoder of pictures: what is convolved, positions that are added, and a projection that some
# files hold turned around, as llama.cpp leaves them; and the decoder of masks, which is read as it
# is. They are small.
_KEPT_OF_ENCODERS = ("v.patch_embd.*", "v.position_embd.*", "mm.input_projection.*", "masks.*")


def kept_of_encoder(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in _KEPT_OF_ENCODERS)


# Columns of a convolution's taps: Convolution::kMaxTaps. No product has as few.
MOST_TAPS = 8


def is_matrix(name: str, shape: Sequence[int]) -> bool:
    """Vectors (norms, biases, frequencies) stay in F32, norms by groups among them, and the few
    taps of convolutions; the core takes no other. `shape` has the fastest dimension first."""
    return len(shape) > 1 and shape[0] > MOST_TAPS and not name.endswith(".ssm_norm.weight")


def fitting(kind: TensorType, columns: int) -> TensorType:
    """`kind`, or what replaces it where a row is not whole blocks."""
    while columns % kind.block_size != 0:
        kind = TENSOR_TYPES[_FALLBACKS.get(kind.name, "F16")]
    return kind


def choose(
    shapes: Mapping[str, Sequence[int]],
    wanted: Callable[[str], TensorType],
    overrides: Sequence[Override] = (),
) -> dict[str, Choice]:
    """The type of every tensor; `shapes` has the fastest dimension first.

    `wanted` tells the type of a matrix by its name; the last override that
    matches goes before it. Raises SlmError "invalid_argument" for an override
    that matches no matrix.
    """
    matrices = [name for name, shape in shapes.items() if is_matrix(name, shape)]
    for override in overrides:
        if not any(fnmatchcase(name, override.pattern) for name in matrices):
            raise SlmError(
                "invalid_argument",
                f"the pattern {override.pattern!r} matches no matrix of the model; names are like "
                f"{matrices[len(matrices) // 2] if matrices else 'blk.0.attn_q.weight'!r}, and "
                "`slmweb inspect` lists them",
            )
    choices = {}
    for name, shape in shapes.items():
        kind = TENSOR_TYPES["F32"]
        if is_matrix(name, shape):
            kind = wanted(name)
            for override in overrides:
                if fnmatchcase(name, override.pattern):
                    kind = override.type
        choices[name] = Choice(fitting(kind, shape[0]), kind)
    return choices
