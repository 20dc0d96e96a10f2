"""Sizes against what the core itself says, and the memory rule against its vectors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from slmweb.core.model import Model
from slmweb.pack.manifest import ContextMemory, read_manifest
from slmweb.pack.pack import pack
from slmweb.plan.memory import contexts, fit, session_bytes, weights_bytes
from slmweb.plan.shape import Shape, read_shape
from tests.goldens.tiny_gguf import write_gguf, write_model
from tests.goldens.tiny_models import (
    EMBEDDERS,
    ENCODER_DECODERS,
    MODELS,
    TYPED_MODELS,
    weights,
)
from tests.py.models import tiny

ROOT = Path(__file__).parents[3]
VECTORS = json.loads((ROOT / "tests/goldens/memory_rule.json").read_bytes())
SMOLLM2 = ROOT / "dist/gguf/SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_the_rule(vector: dict[str, object]) -> None:
    """web/src/store/room.ts is held to the same vectors."""
    v: dict[str, object] = vector
    found = fit(
        v["weights"],  # type: ignore[arg-type]
        [ContextMemory(*pair) for pair in v["contexts"]],  # type: ignore[attr-defined]
        v["n_ctx"],  # type: ignore[arg-type]
        blob=v["blob"],  # type: ignore[arg-type]
        wasm_limit=v["wasm"],  # type: ignore[arg-type]
        device_memory=v["device_memory"],  # type: ignore[arg-type]
        gpu=v["gpu"],  # type: ignore[arg-type]
        force=v["force"],  # type: ignore[arg-type]
    )
    got = (found.verdict, found.n_ctx, found.needed, found.limit, found.available, found.needs_gpu)
    keys = ("verdict", "fits_n_ctx", "needed", "limit", "available", "needs_gpu")
    assert got == tuple(v[k] for k in keys)


def core_sizes(path: Path, lengths: list[int]) -> tuple[int, list[int]]:
    """Packed weights and session bytes by the core."""
    with Model.open(path, weights=False) as model:
        model.layout()
        assert model.info["packed_bytes"] is not None
        return model.info["packed_bytes"], [model.session_bytes(n) for n in lengths]


def assert_close(shape: Shape, path: Path, lengths: list[int]) -> None:
    weights, sessions = core_sizes(path, lengths)
    assert weights_bytes(shape) == weights
    for length, session in zip(lengths, sessions, strict=True):
        # The core rounds each array up to 64 bytes, and its scratch may change: a hundredth.
        assert session_bytes(shape, length) == pytest.approx(session, rel=0.01, abs=4096), length


@pytest.mark.parametrize("name", [*MODELS, *ENCODER_DECODERS, *TYPED_MODELS])
def test_a_tiny_model_takes_what_the_core_says(name: str, tmp_path: Path) -> None:
    """Every family, with the windows and head shapes of its own, in float32, whose cache is
    float32 too; and every tensor type."""
    model = (MODELS | ENCODER_DECODERS | TYPED_MODELS)[name]
    path = write_gguf(model.name, tmp_path / "model.gguf")[0]
    assert_close(read_shape(path), path, [64, 512, 2048])


@pytest.mark.parametrize("name", EMBEDDERS)
def test_a_tiny_embedder_takes_what_the_core_says(name: str, tmp_path: Path) -> None:
    path = write_gguf(name, tmp_path / "model.gguf")[0]
    assert_close(read_shape(path), path, [64, 512])


@pytest.mark.parametrize("name", ["gemma-embedding2", "xlm-roberta"])
def test_a_text_is_no_longer_than_one_evaluation(name: str, tmp_path: Path) -> None:
    """Though models that embed were trained for longer ones."""
    tiny_model = replace(EMBEDDERS[name], n_ctx_train=16384)
    write_model(tiny_model, weights(tiny_model), tmp_path / "model.gguf")
    manifest = pack([tmp_path / "model.gguf"], tmp_path / "packed", with_known_answer=False)
    found = contexts(read_shape(tmp_path / "model.gguf"))
    assert [c.n_ctx for c in found] == [512, 1024, 2048, 4096, 8192]
    for mine, theirs in zip(found, manifest.memory.contexts, strict=True):
        assert mine.bytes == pytest.approx(theirs.bytes, rel=0.02)


def test_smollm2_takes_what_the_core_says_and_its_manifest_states() -> None:
    shape = read_shape(SMOLLM2)
    assert_close(shape, SMOLLM2, [512, 2048, 8192])
    manifest = read_manifest(ROOT / "dist/models/smollm2-135m-instruct-q4_1")
    assert [c.n_ctx for c in contexts(shape)] == [c.n_ctx for c in manifest.memory.contexts]
    assert manifest.memory.weights == weights_bytes(shape)


def test_lengths_are_those_of_the_manifest(tmp_path: Path) -> None:
    path = tiny("gemma3", tmp_path)
    manifest = pack([path], tmp_path / "packed")
    assert [c.n_ctx for c in contexts(read_shape(path))] == [
        c.n_ctx for c in manifest.memory.contexts
    ]
