"""The decoder of masks against PyTorch's own convolutions under seeded weights, its way from the
published file into that of an encoder, and what answers point at.

The weights that PaliGemma's makers published were not at hand: names, shapes and the graph are
those of big_vision's segmentation.py, values are noise.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from slmweb.cli.outlines import Outlines
from slmweb.convert import convert
from slmweb.core import Model
from slmweb.core.vision import Vision
from slmweb.errors import SlmError
from slmweb.pack.manifest import read_manifest
from slmweb.pack.pack import pack
from slmweb.quantize.quantize import quantize
from slmweb.vision.masks import Found, MaskDecoder, found_in, placed
from tests.goldens import tiny_masks
from tests.goldens.tiny_masks import CODES, published
from tests.goldens.tiny_pictures import VISIONS, transformers_vision
from tests.py.cli.program import slmweb
from tests.py.convert import checkpoints
from tests.py.models import with_context


@pytest.fixture(scope="module")
def npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("published") / "vae-oid.npz"
    np.savez(path, **published())
    return path


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    vision = VISIONS["paligemma"]
    model = transformers_vision(vision)
    folder = tmp_path_factory.mktemp("checkpoint") / vision.name
    return checkpoints.save(folder, model, checkpoints.tokenizer_of(vision.text))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, saved: Path, npz: Path) -> Path:
    out = tmp_path_factory.mktemp("converted") / "outlines.gguf"
    convert(saved, out, masks=npz)
    return out


def opened(model: Path, encoder: Path) -> MaskDecoder:
    with Model.open(model, weights=False) as laid_out:
        laid_out.layout()
        return MaskDecoder.read(encoder, Vision.check(laid_out, encoder))


def test_a_mask_is_pytorchs(model: Path) -> None:
    decoder = opened(model, model.with_name("mmproj-outlines.gguf"))
    for codes in CODES:
        want = tiny_masks.decoded(codes)
        assert want.std() > 0.1  # noise, and no constant
        found = decoder.decode(codes)
        assert found.shape == (64, 64)
        np.testing.assert_allclose(found, want, atol=1e-5 * np.abs(want).max())


def test_the_pages_golden_is_pytorchs() -> None:
    """tests/web/unit/masks.test.ts holds the page's decoder to it."""
    golden = json.loads(tiny_masks.GOLDEN.read_text())
    assert [mask["codes"] for mask in golden["masks"]] == [list(codes) for codes in CODES]
    for mask in golden["masks"]:
        want = tiny_masks.decoded(mask["codes"])
        np.testing.assert_allclose(mask["values"], tiny_masks.sampled(want), atol=1e-5)


def test_an_encoder_with_masks_sees_as_before(model: Path, saved: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain.gguf"
    convert(saved, plain)
    rgb = np.random.default_rng(1).integers(0, 256, (48, 48, 3), np.uint8)
    rows = []
    for path in (plain, model):
        with (
            Model.open(path) as loaded,
            loaded.load_vision(path.with_name(f"mmproj-{path.name}")) as vision,
            vision.encode(rgb) as picture,
        ):
            rows.append(picture.rows())
            if path == model:
                assert MaskDecoder.of(vision).decode(CODES[0]).shape == (64, 64)
            else:
                with pytest.raises(SlmError, match="no decoder of masks"):
                    MaskDecoder.of(vision)
    plain_rows, rows_beside_masks = rows
    np.testing.assert_array_equal(plain_rows, rows_beside_masks)


def test_quantized_and_packed_it_is_the_same(model: Path, tmp_path: Path) -> None:
    encoder = model.with_name("mmproj-outlines.gguf")
    small = tmp_path / "mmproj-outlines.gguf"
    quantize(encoder, small, type="web")
    folder = tmp_path / "packed"
    pack([model], folder, encoder=small, with_known_answer=False)
    vision = read_manifest(folder).vision
    assert vision is not None
    assert vision.masks
    want = opened(model, encoder).decode(CODES[1])
    np.testing.assert_array_equal(opened(folder, folder).decode(CODES[1]), want)


def test_a_pack_states_contexts_of_one_evaluation(model: Path, tmp_path: Path) -> None:
    """As PaliGemma's, which was trained for 8,192 positions, and of what says more those that are
    possible."""
    encoder = model.with_name("mmproj-outlines.gguf")
    long = with_context(model, tmp_path / "long.gguf", 16384)
    packed = pack([long], tmp_path / "long", encoder=encoder, with_known_answer=False)
    assert packed.context_length == 16384
    assert [context.n_ctx for context in packed.memory.contexts][-2:] == [4096, 8192]


def test_a_file_that_is_no_decoder_is_refused_in_a_sentence(saved: Path, tmp_path: Path) -> None:
    arrays = published()
    bad = tmp_path / "bad.npz"
    text, one, short, lacking, odd, nan = (tmp_path / f"{name}.npz" for name in "abcdef")
    text.write_text("no archive")
    with one.open("wb") as file:
        np.save(file, np.zeros(3))
    np.savez(bad, **arrays)
    short.write_bytes(bad.read_bytes()[:100_000])
    np.savez(lacking, **{k: v for k, v in arrays.items() if k != "decoder.3.net.2.bias"})
    np.savez(odd, **{**arrays, "decoder.4.weight": np.zeros((128, 64, 4, 4), np.float32)})
    np.savez(nan, **{**arrays, "decoder.12.bias": np.full(1, np.nan, np.float32)})
    pickled = tmp_path / "pickled.npz"
    np.savez(pickled, **{**arrays, "decoder.0.bias": np.array([object()])}, allow_pickle=True)
    # What unpacks to far more than it takes.
    huge = tmp_path / "huge.npz"
    np.savez_compressed(huge, **{**arrays, "decoder.0.bias": np.zeros(10_000_000, np.float32)})
    encrypted = tmp_path / "encrypted.npz"
    whole = bytearray(bad.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = whole.find(mark)
        while at >= 0:
            whole[at + flags] |= 1
            at = whole.find(mark, at + 1)
    encrypted.write_bytes(whole)
    for path, code, words in (
        (huge, "bad_file", "'decoder.0.bias' is too large, expected [128] of float32"),
        (encrypted, "bad_file", "no archive of numpy's"),
        (text, "bad_file", "no archive of numpy's"),
        (one, "bad_file", "no archive of numpy's"),
        (short, "bad_file", "no archive of numpy's"),
        (pickled, "bad_file", "no archive of numpy's"),
        (lacking, "bad_file", "no array 'decoder.3.net.2.bias'"),
        (odd, "bad_file", "'decoder.4.weight' is [128, 64, 4, 4] of float32, expected [128, 128"),
        (nan, "bad_file", "'decoder.12.bias' holds what is no number"),
        (tmp_path / "none.npz", "unreadable", "cannot read"),
    ):
        with pytest.raises(SlmError) as refused:
            convert(saved, tmp_path / "out.gguf", masks=path)
        assert refused.value.code == code
        assert words in refused.value.message
        assert str(path) in refused.value.message
    assert not (tmp_path / "out.gguf").exists()


def test_only_paligemma_outlines(npz: Path, tmp_path: Path) -> None:
    vision = VISIONS["smolvlm"]
    tokenizer = checkpoints.tokenizer_of(vision.text)
    other = checkpoints.save(tmp_path / "smolvlm", transformers_vision(vision), tokenizer)
    with pytest.raises(SlmError, match="is no PaliGemma; leave out --masks"):
        convert(other, tmp_path / "out.gguf", masks=npz)


SEG = "".join(f"<seg{code:03d}>" for code in CODES[0])


def test_what_an_answer_points_at() -> None:
    house = "<loc0256><loc0128><loc0768><loc0512>"
    box = (0.125, 0.25, 0.5, 0.75)
    assert found_in(f"{house}{SEG} house ; {house} a cat\n") == [
        Found("house", box, CODES[0]),
        Found("a cat", box, None),
    ]
    assert found_in(f"{house}<seg001><seg002> half") == [Found("half", box, None)]
    assert found_in(f"{house}{SEG.replace(SEG[:8], '<seg128>', 1)} x")[0].codes is None
    assert found_in("<loc0768><loc0128><loc0256><loc0512> inside out; words") == []


def test_codes_that_are_none_are_refused(model: Path) -> None:
    decoder = opened(model, model.with_name("mmproj-outlines.gguf"))
    for codes in ([1] * 15, [1] * 15 + [128], [-1] * 16):
        with pytest.raises(SlmError, match="codes from 0 to 127"):
            decoder.decode(codes)


def test_a_mask_lies_in_its_box() -> None:
    """As a picture enlarged bilinearly: an edge in the middle of the mask is one of the box."""
    mask = np.full((64, 64), -1, np.float32)
    mask[:, :32] = 1
    whole = placed(mask, (0.25, 0.5, 0.75, 1.0), 400, 300)
    inside = np.argwhere(whole > 0)
    assert inside.min(0).tolist() == [150, 100]
    assert inside.max(0).tolist() == [299, 199]
    assert len(inside) == 150 * 100
    # A picture enlarged by Pillow has the same values within a rounding.
    noise = np.random.default_rng(3).standard_normal((64, 64)).astype(np.float32)
    large = Image.fromarray(noise).resize((200, 150), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(placed(noise, (0, 0, 1, 1), 200, 150), np.asarray(large), atol=1e-5)
    assert (placed(mask, (0.5, 0.5, 0.5009765625, 0.6), 10, 10) == -1).all()  # less than a pixel


def test_masks_are_written_in_the_pictures_size(model: Path, tmp_path: Path) -> None:
    decoder = opened(model, model.with_name("mmproj-outlines.gguf"))
    first, second = Image.new("RGB", (90, 60)), Image.new("RGB", (200, 100))
    messages = [shown(first), {"role": "assistant", "content": "x"}, shown(second)]
    house = "<loc0256><loc0128><loc0768><loc0512>"
    outlines = Outlines(decoder, tmp_path / "masks")
    answer = f"{house}{SEG} house ; {house} a cat ; {house}{SEG} again"
    written = outlines.write(answer, messages)
    assert [mask["label"] for mask in written] == ["house", "again"]
    assert [Path(mask["file"]).name for mask in written] == ["mask-1.png", "mask-2.png"]
    values = np.asarray(Image.open(written[0]["file"]))
    want = placed(decoder.decode(CODES[0]), (0.125, 0.25, 0.5, 0.75), 200, 100) > 0
    np.testing.assert_array_equal(values, np.where(want, 255, 0))
    assert 0 < want.sum() < want.size
    assert outlines.write(answer, [{"role": "user", "content": "no picture"}]) == []
    (tmp_path / "file").touch()
    with pytest.raises(SlmError, match="cannot write"):
        Outlines(decoder, tmp_path / "file").write(answer, messages)


def shown(picture: Image.Image) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "image_url", "image_url": {"url": picture}}]}


def test_on_the_command_line(saved: Path, npz: Path, tmp_path: Path) -> None:
    out = tmp_path / "pali.gguf"
    done = slmweb("convert", str(saved), "-o", str(out), "--masks", str(npz))
    assert done.returncode == 0, done.stderr
    assert b"and its decoder of masks" in done.stdout
    picture = tmp_path / "cat.png"
    Image.new("RGB", (30, 20), "red").save(picture)
    asked = ("--image", str(picture), "-p", "segment cat", "--max-tokens", "3", "--json")
    done = slmweb("chat", str(out), *asked, "--save-masks", str(tmp_path / "masks"))
    assert done.returncode == 0, done.stderr
    # Noise outlines nothing.
    assert json.loads(done.stdout)["masks"] == []
    plain = tmp_path / "plain.gguf"
    convert(saved, plain)
    done = slmweb("chat", str(plain), *asked, "--save-masks", str(tmp_path / "masks"))
    assert done.returncode != 0
    assert b"has no decoder of masks" in done.stderr
    assert done.stderr.count(b"\n") == 1
