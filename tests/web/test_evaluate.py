"""`slmweb eval --browser` beside the same evaluation in Python, and the report as a
browser shows it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from slmweb.evaluate.journal import FILE
from tests.goldens.chat_templates import TEMPLATES
from tests.goldens.real_models import find
from tests.py.cli.program import slmweb
from tests.py.evaluate.test_report import result
from tests.py.models import CHATML, tiny, with_template

USER = [{"role": "user", "content": "Where is my bill?"}]
DATA: list[dict[str, Any]] = [
    {"text": "I paid twice", "label": "bill"},
    {"text": "It is broken", "label": "fault"},
    {"messages": USER, "label": "bill"},
]


@pytest.fixture(scope="module")
def chat_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluated")
    return with_template(tiny("qwen2", folder), folder / "chat.gguf", CHATML)


def program(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A process of its own: Playwright runs in this one already."""
    return subprocess.run(
        [sys.executable, "-m", "slmweb", *arguments],
        capture_output=True, text=True, check=False, timeout=180, env={**os.environ, **env},
    )  # fmt: skip


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / FILE).read_text().splitlines()]


def test_chromium_finds_what_python_finds(chat_model: Path, tmp_path: Path) -> None:
    """Labels are scored, and an answer is generated as well."""
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(line) + "\n" for line in DATA))
    here, there = tmp_path / "python", tmp_path / "chromium"
    common = (
        "eval", str(chat_model), "--data", str(data), "--task", "classify", "--by", "generation",
        "--max-tokens", "6",
    )  # fmt: skip
    assert slmweb(*common, "-o", str(here)).returncode == 0
    done = program(*common, "-o", str(there), "--browser", "--json")
    assert done.returncode == 0, done.stderr
    (model,) = json.loads(done.stdout)["models"]
    assert model["runtime"].startswith("Chromium ")
    for ours, theirs in zip(records(here), records(there), strict=True):
        for name in ("prediction", "text", "finish_reason", "tokens", "bytes", "n_bytes"):
            assert ours[name] == theirs[name], name
        assert theirs["nll"] == pytest.approx(ours["nll"], rel=1e-4)
        assert theirs["logprobs"] == pytest.approx(ours["logprobs"], rel=1e-4)


@pytest.mark.parametrize("options", [(), ("--must-call",)])
def test_chromium_reads_calls_as_python_does(tmp_path: Path, options: tuple[str, ...]) -> None:
    """What a random model writes is no call; what it is asked and begun with has to be the same."""
    template = (TEMPLATES / "functiongemma.jinja").read_text()
    marks = {"<start_of_turn>": "<start_function_call>"}
    path = with_template(tiny("gemma3", tmp_path), tmp_path / "calls.gguf", template, marks)
    tool = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {}}}
    data = tmp_path / "data.jsonl"
    data.write_text(json.dumps({"prompt": "Do it.", "tools": [tool], "calls": []}) + "\n")
    here, there = tmp_path / "python", tmp_path / "chromium"
    common = ("eval", str(path), "--data", str(data), "--task", "tools", "--max-tokens", "6")
    assert slmweb(*common, *options, "-o", str(here)).returncode == 0
    done = program(*common, *options, "-o", str(there), "--browser")
    assert done.returncode == 0, done.stderr
    (ours,), (theirs,) = records(here), records(there)
    for name in ("text", "calls", "right", "unread", "finish_reason"):
        assert ours[name] == theirs[name], name
    assert ours["text"].startswith("<start_function_call>call:f{") is bool(options)


def test_chromium_judges_as_python_does(tmp_path: Path) -> None:
    model = find("smollm2")
    data = tmp_path / "data.jsonl"
    lines = [
        {"prompt": "Hello <|im_end|>", "label": 0},
        {"prompt": "Hello", "response": "Ho", "policy": {"name": "x", "text": "No."}, "label": 1},
    ]
    data.write_text("".join(json.dumps(line) + "\n" for line in lines))
    common = ("eval", str(model), "--data", str(data), "--task", "guard", "--policy", "hate")
    here, there = tmp_path / "python", tmp_path / "chromium"
    assert slmweb(*common, "-o", str(here)).returncode == 0
    done = program(*common, "-o", str(there), "--browser")
    assert done.returncode == 0, done.stderr
    for ours, theirs in zip(records(here), records(there), strict=True):
        assert theirs["policies"] == ours["policies"]
        assert theirs["probabilities"] == pytest.approx(ours["probabilities"], abs=1e-4)


@pytest.mark.usefixtures("gpu_browser")
def test_on_a_gpu_the_same_is_found(chat_model: Path, tmp_path: Path) -> None:
    """An emulated one here; what it computes it has proved before by the pack's known answer."""
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(line) + "\n" for line in DATA[:1]))
    common = ("eval", str(chat_model), "--data", str(data), "--task", "classify")
    here, there = tmp_path / "python", tmp_path / "gpu"
    labels = ("--labels", "bill,fault")
    assert slmweb(*common, *labels, "-o", str(here)).returncode == 0
    done = program(*common, *labels, "-o", str(there), "--browser", "--backend", "webgpu")
    assert done.returncode == 0, done.stderr
    (ours,), (theirs,) = records(here), records(there)
    assert ", WebGPU, " in theirs["runtime"]
    assert theirs["prediction"] == ours["prediction"]
    assert theirs["logprobs"] == pytest.approx(ours["logprobs"], rel=0.02)


def test_bench_takes_a_packed_folder_that_was_renamed(chat_model: Path, tmp_path: Path) -> None:
    packed = tmp_path / "another-name"
    assert slmweb("pack", str(chat_model), "--name", "packed", "-o", str(packed)).returncode == 0
    options = ("--prompt", "8", "--generate", "2", "--repeat", "1", "--json")
    done = program("bench", str(packed), *options, "--backend", "auto")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    # The emulated GPU is found, and left alone.
    assert (told["backend"], told["gpu"]) == ("cpu", None)
    assert "emulat" in told["backend_reason"]


@pytest.mark.usefixtures("gpu_browser")
def test_bench_measures_the_page_on_a_gpu(chat_model: Path) -> None:
    options = ("--prompt", "24", "--generate", "6", "--repeat", "1", "--json")
    done = program("bench", str(chat_model), *options, "--backend", "webgpu")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["backend"], told["variant"], told["threads"]) == ("webgpu", "webgpu", 1)
    assert told["prefill_tokens_per_second"] > 0
    assert told["decode_tokens_per_second"] > 0
    assert told["gpu"]["memory_bytes"] == told["memory_bytes"] > 0
    assert told["dispatches_per_submit"] > 5
    states = {check["name"]: check["state"] for check in told["checks"]}
    assert states["kernels"] == states["known_answer"] == "passed"


def test_without_a_browser_one_sentence_says_what_to_do(chat_model: Path, tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text(json.dumps({"text": "the hen and the otter"}))
    done = program(
        "eval", str(chat_model), "--data", str(data), "--task", "perplexity", "--browser",
        PATH=str(tmp_path), PLAYWRIGHT_BROWSERS_PATH=str(tmp_path),
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("slmweb: Chromium does not start (")
    assert "playwright install chromium" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1100, 360])
def test_the_report_fits_the_screen(
    browser: Browser, tmp_path: Path, scheme: Any, width: int
) -> None:
    from slmweb.evaluate.report import write_reports

    write_reports(result(set(), {1, 2}, {3}), tmp_path)
    with browser.new_context(
        viewport={"width": width, "height": 700}, color_scheme=scheme
    ) as context:
        page = context.new_page()
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: pytest.fail(message.text))
        page.goto((tmp_path / "report.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        # The answer for the first model is on the first screen, also of a phone.
        box = page.locator(".verdict strong").first.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < 700
        assert requests == [(tmp_path / "report.html").as_uri()]
        background, ink = page.evaluate(
            "['backgroundColor', 'color'].map((name) =>"
            " Number(getComputedStyle(document.body)[name].match(/\\d+/)[0]))"
        )
        assert (background < ink) == (scheme == "dark")
