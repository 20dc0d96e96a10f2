"""`slmweb models`: the search, the table, and the hub's answers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from slmweb.plan.candidates import by_name, on_hub
from slmweb.plan.plan import plan
from slmweb.plan.rates import known_devices, read_device
from slmweb.pull.registry import read_registry
from tests.py.cli.program import slmweb
from tests.py.pull.hub_server import FakeRepo, serve_hub

LLAMA = {
    "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 512,
    "num_attention_heads": 2, "intermediate_size": 128,
}  # fmt: skip


def names(query: str) -> set[str]:
    return {one.name for one in by_name(read_registry(), query, [])}


def test_words_are_found_in_name_title_family_and_use() -> None:
    assert names("") == set(read_registry().models)
    assert names("codegemma") == {"codegemma-2b"}
    assert "qwen2.5-coder-0.5b-instruct" in names("CODE qwen2")
    assert names("translating") == {"translategemma-4b-it"}
    assert {"gemma2-2b-it", "shieldgemma-2b"} <= names("gemma2")
    assert names("gemma nosuchword") == set()


def test_the_numbers_are_those_of_plan() -> None:
    phone = read_device("phone")
    (found,) = by_name(read_registry(), "gemma3-1b-it", [phone])
    made = plan("gemma3-1b-it", phone)
    (web,) = (option for option in made.options if option.type == "web")
    assert found.parameters == made.parameters
    assert found.download_bytes == web.download_bytes
    (on,) = found.devices
    assert (on.backend, on.n_ctx) == (web.backend, web.best_fit.n_ctx)
    assert on.decode_tokens_per_second == web.best_decode
    # A finished file is as large as it is.
    file = {one.name: one for one in by_name(read_registry(), "", [])}["smollm2"]
    assert file.download_bytes == file.size


def test_a_device_that_is_too_small_is_told(tmp_path: Path) -> None:
    watch = tmp_path / "watch.json"
    numbers = {"memory_gib": 0.5, "threads": 1, "gmac_per_s": 2, "gb_per_s": 1}
    watch.write_text(json.dumps({**numbers, "gb_per_s_per_thread": 1, "title": "a watch"}))
    shown = slmweb("models", "gemma2-2b", "--device", str(watch)).stdout.decode()
    assert re.search(r"^ +parameters +download +watch$", shown, re.M)
    assert re.search(r"^gemma2-2b-it +2,614 M +1\.89 GB +no$", shown, re.M)


def test_the_command_prints_both_forms() -> None:
    told = json.loads(slmweb("models", "medgemma", "--json").stdout)["models"]
    assert [one["license"] for one in told] == ["health-ai-developer-foundations"]
    assert [on["device"] for on in told[0]["devices"]] == [d.title for d in known_devices()]
    shown = slmweb("models", "medgemma").stdout.decode()
    assert told[0]["good_for"] in shown
    assert "(health-ai-developer-foundations, asks first)" in shown
    nothing = slmweb("models", "nosuchmodel")
    assert (nothing.returncode, nothing.stdout) == (0, b"")
    assert b"nothing matches; fewer words find more" in nothing.stderr
    assert slmweb("pull", "--list").stdout == slmweb("models").stdout


def test_the_hub_is_searched_for_what_runs() -> None:
    weights = {"model.safetensors": bytes(5000)}
    config = json.dumps(LLAMA).encode()
    repos = {
        "me/llama": FakeRepo({"config.json": config, **weights}),
        "me/t5": FakeRepo({"config.json": b'{"model_type": "t5"}', **weights}),
        "me/closed-llama": FakeRepo({"config.json": config, **weights}, "gemma", gated=True),
        "me/gguf": FakeRepo({"m.gguf": b"GGUF"}),
    }
    with serve_hub(repos) as hub:
        found = on_hub("me", [read_device("phone")], hub.url)
        assert [one.name for one in found] == ["hf:me/llama", "hf:me/closed-llama"]
        whole, closed = found
        assert whole.parameters == 2 * (4 * 64 * 64 + 3 * 64 * 128 + 128) + 2 * 512 * 64 + 64
        assert whole.devices[0].backend is not None
        assert (closed.parameters, closed.download_bytes, closed.devices) == (7, None, ())
        assert (closed.license, closed.consent) == ("gemma", True)
        shown = slmweb("models", "me", "--hub", "--endpoint", hub.url).stdout.decode()
        assert re.search(r"^hf:me/closed-llama +0 M +-$", shown, re.M)
        assert "100 downloads a month (gemma, asks first)" in shown
    gone = slmweb("models", "me", "--hub", "--endpoint", "http://127.0.0.1:9")
    assert b"is out of reach" in gone.stderr


@pytest.mark.parametrize("name", ["nosuch", "nosuch.json"])
def test_a_device_that_is_none(name: str) -> None:
    failed = slmweb("models", "--device", name)
    assert failed.returncode != 0
    assert name.encode() in failed.stderr
