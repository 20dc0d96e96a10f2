"""The code books of the IQ types as a C++ header: which values stand together.

They are data, not code: chosen once by ggml's authors, and every file of these
types is written by them. Read from the package `gguf`, whose decoders are what
the core's are held to. Indices of the values are packed, the first lowest: two
bits for each of eight, or three bits for each of four.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gguf import quants

GRIDS: dict[str, Any] = {
    "kGrid2Xxs": quants.IQ2_XXS,
    "kGrid2Xs": quants.IQ2_XS,
    "kGrid2S": quants.IQ2_S,
    "kGrid3Xxs": quants.IQ3_XXS,
    "kGrid3S": quants.IQ3_S,
    "kGrid1": quants.IQ1_S,
}


def words(kind: Any) -> list[int]:
    """One word for each entry of the book."""
    kind.init_grid()
    grid = np.asarray(kind.grid).reshape(kind.grid_shape)
    index = np.argmax(grid[..., None] == np.asarray(kind.grid_map), axis=-1)
    together = grid.shape[1]
    bits = {8: 2, 4: 3}[together]
    return [int(word) for word in (index << bits * np.arange(together)).sum(1)]


def grids_h(origin: str) -> str:
    """The header; `origin` is its first line."""
    parts = [origin, "// What the numbers are, build/grids.py says.", "#pragma once", ""]
    parts += ["#include <cstdint>", "", "namespace slm {", ""]
    for name, kind in GRIDS.items():
        values = [f"{w:#x}," for w in words(kind)]
        lines = [" ".join(values[i : i + 12]) for i in range(0, len(values), 12)]
        parts += ["// clang-format off", f"inline constexpr uint16_t {name}[{len(values)}] = {{"]
        parts += [f"    {line}" for line in lines] + ["};", "// clang-format on", ""]
    return "\n".join([*parts, "} // namespace slm", ""])
