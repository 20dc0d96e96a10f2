"""The released page on bad lines: stalled, cut, slow, and without its server.

A tiny model in many chunks behind slmweb's own server; the browser's network is
taken away and given back, as in a tunnel.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from slmweb.pack.pack import pack
from slmweb.server.app import Folders, create_app
from slmweb.server.identity import words
from slmweb.server.site import Site as Identity
from tests.py.models import CHATML, tiny, with_template
from tests.web.conftest import ROOT
from tests.web.serving import Fault, Site, serve
from tests.web.test_page import CHUNK, PATIENCE_MS, Chat

# Where the pictures go, for whoever wants to look at them.
PICTURES = os.environ.get("SLMWEB_PICTURES")
SLOW_LINE = 50_000  # bytes a second
HEADLINE = "A small model, on your device."
CELLULAR = (
    "Object.defineProperty(Navigator.prototype, 'connection', {get: () => ({type: 'cellular'})});"
)


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gguf")
    return with_template(tiny("qwen2", folder), folder / "tiny.gguf", CHATML)


@pytest.fixture
def site(gguf: Path, tmp_path: Path) -> Iterator[Site]:
    pack([gguf], tmp_path / "models/tiny", name="tiny", title="Tiny", chunk_size=30_000)
    folders = Folders(ROOT / "dist/web", ROOT / "dist/wasm", tmp_path / "models")
    with serve(create_app(folders)) as running:
        yield running


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context() as context:
        yield context


def picture(page: Page, name: str) -> None:
    if PICTURES:
        page.screenshot(path=f"{PICTURES}/{name}.png")


def hold(site: Site) -> None:
    """Of each further chunk a few bytes come and then nothing, once one has come whole."""
    site.faults += [Fault(CHUNK, times=1), Fault(CHUNK, times=1000, hold_after=10_000)]


def half_a_model(context: BrowserContext, site: Site) -> Chat:
    """The page with its download stalled, and kept for use without a server."""
    hold(site)
    chat = Chat.open(context.new_page(), site)
    expect(chat.frame.get_by_text("Connection lost, trying again")).to_be_visible()
    chat.page.evaluate("navigator.serviceWorker.ready.then(() => 0)")
    return chat


def test_a_stalled_download_says_so_and_goes_on_when_the_line_is_back(
    context: BrowserContext, site: Site
) -> None:
    chat = half_a_model(context, site)
    numbers = chat.frame.locator(".opening-numbers")
    expect(numbers).to_contain_text(re.compile(r"^\d+ kB of \d+ kB"))
    expect(numbers).not_to_contain_text("/s")
    expect(numbers).not_to_contain_text("left")
    picture(chat.page, "lost-line")
    context.set_offline(True)
    site.faults.clear()
    context.set_offline(False)
    chat.ready("Tiny")
    assert chat.ask("Hello")


def test_half_a_model_without_its_server_is_shown_and_goes_on_by_itself(
    context: BrowserContext, site: Site
) -> None:
    chat = half_a_model(context, site)
    context.set_offline(True)
    chat.page.reload()
    chat = Chat.of(chat.page)
    numbers = chat.frame.locator(".opening-numbers")
    expect(numbers).to_contain_text(re.compile(r"^\d+ kB of \d+ kB"), timeout=PATIENCE_MS)
    expect(chat.frame.get_by_text("Connection lost, trying again")).to_be_visible()
    expect(chat.button("Cancel")).to_be_visible()
    picture(chat.page, "half-a-model-without-a-server")
    site.faults.clear()
    before = {hit.path for hit in site.paths(CHUNK)}
    site.hits.clear()
    context.set_offline(False)
    chat.ready("Tiny")
    # What had come whole was not fetched again.
    assert before - {hit.path for hit in site.paths(CHUNK)}
    assert chat.ask("Hello")


@pytest.mark.parametrize("how", ["button", "online", "itself"])
def test_a_page_that_could_not_start_starts_when_the_site_is_back(
    context: BrowserContext, site: Site, how: str
) -> None:
    times = 1 if how == "itself" else 99
    site.faults.append(Fault(r"/models/index\.json$", status=503, times=times))
    chat = Chat.open(context.new_page(), site)
    alert = chat.frame.get_by_role("alert")
    expect(alert).to_contain_text("The site cannot be reached.")
    expect(alert.get_by_text("HTTP 503")).to_be_hidden()
    picture(chat.page, "no-start")
    if how == "button":
        site.faults.clear()
        chat.button("Try again").click()
    elif how == "online":
        context.set_offline(True)
        site.faults.clear()
        context.set_offline(False)
    chat.ready("Tiny")
    expect(alert).to_have_count(0)


def test_a_cancelled_download_stays_cancelled_after_a_reload(
    context: BrowserContext, site: Site
) -> None:
    hold(site)
    chat = Chat.open(context.new_page(), site)
    expect(chat.frame.get_by_text(re.compile(r"\d+ kB of \d+ kB"))).to_be_visible()
    chat.button("Cancel").click()
    expect(chat.button("Continue")).to_be_visible()
    site.faults.clear()
    site.hits.clear()
    again = Chat.open(chat.page, site)
    expect(again.button("Continue")).to_be_visible(timeout=PATIENCE_MS)
    again.send("Hello")
    expect(again.answers).to_contain_text("the model is not open")
    assert site.paths(CHUNK) == []
    picture(again.page, "sent-while-cancelled")
    again.button("Continue").click()
    expect(again.answers.locator(".prose")).not_to_be_empty(timeout=PATIENCE_MS)


def test_a_metered_line_is_asked_about_before_the_first_byte(
    context: BrowserContext, site: Site
) -> None:
    page = context.new_page()
    page.add_init_script(CELLULAR)
    chat = Chat.open(page, site)
    expect(chat.frame.get_by_text("you seem to be on a mobile network")).to_be_visible(
        timeout=PATIENCE_MS
    )
    picture(page, "asked-on-a-metered-line")
    assert site.paths(CHUNK) == []
    chat.frame.get_by_role("button", name=re.compile("^Download")).click()
    chat.ready("Tiny")


# What the browser itself says of the page on its way: when the headline was painted, when the
# skeleton was to be seen (not covered, not transparent), and when the frame came.
WATCH = """if (top === self) {
  globalThis.seen = {bars: []};
  new PerformanceObserver((list) => {
    for (const {element, renderTime: time} of list.getEntries())
      if (element?.tagName === 'H1') seen.headline ??= {text: element.textContent, time};
  }).observe({type: 'largest-contentful-paint', buffered: true});
  const visible = new IntersectionObserver((entries) => {
    for (const {target, time, isVisible} of entries) {
      if (!isVisible) continue;
      visible.unobserve(target);
      seen.bars.push(time);
      const {x, y, height} = document.querySelector('#skeleton h1').getBoundingClientRect();
      seen.place ??= {x, y, height, paper: getComputedStyle(document.body).backgroundColor};
    }
  }, {trackVisibility: true, delay: 100});
  const watched = new Set();
  new MutationObserver(() => {
    for (const bar of document.querySelectorAll('#skeleton span'))
      if (!watched.has(bar)) visible.observe(bar), watched.add(bar);
    if (document.querySelector('iframe')) seen.frame ??= performance.now();
  }).observe(document, {childList: true, subtree: true});
}"""

UNTIL = """(fact) => new Promise((resolve) => {
  const look = () => (seen[fact] === undefined ? requestAnimationFrame(look) : resolve(seen));
  look();
})"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 800, 360])
def test_the_headline_is_there_before_the_frame(
    browser: Browser, site: Site, width: int, scheme: Any
) -> None:
    """On a slow line the frame is long in coming; it then takes its place without a jump."""
    viewport: Any = {"width": width, "height": 800}
    with browser.new_context(viewport=viewport, color_scheme=scheme) as context:
        site.rate = SLOW_LINE
        page = context.new_page()
        page.add_init_script(WATCH)
        page.goto(site.url, wait_until="commit")
        page.evaluate(UNTIL, "headline")
        picture(page, f"skeleton-{width}-{scheme}")
        seen = page.evaluate(UNTIL, "frame")
        assert seen["headline"]["text"] == HEADLINE
        # At least as long before as anybody needs to notice.
        assert seen["headline"]["time"] + 300 < seen["frame"]
        assert len(seen["bars"]) == 2
        assert max(seen["bars"]) + 300 < seen["frame"]
        site.rate = None
        chat = Chat.of(page)
        chat.ready("Tiny")
        # The frame has it now, in the same place and colours, and the shell's is gone.
        expect(page.locator("#skeleton")).to_have_count(0)
        late = chat.frame.get_by_role("heading", name=HEADLINE).bounding_box()
        early = seen["place"]
        assert late is not None
        assert (early["x"], early["height"]) == (late["x"], late["height"])
        assert abs(early["y"] - late["y"]) <= 1
        paper = chat.frame.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == early["paper"]


@pytest.mark.parametrize("what", [r"/models/index\.json$", r"/manifest\.json$", CHUNK])
def test_a_login_page_in_place_of_data_is_waited_out(
    context: BrowserContext, site: Site, what: str
) -> None:
    """With status 200, on a first visit: it is no list, no manifest and no part of a model."""
    site.faults.append(Fault(what, times=2, page=True))
    chat = Chat.open(context.new_page(), site)
    chat.ready("Tiny")
    assert len(site.paths(what)) >= 3
    assert chat.ask("Hello")


@pytest.mark.parametrize("what", [r"/models/index\.json$", r"/manifest\.json$", CHUNK, r"/sw\.js$"])
def test_a_login_page_in_place_of_data_takes_nothing_away(
    context: BrowserContext, site: Site, what: str
) -> None:
    chat = Chat.open(context.new_page(), site)
    chat.ready("Tiny")
    chat.page.evaluate("navigator.serviceWorker.ready.then(() => 0)")
    site.faults.append(Fault(what, times=1000, page=True))
    for _ in range(2):
        again = Chat.open(chat.page, site)
        again.ready("Tiny")
        assert again.ask("Hello")
    # It is asked for again when the site is itself again.
    site.faults.clear()
    chat.page.reload()
    Chat.of(chat.page).ready("Tiny")


def test_what_browsers_tell_of_a_line(context: BrowserContext, site: Site) -> None:
    """Without a `type`, as on a computer, only saveData speaks of cost; the rest is speed."""
    page = context.new_page()
    page.goto(site.url)
    told = page.evaluate("(({type, effectiveType}) => [type, effectiveType])(navigator.connection)")
    assert told[0] is None
    assert told[1] in ("slow-2g", "2g", "3g", "4g")


@pytest.mark.parametrize(
    ("lang", "visitor", "spoken"),
    [
        (None, "de-AT", "de"),
        (None, "hi-IN", "hi"),
        (None, "ar-EG", "ar"),
        (None, "fr-FR", "en"),
        ("hi", "de-AT", "hi"),
    ],
)
def test_the_first_words_are_in_the_language_of_the_chat(
    browser: Browser, tmp_path: Path, lang: str | None, visitor: str, spoken: str
) -> None:
    """Before the frame has arrived: the site's language, else the visitor's."""
    folders = Folders(ROOT / "dist/web", ROOT / "dist/wasm", tmp_path)
    app = create_app(folders, site=Identity(lang=lang))
    with serve(app) as site, browser.new_context(locale=visitor) as context:
        site.faults.append(Fault("^/$", hold_after=20_000))
        page = context.new_page()
        page.goto(site.url, wait_until="commit")
        headline = page.locator("#skeleton h1:visible")
        expect(headline).to_have_text([words(spoken)["headline"]])
        assert page.locator("iframe").count() == 0
        root = page.locator("html")
        expect(root).to_have_attribute("lang", spoken)
        expect(root).to_have_attribute("dir", "rtl" if spoken == "ar" else "ltr")
        picture(page, f"first-words-{lang}-{visitor}")


def test_the_frame_is_called_what_it_is_in_the_language_of_the_page(
    browser: Browser, site: Site
) -> None:
    with browser.new_context(locale="de-AT") as context:
        page = context.new_page()
        page.goto(site.url)
        expect(page.locator("iframe#sandbox")).to_have_attribute("title", words("de")["chat"])


def test_without_scripts_every_language_is_said_or_the_sites(
    browser: Browser, site: Site, tmp_path: Path
) -> None:
    with browser.new_context(java_script_enabled=False, locale="de-AT") as context:
        page = context.new_page()
        page.goto(site.url)
        titles = [words(language)["noscript_title"] for language in ("en", "de", "hi", "ar")]
        expect(page.locator("h1:visible")).to_have_text(titles)
        picture(page, "no-scripts")
        folders = Folders(ROOT / "dist/web", ROOT / "dist/wasm", tmp_path / "none")
        with serve(create_app(folders, site=Identity(lang="hi"))) as hindi:
            page.goto(hindi.url)
            expect(page.locator("h1:visible")).to_have_text([words("hi")["noscript_title"]])


def test_what_was_removed_is_not_fetched_again_unasked(context: BrowserContext, site: Site) -> None:
    chat = Chat.open(context.new_page(), site)
    chat.ready("Tiny")
    chat.button("About Tiny").click()
    about = chat.frame.get_by_role("dialog", name="About")
    about.get_by_role("button", name="Remove").click()
    about.get_by_role("button", name="Remove and free").click()
    expect(about).to_contain_text("not on this device")
    site.hits.clear()
    again = Chat.open(chat.page, site)
    download = again.frame.get_by_role("button", name="Download")
    expect(download).to_be_visible()
    assert site.paths(CHUNK) == []
    download.click()
    again.ready("Tiny")
