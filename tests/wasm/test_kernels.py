"""Every tensor type's kernel, in every dot product form of every variant, against
dequantize-then-multiply in float64, where gguf's own Python code dequantizes.

One table drives the cases: sizes straddle the vector width and the tile, block
counts straddle one. Two things are asked of a product: that it lies within what
the rounding of activations to 8 bits implies, and, more sharply, that it equals
the product with the rounded activations but for float32's own rounding. The way
through the loader and the ABI is tests/parity/test_matmul.py's.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import wasmtime
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

import compile as compiler
import generate
from script import DIST, ROOT
from tests.blocks import HALVES, TYPES, dequantize, put_half

F32 = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

ROWS = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17]
TOKENS = [1, 2, 3, 4, 5, 7, 8, 17]
BLOCKS = [1, 2, 3, 5]
EXACT = -1  # the form that rounds no activations


class Kernels:
    """tests/wasm/kernels.cpp linked with one variant's objects."""

    def __init__(self, variant: str) -> None:
        abi = generate.read_abi()
        chosen = next(v for v in abi.variants if v.name == variant)
        target = compiler.target(chosen, debug=False)
        compiler.build([target], abi)
        source, module = (
            Path(__file__).with_name("kernels.cpp"),
            DIST / f"test/kernels-{variant}.wasm",
        )
        module.parent.mkdir(parents=True, exist_ok=True)
        needed = ["allocator", "runtime", "indexed", "cpu/kernels/matmul"]
        objects = [target.objects / f"{name}.o" for name in needed]
        own = module.with_suffix(".o")
        includes = [f"-I{ROOT / 'wasm/include'}", f"-I{compiler.SOURCES}"]
        compiler.command(
            [
                *compiler.COMPILER, *compiler.COMMON, *compiler.SIMD[chosen.simd], "-Oz",
                *includes, "-c", str(source), "-o", str(own),
            ],
            f"{variant}: {source.name}",
        )  # fmt: skip
        # The exports are attributes here; with the variant's own link flags there is
        # no other library to build than the one that is there.
        bare = replace(abi, functions=())
        compiler.command(
            [*compiler.link_arguments(target, bare, [*objects, own]), "-o", str(module)],
            f"{variant}: linking {source.name}",
        )
        config = wasmtime.Config()
        config.wasm_relaxed_simd = True
        self._store = wasmtime.Store(wasmtime.Engine(config))
        instance = wasmtime.Instance(
            self._store, wasmtime.Module.from_file(self._store.engine, str(module)), []
        )
        self._exports = instance.exports(self._store)
        self.call("_initialize")

    def call(self, name: str, *arguments: int) -> int:
        function = self._exports[name]
        assert isinstance(function, wasmtime.Func)
        result = function(self._store, *arguments)
        return int(result or 0)

    def put(self, array: npt.NDArray[np.generic]) -> int:
        data = np.ascontiguousarray(array).tobytes()
        address = self.call("test_alloc", len(data))
        memory = self._exports["memory"]
        assert isinstance(memory, wasmtime.Memory)
        memory.write(self._store, data, address)
        return address

    def take(self, address: int, *shape: int) -> F32:
        memory = self._exports["memory"]
        assert isinstance(memory, wasmtime.Memory)
        data = memory.read(self._store, address, address + 4 * int(np.prod(shape)))
        return np.frombuffer(bytes(data), np.float32).reshape(shape)

    def multiply(
        self, form: int, kind: int, file: Bytes, rows: int, columns: int, x: F32, parts: int = 1
    ) -> F32:
        y = np.full((len(x), rows), np.nan, np.float32)
        at = [self.put(file), self.put(x), self.put(y)]
        groups = (rows + 3) // 4
        cuts = [groups * i // parts for i in range(parts + 1)]
        for begin, end in pairwise(cuts):
            self.call(
                "test_multiply", form, kind, at[0], rows, columns, at[1], len(x), at[2], begin, end
            )
        result = self.take(at[2], len(x), rows)
        for address in at:
            self.call("test_free", address)
        return result

    def dequantize(self, kind: int, file: Bytes, rows: int, columns: int) -> F32:
        at = [self.put(file), self.put(np.zeros((rows, columns), np.float32))]
        self.call("test_dequantize", kind, at[0], rows, columns, at[1])
        result = self.take(at[1], rows, columns)
        for address in at:
            self.call("test_free", address)
        return result


@pytest.fixture(scope="module", params=["simd", "relaxed"])
def kernels(request: pytest.FixtureRequest) -> Kernels:
    return Kernels(request.param)


def random_rows(name: str, rows: int, columns: int, rng: np.random.Generator) -> Bytes:
    """Valid rows of a type: any bytes are, but for floats that are not numbers.
    Scales are of either sign, and some are subnormal, as real Q6_K's are."""
    block, size = GGML_QUANT_SIZES[GGMLQuantizationType[name]]
    if name not in HALVES:
        values = rng.normal(size=(rows, columns)).astype(np.float32)
        if name == "F16":
            return values.astype(np.float16).view(np.uint8)
        return (
            (values.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)
            if name == "BF16"
            else values.view(np.uint8)
        )
    blocks = rng.integers(0, 256, (rows * columns // block, size), np.uint8)
    for offset in HALVES[name]:
        scales = rng.choice([1e-5, 3e-3, 2e-2], len(blocks)) * rng.choice([-1, 1], len(blocks))
        put_half(blocks, offset, scales)
    return blocks.reshape(rows, -1)


def rounded(x: F32, steps: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Activations as `steps` to the largest of 32 keep them, and each element's largest error."""
    blocks = x.reshape(len(x), -1, 32)
    largest = np.abs(blocks).max(axis=2, keepdims=True)
    inverse = np.where(largest > 0, np.float32(steps) / np.where(largest > 0, largest, 1), 0)
    scale = (largest / np.float32(steps)).astype(np.float64)
    q = np.rint((blocks * inverse.astype(np.float32)).astype(np.float32))
    kept = (q * scale).reshape(x.shape)
    return kept, np.broadcast_to(scale / 2, blocks.shape).reshape(x.shape)


def check(
    kernels: Kernels, name: str, form: int, rows: int, columns: int, n: int, parts: int = 1
) -> None:
    seed = [TYPES.index(name), abs(form), rows, columns, n]
    rng = np.random.default_rng(seed)
    kind = GGMLQuantizationType[name]
    file = random_rows(name, rows, columns, rng)
    weights = dequantize(file, kind).astype(np.float64).reshape(rows, columns)
    x = rng.normal(size=(n, columns)).astype(np.float32) * rng.choice([0.1, 1, 30], (n, 1)).astype(
        np.float32
    )
    y = kernels.multiply(form, int(kind), file, rows, columns, x, parts).astype(np.float64)

    # Signed 8-bit weights are multiplied with 16-bit activations, the others with 8-bit ones.
    steps = 32767 if name == "Q8_0" or name.startswith(("IQ", "TQ", "MX")) else 127
    rounds = name in HALVES and form != EXACT
    kept, error = rounded(x, steps) if rounds else (x.astype(np.float64), np.zeros(x.shape))
    magnitude = np.abs(x).astype(np.float64) @ np.abs(weights).T
    epsilon = float(np.finfo(np.float32).eps)
    # A centred format's offset is subtracted after the sum: terms are up to 16
    # times as large as the weights they leave (two's complement of 8 bits).
    slack = 64 * epsilon * (magnitude + np.abs(x).sum(1)[:, None] * np.abs(weights).max()) + 1e-30
    for expected, allowed, what in (
        (
            x.astype(np.float64) @ weights.T,
            error @ np.abs(weights).T * 1.001 + slack,
            "activations' rounding",
        ),
        (kept @ weights.T, slack, "float32's rounding"),
    ):
        excess = np.abs(y - expected) / allowed
        worst = np.unravel_index(np.argmax(excess), excess.shape)
        assert excess[worst] <= 1, (  # a NaN fails too
            f"{name} form {form}, {rows} x {columns}, {n} tokens: element {worst} is {y[worst]}, "
            f"expected {expected[worst]} within {allowed[worst]} ({what})"
        )


@pytest.mark.parametrize("name", TYPES)
def test_products(kernels: Kernels, name: str) -> None:
    block, _ = GGML_QUANT_SIZES[GGMLQuantizationType[name]]
    sizes = [b * max(block, 32) for b in BLOCKS] if block > 1 else [32, 64, 96]
    for form in (EXACT, *range(kernels.call("test_forms"))):
        for rows in ROWS:
            check(kernels, name, form, rows, sizes[0], 1 + rows % 3)
        for n in TOKENS:
            check(kernels, name, form, 9, sizes[2], n)
        for columns in sizes:
            check(kernels, name, form, 6, columns, 3)
        check(kernels, name, form, 17, sizes[1], 4, parts=3)


@pytest.mark.parametrize("name", TYPES)
def test_a_token_gets_the_same_sums_alone_and_among_others(kernels: Kernels, name: str) -> None:
    rng = np.random.default_rng(TYPES.index(name))
    kind = int(GGMLQuantizationType[name])
    file = random_rows(name, 9, 512, rng)
    x = rng.normal(size=(5, 512)).astype(np.float32)
    for form in (EXACT, *range(kernels.call("test_forms"))):
        together = kernels.multiply(form, kind, file, 9, 512, x, 1)
        for token in range(len(x)):
            alone = kernels.multiply(form, kind, file, 9, 512, x[token : token + 1], 1)
            assert (alone[0] == together[token]).all()


@pytest.mark.parametrize("name", ["F32", "F16", "BF16"])
@pytest.mark.parametrize("columns", [1, 2, 3, 5, 7, 8, 15, 17])
def test_float_rows_of_any_length(kernels: Kernels, name: str, columns: int) -> None:
    for n in TOKENS:
        for form in (EXACT, 0):
            check(kernels, name, form, 5, columns, n)


@pytest.mark.parametrize("name", TYPES)
def test_exact_products_are_the_same_in_every_variant(name: str) -> None:
    rng = np.random.default_rng(TYPES.index(name))
    kind = int(GGMLQuantizationType[name])
    file = random_rows(name, 9, 512, rng)
    x = rng.normal(size=(3, 512)).astype(np.float32)
    simd, relaxed = (Kernels(v).multiply(EXACT, kind, file, 9, 512, x) for v in ("simd", "relaxed"))
    assert (simd == relaxed).all()


@pytest.mark.parametrize("name", TYPES)
def test_dequantized_rows_are_ggufs_own(kernels: Kernels, name: str) -> None:
    rng = np.random.default_rng(7)
    for rows in (1, 4, 6):
        file = random_rows(name, rows, 512, rng)
        expected = dequantize(file, GGMLQuantizationType[name]).reshape(rows, 512)
        got = kernels.dequantize(int(GGMLQuantizationType[name]), file, rows, 512)
        # scale * q + min, where gguf computes scale * (q - offset)
        assert np.abs(got - expected).max() <= 2e-6 * np.abs(expected).max()


def test_every_power_of_two_is_exact(kernels: Kernels) -> None:
    kind = GGMLQuantizationType.MXFP4
    exponents = np.arange(255, dtype=np.uint8)  # 255 is no number
    file = np.zeros((255, 17), np.uint8)
    file[:, 0], file[:, 1:] = exponents, 0xFA
    got = kernels.dequantize(int(kind), file, 255, 32)
    with np.errstate(over="ignore"):
        expected = dequantize(file, kind)
    assert (got == expected).all()


def test_zero_activations_give_zero(kernels: Kernels) -> None:
    file = random_rows("Q4_1", 4, 64, np.random.default_rng(1))
    y = kernels.multiply(
        0, int(GGMLQuantizationType.Q4_1), file, 4, 64, np.zeros((3, 64), np.float32)
    )
    assert not y.any()
