"""Compiles the core, every .cpp under wasm/src, into its variants: dist/wasm/slm-<variant>.wasm.

Owns the compiler's flags and the checks on what comes out: the exports are the
functions of slm.h and no more, nothing is imported but the shared memory of an
-mt variant and what host.h asks of a GPU, and the size stays within its budget.
What the sources do, it does not know. Objects are kept in dist/obj and made
again only when a source, a header that it includes, or the command changed.

  python build/compile.py [variant...] [--debug]

--debug keeps names and line numbers (for profiles and stack traces) and writes
to dist/wasm-debug.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path

import brotli
import wasmtime

import generate
from generate import Abi, Variant
from script import DIST, ROOT, BuildError, gzip_compress, replace, run

SOURCES = ROOT / "wasm/src"

COMPILER = [sys.executable, "-m", "ziglang", "c++"]

# Two compilers at a time: more only fight for memory on a small machine.
JOBS = min(2, os.cpu_count() or 1)

# The budget of one variant, stripped: a page should load it in a blink. What is
# downloaded is the second figure; the first leaves each family of models a few KB.
MAX_BYTES = 560_000
MAX_BROTLI_BYTES = 155_000

COMMON = [
    "-target", "wasm32-wasi", "-mexec-model=reactor",
    "-std=c++20", "-Wall", "-Wextra", "-Werror", "-Wshadow",
    "-fno-exceptions", "-fno-rtti", "-fno-math-errno",
    "-fno-sanitize=all",  # zig turns UBSan on unless told
    "-mbulk-memory",
]  # fmt: skip

SIMD = {"simd128": ["-msimd128"], "relaxed": ["-msimd128", "-mrelaxed-simd"]}
THREADS = ["-matomics"]

# Folders of wasm/src of which a variant has one.
BACKENDS = {"cpu", "gpu"}

# Speed where the time goes, size everywhere else; the first match counts.
OPTIMIZE = [
    (re.compile(r"kernels/"), "-O3"),
    (re.compile(r""), "-Oz"),
]

# These replace parts of the library, so the linker has to meet them before it.
OVERRIDES = ("allocator.cpp", "runtime.cpp")

# What a host needs to start further instances on the same memory.
THREAD_EXPORTS = ["__stack_pointer", "__tls_size", "__tls_align", "__wasm_init_tls"]


def command(arguments: Sequence[str], what: str) -> None:
    result = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise BuildError(f"{what} failed:\n{result.stdout}{result.stderr}".rstrip())


def parallel(jobs: Sequence[Callable[[], str]], show: Callable[[int, str], None]) -> None:
    """Runs the jobs, shows what each returns, and stops at the first that fails."""
    with ThreadPoolExecutor(JOBS) as pool:
        futures = [pool.submit(job) for job in jobs]
        try:
            for done, future in enumerate(as_completed(futures), 1):
                show(done, future.result())
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def counter(total: int) -> Callable[[int, str], None]:
    """One line that counts up on a terminal, every tenth part of the way in a log."""
    terminal = sys.stdout.isatty()

    def show(done: int, what: str) -> None:
        if terminal:
            end = "\n" if done == total else ""
            print(f"\r\x1b[K  compiled {done} of {total}, {what}", end=end, flush=True)
        elif done == total or done * 10 // total != (done - 1) * 10 // total:
            print(f"  compiled {done} of {total}", flush=True)

    return show


def optimize(source: str, debug: bool) -> list[str]:
    level = next(level for pattern, level in OPTIMIZE if pattern.search(source))
    return [level, "-g"] if debug else [level]


@dataclass(frozen=True)
class Target:
    """One variant and where its files go."""

    variant: Variant
    sources: Path
    objects: Path
    output: Path
    debug: bool


def target(variant: Variant, debug: bool) -> Target:
    kind = "-debug" if debug else ""
    objects = DIST / f"obj{kind}" / variant.name
    return Target(variant, SOURCES, objects, DIST / f"wasm{kind}/slm-{variant.name}.wasm", debug)


@dataclass(frozen=True)
class Compilation:
    """One source file of one variant."""

    variant: str
    source: str  # relative to the sources' folder
    output: Path
    arguments: list[str]

    @property
    def depfile(self) -> Path:
        return self.output.with_suffix(".d")

    @property
    def signature(self) -> Path:
        return self.output.with_suffix(".cmd")

    def is_stale(self) -> bool:
        if not (self.output.is_file() and self.depfile.is_file() and self.signature.is_file()):
            return True
        if self.signature.read_text() != " ".join(self.arguments):
            return True
        made = self.output.stat().st_mtime_ns
        # A Makefile rule: "object: source header header", with escaped line ends.
        inputs = self.depfile.read_text().replace("\\\n", " ").split(":", 1)[1].split()
        return any(not Path(i).is_file() or Path(i).stat().st_mtime_ns > made for i in inputs)

    def run(self) -> str:
        what = f"{self.variant}: {self.source}"
        self.output.parent.mkdir(parents=True, exist_ok=True)
        self.signature.unlink(missing_ok=True)
        command(self.arguments, what)
        self.signature.write_text(" ".join(self.arguments))
        return what


def compilations(target: Target) -> list[Compilation]:
    variant = target.variant
    features = SIMD[variant.simd] + (THREADS if variant.threads else [])
    found = []
    others = BACKENDS - {variant.backend}
    sources = [
        path
        for path in target.sources.rglob("*.cpp")
        if path.relative_to(target.sources).parts[0] not in others
    ]
    for source in sorted(sources, key=lambda path: path.name not in OVERRIDES):
        name = source.relative_to(target.sources).as_posix()
        output = target.objects / (name.removesuffix(".cpp") + ".o")
        arguments = [
            *COMPILER, *COMMON, *features, *optimize(name, target.debug),
            *(f"-I{path}" for path in (ROOT / "wasm/include", target.sources)),
            "-MMD", "-MF", str(output.with_suffix(".d")), "-c", str(source), "-o", str(output),
        ]  # fmt: skip
        found.append(Compilation(variant.name, name, output, arguments))
    return found


def link_arguments(target: Target, abi: Abi, objects: Sequence[Path]) -> list[str]:
    variant, memory = target.variant, abi.memory
    arguments = [
        *COMPILER, "-target", "wasm32-wasi", "-mexec-model=reactor", "-fno-sanitize=all",
        # The library is built for these features, and without SIMD, so that
        # two builds of it (with and without threads) serve all variants.
        "-Oz", "-mbulk-memory", *(THREADS if variant.threads else []),
        f"-Wl,-z,stack-size={memory.stack_bytes}",
        f"-Wl,--initial-memory={memory.initial_pages * memory.page_bytes}",
        f"-Wl,--max-memory={memory.maximum_pages * memory.page_bytes}",
        *(f"-Wl,--export={function.name}" for function in abi.functions),
    ]  # fmt: skip
    if variant.threads:
        arguments += ["-Wl,--shared-memory", "-Wl,--import-memory"]
        arguments += [f"-Wl,--export={name}" for name in THREAD_EXPORTS]
    return [*arguments, "-g" if target.debug else "-s", *map(str, objects)]


def check_interface(variant: Variant, abi: Abi, module: bytes) -> None:
    """The module asks its host for nothing but memory, and offers slm.h and no more."""
    config = wasmtime.Config()
    config.wasm_threads = True
    config.shared_memory = True
    config.wasm_relaxed_simd = True
    # The check needs no machine code worth running, so take the fast compiler.
    config.cranelift_opt_level = "none"
    parsed = wasmtime.Module(wasmtime.Engine(config), module)
    allowed = {("env", "memory")} if variant.threads else set()
    if variant.backend == "gpu":
        allowed = {("gpu", function.name.removeprefix("gpu_")) for function in abi.gpu.imports}
    strange = [f"{i.module}.{i.name}" for i in parsed.imports if (i.module, i.name) not in allowed]
    if strange:
        raise BuildError(
            f"slm-{variant.name}.wasm imports {', '.join(strange)}, which no host gives it; find "
            "the call that needs it (printf, exit, a stream?) and take it out, or override what "
            "the library does in wasm/src/runtime.cpp"
        )
    wanted = {function.name for function in abi.functions} | {"_initialize"}
    wanted |= set(THREAD_EXPORTS) if variant.threads else {"memory"}
    exported = {e.name for e in parsed.exports}
    if exported != wanted:
        missing, extra = sorted(wanted - exported), sorted(exported - wanted)
        raise BuildError(
            f"slm-{variant.name}.wasm should export the functions of slm.h and no more; "
            f"missing: {', '.join(missing) or 'none'}, extra: {', '.join(extra) or 'none'}"
        )


def check_size(variant: Variant, module: bytes, packed: bytes) -> str:
    for size, limit, what in (
        (len(module), MAX_BYTES, "bytes"),
        (len(packed), MAX_BROTLI_BYTES, "bytes under brotli"),
    ):
        if size > limit:
            raise BuildError(
                f"slm-{variant.name}.wasm has {size:,} {what}, over its budget of {limit:,}; "
                "`python build/compile.py --debug` and a look at the largest functions help"
            )
    return f"{len(module) / 1000:.0f} KB, {len(packed) / 1000:.0f} KB under brotli"


def link(target: Target, abi: Abi, objects: Sequence[Path]) -> str:
    name, output, start = target.variant.name, target.output, time.monotonic()
    arguments = link_arguments(target, abi, objects)
    signature = target.objects / "link.cmd"
    if output.is_file() and signature.is_file() and signature.read_text() == " ".join(arguments):
        made = output.stat().st_mtime_ns
        if all(o.stat().st_mtime_ns < made for o in objects):
            return f"{name}: up to date"
    signature.unlink(missing_ok=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    # What is half written, or fails a check, never lies under the final name.
    unchecked = output.with_suffix(".part")
    command([*arguments, "-o", str(unchecked)], f"{name}: linking")
    module = unchecked.read_bytes()
    check_interface(target.variant, abi, module)
    report = "with debug information"
    if not target.debug:
        packed = brotli.compress(module)
        report = check_size(target.variant, module, packed)
        # What the server sends to a browser that takes it.
        replace(output.with_name(output.name + ".br"), packed)
        replace(output.with_name(output.name + ".gz"), gzip_compress(module))
    unchecked.replace(output)
    signature.write_text(" ".join(arguments))
    return f"{name}: {report}, linked in {time.monotonic() - start:.0f} s"


def build(targets: Sequence[Target], abi: Abi) -> None:
    sources = {target: compilations(target) for target in targets}
    stale = [c for target in targets for c in sources[target] if c.is_stale()]
    if stale:
        parallel([compilation.run for compilation in stale], counter(len(stale)))
        print("  linking; the first time also builds the C++ library, a minute or two", flush=True)
    # Alternate between the two builds of the library, so that on a fresh machine
    # both are made at once.
    threaded = [t for t in targets if t.variant.threads]
    single = [t for t in targets if not t.variant.threads]
    ordered = [t for pair in zip_longest(threaded, single) for t in pair if t]
    links = [partial(link, t, abi, [c.output for c in sources[t]]) for t in ordered]
    parallel(links, lambda _, report: print(f"  {report}", flush=True))


def main(arguments: list[str]) -> None:
    abi = generate.read_abi()
    debug = "--debug" in arguments
    known = {variant.name: variant for variant in abi.variants}
    names = [a for a in arguments if a != "--debug"]
    for name in names:
        if name not in known:
            raise BuildError(f"there is no variant '{name}'; choose from {', '.join(known)}")
    if hasattr(os, "nice"):
        os.nice(5)
    print("compile: the C++ core to WebAssembly", flush=True)
    build([target(known[name], debug) for name in names or known], abi)


if __name__ == "__main__":
    raise SystemExit(run(main))
