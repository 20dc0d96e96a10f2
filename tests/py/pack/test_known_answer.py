"""Known answers: every right core gives them, damaged weights do not, and what could
never fail is none.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slmweb.core import Model, Variant
from slmweb.core.instance import VARIANTS
from slmweb.errors import SlmError
from slmweb.pack import known_answer
from slmweb.pack.manifest import KnownAnswer, parse_manifest
from slmweb.pack.pack import pack
from tests.goldens.real_models import find
from tests.goldens.tiny_models import MODELS, TYPED_MODELS
from tests.py.models import tiny

ANSWER = KnownAnswer((1, 2), (3, 0), (8.0, 4.0), 2.0, 0.01, 0.02, "exact")
RIGHT = np.array([4, 3.9, -700, 8, 0], np.float32)  # as ANSWER has it; the others lie below


def off(**change: float) -> float:
    logits = RIGHT.copy()
    for index, value in change.items():
        logits[int(index[1:])] = value
    return known_answer.error_of(ANSWER, logits)


def test_the_greatest_difference_counts_in_the_scale() -> None:
    assert off() == 0
    assert off(_0=4.25) == 0.125
    assert off(_0=4.25, _3=7.5) == 0.25


def test_another_id_may_not_lie_above_those_that_are_listed() -> None:
    assert off(_1=4) == 0
    assert off(_1=5) == 0.5


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("index", range(5))
def test_what_is_no_number_is_infinitely_wrong(index: int, value: float) -> None:
    assert off(**{f"_{index}": value}) == math.inf


def test_another_vocabulary_is_infinitely_wrong() -> None:
    assert known_answer.error_of(ANSWER, RIGHT[:3]) == math.inf


@pytest.mark.parametrize("name", [*MODELS, "qwen2-q4_k", "qwen2-q6_k", "qwen2-q8_0"])
def test_every_variant_gives_the_answer(name: str, tmp_path: Path) -> None:
    path = tiny(name, tmp_path)
    (answer,) = known_answer.of_files([path], lambda done, total: None)
    assert len(answer.ids) == known_answer.N_TOP
    assert list(answer.logits) == sorted(answer.logits, reverse=True)
    for variant in VARIANTS:
        with Model.open(path, variant=variant) as model:
            assert answer.tokens == tuple(known_answer.choose_tokens(model))
            # A twentieth of the bound is left to devices that sum in another order.
            assert known_answer.check(model, [answer]) <= answer.bound / 20
    assert known_answer.of_files([path], lambda done, total: None) == (answer,)


def test_the_tokens_come_from_all_over_the_vocabulary(llama: Path) -> None:
    with Model.open(llama, weights=False) as model:
        tokens, info = known_answer.choose_tokens(model), model.info
    assert tokens[0] == info["bos"]
    assert len(tokens) == known_answer.N_TOKENS
    gaps = np.diff(sorted({0, *tokens[1:], info["n_vocab"] or 0}))
    assert gaps.max() < 3 * gaps.mean()


def damaged(source: Path, target: Path, name: str, byte: int) -> Path:
    """A copy with another byte in a tensor."""
    with Model.open(source, weights=False) as model:
        (tensor,) = [tensor for tensor in model.info["tensors"] if tensor["name"] == name]
    data = bytearray(source.read_bytes())
    data[tensor["offset"] + byte] ^= 0x41
    target.write_bytes(data)
    return target


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("where", ["attn_q", "attn_output", "ffn_down"])
def test_another_byte_in_a_tiny_model_is_noticed(
    where: str, variant: Variant, tmp_path: Path
) -> None:
    """A nibble or two among a few hundred thousand, far from any scale."""
    path = tiny(TYPED_MODELS["Q4_0"].name, tmp_path)
    answers = known_answer.of_files([path], lambda done, total: None)
    broken = damaged(path, tmp_path / "broken.gguf", f"blk.1.{where}.weight", 18 * 37 + 9)
    with (
        Model.open(broken, variant=variant) as model,
        pytest.raises(SlmError, match=r"expected the pack's known answer within 0\.0002") as caught,
    ):
        known_answer.check(model, answers)
    assert caught.value.code == "corrupt"


def test_another_byte_in_a_real_model_is_noticed(tmp_path: Path) -> None:
    """Of a scale, of weights in a layer, and in a row of the embedding that is read; each is
    one of 98 million. docs/pack.md says how many such bytes are."""
    path = find("smollm2")
    assert path is not None
    (answer,) = known_answer.of_files([path], lambda done, total: None)
    block, row = 20, 576 // 32 * 34
    for name, byte in (
        ("blk.3.ffn_up.weight", block * 1000 + 1),
        ("blk.20.attn_v.weight", block * 1234 + 12),
        ("token_embd.weight", answer.tokens[5] * row + 34 * 7 + 11),
    ):
        broken = damaged(path, tmp_path / "broken.gguf", name, byte)
        with Model.open(broken) as model, pytest.raises(SlmError, match="known answer"):
            known_answer.check(model, [answer])


def test_weights_that_answer_nothing_are_not_packed(llama: Path, tmp_path: Path) -> None:
    with Model.open(llama, weights=False) as model:
        (norm,) = [t for t in model.info["tensors"] if t["name"] == "output_norm.weight"]
    data = bytearray(llama.read_bytes())
    data[norm["offset"] : norm["offset"] + norm["size"]] = bytes(norm["size"])
    zero = tmp_path / "zero.gguf"
    zero.write_bytes(data)
    with pytest.raises(SlmError, match="expected weights that tell tokens apart") as caught:
        pack([zero], tmp_path / "out")
    assert caught.value.code == "bad_file"


@pytest.fixture(scope="module")
def in_parts() -> tuple[KnownAnswer, ...]:
    """SmolLM2's where the core has room for a part of its 98 MB."""
    path = find("smollm2")
    assert path is not None
    progress: list[tuple[int, int]] = []
    answers = known_answer.of_files(
        [path], lambda *given: progress.append(given), memory_limit=80 << 20
    )
    shares = [done / total for done, total in progress]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    return answers


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_model_that_does_not_fit_is_answered_a_few_layers_at_a_time(
    variant: Variant, in_parts: tuple[KnownAnswer, ...]
) -> None:
    path = find("smollm2")
    assert path is not None
    assert [answer.layers for answer in in_parts] == [(0, 15), (15, 30)]
    with Model.open(path, variant=variant) as model:
        (whole,) = [known_answer.compute(model)]
        # They are as sharp: a twentieth of the bound is left.
        assert known_answer.check(model, in_parts) <= whole.bound / 20
        assert known_answer.compute(model) == whole  # all layers are back


@pytest.mark.parametrize("layer", [3, 20])
def test_damage_in_any_part_is_noticed(
    layer: int, in_parts: tuple[KnownAnswer, ...], tmp_path: Path
) -> None:
    path = find("smollm2")
    assert path is not None
    broken = damaged(path, tmp_path / "broken.gguf", f"blk.{layer}.ffn_up.weight", 20 * 1000 + 1)
    with Model.open(broken) as model, pytest.raises(SlmError, match="known answer"):
        known_answer.check(model, in_parts)


def test_where_no_layer_fits_there_is_none() -> None:
    path = find("smollm2")
    assert path is not None
    assert known_answer.of_files([path], lambda done, total: None, memory_limit=16 << 20) == ()


def test_a_pack_of_parts_is_verified_in_parts(
    in_parts: tuple[KnownAnswer, ...], tmp_path: Path
) -> None:
    path = find("smollm2")
    assert path is not None
    manifest = replace(pack([path], tmp_path, with_known_answer=False), known_answer=in_parts)
    assert parse_manifest(manifest.to_json(), "it") == manifest
    error = known_answer.check_pack(tmp_path, in_parts, lambda done, total: None)
    assert 0 < error <= in_parts[0].bound / 20
    assert 0 < known_answer.check_pack(tmp_path, in_parts[1:], lambda done, total: None) <= error
    with pytest.raises(SlmError, match="answers of all 30 layers, found them of 15") as caught:
        known_answer.check_pack(tmp_path, in_parts[:1], lambda done, total: None)
    assert caught.value.code == "bad_manifest"


@pytest.mark.parametrize(
    "layers",
    [None, [], [0, 3], [3, 2, 0], [2, 1], [-1, 2], ["0", "2"], [2, True], [2, 1025], 2],
    ids=str,
)
def test_answers_of_some_layers_are_those_of_all_in_order(
    layers: Any, packed: dict[str, Any]
) -> None:
    answers = [{**packed["known_answer"], "layers": [0, 2]}, dict(packed["known_answer"])]
    for right in ([2, 3], [2, 9]):
        answers[1]["layers"] = right
        found = parse_manifest(json.dumps({**packed, "known_answer": answers}).encode(), "it")
        assert [answer.layers for answer in found.known_answer] == [(0, 2), tuple(right)]
    answers[1]["layers"] = layers
    if layers is None:
        del answers[1]["layers"]
    with pytest.raises(SlmError, match="is not a manifest that can be used"):
        parse_manifest(json.dumps({**packed, "known_answer": answers}).encode(), "it")


def test_weights_that_give_no_numbers_are_not_packed(llama: Path, tmp_path: Path) -> None:
    with Model.open(llama, weights=False) as model:
        (norm,) = [t for t in model.info["tensors"] if t["name"] == "output_norm.weight"]
    data = bytearray(llama.read_bytes())
    data[norm["offset"] : norm["offset"] + 4] = b"\0\0\xc0\x7f"
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(data)
    with pytest.raises(SlmError, match="expected weights that give finite logits") as caught:
        pack([broken], tmp_path / "out")
    assert caught.value.code == "bad_file"
    assert not (tmp_path / "out").exists()


def test_a_pack_without_it_says_nothing_of_it(llama: Path, tmp_path: Path) -> None:
    manifest = pack([llama], tmp_path, with_known_answer=False)
    assert manifest.known_answer == ()
    assert "known_answer" not in json.loads((tmp_path / "manifest.json").read_text())


def test_what_does_not_fit_the_core_is_packed_without_it(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(model: Model, layers: tuple[int, int] | None) -> KnownAnswer:
        raise SlmError("out_of_memory", "no room")

    monkeypatch.setattr(known_answer, "compute", full)
    assert pack([llama], tmp_path).known_answer == ()


@pytest.fixture(scope="module")
def packed(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("packed")
    pack([llama], folder)
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return manifest


@pytest.mark.parametrize(
    "change",
    [
        {"tokens": []},
        {"tokens": [-1]},
        {"tokens": ["1"]},
        {"ids": []},
        {"ids": [1]},
        {"logits": [math.nan] * known_answer.N_TOP},
        {"scale": 0},
        {"bound": 0},
        {"bound": 0.5},
        {"f16_bound": math.inf},
        {"arithmetic": "rounded"},
        {"later": 1},
        {"layers": [0, 2]},
    ],
    ids=str,
)
def test_an_answer_that_could_never_fail_is_refused(
    packed: dict[str, Any], change: dict[str, Any]
) -> None:
    answer = {**packed["known_answer"], **change}
    with pytest.raises(SlmError, match="is not a manifest that can be used") as caught:
        parse_manifest(json.dumps({**packed, "known_answer": answer}).encode(), "it")
    assert caught.value.code == "bad_manifest"


def test_the_answer_survives_the_manifest(packed: dict[str, Any]) -> None:
    manifest = parse_manifest(json.dumps(packed).encode(), "it")
    (answer,) = manifest.known_answer
    assert json.loads(json.dumps(asdict(answer))) == {**packed["known_answer"], "layers": None}
    assert parse_manifest(manifest.to_json(), "it") == manifest
    assert parse_manifest(replace(manifest, known_answer=()).to_json(), "it").known_answer == ()


def test_models_that_are_no_packs_have_nothing_to_be_held_to(llama: Path, tmp_path: Path) -> None:
    pack([llama], tmp_path, with_known_answer=False)
    with Model.open(llama) as model:
        with pytest.raises(SlmError, match="expected a packed model to verify"):
            known_answer.verify(model, llama)
        with pytest.raises(SlmError, match="expected a known answer in the manifest of"):
            known_answer.verify(model, tmp_path)
