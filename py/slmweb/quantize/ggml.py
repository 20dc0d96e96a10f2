"""ggml's quantizers, called in the library that llama-cpp-python brings along.

Owns the finding of the library and its one function. llama-cpp-python is an
optional extra; whoever needs it without having it is told how to get it.
"""

from __future__ import annotations

import contextlib
import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import SlmError
from ..generated.abi import TensorType

_FUNCTION = "ggml_quantize_chunk"


def require() -> None:
    """Raises SlmError "missing_extra" unless `quantize` can be used."""
    _quantize_chunk()


def quantize(
    values: npt.NDArray[np.float32],
    kind: TensorType,
    importance: npt.NDArray[np.float32] | None = None,
) -> bytes:
    """The blocks of float32 [rows, columns] by ggml_quantize_chunk.

    `importance` [columns] weighs the squared error of each column.
    Raises SlmError "missing_extra".
    """
    function = _quantize_chunk()
    rows, columns = values.shape
    source = np.ascontiguousarray(values, np.float32)
    out = np.empty(rows * columns // kind.block_size * kind.block_bytes, np.uint8)
    weights = None if importance is None else np.ascontiguousarray(importance, np.float32)
    assert weights is None or weights.shape == (columns,)
    written = function(
        kind.id,
        source.ctypes.data,
        out.ctypes.data,
        0,
        rows,
        columns,
        None if weights is None else weights.ctypes.data,
    )
    assert written == out.nbytes, (kind.name, written, out.nbytes)
    return out.tobytes()


@cache
def _quantize_chunk() -> Any:
    """size_t ggml_quantize_chunk(type, src, dst, start, nrows, n_per_row, imatrix)."""
    try:
        import llama_cpp
    except ImportError:
        raise SlmError(
            "missing_extra",
            "K-quants, IQ4_NL and importance matrices are computed by llama-cpp-python, which is "
            'not installed; run `pip install "slmweb[llama]"`, or choose one of '
            "F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 without a matrix",
        ) from None
    except Exception as error:  # its loader raises whatever ctypes does
        raise SlmError(
            "missing_extra", f"llama-cpp-python does not load ({error}); install it again"
        ) from None
    folder = Path(llama_cpp.__file__).parent / "lib"
    # The function is in ggml-base; on some systems also visible through ggml.
    for library in sorted(folder.glob("*ggml-base*")) + sorted(folder.glob("*ggml.*")):
        with contextlib.suppress(OSError, AttributeError):
            function = getattr(ctypes.CDLL(str(library)), _FUNCTION)
            function.restype = ctypes.c_size_t
            pointer, count = ctypes.c_void_p, ctypes.c_int64
            function.argtypes = [ctypes.c_int, pointer, pointer, count, count, count, pointer]
            return function
    raise SlmError(
        "missing_extra",
        f"llama-cpp-python {llama_cpp.__version__} has no {_FUNCTION} in {folder}; "
        "install the version that slmweb[llama] asks for",
    )
