"""SmolLM2 in a real browser, by the public API, on every variant of the CPU: what no tiny
model and no mock shows. The page is one of the server's own, with its headers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from generate import read_abi
from script import DIST, ROOT

MODEL = "smollm2-135m-instruct-q4_1"

TWO_TURNS = """async ({manifest, variant}) => {
  const {SLM} = await import('/slmweb.js');
  const slm = await SLM.load(manifest, {variant, threads: variant.endsWith('-mt') ? 2 : 1});
  const fact = await slm.completions.create({
    prompt: 'The capital of France is', max_tokens: 6, temperature: 0,
  });
  const messages = [{role: 'user', content: 'Name three colours.'}];
  const first = await slm.chat.completions.create({messages, max_tokens: 24, temperature: 0});
  messages.push(first.choices[0].message, {role: 'user', content: 'And three more.'});
  const second = await slm.chat.completions.create({messages, max_tokens: 8, temperature: 0});

  const stop = new AbortController();
  const story = [{role: 'user', content: 'Write a long story about a ship at sea.'}];
  const request = {messages: story, max_tokens: 400, temperature: 0, stream: true};
  let before = 0, after = 0;
  try {
    const stream = await slm.chat.completions.create(request, {signal: stop.signal});
    for await (const chunk of stream) {
      if (stop.signal.aborted) after++;
      else if (++before === 4) stop.abort();
    }
  } catch (error) {
    if (error.name !== 'AbortError') throw error;
  }
  const again = await slm.completions.create({prompt: 'One, two,', max_tokens: 3, temperature: 0});
  const info = slm.info;
  slm.dispose();
  return JSON.stringify({
    fact: fact.choices[0].text, first, second, before, after, again: again.choices[0].text,
    variant: info.variant, threads: info.threads, isolated: crossOriginIsolated,
  });
}"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    command = [sys.executable, "-m", "slmweb", "serve", "--port", "0"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        assert server.stdout is not None
        first_line = server.stdout.readline()
        try:
            found = re.search(r"http://\S+", first_line)
            assert found, first_line
            yield found[0]
        finally:
            server.kill()  # its orderly end is another test's


@pytest.mark.parametrize("variant", [v.name for v in read_abi().variants if v.backend == "cpu"])
def test_two_turns_and_a_stop(browser: Browser, address: str, variant: str) -> None:
    assert (DIST / "models" / MODEL / "manifest.json").is_file(), "run `make model` first"
    page = browser.new_page()
    page.goto(f"{address}/a-page-that-is-not-there")
    manifest = f"{address}/models/{MODEL}/manifest.json"
    result: dict[str, Any] = json.loads(
        page.evaluate(TWO_TURNS, {"manifest": manifest, "variant": variant})
    )
    page.close()
    assert result["variant"] == variant
    assert result["isolated"] is True
    assert result["threads"] == (2 if variant.endswith("-mt") else 1)
    assert "Paris" in result["fact"]
    assert result["first"]["choices"][0]["message"]["content"].strip()

    # The second turn computes only what the first did not: its question and
    # the end of the answer, not the system prompt and the first question.
    usage = result["second"]["usage"]
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    assert cached >= result["first"]["usage"]["prompt_tokens"]
    assert cached < usage["prompt_tokens"]

    assert result["before"] == 4
    assert result["after"] == 0
    assert result["again"].strip()
