"""build/shader_tables.py: what it reads in a shader, what it refuses, what it makes of it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import generate
import shader_tables
from compile import COMPILER
from script import ROOT, BuildError

SHADER = """
// mix.wgsl: override NOT_ME: u32 = 1;
//:include format
enable subgroups;
requires packed_4x8_integer_dot_product;
override ROWS: u32 = 4;   // a struct Params { in: a comment }
override FINISH: u32 = 0;
struct Params {
  at: vec4<u32>,
  n: u32, // tokens
  shift: i32,
  cap: f32
}
struct Batch { past: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> batch: Batch;
@group(0) @binding(2) var<storage, read> heap: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
var<workgroup> sums: array<f32, 64>;
@compute @workgroup_size(64) fn main() {}
"""


def test_reads_an_interface() -> None:
    operation = shader_tables.parse_shader("mix", SHADER)
    assert operation.format
    assert operation.needs == ("subgroups", "packed_4x8_integer_dot_product")
    assert [(o.name, o.default) for o in operation.overrides] == [("ROWS", 4), ("FINISH", 0)]
    assert [(b.name, b.binding, b.access) for b in operation.buffers] == [
        ("batch", 1, "uniform"),
        ("heap", 2, "read"),
        ("y", 3, "read_write"),
    ]
    assert [(m.name, m.words) for m in operation.params] == [
        ("at", 4), ("n", 1), ("shift", 1), ("cap", 1),
    ]  # fmt: skip
    assert operation.words == 5 + 2 + 3 + 7


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("ROWS: u32 = 4", "ROWS: f32 = 4", "not of the form override NAME: u32"),
        ("override ROWS", "@id(3) override ROWS", "not of the form override NAME: u32"),
        ("ROWS: u32 = 4", "ROWS: u32", "not of the form override NAME: u32"),
        ("n: u32,", "n: vec2<u32>,", "'n: vec2<u32>' is not of the form name: type"),
        ("n: u32,", "@size(16) n: u32,", "'@size(16) n: u32' is not of the form name: type"),
        ("cap: f32", "cap: vec4<u32>", "has the vec4 'cap' behind a scalar"),
        ("struct Params", "struct Other", "declares 0 structs Params"),
        ("@binding(3)", "@binding(4)", "bindings are to be 0, 1, 2"),
        ("params: Params", "uniforms: Params", "binding 0 is to be var<uniform> params"),
        ("@group(0) @binding(3)", "@group(1) @binding(3)", "not of the form @group(0)"),
        ("@group(0) @binding(3)", "@binding(3) @group(0)", "not of the form @group(0)"),
        ("storage, read_write", "storage, write", "not of the form @group(0)"),
        (" y: array", " cap: array", "uses the name 'cap' twice"),
        ("ROWS: u32", "grid: u32", "uses the name 'grid' twice"),
    ],
)
def test_refuses_what_it_does_not_understand(old: str, new: str, complaint: str) -> None:
    assert old in SHADER
    with pytest.raises(BuildError, match=re.escape(complaint)):
        shader_tables.parse_shader("mix", SHADER.replace(old, new))


def test_refuses_more_buffers_than_every_device_binds() -> None:
    more = "".join(
        f"@group(0) @binding({4 + i}) var<storage, read> b{i}: array<u32>;\n" for i in range(7)
    )
    with pytest.raises(BuildError, match="binds 9 storage buffers"):
        shader_tables.parse_shader("mix", SHADER + more)


def test_an_import_is_named_as_its_function() -> None:
    (function,) = shader_tables.parse_host("GPU_IMPORT(limit) uint32_t gpu_limit();")
    assert (function.name, function.wasm) == ("gpu_limit", "i32")
    for text in ("GPU_IMPORT(limit) uint32_t gpu_size();", "uint32_t gpu_limit();"):
        with pytest.raises(BuildError, match="each import is to be GPU_IMPORT"):
            shader_tables.parse_host(text)


def test_the_forms_of_the_products_are_those_of_the_core() -> None:
    names = 'static constexpr const char *kFormNames[] = {"sweep", "lane"};'
    assert shader_tables.parse_forms(names) == ("sweep", "lane")
    for text in ("kFormNames[] = {};", names.replace('"lane"', "kLane"), ""):
        with pytest.raises(BuildError, match="expected kFormNames"):
            shader_tables.parse_forms(text)


def test_the_struct_is_the_record(tmp_path: Path) -> None:
    """Compiled: every member stands at the word at which the host reads it."""
    operation = shader_tables.parse_shader("mix", SHADER)
    gpu = shader_tables.GpuInterface((), (operation,), (), ())
    (tmp_path / "operations.h").write_text(shader_tables.operations_h(gpu, ""))
    words = {"operation": 0, "format": 1, "grid": 2, "ROWS": 5, "FINISH": 6, "batch": 7,
             "heap": 8, "y": 9, "at": 10, "n": 14, "shift": 15, "cap": 16}  # fmt: skip
    asserts = "\n".join(
        f"static_assert(__builtin_offsetof(slm::gpu::Mix, {name}) == {4 * word});"
        for name, word in words.items()
    )
    source = tmp_path / "check.cpp"
    source.write_text(f'#include "operations.h"\n{asserts}\n')
    command = [*COMPILER, "--target=wasm32-wasi", "-std=c++20", "-c", str(source)]
    command += ["-o", str(tmp_path / "check.o")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_tensor_type_of_the_core_has_a_format_of_its_name() -> None:
    typescript = (ROOT / "web/src/generated/gpu.ts").read_text()
    formats = re.findall(r"^  \d+: '(\w+)',$", typescript, re.MULTILINE)
    assert len(formats) == len(generate.read_abi().tensor_types)
