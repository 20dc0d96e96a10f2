"""The promise about memory: at most 300 MB and twice the largest tensor. Kept far below
it: 200 MB in all, on a checkpoint whose largest tensor is 128 MB, and 256 as float32.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader
from safetensors.numpy import save_file

LIMIT = 200 << 20

PROGRAM = """
import re, sys
from pathlib import Path
from slmweb.convert import convert
checkpoint, out, kind, *adapters = sys.argv[1:]
convert(Path(checkpoint), Path(out), type=kind, adapters=[(Path(a), 1.0) for a in adapters])
# getrusage would count what this process was before exec: a copy of the test's.
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024)
"""


def write_zeros(path: Path, tensors: dict[str, tuple[int, ...]]) -> None:
    """A BF16 safetensors file of zeros, sparse, so that it takes no time."""
    header, at = {}, 0
    for name, shape in tensors.items():
        size = 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + at)


@pytest.fixture(scope="module")
def large(qwen2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny qwen2 with 2048 embeddings for each of 32,768 tokens, and an adapter."""
    n_vocab, n_embd, n_ff = 32768, 2048, 160
    folder = tmp_path_factory.mktemp("large")
    for path in qwen2.iterdir():
        if path.suffix != ".safetensors":
            (folder / path.name).write_bytes(path.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    config |= {"vocab_size": n_vocab, "hidden_size": n_embd, "tie_word_embeddings": True}
    config |= {"num_hidden_layers": 1, "layer_types": None}
    (folder / "config.json").write_text(json.dumps(config))
    kv = n_embd // config["num_attention_heads"] * config["num_key_value_heads"]
    at = "model.layers.0."
    write_zeros(
        folder / "model.safetensors",
        {
            "model.embed_tokens.weight": (n_vocab, n_embd),
            "model.norm.weight": (n_embd,),
            f"{at}input_layernorm.weight": (n_embd,),
            f"{at}post_attention_layernorm.weight": (n_embd,),
            f"{at}self_attn.q_proj.weight": (n_embd, n_embd),
            f"{at}self_attn.q_proj.bias": (n_embd,),
            f"{at}self_attn.k_proj.weight": (kv, n_embd),
            f"{at}self_attn.k_proj.bias": (kv,),
            f"{at}self_attn.v_proj.weight": (kv, n_embd),
            f"{at}self_attn.v_proj.bias": (kv,),
            f"{at}self_attn.o_proj.weight": (n_embd, n_embd),
            f"{at}mlp.gate_proj.weight": (n_ff, n_embd),
            f"{at}mlp.up_proj.weight": (n_ff, n_embd),
            f"{at}mlp.down_proj.weight": (n_embd, n_ff),
        },
    )
    adapter = folder / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "lora_alpha": 8, "r": 4})
    )
    prefix = "base_model.model.model.embed_tokens.lora_embedding_"
    # Not zeros: an adapter that changes nothing would leave the head tied.
    ones = {f"{prefix}A": (4, n_vocab), f"{prefix}B": (n_embd, 4)}
    save_file(
        {name: np.ones(shape, np.float32) for name, shape in ones.items()},
        adapter / "adapter_model.safetensors",
    )
    return folder


def test_peak_memory(large: Path, tmp_path: Path) -> None:
    """With an adapter that unties the head, so that the largest tensor is written twice."""
    out = tmp_path / "out.gguf"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(large), str(out), "bf16", str(large / "adapter")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    tensors = {tensor.name: tensor.n_bytes for tensor in GGUFReader(out).tensors}
    assert max(tensors.values()) == 128 << 20
    assert tensors["token_embd.weight"] == tensors["output.weight"]
    assert int(done.stdout) < LIMIT
