"""What a long context costs where layers recur: `make bench ARGS=--long`.

Owns the model, a RecurrentGemma of a laptop's patience with random weights, and its table: decode
rate and memory at some lengths. Both should stay as they are once the window of its attention is
full; at the first length it is not. Runs the very module that ships in wasmtime, on one thread.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Final

import gguf
import numpy as np
from gguf.quants import quantize
from rich.console import Console
from rich.table import Table

from script import DIST, ROOT
from slmweb.core import Instance, Model, Session
from slmweb.generated.abi import TENSOR_TYPES
from slmweb.plan.shape import Shape, from_config
from slmweb.plan.tensors import Tensor

from .gpu.models import add_metadata
from .results import Key, Results

LENGTHS = (512, 4096, 32_768)
N_DECODE = 64  # tokens of a repetition, which end at the length
VARIANT: Final = "relaxed"
NAME = "recurrentgemma-random"
MIB = 1 << 20

_CONFIG = {
    "model_type": "recurrent_gemma", "hidden_size": 512, "num_hidden_layers": 6,
    "num_attention_heads": 4, "num_key_value_heads": 1, "lru_width": 512,
    "intermediate_size": 3072, "vocab_size": 2048, "max_position_embeddings": 8192,
    "attention_window_size": 2048, "conv1d_width": 4,
    "block_types": ["recurrent", "recurrent", "attention"], "tie_word_embeddings": True,
}  # fmt: skip


def decode_at(length: int) -> str:
    """A metric's name in the CSV."""
    return f"decode_at_{length}_tokens_per_s"


def memory_at(length: int) -> str:
    return f"session_mib_at_{length}"


def write_model(path: Path) -> Path:
    """Writes the model in Q4_0."""
    shape: Shape = from_config(_CONFIG, NAME).quantized("Q4_0")
    writer = gguf.GGUFWriter(path, shape.architecture)
    writer.add_name(NAME)
    add_metadata(writer, shape)
    random = np.random.default_rng(0)
    for tensor in shape.tensors:
        _add_tensor(writer, tensor, random)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_tensor(writer: gguf.GGUFWriter, tensor: Tensor, random: np.random.Generator) -> None:
    rows = (tensor.rows,) if tensor.rows > 1 else ()
    values = random.standard_normal((*rows, tensor.columns), np.float32) / tensor.columns**0.5
    if tensor.name.endswith("decay.weight"):
        values = -np.abs(values) - np.float32(1e-3)  # of a logarithm: a state that fades
    kind = gguf.GGMLQuantizationType(TENSOR_TYPES[tensor.type].id)
    writer.add_tensor(tensor.name, quantize(values, kind), raw_dtype=kind)


def run(found: Results, repetitions: int, lengths: tuple[int, ...] = LENGTHS) -> None:
    """Measures every length, in turn, `repetitions` times."""
    folder = DIST / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    head = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(head, capture_output=True, text=True, check=False).stdout.strip()
    version = f"{commit} in wasmtime"
    ids = [3 + i * 37 % 250 for i in range(max(lengths) + (repetitions - 1) * N_DECODE)]
    path = write_model(folder / f"{NAME}.gguf")
    with Model.open(path, core=Instance(VARIANT)) as model:
        sessions = {}
        for length in lengths:
            n_ctx = length + (repetitions - 1) * N_DECODE
            memory = model.session_bytes(n_ctx) / MIB
            found.add(Key("slmweb", NAME, 1, memory_at(length)), memory, 1, version, VARIANT)
            sessions[length] = _prefilled(model, n_ctx, ids[: length - N_DECODE])
        try:
            for repetition in range(1, repetitions + 1):
                for length, session in sessions.items():
                    start = time.perf_counter()
                    for _ in range(N_DECODE):
                        session.eval(ids[session.n_past : session.n_past + 1])
                    rate = N_DECODE / (time.perf_counter() - start)
                    key = Key("slmweb", NAME, 1, decode_at(length))
                    found.add(key, rate, repetition, version, VARIANT)
        finally:
            for session in sessions.values():
                session.close()


def _prefilled(model: Model, n_ctx: int, ids: list[int]) -> Session:
    session = model.session(n_ctx)
    for first in range(0, len(ids), 128):
        session.eval(ids[first : first + 128], "none")
    return session


def print_long(console: Console, found: Results, lengths: tuple[int, ...] = LENGTHS) -> None:
    """The medians."""
    made = Table("tokens", title="RecurrentGemma, random weights, one thread")
    made.add_column("decode tokens/s", justify="right")
    made.add_column("session MiB", justify="right")
    medians = found.medians()
    for length in lengths:
        figures = [
            medians[Key("slmweb", NAME, 1, metric)]
            for metric in (decode_at(length), memory_at(length))
        ]
        made.add_row(f"{length:,}", f"{figures[0]:.0f}", f"{figures[1]:.2f}")
    console.print(made)
