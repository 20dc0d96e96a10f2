"""The plan as a whole: what the command prints, what it recommends, and the browsers' table."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from slmweb.errors import SlmError
from slmweb.plan.browsers import Browser, read_browsers
from slmweb.plan.plan import Plan, plan
from slmweb.plan.rates import read_device
from slmweb.quantize import quantize
from slmweb.quantize.choice import tensor_type
from slmweb.sizes import apart, bytes_text
from tests.py.cli.program import slmweb
from tests.py.models import tiny
from tests.py.pull.hub_server import FakeRepo, serve_hub


def made(model: str, device: str) -> Plan:
    return plan(model, read_device(device))


def test_a_recommendation_has_numbers_and_fits() -> None:
    found = made("gemma3-1b-it", "phone")
    assert "1.7 GB" not in found.recommendation
    named = next(o for o in found.options if f"use {o.type}:" in found.recommendation)
    assert named.fit.verdict == "fits"
    assert named.type not in ("Q3_K", "Q2_K")
    assert f"{bytes_text(named.download_bytes)} to download" in found.recommendation


def test_what_is_advised_can_be_asked_of_build() -> None:
    for model, device in (("gemma3-270m", "laptop"), ("gemma2-2b-it", "phone")):
        found = made(model, device)
        (named,) = (o for o in found.options if f"use {o.type}:" in found.recommendation)
        asked = re.findall(r"--type (\w+)", found.recommendation)
        assert asked == ([] if named.type == "web" else [named.type.lower()])
        for kind in asked:
            assert tensor_type(kind).name == named.type


def test_a_shorter_context_before_fewer_bits() -> None:
    found = plan("gemma2-2b-it", replace(read_device("phone"), gpu=None))
    assert "1,024 tokens of context" in found.recommendation
    assert "With 2,048 tokens it would need more than the 1.72 GB" in found.recommendation


def test_what_fits_nowhere_is_said(tmp_path: Path) -> None:
    device = tmp_path / "watch.json"
    numbers = {"memory_gib": 0.5, "threads": 1, "gmac_per_s": 2, "gb_per_s": 1}
    device.write_text(json.dumps({**numbers, "gb_per_s_per_thread": 1, "title": "a watch"}))
    found = made("gemma2-2b-it", str(device))
    assert found.device.gpu is None
    assert (
        "On a watch (0.5 GiB) nothing fits: even Q2_K needs 1.00 GB and a tab may take 214.7 MB"
        in found.recommendation
    )
    assert all(not need.fits for option in found.options for need in option.contexts)


# Wide as Llama 2 7B.
LLAMA_7B = {
    "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "vocab_size": 32000,
    "num_attention_heads": 32, "intermediate_size": 11008, "max_position_embeddings": 4096,
}  # fmt: skip


def test_what_no_page_can_hold_needs_the_gpu(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(LLAMA_7B))
    found = made(str(config), "desktop")
    (q4,) = (option for option in found.options if option.type == "Q4_K")
    assert (q4.fit.verdict, q4.fit.limit) == ("refused", "wasm")
    assert q4.gpu is not None
    assert (q4.gpu.fit.verdict, q4.backend, q4.needs_gpu) == ("fits", "webgpu", True)
    assert "on the GPU. It needs the GPU: the CPU would take " in found.recommendation
    assert (q4.contexts[0].fits, q4.contexts[0].gpu_fits) == (False, True)
    shown = slmweb("plan", str(config), "--device", "desktop").stdout.decode()
    assert re.search(r"^a desktop computer .* needs the GPU$", shown, re.M)
    assert re.search(r"^a phone +- +- .*neither: too large$", shown, re.M)
    assert re.search(r"^Q4_K .*GB\+", shown, re.M)
    without = plan(str(config), replace(read_device("desktop"), gpu=None))
    assert {option.backend for option in without.options if not option.rough} == {None}


def test_each_class_of_device_gets_an_advice() -> None:
    told = json.loads(slmweb("plan", "gemma3-1b-it", "--device", "phone", "--json").stdout)
    advised = {one["device"]["title"]: one["option"]["backend"] for one in told["classes"]}
    assert list(advised) == ["a phone", "a laptop", "a Mac (Apple M)", "a desktop computer"]
    assert advised["a desktop computer"] == "webgpu"
    assert {one["option"]["type"] for one in told["classes"]} == {
        told["recommendation"].split("use ")[1].split(":")[0]
    }


def test_other_shares_make_another_advice() -> None:
    shown = slmweb("plan", "gemma3-1b-it", "--gpu-shares", "0.05,0.01").stdout.decode()
    assert "decodes at 5% of its bandwidth and prefills at 1% of its arithmetic" in shown
    assert re.search(r"^a laptop .* CPU$", shown, re.M)
    for text in ("0.5", "0,1", "half,0.3", "1,2", "nan,1"):
        failed = slmweb("plan", "gemma3-1b-it", "--gpu-shares", text)
        assert failed.returncode != 0
        assert b"two numbers above 0 and up to 1" in failed.stderr


GEMMA_27B = {
    "model_type": "gemma3_text", "hidden_size": 5376, "num_hidden_layers": 62, "vocab_size": 262208,
    "num_attention_heads": 32, "num_key_value_heads": 16, "head_dim": 128,
    "intermediate_size": 21504, "max_position_embeddings": 131072, "sliding_window": 1024,
}  # fmt: skip


@pytest.mark.parametrize("device", ["phone", "laptop", "desktop"])
def test_the_sentence_has_the_headers_number(tmp_path: Path, device: str) -> None:
    """Also where the limit of WebAssembly, which is larger on some devices, is passed as well."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps(GEMMA_27B))
    shown = slmweb("plan", str(config), "--device", device).stdout.decode()
    (header,) = re.findall(r"of which a tab may take (\S+ \S+);", shown)
    assert f"a tab may take {header}; choose a smaller model" in shown


def test_only_two_bits_are_warned_of(tmp_path: Path) -> None:
    small = tmp_path / "small.json"
    numbers = {"memory_gib": 2.9, "threads": 4, "gmac_per_s": 20, "gb_per_s": 20}
    small.write_text(json.dumps({**numbers, "gb_per_s_per_thread": 10, "title": "a tablet"}))
    found = made("gemma2-2b-it", str(small))
    assert "use Q2_K" in found.recommendation
    assert "Only two or three bits a weight fit" in found.recommendation
    assert [option.type for option in found.options if option.rough] == ["Q3_K", "Q2_K"]
    assert "Only two" not in made("gemma2-2b-it", "laptop").recommendation


def test_what_quantize_writes_by_itself_has_a_row(tmp_path: Path) -> None:
    source = tiny("llama", tmp_path)
    (row,) = (option for option in made(str(source), "laptop").options if option.type == "web")
    quantize(source, tmp_path / "web.gguf", type="web")
    written = made(str(tmp_path / "web.gguf"), "laptop")
    assert row.weights_bytes == written.options[0].weights_bytes


def test_sizes_that_are_compared_never_read_the_same() -> None:
    assert apart(1_000_400, 1_000_300) == ("1,000,400 bytes", "1,000,300 bytes")
    assert apart(2_000_000, 1_000_000) == ("2.0 MB", "1.0 MB")
    assert apart(2_000_000, 2_000_000) == ("2.0 MB", "2.0 MB")


def test_more_context_needs_more_memory_and_fewer_bits_less() -> None:
    found = made("qwen3-0.6b", "laptop")
    for option in found.options:
        needs = [need.needed_bytes for need in option.contexts]
        assert needs == sorted(needs)
        assert [need.n_ctx for need in option.contexts][:2] == [512, 1024]
    sizes = {option.type: option.download_bytes for option in found.options}
    assert sizes["F16"] > sizes["Q8_0"] > sizes["Q6_K"] > sizes["Q4_K"] > sizes["Q2_K"]
    assert found.options[0].download_seconds["4G"] == pytest.approx(sizes["F16"] * 8 / 12e6)


def test_a_file_comes_first_as_it_is(tmp_path: Path) -> None:
    found = made(str(tiny("gemma3", tmp_path)), "laptop")
    assert found.options[0].type == "as it is"
    assert found.types is not None


def test_of_the_hub_only_the_config_is_fetched() -> None:
    config = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 512,
              "num_attention_heads": 2, "intermediate_size": 128}  # fmt: skip
    files = {"config.json": json.dumps(config).encode(), "model.safetensors": bytes(5000)}
    with serve_hub({"me/tuned": FakeRepo(files)}) as hub:
        found = plan("hf:me/tuned", read_device("phone"), endpoint=hub.url)
        assert found.architecture == "llama"
        assert [p.split("/")[-1] for _, p, _ in hub.requests if "resolve" in p] == ["config.json"]
        # A web server is asked for it in the same way.
        address = f"{hub.url}/content/me/tuned"
        assert plan(address, read_device("phone")).parameters == found.parameters


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(SlmError, match="no model 'nothing'"):
        made("nothing", "phone")


def test_builds_by_browser_version() -> None:
    table = {browser.name: browser.paths() for browser in read_browsers()}
    assert table["Chrome"] == [("91", "simd-mt"), ("114", "relaxed-mt")]
    assert table["Safari"] == [("16.4", "simd-mt")]
    assert Browser("Old").paths() == []
    late = Browser("Late", simd="80", threads="90", relaxed_simd="100")
    assert late.paths() == [("80", "simd"), ("90", "simd-mt"), ("100", "relaxed-mt")]


def test_the_command_prints_both_forms() -> None:
    shown = slmweb("plan", "smollm2-360m-instruct", "--device", "phone")
    assert shown.returncode == 0, shown.stderr
    assert b"On a phone (4 GiB) use" in shown.stdout
    told = json.loads(slmweb("plan", "smollm2-360m-instruct", "--device", "phone", "--json").stdout)
    assert told["recommendation"] in shown.stdout.decode()
    assert told["browsers"][0]["paths"][0] == {"from": "91", "build": "simd-mt"}
    assert {"type", "contexts", "decode_tokens_per_second"} <= set(told["options"][0])


def test_the_list_of_what_can_be_pulled() -> None:
    told = json.loads(slmweb("pull", "--list", "--json").stdout)["models"]
    assert {"name": "gemma2-2b-it", "kind": "hf", "consent": True}.items() <= next(
        model for model in told if model["name"] == "gemma2-2b-it"
    ).items()
    shown = slmweb("pull", "--list").stdout.decode()
    assert all(model["good_for"] in shown for model in told)
    assert slmweb("pull").stderr == b"slmweb: no model was named; see `slmweb models`\n"
