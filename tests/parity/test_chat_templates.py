"""Chat templates against transformers' rendering, in both languages: the Python
renderer of the command line, and the page's TypeScript one, bundled and run in
Node. A template that refuses a conversation has to give its own reason.

What templates may use of Jinja is one table of small ones; both sides render
each as transformers does, and tell a syntax error from a refusal.
"""

from __future__ import annotations

import datetime
import json
import subprocess
from pathlib import Path
from typing import Any

import jinja2
import pytest

from slmweb.core import render
from slmweb.core.jinja import Environment
from slmweb.core.provenance import foreign, mask_of
from slmweb.errors import SlmError
from tests.goldens.chat_templates import GOLDEN
from tests.goldens.template_cases import CASES_GOLDEN, templates

ROOT = Path(__file__).parents[2]
RENDER_ALL = """
import { readFileSync } from 'node:fs';
import { ChatTemplate } from 'ROOT/web/src/api/template.ts';
const golden = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const results = golden.cases.map((c) => {
  const { bos_token, eos_token } = c;
  try {
    const template = new ChatTemplate(golden.templates[c.template], { bos_token, eos_token });
    const args = { add_generation_prompt: c.add_generation_prompt, ...c.variables };
    return template.render(c.messages, args);
  } catch (error) {
    return { error: error.message };
  }
});
process.stdout.write(JSON.stringify(results));
"""


RENDER_CASES = """
import { readFileSync } from 'node:fs';
import { SyntaxProblem } from 'ROOT/web/src/jinja/lexer.ts';
import { Template } from 'ROOT/web/src/jinja/template.ts';
const golden = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const { messages, tools, documents, ...own } = golden.variables;
const results = golden.cases.map((c) => {
  try {
    const template = new Template(c.template);
    const text = template.render(own, { messages, tools, documents }, () => new Date(golden.now));
    return { expected: text.text, mask: text.mask.length };
  } catch (error) {
    return { [error instanceof SyntaxProblem ? 'syntax' : 'error']: error.message };
  }
});
process.stdout.write(JSON.stringify(results));
"""
CASES = json.loads(CASES_GOLDEN.read_text())


def kind(case: dict[str, Any]) -> str:
    return next(key for key in ("expected", "error", "syntax") if key in case)


def golden() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(GOLDEN.read_text())
    return content


def title(case: dict[str, Any]) -> str:
    return f"{case['template']} {case['conversation']}"


def python(case: dict[str, Any]) -> str:
    return render(
        golden()["templates"][case["template"]],
        case["messages"],
        bos_token=case["bos_token"],
        eos_token=case["eos_token"],
        add_generation_prompt=case["add_generation_prompt"],
        **case["variables"],
    )


def marks(text: str, plain: list[tuple[int, int]]) -> str:
    """The mask of the page's spans, which count UTF-16 units."""
    units = ["0"] * (len(text.encode("utf-16-le")) // 2)
    for begin, end in plain:
        units[begin:end] = "1" * (end - begin)
    mask, at = [], 0
    for character in text:
        mask.append(units[at])
        at += len(character.encode("utf-16-le")) // 2
    return "".join(mask)


@pytest.mark.parametrize("case", golden()["cases"], ids=title)
def test_python(case: dict[str, Any]) -> None:
    if "error" in case:
        with pytest.raises(SlmError) as caught:
            python(case)
        assert caught.value.code == "bad_template"
        assert case["error"] in caught.value.message
    else:
        assert python(case) == case["expected"]


def in_node(script: str, data: Path, folder: Path) -> list[dict[str, Any]]:
    """What `script`, bundled, makes of the golden file."""
    entry, bundle = folder / "entry.ts", folder / "entry.mjs"
    entry.write_text(script.replace("ROOT", str(ROOT)))
    esbuild = ROOT / "node_modules" / ".bin" / "esbuild"
    options = ["--bundle", "--platform=node", "--format=esm", "--log-level=warning"]
    subprocess.run([esbuild, entry, *options, f"--outfile={bundle}"], check=True, cwd=ROOT)
    output = subprocess.run(["node", bundle, data], check=True, capture_output=True, text=True)
    results: list[dict[str, Any]] = json.loads(output.stdout)
    return results


@pytest.fixture(scope="module")
def typescript(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the page's renderer makes of every conversation."""
    return in_node(RENDER_ALL, GOLDEN, tmp_path_factory.mktemp("templates"))


@pytest.mark.parametrize("index", range(len(golden()["cases"])))
def test_typescript(typescript: list[dict[str, Any]], index: int) -> None:
    case, result = golden()["cases"][index], typescript[index]
    if "error" in case:
        assert case["error"] in result["error"], title(case)
    else:
        assert result["text"] == case["expected"], title(case)
        # Which characters came from messages decides what is a control token.
        assert marks(result["text"], result["plain"]) == mask_of(python(case)), title(case)


def test_the_table_is_the_golden_s() -> None:
    assert [case["template"] for case in CASES["cases"]] == templates()
    assert len(CASES["cases"]) >= 600


@pytest.fixture(scope="module")
def environment() -> Environment:
    now = datetime.datetime.fromisoformat(CASES["now"])
    return Environment(lambda: now)


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["template"][:60])
def test_jinja_in_python(environment: Environment, case: dict[str, Any]) -> None:
    variables = CASES["variables"] | {"messages": foreign(CASES["variables"]["messages"])}
    found: dict[str, str]
    try:
        template = environment.from_string(case["template"])
        try:
            found = {"expected": template.render(**variables)}
        except Exception as error:
            found = {"error": str(error)}
    except (jinja2.TemplateSyntaxError, SyntaxError) as error:
        found = {"syntax": str(error)}
    assert kind(found) == kind(case), found
    if "expected" in case:
        assert found["expected"] == case["expected"]
        assert len(mask_of(found["expected"])) == len(case["expected"])


@pytest.fixture(scope="module")
def jinja(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the page's interpreter makes of every case."""
    return in_node(RENDER_CASES, CASES_GOLDEN, tmp_path_factory.mktemp("cases"))


@pytest.mark.parametrize("index", range(len(CASES["cases"])), ids=lambda i: templates()[i][:60])
def test_jinja_in_typescript(jinja: list[dict[str, Any]], index: int) -> None:
    case, found = CASES["cases"][index], jinja[index]
    assert kind(found) == kind(case), found
    if "expected" in case:
        assert found["expected"] == case["expected"]
        assert found["mask"] == len(case["expected"].encode("utf-16-le")) // 2
