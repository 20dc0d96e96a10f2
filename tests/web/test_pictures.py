"""Pictures in a real browser: a tiny model of each kind with its encoder, packed for the web, asked
by the public API and on the released page.

All are noise, so what is said of a picture means nothing; that it is the right thing, the
same core in Python says, with its own reading of the same messages. Gemma 3 is laid out as
llama.cpp's converter does it; PaliGemma, both of them, and SmolVLM are checkpoints that
transformers saved.
"""

from __future__ import annotations

import io
import shutil
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from PIL import Image, ImageOps
from playwright.sync_api import Browser, FilePayload, Page, expect

from slmweb.convert import convert
from slmweb.core import Model
from slmweb.core.vision import Vision
from slmweb.pack.pack import pack
from slmweb.server.app import Folders, create_app
from slmweb.vision.masks import MaskDecoder
from slmweb.vision.pictures import Pictures
from slmweb.vision.prompt import lay_out
from tests.goldens.tiny_masks import published
from tests.goldens.tiny_pictures import VISIONS, transformers_vision
from tests.py.convert import checkpoints
from tests.py.models import tiny, with_special, with_template
from tests.py.vision.encoders import write_encoder
from tests.py.vision.test_prompt import GEMMA4, SMOLVLM
from tests.web.conftest import ROOT, open_harness
from tests.web.drawn import house
from tests.web.serving import Site, serve

GEMMA3 = (ROOT / "tests/goldens/templates/gemma3.jinja").read_text()
N_TOKENS = 12


def upside_down(picture: bytes) -> bytes:
    """All houses are one to a model that sees squares; this one has other colours, too."""
    data = io.BytesIO()
    ImageOps.flip(ImageOps.invert(Image.open(io.BytesIO(picture)))).save(data, "PNG")
    return data.getvalue()


PICTURES = {
    "wide": house(),
    "tall": house(90, 150),
    "long": house(640, 260),
    "other": upside_down(house()),
}
URLS = {
    name: "data:image/png;base64," + b64encode(data).decode() for name, data in PICTURES.items()
}
LOAD = """async ([name, variant, threads]) => {
  globalThis.slm = await harness.SLM.load(`/models/${name}/manifest.json`, {
    baseUrl: '/', storage: 'memory', variant, threads, n_ctx: 512,
  });
}"""
PRELUDE = """
const settings = {temperature: 0, max_tokens: 12, ignore_eog: true,
  logprobs: true, top_logprobs: 20};
/** How likely the tokens of the answer and others were, and what was cached of the prompt. */
const ask = async (messages, params = {}) => {
  const asked = {messages, ...settings, ...params};
  const {choices: [choice], usage} = await slm.chat.completions.create(asked);
  return {
    bytes: choice.logprobs.content.map(({bytes}) => bytes),
    logprobs: choice.logprobs.content.map(
      ({top_logprobs: top}) => top.map(({logprob}) => logprob)),
    cached: usage.prompt_tokens_details.cached_tokens,
    prompt: usage.prompt_tokens,
  };
};
"""


def shown(text: str, *names: str, detail: str | None = None) -> dict[str, Any]:
    """A question about pictures, as OpenAI's clients write it."""
    parts: list[dict[str, Any]] = [
        {
            "type": "image_url",
            "image_url": {"url": URLS[name], **({"detail": detail} if detail else {})},
        }
        for name in names
    ]
    return {"role": "user", "content": [*parts, {"type": "text", "text": text}]}


# Saved by transformers: what its chat template writes, and the tokens that templates and
# processors take for granted.
CHECKPOINTS: dict[str, tuple[str | None, list[str]]] = {
    "paligemma": (None, ["<image>"]),
    "paligemma2": (None, ["<image>"]),
    "smolvlm": (
        SMOLVLM,
        ["<image>", "<fake_token_around_image>", "<global-img>", "<row_1_col_1>", "<row_1_col_2>",
         "<end_of_utterance>"],
    ),
}  # fmt: skip


# Whose pictures keep their shape.
SHAPES = "gemma4-pictures"


def louder(encoder: Path, name: str) -> None:
    """What it says of a picture is to be heard among the words."""
    for tensor in gguf.GGUFReader(encoder, "r+").tensors:
        if tensor.name == name:
            tensor.data[...] *= 100


def converted(name: str, root: Path) -> tuple[Path, Path]:
    """The two files of a tiny checkpoint; PaliGemma's with a decoder of masks."""
    vision = VISIONS[name]
    of_shapes = (GEMMA4, ["<|image>", "<|image|>", "<image|>"])
    template, special = of_shapes if name == SHAPES else CHECKPOINTS[name]
    saved = checkpoints.save(
        root / f"{name}-saved", transformers_vision(vision), checkpoints.tokenizer_of(vision.text)
    )
    masks = None
    if vision.kind == "paligemma":
        masks = root / "vae-oid.npz"
        np.savez(masks, **published())
    plain = root / f"{name}-plain.gguf"
    convert(saved, plain, type="f32", masks=masks)
    encoder = plain.with_name(f"mmproj-{plain.name}").rename(root / f"mmproj-{name}-f16.gguf")
    told = with_special(plain, root / f"{name}-special.gguf", special)
    if template is None:
        return told.rename(root / f"{name}.gguf"), encoder
    return with_template(told, root / f"{name}.gguf", template), encoder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models that see and one that does not, packed under `models/`."""
    root = tmp_path_factory.mktemp("pictures")
    special = ["<start_of_image>", "<end_of_image>", "<image_soft_token>"]
    plain = with_special(tiny("gemma3", root), root / "special.gguf", special)
    model = with_template(plain, root / "seer.gguf", GEMMA3)
    with Model.open(model, weights=False) as opened:
        n_embd = opened.info["n_embd"]
    assert n_embd is not None
    encoder = write_encoder(root / "mmproj-seer-f16.gguf", projected=n_embd, factor=1)
    louder(encoder, "mm.soft_emb_norm.weight")
    models = root / "models"
    packed = {"seer": (model, encoder), "blind": (model, None)}
    for name, (file, eyes) in {
        **packed,
        **{n: converted(n, root) for n in (*CHECKPOINTS, SHAPES)},
    }.items():
        pack([file], models / name, name=name, title=name, encoder=eyes, with_known_answer=False)
    return root


@pytest.fixture(scope="module")
def server(harness_folder: Path, folder: Path) -> Iterator[Site]:
    folders = Folders(web=harness_folder, wasm=ROOT / "dist" / "wasm", models=folder / "models")
    with serve(create_app(folders)) as running:
        yield running


@pytest.fixture(scope="module")
def loaded(browser: Browser, server: Site) -> Iterator[Page]:
    with browser.new_context() as context:
        page = open_harness(context.new_page(), server)
        page.evaluate(LOAD, ["seer", "relaxed", 1])
        yield page


def evaluate(page: Page, body: str, argument: Any = None) -> Any:
    """Runs the body of an async function; an SlmError becomes {error, code}."""
    code = f"(argument) => harness.outcome((async () => {{ {PRELUDE} {body} }})())"
    return page.evaluate(code, argument)


@dataclass(frozen=True)
class Answer:
    bytes: list[list[int]]
    logprobs: list[list[float]]  # of the 20 likeliest at each place
    prompt: int  # tokens


def core_answer(folder: Path, name: str, messages: list[dict[str, Any]]) -> Answer:
    """The same answer by the core in Python, greedily."""
    with (
        Model.open(folder / f"{name}.gguf", variant="relaxed") as model,
        model.load_vision(folder / f"mmproj-{name}-f16.gguf") as vision,
        Pictures(vision) as pictures,
        pictures.session(512) as session,
    ):
        prompt = lay_out(model, vision.info, messages)
        pictures.show(session, prompt)
        session.prefill(prompt.ids)
        logits = session.last_logits()
        answer = Answer([], [], len(prompt.ids))
        for _ in range(N_TOKENS):
            token = int(logits.argmax())
            answer.bytes.append(list(model.tokenizer.decode([token], special=True)))
            best = np.sort(logits)[::-1][:20] - np.logaddexp.reduce(logits)
            answer.logprobs.append(best.tolist())
            rows = session.eval([token])
            assert rows is not None
            [logits] = rows
        return answer


CONVERSATIONS = {
    "one": [shown("What is this?", "wide")],
    "two": [shown("What are these?", "wide", "tall")],
    "later": [
        shown("What is this?", "wide"),
        {"role": "assistant", "content": "A house."},
        shown("And <start_of_image> this?", "tall"),
    ],
    "parts": [shown("What is this?", "long", detail="high")],
}


@pytest.mark.parametrize(("variant", "threads"), [("relaxed", 1), ("relaxed-mt", 2), ("webgpu", 1)])
def test_what_a_model_says_of_pictures(
    request: pytest.FixtureRequest, server: Site, folder: Path, variant: str, threads: int
) -> None:
    where = "gpu_browser" if variant == "webgpu" else "browser"
    browser: Browser = request.getfixturevalue(where)
    with browser.new_context() as context:
        page = open_harness(context.new_page(), server)
        page.evaluate(LOAD, ["seer", variant, threads])
        assert page.evaluate("slm.info.vision") == {
            "projector": "gemma3", "image_size": 56, "n_tokens": 16, "masks": False,
        }  # fmt: skip
        before = len(server.hits)
        for name, messages in CONVERSATIONS.items():
            told = evaluate(page, "return ask(argument)", messages)
            assert "error" not in told, told
            expected = core_answer(folder, "seer", messages)
            assert (told["bytes"], told["prompt"]) == (expected.bytes, expected.prompt), name
            # Activations are rounded to 8 bits, in other pieces of the prompt.
            np.testing.assert_allclose(told["logprobs"], expected.logprobs, atol=5e-3)
        assert server.hits[before:] == []


@pytest.mark.parametrize("variant", ["relaxed", "webgpu"])
def test_pictures_that_keep_their_shape(
    request: pytest.FixtureRequest, server: Site, folder: Path, variant: str
) -> None:
    browser: Browser = request.getfixturevalue("gpu_browser" if variant == "webgpu" else "browser")
    with browser.new_context() as context:
        page = open_harness(context.new_page(), server)
        page.evaluate(LOAD, [SHAPES, variant, 1])
        assert page.evaluate("slm.info.vision") == {
            "projector": "gemma4v", "image_size": 0, "n_tokens": 280, "masks": False,
        }  # fmt: skip
        conversations = [
            [shown("What are these?", "wide", "tall", "long", detail="low")],
            [shown("What is this?", "wide")],
        ]
        if variant == "webgpu":  # emulated, 2,520 patches that see each other take a minute
            conversations = [[shown("What is this?", "wide", detail="low")]]
        for messages in conversations:
            told = evaluate(page, "return ask(argument)", messages)
            assert "error" not in told, told
            expected = core_answer(folder, SHAPES, messages)
            assert (told["bytes"], told["prompt"]) == (expected.bytes, expected.prompt)
            np.testing.assert_allclose(told["logprobs"], expected.logprobs, atol=1e-3)
        # So many squares at most, and hardly fewer.
        least, most = (60, 110) if variant == "webgpu" else (250, 320)
        assert least < told["prompt"] < most


# Pillow 13 resizes what is tall by its height first, and the page never does, as Pillow 12: their
# pixels may differ by one there. These are wide, so that every pixel is the same.
WIDE = {
    "one": CONVERSATIONS["one"],
    "two": [shown("What are these?", "other", "wide")],
    "later": [*CONVERSATIONS["later"][:2], shown("And <start_of_image> this?", "other")],
    "parts": [shown("What is this?", "other", detail="high")],
}


@pytest.mark.parametrize(
    ("name", "variant"),
    [*((name, "relaxed") for name in CHECKPOINTS), ("paligemma", "webgpu"), ("smolvlm", "webgpu")],
)
def test_what_a_checkpoint_says_of_pictures(
    request: pytest.FixtureRequest, server: Site, folder: Path, name: str, variant: str
) -> None:
    where = "gpu_browser" if variant == "webgpu" else "browser"
    browser: Browser = request.getfixturevalue(where)
    tiny_vision = VISIONS[name]
    with browser.new_context() as context:
        page = open_harness(context.new_page(), server)
        page.evaluate(LOAD, [name, variant, 1])
        assert page.evaluate("slm.info.vision") == {
            "projector": tiny_vision.kind,
            "image_size": tiny_vision.image_size,
            "n_tokens": tiny_vision.n_tokens,
            "masks": tiny_vision.kind == "paligemma",
        }
        answers = []
        # Software does the graphics chip's work, so one conversation is enough there.
        for asked in WIDE if variant == "relaxed" else ["later"]:
            told = evaluate(page, "return ask(argument)", WIDE[asked])
            assert "error" not in told, told
            expected = core_answer(folder, name, WIDE[asked])
            assert (told["bytes"], told["prompt"]) == (expected.bytes, expected.prompt), asked
            # Nothing rounds: the weights are float32.
            np.testing.assert_allclose(told["logprobs"], expected.logprobs, atol=1e-3)
            answers.append(told["logprobs"][0])
        # Each picture is another answer.
        for other in answers[1:]:
            assert np.abs(np.subtract(answers[0], other)).max() > 1e-2


def test_what_an_answer_outlines_is_decoded(browser: Browser, server: Site, folder: Path) -> None:
    codes = list(range(100, 116))
    with browser.new_context() as context:
        page = open_harness(context.new_page(), server)
        page.evaluate(LOAD, ["paligemma", "relaxed", 1])
        # While an answer is on its way, too.
        mask, _ = evaluate(
            page,
            """const {messages, codes} = argument;
            const [mask, told] = await Promise.all([slm.mask(codes), ask(messages)]);
            return [[...mask], told];""",
            {"codes": codes, "messages": CONVERSATIONS["one"]},
        )
        refused = evaluate(page, "return slm.mask([1, 2, 128])")
        assert refused["code"] == "invalid_argument"
        assert "16 codes" in refused["error"]
        page.evaluate(LOAD, ["seer", "relaxed", 1])
        refused = evaluate(page, "return slm.mask(argument)", codes)
        assert refused["code"] == "unsupported"
        assert "decoder of masks, found seer" in refused["error"]
    with Model.open(folder / "paligemma.gguf", weights=False) as model:
        model.layout()
        path = folder / "mmproj-paligemma-f16.gguf"
        want = MaskDecoder.read(path, Vision.check(model, path)).decode(codes)
    np.testing.assert_allclose(np.reshape(mask, (64, 64)), want, atol=1e-4)


def test_a_conversation_goes_on_from_its_cache(loaded: Page) -> None:
    second, other = evaluate(
        loaded,
        """
        const [question, answer, more] = argument;
        await ask([question]);
        const again = await ask([question, answer, {role: 'user', content: 'Why?'}]);
        const other = await ask([more, answer, {role: 'user', content: 'Why?'}]);
        return [again, other];
        """,
        [
            CONVERSATIONS["one"][0],
            {"role": "assistant", "content": "A"},
            shown("What is this?", "tall"),
        ],
    )
    assert second["cached"] >= 16 + 2  # the picture is not looked at again
    assert other["cached"] < 16 + 2  # and another one is
    assert np.abs(np.subtract(second["logprobs"], other["logprobs"])).max() > 0.05


def test_a_blob_and_a_bitmap_are_the_same_picture(loaded: Page) -> None:
    url, blob, bitmap = evaluate(
        loaded,
        """
        const bytes = Uint8Array.from(atob(argument.split(',')[1]), (unit) => unit.charCodeAt(0));
        const blob = new Blob([bytes], {type: 'image/png'});
        const bitmap = await createImageBitmap(blob, {colorSpaceConversion: 'none'});
        const words = {type: 'text', text: 'This?'};
        const about = (image_url) =>
          ask([{role: 'user', content: [{type: 'image_url', image_url}, words]}]);
        return [await about({url: argument}), await about({blob}), await about({bitmap})];
        """,
        URLS["tall"],
    )
    np.testing.assert_allclose(blob["logprobs"], url["logprobs"], atol=1e-3)
    np.testing.assert_allclose(bitmap["logprobs"], url["logprobs"], atol=1e-3)
    assert bitmap["cached"] > 16


def test_a_file_that_came_before_is_not_decoded_again(loaded: Page) -> None:
    decoded = evaluate(
        loaded,
        """
        const decode = globalThis.createImageBitmap;
        let n = 0;
        globalThis.createImageBitmap = (...given) => { n += 1; return decode(...given); };
        const say = async (image_url) => {
          const picture = {type: 'image_url', image_url};
          await ask([{role: 'user', content: [picture, {type: 'text', text: 'What?'}]}]);
        };
        try {
          const bytes = Uint8Array.from(atob(argument.split(',')[1]), (unit) => unit.charCodeAt(0));
          // A byte behind its end makes another file of it.
          const file = () => new Blob([bytes, new Uint8Array(1)], {type: 'image/png'});
          for (const blob of [file(), file(), new File([file()], 'other.png')]) await say({blob});
          const reader = new FileReader();
          const url = await new Promise((done) => {
            reader.onload = () => done(reader.result);
            reader.readAsDataURL(file());
          });
          await say({url});
          return n;
        } finally {
          globalThis.createImageBitmap = decode;
        }""",
        URLS["wide"],
    )
    assert decoded == 1


def test_the_oldest_pictures_are_dropped_with_their_turns(loaded: Page) -> None:
    long = {"role": "assistant", "content": "house " * 40}
    messages = [m for _ in range(8) for m in (shown("What?", "wide", "tall"), long)]
    told = evaluate(
        loaded,
        """
        const answer = await slm.chat.completions.create(
          {messages: argument, ...settings, context_overflow: 'drop_oldest'});
        return [answer.dropped_messages, answer.usage.prompt_tokens];
        """,
        [*messages, shown("And this?", "long")],
    )
    dropped, tokens = told
    assert dropped > 0
    assert 16 < tokens < 512


@pytest.mark.parametrize(
    ("part", "code", "sentence"),
    [
        ({"url": "https://example.org/x.png"}, "invalid_argument", "nothing is fetched"),
        ({"url": "/x.png"}, "invalid_argument", "nothing is fetched"),
        ({"url": "data:image/png;base64,AAAA"}, "invalid_argument", "can decode, found image/png"),
        ({"url": "data:image/png;base64,%%%"}, "invalid_argument", "damaged"),
        ({"url": URLS["wide"], "detail": "fine"}, "invalid_argument", "'low', 'high' or 'auto'"),
    ],
)
def test_what_is_refused(
    loaded: Page, server: Site, part: dict[str, str], code: str, sentence: str
) -> None:
    before = len(server.hits)
    message = {"role": "user", "content": [{"type": "image_url", "image_url": part}]}
    refusal = evaluate(loaded, "return ask([argument])", message)
    assert refusal["code"] == code, refusal
    assert sentence in refusal["error"]
    assert server.hits[before:] == []


def test_a_model_without_eyes_says_so(browser: Browser, server: Site) -> None:
    with browser.new_context() as context:
        page = open_harness(context.new_page(), server)
        page.evaluate(LOAD, ["blind", "relaxed", 1])
        assert page.evaluate("slm.info.vision") is None
        refusal = evaluate(page, "return ask([argument])", CONVERSATIONS["one"][0])
        assert refusal["code"] == "unsupported"
        assert "found blind, which reads text alone" in refusal["error"]
        assert "error" not in evaluate(page, "return ask([{role: 'user', content: 'Hi'}])")


def test_the_encoder_is_read_when_the_first_picture_comes(browser: Browser, server: Site) -> None:
    with browser.new_context() as context:
        page = open_harness(context.new_page(), server)
        page.evaluate(LOAD, ["seer", "relaxed", 1])
        evaluate(page, "return ask([{role: 'user', content: 'Hi'}])")
        before = page.evaluate("slm.stats().memory_bytes")
        evaluate(page, "return ask(argument)", CONVERSATIONS["one"])
        assert page.evaluate("slm.stats().memory_bytes") >= before


# ---- the released page


def test_the_page_shows_the_model_a_picture(page: Page, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "models" / "seer", tmp_path / "seer")
    folders = Folders(web=ROOT / "dist" / "web", wasm=ROOT / "dist" / "wasm", models=tmp_path)
    with serve(create_app(folders)) as site:
        page.goto(site.url)
        frame = page.locator("iframe#sandbox").element_handle().content_frame()
        assert frame is not None
        add = frame.get_by_role("button", name="Add a picture")
        expect(add).to_be_visible(timeout=60_000)
        before = len(site.hits)
        file: FilePayload = {
            "name": "house.png",
            "mimeType": "image/png",
            "buffer": PICTURES["wide"],
        }
        frame.locator(".tray-buttons input").first.set_input_files(file)
        field = frame.get_by_role("textbox", name="Message", exact=True)
        field.fill("What is this?")
        frame.get_by_role("button", name="Send").click()
        retry = frame.locator(".turn.assistant").get_by_role("button", name="Retry")
        expect(retry).to_be_visible(timeout=60_000)
        expect(frame.locator(".turn.assistant .failure")).to_have_count(0)
        expect(frame.locator(".turn.user").get_by_role("img")).to_have_count(1)
        assert site.fetched(before) == []
