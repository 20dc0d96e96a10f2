"""Features on the page that looks inside, whole and sealed, with SmolLM2 and an autoencoder that is
made here: its feature PARIS is a direction of the model's own, that of the token " Paris".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, expect

from slmweb.convert.sae import Base, Place, convert_sae
from slmweb.core import Model, Site
from slmweb.core.look import features, rows_of
from slmweb.generated.abi import TENSOR_TYPES
from slmweb.pack.pack import pack
from slmweb.server.app import Folders, create_app
from slmweb.server.site import make_site
from tests.goldens.real_models import find
from tests.web.conftest import ROOT
from tests.web.serving import Site as Server
from tests.web.serving import serve
from tests.web.test_page_inspect import AXE, PATIENCE_MS, Inside

TEXT = "The capital of France is Paris, and"
TOKENS = ["The", "·capital", "·of", "·France", "·is", "·Paris", ",", "·and"]
LAYER, N_FEATURES = 20, 64
PARIS, OTHER = 5, 9


@pytest.fixture(scope="module")
def sae_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Active features are few: PARIS at its token alone, those at random where they are strong."""
    folder = tmp_path_factory.mktemp("sae")
    path = find("smollm2")
    assert path is not None
    with Model.open(path) as model, model.session() as session:
        ids = model.tokenizer.encode(TEXT, special=False)
        (rows,) = rows_of(session, ids, [(Site.RESIDUAL, LAYER)])
        n_embd = int(model.info["n_embd"] or 0)
        base = Base(str(model.info["architecture"]), None, 30, dict.fromkeys(Site, n_embd))
    rng = np.random.default_rng(7)
    w_enc = rng.standard_normal((n_embd, N_FEATURES)).astype(np.float32) / 24
    paris = rows[5] - rows[1:].mean(axis=0)
    first = rows[0] / np.linalg.norm(rows[0])
    paris -= (paris @ first) * first  # which is far greater than all others
    w_enc[:, PARIS] = paris / np.linalg.norm(paris)
    pre = rows[1:] @ w_enc
    np.savez(
        folder / "params.npz",
        W_enc=w_enc,
        b_enc=np.zeros(N_FEATURES, np.float32),
        W_dec=w_enc.T / np.linalg.norm(w_enc, axis=0)[:, None],
        b_dec=np.zeros(n_embd, np.float32),
        threshold=0.7 * np.maximum(pre.max(axis=0), 1e-3),
    )
    labels = folder / "labels.json"
    labels.write_text(f'{{"{PARIS}": "the city of Paris", "{OTHER}": "something else"}}')
    for site, name in ((Site.RESIDUAL, "Cities"), (Site.HEADS, "Heads")):
        convert_sae(
            folder / "params.npz",
            folder / f"{name.lower()}.gguf",
            base,
            type=TENSOR_TYPES["F32"],
            place=Place(site, LAYER),
            labels=[labels] if site == Site.RESIDUAL else [],
            name=name,
            license="mit",
        )
    return folder / "cities.gguf"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, sae_file: Path) -> Folders:
    models = tmp_path_factory.mktemp("features")
    path = find("smollm2")
    assert path is not None
    pack(
        [path],
        models / "smollm2",
        name="smollm2",
        title="SmolLM2",
        saes=[(sae_file, None), (sae_file.with_name("heads.gguf"), None)],
        with_known_answer=False,
    )
    return Folders(ROOT / "dist/web", ROOT / "dist/wasm", models)


@pytest.fixture(scope="module")
def server(folders: Folders) -> Iterator[Server]:
    with serve(create_app(folders, site=make_site(page="inspect"))) as running:
        yield running


@pytest.fixture(scope="module")
def opened(browser: Browser, server: Server) -> Iterator[Inside]:
    with browser.new_context() as context:
        yield Inside.open(context.new_page(), server)


@pytest.fixture
def inside(opened: Inside) -> Inside:
    """The page with TEXT taken apart, and nothing chosen."""
    clear = opened.frame.get_by_role("button", name="Clear")
    if clear.is_visible():
        clear.click()
    return looked(opened)


def looked(inside: Inside, text: str = TEXT) -> Inside:
    inside.frame.locator("#tab-features").click()
    inside.frame.locator("#inspect-text").fill(text)
    inside.press.click()
    expect(inside.status).to_have_text(re.compile(r"8$"), timeout=PATIENCE_MS)
    expect(inside.frame.locator(".token")).to_have_count(len(TOKENS))
    return inside


def token(inside: Inside, place: int) -> Locator:
    return inside.frame.locator(".token").nth(place)


def test_a_token_lists_its_features_and_a_feature_tints_the_tokens(
    inside: Inside, sae_file: Path, server: Server
) -> None:
    assert inside.frame.locator(".token-text").all_inner_texts() == TOKENS
    facts = inside.frame.locator(".sae-choice .hint")
    expect(facts).to_have_text("Layer 20, residual; features: 64, with a label: 2 · mit")
    server.hits.clear()
    token(inside, 5).click()
    detail = inside.frame.locator(".feature-detail")
    expect(detail.get_by_role("heading")).to_have_text("Strongest features at “·Paris”")
    path = find("smollm2")
    assert path is not None
    with Model.open(path) as model, model.load_sae(sae_file) as sae, model.session() as session:
        (rows,) = rows_of(session, model.tokenizer.encode(TEXT, special=False), [sae.place])
        expected = features(session, sae, rows, 12)[5]
    assert detail.locator(".feature-number").all_inner_texts() == [str(f) for f, _ in expected]
    shown = [float(text) for text in detail.locator(".feature-value").all_inner_texts()]
    np.testing.assert_allclose(shown, [a for _, a in expected], rtol=0.02)
    paris = detail.get_by_role("button", name="the city of Paris")
    paris.click()
    expect(paris).to_have_attribute("aria-pressed", "true")
    chosen = inside.frame.locator(".feature-chosen")
    expect(chosen).to_contain_text(f"Feature {PARIS}: the city of Paris")
    expect(chosen).to_contain_text("Active at 1 of 8 tokens")
    value = dict(expected)[PARIS]
    # Its strength is told without a colour, too.
    shown_at = token(inside, 5).locator(".token-value").inner_text()
    assert float(shown_at) == pytest.approx(value, rel=0.02)
    assert inside.frame.get_by_role("option", name=f"·Paris {shown_at}").count() == 1
    shades = [bool(re.search("shade-", token(inside, i).get_attribute("class") or ""))
              for i in range(len(TOKENS))]  # fmt: skip
    assert shades == [i == 5 for i in range(len(TOKENS))]
    chosen.get_by_role("button", name="Clear").click()
    expect(token(inside, 5).locator(".token-value")).to_have_text("")
    assert server.fetched() == []
    assert [line for line in inside.console if "No available adapters" not in line] == []


def test_tokens_are_walked_by_keys(inside: Inside) -> None:
    token(inside, 0).focus()
    keys = inside.page.keyboard
    heading = inside.frame.locator(".feature-detail").get_by_role("heading")
    keys.press("ArrowRight")
    expect(heading).to_have_text("Strongest features at “·capital”")
    keys.press("End")
    keys.press("ArrowRight")  # there is none
    expect(heading).to_have_text("Strongest features at “·and”")
    expect(token(inside, 7)).to_be_focused()
    keys.press("Home")
    expect(heading).to_have_text("Strongest features at “The”")
    expect(inside.frame.locator(".feature-detail .hint")).to_contain_text("first token")
    assert inside.frame.locator(".token[tabindex='0']").count() == 1
    inside.frame.locator("#tab-features").focus()
    keys.press("ArrowLeft")
    expect(inside.frame.locator("#tab-layers")).to_have_attribute("aria-selected", "true")
    expect(inside.frame.locator(".features-both")).to_be_hidden()


def test_features_are_found_by_their_labels_and_numbers(inside: Inside) -> None:
    search = inside.frame.locator(".feature-search")
    field = search.get_by_role("searchbox")
    field.fill("city")
    expect(search.get_by_role("status")).to_have_text("Found: 1")
    expect(search.get_by_role("button")).to_have_text(f"{PARIS}the city of Paris")
    field.fill("11")
    expect(search.get_by_role("button")).to_have_text("11no label")
    search.get_by_role("button").click()
    expect(search.get_by_role("button")).to_have_attribute("aria-pressed", "true")
    expect(inside.frame.locator(".feature-chosen")).to_contain_text("Feature 11")
    field.fill("nothing of the kind")
    expect(search.get_by_role("status")).to_have_text("Found: 0")


def test_the_text_goes_on_with_a_feature_and_without(inside: Inside) -> None:
    token(inside, 5).click()
    inside.frame.get_by_role("button", name="the city of Paris").click()
    steering = inside.frame.locator(".steering")
    sides = steering.locator(".steer-words")

    def continued(strength: str) -> list[str]:
        steering.get_by_role("spinbutton").fill(strength)
        steering.get_by_role("button").click()
        expect(steering.get_by_role("button")).to_have_text("Stop")
        expect(steering.get_by_role("button")).to_have_text(
            "Continue with and without", timeout=PATIENCE_MS
        )
        return sides.all_inner_texts()

    plain, steered = continued("0")
    assert plain == steered
    assert plain.strip()
    again, steered = continued("-400")
    assert again == plain
    assert steered != plain
    expect(steering.locator("h3").last).to_have_text(f"With feature {PARIS}, -400")


def test_another_of_the_pack_reads_the_text_at_once(inside: Inside) -> None:
    choice = inside.frame.get_by_label("Autoencoder")
    facts = inside.frame.locator(".sae-choice .hint")
    search = inside.frame.get_by_role("searchbox")
    token(inside, 5).click()
    choice.select_option("Heads")
    expect(facts).to_contain_text("attention heads; features: 64, with a label: 0")
    expect(inside.frame.locator(".token")).to_have_count(len(TOKENS), timeout=PATIENCE_MS)
    expect(inside.frame.locator(".feature-detail")).to_contain_text("Choose a token")
    expect(search).to_have_attribute("placeholder", "Its number, 0 to 63")
    search.fill("3")
    inside.frame.locator(".feature-search").get_by_role("button").click()
    steering = inside.frame.locator(".steering")
    expect(steering).to_contain_text("has no direction in the residual")
    expect(steering.get_by_role("button")).to_have_count(0)
    choice.select_option("Cities")
    expect(facts).to_contain_text("with a label: 2")
    expect(inside.frame.locator(".token")).to_have_count(len(TOKENS), timeout=PATIENCE_MS)


def test_it_is_accessible_in_both_themes_and_on_a_phone(inside: Inside) -> None:
    token(inside, 5).click()
    inside.frame.get_by_role("button", name="the city of Paris").click()
    expect(inside.frame.locator(".feature-chosen")).to_contain_text("Active at")
    inside.frame.get_by_role("searchbox").fill("city")
    for scheme in ("light", "dark"):
        inside.page.emulate_media(color_scheme=scheme)
        inside.frame.evaluate(AXE)
        found = inside.frame.evaluate("axe.run().then(({violations}) => violations)")
        assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found] == []
    inside.page.set_viewport_size({"width": 360, "height": 700})
    width, room = inside.frame.locator(".inside").evaluate("(e) => [e.scrollWidth, e.clientWidth]")
    assert width <= room


def test_a_file_of_this_device_opens_and_another_is_refused(
    inside: Inside, sae_file: Path, tmp_path: Path
) -> None:
    field = inside.frame.locator(".sae-choice input[type=file]")
    wrong = tmp_path / "holiday.gguf"
    wrong.write_bytes(b"no GGUF at all")
    field.set_input_files(wrong)
    expect(inside.frame.get_by_role("alert")).to_contain_text(
        "holiday.gguf is no autoencoder of this model."
    )
    choice = inside.frame.get_by_label("Autoencoder")
    assert choice.locator("option").all_inner_texts() == ["Cities", "Heads"]
    field.set_input_files(sae_file)
    expect(choice.locator("option")).to_have_count(3)
    assert choice.input_value() == "cities 2"
    expect(inside.frame.get_by_role("alert")).to_have_count(0)
    # The text is looked at again, with the new one.
    expect(inside.frame.locator(".token").first).to_be_visible(timeout=PATIENCE_MS)
    dropped = sae_file.with_name("dropped.gguf")
    dropped.write_bytes(sae_file.read_bytes())
    inside.frame.locator("#tab-layers").click()
    # The sealed page makes no events; the browser's own do.
    devtools = inside.page.context.new_cdp_session(inside.page)
    data = {"items": [], "files": [str(dropped)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": data})
    expect(choice.locator("option")).to_have_count(4)
    assert choice.input_value() == "dropped"


def test_from_right_to_left_the_text_keeps_its_own_direction(
    browser: Browser, folders: Folders
) -> None:
    with (
        serve(create_app(folders, site=make_site(page="inspect", lang="ar"))) as site,
        browser.new_context() as context,
    ):
        page = context.new_page()
        page.goto(site.url)
        frame = page.locator("iframe#sandbox").element_handle().content_frame()
        assert frame is not None
        expect(frame.locator(".inspect-status")).to_have_text("جاهز", timeout=PATIENCE_MS)
        inside = looked(Inside(page, frame, []))
        token(inside, 0).focus()
        page.keyboard.press("ArrowRight")
        expect(token(inside, 1)).to_be_focused()
        heading = frame.locator(".feature-detail").get_by_role("heading")
        expect(heading).to_contain_text("·capital")
