"""Whole evaluations over tiny models, against the logits themselves; a few items of
SmolLM2, which knows some answers; and `slmweb eval` as a gate.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax

from slmweb.core import Model, chat_prompt, perplexity
from slmweb.errors import SlmError
from slmweb.evaluate.divergence import divergence
from slmweb.evaluate.gate import missed, parse_bounds
from slmweb.evaluate.journal import FILE
from slmweb.evaluate.metrics import names
from slmweb.evaluate.prompts import Wording, check_wording
from slmweb.evaluate.run import Result
from slmweb.evaluate.tasks import Settings
from tests.goldens.chat_templates import TEMPLATES
from tests.goldens.real_models import find
from tests.py.cli.program import slmweb
from tests.py.models import tiny

TICKETS = [
    {"text": "I paid twice", "label": "bill"},
    {"text": "It is broken", "label": "fault"},
    {"text": "Where is it?", "label": "fault"},
    {"text": "What is due?", "label": "bill"},
]


def write(folder: Path, lines: list[dict[str, Any]]) -> Path:
    path = folder / "data.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def evaluated(*arguments: str | Path, status: int = 0) -> dict[str, Any]:
    done = slmweb("eval", *map(str, arguments), "--json")
    assert done.returncode == status, done.stderr.decode()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / FILE).read_text().splitlines()]


def logprob(path: Path, prompt: list[int], whole: list[int]) -> float:
    """Of what follows the prompt, by one evaluation of everything and scipy."""
    with Model.open(path) as model, model.session(len(whole)) as session:
        logits = np.concatenate(list(session.logits(whole)))
    logprobs = log_softmax(logits.astype(np.float64), axis=1)
    n = len(prompt)
    return float(sum(logprobs[i - 1, whole[i]] for i in range(n, len(whole))))


def test_labels_are_scored_with_the_end_of_the_turn(qwen2: Path, tmp_path: Path) -> None:
    data = write(tmp_path, TICKETS)
    evaluated(qwen2, "--data", data, "--task", "classify", "--prompt", "{labels}: {text}",
              "-o", tmp_path)  # fmt: skip
    first = records(tmp_path)[0]
    with Model.open(qwen2, weights=False) as model:
        messages = [{"role": "user", "content": "bill, fault: I paid twice"}]
        prompt = chat_prompt(model, messages)
        wholes = [
            prompt + model.tokenizer.encode(f"{label}<|im_end|>", bos=False)
            for label in ("bill", "fault")
        ]
    expected = [logprob(qwen2, prompt, whole) for whole in wholes]
    assert first["logprobs"] == pytest.approx(expected, rel=1e-5)
    assert first["prediction"] == int(np.argmax(expected))
    assert first["nll"] == pytest.approx(-expected[0], rel=1e-5)


def test_a_base_model_continues_plain_text(llama: Path, tmp_path: Path) -> None:
    data = write(tmp_path, [{"question": "the hen", "choices": ["sat", "the otter"], "answer": 1}])
    result = evaluated(llama, "--data", data, "--task", "choice", "-o", tmp_path)
    with Model.open(llama, weights=False) as model:
        encode = model.tokenizer.encode
        prompt = encode("the hen\nAnswer:", special=False)
        wholes = [encode(f"the hen\nAnswer: {c}", special=False) for c in ("sat", "the otter")]
    assert all(whole[: len(prompt)] == prompt for whole in wholes)
    expected = [logprob(llama, prompt, whole) for whole in wholes]
    (first,) = records(tmp_path)
    assert first["logprobs"] == pytest.approx(expected, rel=1e-5)
    assert first["n_bytes"] == [3, 9]
    assert result["models"][0]["metrics"]["accuracy"] == float(np.argmax(expected) == 1)


def test_perplexity_is_that_of_slmweb_perplexity(gemma3: Path, tmp_path: Path) -> None:
    text = "the hen and the otter are at the inn. " * 4
    data = write(tmp_path, [{"text": text}])
    found = evaluated(gemma3, "--data", data, "--task", "perplexity", "--n-ctx", "32")
    with Model.open(gemma3) as model:
        expected = perplexity(model, text.encode(), n_ctx=32)
    assert expected.windows > 1
    metrics = found["models"][0]["metrics"]
    assert metrics["perplexity"] == pytest.approx(expected.perplexity, rel=1e-5)


def test_a_reference_is_compared_at_every_position(
    llama: Path, tmp_path: Path, model_folder: Path
) -> None:
    other = tiny("llama-gqa", model_folder)
    text = "the hen and the otter are at the inn."
    data = write(tmp_path, [{"text": text}])
    found = evaluated(other, "--reference", llama, "--data", data, "--task", "perplexity")
    reference, model = found["models"]
    assert (reference["reference"], model["reference"]) == (True, False)
    assert "kl" not in reference["metrics"]
    logits = []
    for path in (other, llama):
        with Model.open(path) as opened, opened.session(64) as session:
            ids = opened.tokenizer.encode(text, special=False)
            logits.append(np.concatenate(list(session.logits(ids))))
    expected = divergence(logits[0][:-1], logits[1][:-1], ids[:-1])
    assert model["metrics"]["kl"] == pytest.approx(expected.kl, rel=1e-5)
    assert model["metrics"]["flips"] == expected.flips
    assert model["metrics"]["positions"] == len(ids) - 1


def test_a_model_has_no_distance_from_itself(qwen2: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(qwen2.read_bytes() + b"\0")  # the same model, another file
    data = write(tmp_path, TICKETS[:2])
    found = evaluated(copy, "--reference", qwen2, "--data", data, "--task", "classify")
    metrics = found["models"][1]["metrics"]
    assert (metrics["kl"], metrics["flips"], found["models"][1]["difference"]) == (0, 0, 0)


def test_a_file_named_twice_is_one_row(qwen2: Path, tmp_path: Path) -> None:
    data = write(tmp_path, TICKETS[:2])
    found = evaluated(qwen2, qwen2, "--data", data, "--task", "classify")
    assert len(found["models"]) == 1


def test_models_with_the_same_bytes_are_rows_of_their_own(qwen2: Path, tmp_path: Path) -> None:
    data = write(tmp_path, TICKETS[:2])
    (tmp_path / "more").mkdir()
    copies = [tmp_path / "copy.gguf", tmp_path / "more" / "copy.gguf", tmp_path / "third.gguf"]
    for copy in copies:
        copy.write_bytes(qwen2.read_bytes())
    line = ("--reference", qwen2, "--data", data, "--task", "classify")
    models = evaluated(*copies, qwen2, *line)["models"]
    assert [model["reference"] for model in models] == [True, False, False, False, False]
    assert len({model["name"] for model in models}) == 5
    assert all(model["metrics"]["kl"] == 0 for model in models[1:])


@pytest.mark.parametrize("copied", [True, False], ids=["a copy", "the reference itself"])
def test_a_model_equal_to_the_reference_is_judged(
    qwen2: Path, tmp_path: Path, copied: bool
) -> None:
    data = write(tmp_path, TICKETS[:2])
    model = tmp_path / "copy.gguf"
    model.write_bytes(qwen2.read_bytes())
    done = slmweb(
        "eval", str(model if copied else qwen2), "--reference", str(qwen2), "--data", str(data),
        "--task", "classify", "--fail-under", "accuracy=1",
    )  # fmt: skip
    assert done.returncode == 1, done.stderr.decode()
    assert b"has accuracy 0.5, under 1" in done.stderr


def test_a_gate_without_anything_to_judge_is_missed() -> None:
    made = Result("classify", "", [], Settings(Wording("classify")), seed=0)
    bounds = parse_bounds(["accuracy=0"], [], names("classify", False))
    assert missed(made, bounds) == ["there is no model beside the reference"]
    assert missed(made, []) == []


def test_answers_are_greedy_and_come_again(qwen2: Path, tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [
        {"messages": [{"role": "user", "content": "Hi"}], "expected": "Hello"}
    ]
    options = ("--data", write(tmp_path, lines), "--task", "chat", "--max-tokens", "6")
    first = evaluated(qwen2, *options, "-o", tmp_path / "a")["models"][0]
    evaluated(qwen2, *options, "-o", tmp_path / "b")
    (a,), (b,) = records(tmp_path / "a"), records(tmp_path / "b")
    assert a["text"] == b["text"]
    assert first["metrics"]["decode_tokens_per_second"] > 0
    with Model.open(qwen2) as model, model.session(64) as session:
        ids = chat_prompt(model, [{"role": "user", "content": "Hi"}])
        for _ in range(6):
            session.reuse([0])
            logits = session.eval(ids, "last")
            assert logits is not None
            ids.append(int(logits.argmax()))
        assert a["text"] == model.tokenizer.decode(ids[-6:]).decode("utf-8", "replace")


def test_a_label_can_be_generated(qwen2: Path, tmp_path: Path) -> None:
    options = ("--data", write(tmp_path, TICKETS[:2]), "--task", "classify", "--max-tokens", "2")
    found = evaluated(qwen2, *options, "--by", "generation", "-o", tmp_path)
    assert all(len(record["logprobs"]) == 2 and "text" in record for record in records(tmp_path))
    assert found["models"][0]["metrics"]["confusion"]["predicted"][-1] == "(none)"


def test_smollm2_knows_capitals(tmp_path: Path) -> None:
    path = find("smollm2")
    assert path is not None
    lines: list[dict[str, Any]] = [
        {"question": "The capital of France is", "choices": ["banana", "Paris"], "answer": "Paris"},
        {"question": "Two plus two is", "choices": ["four", "Venus"], "answer": 0},
    ]
    options = ("--task", "choice", "--raw", "--prompt", "{text}", "--data", write(tmp_path, lines))
    (found,) = evaluated(path, *options)["models"]
    assert found["metrics"]["accuracy"] == 1
    assert found["size"] == path.stat().st_size
    assert math.isfinite(found["metrics"]["perplexity"])


@pytest.mark.parametrize(
    ("bounds", "status", "says"),
    [
        (["--fail-under", "accuracy=0"], 0, ""),
        (["--fail-over", "kl=0", "--fail-over", "flips=0"], 0, ""),
        (["--fail-under", "accuracy=0.9"], 1, "copy has accuracy 0.5, under 0.9"),
        (
            ["--fail-over", "perplexity=1", "--fail-under", "f1=0.9"],
            1,
            "under 0.9; copy has perplexity",
        ),
        (["--fail-under", "accuracy=80"], 2, "a fraction from 0 to 1; 80% is accuracy=0.8"),
        (["--fail-over", "flips=5"], 2, "a fraction from 0 to 1; 5% is flips=0.05"),
        (["--fail-under", "f1=-1"], 2, "a fraction from 0 to 1"),
        (["--fail-over", "accuracy=0.5"], 2, "write --fail-under accuracy=0.5"),
        (["--fail-under", "first_token_seconds=1"], 2, "write --fail-over first_token_seconds=1"),
        (["--fail-over", "accuracy"], 2, "METRIC=NUMBER"),
        (["--fail-under", "accuracy=nan"], 2, "METRIC=NUMBER"),
        (["--fail-under", "bleu=1"], 2, "'bleu' is no figure of this task; there are accuracy,"),
        (["--fail-under", "kl=0.01"], 2, "write --fail-over kl=0.01"),
    ],
)
def test_the_gate(qwen2: Path, tmp_path: Path, bounds: list[str], status: int, says: str) -> None:
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(qwen2.read_bytes() + b"\0")
    data = write(tmp_path, TICKETS[:2])
    done = slmweb(
        "eval", str(copy), "--reference", str(qwen2), "--data", str(data),
        "--task", "classify", "-o", str(tmp_path / "out"), *bounds,
    )  # fmt: skip
    assert done.returncode == status, done.stderr.decode()
    assert says in done.stderr.decode()
    assert done.stderr.count(b"\n") == (1 if status else 0)
    # A figure that is too low is still reported.
    assert (tmp_path / "out" / "report.html").is_file() == (status != 2)


def test_kl_as_a_bound_needs_a_reference(qwen2: Path, tmp_path: Path) -> None:
    data = write(tmp_path, TICKETS)
    done = slmweb("eval", str(qwen2), "--data", str(data), "--task", "classify",
                  "--fail-over", "kl=0.01")  # fmt: skip
    assert (done.returncode, b"kl needs --reference" in done.stderr) == (2, True)


BAD: dict[str, tuple[list[str], str]] = {
    "no file": (["--data", "{dir}/absent.jsonl", "--task", "classify"], "absent.jsonl"),
    "no such task": (["--data", "{data}", "--task", "sing"], "sing"),
    "labels of a chat": (["--data", "{data}", "--task", "chat", "--labels", "a,b"], "--labels"),
    "one label": (["--data", "{data}", "--task", "classify", "--labels", "a"], "two or more"),
    "generation of a choice": (
        ["--data", "{data}", "--task", "choice", "--by", "generation"],
        "for classify",
    ),
    "too long": (
        ["--data", "{data}", "--task", "classify", "--n-ctx", "16"],
        "tiny-chat, line 1 takes",
    ),
    "messages without a template": (
        ["--data", "{chat}", "--task", "chat", "--raw"],
        'line 1 has "messages" and --raw was given',
    ),
    "another vocabulary": (
        ["--data", "{data}", "--task", "classify", "--reference", "{smollm2}"],
        "has a vocabulary of 49152 tokens",
    ),
    "reference in a browser": (
        ["--data", "{data}", "--task", "classify", "--reference", "{smollm2}", "--browser"],
        "without --browser",
    ),
    "a placeholder that does not exist": (
        ["--data", "{data}", "--task", "classify", "--prompt", "Topic of {{txt}}"],
        "--prompt has {txt}, and --task classify fills in {text} and {labels}",
    ),
    "another beside the right one": (
        ["--data", "{data}", "--task", "classify", "--prompt", "{{lables}}: {{text}}"],
        "--prompt has {lables}",
    ),
    "labels where there are none": (
        ["--data", "{chat}", "--task", "chat", "--prompt", "{{labels}}: {{text}}"],
        "--task chat fills in {text}",
    ),
    "a prompt without the text": (
        ["--data", "{data}", "--task", "classify", "--prompt", "What is the topic?"],
        "no line's text would reach the model",
    ),
    "an empty prompt": (
        ["--data", "{data}", "--task", "classify", "--prompt", ""],
        "no line's text would reach the model",
    ),
    "a prompt for perplexity": (
        ["--data", "{data}", "--task", "perplexity", "--prompt", "{{text}}"],
        "--prompt is not for perplexity",
    ),
    "a text of one token": (["--data", "{one}", "--task", "perplexity"], "fewer than two tokens"),
}


@pytest.mark.parametrize(
    "prompt",
    ['As {"label": "…"}: {text}', "{{text}}", r"\frac{a}{b} {text}", "f{x} { txt } {0} {text}"],
)
def test_braces_that_are_no_placeholders(prompt: str) -> None:
    check_wording(Wording("classify", prompt))


@pytest.mark.parametrize(
    ("bound", "says"),
    [
        ("chrf=0.5", "from 0 to 100, not to 1; write chrf=50 for 50"),
        ("bleu=101", "from 0 to 100"),
    ],
)
def test_scores_of_a_hundred_are_no_fractions(bound: str, says: str) -> None:
    with pytest.raises(SlmError, match=says):
        parse_bounds([bound], [], names("generate", False))


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_evaluated(qwen2: Path, tmp_path: Path, name: str) -> None:
    arguments, says = BAD[name]
    chat = tmp_path / "chat.jsonl"
    chat.write_text(json.dumps({"messages": [{"role": "user", "content": "Hi"}], "answer": "x"}))
    one = tmp_path / "one.jsonl"
    one.write_text('{"text": "a"}')
    places = {
        "dir": tmp_path, "data": write(tmp_path, TICKETS), "chat": chat, "one": one,
        "smollm2": find("smollm2"),
    }  # fmt: skip
    done = slmweb("eval", str(qwen2), *(argument.format(**places) for argument in arguments))
    error = done.stderr.decode()
    assert done.returncode in (1, 2), error
    assert says in error
    assert error.count("\n") == 1
    assert done.stdout == b""


def tool_lines() -> list[dict[str, Any]]:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": schema}}]

    def turn(city: str) -> list[dict[str, Any]]:
        function = {"name": "get_weather", "arguments": json.dumps({"city": city})}
        return [
            {"role": "user", "content": f"Weather in {city}?"},
            {"role": "assistant", "content": None,
             "tool_calls": [{"id": city, "type": "function", "function": function}]},
            {"role": "tool", "tool_call_id": city, "content": "sunny"},
            {"role": "assistant", "content": "It is sunny."},
        ]  # fmt: skip

    before = [*turn("Rome"), *turn("Oslo")]
    right = {"name": "get_weather", "arguments": {"city": "paris"}}
    asked = {"messages": [*before, {"role": "user", "content": "Weather in Paris?"}]}
    return [
        {**asked, "tools": tools, "calls": [right], "category": "one"},
        {**asked, "tools": tools, "calls": [], "category": "none"},
    ]


def test_calls_of_tools_are_judged(tmp_path: Path) -> None:
    path = find("smollm2")
    if path is None:
        pytest.skip("no SmolLM2; run `make model`")
    data = write(tmp_path, tool_lines())
    common = ("--data", data, "--task", "tools", "--max-tokens", "32")
    template = ("--chat-template", TEMPLATES / "hermes.jinja")
    found = evaluated(path, *common, *template, "-o", tmp_path)
    metrics = found["models"][0]["metrics"]
    assert (metrics["accuracy"], metrics["relevance"], metrics["parse_failures"]) == (0.5, 0.5, 0)
    assert metrics["per_category"]["one"] == {"accuracy": 1.0, "items": 1}
    assert metrics["per_category"]["none"] == {"accuracy": 0.0, "items": 1}
    assert records(tmp_path)[0]["calls"] == [["get_weather", '{"city":"Paris"}']]
    report = (tmp_path / "report.html").read_text()
    assert "categories" in report
    # An answer that has to be a call is begun as one.
    forced = evaluated(path, *common, *template, "--must-call", "--limit", "1")
    assert forced["models"][0]["metrics"]["relevance"] in (0, 1)
    refused = slmweb("eval", str(path), *map(str, common))
    assert refused.returncode == 1
    assert b"knows no tools" in refused.stderr


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--task", "tools", "--raw"), b"leave --raw out"),
        (("--task", "chat", "--must-call"), b"is for tools"),
        (("--task", "tools", "--browser", "--chat-template", "x"), b"without --browser"),
    ],
)
def test_options_of_tools_that_do_not_go_together(
    qwen2: Path, tmp_path: Path, options: tuple[str, ...], why: bytes
) -> None:
    data = write(tmp_path, tool_lines())
    refused = slmweb("eval", str(qwen2), "--data", str(data), *options)
    assert refused.returncode != 0
    assert why in refused.stderr
