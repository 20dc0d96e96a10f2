"""Chat templates against transformers' rendering, in both languages: the Python
renderer of the command line, and the page's TypeScript one, bundled and run in
Node. A template that refuses a conversation has to give its own reason.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from slmweb.core import render
from slmweb.errors import SlmError
from tests.goldens.chat_templates import GOLDEN

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
    return { text: template.render(c.messages, args) };
  } catch (error) {
    return { error: error.message };
  }
});
process.stdout.write(JSON.stringify(results));
"""


def golden() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(GOLDEN.read_text())
    return content


def title(case: dict[str, Any]) -> str:
    return f"{case['template']} {case['conversation']}"


@pytest.mark.parametrize("case", golden()["cases"], ids=title)
def test_python(case: dict[str, Any]) -> None:
    def rendered() -> str:
        return render(
            golden()["templates"][case["template"]],
            case["messages"],
            bos_token=case["bos_token"],
            eos_token=case["eos_token"],
            add_generation_prompt=case["add_generation_prompt"],
            **case["variables"],
        )

    if "error" in case:
        with pytest.raises(SlmError) as caught:
            rendered()
        assert caught.value.code == "bad_template"
        assert case["error"] in caught.value.message
    else:
        assert rendered() == case["expected"]


@pytest.fixture(scope="module")
def typescript(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """What the page's renderer makes of every case."""
    folder = tmp_path_factory.mktemp("templates")
    entry, bundle = folder / "entry.ts", folder / "entry.mjs"
    entry.write_text(RENDER_ALL.replace("ROOT", str(ROOT)))
    esbuild = ROOT / "node_modules" / ".bin" / "esbuild"
    options = ["--bundle", "--platform=node", "--format=esm", "--log-level=warning"]
    subprocess.run([esbuild, entry, *options, f"--outfile={bundle}"], check=True, cwd=ROOT)
    output = subprocess.run(["node", bundle, GOLDEN], check=True, capture_output=True, text=True)
    results: list[dict[str, str]] = json.loads(output.stdout)
    return results


@pytest.mark.parametrize("index", range(len(golden()["cases"])))
def test_typescript(typescript: list[dict[str, str]], index: int) -> None:
    case, result = golden()["cases"][index], typescript[index]
    if "error" in case:
        assert case["error"] in result["error"], title(case)
    else:
        assert result == {"text": case["expected"]}, title(case)
