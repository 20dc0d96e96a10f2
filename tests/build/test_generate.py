"""build/generate.py: what it reads, what it refuses, and that its outputs are current."""

from __future__ import annotations

import re
import subprocess
import sys
from enum import IntEnum
from pathlib import Path

import pytest

import family_table
import generate
from script import ROOT, BuildError
from slmweb.convert.families import FAMILIES
from slmweb.generated import abi as python_abi

HEADER = """
#define SLM_API __attribute__((visibility("default")))
typedef enum slm_mode { SLM_MODE_A = 0, SLM_MODE_B = -4 /* why
  B */ } slm_mode;
/* SLM_API int32_t slm_not_code(void); */
SLM_API const char *slm_name(void);
SLM_API int32_t slm_work(slm_model *m, const uint8_t *bytes, uint32_t n,
                         double size);
"""


def test_reads_functions_and_enums() -> None:
    functions, enums = generate.parse_header(HEADER)
    assert [f.name for f in functions] == ["slm_name", "slm_work"]
    assert functions[0].result == "const char *"
    assert functions[0].parameters == ()
    assert [(p.name, p.type, p.wasm) for p in functions[1].parameters] == [
        ("m", "slm_model *", "i32"),
        ("bytes", "const uint8_t *", "i32"),
        ("n", "uint32_t", "i32"),
        ("size", "double", "f64"),
    ]
    assert enums[0].members == (("SLM_MODE_A", 0, ""), ("SLM_MODE_B", -4, "why B"))
    assert generate.members(enums[0]) == [("A", 0, ""), ("B", -4, "why B")]


@pytest.mark.parametrize(
    ("declaration", "complaint"),
    [
        ("SLM_API int64_t slm_f(void);", "uses the type 'int64_t'"),
        ("SLM_API int32_t slm_f(size_t n);", "uses the type 'size_t'"),
        ("SLM_API int32_t slm_f(void (*callback)(int));", "not of the form"),
        ("SLM_API int32_t slm_f(uint32_t);", "where a type and a name were expected"),
        ("typedef enum slm_e { SLM_A = 1 << 2 } slm_e; SLM_API void slm_f(void);", "NAME = number"),
        ("typedef enum slm_e { SLM_A } slm_e; SLM_API void slm_f(void);", "NAME = number"),
        ("int nothing;", "declares no SLM_API function"),
    ],
)
def test_refuses_what_it_does_not_understand(declaration: str, complaint: str) -> None:
    with pytest.raises(BuildError, match=re.escape(complaint)):
        generate.parse_header(declaration)


def test_every_slm_api_of_the_header_is_read() -> None:
    declared = re.findall(r"^SLM_API .*?(slm_\w+)\(", generate.HEADER.read_text(), re.MULTILINE)
    assert generate.exports() == declared


def test_outputs_are_current_and_a_difference_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate.main(["--check"])  # the checkout itself
    for name in generate.OUTPUTS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    generate.main(["--check"])
    for name in generate.OUTPUTS:
        good = (tmp_path / name).read_text()
        (tmp_path / name).write_text(good + "\n")
        with pytest.raises(BuildError, match=re.escape(name)):
            generate.main(["--check"])
        generate.main([])
        assert (tmp_path / name).read_text() == good


def test_failure_is_one_sentence_and_exit_code_1() -> None:
    script = ROOT / "build/generate.py"
    done = subprocess.run([sys.executable, script, "--chekc"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("generate.py: got --chekc;")
    assert done.stderr.count("\n") == 1


def test_python_and_typescript_agree() -> None:
    typescript = (ROOT / "web/src/generated/abi.ts").read_text()
    for name, (result, _) in python_abi.FUNCTIONS.items():
        (line,) = re.findall(rf"^  {name}\([^)]*\): (\w+);$", typescript, re.MULTILINE)
        assert (line == "void") == (result == "void")
    enums = [e for e in vars(python_abi).values() if isinstance(e, type) and issubclass(e, IntEnum)]
    for enum in enums:
        if enum is IntEnum:
            continue
        (body,) = re.findall(
            rf"export const {enum.__name__} = {{(.*?)}} as const", typescript, re.S
        )
        members = {n: int(v) for n, v in re.findall(r"(\w+): (-?\d+),", body)}
        assert members == {m.name: m.value for m in enum}


def test_the_table_of_what_runs_has_every_family() -> None:
    """Of the converter, whose table is the longest, and so of plan and the core; types of configs
    may share an architecture."""
    listed = [row["architecture"] for row in family_table.families()]
    assert sorted(listed) == sorted({family.architecture for family in FAMILIES})
    embedders = {
        row["architecture"] for row in family_table.families() if row["does"] == "embedding"
    }
    assert embedders == {family.architecture for family in FAMILIES if family.embeds}
    loader = (ROOT / "wasm/src/models/families.cpp").read_text()
    (table,) = re.findall(r"kFamilies\[\] = \{(.*?)\n\};", loader, re.S)
    assert sorted(re.findall(r'\{"([^"]+)", ', table)) == sorted(listed)
