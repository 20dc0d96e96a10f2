"""The GPU's benchmark: headers without weights, what records say is read, and a run of the whole
on a tiny model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from bench.gpu import accounting, models
from bench.gpu.onnx import write_decoder
from script import ROOT, BuildError
from shader_tables import Operation, read_interface
from slmweb.core import Model
from slmweb.generated.abi import TENSOR_TYPES
from slmweb.plan.shape import from_config, read_shape
from tests.dawn import NO_DEVICE, PACKAGE

OPERATIONS = {one.name: one for one in read_interface(()).operations}


def record(name: str, kind: str, grid: Sequence[int], **fields: Sequence[int]) -> list[int]:
    """The words of a dispatch; what is not named is 0, an override its default."""
    operation: Operation = OPERATIONS[name]
    words = [list(OPERATIONS).index(name), TENSOR_TYPES[kind].id, *grid]
    for override in operation.overrides:
        words += fields.get(override.name, [override.default])
    words += [1] * len(operation.buffers)
    for member in operation.params:
        words += fields.get(member.name, [0] * member.words)
    return words


def test_what_a_token_reads_is_in_its_records() -> None:
    products = {"PRODUCTS": [2], "rows": [6, 9, 100, 0], "blocks": [5]}
    once = (8 + 12) * 5 * 18  # whole groups of four rows, blocks of 18 bytes
    read = accounting.weight_bytes
    assert read([record("matvec", "Q4_0", (3, 1, 1), **products)]) == once
    assert read([record("matvec_lane", "Q4_0", (3, 1, 2), **products)]) == 2 * once
    assert read([record("embed", "Q8_0", (1, 1, 1), n=[3], blocks=[5])]) == 3 * 5 * 34
    many = record("matmul", "Q4_K", (1, 8, 1), rows=[64], blocks=[8])
    assert read([many, record("glu", "F32", (1, 1, 1))]) == 8 * 64 * 8 * 18.5
    blocks = record("block_matmul", "Q4_0", (1, 2, 1), rows=[64], blocks=[8])
    assert read([blocks]) == 2 * 64 * 8 * 18
    assert accounting.counts([many, many]) == {"matmul": 2}


def test_every_operation_that_reads_weights_is_accounted_for() -> None:
    for name, operation in OPERATIONS.items():
        if operation.format:
            accounting.weight_bytes([record(name, "Q4_0", (1, 1, 1))])


def test_a_record_of_another_build_is_not_read() -> None:
    with pytest.raises(BuildError, match=r"words of glu, found 4.*make wasm"):
        accounting.parse(record("glu", "F32", (1, 1, 1))[:4])


@pytest.mark.parametrize("name", ["gemma3-1b-q4_k", "gemma-7b-q8_0", "tiny-q4_0"])
def test_a_header_stands_for_a_model(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "FOLDER", tmp_path)
    model = models.MODELS[name]()
    sizes = sum(tensor.file_bytes for tensor in model.shape.tensors)
    assert model.path.stat().st_size + sizes <= model.size < 1.01 * sizes + (16 << 20)
    assert 0.9 * sizes < model.read_bytes <= sizes
    os.truncate(model.path, model.size)  # a hole, in place of the weights
    read = read_shape(model.path)
    assert (read.architecture, read.windows) == (model.shape.architecture, model.shape.windows)
    assert (read.tensors, read.head_dim) == (model.shape.tensors, model.shape.head_dim)
    with Model.open(model.path, weights=False) as opened:
        assert opened.tokenizer.encode("a", bos=False)


def messages(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The length-delimited fields of a message of protobuf."""
    at = 0

    def varint() -> int:
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = content[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(content):
        number, wire = divmod(varint(), 8)
        n = varint() if wire != 5 else 4
        if wire != 0:
            at += n
            yield number, content[at - n : at]


def test_a_decoder_as_onnx(tmp_path: Path) -> None:
    """What onnxruntime itself says of it, `make bench-gpu ARGS=--ort` shows."""
    config = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 3, "vocab_size": 96,
              "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 128,
              "max_position_embeddings": 64}  # fmt: skip
    shape = from_config(config, "a test")
    weights = write_decoder(shape, tmp_path / "model.onnx", 8)
    products = sum(t.elements for t in [*shape.layer_matrices, shape.head])
    assert weights == products // 32 * (16 + 4)
    ((_, graph),) = [m for m in messages((tmp_path / "model.onnx").read_bytes()) if m[0] == 7]
    parts = list(messages(graph))
    kinds = [dict(messages(part))[4] for number, part in parts if number == 1]
    assert kinds.count(b"MatMulNBits") == 7 * 3 + 1
    assert kinds.count(b"SimplifiedLayerNormalization") == 2 * 3 + 1
    tensors = [dict(messages(part)) for number, part in parts if number == 5]
    assert sum(len(tensor[9]) for tensor in tensors) > weights
    assert len({tensor[8] for tensor in tensors}) == len(tensors)
    ends = [dict(messages(part))[1] for number, part in parts if number in (11, 12)]
    assert ends == [b"x", b"logits"]


def test_an_unknown_model_is_answered_with_those_there_are() -> None:
    with pytest.raises(BuildError, match="no model 'gemma-9b'; choose from smollm2-q4_1"):
        models.choose("smollm2-q4_1,gemma-9b")


def test_a_tiny_model_is_measured(tmp_path: Path) -> None:
    if not PACKAGE.is_file():
        pytest.skip(NO_DEVICE)
    out = tmp_path / "gpu.json"
    options = ["--models", "tiny-q4_0", "--prompt", "8", "--generate", "2", "--out", str(out)]
    done = subprocess.run(
        [sys.executable, "-m", "bench.gpu", *options], cwd=ROOT, text=True, capture_output=True,
        env={**os.environ, "PYTHONPATH": "build"}, check=False,
    )  # fmt: skip
    if NO_DEVICE in done.stdout.replace("\n", " "):
        pytest.skip(NO_DEVICE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tiny-q4_0: operations" in done.stdout
    told = json.loads(out.read_text())
    assert told["emulated"] == (told["not_seen_on_hardware"] is not None)
    (model,) = told["models"]
    assert model["dispatches"] <= 10 * 6 + 2
    assert 1 <= model["read_over_weights"] <= 1.05
    assert model["prefill_tokens_per_s"] > 0
    assert (
        0
        < model["decode_share"]
        == pytest.approx(model["decode_bytes_per_s"] / told["device"]["copy_bytes_per_second"])
    )
    assert model["form"] == min(model["forms"], key=model["forms"].get)
    timed = {each["operation"]: each["dispatches"] for each in model["decode_operations"]}
    assert timed == model["dispatches_by_operation"]
