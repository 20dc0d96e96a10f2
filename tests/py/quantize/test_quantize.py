"""Quantizing whole files: types, blocks, metadata, and what stays as it is."""

from __future__ import annotations

import fnmatch
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, LlamaFileType
from gguf.quants import quantize as gguf_quantize

from slmweb.core import Instance, Model
from slmweb.errors import SlmError
from slmweb.quantize import Fallback, Override, quantize
from slmweb.quantize.choice import CLASSES, tensor_class, tensor_type
from slmweb.quantize.recipes import read_recipes
from tests.goldens.tiny_gguf import write_gguf, write_model
from tests.goldens.tiny_models import MODELS, sequence, weights
from tests.parity.logits import evaluate, worst_position
from tests.py.quantize.files import WIDE, blocks, metadata, types, values

NUMPY_TYPES = ("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0")


@pytest.mark.parametrize("kind", NUMPY_TYPES)
def test_blocks_are_those_of_the_gguf_library(wide: Path, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out.gguf"
    done = quantize(wide, out, type=kind)
    found, source = blocks(out), values(wide)
    assert list(found) == list(source)
    for name, array in source.items():
        expected = GGMLQuantizationType[kind if array.ndim > 1 else "F32"]
        assert types(out)[name] == expected.name
        assert found[name] == gguf_quantize(array, expected).tobytes(), name
    assert (done.size, done.source_size) == (out.stat().st_size, wide.stat().st_size)
    assert sum(done.types.values()) == sum(len(data) for data in found.values())
    assert (done.fallbacks, done.mix, done.weighted) == ((), None, 0)


@pytest.mark.parametrize("kind", NUMPY_TYPES)
def test_the_core_reads_them_as_the_gguf_library_does(
    wide: Path, tmp_path: Path, core: Instance, kind: str
) -> None:
    """Logits of the quantized file and of its dequantized values in F32. What
    remains between them is the rounding of activations to 8 bits."""
    quantize(wide, tmp_path / "out.gguf", type=kind)
    quantize(tmp_path / "out.gguf", tmp_path / "f32.gguf", type="F32", requantize=True)
    plain = values(tmp_path / "f32.gguf")
    for name, array in values(tmp_path / "out.gguf").items():
        np.testing.assert_array_equal(plain[name], array)
    logits = []
    for name in ("out.gguf", "f32.gguf"):
        with Model.open(tmp_path / name, core=core) as model, model.session(64) as session:
            logits.append(evaluate(session, sequence(WIDE, 24)))
    distances = np.linalg.norm(logits[0] - logits[1], axis=1) / np.linalg.norm(logits[1], axis=1)
    assert distances.max() < (2e-3 if kind in ("F32", "F16", "BF16") else 0.06)


def test_metadata_is_kept_but_for_the_types(gemma3: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    quantize(gemma3, out, type="q5_1")
    before, after = metadata(gemma3), metadata(out)
    assert after.pop("general.file_type") == LlamaFileType.MOSTLY_Q5_1
    assert after.pop("general.quantization_version") == 2
    assert after == before


def test_what_has_its_type_is_copied(wide: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a.gguf", tmp_path / "b.gguf"
    quantize(wide, first, type="Q4_1")
    quantize(first, second, type="Q4_1")  # needs no consent
    assert first.read_bytes() == second.read_bytes()


def test_an_alignment_is_kept(tmp_path: Path, wide: Path) -> None:
    source = tmp_path / "aligned.gguf"
    reader = GGUFReader(wide)
    writer = GGUFWriter(source, WIDE.arch)
    writer.add_custom_alignment(256)
    for key, field in reader.fields.items():
        if not key.startswith("GGUF.") and key != "general.architecture":
            kind, *sub = field.types
            writer.add_key_value(key, field.contents(), kind, sub_type=sub[-1] if sub else None)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, np.array(tensor.data))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    quantize(source, tmp_path / "out.gguf", type="Q8_0")
    quantize(wide, tmp_path / "plain.gguf", type="Q8_0")
    assert blocks(tmp_path / "out.gguf") == blocks(tmp_path / "plain.gguf")
    assert all(t.data_offset % 256 == 0 for t in GGUFReader(tmp_path / "out.gguf").tensors)


def test_split_sets_become_one_file(wide: Path, tmp_path: Path) -> None:
    parts = write_model(WIDE, weights(WIDE), tmp_path / "set.gguf", split_max_tensors=7)
    assert len(parts) > 2
    quantize(parts[1], tmp_path / "from-parts.gguf", type="Q4_0")
    quantize(wide, tmp_path / "from-one.gguf", type="Q4_0")
    assert (tmp_path / "from-parts.gguf").read_bytes() == (tmp_path / "from-one.gguf").read_bytes()


def test_version_2_is_read(tmp_path: Path, llama: Path) -> None:
    (old,) = write_gguf("llama", tmp_path / "v2.gguf", version=2)
    quantize(old, tmp_path / "a.gguf", type="F16")
    quantize(llama, tmp_path / "b.gguf", type="F16")
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()


def test_rows_that_are_no_whole_blocks_fall_back(llama: Path, tmp_path: Path) -> None:
    """Rows of 64 and, in ffn_down, of 172."""
    out = tmp_path / "out.gguf"
    done = quantize(llama, out, type="Q6_K")
    assert set(done.fallbacks) == {
        Fallback("Q6_K", "Q8_0", 64, 14),
        Fallback("Q6_K", "F16", 172, 2),
    }
    found = types(out)
    assert found["blk.0.ffn_down.weight"] == "F16"
    assert found["blk.0.attn_q.weight"] == "Q8_0"
    assert found["blk.0.attn_norm.weight"] == "F32"
    with Model.open(out) as model:
        assert model.loaded


def test_overrides(wide: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    overrides = [
        Override("blk.*.ffn_*", tensor_type("Q5_0")),
        Override("blk.1.*", tensor_type("Q8_0")),
        Override("token_embd.weight", tensor_type("f16")),
    ]
    quantize(wide, out, type="Q4_0", overrides=overrides)
    found = types(out)
    assert found["blk.0.ffn_up.weight"] == "Q5_0"
    assert found["blk.1.ffn_up.weight"] == "Q8_0"  # the last match counts
    assert found["blk.1.attn_q.weight"] == "Q8_0"
    assert found["blk.1.attn_q.bias"] == "F32"  # patterns are for matrices
    assert found["blk.0.attn_q.weight"] == "Q4_0"
    assert found["token_embd.weight"] == "F16"


@pytest.mark.parametrize("pattern", ["blk.7.*", "ffn_up", "*_norm.weight"])
def test_a_pattern_that_matches_no_matrix(wide: Path, tmp_path: Path, pattern: str) -> None:
    overrides = [Override(pattern, tensor_type("F16"))]
    with pytest.raises(SlmError, match="matches no matrix") as caught:
        quantize(wide, tmp_path / "out.gguf", type="Q4_0", overrides=overrides)
    assert caught.value.code == "invalid_argument"
    assert list(tmp_path.iterdir()) == []


def test_quantized_sources_are_refused_unless_insisted(wide: Path, tmp_path: Path) -> None:
    once, twice = tmp_path / "once.gguf", tmp_path / "twice.gguf"
    quantize(wide, once, type="Q8_0")
    with pytest.raises(SlmError, match="--requantize") as caught:
        quantize(once, twice, type="Q4_0")
    assert caught.value.code == "invalid_argument"
    assert not twice.exists()
    quantize(once, twice, type="Q4_0", requantize=True)
    found = blocks(twice)
    for name, array in values(once).items():
        if array.ndim > 1:
            expected = gguf_quantize(array, GGMLQuantizationType.Q4_0)
            assert found[name] == expected.tobytes()


def test_the_source_may_be_replaced(wide: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(wide.read_bytes())
    quantize(path, path, type="Q4_0")
    quantize(wide, tmp_path / "other.gguf", type="Q4_0")
    assert path.read_bytes() == (tmp_path / "other.gguf").read_bytes()


# ---- the recipe -----------------------------------------------------------


def test_web_is_the_default_mix(wide: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    done = quantize(wide, out, type="web")
    default = read_recipes().default
    assert done.mix == default.name
    source = values(wide)
    for name, kind in types(out).items():
        if source[name].ndim > 1:
            assert kind == default.types[tensor_class(name)].name


def test_gemma4_by_the_mix_and_by_one_type(tmp_path: Path) -> None:
    """Its table of rows has fewer bits than what they are read beside, and the matrix that is small
    stays; llama.cpp leaves that as it is, too."""
    (source,) = write_gguf("gemma4-e2b", tmp_path / "model.gguf")
    table, kept = "per_layer_token_embd.weight", "per_layer_model_proj.weight"
    mix = read_recipes().default
    quantize(source, tmp_path / "web.gguf", type="web")
    found = types(tmp_path / "web.gguf")
    assert (mix.types["ffn_in"].name, found[table], found[kept]) == ("Q5_0", "Q4_0", "F32")
    assert found["blk.0.inp_gate.weight"] == mix.types["ffn_in"].name
    assert found["blk.0.proj.weight"] == mix.types["ffn_down"].name
    best = read_recipes().mixes[0]
    quantize(source, tmp_path / "best.gguf", type="web", max_size=10**9)
    assert types(tmp_path / "best.gguf")[table] == best.types["ffn_in"].name == "Q8_0"
    asked = [Override(kept, tensor_type("Q8_0"))]
    for overrides in ([], asked):
        quantize(source, tmp_path / "q4.gguf", type="Q4_0", overrides=overrides)
        found = types(tmp_path / "q4.gguf")
        assert (found[table], found[kept]) == ("Q4_0", "Q8_0" if overrides else "F32")


def test_gemma3n_keeps_what_is_small(tmp_path: Path) -> None:
    """llama.cpp leaves what mixes the residuals and products of low rank as they are, too; the rest
    computes nearly the same in eight bits."""
    tiny = MODELS["gemma3n"]
    (source,) = write_gguf(tiny.name, tmp_path / "model.gguf")
    small = tmp_path / "small.gguf"
    for kind in ("web", "Q4_0", "Q8_0"):
        quantize(source, small, type=kind)
        found = types(small)
        matrices = {name for name, array in values(small).items() if array.ndim > 1}
        kept = {name for name in matrices if found[name] == "F32"}
        assert {name.removeprefix("blk.0.") for name in kept if not name.startswith("blk.")} == {
            "altup_proj.weight", "altup_unembd_proj.weight", "per_layer_model_proj.weight",
        }  # fmt: skip
        assert {name.removeprefix("blk.7.") for name in kept if name.startswith("blk.7.")} == {
            *(f"altup_{part}.weight" for part in ("router", "predict_coef", "correct_coef")),
            "laurel_l.weight", "laurel_r.weight",
        }  # fmt: skip
    ids = sequence(tiny)
    found_logits = []
    for path in (source, small):
        with Model.open(path) as model, model.session(128) as session:
            found_logits.append(evaluate(session, ids))
    worst = worst_position(found_logits[1], found_logits[0])[0]
    assert 0 < worst < 0.1


def test_a_largest_size_takes_the_most_faithful_mix_that_fits(wide: Path, tmp_path: Path) -> None:
    recipes = read_recipes()
    assert len(recipes.mixes) > 3
    assert [mix.kl for mix in recipes.mixes] == sorted(mix.kl for mix in recipes.mixes)
    out, sizes = tmp_path / "out.gguf", {}
    names = [tensor.name for tensor in GGUFReader(wide).tensors]
    for mix in recipes.mixes:
        overrides = [
            Override(f"*{part}.weight", mix.types[kind])
            for kind, parts in CLASSES.items()
            for part in parts
            if fnmatch.filter(names, f"*{part}.weight")  # what this model has
        ]
        sizes[mix.name] = quantize(wide, out, type="F16", overrides=overrides).size
    for limit in sizes.values():
        done = quantize(wide, out, type="web", max_size=limit)
        assert done.size == out.stat().st_size <= limit
        assert done.mix == next(m.name for m in recipes.mixes if sizes[m.name] <= limit)


def test_a_size_that_no_mix_fits(wide: Path, tmp_path: Path) -> None:
    with pytest.raises(SlmError, match=r"the smallest, .*, takes .* kB: allow") as caught:
        quantize(wide, tmp_path / "out.gguf", type="web", max_size=1000)
    assert caught.value.code == "invalid_argument"
    with pytest.raises(SlmError, match="Q4_0 has only one size"):
        quantize(wide, tmp_path / "out.gguf", type="Q4_0", max_size=10**9)


def test_every_mix_does_without_an_extra_package() -> None:
    for mix in read_recipes().mixes:
        assert {kind.name for kind in mix.types.values()} <= set(NUMPY_TYPES)
