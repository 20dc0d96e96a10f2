"""Generates what C++, TypeScript and Python must agree on, from slm.h and build/tables.

Owns the reading of those files and the shape of what is written; knows nothing
of what the functions do. The header is the only place where the ABI is written
down: a function is `SLM_API result name(arguments);`, an enumerator has an
explicit value, and anything else here is an error, so that a declaration this
reader does not understand cannot go missing.

  python build/generate.py          writes the files
  python build/generate.py --check  fails when one differs from what would be written
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from script import ROOT, BuildError, run

HEADER = ROOT / "wasm/include/slm.h"
TABLES = ROOT / "build/tables"

# What a C type is to wasm. Pointers are offsets into linear memory.
WASM_TYPES = {
    "int32_t": "i32",
    "uint32_t": "i32",
    "float": "f32",
    "double": "f64",
    "void": "void",
}


@dataclass(frozen=True)
class Parameter:
    name: str
    type: str  # as in the header
    wasm: str  # i32, f32 or f64


@dataclass(frozen=True)
class Function:
    name: str
    result: str
    wasm: str  # i32, f32, f64 or void
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True)
class Enum:
    name: str  # slm_status
    members: tuple[tuple[str, int, str], ...]  # name, value, comment


@dataclass(frozen=True)
class TensorType:
    name: str
    id: int
    block_size: int
    block_bytes: int


@dataclass(frozen=True)
class Variant:
    name: str
    simd: str
    threads: bool


@dataclass(frozen=True)
class Memory:
    page_bytes: int
    initial_pages: int
    maximum_pages: int
    stack_bytes: int


@dataclass(frozen=True)
class Abi:
    functions: tuple[Function, ...]
    enums: tuple[Enum, ...]
    tensor_types: tuple[TensorType, ...]
    memory: Memory
    variants: tuple[Variant, ...]


def wasm_type(c_type: str) -> str:
    if c_type.endswith("*"):
        return "i32"
    if c_type in WASM_TYPES:
        return WASM_TYPES[c_type]
    raise BuildError(
        f"{HEADER.name} uses the type '{c_type}', which has no wasm type in {Path(__file__).name}; "
        f"use one of {', '.join(WASM_TYPES)} or a pointer"
    )


def split_declaration(text: str) -> tuple[str, str]:
    """'const char *text' -> ('const char *', 'text')."""
    match = re.fullmatch(r"(.*?[\s*])(\w+)", text.strip())
    if not match:
        raise BuildError(f"{HEADER.name} has '{text}' where a type and a name were expected")
    return " ".join(match[1].split()), match[2]


def parse_function(text: str) -> Function:
    match = re.fullmatch(r"SLM_API\s+([^()]*?)\(([^()]*)\)", " ".join(text.split()))
    if not match:
        raise BuildError(
            f"{HEADER.name} has '{text.strip()}', not of the form SLM_API result name(args)"
        )
    result, name = split_declaration(match[1])
    parameters = []
    for item in () if match[2].strip() == "void" else match[2].split(","):
        c_type, parameter = split_declaration(item)
        parameters.append(Parameter(parameter, c_type, wasm_type(c_type)))
    return Function(name, result, wasm_type(result), tuple(parameters))


def parse_enum(name: str, body: str) -> Enum:
    member = re.compile(r"\s*(\w+)\s*=\s*(-?\d+)\s*(?:,|$|(?=/\*))\s*(?:/\*(.*?)\*/)?", re.DOTALL)
    members, at = [], 0
    body = body.rstrip()
    while at < len(body):
        match = member.match(body, at)
        if not match:
            raise BuildError(
                f"{HEADER.name}: in {name}, '{body[at:].strip().splitlines()[0]}' is not of the "
                "form NAME = number"
            )
        members.append((match[1], int(match[2]), " ".join((match[3] or "").split())))
        at = match.end()
    return Enum(name, tuple(members))


def parse_header(text: str) -> tuple[tuple[Function, ...], tuple[Enum, ...]]:
    enums = tuple(
        parse_enum(match[2], match[1])
        for match in re.finditer(r"typedef enum \w+\s*\{(.*?)\}\s*(\w+)\s*;", text, re.DOTALL)
    )
    code = re.sub(r"/\*[\s\S]*?\*/|^#.*$", "", text, flags=re.MULTILINE)
    functions = tuple(parse_function(match[0]) for match in re.finditer(r"SLM_API[^;]*", code))
    if not functions or not enums:
        raise BuildError(f"{HEADER} declares no SLM_API function or no enum; was it cut short?")
    return functions, enums


def read_abi() -> Abi:
    functions, enums = parse_header(HEADER.read_text())
    types = tomllib.loads((TABLES / "tensor_types.toml").read_text())
    variants = tomllib.loads((TABLES / "variants.toml").read_text())
    return Abi(
        functions,
        enums,
        tuple(TensorType(name, **fields) for name, fields in types.items()),
        Memory(**variants["memory"]),
        tuple(Variant(**fields) for fields in variants["variant"]),
    )


def exports() -> list[str]:
    """The functions that every variant exports: the whole ABI."""
    return [function.name for function in read_abi().functions]


# ---- writers --------------------------------------------------------------


def origin(comment: str, *files: str) -> str:
    return f"{comment} Generated by build/generate.py from {' and '.join(files)}; do not edit.\n"


def camel(name: str) -> str:
    """slm_eval_flag -> EvalFlag."""
    return "".join(part.capitalize() for part in name.removeprefix("slm_").split("_"))


def members(enum: Enum) -> list[tuple[str, int, str]]:
    """Members without the prefix that C needs: SLM_ERR_BAD_FILE -> BAD_FILE."""
    words = [name.split("_") for name, _, _ in enum.members]
    shared = 0
    while all(len(w) > shared + 1 and w[shared] == words[0][shared] for w in words):
        shared += 1
    return [
        ("_".join(w[shared:]).removeprefix("ERR_"), value, note)
        for w, (_, value, note) in zip(words, enum.members, strict=True)
    ]


def tensor_type_h(abi: Abi) -> str:
    # Laid out as clang-format does it: three aligned columns.
    cells = [
        f'{{TensorType::{t.name}, "{t.name}", {t.block_size}, {t.block_bytes}}},'
        for t in abi.tensor_types
    ]
    widths = [max(len(cell) for cell in cells[column::3]) for column in range(3)]
    rows = []
    for at in range(0, len(cells), 3):
        row = zip(cells[at : at + 3], widths, strict=False)
        rows.append("    " + " ".join(cell.ljust(width) for cell, width in row).rstrip())
    return TENSOR_TYPE_H.format(
        origin=origin("//", "build/tables/tensor_types.toml"),
        enumerators="\n".join(f"  {t.name} = {t.id}," for t in abi.tensor_types),
        entries="\n".join(rows),
    )


def ts_type(c_type: str) -> str:
    if c_type.endswith("*"):
        return "Pointer"
    return "void" if c_type == "void" else "number"


TS_WIDTH = 110  # as biome.json has it


def abi_ts(abi: Abi) -> str:
    functions = []
    for function in abi.functions:
        parameters = [f"{p.name}: {ts_type(p.type)}" for p in function.parameters]
        result = f"): {ts_type(function.result)};"
        line = f"  {function.name}({', '.join(parameters)}{result}"
        if len(line) <= TS_WIDTH:
            functions.append(line)
        else:
            functions.append(f"  {function.name}(")
            functions += [f"    {parameter}," for parameter in parameters]
            functions.append(f"  {result}")
    enums = []
    for enum in abi.enums:
        name = camel(enum.name)
        enums += ["", f"export const {name} = {{"]
        enums += [f"  {m}: {v}," + (f" // {note}" if note else "") for m, v, note in members(enum)]
        enums += ["} as const;", f"export type {name} = (typeof {name})[keyof typeof {name}];"]
    status = next(enum for enum in abi.enums if enum.name == "slm_status")
    return ABI_TS.format(
        origin=origin("//", "wasm/include/slm.h", "build/tables"),
        functions="\n".join(functions),
        enums="\n".join(enums),
        codes="\n".join(f"  [{v}]: '{name.lower()}'," for name, v, _ in members(status) if v),
        variants="\n".join(
            f"  {{ name: '{v.name}', simd: '{v.simd}', threads: {str(v.threads).lower()} }},"
            for v in abi.variants
        ),
        initial=abi.memory.initial_pages,
        maximum=abi.memory.maximum_pages,
    )


def abi_py(abi: Abi) -> str:
    enums = []
    for enum in abi.enums:
        enums += ["", "", f"class {camel(enum.name)}(IntEnum):"]
        enums += [
            f"    {m} = {v}" + (f"  # {note}" if note else "") for m, v, note in members(enum)
        ]
    functions = []
    for function in abi.functions:
        types = tuple(p.wasm for p in function.parameters)
        listed = ", ".join(f'"{t}"' for t in types) + ("," if len(types) == 1 else "")
        functions.append(f'    "{function.name}": ("{function.wasm}", ({listed})),')
    return ABI_PY.format(
        origin=origin("#", "wasm/include/slm.h", "build/tables"),
        enums="\n".join(enums),
        functions="\n".join(functions),
        tensor_types="\n".join(
            f'    "{t.name}": TensorType({t.id}, "{t.name}", {t.block_size}, {t.block_bytes}),'
            for t in abi.tensor_types
        ),
        variants="\n".join(
            f'    Variant("{v.name}", "{v.simd}", {v.threads}),' for v in abi.variants
        ),
        initial=abi.memory.initial_pages,
        maximum=abi.memory.maximum_pages,
    )


TENSOR_TYPE_H = """\
{origin}#pragma once

#include <cstdint>

namespace slm {{

enum class TensorType : uint32_t {{
{enumerators}
}};

struct TensorTypeInfo {{
  TensorType type;
  const char *name;
  uint32_t block_size;  // elements
  uint32_t block_bytes; // bytes
}};

inline constexpr TensorTypeInfo kTensorTypes[] = {{
{entries}
}};

/// The entry of ggml's type number `id`, or nullptr when the core cannot read it.
constexpr const TensorTypeInfo *tensor_type_info(uint32_t id) {{
  for (const TensorTypeInfo &info : kTensorTypes)
    if (static_cast<uint32_t>(info.type) == id) return &info;
  return nullptr;
}}

}} // namespace slm
"""

ABI_TS = """\
{origin}
/** An offset into linear memory. Results of wasm are signed: read one as `p >>> 0`. */
export type Pointer = number;

/** The functions of the core. */
export interface SlmExports {{
{functions}
}}
{enums}

/** The `code` of the error that a negative status becomes. */
export const STATUS_CODES = {{
{codes}
}} as const;
export type StatusCode = (typeof STATUS_CODES)[keyof typeof STATUS_CODES];

/** Variants of the core, best first: dist/wasm/slm-<name>.wasm. */
export const VARIANTS = [
{variants}
] as const;
export type VariantName = (typeof VARIANTS)[number]['name'];

/** The linear memory that an -mt variant imports, in 64 KiB pages. */
export const MEMORY = {{ initial: {initial}, maximum: {maximum} }} as const;
"""

ABI_PY = """\
{origin}\"\"\"The core's C ABI as data: enums, function signatures, tensor types, variants.\"\"\"

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple
{enums}


# name: (result, arguments), as wasm types
FUNCTIONS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {{
{functions}
}}


class TensorType(NamedTuple):
    id: int
    name: str
    block_size: int  # elements
    block_bytes: int


TENSOR_TYPES: Final[dict[str, TensorType]] = {{
{tensor_types}
}}


class Variant(NamedTuple):
    name: str
    simd: str
    threads: bool


# best first
VARIANTS: Final[tuple[Variant, ...]] = (
{variants}
)

# the linear memory that an -mt variant imports, in pages of 64 KiB
MEMORY_INITIAL_PAGES: Final = {initial}
MEMORY_MAXIMUM_PAGES: Final = {maximum}
"""


OUTPUTS: dict[str, Callable[[Abi], str]] = {
    "wasm/src/generated/tensor_type.h": tensor_type_h,
    "web/src/generated/abi.ts": abi_ts,
    "py/slmweb/generated/abi.py": abi_py,
    "py/slmweb/generated/__init__.py": lambda _: '"""Written by build/generate.py."""\n',
}


def main(arguments: list[str]) -> None:
    if arguments not in ([], ["--check"]):
        raise BuildError(f"got {' '.join(arguments)}; usage: python build/generate.py [--check]")
    abi = read_abi()
    for name, write in OUTPUTS.items():
        path, text = ROOT / name, write(abi)
        if path.is_file() and path.read_text() == text:
            continue
        if arguments:
            raise BuildError(
                f"{name} differs from what {HEADER.name} and build/tables say; "
                "run `python build/generate.py` and commit the result"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(f"generate: wrote {name}")


if __name__ == "__main__":
    raise SystemExit(run(main))
