"""The references that quantized models are compared with, made from quantized files.

The only real models at hand are quantized already. Their dequantized weights lie
on the grid of the source's type, block by block, so that this type and finer ones
would seem to cost nothing. The blocks are arbitrary, though: they are 32 or 256
neighbouring inputs, and the order of a model's inputs means nothing. So the inputs
are shuffled, for the residual stream, the feed-forward's hidden units and the
values within a head, in every tensor alike. The model computes the very same
function, its weights have the same distribution, and no block lies on a grid any
more. It is written in F16, as checkpoints are. Owns this shuffle and knows the
tensor names of the families that it is used on, llama and gemma3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from slmweb.atomic import atomic_file
from slmweb.core.files import ByteFile
from slmweb.core.loading import TensorInfo
from slmweb.core.model import Model
from slmweb.generated.abi import TENSOR_TYPES
from slmweb.quantize import codec, container
from slmweb.quantize.choice import is_matrix

Order = npt.NDArray[np.int64]

SLAB = 4 << 20  # values at a time
SEED = 270

# The norms over the residual stream; those of queries and keys are per head.
_NORMS = ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm", "output_norm")


@dataclass(frozen=True)
class Shuffle:
    """New orders of a model's inner dimensions."""

    residual: Order  # (n_embd)
    hidden: list[Order]  # (n_ff) per layer
    values: list[Order]  # (n_head_kv * head_dim) per layer, each head within itself
    attended: list[Order]  # (n_head * head_dim): the same, for the heads that share the values

    def of(self, name: str) -> tuple[Order | None, Order | None]:
        """The orders of a tensor's rows and columns; None leaves them."""
        layer, _, part = name.removesuffix(".weight").removeprefix("blk.").rpartition(".")
        i = int(layer or 0)
        if part in ("token_embd", "output", "attn_q", "attn_k", *_NORMS):
            return None, self.residual
        return {
            "attn_v": (self.values[i], self.residual),
            "attn_output": (self.residual, self.attended[i]),
            "ffn_gate": (self.hidden[i], self.residual),
            "ffn_up": (self.hidden[i], self.residual),
            "ffn_down": (self.residual, self.hidden[i]),
            "attn_q_norm": (None, None),
            "attn_k_norm": (None, None),
        }[part]


def draw_shuffle(model: Model) -> Shuffle:
    """The same for the same model every time."""
    info = model.info
    random = np.random.Generator(np.random.PCG64(SEED))
    shapes = {tensor["name"]: tensor["shape"] for tensor in info["tensors"]}
    n_embd, n_ff = shapes["blk.0.ffn_gate.weight"]
    n_head, n_head_kv = info["n_head"] or 1, info["n_head_kv"] or info["n_head"] or 1
    head_dim = shapes["blk.0.attn_output.weight"][0] // n_head
    hidden, values, attended = [], [], []
    for _ in range(info["n_layer"] or 0):
        hidden.append(random.permutation(n_ff))
        heads = [random.permutation(head_dim) for _ in range(n_head_kv)]
        values.append(np.concatenate([h * head_dim + order for h, order in enumerate(heads)]))
        shared = [heads[h * n_head_kv // n_head] for h in range(n_head)]
        attended.append(np.concatenate([h * head_dim + order for h, order in enumerate(shared)]))
    return Shuffle(random.permutation(n_embd), hidden, values, attended)


def make_reference(source: Path, out: Path) -> None:
    """Writes the shuffled F16 checkpoint of a quantized model."""
    with Model.open(source, weights=False) as model:
        infos = model.info["tensors"]
        shuffle = draw_shuffle(model)
    f16, f32 = TENSOR_TYPES["F16"], TENSOR_TYPES["F32"]
    tensors = [
        container.Tensor(
            t["name"], tuple(t["shape"]), f16 if is_matrix(t["name"], t["shape"]) else f32
        )
        for t in infos
    ]
    metadata = container.read_metadata(source) | {"general.file_type": container.u32(1)}
    with ByteFile(source) as file, atomic_file(out) as target:
        data = (
            _shuffled(file, info, to, *shuffle.of(to.name))
            for info, to in zip(infos, tensors, strict=True)
        )
        container.write(target, metadata, tensors, data)


def _shuffled(
    file: ByteFile,
    info: TensorInfo,
    to: container.Tensor,
    row_order: Order | None,
    column_order: Order | None,
) -> Iterator[bytes]:
    data = bytearray(info["size"])
    file.read_into(memoryview(data), info["offset"])
    rows = np.frombuffer(data, np.uint8).reshape(to.rows, -1)
    step = max(1, SLAB // to.columns)
    for first in range(0, to.rows, step):
        wanted = np.arange(first, min(first + step, to.rows))
        if row_order is not None:
            wanted = row_order[wanted]
        values = codec.decode(rows[wanted].tobytes(), TENSOR_TYPES[info["type"]], to.columns)
        if column_order is not None:
            values = np.ascontiguousarray(values[:, column_order])
        yield codec.encode(values, to.type)
