"""slmweb.d.ts, as a strict TypeScript project finds it beside slmweb.js."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.web.conftest import ROOT

TSC = ROOT / "node_modules/.bin/tsc"
STRICT = {
    "strict": True,
    "exactOptionalPropertyTypes": True,
    "noUncheckedIndexedAccess": True,
    "skipLibCheck": False,
    "noEmit": True,
    "target": "ES2022",
    "module": "ESNext",
    "moduleResolution": "bundler",
    "types": [],
}


def types() -> str:
    (file,) = (ROOT / "dist/web").glob("slmweb-*.d.ts")
    return file.read_text()


def compiled(folder: Path, source: str, **options: object) -> str:
    """What the compiler says of `source` in a folder with the types; nothing when all is well."""
    (folder / "slmweb.d.ts").write_text(types())
    (folder / "page.ts").write_text(source)
    config = {"compilerOptions": {**STRICT, **options}, "files": ["page.ts"]}
    (folder / "tsconfig.json").write_text(json.dumps(config))
    done = subprocess.run(
        [TSC, "-p", folder], capture_output=True, text=True, cwd=folder, check=False
    )
    return done.stdout


@pytest.mark.parametrize("resolution", ["bundler", "nodenext"])
def test_the_readme_example_compiles(tmp_path: Path, resolution: str) -> None:
    (example,) = re.findall(r"```ts\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    module = "nodenext" if resolution == "nodenext" else "esnext"
    assert compiled(tmp_path, example, moduleResolution=resolution, module=module) == ""


def test_requests_as_openai_clients_write_them_compile(tmp_path: Path) -> None:
    source = """
import { SLM, SlmError, type ChatCompletion, type Variant } from './slmweb.js';
const slm = await SLM.load('/models/a/manifest.json');
const answer: ChatCompletion = await slm.chat.completions.create({
  model: 'any', n: 1, tools: [], stop: null, max_completion_tokens: 5, top_p: null, stream: null,
  response_format: { type: 'text' },
  messages: [{ role: 'developer', content: [{ type: 'text', text: 'x' }] }],
});
const variant: Variant = slm.info.variant;
const stream = await slm.chat.completions.create({
  messages: [{ role: 'user', content: 'x' }], stream: true,
  stream_options: { include_usage: true },
});
for await (const chunk of stream) {
  const text: string | undefined = chunk.choices[0]?.delta.content;
  const total: number | undefined = chunk.usage?.total_tokens;
  console.log(text, total, variant, answer.choices[0].message.content);
}
const parameters = { type: 'object' };
const tools = [{ type: 'function', function: { name: 'f', parameters } }] as const;
const calling = await slm.chat.completions.create({
  messages: [{ role: 'user', content: 'x' }], tools, tool_choice: 'required',
});
const { message } = calling.choices[0];
const results = (message.tool_calls ?? []).map(({ id, function: { arguments: text } }) => (
  { role: 'tool', tool_call_id: id, content: JSON.stringify(JSON.parse(text)) } as const));
await slm.chat.completions.create({
  messages: [{ role: 'user', content: 'x' }, message, ...results],
  tools, parallel_tool_calls: false,
});
try { await slm.dispose(); } catch (error) { if (error instanceof SlmError) throw error; }
"""
    assert compiled(tmp_path, source) == ""


@pytest.mark.parametrize(
    "call",
    [
        "ask({ messages: [{ role: 'user', content: 'x' }], temprature: 1 })",
        "ask({ messages: [{ role: 'robot', content: 'x' }] })",
        "slm.completions.create({ prompt: 7 })",
        "new SLM()",
    ],
)
def test_mistakes_do_not_compile(tmp_path: Path, call: str) -> None:
    source = (
        "import { SLM } from './slmweb.js';\nconst slm = await SLM.load('x');\n"
        "const ask = slm.chat.completions.create;\n"
        f"void ({call});\n"
    )
    assert "page.ts(4," in compiled(tmp_path, source)


def test_the_types_are_those_of_the_script(tmp_path: Path) -> None:
    """Each is assigned to the other; what else the real class has is no page's."""
    ambient = (ROOT / "web/src").rglob("*.d.ts")
    references = "".join(f'/// <reference path="{path}" />\n' for path in ambient)
    source = f"""{references}
import * as declared from './slmweb.js';
import * as real from '{ROOT}/web/src/index';
type Declared = typeof declared.SLM;
export const a: Pick<Declared, Exclude<keyof Declared, 'prototype'>> = real.SLM;
export const b: Exclude<keyof typeof real.SLM, keyof Declared> = 'fromSource';
export const c: declared.SlmError = new real.SlmError('network', 'x');
export const d = (slm: declared.Slm): real.Slm => slm;
export const e = (slm: real.Slm): declared.Slm => slm;
"""
    assert compiled(tmp_path, source, skipLibCheck=True, **source_options()) == ""


def source_options() -> dict[str, object]:
    """The options that our own sources need beside those of a page."""
    return {
        "lib": ["ES2024", "DOM", "DOM.Iterable", "DOM.AsyncIterable", "WebWorker.AsyncIterable"],
        "typeRoots": [str(ROOT / "node_modules/@types")],
    }
