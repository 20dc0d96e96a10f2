"""Importance matrices: the sums are what transformers' layers see, the files are llama.cpp's."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import MODEL_ARCH, GGUFReader, get_tensor_name_map
from numpy.typing import NDArray

from slmweb.core import Instance, Model
from slmweb.errors import SlmError
from slmweb.quantize import ImportanceMatrix, quantize
from slmweb.quantize.imatrix import Entry, compute, read_imatrix, write_imatrix
from tests.goldens.tiny_gguf import write_gguf
from tests.goldens.tiny_models import MODELS, TinyModel, weights
from tests.goldens.transformers_models import transformers_model
from tests.py.quantize.files import WIDE, metadata, values

TEXT = b"the hen and the rain on a line in the inn, then the hen ran on and on. " * 4
CHUNK = 40

F64 = NDArray[np.float64]


def squares_in_transformers(model: TinyModel, chunks: list[list[int]]) -> dict[str, F64]:
    """Sums of the squared inputs of every linear layer, by GGUF's name."""
    hf = transformers_model(model)
    names = get_tensor_name_map(MODEL_ARCH[model.arch.upper()], model.n_layer)
    sums: dict[str, F64] = {}
    for module_name, module in hf.named_modules():
        if not isinstance(module, torch.nn.Linear):
            continue
        tied_head = module_name == "lm_head" and model.tied
        name = "token_embd" if tied_head else names.get_name(module_name)
        assert name is not None

        def add(_: object, inputs: tuple[torch.Tensor], name: str = f"{name}.weight") -> None:
            squares = inputs[0].double().pow(2).sum(dim=(0, 1)).numpy()
            sums[name] = sums.get(name, 0) + squares

        module.register_forward_pre_hook(add)
    with torch.no_grad():
        for chunk in chunks:
            hf(torch.tensor([chunk]), use_cache=False)
    return sums


@pytest.mark.parametrize("name", ["llama-gqa", "llama", "gemma4-e2b"])
def test_the_sums_are_those_of_forward_hooks(tmp_path: Path, core: Instance, name: str) -> None:
    """One model with a tied head, one with a head of its own; and one whose last layers have no
    keys of their own and could leave out all tokens but the last, with a table of rows that no
    product reads."""
    (path,) = write_gguf(name, tmp_path / "model.gguf")
    seen: list[tuple[int, int]] = []
    with Model.open(path, core=core) as model:
        ids = model.tokenizer.encode(TEXT, special=False)
        matrix = compute(
            model, TEXT, dataset="hen.txt", chunk=CHUNK, progress=lambda *at: seen.append(at)
        )
        bos = model.info["bos"]
        assert model.info["add_bos"]
        assert bos is not None
    n = len(ids) // CHUNK
    assert n > 2
    chunks = [[bos, *ids[i * CHUNK + 1 : (i + 1) * CHUNK]] for i in range(n)]
    expected = squares_in_transformers(MODELS[name], chunks)
    assert set(matrix.entries) == set(expected)
    model_of = MODELS[name]
    per_layer = 2 * model_of.n_layer + 1 if model_of.n_per_layer else 0
    assert len(expected) == 7 * model_of.n_layer - 2 * model_of.n_shared + per_layer + 1
    for tensor, sums in expected.items():
        found = matrix.entries[tensor]
        assert found.count == n * CHUNK
        # The core leaves a factor of root 2 to the norm behind; weights count among each other.
        left = 2 if model_of.n_per_layer and tensor.endswith(".proj.weight") else 1
        np.testing.assert_allclose(found.sums, left * sums, rtol=2e-5)
    assert (matrix.chunk_count, matrix.chunk_size, matrix.datasets) == (n, CHUNK, ("hen.txt",))
    assert seen[-1] == (n * CHUNK, n * CHUNK)


def test_a_tensor_of_several_matrices_counts_once(tmp_path: Path, core: Instance) -> None:
    (path,) = write_gguf("phi4-mini", tmp_path / "model.gguf")
    with Model.open(path, core=core) as model:
        matrix = compute(model, TEXT, dataset="hen.txt", chunk=CHUNK)
    tiny = MODELS["phi4-mini"]
    assert len(matrix.entries) == 4 * tiny.n_layer + 1
    counts = {entry.count for entry in matrix.entries.values()}
    assert counts == {matrix.chunk_count * CHUNK}
    # What attention reads is normalized: the weight's squares, as many of them as tokens.
    norm = weights(tiny)["model.layers.0.input_layernorm.weight"].values
    sums = matrix.entries["blk.0.attn_qkv.weight"].sums
    assert np.mean(sums / norm**2) / counts.pop() == pytest.approx(1, rel=1e-3)


def test_a_second_one_starts_from_zero(llama: Path, core: Instance) -> None:
    with Model.open(llama, core=core) as model:
        first = compute(model, TEXT, dataset="a", chunk=CHUNK)
        second = compute(model, TEXT, dataset="a", chunk=CHUNK)
        one = compute(model, TEXT, dataset="a", chunk=CHUNK, max_chunks=1)
    for name, entry in first.entries.items():
        np.testing.assert_array_equal(entry.sums, second.entries[name].sums)
        assert one.entries[name].count == CHUNK
        assert (one.entries[name].sums <= entry.sums).all()


def test_a_text_shorter_than_a_chunk_is_one_chunk(llama: Path, core: Instance) -> None:
    with Model.open(llama, core=core) as model:
        n = len(model.tokenizer.encode(b"the hen", special=False))
        matrix = compute(model, b"the hen", dataset="a")
        assert (matrix.chunk_count, matrix.chunk_size) == (1, n)
        with pytest.raises(SlmError, match="tokens"):
            compute(model, b"", dataset="a")
        with pytest.raises(SlmError, match="takes 2 to 512"):
            compute(model, TEXT, dataset="a", chunk=513)


def test_the_core_refuses_what_makes_no_sense(llama: Path, core: Instance) -> None:
    with Model.open(llama, core=core) as model, core.allocate(4096) as room:

        def read(tensor: int, capacity: int) -> int:
            return core.check("slm_imatrix_read", model.handle, tensor, room, capacity)

        with pytest.raises(SlmError, match="start one"):
            read(0, 64)
        core.check("slm_imatrix_start", model.handle)
        assert model.info["tensors"][0]["shape"] == [64, 307]
        assert read(0, 64) == 0  # nothing was evaluated yet
        with pytest.raises(SlmError, match="room for 63 sums"):
            read(0, 63)
        with pytest.raises(SlmError, match="not a matrix"):
            read(len(model.info["tensors"]), 64)
    with (
        Model.open(llama, core=core, weights=False) as model,
        pytest.raises(SlmError, match="not all there"),
    ):
        core.check("slm_imatrix_start", model.handle)


# ---- files ----------------------------------------------------------------


def some_matrix() -> ImportanceMatrix:
    entries = {
        name: Entry(np.arange(1, n + 1, dtype=np.float32), 80.0)
        for name, n in (("blk.1.ffn_down.weight", 512), ("blk.0.attn_q.weight", 256))
    }
    return ImportanceMatrix(entries, ("a.txt", "b.txt"), 2, 40)


def test_the_file_is_what_llama_cpp_writes(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    write_imatrix(some_matrix(), path)
    assert metadata(path) == {
        "general.type": "imatrix",
        "imatrix.datasets": ["a.txt", "b.txt"],
        "imatrix.chunk_count": 2,
        "imatrix.chunk_size": 40,
    }
    tensors = {t.name: t for t in GGUFReader(path).tensors}
    assert list(tensors) == [
        "blk.0.attn_q.weight.in_sum2",
        "blk.0.attn_q.weight.counts",
        "blk.1.ffn_down.weight.in_sum2",
        "blk.1.ffn_down.weight.counts",
    ]
    assert {t.tensor_type.name for t in tensors.values()} == {"F32"}
    assert tensors["blk.0.attn_q.weight.counts"].data.tolist() == [80.0]
    assert tensors["blk.1.ffn_down.weight.in_sum2"].shape.tolist() == [512]


def test_files_come_back(tmp_path: Path) -> None:
    path, matrix = tmp_path / "m.gguf", some_matrix()
    write_imatrix(matrix, path)
    found = read_imatrix(path)
    assert (found.datasets, found.chunk_count, found.chunk_size) == (("a.txt", "b.txt"), 2, 40)
    for name, entry in matrix.entries.items():
        np.testing.assert_array_equal(found.entries[name].sums, entry.sums)
        weights = found.weights(name)
        assert weights is not None
        np.testing.assert_allclose(weights, entry.sums / 80)
    assert found.weights("blk.0.attn_k.weight") is None


def test_the_older_binary_format(tmp_path: Path) -> None:
    """Entries of name, calls and means times calls; then calls and the text's name."""
    data = struct.pack("<i", 1) + struct.pack("<i", 19) + b"blk.0.attn_q.weight"
    data += struct.pack("<ii4f", 3, 4, 3.0, 6.0, 9.0, 12.0)
    path = tmp_path / "m.dat"
    for tail in (b"", struct.pack("<ii", 3, 5) + b"a.txt"):
        path.write_bytes(data + tail)
        found = read_imatrix(path)
        weights = found.weights("blk.0.attn_q.weight")
        assert weights is not None
        assert weights.tolist() == [1.0, 2.0, 3.0, 4.0]
        assert found.datasets == (("a.txt",) if tail else ())


def test_damaged_files(tmp_path: Path) -> None:
    good, path = tmp_path / "good.gguf", tmp_path / "cut.gguf"
    write_imatrix(some_matrix(), good)
    whole = good.read_bytes()
    for size in (0, 3, 4, 20, 100, 300, len(whole) - 4000):
        path.write_bytes(whole[:size])
        with pytest.raises(SlmError, match=r"cut\.gguf is not an importance matrix") as caught:
            read_imatrix(path)
        assert caught.value.code == "bad_file"
    with pytest.raises(SlmError, match="no such file"):
        read_imatrix(tmp_path / "absent")
    entry = Entry(np.full(256, np.nan, np.float32), 1.0)
    write_imatrix(ImportanceMatrix({"blk.0.attn_q.weight": entry}), path)
    with pytest.raises(SlmError, match="not all finite"):
        read_imatrix(path)


def test_a_model_is_not_an_importance_matrix(llama: Path) -> None:
    with pytest.raises(SlmError, match="has no entries"):
        read_imatrix(llama)


@pytest.mark.parametrize(("name", "columns"), [("blk.0.attn_q.weight", 64), ("blk.9.up", 256)])
def test_a_matrix_of_another_model(wide: Path, tmp_path: Path, name: str, columns: int) -> None:
    path = tmp_path / "m.gguf"
    write_imatrix(ImportanceMatrix({name: Entry(np.ones(columns, np.float32), 1.0)}), path)
    with pytest.raises(SlmError, match="computed for another model") as caught:
        quantize(wide, tmp_path / "out.gguf", type="Q4_0", imatrix=path)
    assert caught.value.code == "invalid_argument"
    assert not (tmp_path / "out.gguf").exists()


def test_types_that_take_no_weights_need_no_package(wide: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    write_imatrix(some_matrix(), path)
    assert WIDE.n_embd == 256
    done = quantize(wide, tmp_path / "out.gguf", type="Q8_0", imatrix=path)
    assert done.weighted == 0
    assert metadata(tmp_path / "out.gguf")["quantize.imatrix.file"] == "m.gguf"
    assert len(values(tmp_path / "out.gguf")) == len(values(wide))
