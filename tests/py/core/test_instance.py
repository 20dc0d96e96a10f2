"""The binding to the wasm module: memory, statuses, traps, and modules that are not the core.

The modules here are made from text with the core's whole export list, so that
each test decides what one function does.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import wasmtime

from slmweb import paths
from slmweb.core.instance import Instance, choose_variant
from slmweb.errors import SlmError
from slmweb.generated.abi import FUNCTIONS, Status

# A bump allocator, and slm_error that points at a sentence.
PRELUDE = """
(memory (export "memory") 2)
(global $top (mut i32) (i32.const 4096))
(data (i32.const 1024) "expected a cat, found a dog; bring a cat\\00")
(data (i32.const 2048) "{\\22simd\\22: \\22test\\22}\\00")
"""
BODIES = {
    "slm_alloc": """(param $n i32) (result i32)
      global.get $top
      global.get $top
      local.get $n
      i32.add
      global.set $top""",
    "slm_error": "(result i32) i32.const 1024",
    "slm_build_info": "(result i32) i32.const 2048",
    "slm_free": "(param i32)",
}


def module(folder: Path, bodies: dict[str, str] | None = None, without: str = "") -> Path:
    """A module that exports the ABI; functions without a body trap."""
    text = ["(module", PRELUDE]
    for name, (result, parameters) in FUNCTIONS.items():
        if name == without:
            continue
        signature = "".join(f"(param {kind}) " for kind in parameters)
        signature += "" if result == "void" else f"(result {result}) "
        body = {**BODIES, **(bodies or {})}.get(name, signature + "unreachable")
        text.append(f'(func (export "{name}") {body})')
    path = folder / "core.wasm"
    path.write_bytes(wasmtime.wat2wasm("\n".join([*text, ")"])))
    return path


def test_memory_is_written_and_read_where_it_was_allocated(tmp_path: Path) -> None:
    core = Instance(wasm=module(tmp_path))
    with core.allocate(8) as first, core.allocate(8) as second:
        assert second == first + 8
        core.view(first, 8)[:] = b"12345678"
        core.view(second, 4)[:] = b"abcd"
        assert bytes(core.view(first, 12)) == b"12345678abcd"
        assert core.array(first, 2, "<i4").tolist() == [0x34333231, 0x38373635]


@pytest.mark.parametrize(
    ("address", "n"), [(131072, 1), (131071, 2), (0, 131073), (-1, 1), (0, -1)]
)
def test_a_view_outside_memory_is_refused(tmp_path: Path, address: int, n: int) -> None:
    core = Instance(wasm=module(tmp_path))
    with pytest.raises(SlmError, match="please report it"):
        core.view(address, n)


def test_strings_end_at_their_nul(tmp_path: Path) -> None:
    core = Instance(wasm=module(tmp_path))
    assert core.string(1024).startswith("expected a cat")
    assert core.string(0) == ""
    assert core.build_info() == {"simd": "test"}
    with core.allocate(60_000) as address:
        core.view(address, 60_000)[:] = b"x" * 59_999 + b"\0"
        assert core.string(address) == "x" * 59_999
    core.view(131072 - 3, 3)[:] = b"abc"
    with pytest.raises(SlmError, match="no end"):
        core.string(131072 - 3)


def test_a_negative_status_becomes_the_error_with_the_cores_sentence(tmp_path: Path) -> None:
    bodies = {"slm_model_ready": f"(param i32) (result i32) i32.const {int(Status.BAD_FILE)}"}
    core = Instance(wasm=module(tmp_path, bodies))
    with pytest.raises(SlmError, match="expected a cat, found a dog") as caught:
        core.check("slm_model_ready", 1)
    assert caught.value.code == "bad_file"


def test_addresses_above_two_gigabytes_are_not_negative(tmp_path: Path) -> None:
    core = Instance(wasm=module(tmp_path, {"slm_model_new": "(result i32) i32.const -64"}))
    assert core.pointer("slm_model_new") == 0xFFFFFFC0


def test_a_trap_is_one_error_now_and_ever_after(tmp_path: Path) -> None:
    core = Instance(wasm=module(tmp_path))
    with pytest.raises(SlmError, match=r"slm_model_ready .*unreachable") as caught:
        core.check("slm_model_ready", 1)
    assert caught.value.code == "crashed"
    with pytest.raises(SlmError, match="slm_model_ready"):
        core.call("slm_error")


def test_out_of_memory_says_how_much_was_wanted(tmp_path: Path) -> None:
    bodies = {"slm_alloc": "(param i32) (result i32) i32.const 0"}
    core = Instance(wasm=module(tmp_path, bodies))
    with pytest.raises(SlmError, match="12345 bytes") as caught, core.allocate(12345):
        raise AssertionError("nothing was allocated")
    assert caught.value.code == "out_of_memory"


def test_a_module_of_another_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SlmError, match="does not export slm_session_text") as caught:
        Instance(wasm=module(tmp_path, without="slm_session_text"))
    assert caught.value.code == "not_built"


@pytest.mark.parametrize("content", [b"", b"\0asm", b"not wasm at all", b"\0asm\1\0\0\0\xff"])
def test_what_is_no_module_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "core.wasm"
    path.write_bytes(content)
    with pytest.raises(SlmError, match="is not a core") as caught:
        Instance(wasm=path)
    assert caught.value.code == "not_built"


def test_a_missing_core_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(SlmError, match="make wasm"):
        choose_variant(tmp_path)


def test_simd_is_taken_where_relaxed_is_not_built(tmp_path: Path) -> None:
    source = paths.wasm_file("simd").read_bytes()
    (tmp_path / "slm-simd.wasm").write_bytes(source)
    assert choose_variant(tmp_path) == "simd"
    (tmp_path / "slm-relaxed.wasm").write_bytes(paths.wasm_file("relaxed").read_bytes())
    assert choose_variant(tmp_path) == "relaxed"


@pytest.mark.parametrize(("variant", "simd"), [("simd", "simd128"), ("relaxed", "relaxed")])
def test_the_shipped_variants_say_what_they_are(variant: str, simd: str) -> None:
    info = Instance("simd" if variant == "simd" else "relaxed").build_info()
    assert info["simd"] == simd
    assert info["threads"] is False
    assert info["dot"]
