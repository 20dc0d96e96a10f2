"""Makes a GGUF of another quantization from one that is quantized already, as
the benchmark needs it (SmolLM2 in Q4_0). Quality is lost twice, so this is for
measuring speed only.

    .venv-goldens/bin/python tests/goldens/requantize.py IN.gguf OUT.gguf Q4_0
"""

from __future__ import annotations

import sys
from pathlib import Path

import llama_cpp_reference as reference

if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: requantize.py IN.gguf OUT.gguf TYPE (as in LLAMA_FTYPE_MOSTLY_<TYPE>)")
    reference.quantize(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
