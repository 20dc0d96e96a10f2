"""How much work a token is, from the shapes and sizes of the GGUF's tensors.

A multiply-accumulate belongs to a two-dimensional weight; norms, rope and attention itself (which
grows with the context, and is below a tenth of the rest at these lengths) are left out, so
achieved rates are slightly understated. It does not know how an engine stores the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gguf import GGUFReader


@dataclass(frozen=True)
class Work:
    layer_macs: int
    layer_bytes: int
    head_macs: int
    head_bytes: int

    def prefill_macs(self, n_tokens: int) -> int:
        """The head is needed for the last position only."""
        return n_tokens * self.layer_macs + self.head_macs

    @property
    def decode_macs(self) -> int:
        return self.layer_macs + self.head_macs

    @property
    def decode_bytes(self) -> int:
        """Weights read for one token; the embedding row that is looked up is next to nothing."""
        return self.layer_bytes + self.head_bytes


def work_of(path: Path) -> Work:
    tensors = {tensor.name: tensor for tensor in GGUFReader(path).tensors}
    # A tied model multiplies by the embedding table; an untied one only looks rows up in it.
    head = tensors.get("output.weight", tensors["token_embd.weight"])
    layers = [t for t in tensors.values() if t.name.startswith("blk.") and len(t.shape) == 2]
    return Work(
        layer_macs=sum(int(t.n_elements) for t in layers),
        layer_bytes=sum(int(t.n_bytes) for t in layers),
        head_macs=int(head.n_elements),
        head_bytes=int(head.n_bytes),
    )
