"""A whole model of every tensor type, and of the mixes that published files have, against
transformers on the dequantized weights. Half-precision weights meet exact activations, and only
the f16 cache rounds. The others meet 8-bit activations: about half a percent of each of the nine
products on the longest way to a logit, so 1.5% together, and the bound is twice
that because softmax amplifies. test_matmul.py is the sharp test of each kernel;
this one shows that queries, keys, biases and embeddings reach the right one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from slmweb.core import Instance, Model
from slmweb.core.session import Logits
from tests.goldens.tiny_gguf import write_gguf
from tests.goldens.tiny_models import MIXED_MODELS, TYPED_MODELS, digest, weights
from tests.parity.logits import evaluate

GOLDEN = Path(__file__).parents[1] / "goldens" / "logits" / "tensor_types.npz"
BOUND = 0.03
BOUND_HALF_PRECISION = 1e-3


def assert_rounded(found: Logits, expected: Logits, name: str) -> None:
    """Of a model of that tensor type, with activations rounded as its kernels do."""
    distances = np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)
    bound = BOUND_HALF_PRECISION if name in ("F16", "BF16") else BOUND
    assert np.sqrt((distances**2).mean()) <= bound
    assert distances.max() <= 2 * bound


@pytest.mark.parametrize("name", TYPED_MODELS | MIXED_MODELS)
def test_logits(tmp_path: Path, core: Instance, name: str) -> None:
    with np.load(GOLDEN) as file:
        ids: list[int] = file[f"{name}.ids"].tolist()
        expected = file[f"{name}.logits"].astype(np.float32)
        weights_sha256 = str(file[f"{name}.weights_sha256"])
    model = (TYPED_MODELS | MIXED_MODELS)[name]
    assert digest(model) == weights_sha256, "run `make goldens` if tiny_models.py was changed"
    (path,) = write_gguf(model.name, tmp_path / "model.gguf")
    with Model.open(path, core=core) as opened, opened.session(64) as session:
        matrices = {n for n, tensor in weights(model).items() if tensor.values.ndim == 2}
        assert set(opened.info["types"]) == {model.type_of(n).name for n in matrices} | {"F32"}
        found = evaluate(session, ids)
    assert_rounded(found, expected, name)
