"""A bundled site in a real browser: without headers, without a network, and across versions.

The host is Python's own file server; the model is tiny, since what it says does not matter here.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from script import DIST
from slmweb.bundle.bundle import bundle
from slmweb.pack.pack import pack
from slmweb.server.app import Folders, create_app
from slmweb.server.site import Site
from tests.py.models import CHATML, tiny, with_template
from tests.web.plain_host import plain_host, visit
from tests.web.serving import Fault, serve
from tests.web.test_page import Chat

PATH = "/~user/site/"
CACHES = "caches.keys()"
# What becomes of the next version that the browser finds: "installed", or "redundant".
NEXT = """async () => {
  const registration = await navigator.serviceWorker.getRegistration();
  const worker = registration.waiting ?? registration.installing ?? await new Promise((resolve) => {
    registration.onupdatefound = () => resolve(registration.installing);
    registration.update();
  });
  while (worker.state === 'installing')
    await new Promise((resolve) => { worker.onstatechange = resolve; });
  return worker.state;
}"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gguf")
    return with_template(tiny("qwen2", folder), folder / "tiny-chat.gguf", CHATML)


@pytest.fixture(scope="module")
def other_web(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The web part as another release would have it: every script the page loads is another."""
    folder = tmp_path_factory.mktemp("other") / "web"
    shutil.copytree(DIST / "web", folder)
    names = json.loads((folder / "assets.json").read_text())
    for name in ("shell.js", "worker.js", "store.js"):
        content = (folder / names[name]).read_bytes() + b"\n// another release\n"
        stem, _, suffix = name.partition(".")
        names[name] = f"{stem}-{hashlib.sha256(content).hexdigest()[:16]}.{suffix}"
        (folder / names[name]).write_bytes(content)
    (folder / "assets.json").write_text(json.dumps(names))
    return folder


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context() as context:
        yield context


@pytest.fixture(scope="module")
def releases(
    tmp_path_factory: pytest.TempPathFactory, model: Path, other_web: Path
) -> tuple[Path, Path]:
    """Two releases of a site that lies below a path, as on a university's host."""
    one, two = (tmp_path_factory.mktemp("releases") / name for name in ("one", "two"))
    bundle([model], one, site=Site(title="One"), base_path=PATH)
    bundle([model], two, site=Site(title="Two"), base_path=PATH, web=other_web)
    return one, two


@pytest.fixture
def site(tmp_path: Path, releases: tuple[Path, Path]) -> Path:
    """The first release on its host."""
    site = tmp_path / "host" / PATH.strip("/")
    site.parent.mkdir(parents=True)
    upload(releases[0], site)
    return site


def upload(release: Path, site: Path, broken: str | None = None) -> None:
    """Puts a release in the site's place at once: the browser may look for a new version any time.

    The host answers by dates. That of sw.js is this upload's, that of a broken file is now; all
    others never change, as where an upload keeps the dates that an archive has.
    """
    new = Path(shutil.copytree(release, tempfile.mkdtemp(dir=site.parents[1]), dirs_exist_ok=True))
    for path in new.rglob("*"):
        os.utime(path, (0, 0))
    if broken:
        with (new / broken).open("ab") as file:
            file.write(b"\0")
    os.utime(new / "sw.js", (0, 60 * len(list(new.parent.iterdir()))))
    link = new.with_suffix(".link")
    link.symlink_to(new)
    link.replace(site)


@pytest.fixture
def url(site: Path, tmp_path: Path) -> Iterator[str]:
    with plain_host(tmp_path / "host") as host:
        yield host + PATH


def scripts(page: Page, release: Path) -> bool:
    """Whether all that the page has loaded is of this release."""
    urls = page.evaluate("performance.getEntriesByType('resource').map(({name}) => name)")
    paths = [urlsplit(u).path.removeprefix(PATH) for u in urls]
    assets = [path for path in paths if path.startswith("assets/")]
    assert assets
    return all((release / path).is_file() for path in assets)


def test_without_headers_and_then_without_a_network(
    context: BrowserContext, site: Path, releases: tuple[Path, Path], tmp_path: Path
) -> None:
    page = context.new_page()
    with plain_host(tmp_path / "host") as host:
        visit(page, host + PATH)
        chat = Chat.of(page)
        chat.ready("tiny")
        assert chat.frame.evaluate("[origin, crossOriginIsolated, typeof RTCPeerConnection]") == [
            "null", True, "undefined",
        ]  # fmt: skip
        assert chat.ask("Hello")
        chat.frame.get_by_role("button", name="tiny").first.click()
        card = chat.frame.get_by_role("dialog")
        expect(card).to_contain_text(re.compile(r"WebAssembly, (\d+) threads"))
        expect(card).to_contain_text("relaxed-mt")
    page.reload()
    offline = Chat.of(page)
    offline.ready("tiny")
    assert page.evaluate("crossOriginIsolated") is True
    assert offline.ask("Hello again")
    assert scripts(page, releases[0])


def test_the_page_can_be_installed_also_below_a_path_and_without_a_network(
    context: BrowserContext, site: Path, tmp_path: Path
) -> None:
    page = context.new_page()
    with plain_host(tmp_path / "host") as host:
        visit(page, host + PATH)
        Chat.of(page).ready("tiny")
        session = context.new_cdp_session(page)
        found = session.send("Page.getAppManifest")
        assert found["errors"] == []
        manifest = json.loads(found["data"])
        at = found["url"]
        assert at.startswith(f"{host}{PATH}assets/manifest-")
        assert urljoin(at, manifest["start_url"]) == host + PATH
        faults = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
        # A test's context is a private window, which installs nothing.
        assert [fault["errorId"] for fault in faults] in ([], ["in-incognito"])
    icons = [urljoin(at, icon["src"]) for icon in manifest["icons"]]
    kept = page.evaluate(
        """async (urls) => {
          const answers = await Promise.all(urls.map((url) => fetch(url)));
          return answers.map(({ headers }) => headers.get('content-type'));
        }""",
        [at, *icons],
    )
    assert kept == ["application/manifest+json", *["image/png"] * 3]


def test_the_server_s_page_opens_without_the_server(
    context: BrowserContext, model: Path, tmp_path: Path
) -> None:
    pack([model], tmp_path / "models" / "tiny-chat")
    page = context.new_page()
    with serve(create_app(Folders.default(tmp_path / "models"))) as running:
        chat = Chat.open(page, running)
        chat.ready("tiny")
        # A host that sends the headers needs no reload, and the worker comes in the background.
        assert page.evaluate("navigator.serviceWorker.controller") is None
        page.evaluate("navigator.serviceWorker.ready")
    page.reload()
    offline = Chat.of(page)
    offline.ready("tiny")
    assert offline.ask("Hello")


def test_a_page_in_place_of_everything_takes_nothing_away(
    context: BrowserContext, model: Path, tmp_path: Path
) -> None:
    """A proxy whose login has run out sends one, with status 200, also in place of sw.js."""
    pack([model], tmp_path / "models" / "tiny-chat")
    page = context.new_page()
    with serve(create_app(Folders.default(tmp_path / "models"))) as running:
        Chat.open(page, running).ready("tiny")
        page.evaluate("navigator.serviceWorker.ready")
        page.reload()
        Chat.of(page).ready("tiny")
        before = page.evaluate(CACHES)
        running.hits.clear()
        running.faults.append(Fault("", times=10**6, page=True))
        for _ in range(2):
            with page.expect_event("console", lambda m: m.text == "asked", timeout=10_000):
                page.reload()
                page.evaluate(
                    "fetch('sw.js', {cache: 'no-store'}).then(() => console.log('asked'))"
                )
            chat = Chat.of(page)
            chat.ready("tiny")
        assert len(running.paths("sw.js")) >= 2
        assert page.evaluate(CACHES) == before
        assert page.evaluate("navigator.serviceWorker.controller !== null")
        assert chat.ask("Hello")


def below(path: str, app: ASGIApp) -> ASGIApp:
    """A proxy that has the app at a path of its own."""

    async def proxy(scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].startswith(path):
            await PlainTextResponse("not of this app", 404)(scope, receive, send)
            return
        cut = len(path) - 1
        inner = {**scope, "path": scope["path"][cut:], "raw_path": scope["raw_path"][cut:]}
        await app(inner, receive, send)

    return proxy


def test_behind_a_proxy_that_adds_a_path(
    context: BrowserContext, model: Path, tmp_path: Path
) -> None:
    pack([model], tmp_path / "models" / "tiny-chat")
    page = context.new_page()
    with serve(below(PATH, create_app(Folders.default(tmp_path / "models")))) as running:
        top = running.url + PATH
        page.goto(f"{top}no/such/page")
        loaded = page.evaluate("[...document.styleSheets].map((sheet) => sheet.href)")
        assert loaded
        assert all(href.startswith(f"{top}assets/") for href in loaded)
        page.get_by_role("link").click()
        assert page.url == top
        Chat.of(page).ready("tiny")
        page.evaluate("navigator.serviceWorker.ready")
    page.reload()
    offline = Chat.of(page)
    offline.ready("tiny")
    assert offline.ask("Hello")


def test_a_page_goes_on_with_its_release_and_the_next_is_whole(
    context: BrowserContext, site: Path, url: str, releases: tuple[Path, Path]
) -> None:
    first = context.new_page()
    visit(first, url)
    Chat.of(first).ready("tiny")
    (before,) = first.evaluate(CACHES)
    upload(releases[1], site)

    # A second page has the browser look for a new version, which then waits for both to go.
    second = context.new_page()
    second.goto(url)
    assert second.evaluate(NEXT) == "installed"
    assert (first.title(), second.title()) == ("One", "One")
    chat = Chat.of(second)
    chat.ready("tiny")
    assert chat.ask("Hello")
    first.reload()
    chat = Chat.of(first)
    chat.ready("tiny")
    assert first.title() == "One"
    assert chat.ask("Hello")
    assert scripts(first, releases[0])
    assert scripts(second, releases[0])
    assert before in first.evaluate(CACHES)

    # The last one, when it begins again, begins with the new one.
    second.close()
    first.reload()
    expect(first).to_have_title("Two")
    Chat.of(first).ready("tiny")
    assert scripts(first, releases[1])
    (after,) = first.evaluate(CACHES)
    assert after != before


def test_a_release_that_is_not_whole_never_starts(
    context: BrowserContext, site: Path, url: str, releases: tuple[Path, Path]
) -> None:
    page = context.new_page()
    visit(page, url)
    (before,) = page.evaluate(CACHES)
    upload(releases[1], site, broken="wasm/simd.wasm")  # as an upload under way leaves it
    assert page.evaluate(NEXT) == "redundant"
    assert page.evaluate(CACHES) == [before]
    page.reload()
    Chat.of(page).ready("tiny")
    assert page.title() == "One"

    upload(releases[1], site)
    page.reload()
    assert page.evaluate(NEXT) == "installed"
    page.reload()
    expect(page).to_have_title("Two")


def test_another_site_at_the_address_is_not_hidden(
    context: BrowserContext, site: Path, url: str
) -> None:
    page = context.new_page()
    visit(page, url)
    site.unlink()
    site.mkdir()
    (site / "index.html").write_text("<title>Another</title>")
    page.reload()
    page.evaluate("async () => { while ((await caches.keys()).length > 0); }")
    page.reload()
    assert page.title() == "Another"
    assert page.evaluate("navigator.serviceWorker.controller") is None


@pytest.mark.parametrize("workers", ["blocked", "idle"])
def test_without_headers_and_service_workers_it_refuses(
    browser: Browser, url: str, workers: str
) -> None:
    """Also where a worker can be had but never serves the page: it reloads once, not for ever."""
    with browser.new_context(
        service_workers="block" if workers == "blocked" else "allow"
    ) as context:
        page = context.new_page()
        if workers == "idle":
            page.add_init_script(
                "Object.defineProperty(navigator.serviceWorker, 'controller', {value: null})"
            )
        page.goto(url)
        alert = page.frame_locator("iframe#sandbox").get_by_role("alert")
        expect(alert).to_contain_text("headers that keep this page private")


def test_sites_of_one_origin_keep_out_of_each_other_s_way(
    context: BrowserContext, tmp_path: Path, releases: tuple[Path, Path]
) -> None:
    page = context.new_page()
    for name, release in zip("ab", releases, strict=True):
        shutil.copytree(release, tmp_path / "both" / name)
    with plain_host(tmp_path / "both") as host:
        for name in "ab":
            visit(page, f"{host}/{name}/")
        names = page.evaluate(CACHES)
        assert [name.split()[1] for name in names] == [f"{host}/a/", f"{host}/b/"]
    page.goto(f"{host}/a/")
    assert page.title() == "One"
    page.goto(f"{host}/b/index.html?from=a")
    assert page.title() == "Two"
