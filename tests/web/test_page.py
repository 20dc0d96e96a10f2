"""The released chat page, whole: shell, seal, storage, engine and SmolLM2.

Here meet the parts that other tests look at one by one; what is tested is what
a person would notice when they do not fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Frame, Locator, Page, expect

from slmweb.pack.manifest import read_manifest
from slmweb.pull.registry import read_registry
from slmweb.server.app import create_app
from tests.web.conftest import ROOT
from tests.web.plain_host import visit
from tests.web.serving import Fault, Site, serve

CHUNK = r"/[0-9a-f]{64}$"
# Loading and answering on a machine that is busy with other tests.
PATIENCE_MS = 60_000
ISOLATION = {"cross-origin-opener-policy", "cross-origin-embedder-policy"}


def chunk_count() -> int:
    manifest = read_manifest(ROOT / "dist/models/smollm2-135m-instruct-q4_1")
    return sum(len(file.chunks) for file in manifest.files)


@dataclass
class Chat:
    """The page and its frame."""

    page: Page
    frame: Frame

    @classmethod
    def open(cls, page: Page, site: Site) -> Chat:
        page.goto(site.url)
        return cls.of(page)

    @classmethod
    def of(cls, page: Page) -> Chat:
        frame = page.locator("iframe#sandbox").element_handle().content_frame()
        assert frame is not None
        return cls(page, frame)

    @property
    def field(self) -> Locator:
        return self.frame.get_by_role("textbox", name="Message")

    @property
    def answers(self) -> Locator:
        return self.frame.locator(".turn.assistant")

    def button(self, name: str) -> Locator:
        return self.frame.get_by_role("button", name=name, exact=True)

    def send(self, text: str) -> None:
        self.field.fill(text)
        self.field.press("Enter")

    def ask(self, text: str) -> str:
        before = self.answers.count()
        self.send(text)
        answer = self.answers.nth(before)
        # A few words are enough; an answer that has ended can be asked for again.
        expect(answer.locator(".prose")).not_to_be_empty(timeout=PATIENCE_MS)
        self.field.press("Escape")
        again = answer.get_by_role("button", name="Retry")
        expect(again).to_be_visible(timeout=PATIENCE_MS)
        return answer.locator(".prose").inner_text()

    def ready(self, name: str = "SmolLM2") -> None:
        expect(self.field).to_have_attribute("placeholder", f"Ask {name}", timeout=PATIENCE_MS)


@pytest.fixture
def site() -> Iterator[Site]:
    with serve(create_app()) as running:
        yield running


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context() as context:
        yield context


@pytest.fixture
def chat(context: BrowserContext, site: Site) -> Chat:
    return Chat.open(context.new_page(), site)


def test_asked_and_answered_and_nothing_leaves(chat: Chat, site: Site) -> None:
    chat.ready()
    assert chat.frame.evaluate("[origin, crossOriginIsolated, typeof RTCPeerConnection]") == [
        "null",
        True,
        "undefined",
    ]
    site.hits.clear()
    assert chat.ask("Why is the sky blue?")
    assert chat.ask("And at night?")
    assert site.fetched() == []


def test_reload_fetches_no_byte_of_the_model(chat: Chat, site: Site) -> None:
    chat.ready()
    assert len(site.paths(CHUNK)) == chunk_count()
    site.hits.clear()
    again = Chat.open(chat.page, site)
    again.ready()
    assert site.paths(CHUNK) == []
    assert again.ask("Hello")


def test_a_stored_model_opens_when_the_list_cannot_be_fetched(chat: Chat, site: Site) -> None:
    chat.ready()
    site.faults += [Fault("/models/", status=503, times=100)]
    again = Chat.open(chat.page, site)
    again.ready()
    assert again.ask("Hello")


def test_a_broken_chunk_is_fetched_again(context: BrowserContext, site: Site) -> None:
    site.faults.append(Fault(CHUNK, flip=True))
    chat = Chat.open(context.new_page(), site)
    chat.ready()
    assert len(site.paths(CHUNK)) == chunk_count() + 1
    assert chat.ask("Hello")


def test_a_file_that_rotted_on_disk_is_repaired(chat: Chat, site: Site) -> None:
    chat.ready()
    # The page that embeds the frame may touch its own storage; the frame could not.
    chat.page.evaluate(
        """async () => {
          const opfs = await navigator.storage.getDirectory();
          const root = await opfs.getDirectoryHandle('slmweb-models');
          for await (const folder of root.values())
            for await (const file of folder.values()) {
              if (file.name.includes('.')) continue;
              const writable = await file.createWritable({keepExistingData: true});
              await writable.write({type: 'write', position: 0, data: new Uint8Array(64)});
              await writable.close();
            }
        }"""
    )
    site.hits.clear()
    again = Chat.open(chat.page, site)
    again.ready()
    assert len(site.paths(CHUNK)) == 1
    assert again.ask("Hello")


def test_stop_ends_a_real_answer(chat: Chat) -> None:
    chat.ready()
    chat.send("Write a very long story about a lighthouse, with many chapters.")
    expect(chat.answers.locator(".prose")).not_to_be_empty(timeout=PATIENCE_MS)
    chat.button("Stop").click()
    expect(chat.answers).to_contain_text("Stopped.")
    assert chat.ask("Hello")


def test_an_answer_cut_by_the_limit_goes_on_from_its_last_word(chat: Chat) -> None:
    chat.ready()
    chat.button("Settings").click()
    settings = chat.frame.get_by_role("dialog", name="Settings")
    settings.get_by_role("spinbutton", name="Temperature").fill("0")
    settings.get_by_role("spinbutton", name="Longest answer").fill("32")
    chat.page.keyboard.press("Tab")
    chat.button("Close").click()
    chat.send("Write a long story about a ship at sea.")
    limit = chat.answers.get_by_text("Stopped after 32 tokens, the limit in Settings.")
    expect(limit).to_be_visible(timeout=PATIENCE_MS)
    prose = chat.answers.locator(".prose")
    before = prose.inner_text().strip()
    assert before

    chat.answers.get_by_role("button", name="Continue").click()
    # The note goes before the first new word comes, and is back after the last one.
    chat.frame.wait_for_function(
        "(n) => document.querySelector('.turn.assistant .prose').innerText.trim().length > n",
        arg=len(before),
        timeout=PATIENCE_MS,
    )
    expect(limit).to_be_visible(timeout=PATIENCE_MS)
    after = prose.inner_text().strip()
    assert after.startswith(before)
    # Words that are a sentence's next ones, neither a new answer nor the first one once more.
    more = after.removeprefix(before)
    assert len(more.split()) > 8
    assert before[:24] not in more
    expect(chat.answers).to_have_count(1)
    expect(chat.answers.locator(".versions")).to_have_count(0)


def test_what_the_registry_calls_a_model_good_for_stands_in_the_card(chat: Chat) -> None:
    good_for = read_registry().models["smollm2"].good_for
    assert good_for
    chat.ready()
    chat.button("About SmolLM2 135M Instruct").click()
    expect(chat.frame.locator("#card .good-for")).to_have_text(good_for)


def test_a_proxy_that_drops_the_isolation_costs_one_reload(
    context: BrowserContext, site: Site
) -> None:
    site.removed_headers |= ISOLATION
    page = context.new_page()
    visit(page, site.url)
    chat = Chat.of(page)
    chat.ready()
    assert chat.frame.evaluate("crossOriginIsolated") is True


def test_without_isolation_the_page_still_chats(browser: Browser, site: Site) -> None:
    site.removed_headers |= ISOLATION
    with browser.new_context(service_workers="block") as context:
        chat = Chat.open(context.new_page(), site)
        chat.ready()
        assert chat.frame.evaluate("crossOriginIsolated") is False
        assert chat.ask("Hello")


def test_without_the_headers_that_seal_it_does_not(browser: Browser, site: Site) -> None:
    site.removed_headers |= {"connection-allowlist"}
    with browser.new_context(service_workers="block") as context:
        chat = Chat.open(context.new_page(), site)
        expect(chat.frame.get_by_role("alert")).to_contain_text(
            "headers that keep this page private"
        )


def test_without_simd_the_page_says_so(context: BrowserContext, site: Site) -> None:
    page = context.new_page()
    page.add_init_script("WebAssembly.validate = () => false")
    chat = Chat.open(page, site)
    alert = chat.frame.get_by_role("alert")
    expect(alert).to_contain_text("WebAssembly SIMD", timeout=PATIENCE_MS)


def test_the_shell_answers_no_stranger(chat: Chat) -> None:
    """The handshake is over; whoever asks again gets no port."""
    chat.ready()
    # Listens after the shell, so what the shell would send is on its way before this echo.
    chat.page.evaluate("addEventListener('message', ({source}) => source.postMessage('echo', '*'))")
    received: list[Any] = chat.frame.evaluate(
        """() => new Promise((resolve) => {
          const received = [];
          addEventListener('message', ({data, ports}) => {
            received.push([data, ports.length]);
            if (received.at(-2)?.[0] === 'echo') resolve(received);
          });
          parent.postMessage({type: 'slmweb'}, '*');
          parent.postMessage({type: 'open', id: 1, model: 'secret', verify: false}, '*');
        })"""
    )
    assert received == [["echo", 0], ["echo", 0]]


def test_the_browser_asks_before_a_conversation_is_lost_and_not_where_there_is_none(
    chat: Chat,
) -> None:
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    chat.page.on("dialog", answer)
    chat.ready()
    chat.page.reload()
    chat = Chat.of(chat.page)
    chat.ready()
    assert asked == []
    chat.ask("Hello")
    chat.page.reload()
    assert asked == ["beforeunload"]


def test_choices_survive_a_reload_and_nothing_that_was_typed_is_kept(chat: Chat) -> None:
    chat.ready()
    chat.button("Switch to dark colours").click()
    chat.button("Settings").click()
    settings = chat.frame.get_by_role("dialog", name="Settings")
    settings.get_by_role("textbox", name="System prompt").fill("a secret thing")
    settings.get_by_role("spinbutton", name="Temperature").fill("0.65")
    settings.get_by_role("combobox", name="Threads").select_option("1")
    settings.get_by_role("combobox", name="Context length").select_option("512")
    settings.get_by_role("button", name="Reload with these").click()
    chat.ready()
    chat.page.reload()
    again = Chat.of(chat.page)
    again.ready()
    expect(again.button("Switch to light colours")).to_be_visible()
    expect(again.frame.get_by_text("/ 512 context")).to_be_visible()
    again.button("Settings").click()
    settings = again.frame.get_by_role("dialog", name="Settings")
    expect(settings.get_by_role("spinbutton", name="Temperature")).to_have_value("0.65")
    expect(settings.get_by_role("combobox", name="Threads")).to_have_value("1")
    expect(settings.get_by_role("textbox", name="System prompt")).to_have_value("")
    kept = again.page.evaluate("Object.values(localStorage).join()")
    assert "secret" not in kept
    # What somebody else has written there is not taken for choices.
    again.page.evaluate(
        "for (const key of Object.keys(localStorage)) localStorage[key] = '{\"theme\":7}'"
    )
    again.page.reload()
    last = Chat.of(again.page)
    last.ready()
    expect(last.button("Switch to dark colours")).to_be_visible()
