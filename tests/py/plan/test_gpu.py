"""Sizes on a GPU against what the core itself says, its programs against those that it asks for,
and the roofline's plain properties. No GPU is needed: the core names what it would do."""

from __future__ import annotations

import json
import re
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import wasmtime

from slmweb import paths
from slmweb.core import instance
from slmweb.core.instance import Instance
from slmweb.core.model import Model
from slmweb.errors import SlmError
from slmweb.generated import abi
from slmweb.plan.gpu import Gpu, gpu_fit, pipelines, predict, session, weights_bytes
from slmweb.plan.memory import context_lengths
from slmweb.plan.rates import read_device
from slmweb.plan.shape import Shape, from_config, read_shape
from slmweb.pull.registry import read_registry
from tests.goldens.tiny_gguf import write_gguf
from tests.goldens.tiny_models import EMBEDDERS, ENCODER_DECODERS, MODELS, TYPED_MODELS

ROOT = Path(__file__).parents[3]
SMOLLM2 = ROOT / "dist/gguf/SmolLM2-135M-Instruct.Q4_1.gguf"
LIMIT = 1 << 27
GPU = Gpu("a GPU", gb_per_s=100, tflops=4, us_per_dispatch=10, ms_per_pipeline=50, binding_mib=128)


def laid_out(path: Path) -> Model:
    model = Model.open(path, core=Instance(wasm=paths.wasm_file("webgpu")), weights=False)
    model.layout()
    return model


def assert_sizes(path: Path, lengths: list[int]) -> None:
    shape = read_shape(path)
    with laid_out(path) as model:
        # The core begins each region of a matrix at a multiple of 64 bytes.
        room = 4 * 64 * len(shape.tensors)
        assert weights_bytes(shape) == pytest.approx(model.info["packed_bytes"], abs=room)
        for length in lengths:
            # Its scratch may change: a hundredth, as on the CPU.
            said = model.session_bytes(length, abi.N_BATCH["gpu"])
            assert session(shape, length).total == pytest.approx(said, rel=0.01), length


@pytest.mark.parametrize("name", [*MODELS, *ENCODER_DECODERS, *TYPED_MODELS])
def test_a_tiny_model_takes_what_the_core_says(name: str, tmp_path: Path) -> None:
    model = (MODELS | ENCODER_DECODERS | TYPED_MODELS)[name]
    assert_sizes(write_gguf(model.name, tmp_path / "model.gguf")[0], [64, 512, 2048])


@pytest.mark.parametrize("name", EMBEDDERS)
def test_a_tiny_embedder_takes_what_the_core_says(name: str, tmp_path: Path) -> None:
    assert_sizes(write_gguf(name, tmp_path / "model.gguf")[0], [64, 512])


def test_smollm2_takes_what_the_core_says() -> None:
    assert_sizes(SMOLLM2, [512, 2048, 8192])


def programs(path: Path, n_ctx: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Distinct operations, types and overrides among the records of slm_model_prepare."""
    text = (ROOT / "web/src/generated/gpu.ts").read_text()
    declared = re.findall(r"overrides: \[(.*?)\],\s*buffers", text, re.S)
    overrides = [len(re.findall("default:", listed)) for listed in declared]
    seen: set[tuple[int, ...]] = set()
    cores: list[Instance] = []

    def recording(store: wasmtime.Store, wanted: wasmtime.ImportType) -> wasmtime.Func:
        kind = wanted.type
        assert isinstance(kind, wasmtime.FuncType)

        def call(*arguments: int) -> int | None:
            if wanted.name == "encode":
                words = struct.unpack("<16I", cores[0].view(arguments[0], 64))
                seen.add((*words[:2], *words[5 : 5 + overrides[words[0]]]))
            return LIMIT if kind.results else None

        return wasmtime.Func(store, kind, call)

    monkeypatch.setattr(instance, "_idle", recording)
    cores.append(Instance(wasm=paths.wasm_file("webgpu")))
    model = Model.open(path, core=cores[0], weights=False)
    model.layout()
    cores[0].check("slm_model_prepare", model.handle, n_ctx, abi.N_BATCH["gpu"])
    return len(seen)


@pytest.mark.parametrize("name", ["llama", "gemma2", "gemma3-27b", "Q4_K"])
def test_about_so_many_programs_are_compiled(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_gguf((MODELS | TYPED_MODELS)[name].name, tmp_path / "model.gguf")[0]
    asked = programs(path, 2048, monkeypatch)
    assert asked > 10
    assert pipelines(read_shape(path)) == pytest.approx(asked, rel=1 / 3)


def gemma(kind: str) -> Shape:
    entry = read_registry().models["gemma3-1b-it"]
    assert entry.config is not None
    return from_config(entry.config, entry.key).quantized(kind)


def test_decoding_is_the_bandwidth_and_prefill_the_arithmetic() -> None:
    shape, free = gemma("Q4_0"), replace(GPU, us_per_dispatch=1e-9)
    rates = predict(shape, free, n_past=0)
    read = sum(t.file_bytes for t in [*shape.layer_matrices, shape.head])
    assert rates.decode_tokens_per_second == pytest.approx(0.5 * 100e9 / read, rel=0.01)
    work = 2 * sum(t.elements for t in shape.layer_matrices)
    assert rates.prefill_tokens_per_second == pytest.approx(0.3 * 4e12 / work, rel=0.1)


def test_more_of_everything_is_never_slower() -> None:
    shape = gemma("Q8_0")
    base = predict(shape, GPU)
    for change in ({"gb_per_s": 200}, {"tflops": 8}, {"us_per_dispatch": 5}, {"decode_share": 0.6},
                   {"prefill_share": 0.4}):  # fmt: skip
        better = predict(shape, replace(GPU, **change))
        assert better.decode_tokens_per_second >= base.decode_tokens_per_second
        assert better.prefill_tokens_per_second >= base.prefill_tokens_per_second
        assert better != base
    assert predict(shape, replace(GPU, ms_per_pipeline=10)).compile_seconds < base.compile_seconds


def test_a_session_is_held_against_the_binding_and_all_against_the_memory() -> None:
    """Weights are not: the head of 262,144 rows is larger than a binding, and is cut."""
    shape = gemma("Q8_0")
    assert shape.head.file_bytes > LIMIT
    lengths = context_lengths(shape.n_ctx_train)
    plenty = 64 << 30
    assert gpu_fit(shape, lengths, 2048, GPU, plenty).verdict == "fits"
    wide = replace(shape, n_head_kv=64)
    found = gpu_fit(wide, lengths, 32768, GPU, plenty)
    assert (found.verdict, found.limit, found.available) == ("shorter", "binding", LIMIT)
    assert session(wide, found.n_ctx).largest <= LIMIT < session(wide, 32768).largest
    assert session(wide, 32768).holds == "the keys of a layer"
    small = weights_bytes(shape) + session(shape, 512).total + (8 << 20)
    found = gpu_fit(shape, lengths, 2048, GPU, small)
    assert (found.verdict, found.n_ctx, found.limit) == ("shorter", 512, "memory")
    found = gpu_fit(shape, lengths, 2048, GPU, weights_bytes(shape))
    assert (found.verdict, found.n_ctx, found.limit) == ("refused", 512, "memory")


def test_a_gpu_of_ones_own(tmp_path: Path) -> None:
    numbers: dict[str, Any] = {
        "memory_gib": 2, "threads": 2, "gmac_per_s": 10, "gb_per_s_per_thread": 3, "gb_per_s": 5,
    }  # fmt: skip
    path = tmp_path / "mine.json"

    def written(gpu: object) -> Gpu | None:
        path.write_text(json.dumps({**numbers, "gpu": gpu}))
        return read_device(str(path)).gpu

    assert written(None) is None
    assert written("apple") == read_device("mac").gpu
    own = {"gb_per_s": 60, "tflops": 2, "us_per_dispatch": 9, "ms_per_pipeline": 70}
    assert written(own) == Gpu("its GPU", 60, 2, 9, 70)
    assert written({**own, "decode_share": 0.4}).decode_share == 0.4  # type: ignore[union-attr]
    with pytest.raises(SlmError, match="names the GPU 'voodoo'; choose from phone, integrated"):
        written("voodoo")
    with pytest.raises(SlmError, match="number above 0 as 'tflops', but has 0"):
        written({**own, "tflops": 0})
