"""Versions and signatures in the released page, whole, over a tiny model.

Two packs of one model differ in one tensor; what the browser asks of the server
is counted, and what computes is asked for its version.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, expect

from slmweb.core.model import Model
from slmweb.pack.manifest import Manifest
from slmweb.pack.pack import pack
from slmweb.pack.sign import PublicKey, generate_key, public_key_file, read_public_key
from slmweb.server.app import Folders, create_app
from tests.py.models import CHATML, tiny, with_template
from tests.web.conftest import ROOT
from tests.web.serving import Fault, Site, serve
from tests.web.test_page import CHUNK, Chat

NAME = "tiny"


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two GGUF files that differ in the bytes of one tensor."""
    folder = tmp_path_factory.mktemp("gguf")
    first = with_template(tiny("qwen2", folder), folder / "first.gguf", CHATML)
    with Model.open(first, weights=False) as model:
        (changed,) = [t for t in model.info["tensors"] if t["name"] == "blk.1.ffn_down.weight"]
    data = bytearray(first.read_bytes())
    data[changed["offset"] : changed["offset"] + 64] = bytes(64)
    (folder / "second.gguf").write_bytes(data)
    return {"2026-10": first, "2026-12": folder / "second.gguf"}


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(ROOT / "dist/web", ROOT / "dist/wasm", tmp_path / "models")


def publish(
    folders: Folders, releases: dict[str, Path], version: str, key: Path | None = None
) -> Manifest:
    return pack(
        [releases[version]],
        folders.models / NAME,
        name=NAME,
        title="Tiny",
        version=version,
        chunk_size=30_000,
        key=key,
    )


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context() as context:
        yield context


@pytest.fixture
def site(folders: Folders) -> Iterator[Site]:
    with serve(create_app(folders)) as running:
        yield running


def open_chat(context: BrowserContext, site: Site) -> Chat:
    chat = Chat.open(context.new_page(), site)
    chat.ready("Tiny")
    return chat


def strip(chat: Chat) -> Locator:
    return chat.frame.get_by_role("complementary", name="Update")


def card(chat: Chat) -> Locator:
    chat.button("About Tiny").click()
    return chat.frame.get_by_role("dialog", name="About")


def runs(chat: Chat, version: str) -> None:
    facts = card(chat)
    expect(facts.locator("dt:text-is('Version') + dd")).to_have_text(version)
    facts.get_by_role("button", name="Close").click()


def test_an_update_is_offered_taken_and_gone_back_from(
    context: BrowserContext, site: Site, folders: Folders, releases: dict[str, Path]
) -> None:
    old = publish(folders, releases, "2026-10")
    chat = open_chat(context, site)
    expect(strip(chat)).to_be_hidden()
    new = publish(folders, releases, "2026-12")
    changed = {c.sha256: c.size for c in new.files[0].chunks if c not in old.files[0].chunks}
    assert len(changed) == 1 < len(new.files[0].chunks)

    site.hits.clear()
    chat = Chat.open(chat.page, site)
    chat.ready("Tiny")
    expect(strip(chat)).to_contain_text("A new version of Tiny is there (2026-12, ")
    runs(chat, "2026-10")
    assert site.paths(CHUNK) == []
    chat.button("Update").click()
    expect(strip(chat)).to_be_hidden()
    chat.ready("Tiny")
    assert [hit.path.rpartition("/")[2] for hit in site.paths(CHUNK)] == list(changed)
    runs(chat, "2026-12")
    chat.ask("Hello")

    # Without the server: the new version opens.
    chat.page.route("**/models/**", lambda route: route.abort())
    chat = Chat.open(chat.page, site)
    chat.ready("Tiny")
    runs(chat, "2026-12")
    chat.page.unroute_all()

    card(chat).get_by_role("button", name="Go back to 2026-10").click()
    chat.ready("Tiny")
    runs(chat, "2026-10")
    chat = Chat.open(chat.page, site)
    chat.ready("Tiny")
    runs(chat, "2026-10")
    expect(strip(chat)).to_be_hidden()
    expect(card(chat)).to_contain_text("Version 2026-12already on this device")
    assert len(site.paths(CHUNK)) == 1


def test_a_tab_runs_on_while_another_one_updates(
    context: BrowserContext, site: Site, folders: Folders, releases: dict[str, Path]
) -> None:
    publish(folders, releases, "2026-10")
    first = open_chat(context, site)
    publish(folders, releases, "2026-12")
    second = open_chat(context, site)
    second.button("Update").click()
    expect(strip(second)).to_be_hidden()
    second.ready("Tiny")
    runs(second, "2026-12")
    first.ask("Hello")
    # Its engine starts anew with other settings, and stays with its version.
    first.button("Settings").click()
    settings = first.frame.get_by_role("dialog", name="Settings")
    settings.get_by_label("Threads").select_option("1")
    settings.get_by_role("button", name="Reload with these").click()
    first.ready("Tiny")
    runs(first, "2026-10")
    expect(strip(first)).to_contain_text("already on this device")
    # A tiny model's nonsense may have filled the context.
    first.button("New chat").click()
    first.ask("Hello")


def come_back(chat: Chat) -> None:
    """As a tab that is shown again. The seal has taken dispatchEvent from the frame's own world."""
    session = chat.page.context.new_cdp_session(chat.frame)
    tree = session.send("Page.getFrameTree")
    world = session.send("Page.createIsolatedWorld", {"frameId": tree["frameTree"]["frame"]["id"]})
    expression = "document.dispatchEvent(new Event('visibilitychange'))"
    where = {"expression": expression, "contextId": world["executionContextId"]}
    assert session.send("Runtime.evaluate", where)["result"]["value"] is True


def test_a_page_left_open_learns_of_a_new_version(
    context: BrowserContext, site: Site, folders: Folders, releases: dict[str, Path]
) -> None:
    publish(folders, releases, "2026-10")
    chat = open_chat(context, site)
    publish(folders, releases, "2026-12")
    chat.frame.evaluate("performance.now = () => 3600_000")
    come_back(chat)
    expect(strip(chat)).to_contain_text("A new version of Tiny is there (2026-12, ")
    runs(chat, "2026-10")


def test_an_interrupted_update_leaves_the_old_version(
    context: BrowserContext, site: Site, folders: Folders, releases: dict[str, Path]
) -> None:
    old = publish(folders, releases, "2026-10")
    chat = open_chat(context, site)
    new = publish(folders, releases, "2026-12")
    site.faults.append(Fault(CHUNK, hold_after=10_000))
    chat = Chat.open(chat.page, site)
    chat.ready("Tiny")
    chat.button("Update").click()
    (missing,) = [chunk.size for chunk in new.files[0].chunks if chunk not in old.files[0].chunks]
    there = (new.size - missing + 10_000) / 1000
    expect(strip(chat)).to_contain_text(f"{there:.0f} kB of {new.size / 1000:.0f} kB")
    chat.page.close()
    again = open_chat(context, site)
    runs(again, "2026-10")
    again.button("Update").click()
    expect(strip(again)).to_be_hidden()
    again.ready("Tiny")
    runs(again, "2026-12")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    generate_key(tmp_path / "release.key")
    return tmp_path / "release.key"


def public(key: Path) -> PublicKey:
    return read_public_key(str(public_key_file(key)))


def test_a_page_with_a_key_opens_what_is_signed_and_refuses_the_rest(
    context: BrowserContext, folders: Folders, releases: dict[str, Path], key: Path
) -> None:
    publish(folders, releases, "2026-10", key)
    with serve(create_app(folders, public(key))) as site:
        chat = open_chat(context, site)
        chat.ask("Hello")
        # A new version that nobody has signed is not taken, and the old one runs on.
        publish(folders, releases, "2026-12")
        chat = Chat.open(chat.page, site)
        chat.ready("Tiny")
        expect(strip(chat)).to_contain_text("could not be verified and is not used")
        expect(strip(chat)).to_contain_text("found no signature")
        runs(chat, "2026-10")
        # Who has nothing yet gets nothing.
        with context.browser.new_context() as other:  # type: ignore[union-attr]
            refused = Chat.open(other.new_page(), site)
            alert = refused.frame.get_by_role("alert")
            expect(alert).to_contain_text("found no signature")
            assert site.paths(CHUNK) != []
            asked = len(site.paths(CHUNK))
            publish(folders, releases, "2026-12", key)
            refused.button("Try again").click()
            refused.ready("Tiny")
            assert len(site.paths(CHUNK)) > asked


def test_without_the_server_a_page_with_a_key_opens_only_what_is_signed(
    context: BrowserContext, folders: Folders, releases: dict[str, Path], key: Path
) -> None:
    publish(folders, releases, "2026-10", key)
    with serve(create_app(folders, public(key))) as site:
        chat = open_chat(context, site)
        chat.page.route("**/models/**", lambda route: route.abort())
        chat = Chat.open(chat.page, site)
        chat.ready("Tiny")
        chat.page.evaluate(
            """async () => {
              const root = await (await navigator.storage.getDirectory())
                .getDirectoryHandle('slmweb-models');
              const folder = await root.getDirectoryHandle('tiny');
              for await (const [name, handle] of folder.entries()) {
                if (!name.endsWith('.version')) continue;
                const text = await (await handle.getFile()).text();
                const writable = await handle.createWritable();
                await writable.write(text.replace('2026-10', '2026-11'));
                await writable.close();
              }
            }"""
        )
        chat = Chat.open(chat.page, site)
        expect(chat.frame.get_by_role("alert")).to_contain_text("changed after it was signed")
