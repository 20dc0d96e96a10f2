"""Multiply-accumulates and bytes of one token, from a small GGUF."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest

from bench.work import Work, work_of


def write(path: Path, *, tied: bool) -> Path:
    writer = gguf.GGUFWriter(path, "llama")
    shapes = {"token_embd.weight": (40, 32), "blk.0.attn_q.weight": (32, 32),
              "blk.0.ffn_up.weight": (64, 32), "blk.0.attn_norm.weight": (32,)}  # fmt: skip
    if not tied:
        shapes["output.weight"] = (40, 32)
    for name, shape in shapes.items():
        writer.add_tensor(name, np.zeros(shape, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("tied", [True, False])
def test_the_head_counts_once_and_norms_and_lookups_do_not(tmp_path: Path, tied: bool) -> None:
    work = work_of(write(tmp_path / "tiny.gguf", tied=tied))
    layer, head = 32 * 32 + 64 * 32, 40 * 32
    assert work == Work(layer, 4 * layer, head, 4 * head)
    assert work.prefill_macs(10) == 10 * layer + head
    assert (work.decode_macs, work.decode_bytes) == (layer + head, 4 * (layer + head))
