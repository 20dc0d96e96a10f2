"""Makes a GGUF of another quantization from one that is quantized already, as
the benchmark needs it (SmolLM2 in Q4_0). Quality is lost twice, so this is for
measuring speed only.

    .venv-goldens/bin/python tests/goldens/requantize.py IN.gguf OUT.gguf Q4_0

A script, so that the benchmark can run it in an environment of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.goldens.llama_cpp_reference import quantize

if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: requantize.py IN.gguf OUT.gguf TYPE (as in LLAMA_FTYPE_MOSTLY_<TYPE>)")
    quantize(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
