"""LoRA adapters at run time against peft: the same factors on the same tiny model.

The bound is that of the models themselves, 1e-4 of the norm, for float32 bases;
a quantized base has the bound of its tensor type.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
from gguf import GGMLQuantizationType
from peft.tuners.lora import LoraLayer

from slmweb.core import Adapter, Instance, Model, Session
from tests.goldens.tiny_adapters import LAW, TALE, TinyAdapter, factors, modules_of, write_adapter
from tests.goldens.tiny_gguf import write_gguf
from tests.goldens.tiny_models import MODELS, TYPED_MODELS, TinyModel, sequence
from tests.goldens.transformers_models import transformers_model
from tests.parity.logits import F32, assert_close, evaluate, worst_position

# One with rotated rows moved by the conversion, one with post-norms and soft
# caps, one with two kinds of layers, one with biases, one with the rows of several
# matrices in one tensor, one whose layers share keys and values and have embeddings of their own,
# one with several residuals and gates that let little through.
FAMILIES = ("llama", "gemma2", "gemma3", "qwen2", "phi4-mini", "gemma4-e2b", "gemma3n")
ADAPTERS = {adapter.name: adapter for adapter in (LAW, TALE)}
BOUND = 1e-4
# At any position, as test_tensor_types.py has it: 8-bit activations are what costs.
QUANTIZED_BOUND = 0.06
N_CTX = 128

# peft asks transformers for a property that transformers is about to rename.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")

Mix = tuple[tuple[str, float], ...]


@cache
def peft_model(model: TinyModel, adapters: tuple[TinyAdapter, ...]) -> Any:
    """The model in transformers with the adapters loaded and none of them active."""
    torch.set_num_threads(1)
    adapted: Any = None
    for adapter in adapters:
        config = peft.LoraConfig(
            r=adapter.rank,
            lora_alpha=int(adapter.alpha),
            target_modules=sorted({m.rpartition(".")[2] for m in modules_of(model, adapter)}),
        )
        if adapted is None:
            adapted = peft.get_peft_model(transformers_model(model), config, adapter.name)
        else:
            adapted.add_adapter(adapter.name, config)
        for module, f in factors(model, adapter).items():
            layer = adapted.get_submodule(f"base_model.model.{module}")
            layer.lora_A[adapter.name].weight.data = torch.from_numpy(f.a.copy())
            layer.lora_B[adapter.name].weight.data = torch.from_numpy(f.b.copy())
    return adapted.eval()


def peft_logits(model: TinyModel, adapters: Sequence[TinyAdapter], mix: Mix, ids: list[int]) -> F32:
    adapted = peft_model(model, tuple(adapters))
    if mix:
        adapted.base_model.set_adapter([name for name, _ in mix])
    for layer in adapted.modules():
        if isinstance(layer, LoraLayer):
            for name, scale in mix:
                if name in layer.scaling:
                    layer.set_scale(name, scale)
    with torch.no_grad():
        if mix:
            out = adapted(torch.tensor([ids]), use_cache=False)
        else:
            with adapted.disable_adapter():
                out = adapted(torch.tensor([ids]), use_cache=False)
    return np.asarray(out.logits[0].numpy(), np.float32)


@dataclass(frozen=True)
class Adapted:
    """A tiny model in the core with both adapters beside it."""

    tiny: TinyModel
    ids: list[int]
    model: Model
    adapters: dict[str, Adapter]

    def use(self, session: Session, mix: Mix) -> None:
        session.adapters([(self.adapters[name], scale) for name, scale in mix])

    def expected(self, mix: Mix) -> F32:
        return _expected(self.tiny.name, mix)


@cache
def _expected(name: str, mix: Mix) -> F32:
    return peft_logits(MODELS[name], (LAW, TALE), mix, sequence(MODELS[name]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("adapters")


@pytest.fixture(scope="module", params=FAMILIES)
def adapted(core: Instance, folder: Path, request: pytest.FixtureRequest) -> Iterator[Adapted]:
    tiny = MODELS[request.param]
    path = folder / f"{tiny.name}.gguf"
    if not path.exists():
        write_gguf(tiny.name, path)
    with Model.open(path, core=core) as model:
        adapters = {
            name: model.load_adapter(write_adapter(tiny, adapter, folder / f"{name}.gguf"))
            for name, adapter in ADAPTERS.items()
        }
        yield Adapted(tiny, sequence(tiny), model, adapters)
        for adapter in adapters.values():
            adapter.close()


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("n_batch", [96, 7, 1])
def test_every_position_at_every_scale(adapted: Adapted, n_batch: int, scale: float) -> None:
    mix = (("law", scale),)
    with adapted.model.session(N_CTX, n_batch) as session:
        adapted.use(session, mix)
        assert_close(evaluate(session, adapted.ids), adapted.expected(mix), BOUND)


def test_an_adapter_matters(adapted: Adapted) -> None:
    """Or else the other tests would prove nothing."""
    base = adapted.expected(())
    for mix in ((("law", 0.5),), (("tale", 1.0),)):
        assert worst_position(adapted.expected(mix), base)[0] > 0.1


@pytest.mark.parametrize("n_batch", [96, 7, 1])
@pytest.mark.parametrize("scales", [(1.0, 1.0), (0.25, -1.5)])
def test_two_adapters_add_up(adapted: Adapted, n_batch: int, scales: tuple[float, float]) -> None:
    mix = (("tale", scales[0]), ("law", scales[1]))
    with adapted.model.session(N_CTX, n_batch) as session:
        adapted.use(session, mix)
        assert_close(evaluate(session, adapted.ids), adapted.expected(mix), BOUND)


def test_switching_back_and_forth(adapted: Adapted) -> None:
    """What the cache holds of one domain is never used in another."""
    turns: tuple[Mix, ...] = (
        (),
        (("law", 1.0),),
        (("tale", 1.0),),
        (("law", 1.0),),
        (("law", 0.5),),
        (),
    )
    with adapted.model.session(N_CTX, 32) as session:
        for mix in turns:
            adapted.use(session, mix)
            assert session.reuse(adapted.ids) == 0
            assert_close(evaluate(session, adapted.ids), adapted.expected(mix), BOUND)


def test_the_same_adapters_find_their_cache(adapted: Adapted) -> None:
    law: Mix = (("law", 1.0),)
    mixed: Mix = (("tale", 0.5), ("law", 1.0))
    half = len(adapted.ids) // 2
    with adapted.model.session(N_CTX, 32) as session:
        for mix in (law, mixed):
            adapted.use(session, mix)
            session.reuse(adapted.ids)
            evaluate(session, adapted.ids[:half])
            # Another choice that evaluated nothing has spoilt nothing, and the order of a
            # mixture is no part of it.
            adapted.use(session, ())
            adapted.use(session, mix[::-1])
            assert session.reuse(adapted.ids) == half
            found = evaluate(session, adapted.ids[half:])
            assert_close(found, adapted.expected(mix)[half:], BOUND)


def test_a_change_in_the_middle_ends_what_can_be_reused(adapted: Adapted) -> None:
    half = len(adapted.ids) // 2
    window = adapted.tiny.window
    with adapted.model.session(N_CTX, 32) as session:
        adapted.use(session, ())
        evaluate(session, adapted.ids[:half])
        adapted.use(session, (("law", 1.0),))
        evaluate(session, adapted.ids[half:])
        assert session.n_past == len(adapted.ids)
        adapted.use(session, ())
        kept = session.reuse(adapted.ids)
        # A ring may have lost what so short a prefix looks back to.
        assert kept == half or (window is not None and kept == 0)
        found = evaluate(session, adapted.ids[kept:])
        assert_close(found, adapted.expected(())[kept:], BOUND)


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q4_0"])
def test_every_type_of_adapter(core: Instance, folder: Path, kind: str) -> None:
    tiny = MODELS["qwen2"]
    adapter = TinyAdapter(
        f"typed-{kind}", rank=32, alpha=16.0, tensor_type=GGMLQuantizationType[kind]
    )
    path = folder / "qwen2.gguf"
    if not path.exists():
        write_gguf("qwen2", path)
    ids = sequence(tiny)
    expected = peft_logits(tiny, (adapter,), ((adapter.name, 1.0),), ids)
    with Model.open(path, core=core) as model:
        file = write_adapter(tiny, adapter, folder / f"{adapter.name}.gguf")
        with model.load_adapter(file) as loaded, model.session(N_CTX, 17) as session:
            session.adapters([(loaded, 1.0)])
            assert_close(evaluate(session, ids), expected, BOUND)


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "Q4_K"])
def test_a_quantized_base(core: Instance, folder: Path, kind: str) -> None:
    tiny = TYPED_MODELS[kind]
    adapter = replace(LAW, name=f"law-{kind}", gain=0.25)
    (path,) = write_gguf(tiny.name, folder / f"{tiny.name}.gguf")
    file = write_adapter(tiny, adapter, folder / f"{adapter.name}.gguf")
    ids = sequence(tiny, 24)
    with Model.open(path, core=core) as model, model.load_adapter(file) as loaded:
        for n_batch in (24, 1):
            with model.session(32, n_batch) as session:
                for scale in (1.0, 0.0, 2.0):
                    session.adapters([(loaded, scale)])
                    session.reuse(ids)
                    expected = peft_logits(tiny, (adapter,), ((adapter.name, scale),), ids)
                    assert_close(evaluate(session, ids), expected, QUANTIZED_BOUND)
        base = peft_logits(tiny, (adapter,), ((adapter.name, 0.0),), ids)
        assert worst_position(expected, base)[0] > 5 * QUANTIZED_BOUND
