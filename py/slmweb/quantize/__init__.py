"""From one tensor type to another: quantizing, importance matrices, and the web recipe.

  quantize(Path("model-f16.gguf"), Path("model-q4_0.gguf"), type="Q4_0")

Each step is a module: `container` (GGUF's bytes), `codec` (values to blocks),
`ggml` (the optional library behind K-quants), `imatrix`, `recipes` (the measured
mixes), `choice` (which tensor gets which type), `quantize` (all of it, streaming).
"""

from .choice import Override
from .imatrix import ImportanceMatrix
from .quantize import Fallback, Quantized, quantize

__all__ = ["Fallback", "ImportanceMatrix", "Override", "Quantized", "quantize"]
