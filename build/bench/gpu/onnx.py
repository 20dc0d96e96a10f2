"""One step of a llama-shaped decoder as ONNX, with random 4-bit weights, for onnxruntime.

Products are MatMulNBits in blocks of 32, as models for onnxruntime are exported; attention looks at
keys and values that are part of the file, without RoPE and without a cache that grows, which is
less work than a real step. A file of ONNX is a few messages of protobuf; these are written here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from slmweb.plan.shape import Shape

_FLOAT, _UINT8, _INT64 = 1, 2, 7  # TensorProto.DataType
_DTYPES = {np.dtype(np.float32): _FLOAT, np.dtype(np.uint8): _UINT8, np.dtype(np.int64): _INT64}
_FLOAT_ATTRIBUTE, _INT_ATTRIBUTE, _INTS_ATTRIBUTE = 1, 2, 7  # AttributeProto.AttributeType
_BLOCK = 32
_CONTRIBUTED = "com.microsoft"

Value = int | float | Sequence[int]


def write_decoder(shape: Shape, path: Path, n_past: int) -> int:
    """Writes a model from "x" [1, 1, n_embd] to "logits"; returns the bytes of its weights."""
    graph = _Graph()
    x = "x"
    for i in range(shape.n_layer):
        at = f"l{i}."
        normed = graph.norm(at + "n1", x, shape.n_embd)
        mixed = _attention(graph, at, normed, shape, n_past)
        x = graph.node("Add", [x, graph.product(at + "o", mixed, shape.n_embd, shape.n_embd)])
        normed = graph.norm(at + "n2", x, shape.n_embd)
        gate, up = (graph.product(at + w, normed, shape.n_embd, shape.n_ff) for w in ("g", "u"))
        silu = graph.node("Mul", [gate, graph.node("Sigmoid", [gate])])
        down = graph.product(at + "d", graph.node("Mul", [silu, up]), shape.n_ff, shape.n_embd)
        x = graph.node("Add", [x, down])
    normed = graph.norm("n", x, shape.n_embd)
    graph.product("head", normed, shape.n_embd, shape.n_vocab, out="logits")
    ends = {"x": shape.n_embd, "logits": shape.n_vocab}
    path.write_bytes(graph.model(ends))
    return graph.weight_bytes


def _attention(graph: _Graph, at: str, x: str, shape: Shape, n_past: int) -> str:
    """One token's, over `n_past` positions of the file. Its own key and value are added to the
    result, so that they are computed."""
    heads, dim, n_kv = shape.n_head, shape.head_dim, shape.n_head_kv * shape.head_dim
    q = graph.product(at + "q", x, shape.n_embd, heads * dim)
    k, v = (graph.product(at + w, x, shape.n_embd, n_kv) for w in ("k", "v"))
    query = graph.node("Reshape", [q, graph.constant("heads", np.array([heads, 1, dim]))])
    keys = graph.random(at + "keys", (heads, dim, n_past))
    scores = graph.node("Softmax", [graph.node("MatMul", [query, keys])], axis=-1)
    values = graph.random(at + "values", (heads, n_past, dim))
    mixed = graph.node("MatMul", [scores, values])
    row = graph.node("Reshape", [mixed, graph.constant("row", np.array([1, 1, heads * dim]))])
    own = graph.node("Concat", [k, v, k][: heads * dim // n_kv], axis=-1)
    return graph.node("Add", [row, own])


class _Graph:
    def __init__(self) -> None:
        self.weight_bytes = 0
        self._nodes: list[bytes] = []
        self._tensors: dict[str, bytes] = {}
        self._random = np.random.default_rng(1)

    def node(
        self,
        kind: str,
        inputs: Sequence[str],
        *,
        domain: str = "",
        out: str = "",
        **attributes: Value,
    ) -> str:
        out = out or f"v{len(self._nodes)}"
        message = _strings(1, inputs) + _strings(2, [out]) + _strings(3, [f"n{len(self._nodes)}"])
        message += _strings(4, [kind]) + _strings(7, [domain] if domain else [])
        message += b"".join(_field(5, _attribute(*item)) for item in attributes.items())
        self._nodes.append(message)
        return out

    def norm(self, name: str, x: str, width: int) -> str:
        weight = self.constant(name, np.ones(width, np.float32))
        return self.node("SimplifiedLayerNormalization", [x, weight], axis=-1, epsilon=1e-5)

    def product(self, name: str, x: str, columns: int, rows: int, out: str = "") -> str:
        blocks = columns // _BLOCK
        bits = self._random.integers(0, 256, (rows, blocks, _BLOCK // 2), np.uint8)
        scales = np.full(rows * blocks, 1 / (4.6 * columns**0.5), np.float32)
        self.weight_bytes += bits.nbytes + scales.nbytes
        inputs = [x, self.constant(name + ".bits", bits), self.constant(name + ".scales", scales)]
        size = {"K": columns, "N": rows, "bits": 4, "block_size": _BLOCK}
        return self.node("MatMulNBits", inputs, domain=_CONTRIBUTED, out=out, **size)

    def random(self, name: str, shape: tuple[int, ...]) -> str:
        return self.constant(name, self._random.standard_normal(shape, np.float32))

    def constant(self, name: str, values: NDArray[np.generic]) -> str:
        if name not in self._tensors:
            message = b"".join(_number(1, n) for n in values.shape)
            message += _number(2, _DTYPES[values.dtype]) + _strings(8, [name])
            self._tensors[name] = message + _field(9, values.tobytes())
        return name

    def model(self, ends: dict[str, int]) -> bytes:
        """ModelProto; of the two `ends` one is the input, the other the output."""
        graph = b"".join(_field(1, node) for node in self._nodes) + _strings(2, ["decoder"])
        graph += b"".join(_field(5, tensor) for tensor in self._tensors.values())
        for number, (name, width) in zip((11, 12), ends.items(), strict=True):
            sizes = b"".join(_field(1, _number(1, n)) for n in (1, 1, width))
            kind = _field(1, _number(1, _FLOAT) + _field(2, sizes))
            graph += _field(number, _strings(1, [name]) + _field(2, kind))
        sets = [_number(2, 17), _strings(1, [_CONTRIBUTED]) + _number(2, 1)]
        return _number(1, 8) + b"".join(_field(8, one) for one in sets) + _field(7, graph)


# ---- protobuf -------------------------------------------------------------


def _attribute(name: str, value: Value) -> bytes:
    message = _strings(1, [name])
    if isinstance(value, float):
        bits = np.float32(value).tobytes()
        return message + _varint(2 << 3 | 5) + bits + _number(20, _FLOAT_ATTRIBUTE)
    if isinstance(value, int):
        return message + _number(3, value) + _number(20, _INT_ATTRIBUTE)
    return message + b"".join(_number(8, n) for n in value) + _number(20, _INTS_ATTRIBUTE)


def _strings(number: int, values: Sequence[str]) -> bytes:
    return b"".join(_field(number, value.encode()) for value in values)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value & (1 << 64) - 1)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
