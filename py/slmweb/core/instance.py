"""One running instance of the compiled core, called by the names of slm.h.

Owns wasmtime: the choice of variant, compilation and its cache, linear memory,
and the translation of a negative status or a trap into SlmError. Knows nothing
of what the functions do, and takes their signatures from the generated table.
Only the single-threaded variants run here: the binding has no shared memory.
The variant `webgpu` gets a GPU that does nothing: with it one may ask what a
model takes on a device, also one too large for linear memory, and compute nothing.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import wasmtime

from .. import paths
from ..errors import Code, SlmError
from ..generated.abi import FUNCTIONS, Status

Variant = Literal["relaxed", "simd"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)  # best first

U32 = 0xFFFFFFFF
# The largest binding that every device has. What is too large for it is cut into parts.
LEAST_BINDING = 1 << 27

_STATUS_CODES: dict[int, Code] = {
    Status.INVALID_ARGUMENT: "invalid_argument",
    Status.BAD_FILE: "bad_file",
    Status.UNSUPPORTED: "unsupported",
    Status.OUT_OF_MEMORY: "out_of_memory",
    Status.CONTEXT_FULL: "context_full",
    Status.WRONG_STATE: "wrong_state",
}


@cache
def _engine() -> wasmtime.Engine:
    config = wasmtime.Config()
    config.wasm_relaxed_simd = True
    # Compiling the core takes a second or two. wasmtime's own cache is keyed by
    # the module and the configuration and cleans up after itself; where the
    # user's cache folder cannot be used, every start compiles.
    with contextlib.suppress(wasmtime.WasmtimeError):
        config.cache = True
    return wasmtime.Engine(config)


def choose_variant(folder: Path | None = None) -> Variant:
    """The best variant that is built and that this machine's wasmtime accepts.

    Raises SlmError "not_built".
    """
    for variant in VARIANTS:
        with contextlib.suppress(SlmError, wasmtime.WasmtimeError):
            wasmtime.Module.validate(_engine(), paths.wasm_file(variant, folder).read_bytes())
            return variant
    paths.wasm_file(VARIANTS[-1], folder)
    raise SlmError(
        "not_built",
        f"this wasmtime accepts none of the variants {', '.join(VARIANTS)}; "
        f"{paths.how_to_get('make wasm')}",
    )


class Instance:
    """The core, ready to be called. Use it from one thread at a time.

    `wasm` is a file to run instead of the shipped `variant`; `memory_limit` the bytes that its
    linear memory may grow to, by default 4 GiB.
    Raises SlmError "not_built" when there is no such file or it is not the core.
    """

    def __init__(
        self,
        variant: Variant | None = None,
        *,
        wasm: Path | None = None,
        memory_limit: int | None = None,
    ) -> None:
        self.path = wasm or paths.wasm_file(variant or choose_variant())
        self.store = wasmtime.Store(_engine())
        if memory_limit is not None:
            self.store.set_limits(memory_size=memory_limit)
        try:
            module = wasmtime.Module.from_file(_engine(), self.path)
            imports = [_idle(self.store, wanted) for wanted in module.imports]
            exports = wasmtime.Instance(self.store, module, imports).exports(self.store)
        except (OSError, wasmtime.WasmtimeError, wasmtime.Trap) as error:
            raise SlmError(
                "not_built",
                f"{self.path} is not a core that wasmtime can run ({_first_line(error)}); "
                f"{paths.how_to_get('make wasm')}",
            ) from None
        self.memory = _export(exports, "memory", wasmtime.Memory, self.path)
        self._functions = {
            name: _export(exports, name, wasmtime.Func, self.path) for name in FUNCTIONS
        }
        self._crash: SlmError | None = None
        initialize = exports.get("_initialize")
        if isinstance(initialize, wasmtime.Func):
            initialize(self.store)

    def call(self, name: str, *arguments: int | float) -> Any:
        """Calls a function of slm.h.

        Returns int for i32 (signed; see `pointer`), float for f32 and f64, None
        for void. Raises SlmError "crashed" on a trap, and ever after.
        """
        if self._crash is not None:
            raise self._crash
        kinds = FUNCTIONS[name][1]
        converted = [
            int(value) if kind == "i32" else float(value)
            for kind, value in zip(kinds, arguments, strict=True)
        ]
        try:
            return self._functions[name](self.store, *converted)
        except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
            self._crash = SlmError(
                "crashed",
                f"the core stopped in {name} ({_reason(error)}), which is a fault of slmweb; "
                "please report it with the file that caused it",
            )
            raise self._crash from None

    def check(self, name: str, *arguments: int | float) -> int:
        """Calls a function that returns a negative slm_status on error, which is raised."""
        result: int = self.call(name, *arguments)
        if result < 0:
            raise self.error(result)
        return result

    def pointer(self, name: str, *arguments: int | float) -> int:
        """Calls a function that returns an address; 0 is NULL."""
        return int(self.call(name, *arguments)) & U32

    def error(self, status: int) -> SlmError:
        """The error that belongs to a status that was just returned."""
        sentence = self.string(self.pointer("slm_error"))
        code = _STATUS_CODES.get(status, "crashed")
        return SlmError(code, sentence or f"the core reported status {status} without a reason")

    def build_info(self) -> dict[str, Any]:
        """slm_build_info, parsed."""
        info: dict[str, Any] = json.loads(self.string(self.pointer("slm_build_info")))
        return info

    def tune(self) -> None:
        """Times the core's dot-product forms, for want of a clock in there; takes the fastest."""
        count = self.check("slm_dot_count")
        if count < 2:
            return
        seconds = [float("inf")] * count
        # Alternating rounds and the best of them, so that a busy moment does
        # not decide.
        for _ in range(3):
            for form in range(count):
                start = time.perf_counter()
                self.check("slm_dot_bench", form, 1)
                seconds[form] = min(seconds[form], time.perf_counter() - start)
        self.check("slm_dot_select", seconds.index(min(seconds)))

    # Memory. Addresses are offsets; every access is checked against the size
    # of linear memory, because ctypes would not notice.

    @property
    def memory_bytes(self) -> int:
        """Size of linear memory, which only grows."""
        return int(self.memory.data_len(self.store))

    @contextlib.contextmanager
    def allocate(self, n: int) -> Iterator[int]:
        """The address of `n` bytes that are freed at the end.

        Raises SlmError "out_of_memory".
        """
        address = self.pointer("slm_alloc", max(1, n)) if n <= U32 else 0
        if address == 0:
            raise SlmError(
                "out_of_memory",
                f"the core could not allocate {n} bytes beside the {self.memory_bytes} "
                "that it has; use a smaller model or context",
            )
        try:
            yield address
        finally:
            if self._crash is None:
                self.call("slm_free", address)

    def view(self, address: int, n: int) -> memoryview:
        """Writable bytes [address, address + n); invalid after the next call."""
        if address < 0 or n < 0 or address + n > self.memory_bytes:
            raise SlmError(
                "crashed",
                f"the core named bytes {address} to {address + n} of a memory of "
                f"{self.memory_bytes}; please report it",
            )
        if n == 0:
            return memoryview(bytearray())
        return memoryview(self.memory.get_buffer_ptr(self.store, n, address)).cast("B")

    def array(self, address: int, count: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """A copy of `count` numbers at `address`."""
        kind = np.dtype(dtype)
        return np.frombuffer(self.view(address, count * kind.itemsize), kind).copy()

    def string(self, address: int) -> str:
        """The NUL-terminated text at `address`."""
        if address == 0:
            return ""
        room = self.memory_bytes - address
        length = min(room, 4096)
        while length > 0:
            text = bytes(self.view(address, length))
            if (nul := text.find(b"\0")) >= 0:
                return text[:nul].decode("utf-8", "replace")
            if length == room:
                break
            length = min(room, 4 * length)
        raise SlmError("crashed", f"the core named a text at {address} that has no end")


def _idle(store: wasmtime.Store, wanted: wasmtime.ImportType) -> wasmtime.Func:
    """An import that does nothing. What it returns is a limit, and as a handle as good as any."""
    kind = wanted.type
    if wanted.module != "gpu" or not isinstance(kind, wasmtime.FuncType):
        raise wasmtime.WasmtimeError(f"it imports {wanted.module}.{wanted.name}")
    result = LEAST_BINDING if kind.results else None
    return wasmtime.Func(store, kind, lambda *arguments: result)


def _export(exports: Any, name: str, kind: type[Any], path: Path) -> Any:
    found = exports.get(name)
    if not isinstance(found, kind):
        raise SlmError(
            "not_built",
            f"{path} does not export {name}, so it is not of this version; "
            f"{paths.how_to_get('make wasm')}",
        )
    return found


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _reason(error: BaseException) -> str:
    """wasmtime's own last line, which names the trap; the rest is a backtrace."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
