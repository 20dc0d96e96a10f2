"""build/compile.py: what its checks let through, and the variants that are in dist/wasm.

Small sources stand in for the core where a check has to fail, since a core that
fails one cannot be committed.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import random
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import wasmtime

import compile
import generate
from generate import Abi, Variant
from script import DIST, BuildError

ABI = generate.read_abi()
VARIANTS = {variant.name: variant for variant in ABI.variants}
NAMES = list(VARIANTS)


def small_abi(header: str) -> Abi:
    functions, _ = generate.parse_header("typedef enum slm_e { SLM_A = 0 } slm_e;" + header)
    return dataclasses.replace(ABI, functions=functions)


def build(folder: Path, variant: Variant, abi: Abi, /, *core: str, **sources: str) -> Path:
    """Compiles `sources`, and the files `core` of the real core, as build/compile.py would."""
    (folder / "src").mkdir(exist_ok=True)
    for name in core:
        (folder / "src" / name).write_bytes((compile.SOURCES / name).read_bytes())
    for name, text in sources.items():
        (folder / "src" / f"{name}.cpp").write_text(text)
    output = folder / f"{variant.name}.wasm"
    objects = folder / f"obj-{variant.name}"
    compile.build([compile.Target(variant, folder / "src", objects, output, debug=False)], abi)
    return output


ONE = "SLM_API int32_t slm_one(void);"
ONE_CPP = '#include <cstdint>\nextern "C" int32_t slm_one() { return 1; }\n'


def test_a_wasi_import_is_named_and_leaves_no_module(tmp_path: Path) -> None:
    talkative = ONE_CPP.replace("return 1;", 'return puts("hello");').replace("cstdint", "cstdio")
    with pytest.raises(BuildError, match=r"imports .*wasi_snapshot_preview1\.fd_write") as error:
        build(tmp_path, VARIANTS["simd"], small_abi(ONE), one=talkative)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "simd.wasm").exists()


def test_what_the_library_would_print_imports_nothing(tmp_path: Path) -> None:
    """Pure virtual calls, statics that guard themselves, failed checks: all end in a trap."""
    source = """
        #include <cstdint>
        #include <string>
        #include <vector>
        struct Base { virtual ~Base() = default; virtual int f() = 0; };
        struct Derived : Base { int f() override { return int(names().at(7).size()); }
          static std::vector<std::string> &names() {
            static std::vector<std::string> v(9);
            return v;
          } };
        Base *make() { return new Derived; }
        extern "C" int32_t slm_one() { Base *b = make(); int32_t n = b->f(); delete b; return n; }
    """
    core = ("allocator.cpp", "runtime.cpp")
    # "abi" sorts before "runtime": the library must not get in between.
    for name in ("simd", "simd-mt"):
        assert build(tmp_path, VARIANTS[name], small_abi(ONE), *core, abi=source).is_file()


def test_a_function_of_the_header_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="slm_two"):
        build(tmp_path, VARIANTS["simd"], small_abi(ONE + ONE.replace("one", "two")), one=ONE_CPP)


def test_a_warning_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"simd: one\.cpp failed:\n(.|\n)*unused variable 'x'"):
        build(tmp_path, VARIANTS["simd"], small_abi(ONE), one=ONE_CPP + "void f() { int x; }\n")


def test_too_large_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile, "MAX_BYTES", 50)
    with pytest.raises(BuildError, match="over its budget of 50"):
        build(tmp_path, VARIANTS["simd"], small_abi(ONE), one=ONE_CPP)


def test_only_what_changed_is_compiled_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    variant, abi = VARIANTS["simd"], small_abi(ONE)
    header = tmp_path / "src/two.h"
    header.parent.mkdir()
    header.write_text("#define TWO 2\n")
    sources = {"one": ONE_CPP, "two": '#include "two.h"\nint two() { return TWO; }\n'}
    output = build(tmp_path, variant, abi, **sources)
    assert "compiled 2 of 2" in capsys.readouterr().out
    targets = [compile.Target(variant, tmp_path / "src", tmp_path / "obj-simd", output, False)]
    compile.build(targets, abi)
    assert capsys.readouterr().out == "  simd: up to date\n"
    header.write_text("#define TWO 3\n")
    compile.build(targets, abi)
    assert "compiled 1 of 1" in capsys.readouterr().out
    # A source that is gone is gone from the module as well.
    (tmp_path / "src/two.cpp").unlink()
    compile.build(targets, abi)
    assert "linked" in capsys.readouterr().out


# ---- the variants in dist/wasm --------------------------------------------


def engine() -> wasmtime.Engine:
    config = wasmtime.Config()
    config.wasm_threads = True
    config.shared_memory = True
    config.wasm_relaxed_simd = True
    return wasmtime.Engine(config)


@pytest.mark.parametrize("name", NAMES)
def test_variant_keeps_the_contract(name: str) -> None:
    module = (DIST / f"wasm/slm-{name}.wasm").read_bytes()
    packed = (DIST / f"wasm/slm-{name}.wasm.br").read_bytes()
    compile.check_interface(VARIANTS[name], ABI, module)
    compile.check_size(VARIANTS[name], module, packed)
    # Stripped: no names, no debug information.
    assert b".debug_info" not in module
    assert not re.search(rb"\x04name[\x00-\x09]", module[-4096:])


@pytest.mark.parametrize("name", NAMES)
def test_features_are_those_of_the_variant(name: str) -> None:
    """The module of a variant loads with that variant's features switched on, and not without."""
    module = (DIST / f"wasm/slm-{name}.wasm").read_bytes()
    config = wasmtime.Config()
    config.wasm_threads = VARIANTS[name].threads
    config.shared_memory = VARIANTS[name].threads
    config.wasm_relaxed_simd = VARIANTS[name].simd == "relaxed"
    wasmtime.Module.validate(wasmtime.Engine(config), module)
    if VARIANTS[name].simd == "relaxed":
        config = wasmtime.Config()
        config.wasm_relaxed_simd = False
        config.wasm_threads = True
        config.shared_memory = True
        with pytest.raises(wasmtime.WasmtimeError, match="relaxed SIMD"):
            wasmtime.Module.validate(wasmtime.Engine(config), module)


# ---- the allocator --------------------------------------------------------

HEAP = """
SLM_API void *slm_aligned(uint32_t alignment, uint32_t n);
SLM_API void *slm_realloc(void *p, uint32_t n);
SLM_API void slm_release(void *p);
SLM_API uint32_t slm_churn(uint32_t seed, uint32_t rounds);
"""
HEAP_CPP = """
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>
extern "C" {
void *slm_aligned(uint32_t alignment, uint32_t n) { return aligned_alloc(alignment, n); }
void *slm_realloc(void *p, uint32_t n) { return realloc(p, n); }
void slm_release(void *p) { free(p); }

// Takes, fills, checks and frees blocks, and returns how many were damaged.
uint32_t slm_churn(uint32_t seed, uint32_t rounds) {
  struct Item { uint8_t *p; uint32_t n; uint8_t mark; };
  std::vector<Item> live;
  uint32_t damaged = 0, state = seed;
  auto next = [&](uint32_t below) {
    state = state * 1664525 + 1013904223;
    return (state >> 8) % below;
  };
  auto drop = [&](uint32_t i) {
    for (uint32_t k = 0; k < live[i].n; k++)
      if (live[i].p[k] != live[i].mark) { damaged++; break; }
    free(live[i].p);
    live[i] = live.back();
    live.pop_back();
  };
  for (uint32_t round = 0; round < rounds; round++) {
    if (live.size() > 60 || (!live.empty() && next(3) == 0)) {
      drop(next(uint32_t(live.size())));
    } else {
      uint32_t n = 1 + next(1u << next(14));
      Item item{static_cast<uint8_t *>(malloc(n)), n, uint8_t(seed + round)};
      memset(item.p, item.mark, n);
      live.push_back(item);
    }
  }
  while (!live.empty()) drop(0);
  return damaged;
}
}
"""


class Heap:
    """The allocator in an instance of its own."""

    def __init__(self, module: Path) -> None:
        self.store = wasmtime.Store(engine())
        loaded = wasmtime.Module(self.store.engine, module.read_bytes())
        self.exports = wasmtime.Instance(self.store, loaded, []).exports(self.store)
        self("_initialize")
        memory = self.exports["memory"]
        assert isinstance(memory, wasmtime.Memory)
        self.memory = memory

    def __call__(self, name: str, *arguments: int) -> int:
        function: Any = self.exports[name]
        signed = [a - (1 << 32) if a >= 1 << 31 else a for a in arguments]
        return int(function(self.store, *signed) or 0) & 0xFFFFFFFF

    def size(self) -> int:
        return self.memory.data_len(self.store)

    def read(self, p: int, n: int) -> bytes:
        return bytes(self.memory.read(self.store, p, p + n))

    def write(self, p: int, data: bytes) -> None:
        self.memory.write(self.store, data, p)


@pytest.fixture(scope="module")
def heap_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("heap")


@pytest.fixture(scope="module")
def heap_module(heap_folder: Path) -> Path:
    core = ("allocator.cpp", "runtime.cpp")
    return build(heap_folder, VARIANTS["simd"], small_abi(HEAP), *core, heap=HEAP_CPP)


@pytest.fixture
def heap(heap_module: Path) -> Heap:
    return Heap(heap_module)


def test_blocks_are_aligned_apart_and_keep_their_bytes(heap: Heap) -> None:
    source = random.Random(1)
    live: dict[int, bytes] = {}
    for _ in range(5000):
        if live and source.random() < 0.45 + len(live) / 1000:
            p = source.choice(list(live))
            data = live.pop(p)
            if source.random() < 0.3:
                n = int(2 ** source.uniform(0, 16))
                p = heap("slm_realloc", p, n)
                data = data[:n]
                assert p % 16 == 0
                assert heap.read(p, len(data)) == data
            assert heap.read(p, len(data)) == data
            heap("slm_release", p)
        else:
            alignment, n = 1 << source.randrange(9), int(2 ** source.uniform(0, 17))
            p = heap("slm_aligned", alignment, n)
            assert p
            assert p % max(alignment, 16) == 0
            live[p] = source.randbytes(n)
            heap.write(p, live[p])
    spans = sorted((p, p + len(data)) for p, data in live.items())
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
    # All of it back makes one block again: the whole heap can be handed out.
    for p in live:
        heap("slm_release", p)
    size = heap.size()
    whole = heap("slm_aligned", 16, size - ABI.memory.stack_bytes - 65536)
    assert whole
    assert heap.size() == size


def test_a_large_block_costs_its_size_and_no_more(heap: Heap) -> None:
    before = heap.size()
    assert heap("slm_aligned", 64, 98_000_000)
    assert heap.size() - before <= 98_000_000 + 4 * 65536


@pytest.mark.parametrize("n", [0xFFFFFFFF, 0xFFFFFFF0, 0xFFFF0000, 0xFFFE0001])
@pytest.mark.parametrize("alignment", [16, 64, 1 << 20])
def test_too_much_is_refused_and_changes_nothing(heap: Heap, n: int, alignment: int) -> None:
    p = heap("slm_aligned", 16, 100)
    heap.write(p, b"x" * 100)
    size = heap.size()
    assert heap("slm_aligned", alignment, n) == 0
    assert heap("slm_realloc", p, n) == 0
    assert heap.read(p, 100) == b"x" * 100
    assert heap.size() == size


def test_freeing_twice_traps(heap: Heap) -> None:
    p, keep = heap("slm_aligned", 16, 100), heap("slm_aligned", 16, 100)
    assert keep
    heap("slm_release", p)
    with pytest.raises(wasmtime.Trap, match="unreachable"):
        heap("slm_release", p)


def test_threads_share_the_heap(heap_folder: Path) -> None:
    core = ("allocator.cpp", "runtime.cpp")
    module = build(heap_folder, VARIANTS["simd-mt"], small_abi(HEAP), *core, heap=HEAP_CPP)
    pages = (str(ABI.memory.initial_pages), str(ABI.memory.maximum_pages))
    script = Path(__file__).parent / "shared_heap.mjs"
    done = subprocess.run(
        ["node", script, module, *pages], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [0, 0, 0]
