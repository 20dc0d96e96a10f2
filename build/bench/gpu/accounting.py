"""What the dispatches of one token read of the weights, from their own records.

A record says which rows of how many blocks an operation reads in which layout, and its grid how
often; what else is read (activations, cached keys, norms) is small or shared, and is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from script import BuildError
from shader_tables import GpuInterface, Operation, read_interface
from slmweb.generated.abi import TENSOR_TYPES
from slmweb.plan.gpu import BLOCK_BYTES

_HEAD = 5  # operation, format, grid
_NAMES = {kind.id: name for name, kind in TENSOR_TYPES.items()}
_GROUP = 4  # rows that lie together


@dataclass(frozen=True)
class Record:
    """One dispatch, its fields by the names that the shader gives them."""

    operation: str
    format: int
    grid: tuple[int, ...]
    fields: dict[str, tuple[int, ...]]

    def number(self, name: str) -> int:
        return self.fields[name][0]


# Rows of weights that an operation reads, each as often as its workgroups do.
_ROWS: dict[str, Callable[[Record], int]] = {
    "block_matmul": lambda r: r.number("rows") * r.grid[1],
    "embed": lambda r: r.number("n"),
    "matmul": lambda r: _whole(r.number("rows")) * r.grid[1],
    "matvec": lambda r: _products(r),
    "matvec_dot8": lambda r: _products(r),
    "matvec_lane": lambda r: _products(r) * r.grid[2],
    "matvec_subgroup": lambda r: _products(r),
}


def weight_bytes(records: Sequence[Sequence[int]]) -> float:
    """Bytes of weights that dispatches read, in the device's layout."""
    total = 0.0
    for record in map(parse, records):
        if _operation(record.operation).format:
            rows = _ROWS.get(record.operation)
            if rows is None:
                raise BuildError(f"it is not known how {record.operation} reads weights")
            blocks = record.number("blocks")
            total += rows(record) * blocks * BLOCK_BYTES[_NAMES[record.format]]
    return total


def counts(records: Sequence[Sequence[int]]) -> dict[str, int]:
    """Dispatches by operation, most first."""
    return dict(Counter(parse(record).operation for record in records).most_common())


def parse(words: Sequence[int]) -> Record:
    operation = _interface().operations[words[0]]
    if len(words) != operation.words:
        raise BuildError(
            f"expected {operation.words} words of {operation.name}, found {len(words)}; the core "
            "and its tables differ, run `make wasm`"
        )
    fields: dict[str, tuple[int, ...]] = {}
    at = _HEAD
    sizes = [(override.name, 1) for override in operation.overrides]
    sizes += [(buffer.name, 1) for buffer in operation.buffers]
    sizes += [(member.name, member.words) for member in operation.params]
    for name, size in sizes:
        fields[name] = tuple(words[at : at + size])
        at += size
    return Record(operation.name, words[1], tuple(words[2:_HEAD]), fields)


def _products(record: Record) -> int:
    rows = record.fields["rows"][: record.number("PRODUCTS")]
    return sum(map(_whole, rows))


def _whole(rows: int) -> int:
    return -(-rows // _GROUP) * _GROUP


@cache
def _interface() -> GpuInterface:
    return read_interface(())


def _operation(name: str) -> Operation:
    return next(one for one in _interface().operations if one.name == name)
