"""The shuffled reference is the same function, on nobody's grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader
from gguf.quants import dequantize, quantize

from quality.reference import make_reference
from slmweb.core import Instance, Model
from slmweb.quantize import quantize as quantize_file
from tests.goldens.tiny_gguf import write_gguf
from tests.goldens.tiny_models import MODELS, sequence
from tests.parity.logits import evaluate, worst_position


@pytest.mark.parametrize("name", ["llama-gqa", "gemma3"])
def test_the_function_is_the_same_and_no_grid_is_left(tmp_path: Path, name: str) -> None:
    (source,) = write_gguf(name, tmp_path / "source.gguf")
    quantized, plain, shuffled = (tmp_path / f"{n}.gguf" for n in ("q4_1", "plain", "shuffled"))
    quantize_file(source, quantized, type="Q4_1")
    quantize_file(quantized, plain, type="F16", requantize=True)
    make_reference(quantized, shuffled)
    core, logits = Instance("relaxed"), []
    for path in (plain, shuffled):
        with Model.open(path, core=core) as model, model.session(96) as session:
            logits.append(evaluate(session, sequence(MODELS[name])))
    assert worst_position(logits[1], logits[0])[0] < 5e-3  # float16 is rounded in another order

    quantize_file(source, tmp_path / "original.gguf", type="F16")
    # (attn_output's inputs stay within a head, which is a block or less in a model this small.)
    for part in ("token_embd", "blk.1.attn_v", "blk.1.ffn_up", "blk.1.ffn_down"):
        on_grid, off_grid, original = (
            error(path, f"{part}.weight") for path in (plain, shuffled, tmp_path / "original.gguf")
        )
        assert on_grid < original / 10, part
        assert off_grid == pytest.approx(original, rel=0.3), part


def error(path: Path, tensor: str) -> float:
    """What Q4_1 costs a tensor, relative to its norm."""
    (found,) = (t for t in GGUFReader(path).tensors if t.name == tensor)
    values = np.asarray(found.data, np.float32)
    kind = GGMLQuantizationType.Q4_1
    again = dequantize(quantize(values, kind), kind)
    return float(np.linalg.norm(again - values) / np.linalg.norm(values))
