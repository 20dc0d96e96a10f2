"""Prompts with pictures: their words against transformers' processors, and who may write them."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from slmweb.core import Model, chat_prompt
from slmweb.core.chat import takes_parts_only
from slmweb.errors import SlmError
from slmweb.vision.preprocess import Views, open_picture, views
from slmweb.vision.projectors import PROJECTORS, Projector
from slmweb.vision.prompt import Prompt, lay_out, words
from tests.py.models import tiny, with_special, with_template
from tests.py.vision.test_preprocess import made

ROOT = Path(__file__).parents[3]
GEMMA3 = (ROOT / "tests/goldens/templates/gemma3.jinja").read_text()
# As SmolVLM's repositories have it.
SMOLVLM = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}"
    "{% if message['content'][0]['type'] == 'image' %}{{ ':' }}{% else %}{{ ': ' }}{% endif %}"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{ line['text'] }}"
    "{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}"
    "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
# Gemma 4's marks in words of our own.
GEMMA4 = (
    "{{ bos_token }}{% for message in messages %}{{ message.role + ': ' }}"
    "{% if message.content is string %}{{ message.content }}{% else %}"
    "{% for part in message.content %}{% if part.type == 'text' %}{{ part.text }}"
    "{% elif part.type == 'image' %}{{ '<|image|>' }}{% endif %}{% endfor %}{% endif %}{{ '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)
N = 4


def encoder(projector: str, side: int = 28) -> dict[str, Any]:
    return {"projector": projector, "image_size": side, "n_tokens": N}


def url(image: Image.Image) -> str:
    data = io.BytesIO()
    image.save(data, "PNG")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


def shown(image: Image.Image, text: str, detail: str | None = None) -> dict[str, Any]:
    """A question about a picture, as OpenAI's API has it."""
    picture = {"url": url(image)} | ({"detail": detail} if detail else {})
    return {
        "role": "user",
        "content": [{"type": "image_url", "image_url": picture}, {"type": "text", "text": text}],
    }


def expanded(projector: Projector, seen: Views) -> str:
    """The words with the soft tokens between them, as transformers writes them."""
    first, *others = words(projector, seen)
    return first + "".join(projector.soft * N + other for other in others)


@pytest.mark.parametrize("size", [(40, 40), (700, 300), (300, 1500)])
@pytest.mark.parametrize("detail", ["low", "high"])
def test_the_words_of_gemma3_are_its_processors(size: tuple[int, int], detail: Any) -> None:
    from transformers.models.gemma3.processing_gemma3 import Gemma3Processor

    tokenizer = SimpleNamespace(
        boi_token="<start_of_image>", eoi_token="<end_of_image>", image_token="<image_soft_token>"
    )
    seen = views(made(*size), PROJECTORS["gemma3"], 28, detail)
    soft = "".join([tokenizer.image_token] * N)
    processor: Any = SimpleNamespace(
        full_image_sequence=f"\n\n{tokenizer.boi_token}{soft}{tokenizer.eoi_token}\n\n"
    )
    crops = {"num_crops": [len(seen.images) - 1]}
    wanted = Gemma3Processor.replace_image_token(processor, crops, 0)
    assert expanded(PROJECTORS["gemma3"], seen) == wanted


@pytest.mark.parametrize("size", [(40, 40), (700, 300), (300, 1500)])
@pytest.mark.parametrize("detail", ["low", "high"])
def test_the_words_of_smolvlm_are_its_processors(size: tuple[int, int], detail: Any) -> None:
    from transformers.models.smolvlm import processing_smolvlm

    written: Any = processing_smolvlm.get_image_prompt_string
    seen = views(made(*size), PROJECTORS["idefics3"], 28, detail)
    wanted = written(
        seen.rows, seen.columns, N, "<fake_token_around_image>", "<image>", "<global-img>"
    )
    assert expanded(PROJECTORS["idefics3"], seen) == wanted


@pytest.fixture(scope="module")
def gemma4(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    folder = tmp_path_factory.mktemp("gemma4")
    special = ["<|image>", "<|image|>", "<image|>"]
    plain = with_special(tiny("gemma3", folder), folder / "special.gguf", special)
    with Model.open(with_template(plain, folder / "chat.gguf", GEMMA4), weights=False) as model:
        yield model


def test_gemma4s_pictures_take_what_their_shape_asks_for(gemma4: Model) -> None:
    from transformers.models.gemma4.processing_gemma4 import Gemma4Processor

    grid = {"projector": "gemma4v", "image_size": 0, "patch_size": 2, "factor": 3, "n_tokens": 280}
    first, second = made(40, 20), made(31, 170)
    messages = [
        shown(first, "and <|image|>", "low"),
        {"role": "assistant", "content": "One."},
        shown(second, "?", "low"),
    ]
    prompt = lay_out(gemma4, grid, messages)
    sizes = [image.shape[:2] for image in prompt.images]
    lengths = [height // 6 * (width // 6) for height, width in sizes]
    processor: Any = SimpleNamespace(
        boi_token="<|image>", eoi_token="<image|>", image_token="<|image|>"
    )
    one, two = (
        Gemma4Processor.replace_image_token(processor, {"num_soft_tokens_per_image": lengths}, i)
        for i in range(2)
    )
    plain = gemma4.tokenizer.encode("<|image|>", bos=False, plain=[(0, 9)])
    said = gemma4.tokenizer.decode(plain, special=True).decode()
    assert text_of(gemma4, prompt) == (
        f"<bos>user: {one}and {said}\nassistant: One.\nuser: {two}?\nassistant: "
    )
    (soft,) = gemma4.tokenizer.encode("<|image|>", bos=False)
    for at, length in zip(prompt.at, lengths, strict=True):
        assert prompt.ids[at : at + length] == [soft] * length
        assert soft not in (prompt.ids[at - 1], prompt.ids[at + length])
    assert lengths[0] != lengths[1]
    assert max(lengths) <= 70
    assert len(lay_out(gemma4, grid, [shown(first, "?")]).ids) > 3 * lengths[0]


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    folder = tmp_path_factory.mktemp("gemma")
    special = ["<start_of_image>", "<end_of_image>", "<image_soft_token>", "<image>"]
    plain = with_special(tiny("gemma3", folder), folder / "special.gguf", special)
    with Model.open(with_template(plain, folder / "chat.gguf", GEMMA3), weights=False) as model:
        yield model


@pytest.fixture(scope="module")
def smolvlm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    folder = tmp_path_factory.mktemp("smolvlm")
    tokens = ["<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"]
    tokens += [f"<row_{row}_col_{column}>" for row in (1, 2) for column in (1, 2, 3, 4)]
    plain = with_special(tiny("qwen2", folder), folder / "special.gguf", tokens)
    with Model.open(with_template(plain, folder / "chat.gguf", SMOLVLM), weights=False) as model:
        yield model


def text_of(model: Model, prompt: Prompt) -> str:
    return model.tokenizer.decode(prompt.ids, special=True).decode()


def test_a_conversation_shows_its_pictures_where_the_template_has_them(gemma: Model) -> None:
    first, second = made(20, 30), made(31, 17)
    messages = [
        shown(first, "and"),
        {"role": "assistant", "content": "in"},
        shown(second, "the"),
    ]
    prompt = lay_out(gemma, encoder("gemma3"), messages)
    (soft,) = gemma.tokenizer.encode("<image_soft_token>", bos=False)
    picture = "\n\n<start_of_image>" + N * "<image_soft_token>" + "<end_of_image>\n\n"
    turn, end = "<start_of_turn>{}\n    ", "<end_of_turn>\n"
    assert text_of(gemma, prompt) == (
        f"<bos>{turn.format('user')}{picture}and{end}{turn.format('model')}in{end}"
        f"{turn.format('user')}{picture}the{end}<start_of_turn>model\n"
    )
    assert len(prompt.at) == 2
    for at, image, source in zip(prompt.at, prompt.images, (first, second), strict=True):
        assert prompt.ids[at : at + N] == [soft] * N
        assert np.array_equal(image, views(source, PROJECTORS["gemma3"], 28).images[0])
    assert prompt.ids.count(soft) == 2 * N
    # Text apart is text together, for control tokens bound it.
    assert prompt.ids == gemma.tokenizer.encode(text_of(gemma, prompt), bos=False)


def test_the_detail_high_shows_crops(gemma: Model) -> None:
    prompt = lay_out(gemma, encoder("gemma3"), [shown(made(900, 300), "and", "high")])
    assert len(prompt.at) == len(prompt.images) == 4
    assert "Here is the original image \n\n<start_of_image>" in text_of(gemma, prompt)


def test_what_a_message_says_is_no_picture(gemma: Model) -> None:
    said = "<start_of_image> <image_soft_token>"
    prompt = lay_out(gemma, encoder("gemma3"), [shown(made(9, 9), said)])
    (soft,) = gemma.tokenizer.encode("<image_soft_token>", bos=False)
    assert len(prompt.at) == 1
    assert prompt.ids.count(soft) == N
    assert said in text_of(gemma, prompt)


def test_messages_without_pictures_are_what_they_were(gemma: Model) -> None:
    messages = [{"role": "user", "content": "and in the"}]
    prompt = lay_out(gemma, encoder("gemma3"), messages)
    assert (prompt.ids, prompt.at, prompt.images) == (chat_prompt(gemma, messages), [], [])


def test_an_answer_about_a_picture_goes_on(gemma: Model) -> None:
    messages = [shown(made(9, 9), "and"), {"role": "assistant", "content": "in the"}]
    prompt = lay_out(gemma, encoder("gemma3"), messages)
    assert text_of(gemma, prompt).endswith("<start_of_turn>model\n    in the")
    assert len(prompt.at) == 1


def test_smolvlm_is_given_parts_also_of_a_text(smolvlm: Model) -> None:
    assert takes_parts_only(SMOLVLM)
    assert not takes_parts_only(GEMMA3)
    messages = [
        {"role": "user", "content": "and"},
        {"role": "assistant", "content": "in"},
        shown(made(900, 400), "the", "high"),
    ]
    prompt = lay_out(smolvlm, encoder("idefics3"), messages)
    rows = "".join(
        "".join(
            f"<fake_token_around_image><row_{row}_col_{column}>" + N * "<image>"
            for column in (1, 2, 3, 4)
        )
        + "\n"
        for row in (1, 2)
    )
    whole = "\n<fake_token_around_image><global-img>" + N * "<image>" + "<fake_token_around_image>"
    assert text_of(smolvlm, prompt) == (
        f"<|im_start|>User: and<end_of_utterance>\nAssistant: in<end_of_utterance>\n"
        f"User:{rows}{whole}the<end_of_utterance>\nAssistant:"
    )
    assert len(prompt.at) == len(prompt.images) == 9
    begun = [{"role": "user", "content": "and"}, {"role": "assistant", "content": "in the"}]
    ids = chat_prompt(smolvlm, begun)
    assert smolvlm.tokenizer.decode(ids, special=True).endswith(b"\nAssistant: in the")


def test_paligemma_is_asked_one_question(gemma: Model) -> None:
    messages = [
        shown(made(20, 30), "and"),
        {"role": "assistant", "content": "in"},
        {"role": "user", "content": "the <image>"},
    ]
    prompt = lay_out(gemma, encoder("paligemma"), messages)
    (soft,) = gemma.tokenizer.encode("<image>", bos=False)
    assert text_of(gemma, prompt) == N * "<image>" + "<bos>the <image>\n"
    assert prompt.at == [0]
    assert prompt.ids.count(soft) == N
    with pytest.raises(SlmError, match="knows no chat"):
        lay_out(gemma, encoder("paligemma"), messages[:2])


def test_a_picture_that_nobody_would_see_is_refused(gemma: Model) -> None:
    with pytest.raises(SlmError, match="no encoder of pictures was given"):
        chat_prompt(gemma, [shown(made(9, 9), "and")])
    blind = "{% for m in messages %}{{ m['role'] }}{% endfor %}"
    with pytest.raises(SlmError, match="shows 0 of the 1 pictures"):
        lay_out(gemma, encoder("gemma3"), [shown(made(9, 9), "and")], template=blind)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "found no url"),
        ({"url": "cat.png", "detail": "huge"}, "choose auto, low or high"),
        ({"url": "https://example.org/cat.png"}, "nothing is fetched"),
    ],
)
def test_a_part_that_is_no_picture_is_refused(
    gemma: Model, given: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made(3, 3).save("cat.png")
    assert open_picture("cat.png").size == (3, 3)
    message = {"role": "user", "content": [{"type": "image_url", "image_url": given}]}
    with pytest.raises(SlmError, match=said):
        lay_out(gemma, encoder("gemma3"), [message])
