"""Pictures in a session: encoded once, whole in an evaluation, and reused with the cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slmweb.core import Model
from slmweb.core.guard import PICTURES_BUILT_IN, PicturePolicy, yes_and_no
from slmweb.core.session import Sampling
from slmweb.core.vision import Vision
from slmweb.errors import SlmError
from slmweb.pack.manifest import read_manifest
from slmweb.pack.pack import pack, verify
from slmweb.vision.guard import check_picture
from slmweb.vision.pictures import Pictures
from slmweb.vision.preprocess import views
from slmweb.vision.projectors import PROJECTORS, n_batch_for
from slmweb.vision.prompt import Prompt, lay_out
from tests.py.models import tiny, with_pieces, with_special, with_template
from tests.py.vision.encoders import write_encoder
from tests.py.vision.test_preprocess import made
from tests.py.vision.test_prompt import GEMMA3, shown

N = 16  # positions of a picture: 16 patches, none pooled


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model and its encoder, whose names say that they belong together."""
    folder = tmp_path_factory.mktemp("seeing")
    special = ["<start_of_image>", "<end_of_image>", "<image_soft_token>"]
    plain = with_special(tiny("gemma3", folder), folder / "special.gguf", special)
    model = with_template(plain, folder / "cat.gguf", GEMMA3)
    with Model.open(model, weights=False) as opened:
        n_embd = opened.info["n_embd"]
    assert n_embd is not None
    return model, write_encoder(folder / "mmproj-cat-f16.gguf", projected=n_embd, factor=1)


@pytest.fixture(scope="module")
def model(files: tuple[Path, Path]) -> Iterator[Model]:
    with Model.open(files[0]) as opened:
        yield opened


@pytest.fixture(scope="module")
def vision(model: Model, files: tuple[Path, Path]) -> Iterator[Vision]:
    with model.load_vision(files[1]) as loaded:
        yield loaded


def conversation(*sizes: tuple[int, int]) -> list[dict[str, Any]]:
    """A question about each picture, and answers between them."""
    messages: list[dict[str, Any]] = []
    for size in sizes:
        messages += [shown(made(*size), "and in"), {"role": "assistant", "content": "the"}]
    return messages[:-1]


def test_an_answer_depends_on_the_picture_and_on_nothing_before(
    model: Model, vision: Vision
) -> None:
    """What the cache holds of a picture is used for that picture alone."""
    first = lay_out(model, vision.info, conversation((40, 30), (9, 70)))
    other = lay_out(model, vision.info, conversation((40, 30), (70, 9)))
    assert first.ids == other.ids
    fresh = []
    for prompt in (first, other):
        with Pictures(vision) as pictures, pictures.session(256) as session:
            pictures.show(session, prompt)
            assert session.prefill(prompt.ids) == 0
            fresh.append(session.last_logits())
    assert np.abs(fresh[0] - fresh[1]).max() > 1e-3
    with Pictures(vision) as pictures, pictures.session(256) as session:
        for prompt, wanted in [(first, fresh[0]), (other, fresh[1]), (first, fresh[0])]:
            pictures.show(session, prompt)
            cached = session.prefill(prompt.ids)
            assert cached in (0, other.at[1])
            np.testing.assert_allclose(session.last_logits(), wanted, atol=2e-3)


def test_a_picture_is_encoded_once(model: Model, vision: Vision) -> None:
    encoded: list[tuple[int, int]] = []
    with Pictures(vision) as pictures, pictures.session(256) as session:
        for n in (1, 2):
            prompt = lay_out(model, vision.info, conversation((40, 30), (9, 70))[: 2 * n - 1])
            pictures.show(session, prompt, lambda done, total: encoded.append((done, total)))
            answer = session.generate(prompt.ids, Sampling(temperature=0), max_tokens=2)
            list(answer)
            assert (answer.cached >= prompt.at[0] + N) is (n == 2)
    assert encoded == [(0, 1), (1, 1)] * 2


@pytest.mark.parametrize("n_batch", [N, N + 1, 2 * N - 1, 40])
def test_a_batch_never_cuts_a_picture(model: Model, vision: Vision, n_batch: int) -> None:
    prompt = lay_out(model, vision.info, conversation((40, 30), (9, 70), (5, 5)))
    logits = []
    for size in (256, n_batch):
        with Pictures(vision) as pictures, model.session(256, size) as session:
            pictures.show(session, prompt)
            session.prefill(prompt.ids)
            logits.append(session.last_logits())
    np.testing.assert_allclose(logits[1], logits[0], atol=2e-3)


def test_evaluations_have_room_for_a_picture() -> None:
    assert n_batch_for(256, True, False, 2048) == 256
    assert n_batch_for(256, True, False, 2048, 512) == 512
    assert n_batch_for(64, True, False, 2048) == 128
    assert n_batch_for(256, True, True, 2048) == 2048
    assert n_batch_for(280, False, False, 2048) == 128


def test_a_pack_holds_the_encoder_and_opens_like_its_file(
    files: tuple[Path, Path], model: Model, vision: Vision, tmp_path: Path
) -> None:
    folder = tmp_path / "cat"
    manifest = pack([files[0]], folder, encoder=files[1], chunk_size=20_000)
    assert manifest == read_manifest(folder) == verify(folder)
    assert manifest.vision is not None
    assert [file.name for file in manifest.files] == ["cat.gguf", "mmproj-cat-f16.gguf"]
    assert manifest.size == sum(path.stat().st_size for path in files)
    described = vars(manifest.vision)
    assert described == {
        "projector": "gemma3",
        "file": 1,
        "image_size": 56,
        "patch_size": 14,
        "n_tokens": N,
        "packed_bytes": vision.info["packed_bytes"],
        "encode_bytes": vision.encode_bytes,
        "factor": None,
        "whole_picture": True,
        "whole_prompt": False,
        "masks": False,
    }
    prompt = lay_out(model, vision.info, conversation((40, 30)))
    logits = []
    for path in (files[1], folder):
        with (
            Model.open(files[0] if path.is_file() else folder) as opened,
            opened.load_vision(path) as seeing,
            Pictures(seeing) as pictures,
            pictures.session(128) as session,
        ):
            pictures.show(session, prompt)
            session.prefill(prompt.ids)
            logits.append(session.last_logits())
    np.testing.assert_array_equal(logits[0], logits[1])


def test_a_pack_without_an_encoder_says_so(
    files: tuple[Path, Path], model: Model, tmp_path: Path
) -> None:
    assert pack([files[0]], tmp_path / "blind").vision is None
    with pytest.raises(SlmError, match="has no encoder of pictures; pack it again"):
        model.load_vision(tmp_path / "blind")


def test_an_encoder_of_another_model_is_not_packed(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    other = write_encoder(tmp_path / "mmproj-other.gguf")
    with pytest.raises(SlmError) as caught:
        pack([files[0]], tmp_path / "out", encoder=other)
    assert caught.value.code == "bad_file"
    assert not (tmp_path / "out").exists()


# The words are ours; that the picture comes first and no answer begins is ShieldGemma 2's.
GUARD = (
    "{{ bos_token }}<start_of_turn>user\n{% for part in messages[0]['content'] %}"
    "{% if part['type'] == 'image' %}<start_of_image>{% else %}{{ part['text'] | trim }}"
    "{% endif %}{% endfor %}<end_of_turn>\n"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


def test_the_rules_for_pictures_are_those_of_transformers() -> None:
    from transformers.models.shieldgemma2 import processing_shieldgemma2 as shieldgemma2

    found = {policy.name: policy.question for policy in PICTURES_BUILT_IN}
    assert found == shieldgemma2.DEFAULT_SHIELDGEMMA2_POLICIES
    assert PicturePolicy("mine", "No cats: …").question == "No cats: …"
    with pytest.raises(SlmError, match="name one of dangerous, sexual, violence"):
        PicturePolicy("harassment")


def test_a_picture_is_judged_by_yes_and_no(
    files: tuple[Path, Path], model: Model, vision: Vision, tmp_path: Path
) -> None:
    special = ["<start_of_image>", "<end_of_image>", "<image_soft_token>"]
    seeing = with_special(tiny("gemma3", tmp_path), tmp_path / "special.gguf", special)
    words = with_pieces(
        seeing, tmp_path / "words.gguf", ["Yes", "Ye", "No", "Y", "N", "e", "s", "o"]
    )
    guard = with_template(words, tmp_path / "guard.gguf", GUARD)
    mine = PicturePolicy("mine", "and in the")
    with (
        Model.open(guard) as judge,
        judge.load_vision(files[1]) as seen,
        Pictures(seen) as pictures,
        pictures.session(512) as session,
    ):
        yes, no = yes_and_no(judge)
        found = check_picture(session, pictures, made(40, 30), [mine, PICTURES_BUILT_IN[2]])
        picture = "\n\n<start_of_image>" + N * "<image_soft_token>" + "<end_of_image>\n\n"
        text = f"<bos><start_of_turn>user\n{picture}and in the<end_of_turn>\n"
        ids = judge.tokenizer.encode(text, bos=False)
        (image,) = views(made(40, 30), PROJECTORS["gemma3"], 56).images
        (soft,) = judge.tokenizer.encode("<image_soft_token>", bos=False)
        pictures.show(session, Prompt(ids, [ids.index(soft)], [image]))
        session.prefill(ids)
        logits = session.last_logits()[[yes, no]].astype(np.float64)
        expected = 1 / (1 + np.exp(logits[1] - logits[0]))
        assert found[0].probability == pytest.approx(expected, abs=1e-4)
        assert found[0].tokens == len(ids)
        # The rules of a picture share it.
        assert found[1].cached_tokens > N
        (other,) = check_picture(session, pictures, made(40, 30, seed=5), [mine])
        assert other.probability != pytest.approx(found[0].probability, abs=1e-6)
    with (
        Pictures(vision) as pictures,
        pictures.session(256) as session,
        pytest.raises(SlmError, match='no token for "Yes"'),
    ):
        check_picture(session, pictures, made(40, 30))
