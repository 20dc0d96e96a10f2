"""A tensor without its values: what sizes and speeds are counted by. Names are GGUF's."""

from __future__ import annotations

from dataclasses import dataclass

from ..generated.abi import TENSOR_TYPES
from ..quantize.choice import MOST_TAPS, ROW_TABLE, is_matrix


@dataclass(frozen=True)
class Tensor:
    name: str
    rows: int
    columns: int
    type: str

    @property
    def is_matrix(self) -> bool:
        """Whether products read it, or it is looked up by rows; the rest stays float32."""
        # XLM-RoBERTa has one type of tokens, in a table all the same.
        several = self.rows > 1 or self.name == "token_types.weight"
        return several and is_matrix(self.name, (self.columns, self.rows))

    @property
    def is_table(self) -> bool:
        """Whether it is looked up by rows alone, and stays in linear memory as the file has it."""
        return self.name == ROW_TABLE

    @property
    def is_convolution(self) -> bool:
        few = self.rows > 1 and 1 < self.columns <= MOST_TAPS
        return few and ".altup_" not in self.name  # what mixes residuals is as small

    @property
    def elements(self) -> int:
        return self.rows * self.columns

    @property
    def file_bytes(self) -> int:
        kind = TENSOR_TYPES[self.type]
        return self.elements // kind.block_size * kind.block_bytes


# What llama.cpp writes instead of a K-quant for rows that are no multiple of 256.
_STAND_IN = {"Q2_K": "IQ4_NL", "Q3_K": "IQ4_NL", "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}


def fitting(kind: str, columns: int) -> str:
    """`kind`, or what stands in for it where rows are no multiple of its block."""
    if columns % TENSOR_TYPES[kind].block_size == 0:
        return kind
    stand_in = _STAND_IN.get(kind, "F16")
    return stand_in if columns % TENSOR_TYPES[stand_in].block_size == 0 else "F16"
