"""Builds the core for this machine with sanitizers (address and undefined behaviour, for the
team of threads also races), and fuzzes it.

Owns what is built natively (dist/native), the seeds and the running of libFuzzer
(dist/fuzz, where what it learns is kept). Nothing here is shipped: the module
that is comes from compile.py.

  python build/native.py                                 builds everything
  python build/native.py fuzz [target...] [--seconds N]  fuzzes, N seconds a target
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import raw_gguf
from compile import Compilation, command, counter, parallel
from script import DIST, ROOT, BuildError, run

SOURCES = ROOT / "wasm/src"
NATIVE = DIST / "native"
FUZZ = DIST / "fuzz"

FLAGS = [
    "-std=c++20", "-Wall", "-Wextra", "-Werror", "-Wshadow",
    "-fno-exceptions", "-fno-rtti", "-O1", "-g", "-fno-omit-frame-pointer",
    "-fno-sanitize-recover=all",
]  # fmt: skip

MEMORY, RACES = "address,undefined", "thread"

# The counters that tell libFuzzer where an input went cost little elsewhere.
COVERAGE = "-fsanitize=fuzzer-no-link"

# What reads files and text. It needs nothing of the rest of the core.
PARSERS = ("error.cpp", "gguf.cpp", "tokenizer/*.cpp")


@dataclass(frozen=True)
class Program:
    name: str
    main: str  # from the root of the tree
    sources: tuple[str, ...]  # patterns below wasm/src
    fuzzer: bool = False
    sanitizers: str = MEMORY

    @property
    def output(self) -> Path:
        return NATIVE / self.name


# The whole core as it runs here.
CORE = ("*.cpp", "cpu/**/*.cpp", "models/*.cpp", "tokenizer/*.cpp")

FUZZERS = {
    name: Program(f"fuzz-{name}", f"wasm/fuzz/{name}.cpp", sources, fuzzer=True)
    for name, sources in (
        ("gguf", PARSERS), ("spm", PARSERS), ("bpe", PARSERS), ("unigram", PARSERS),
        ("utf8", PARSERS), ("model", CORE),
    )
}  # fmt: skip
DRIVER = Program("driver", "tests/wasm/driver.cpp", CORE)
TEAM = Program("team", "tests/wasm/team.cpp", ("cpu/threads.cpp",))
TEAM_RACES = replace(TEAM, name="team-races", sanitizers=RACES)
ADAPTED = Program("adapted", "tests/wasm/adapted.cpp", CORE)
PROGRAMS = (*FUZZERS.values(), DRIVER, TEAM, TEAM_RACES, ADAPTED)


@cache
def compiler() -> str:
    for name in ("clang++", *(f"clang++-{version}" for version in range(30, 13, -1))):
        if (path := shutil.which(name)) and has_fuzzer(path):
            return path
    raise BuildError(
        "the native build needs a clang++ (14 or newer) with libFuzzer and the sanitizers, and "
        "found none; on Debian: apt-get install clang libclang-rt-14-dev"
    )


def has_fuzzer(clang: str) -> bool:
    """Whether its libraries are installed: they are a package of their own."""
    machine = os.uname().machine
    for library in ("fuzzer", "asan", "tsan"):
        # Newer packages leave the machine out of the file's name.
        names = (f"libclang_rt.{library}-{machine}.a", f"libclang_rt.{library}.a")
        calls = ([clang, f"-print-file-name={name}"] for name in names)
        answers = [subprocess.run(c, capture_output=True, text=True, check=False) for c in calls]
        if not any(Path(answer.stdout.strip()).is_file() for answer in answers):
            return False
    return True


def compilation(source: Path, sanitizers: str) -> Compilation:
    name = source.relative_to(ROOT).as_posix()
    folder = "obj" if sanitizers == MEMORY else "obj-races"
    output = NATIVE / folder / (name.removesuffix(".cpp") + ".o")
    coverage = [COVERAGE] if sanitizers == MEMORY else []
    arguments = [
        compiler(), *FLAGS, f"-fsanitize={sanitizers}", *coverage,
        *(f"-I{path}" for path in (ROOT / "wasm/include", SOURCES)),
        "-MMD", "-MF", str(output.with_suffix(".d")), "-c", str(source), "-o", str(output),
    ]  # fmt: skip
    return Compilation("native", name, output, arguments)


def link(program: Program, objects: Sequence[Path]) -> str:
    output = program.output
    made = output.stat().st_mtime_ns if output.is_file() else 0
    if any(path.stat().st_mtime_ns > made for path in objects):
        sanitizers = f"-fsanitize={program.sanitizers}" + (",fuzzer" if program.fuzzer else "")
        arguments = [compiler(), sanitizers, "-pthread", *map(str, objects), "-o", str(output)]
        command(arguments, f"{program.name}: linking")
    return program.name


def build(programs: Sequence[Program]) -> None:
    objects: dict[Program, list[Compilation]] = {}
    for program in programs:
        patterns = (path for pattern in program.sources for path in SOURCES.glob(pattern))
        paths = (ROOT / program.main, *sorted(patterns))
        objects[program] = [compilation(path, program.sanitizers) for path in paths]
    stale = {c.output: c for needed in objects.values() for c in needed if c.is_stale()}
    if stale:
        parallel([c.run for c in stale.values()], counter(len(stale)))
    links = [partial(link, program, [c.output for c in objects[program]]) for program in programs]
    parallel(links, lambda _done, _name: None)


# ---- fuzzing --------------------------------------------------------------

TEXTS = [
    "The cat's on the mat, isn't it?", "I'M WE'LL 'tis don't", "  a   b\t\tc\n\n\nd \r\n e",
    "1234567 12.5 ½٣", "日本語 héé 👨‍👩‍👧 नमस्ते",
    "<s>in the<|im_start|>x<|im_end|></s><mark>", "▁the▁▁Ġ",
    "theca… the ＡĈĉ<h1>he e\u0301\t\x07hat",
    "!!!...$$ '' \"a\"", "aaaaaaaaaaaaaaaaaaaaaaaaaaa",
]  # fmt: skip
BROKEN_TEXTS = [
    b"\xff\xfe",
    b"a\xc3",
    b"\xe6\x97\xe6\x97\xa5",
    b"\xed\xa0\x80\xc0\xaf",
    b"\xf0\x9f",
]

DICTIONARY = [
    *("<s>", "</s>", "<mark>", "<|im_start|>", "<|im_end|>", "▁", "'s", "'ll", "  ", "\n\n"),
    *("GGUF", "general.alignment", "tokenizer.ggml.tokens", "tokenizer.ggml.model"),
    *("general.type", "adapter", "adapter.type", "lora", "adapter.lora.alpha"),
    *("blk.0.ffn_up.weight", "blk.1.attn_k.weight", ".lora_a", ".lora_b"),
]


def gguf_seeds() -> dict[str, bytes]:
    tensors = [raw_gguf.tensor("a", (32, 2), 2, 0), raw_gguf.tensor("b", (4,), 0, 64)]
    seeds = {
        "empty": raw_gguf.gguf(),
        "types": raw_gguf.gguf(raw_gguf.every_type(), version=2),
        "tensors": raw_gguf.gguf([raw_gguf.entry("k", 4, 7)], tensors, data=bytes(96)),
        "aligned": raw_gguf.gguf(
            [raw_gguf.entry("general.alignment", 4, 64)], tensors, alignment=64, data=bytes(96)
        ),
    }
    return seeds | {f"vocabulary-{name}": content for name, content in vocabularies().items()}


def vocabularies() -> dict[str, bytes]:
    made = {"spm": raw_gguf.gguf(raw_gguf.spm_entries())}
    marked = raw_gguf.spm_entries(user_defined=True, add_space_prefix=False)
    made["spm-user-defined"] = raw_gguf.gguf(marked)
    made["unigram"] = raw_gguf.gguf(raw_gguf.unigram_entries())
    return made | {pre: raw_gguf.gguf(raw_gguf.bpe_entries(pre)) for pre in raw_gguf.PRETOKENIZERS}


def write_seeds(target: str) -> Path:
    folder = FUZZ / target / "seeds"
    folder.mkdir(parents=True, exist_ok=True)
    texts = [*(text.encode() for text in TEXTS), *BROKEN_TEXTS]
    if target == "gguf":
        seeds = gguf_seeds()
    elif target == "model":
        seeds = raw_gguf.models() | raw_gguf.adapters()
    else:
        seeds = {str(i): text for i, text in enumerate(texts)}
    for name, content in seeds.items():
        (folder / name).write_bytes(content)
    return folder


def write_vocabularies() -> Path:
    folder = FUZZ / "vocabularies"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (vocabularies() | {"base": raw_gguf.model("llama")}).items():
        (folder / f"{name}.gguf").write_bytes(content)
    dictionary = ["".join(f"\\x{byte:02x}" for byte in word.encode()) for word in DICTIONARY]
    (FUZZ / "dictionary").write_text("".join(f'"{word}"\n' for word in dictionary))
    return folder


def fuzz(target: str, seconds: int) -> str:
    program = FUZZERS[target]
    environment = {
        **os.environ,
        "SLM_FUZZ_VOCABULARIES": str(write_vocabularies()),
        # libFuzzer's own limit looks at the highest memory use ever, and Linux hands
        # that of the process which started it (pytest, gigabytes) on to the child.
        "ASAN_OPTIONS": "hard_rss_limit_mb=1024",
    }
    seeds = write_seeds(target)
    corpus = FUZZ / target / "corpus"
    corpus.mkdir(exist_ok=True)
    result = subprocess.run(
        [
            program.output, corpus, seeds, f"-dict={FUZZ / 'dictionary'}",
            f"-artifact_prefix={FUZZ / target}/", f"-max_total_time={seconds}",
            # An input of some kilobytes has no business to take more than this.
            "-max_len=65536", "-timeout=10", "-malloc_limit_mb=64", "-rss_limit_mb=0",
            "-print_final_stats=1",
        ],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if result.returncode != 0:
        raise BuildError(
            f"{result.stderr[-6000:]}\nthe {target} fuzzer found a fault (its words are above); "
            f"repeat it with: SLM_FUZZ_VOCABULARIES={environment['SLM_FUZZ_VOCABULARIES']} "
            f"{program.output} {FUZZ / target}/crash-..."
        )
    lines = result.stderr.splitlines()
    runs = next(line.split()[-1] for line in lines if "number_of_executed_units" in line)
    return f"{target}: {int(runs):,} inputs in {seconds} s, no fault"


def main(arguments: list[str]) -> None:
    if hasattr(os, "nice"):
        os.nice(5)
    if not arguments:
        print("native: the core with sanitizers", flush=True)
        build(PROGRAMS)
        return
    seconds = 60
    if "--seconds" in arguments:
        at = arguments.index("--seconds")
        value = arguments[at + 1] if at + 1 < len(arguments) else ""
        if not value.isdigit() or int(value) == 0:
            raise BuildError(f"--seconds needs a number from 1 on, found '{value}'")
        seconds = int(value)
        del arguments[at : at + 2]
    verb, *targets = arguments
    unknown = [target for target in targets if target not in FUZZERS]
    if verb != "fuzz" or unknown:
        raise BuildError(f"expected: fuzz [{'|'.join(FUZZERS)}]... [--seconds N]; see native.py")
    targets = targets or list(FUZZERS)
    build([FUZZERS[target] for target in targets])
    jobs = [partial(fuzz, target, seconds) for target in targets]
    parallel(jobs, lambda _done, report: print(f"  {report}", flush=True))


if __name__ == "__main__":
    sys.exit(run(main))
