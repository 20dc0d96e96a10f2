"""Generates what the core and its WebGPU host must agree on, from the shaders, host.h and ops.h.

A shader file is the only place where its interface is written down: `override
NAME: u32 = value;`, `struct Params { ... }` in binding 0 and the buffers from
binding 1 on. C++ gets a struct for each that is the record of gpu_encode word by
word, TypeScript gets the table that reads such a record. What a shader computes
is not known here; a declaration that is not understood is an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from c_header import Function, Header
from script import ROOT, BuildError

SHADERS = ROOT / "wasm/shaders"
HOST = ROOT / "wasm/src/gpu/host.h"
OPS = ROOT / "wasm/src/gpu/ops.h"

HOST_HEADER = Header("host.h", "GPU_IMPORT(name)", r"GPU_IMPORT\(\w+\)")

# Words of a member of Params, and what C++ calls one of them.
MEMBER_TYPES = {
    "u32": (1, "uint32_t"),
    "i32": (1, "int32_t"),
    "f32": (1, "float"),
    "vec4<u32>": (4, "uint32_t"),
}
HEAD = ("operation", "format", "grid")  # the first words of every record
FORMAT_FIELD = "format"


@dataclass(frozen=True)
class Override:
    name: str
    default: int


@dataclass(frozen=True)
class Buffer:
    name: str
    binding: int
    access: str  # read, read_write or uniform


@dataclass(frozen=True)
class Member:
    name: str
    type: str  # as in WGSL

    @property
    def words(self) -> int:
        return MEMBER_TYPES[self.type][0]


@dataclass(frozen=True)
class Operation:
    name: str  # of the file
    format: bool  # reads weights: is expanded once for each tensor type
    needs: tuple[str, ...]  # features of the device or the language
    overrides: tuple[Override, ...]
    buffers: tuple[Buffer, ...]
    params: tuple[Member, ...]

    @property
    def words(self) -> int:
        head = 5 + len(self.overrides) + len(self.buffers)
        return head + sum(member.words for member in self.params)


@dataclass(frozen=True)
class GpuInterface:
    imports: tuple[Function, ...]
    operations: tuple[Operation, ...]
    formats: tuple[tuple[int, str], ...]  # the tensor type's number, its file
    forms: tuple[str, ...]  # of the products, by number


# ---- readers --------------------------------------------------------------


def parse_members(file: str, body: str) -> tuple[Member, ...]:
    members: list[Member] = []
    for item in filter(None, (part.strip() for part in re.split(r",(?![^<]*>)", body))):
        match = re.fullmatch(r"(\w+)\s*:\s*([\w<>]+)", item)
        if not match or match[2] not in MEMBER_TYPES:
            raise BuildError(
                f"{file}: in Params, '{item}' is not of the form name: type with one of "
                f"{', '.join(MEMBER_TYPES)}"
            )
        if match[2] == "vec4<u32>" and members and members[-1].words == 1:
            raise BuildError(
                f"{file}: Params has the vec4 '{match[1]}' behind a scalar, which would leave a "
                "gap; put the vec4s first"
            )
        members.append(Member(match[1], match[2]))
    if not members:
        raise BuildError(f"{file} has an empty Params; give it at least one member")
    return tuple(members)


def parse_buffers(file: str, code: str) -> tuple[Buffer, ...]:
    """The buffers from binding 1 on; `params` has to be binding 0."""
    form = re.compile(
        r"@group\(0\) @binding\((\d+)\)\s*"
        r"var<(?:(uniform)|storage, (read|read_write))> (\w+)\s*:\s*[\w<>]+;"
    )
    buffers = []
    for declaration in re.findall(r"@group[^;]*;|@binding[^;]*;", code):
        match = form.fullmatch(declaration)
        if not match:
            raise BuildError(
                f"{file} has '{declaration}', not of the form @group(0) @binding(n) "
                "var<uniform> or var<storage, read or read_write> name: type;"
            )
        buffers.append(Buffer(match[4], int(match[1]), match[2] or match[3]))
    if [b.binding for b in buffers] != list(range(len(buffers))):
        raise BuildError(f"{file}: bindings are to be 0, 1, 2 ... in the order of the file")
    if not buffers or (buffers[0].name, buffers[0].access) != ("params", "uniform"):
        raise BuildError(f"{file}: binding 0 is to be var<uniform> params: Params;")
    storage = sum(b.access != "uniform" for b in buffers)
    if storage > 8:
        raise BuildError(f"{file} binds {storage} storage buffers, and a device may allow only 8")
    return tuple(buffers[1:])


def parse_shader(name: str, text: str) -> Operation:
    file = f"{name}.wgsl"
    includes = re.findall(r"^//:include (\w+)$", text, re.MULTILINE)
    code = re.sub(r"//.*$", "", text, flags=re.MULTILINE)
    overrides = []
    for declaration in re.findall(r"(?:@\w+[^;{}]*)?\boverride\b[^;]*;?", code):
        match = re.fullmatch(r"override (\w+)\s*:\s*u32 = (\d+)u?;", declaration)
        if not match:
            raise BuildError(
                f"{file} has '{declaration}', not of the form override NAME: u32 = number;"
            )
        overrides.append(Override(match[1], int(match[2])))
    params = re.findall(r"\bstruct Params\s*\{([^}]*)\}", code)
    if len(params) != 1:
        raise BuildError(f"{file} declares {len(params)} structs Params; one is expected")
    operation = Operation(
        name,
        FORMAT_FIELD in includes,
        tuple(re.findall(r"^(?:enable|requires) (\w+);$", code, re.MULTILINE)),
        tuple(overrides),
        parse_buffers(file, code),
        parse_members(file, params[0]),
    )
    fields = [*HEAD, *(override.name for override in operation.overrides)]
    fields += [buffer.name for buffer in operation.buffers]
    fields += [member.name for member in operation.params]
    twice = sorted({field for field in fields if fields.count(field) > 1})
    if twice:
        raise BuildError(
            f"{file} uses the name '{twice[0]}' twice among its overrides, buffers and Params "
            f"(and {', '.join(HEAD)}), which are one struct in C++; rename one"
        )
    return operation


def parse_host(text: str) -> tuple[Function, ...]:
    functions = HOST_HEADER.functions(text)
    names = re.findall(r"^GPU_IMPORT\((\w+)\)", text, re.MULTILINE)
    if not functions or [f.name for f in functions] != [f"gpu_{name}" for name in names]:
        raise BuildError("host.h: each import is to be GPU_IMPORT(name) type gpu_name(args);")
    return functions


def parse_forms(text: str) -> tuple[str, ...]:
    match = re.search(r'\bkFormNames\[\] = \{((?:"\w+"(?:, )?)+)\};', text)
    if not match:
        raise BuildError('ops.h: expected kFormNames[] = {"name", ...}; in one line')
    return tuple(re.findall(r"\w+", match[1]))


def read_interface(formats: tuple[tuple[int, str], ...], folder: Path = SHADERS) -> GpuInterface:
    """What host.h, ops.h and the shaders declare; an operation's number is its place by name."""
    files = sorted(folder.glob("*.wgsl"), key=lambda path: path.stem)
    return GpuInterface(
        parse_host(HOST.read_text()),
        tuple(parse_shader(path.stem, path.read_text()) for path in files),
        formats,
        parse_forms(OPS.read_text()),
    )


# ---- writers --------------------------------------------------------------


def pascal(name: str) -> str:
    """add_rmsnorm -> AddRmsnorm."""
    return "".join(part.capitalize() for part in name.split("_"))


def cpp_struct(number: int, operation: Operation) -> str:
    fields = [f"  uint32_t {o.name} = {o.default};" for o in operation.overrides]
    fields += [f"  uint32_t {b.name} = 0; // {b.access}" for b in operation.buffers]
    for member in operation.params:
        words, c_type = MEMBER_TYPES[member.type]
        value = " = 0;" if words == 1 else f"[{words}] = {{}};"
        fields.append(f"  {c_type} {member.name}{value}")
    name = pascal(operation.name)
    return OPERATION_H.format(
        file=f"{operation.name}.wgsl",
        name=name,
        number=number,
        fields="\n".join(align_comments(fields)),
        words=operation.words,
    )


def align_comments(lines: list[str]) -> list[str]:
    """Trailing comments of neighbouring lines in one column, as clang-format has them."""
    aligned: list[str] = []
    run: list[tuple[str, str]] = []
    for line in [*lines, ""]:
        code, mark, comment = line.partition(" // ")
        if mark:
            run.append((code, comment))
            continue
        width = max((len(code) for code, _ in run), default=0)
        aligned += [f"{code.ljust(width)} // {comment}" for code, comment in run]
        run = []
        aligned.append(line)
    return aligned[:-1]


def operations_h(gpu: GpuInterface, origin: str) -> str:
    return OPERATIONS_H.format(
        origin=origin,
        structs="\n".join(cpp_struct(i, o) for i, o in enumerate(gpu.operations)),
    )


def ts_type(c_type: str) -> str:
    if c_type.endswith("*"):
        return "Pointer"
    return "void" if c_type == "void" else "number"


def ts_operation(operation: Operation) -> str:
    overrides = [f"{{ name: '{o.name}', default: {o.default} }}" for o in operation.overrides]
    buffers = [
        f"{{ name: '{b.name}', binding: {b.binding}, access: '{b.access}' }}"
        for b in operation.buffers
    ]
    params = sum(member.words for member in operation.params)
    reads_weights = str(operation.format).lower()
    needs = ", ".join(f"'{feature}'" for feature in operation.needs)
    lines = ["  {", f"    name: '{operation.name}',", f"    format: {reads_weights},"]
    lines.append(f"    needs: [{needs}],")
    for key, items in (("overrides", overrides), ("buffers", buffers)):
        if len(items) <= 1:  # an array of objects stays on one line only when it is short
            lines.append(f"    {key}: [{''.join(items)}],")
        else:
            lines += [f"    {key}: [", *(f"      {item}," for item in items), "    ],"]
    return "\n".join([*lines, f"    params: {params},", "  },"])


def gpu_ts(gpu: GpuInterface, origin: str) -> str:
    imports = []
    for function in gpu.imports:
        parameters = ", ".join(f"{p.name}: {ts_type(p.type)}" for p in function.parameters)
        name = function.name.removeprefix("gpu_")
        imports.append(f"  {name}({parameters}): {ts_type(function.result)};")
    return GPU_TS.format(
        origin=origin,
        imports="\n".join(imports),
        operations="\n".join(map(ts_operation, gpu.operations)),
        formats="\n".join(f"  {number}: '{name}'," for number, name in gpu.formats),
        forms=", ".join(f"'{name}'" for name in gpu.forms),
    )


OPERATION_H = """\
/// {file}
struct {name} {{
  static constexpr uint32_t kOperation = {number};
  uint32_t operation = kOperation, format = 0, grid[3] = {{1, 1, 1}};
{fields}
}};
static_assert(sizeof({name}) == {words} * sizeof(uint32_t));
"""

OPERATIONS_H = """\
{origin}#pragma once

#include <cstdint>

// Each operation's struct is the record of gpu_encode (host.h), word by word: operation, tensor
// type of the weights or 0, workgroups, overrides, buffers (handles; 0 is unused), Params.
namespace slm::gpu {{

{structs}
}} // namespace slm::gpu
"""

GPU_TS = """\
{origin}
import type {{ Pointer }} from './abi.ts';

/** What a module of the variant `webgpu` imports under the name "gpu". */
export interface GpuImports {{
{imports}
}}

export interface Operation {{
  readonly name: string; // wasm/shaders/<name>.wgsl
  readonly format: boolean; // reads weights: one text for each tensor type
  readonly needs: readonly string[]; // features of the device, or of its WGSL
  readonly overrides: readonly {{ readonly name: string; readonly default: number }}[];
  readonly buffers: readonly OperationBuffer[];
  readonly params: number; // words of its uniform buffer, which is binding 0
}}
export interface OperationBuffer {{
  readonly name: string;
  readonly binding: number;
  readonly access: 'read' | 'read_write' | 'uniform';
}}

/** Operation, tensor type, workgroups: the words of a record before overrides, buffers, params. */
export const RECORD_HEAD = 5;

/** By number. */
export const OPERATIONS: readonly Operation[] = [
{operations}
];

/** The file of wasm/shaders/formats by ggml's number of a tensor type. */
export const FORMATS: {{ readonly [type: number]: string }} = {{
{formats}
}};

/** Of the products, by number: what slm_dot_name says in the variant `webgpu`. */
export const FORMS = [{forms}] as const;
export type Form = (typeof FORMS)[number];
"""
