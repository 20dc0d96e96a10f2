"""What goes wrong when quantizing: one sentence, and nothing under the final name."""

from __future__ import annotations

import errno
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from slmweb.errors import SlmError
from slmweb.quantize import ggml, quantize
from slmweb.quantize.choice import parse_override
from tests.goldens.tiny_gguf import write_model
from tests.goldens.tiny_models import MODELS, Tensor, weights


def model_with(path: Path, value: float) -> Path:
    """A model with one element of blk.1.ffn_up replaced."""
    model = replace(MODELS["llama"], name="damaged")
    tensors = weights(model)
    name = "model.layers.1.mlp.up_proj.weight"
    values = tensors[name].values.copy()
    values[3, 5] = value
    (written,) = write_model(model, tensors | {name: Tensor(values)}, path)
    return written


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_values_that_are_not_finite(tmp_path: Path, value: float) -> None:
    source = model_with(tmp_path / "nan.gguf", value)
    for kind in ("Q4_0", "F16", "F32"):
        with pytest.raises(SlmError, match=r"nan\.gguf: tensor blk\.1\.ffn_up\.weight") as caught:
            quantize(source, tmp_path / "out.gguf", type=kind)
        assert caught.value.code == "bad_file"
    assert list(tmp_path.iterdir()) == [source]


def test_values_that_float16_cannot_hold(tmp_path: Path) -> None:
    source = model_with(tmp_path / "large.gguf", 1e6)
    for kind in ("F16", "Q4_0"):
        with pytest.raises(SlmError, match=r"ffn_up\.weight holds values up to 1e\+06"):
            quantize(source, tmp_path / "out.gguf", type=kind)
    assert quantize(source, tmp_path / "out.gguf", type="BF16").size > 0


@pytest.mark.parametrize("size", [0, 3, 100, 5000, -1])
def test_files_that_are_cut_short(llama: Path, tmp_path: Path, size: int) -> None:
    path = tmp_path / "cut.gguf"
    path.write_bytes(llama.read_bytes()[:size])
    with pytest.raises(SlmError, match=r"cut\.gguf"):
        quantize(path, tmp_path / "out.gguf", type="Q4_0")
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("no model\n" * 100)
    with pytest.raises(SlmError, match="GGUF"):
        quantize(tmp_path / "text.gguf", tmp_path / "out.gguf", type="Q4_0")
    with pytest.raises(SlmError, match="no such file"):
        quantize(tmp_path / "absent.gguf", tmp_path / "out.gguf", type="Q4_0")
    assert not (tmp_path / "out.gguf").exists()


@pytest.mark.parametrize(
    ("name", "hint"), [("Q4_K_M", "main type is Q4_K"), ("Q9", "choose web"), ("IQ2_XXS", "Q4_0")]
)
def test_types_that_there_are_not(llama: Path, tmp_path: Path, name: str, hint: str) -> None:
    with pytest.raises(SlmError, match=hint) as caught:
        quantize(llama, tmp_path / "out.gguf", type=name)
    assert caught.value.code == "invalid_argument"


@pytest.mark.parametrize("text", ["", "Q4_0", "=Q4_0", "blk.*=", "blk.*=Q99"])
def test_overrides_that_make_no_sense(text: str) -> None:
    with pytest.raises(SlmError) as caught:
        parse_override(text)
    assert caught.value.code == "invalid_argument"


def test_without_llama_cpp_python(wide: Path, tmp_path: Path) -> None:
    ggml._quantize_chunk.cache_clear()
    with (
        mock.patch.dict(sys.modules, {"llama_cpp": None}),
        pytest.raises(SlmError, match=r'pip install "slmweb\[llama\]"') as caught,
    ):
        quantize(wide, tmp_path / "out.gguf", type="Q4_K")
    ggml._quantize_chunk.cache_clear()
    assert caught.value.code == "missing_extra"
    assert list(tmp_path.iterdir()) == []


def test_full_disk(wide: Path, tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    with (
        mock.patch("os.fsync", side_effect=full),
        pytest.raises(SlmError, match="no space left on device") as caught,
    ):
        quantize(wide, tmp_path / "out.gguf", type="Q4_0")
    assert caught.value.code == "unwritable"
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_is_a_folder(wide: Path, tmp_path: Path) -> None:
    with pytest.raises(SlmError, match="it is a folder"):
        quantize(wide, tmp_path, type="Q4_0")


_INTERRUPTED = """
import os, signal, sys
from slmweb.cli.app import run
from slmweb.quantize import codec
encode, calls = codec.encode, []
def interrupted(*arguments):
    calls.append(1)
    if len(calls) == 5:
        os.kill(os.getpid(), signal.SIGINT)
    return encode(*arguments)
codec.encode = interrupted
sys.exit(run(sys.argv[1:]))
"""


def test_ctrl_c_leaves_nothing(wide: Path, tmp_path: Path) -> None:
    command = ["quantize", str(wide), "-o", str(tmp_path / "out.gguf"), "--type", "Q4_0"]
    done = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED, *command], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")
    assert list(tmp_path.iterdir()) == []
