"""Calls of tools through the public API, in a real browser: SmolLM2 with a template that has
tools, and earlier calls to go by, calls one; a tiny model has marks that are special tokens."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from slmweb.core import Model
from slmweb.pack.pack import pack
from slmweb.server.app import Folders, create_app
from tests.goldens.chat_templates import TEMPLATES
from tests.py.models import tiny, with_template
from tests.web.conftest import ROOT, open_harness
from tests.web.serving import serve

SMOLLM2 = ROOT / "dist/models/smollm2-135m-instruct-q4_1"
PRELUDE = """
const tool = (name) => ({type: 'function', function: {name, description: 'Weather in a city',
  parameters: {type: 'object', properties: {city: {type: 'string'}}, required: ['city']}}});
const tools = [tool('get_weather')];
const turn = (city, id, said) => [
  {role: 'user', content: `Weather in ${city}?`},
  {role: 'assistant', content: null, tool_calls: [{id, type: 'function',
    function: {name: 'get_weather', arguments: JSON.stringify({city})}}]},
  {role: 'tool', tool_call_id: id, content: said},
  {role: 'assistant', content: `It is ${said}.`}];
const messages = [...turn('Rome', 'call_1', 'sunny'), ...turn('Oslo', 'call_2', 'cold'),
  {role: 'user', content: 'Weather in Paris?'}];
const ask = (params) => slm.chat.completions.create(
  {messages, tools, temperature: 0, max_tokens: 48, ...params});
"""
# FunctionGemma's names for what the tiny Gemma 3 has.
MARKS = {"<start_of_turn>": "<start_function_call>", "<pad>": "<escape>"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    if SMOLLM2.is_dir():
        shutil.copytree(SMOLLM2, folder / "hermes")
        path = folder / "hermes/manifest.json"
        manifest = json.loads(path.read_text())
        manifest["chat_template"] = (TEMPLATES / "hermes.jinja").read_text()
        path.write_text(json.dumps(manifest))
    template = (TEMPLATES / "functiongemma.jinja").read_text()
    source = tiny("gemma3", folder)
    renamed = with_template(source, folder / "functiongemma.gguf", template, MARKS)
    pack([renamed], folder / "functiongemma")
    pack([source], folder / "base")
    return folder


@pytest.fixture(scope="module")
def page(browser: Browser, harness_folder: Path, models: Path) -> Iterator[Page]:
    folders = Folders(web=harness_folder, wasm=ROOT / "dist/wasm", models=models)
    with serve(create_app(folders)) as site, browser.new_context() as context:
        yield open_harness(context.new_page(), site)


def evaluate(page: Page, model: str, body: str) -> Any:
    """Runs the body of an async function over a model; an SlmError becomes {error, code}."""
    load = f"""if (globalThis.loaded !== '{model}') {{
      await globalThis.slm?.dispose();
      const url = '/models/{model}/manifest.json';
      const options = {{baseUrl: '/', storage: 'memory', n_ctx: 512, backend: 'cpu'}};
      globalThis.slm = await harness.SLM.load(url, options);
      globalThis.loaded = '{model}';
    }}"""
    return page.evaluate(f"() => harness.outcome((async () => {{ {load} {PRELUDE} {body} }})())")


@pytest.fixture
def smollm2(page: Page) -> Page:
    if not SMOLLM2.is_dir():
        pytest.skip("no SmolLM2; run `make model`")
    return page


@pytest.mark.parametrize(
    "choice",
    ["'auto'", "'required'", "{type: 'function', function: {name: 'get_weather'}}"],
)
def test_a_call(smollm2: Page, choice: str) -> None:
    answer = evaluate(smollm2, "hermes", f"return ask({{tool_choice: {choice}}});")
    (found,) = answer["choices"]
    assert found["finish_reason"] == "tool_calls"
    assert found["message"]["content"] == ""
    (call,) = found["message"]["tool_calls"]
    assert (call["type"], len(call["id"])) == ("function", 9)
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "Paris"}


def test_a_call_in_a_stream_and_its_result(smollm2: Page) -> None:
    chunks, answer = evaluate(
        smollm2,
        "hermes",
        """
        const chunks = [];
        const stream = await ask({stream: true, parallel_tool_calls: false, logprobs: true});
        for await (const chunk of stream) chunks.push(chunk);
        const made = chunks.flatMap((chunk) => chunk.choices[0].delta.tool_calls ?? []);
        const said = [...messages, {role: 'assistant', tool_calls: made},
          {role: 'tool', tool_call_id: made[0].id, content: 'rainy'}];
        return [chunks, await ask({messages: said, max_tokens: 8})];
        """,
    )
    choices = [chunk["choices"][0] for chunk in chunks]
    assert choices[0]["delta"]["role"] == "assistant"
    assert "".join(choice["delta"].get("content", "") for choice in choices) == ""
    (call,) = [one for choice in choices for one in choice["delta"].get("tool_calls", ())]
    assert (call["index"], call["function"]["name"]) == (0, "get_weather")
    assert choices[-1]["finish_reason"] == "tool_calls"
    tokens = sum(len(choice["logprobs"]["content"]) for choice in choices if choice["logprobs"])
    assert tokens == chunks[-1]["usage"]["completion_tokens"]
    assert "rainy" in answer["choices"][0]["message"]["content"]


def test_no_call_where_none_is_wanted(smollm2: Page) -> None:
    answer = evaluate(smollm2, "hermes", "return ask({tool_choice: 'none'});")
    message = answer["choices"][0]["message"]
    assert "tool_calls" not in message
    assert "<tool_call>" in message["content"]  # it has seen others do so
    # Another tool's name is no call of these.
    answer = evaluate(smollm2, "hermes", "return ask({tools: [tool('other')]});")
    assert "tool_calls" not in answer["choices"][0]["message"]


def test_special_tokens_are_seen_where_there_are_tools(page: Page, models: Path) -> None:
    with Model.open(models / "functiongemma.gguf", weights=False) as model:
        (mark,) = model.tokenizer.encode("<start_function_call>", bos=False)
    body = f"""
      const one = {{messages: [{{role: 'user', content: '?'}}], max_tokens: 3,
        logit_bias: {{{mark}: 100}}}};
      const answers = [];
      for (const params of [one, {{...one, tools: []}}, {{...one, tool_choice: 'none'}},
                            {{...one, tool_choice: 'required'}}, one])
        answers.push((await ask(params)).choices[0].message.content);
      return answers;
    """
    shown = 3 * "<start_function_call>"
    forced = "<start_function_call>call:get_weather{" + shown
    assert evaluate(page, "functiongemma", body) == [shown, "", "", forced, shown]


def test_a_model_without_tools_refuses_them(page: Page) -> None:
    answer = evaluate(page, "base", "return ask({});")
    assert answer["code"] == "bad_template"
    answer = evaluate(page, "functiongemma", "return ask({tools: [{type: 'function'}]});")
    assert answer["code"] == "invalid_argument"
    assert "tools such as" in answer["error"]
