"""Damaged and foreign checkpoints: one sentence that names the file and the fix, and no
output, neither under the final name nor beside it.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from slmweb.convert import convert
from slmweb.convert.gguf_file import _require_room
from slmweb.errors import SlmError
from tests.py.convert import checkpoints

Copy = Callable[[Path], Path]
WEIGHTS = "model.safetensors"


def refusal(folder: Path, code: str) -> str:
    """The sentence with which the folder is refused; nothing may be left where it would write."""
    out = folder.parent / "made" / "out.gguf"
    out.parent.mkdir(exist_ok=True)
    out.write_bytes(b"before")
    with pytest.raises(SlmError) as caught:
        convert(folder, out)
    assert caught.value.code == code, caught.value.message
    assert list(out.parent.iterdir()) == [out]
    assert out.read_bytes() == b"before"
    message = caught.value.message
    assert "\n" not in message
    return message


def edit(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Writes the checkpoint's tensors again, changed."""
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


EMBEDDING = "model.embed_tokens.weight"
GATE = "model.layers.1.mlp.gate_proj.weight"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_tensor_that_is_not_finite(value: float, qwen2: Path, copy_of: Copy) -> None:
    folder = copy_of(qwen2)

    def damage(tensors: dict[str, Any]) -> None:
        tensors[GATE][7, 3] = value

    edit(folder, damage)
    message = refusal(folder, "bad_file")
    assert f"{folder / WEIGHTS}: tensor '{GATE}' holds NaN or infinity (row 7)" in message
    assert "use another checkpoint" in message


def test_what_f16_cannot_hold(qwen2: Path, copy_of: Copy, tmp_path: Path) -> None:
    folder = copy_of(qwen2)

    def grow(tensors: dict[str, Any]) -> None:
        tensors[GATE][0, 0] = 1e5

    edit(folder, grow)
    message = refusal(folder, "unsupported")
    assert "'blk.1.ffn_gate.weight' holds 1e+05" in message
    assert "--type bf16" in message
    convert(folder, tmp_path / "bf16.gguf", type="bf16")


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda t: t.pop(GATE), "bad_file", f"has no tensor '{GATE}'"),
        (lambda t: t.pop("lm_head.weight"), "bad_file", "has no tensor 'lm_head.weight'"),
        (lambda t: t.update({GATE: t[GATE][:-1]}), "bad_file", "shape [159, 64]"),
        (lambda t: t.update({GATE: t[GATE].T.copy()}), "bad_file", "asks for [160, 64]"),
        (lambda t: t.update(extra=t[GATE]), "unsupported", "tensor 'extra' is not part of qwen2"),
        (
            lambda t: t.update({"model.layers.2.mlp.gate_proj.weight": t[GATE]}),
            "unsupported",
            "layers.2.mlp",
        ),
        (
            lambda t: t.update({GATE: t[GATE].astype(np.int8)}),
            "unsupported",
            "has the type I8",
        ),
    ],
    ids=["missing", "no head", "a row less", "transposed", "extra", "a layer more", "int8"],
)
def test_tensors_that_do_not_fit(
    change: Callable[[dict[str, Any]], None], code: str, words: str, qwen2: Path, copy_of: Copy
) -> None:
    folder = copy_of(qwen2)
    edit(folder, change)
    message = refusal(folder, code)
    assert words in message
    assert str(folder / WEIGHTS) in message


@pytest.mark.parametrize("size", [0, 7, 8, 100, 5000, -1])
def test_a_truncated_file(size: int, qwen2: Path, copy_of: Copy) -> None:
    folder = copy_of(qwen2)
    path = folder / WEIGHTS
    os.truncate(path, size if size >= 0 else path.stat().st_size - 1)
    message = refusal(folder, "bad_file")
    assert str(path) in message
    assert "download it again" in message


def test_a_header_that_lies(qwen2: Path, copy_of: Copy) -> None:
    """Every shape, offset and name that could mislead; each is one sentence about the file."""
    folder = copy_of(qwen2)
    path = folder / WEIGHTS
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    for change in (
        {"shape": [160, 65]},
        {"shape": [-160, -64]},
        {"shape": "many"},
        {"data_offsets": [8, 4]},
        {"data_offsets": [-4, 40956]},
        {"data_offsets": [0]},
        {"dtype": None, "shape": None},
    ):
        text = json.dumps(header | {GATE: header[GATE] | change}).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
        assert str(path) in refusal(folder, "bad_file")
    for text in (b"[]", b"{", b"\xff", b'{"a": 1}', b"[" * 5000):
        path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
        assert str(path) in refusal(folder, "bad_file")


def test_a_missing_shard(tmp_path: Path) -> None:
    tiny = checkpoints.models()["qwen2"]
    folder = checkpoints.save(
        tmp_path / "it",
        checkpoints.model_of(tiny),
        checkpoints.tokenizer_of(tiny),
        max_shard_size="200KB",
    )
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 2
    index = folder / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    shards[1].rename(folder / "elsewhere")
    message = refusal(folder, "unreadable")
    assert f"{shards[1]} is missing, one of {len(shards)} files" in message
    (folder / "elsewhere").rename(shards[1])
    for wrong in ("../it/a.safetensors", 3, None):
        index.write_text(json.dumps({"weight_map": content["weight_map"] | {EMBEDDING: wrong}}))
        assert "no valid weight_map" in refusal(folder, "bad_file")
    index.write_text(
        json.dumps({"weight_map": content["weight_map"] | {"lost.weight": shards[0].name}})
    )
    assert f"{shards[0]} has no tensor 'lost.weight'" in refusal(folder, "bad_file")


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("config.json", "unreadable", "config.json is missing"),
        (WEIGHTS, "unreadable", "model.safetensors is missing"),
        ("tokenizer.json", "unreadable", "tokenizer.json is missing, and so is tokenizer.model"),
    ],
)
def test_missing_files(name: str, code: str, words: str, qwen2: Path, copy_of: Copy) -> None:
    folder = copy_of(qwen2)
    (folder / name).unlink()
    assert words in refusal(folder, code)


def test_a_pickle(qwen2: Path, copy_of: Copy) -> None:
    folder = copy_of(qwen2)
    (folder / WEIGHTS).rename(folder / "pytorch_model.bin")
    message = refusal(folder, "unsupported")
    assert f"{folder / 'pytorch_model.bin'} is a pickle" in message
    assert "save_pretrained" in message


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "generation_config.json"])
@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b""])
def test_json_files_that_are_none(name: str, content: bytes, qwen2: Path, copy_of: Copy) -> None:
    folder = copy_of(qwen2)
    (folder / name).write_bytes(content)
    message = refusal(folder, "bad_file")
    assert str(folder / name) in message
    assert "download it again" in message


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"model_type": "fnet"}, "unsupported", "the model_type 'fnet', which is not supported"),
        ({"model_type": None}, "unsupported", "the model_type None"),
        ({"hidden_size": "64"}, "bad_file", "hidden_size is '64'"),
        ({"num_hidden_layers": -1}, "bad_file", "num_hidden_layers is '-1'"),
        ({"num_attention_heads": None}, "bad_file", "num_attention_heads is missing"),
        ({"rms_norm_eps": 0}, "bad_file", "rms_norm_eps is '0'"),
        ({"rope_parameters": {"rope_theta": -1}}, "bad_file", "rope_theta is '-1'"),
        ({"hidden_size": 96}, "bad_file", "asks for [443, 96]"),
        ({"vocab_size": 400}, "bad_file", "asks for [400, 64]"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_configs_that_make_no_sense(
    change: dict[str, Any], code: str, words: str, qwen2: Path, copy_of: Copy
) -> None:
    folder = copy_of(qwen2)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    message = refusal(folder, code)
    assert words in message
    assert str(path) in message


@pytest.fixture(scope="module")
def recurrentgemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tiny = checkpoints.models()["recurrentgemma"]
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny-recurrentgemma"
    return checkpoints.save(folder, checkpoints.model_of(tiny), checkpoints.tokenizer_of(tiny))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"block_types": ["recurrent", "mamba"]}, "another list of kinds of layers"),
        ({"block_types": "recurrent"}, "another list of kinds of layers"),
        ({"lru_width": 100}, "recurrent layers of 100 channels in 4 blocks"),
        ({"conv1d_width": 9}, "a convolution of 9 taps; 2 to 8 are supported"),
        ({"conv1d_width": 1}, "a convolution of 1 taps"),
        (
            {"rope_parameters": {"rope_theta": 10000, "partial_rotary_factor": 1.0}},
            "a partial rotary embedding of 1.0; 0.5 of each head is supported",
        ),
    ],
    ids=str,
)
def test_recurrent_layers_that_no_model_has(
    change: dict[str, Any], words: str, recurrentgemma: Path, copy_of: Copy
) -> None:
    folder = copy_of(recurrentgemma)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert words in refusal(folder, "unsupported")


@pytest.fixture(scope="module")
def gemma4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tiny = checkpoints.models()["gemma4-e2b"]
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny-gemma4"
    return checkpoints.save(folder, checkpoints.model_of(tiny), checkpoints.tokenizer_of(tiny))


@pytest.mark.parametrize(
    ("code", "change", "words"),
    [
        ("unsupported", {"enable_moe_block": True}, "enable_moe_block: 12B, 26B-A4B and 31B need"),
        ("unsupported", {"attention_k_eq_v": True}, "use gemma-4-e2b-it or gemma-4-e4b-it"),
        ("unsupported", {"hidden_size_per_layer_input": 0}, "no embeddings of each layer"),
        ("unsupported", {"layer_types": ["full_attention"]}, "for each of 10 layers is supported"),
        ("bad_file", {"num_kv_shared_layers": 8}, "the last 8 of 10 layers should attend"),
        ("bad_file", {"num_kv_shared_layers": -1}, "num_kv_shared_layers is '-1'"),
        (
            "unsupported",
            {"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1e6}}},
            "scaling 'default' in layers that see everything; proportional is supported",
        ),
    ],
    ids=str,
)
def test_layers_that_no_gemma4_has(
    code: str, change: dict[str, Any], words: str, gemma4: Path, copy_of: Copy
) -> None:
    folder = copy_of(gemma4)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    message = refusal(folder, code)
    assert words in message
    assert str(path) in message


@pytest.mark.parametrize(
    ("code", "change", "words"),
    [
        ("unsupported", {"altup_num_inputs": 2}, "altup_num_inputs 2; 4 is supported"),
        ("unsupported", {"altup_active_idx": 1}, "altup_active_idx 1; 0 is supported"),
        ("unsupported", {"altup_correct_scale": False}, "without altup_correct_scale"),
        ("bad_file", {"activation_sparsity_pattern": [0.95]}, "for each of 8 layers"),
        ("bad_file", {"activation_sparsity_pattern": 8 * [1.0]}, "from 0 to below 1"),
        ("bad_file", {"laurel_rank": 0}, "laurel_rank is '0'"),
        ("bad_file", {"vocab_size_per_layer_input": 40}, "asks for [40, 256]"),
    ],
    ids=str,
)
def test_residuals_that_no_gemma3n_has(
    code: str, change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    tiny = checkpoints.models()["gemma3n"]
    folder = checkpoints.save(tmp_path / "it", checkpoints.model_of(tiny))
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert words in refusal(folder, code)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layer_types": ["linear_attention", "mamba"]}, "another list of kinds of layers"),
        ({"linear_num_value_heads": 3}, "a delta rule of 2 key heads of 32 and 3 value heads"),
        ({"linear_value_head_dim": 64}, "and 4 value heads of 64"),
        ({"linear_key_head_dim": 256, "linear_value_head_dim": 256}, "at most 128"),
        ({"attn_output_gate": False}, "attention without its gate"),
    ],
    ids=str,
)
def test_delta_rules_that_no_model_has(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    tiny = checkpoints.models()["qwen35"]
    folder = checkpoints.save(tmp_path / "it", checkpoints.model_of(tiny))
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert words in refusal(folder, "unsupported")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layer_types": ["conv", "mamba"]}, "another list of kinds of layers"),
        ({"conv_L_cache": 9}, "a convolution of 9 taps; 2 to 8 are supported"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 2.0}}, "the rope scaling 'yarn'"),
    ],
    ids=str,
)
def test_convolutions_that_no_model_has(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    tiny = checkpoints.models()["lfm2"]
    folder = checkpoints.save(tmp_path / "it", checkpoints.model_of(tiny))
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert words in refusal(folder, "unsupported")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layer_types": ["mamba", "conv2"]}, "another list of kinds of layers"),
        ({"mamba_n_heads": 48}, "a state space of 48 heads in 2 groups, 128 numbers wide"),
        ({"mamba_n_groups": 3}, "and groups of as many heads are supported"),
        ({"mamba_d_state": 256}, "states of at most 128"),
        ({"mamba_d_head": 64}, "heads of 64 in a state space 128 wide; 4 heads have 32"),
        ({"mamba_conv_bias": False}, "convolutions without a bias"),
        ({"mamba_proj_bias": True}, "the mamba_proj_bias True"),
        ({"time_step_limit": [0.001, 0.1]}, "the time_step_limit [0.001, 0.1]"),
        ({"mamba_d_conv": 9}, "a convolution of 9 taps"),
        ({"num_local_experts": 64}, "a mixture of experts of Granite 4"),
    ],
    ids=str,
)
def test_state_spaces_that_no_model_has(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    tiny = checkpoints.models()["granitehybrid"]
    folder = checkpoints.save(tmp_path / "it", checkpoints.model_of(tiny))
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert words in refusal(folder, "unsupported")


def test_a_tokenizer_of_another_model(qwen2: Path, copy_of: Copy) -> None:
    folder = copy_of(qwen2)
    path = folder / "tokenizer.json"
    file = json.loads(path.read_text())
    file["model"]["vocab"] |= {f"extra{i}": 1000 + i for i in range(3)}
    path.write_text(json.dumps(file))
    message = refusal(folder, "bad_file")
    assert f"{path} has 1003 tokens and the model embeddings for 443" in message


def test_a_damaged_tokenizer_model(qwen2: Path, copy_of: Copy) -> None:
    """Truncated at every place and filled with noise, it is a sentence and never a trace."""
    folder = copy_of(qwen2)
    (folder / "tokenizer.json").unlink()
    path = folder / "tokenizer.model"
    whole = checkpoints.sentencepiece_model(False)
    noise = np.random.default_rng(0)
    broken = [whole[:n] for n in range(0, len(whole) - 60, 97)]
    broken += [noise.bytes(200) for _ in range(20)]
    for data in broken:
        path.write_bytes(data)
        with pytest.raises(SlmError) as caught:
            convert(folder, folder / "out.gguf")
        assert caught.value.code in ("bad_file", "unsupported")
        assert str(path) in caught.value.message


def test_no_such_folder(qwen2: Path, tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "nowhere", "unreadable")
    with pytest.raises(SlmError, match="is not a folder"):
        convert(qwen2 / "config.json", tmp_path / "out.gguf")


def test_the_disk_is_full_while_writing(qwen2: Path, tmp_path: Path) -> None:
    """The limit of a file's size stands for the disk's: the same call fails the same way."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in (100, 20_000, 200_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
        try:
            with pytest.raises(SlmError) as caught:
                convert(qwen2, tmp_path / "made.gguf")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert caught.value.code == "unwritable"
        assert f"cannot write {tmp_path / 'made.gguf'}: file too large" in caught.value.message
        assert "make room or choose another place" in caught.value.message
        assert list(tmp_path.iterdir()) == []


def test_the_disk_is_too_small(
    qwen2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said before anything is written."""

    def usage(path: Path) -> Any:
        return type("Usage", (), {"free": 1000})

    monkeypatch.setattr("slmweb.convert.gguf_file.shutil.disk_usage", usage)
    with pytest.raises(SlmError, match=r"and 1\.0 kB are free; make room") as caught:
        convert(qwen2, tmp_path / "made.gguf")
    assert caught.value.code == "unwritable"
    assert list(tmp_path.iterdir()) == []


def test_what_is_compared_does_not_read_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1_000_300})
    monkeypatch.setattr("slmweb.convert.gguf_file.shutil.disk_usage", lambda path: usage)
    with pytest.raises(SlmError, match="takes 1,000,400 bytes and 1,000,300 bytes are free"):
        _require_room(tmp_path / "made.gguf", 1_000_400)


def test_a_folder_that_cannot_be_written(qwen2: Path, tmp_path: Path) -> None:
    for out in (tmp_path / "no" / "such" / "out.gguf", tmp_path):
        with pytest.raises(SlmError) as caught:
            convert(qwen2, out)
        assert caught.value.code == "unwritable"
        assert str(out) in caught.value.message


def test_ctrl_c_in_the_middle(qwen2: Path, tmp_path: Path) -> None:
    """A real SIGINT, sent when half is written; the program says nothing and leaves nothing."""
    program = f"""
import os, signal, sys
from pathlib import Path
import slmweb.cli.convert as command
from contextlib import contextmanager
@contextmanager
def interrupting(label, unit):
    yield lambda done, total: done * 2 > total and os.kill(os.getpid(), signal.SIGINT)
command.progress_bar = interrupting
from slmweb.cli.app import run
sys.exit(run(["convert", {str(qwen2)!r}, "-o", {str(tmp_path / "out.gguf")!r}]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
