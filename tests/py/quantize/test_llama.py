"""Against llama.cpp: its own quantizer's bytes, and its loader."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader

from slmweb.core import Instance, Model
from slmweb.generated.abi import TENSOR_TYPES
from slmweb.quantize import quantize
from slmweb.quantize.codec import decode
from slmweb.quantize.imatrix import compute, write_imatrix
from tests.goldens.tiny_models import sequence
from tests.parity.logits import evaluate
from tests.py.quantize.files import WIDE, blocks, types

pytestmark = pytest.mark.llama

# llama.cpp's names of the mixes whose main type each is.
FTYPES = {
    "F16": "F16", "BF16": "BF16", "Q4_0": "Q4_0", "Q4_1": "Q4_1", "Q5_0": "Q5_0", "Q5_1": "Q5_1",
    "Q8_0": "Q8_0", "Q2_K": "Q2_K", "Q3_K": "Q3_K_S", "Q4_K": "Q4_K_S", "Q5_K": "Q5_K_S",
    "Q6_K": "Q6_K", "IQ4_NL": "IQ4_NL",
}  # fmt: skip


def llama_quantize(
    source: Path, target: Path, ftype: str, imatrix: Path | None = None, *, pure: bool = True
) -> None:
    """llama-quantize [--pure] [--imatrix FILE]; pure gives every matrix the one type."""
    import llama_cpp

    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{ftype}")
    params.pure = pure
    if imatrix is not None:
        # As llama-quantize reads the file: sums over counts, by the name of the matrix.
        arrays = {t.name: np.array(t.data).reshape(-1) for t in GGUFReader(imatrix).tensors}
        means = {
            name.removesuffix(".in_sum2"): sums / arrays[name.removesuffix("in_sum2") + "counts"]
            for name, sums in arrays.items()
            if name.endswith(".in_sum2")
        }
        entries = (llama_cpp.llama_model_imatrix_data * (len(means) + 1))()
        for entry, (name, mean) in zip(entries, means.items(), strict=False):
            entry.name, entry.size = name.encode(), len(mean)
            entry.data = mean.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        params.imatrix = entries
    done = llama_cpp.llama_model_quantize(
        str(source).encode(), str(target).encode(), ctypes.byref(params)
    )
    assert done == 0


@pytest.fixture(scope="module")
def importance(wide: Path, core: Instance, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("imatrix") / "wide.gguf"
    with Model.open(wide, core=core) as model:
        write_imatrix(compute(model, b"the hen ran on. " * 20, dataset="hen.txt"), path)
    return path


@pytest.mark.parametrize("kind", FTYPES)
def test_blocks_are_those_of_llama_quantize(wide: Path, tmp_path: Path, kind: str) -> None:
    ours, theirs = tmp_path / "ours.gguf", tmp_path / "theirs.gguf"
    quantize(wide, ours, type=kind)
    llama_quantize(wide, theirs, FTYPES[kind])
    assert types(ours) == types(theirs)
    expected = blocks(theirs)
    for name, found in blocks(ours).items():
        assert found == expected[name], name


@pytest.mark.parametrize("kind", ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"])
def test_fallbacks_are_those_of_llama_quantize(llama: Path, tmp_path: Path, kind: str) -> None:
    """Rows of 64 and 172."""
    quantize(llama, tmp_path / "ours.gguf", type=kind)
    llama_quantize(llama, tmp_path / "theirs.gguf", FTYPES[kind])
    assert types(tmp_path / "ours.gguf") == types(tmp_path / "theirs.gguf")
    assert blocks(tmp_path / "ours.gguf") == blocks(tmp_path / "theirs.gguf")


@pytest.mark.parametrize(
    "kind", ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL"]
)
def test_weighted_blocks_are_those_of_llama_quantize(
    wide: Path, importance: Path, tmp_path: Path, kind: str
) -> None:
    ours, theirs, plain = (tmp_path / f"{name}.gguf" for name in ("ours", "theirs", "plain"))
    done = quantize(wide, ours, type=kind, imatrix=importance)
    assert done.weighted == 2 * 7 + 1  # all but the untied embedding, which no product reads
    llama_quantize(wide, theirs, FTYPES[kind], importance)
    assert types(ours) == types(theirs)
    assert blocks(ours) == blocks(theirs)
    quantize(wide, plain, type=kind)
    assert blocks(plain) != blocks(ours)


MIXES = ("Q2_K", "Q3_K_M", "Q4_K_M", "Q5_K_M", "IQ3_M", "IQ4_XS", "TQ1_0", "MXFP4_MOE", "Q1_0")


@pytest.mark.parametrize("ftype", MIXES)
def test_a_mix_of_llama_quantize_loads(
    wide: Path, tmp_path: Path, core: Instance, ftype: str
) -> None:
    """The same logits as of its values in F32, where both round nothing."""
    mixed, plain = tmp_path / "mixed.gguf", tmp_path / "plain.gguf"
    llama_quantize(wide, mixed, ftype, pure=False)
    quantize(mixed, plain, type="F32", requantize=True)
    found = []
    for path in (mixed, plain):
        with Model.open(path, core=core) as model, model.session(64) as session:
            session.exact()
            found.append(evaluate(session, sequence(WIDE, 24)))
    assert set(types(mixed).values()) > {"F32"}
    assert np.linalg.norm(found[0] - found[1]) < 1e-5 * np.linalg.norm(found[1])


def test_q1_0_and_mxfp4_are_read_as_ggml_reads_them() -> None:
    """Of Q1_0 the gguf library knows no values."""
    import llama_cpp

    class Traits(ctypes.Structure):
        _fields_ = (
            ("name", ctypes.c_char_p),
            ("block_size", ctypes.c_int64),
            ("interleaved", ctypes.c_int64),
            ("block_bytes", ctypes.c_size_t),
            ("quantized", ctypes.c_bool),
            ("to_float", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)),
        )

    folder = Path(llama_cpp.__file__).parent / "lib"
    (library, *_) = sorted(folder.glob("*ggml-base*"))
    traits_of = ctypes.CDLL(str(library)).ggml_get_type_traits
    traits_of.restype = ctypes.POINTER(Traits)
    for name in ("Q1_0", "MXFP4"):
        kind = TENSOR_TYPES[name]
        traits = traits_of(kind.id).contents
        assert (traits.block_size, traits.block_bytes) == (kind.block_size, kind.block_bytes)
        blocks = np.random.default_rng(1).integers(0, 256, (255, kind.block_bytes), np.uint8)
        blocks[:, 1] &= 0x3F  # a half of Q1_0 stays a number
        expected = np.empty((255, kind.block_size), np.float32)
        traits.to_float(blocks.ctypes.data, expected.ctypes.data, expected.size)
        np.testing.assert_array_equal(decode(blocks.tobytes(), kind, kind.block_size), expected)


@pytest.mark.parametrize("kind", ["Q4_0", "Q8_0", "Q2_K", "Q4_K", "Q6_K", "IQ4_NL", "web"])
def test_llama_cpp_loads_the_output_and_agrees(
    wide: Path, tmp_path: Path, core: Instance, kind: str
) -> None:
    from tests.goldens.llama_cpp_reference import LlamaCpp

    out = tmp_path / "out.gguf"
    quantize(wide, out, type=kind)
    ids = sequence(WIDE, 24)
    with LlamaCpp(out) as llama:
        theirs = llama.logits(ids)
    with Model.open(out, core=core) as model, model.session(64) as session:
        ours = evaluate(session, ids)
    # Both round activations to 8 bits, each in its own way.
    distances = np.linalg.norm(ours - theirs, axis=1) / np.linalg.norm(theirs, axis=1)
    assert np.sqrt((distances**2).mean()) < 0.06
