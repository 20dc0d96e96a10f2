"""What the sandboxed frame can reach: nothing.

Every probe runs three times: in a plain page, where it must reach a loopback
server (otherwise it proves nothing), and in the frame of the real chat page,
where no connection may arrive at all, once as slmweb's server sends it and once
from a host without headers, whose page the service worker seals. The browser has
a profile on disk, because Debian's defaults and private windows both switch off
some of the channels.

What a person presses is tried apart: links in new tabs, which the policies alone
do not forbid.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import BrowserContext, Frame, Page, Playwright, TimeoutError

from slmweb.bundle.bundle import bundle
from slmweb.server.app import Folders, create_app
from tests.web.conftest import profile_on_disk
from tests.web.plain_host import plain_host, visit
from tests.web.serving import HitLogger, Site, serve

# What every probe may use; the page's policy has no eval, so it is part of the evaluated text.
PRELUDE = """
const make = (tag, fields) => Object.assign(document.createElement(tag), fields);
const add = (tag, fields) => document.body.append(make(tag, fields));
const link = (rel, fields) => add('link', {rel, href: url, ...fields});
const html = (text) => { document.body.innerHTML = text; };
const press = (element, how, type = 'click') => element.dispatchEvent(
  new PointerEvent(type, {bubbles: true, cancelable: true, composed: true, view: window, ...how}));
const pressed = (text, selector, how) => {
  html(text); press(document.querySelector(selector), how); };
const click = (text) => { html(text); document.querySelector('a').click(); };
const submit = (text) => { html(text); document.forms[0].submit(); };
const worker = (text) => new Worker(URL.createObjectURL(new Blob([text])));
const speculate = (how) => add('script', {type: 'speculationrules',
  textContent: JSON.stringify({[how]: [{urls: [url], eagerness: 'immediate'}]})});
const turn = (Peer) => {
  const iceServers = [{urls: `turn:${host}?transport=tcp`, username: 'u', credential: 'c'}];
  const peer = new Peer({iceTransportPolicy: 'relay', iceServers});
  peer.createDataChannel('x');
  peer.setLocalDescription();
};
"""

# Each tries to reach `url` or `host`.
PROBES = {
    "fetch": "fetch(url)",
    "fetch without CORS": "fetch(url, {mode: 'no-cors'})",
    "fetch that outlives the page": "fetch(url, {method: 'POST', body: 'x', keepalive: true})",
    "XMLHttpRequest": "const x = new XMLHttpRequest(); x.open('GET', url); x.send()",
    "WebSocket": "new WebSocket(`ws://${host}/`)",
    "EventSource": "new EventSource(url)",
    "beacon": "navigator.sendBeacon(url, 'x')",
    "image": "new Image().src = url",
    "image set": "add('img', {srcset: `${url} 2x`})",
    "svg image": "html(`<svg xmlns='http://www.w3.org/2000/svg'><image href='${url}'/></svg>`)",
    "input image": "html(`<input type=image src='${url}'>`)",
    "background image": "document.body.style.background = `url(${url})`",
    "adopted style sheet": (
        "const sheet = new CSSStyleSheet(); sheet.replaceSync(`body { background: url(${url}) }`);"
        "document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet]"
    ),
    "font": "new FontFace('x', `url(${url})`).load()",
    "audio": "new Audio(url).load()",
    "video poster": "html(`<video poster='${url}'></video>`)",
    "script": "add('script', {src: url})",
    "dynamic import": "import(url)",
    "style sheet": "link('stylesheet')",
    "preload": "link('preload', {as: 'image'})",
    "prefetch": "link('prefetch')",
    "preconnect": "link('preconnect')",
    "speculative prefetch": "speculate('prefetch')",
    "speculative prerender": "speculate('prerender')",
    "frame": "add('iframe', {src: url})",
    "object": "add('object', {data: url})",
    "embed": "add('embed', {src: url})",
    "image in a nested srcdoc": "add('iframe', {srcdoc: `<img src='${url}'>`})",
    "form": "submit(`<form action='${url}'></form>`)",
    "form post": "submit(`<form method=post action='${url}'><input name=a value=b></form>`)",
    "form to a new window": "submit(`<form target=_blank action='${url}'></form>`)",
    "navigation": "location.href = url",
    "navigation of the top": "top.location.href = url",
    "meta refresh": "add('meta', {httpEquiv: 'refresh', content: `0;url=${url}`})",
    "link": "click(`<a href='${url}'>x</a>`)",
    "link to a new window": "click(`<a target=_blank href='${url}'>x</a>`)",
    "link to a download": "click(`<a download href='${url}'>x</a>`)",
    "link to a named download": "click(`<a download='x.txt' href='${url}'>x</a>`)",
    "link ping": "click(`<a href='#x' ping='${url}'>x</a>`)",
    "link in no document": "make('a', {href: url}).click()",
    "link pressed with Ctrl": "pressed(`<a href='${url}'>x</a>`, 'a', {ctrlKey: true})",
    "link pressed with Shift": "pressed(`<a href='${url}'>x</a>`, 'a', {shiftKey: true})",
    "link pressed with Command": "pressed(`<a href='${url}'>x</a>`, 'a', {metaKey: true})",
    "link pressed with the middle button": "pressed(`<a href='${url}'>x</a>`, 'a', {button: 1})",
    "link in no document pressed with Ctrl": "press(make('a', {href: url}), {ctrlKey: true})",
    "link to a download pressed with Ctrl": (
        "pressed(`<a download href='${url}'>x</a>`, 'a', {ctrlKey: true})"
    ),
    "link with a name pressed with Ctrl": (
        "pressed(`<a target=x rel=noopener href='${url}'>x</a>`, 'a', {ctrlKey: true})"
    ),
    "svg link pressed with Ctrl": (
        "pressed(`<svg><a href='${url}'></a></svg>`, 'a', {ctrlKey: true})"
    ),
    "area pressed with Ctrl": (
        "pressed(`<img usemap='#m' src='data:,'><map name=m><area href='${url}'></map>`,"
        " 'area', {ctrlKey: true})"
    ),
    "navigation by a nested frame": (
        "add('iframe', {}); document.body.lastChild.contentWindow.location.href = url"
    ),
    "navigation by its API": "navigation.navigate(url)",
    "popup without an opener": "open(url, '_blank', 'noopener')",
    "popup": "open(url)",
    "fetch in a blob worker": "worker(`fetch('${url}')`)",
    "fetch in a data worker": "new Worker(`data:text/javascript,fetch('${url}')`)",
    "importScripts": "worker(`importScripts('${url}')`)",
    "TURN over TCP": "turn(RTCPeerConnection)",
    "TURN by the peer connection of a new frame": (
        "add('iframe', {}); turn(document.body.lastChild.contentWindow.RTCPeerConnection)"
    ),
}

# These ask for no path: a connection is all that can be seen of them.
BARE = {"preconnect", "WebSocket", "TURN over TCP", "TURN by the peer connection of a new frame"}

# These take the page elsewhere, and a page that is on its way cannot be closed.
NAVIGATING = {"form", "form post", "navigation", "navigation of the top", "meta refresh", "link"}
NAVIGATING |= {
    "link in no document",
    "link pressed with Command",
    "navigation by its API",
}


def run(target: Page | Frame, probe: str, logger: HitLogger) -> None:
    # The evaluation counts as a user gesture, so popups are not blocked for want of one. The timer
    # lets it end before the probe can navigate away from under it.
    script = f"([url, host]) => void setTimeout(() => {{ {PRELUDE} {PROBES[probe]} }})"
    target.evaluate(script, [f"{logger.url}/leak", f"127.0.0.1:{logger.port}"])


@pytest.fixture(scope="module")
def context(
    playwright: Playwright,
    browser_type_launch_args: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[BrowserContext]:
    folder = tmp_path_factory.mktemp("seal") / "profile"
    with profile_on_disk(playwright, browser_type_launch_args, folder) as context:
        yield context


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The chat page as it is released, with no model: probes need none."""
    with serve(create_app(Folders.default(tmp_path_factory.mktemp("no-models")))) as running:
        yield running.url


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """The same page, of a server that counts what it is asked for."""
    with serve(create_app(Folders.default(tmp_path))) as running:
        yield running


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory, context: BrowserContext) -> Iterator[str]:
    """The same page on a host without headers, in a browser that has been there before."""
    folder = tmp_path_factory.mktemp("bundle") / "site"
    bundle([], folder)
    with plain_host(folder) as url:
        page = context.new_page()
        visit(page, url)
        page.close()
        yield url


@pytest.fixture(scope="module")
def plain_url() -> Iterator[str]:
    """A page without any policy, of an origin that no probe asks for."""
    with HitLogger() as plain:
        yield plain.url


def open_frame(page: Page, url: str) -> Frame:
    page.goto(url)
    frame = page.locator("iframe#sandbox").element_handle().content_frame()
    assert frame is not None
    frame.locator("#root > *").first.wait_for(state="attached")
    return frame


@pytest.fixture
def pages(context: BrowserContext) -> Iterator[tuple[Page, Page, Page]]:
    """Three pages; whatever a probe opens beside them is closed with them."""
    yield context.new_page(), context.new_page(), context.new_page()
    for page in context.pages[1:]:
        page.wait_for_load_state()
        page.close()


@pytest.mark.parametrize("probe", PROBES)
def test_probe(
    probe: str, pages: tuple[Page, Page, Page], served: str, bundled: str, plain_url: str
) -> None:
    *chats, plain = pages
    with HitLogger() as by_server, HitLogger() as by_worker, HitLogger() as control:
        for page, url, logger in zip(chats, (served, bundled), (by_server, by_worker), strict=True):
            run(open_frame(page, url), probe, logger)
        # Begun later in the same browser, but where nothing forbids it, the same probe arrives.
        plain.goto(plain_url)
        run(plain, probe, control)
        wanted = "" if probe in BARE else " /leak"
        assert control.wait_for(wanted, 15), "the probe reaches nothing even from a plain page"
        assert by_server.connections == 0, by_server.requests
        assert by_worker.connections == 0, by_worker.requests
        if probe in NAVIGATING:
            plain.wait_for_url(f"{control.url}/**")


# What a person does to a link that fills the frame: modifiers and button of a click, and keys.
PRESSES: dict[str, tuple[list[str], Literal["left", "middle"] | None]] = {
    "plain": ([], "left"),
    "Ctrl": (["Control"], "left"),
    "Shift": (["Shift"], "left"),
    "Ctrl and Shift": (["Control", "Shift"], "left"),
    "middle button": ([], "middle"),
    "Ctrl and Enter": (["Control"], None),
}
OPENING = [name for name in PRESSES if name != "plain"]

FILL = """([text, where]) => {
  const holder = document.createElement('div');
  holder.style = 'position: fixed; inset: 0; z-index: 9';
  document.body.replaceChildren(holder);
  for (const type of ['click', 'auxclick'])
    addEventListener(type, ({target}) => {
      globalThis.came = target.closest('a') ? 'link' : 'page';
    });
  if (where === 'shadow' && holder.attachShadow)
    holder.attachShadow({mode: 'closed'}).innerHTML = text;
  else if (where === 'frame') {
    holder.innerHTML = '<iframe width=900 height=600></iframe>';
    holder.firstChild.srcdoc = text;
    holder.firstChild.onload = () => { globalThis.nested = true; };
  } else {
    holder.innerHTML = text;
    holder.firstChild.focus();
  }
}"""


def until(target: Page | Frame, expression: str, seconds: float = 30) -> Any:
    """What `expression` becomes when it is true, or what it is after so long. Playwright's own
    waiting looks again by eval, which the policy forbids; this is one function that looks again
    itself."""
    return target.evaluate(
        f"""() => new Promise((resolve) => {{
          const end = performance.now() + {seconds * 1000};
          const look = () => {{
            const value = ({expression}) ?? null;
            if (value || performance.now() > end) resolve(value);
            else setTimeout(look, 10);
          }};
          look();
        }})"""
    )


def press(page: Page, target: Page | Frame, how: str, url: str, where: str = "page") -> None:
    """Puts a link to `url` over everything in `target`, and presses it as a person would."""
    keys, button = PRESSES[how]
    # A size that needs no style, which the policies forbid to markup.
    text = (
        f"<a href='{url}'><svg width='900' height='600'><rect width='900' height='600'/></svg></a>"
    )
    page.bring_to_front()  # a tab behind gets no mouse
    page.locator("#skeleton").wait_for(state="detached")  # it lies over the frame
    target.evaluate(FILL, [text, where])
    if where == "frame":  # until it has its document, or is gone
        until(target, "globalThis.nested || !document.querySelector('iframe')")
    for key in keys:
        page.keyboard.down(key)
    if button is None:
        page.keyboard.press("Enter")
    else:
        page.mouse.click(300, 300, button=button)
    for key in reversed(keys):
        page.keyboard.up(key)


def without_script(page: Page) -> Frame:
    """The frame of the page that is open, as the browser alone seals it: with nothing in it."""
    with page.expect_event("framenavigated"):
        page.evaluate("""() => {
          const frame = document.querySelector('#sandbox');
          frame.srcdoc = frame.srcdoc.replace(/<script>[^]*<\\/script>/, '');
        }""")
    frame = page.locator("iframe#sandbox").element_handle().content_frame()
    assert frame is not None
    return frame


def knock(page: Page, site: Site) -> None:
    """A visit that arrives: what a press before it had opened would have arrived before."""
    page.goto(f"{site.url}/knock")
    assert site.paths("/knock")


def leaks(site: Site) -> list[str]:
    return [hit.path for hit in site.paths("/leak")]


@pytest.mark.parametrize("where", ["page", "shadow", "frame"])
@pytest.mark.parametrize("how", PRESSES)
def test_no_link_can_be_followed(
    how: str, where: str, pages: tuple[Page, Page, Page], site: Site
) -> None:
    """Not even to the page's own server, which Connection-Allowlist has to allow."""
    chat, other, third = pages
    with HitLogger() as logger:
        frames = [(page, open_frame(page, site.url)) for page in (chat, other)]
        before = set(chat.context.pages)  # a tab of the test before may have come late
        for (page, frame), url in zip(frames, (site.url, logger.url), strict=True):
            press(page, frame, how, f"{url}/leak", where)
            if PRESSES[how][1]:
                # A nested frame is gone by then.
                came = until(frame, "globalThis.came")
                assert came == ("page" if where == "frame" else "link")
        knock(third, site)
        assert (leaks(site), logger.requests) == ([], [])
    assert set(chat.context.pages) <= before


@pytest.mark.parametrize(
    ("how", "where"), [*((how, "page") for how in OPENING), ("Ctrl", "shadow"), ("Ctrl", "frame")]
)
def test_the_browser_alone_holds_no_press_of_a_person(
    how: str, where: str, pages: tuple[Page, Page, Page], site: Site
) -> None:
    """Why disarm.ts cancels presses: where this fails, a browser has learnt to, and the
    sentences in docs/seal.md are old."""
    chat, *_ = pages
    open_frame(chat, site.url)
    frame = without_script(chat)
    for _ in range(5):  # a press just after the frame's document was exchanged may reach nothing
        with contextlib.suppress(TimeoutError):
            with chat.context.expect_page(timeout=5000) as tab:
                press(chat, frame, how, f"{site.url}/leak", where)
            break
    tab.value.wait_for_load_state()
    assert leaks(site)


def test_connection_allowlist_holds_a_press_to_another_server(
    pages: tuple[Page, Page, Page], site: Site
) -> None:
    """What opens at the page's own server, as the test above shows, asks no other for anything."""
    chat, other, _ = pages
    open_frame(chat, site.url)
    frame = without_script(chat)
    with HitLogger() as logger:
        for _ in range(5):  # as above
            press(chat, frame, "Ctrl", f"{logger.url}/leak")
            if came := until(frame, "globalThis.came", 5):
                break
        assert came == "link"
        knock(other, site)
        assert logger.connections == 0, logger.requests


def test_a_conversation_can_still_be_saved(page: Page, site: Site) -> None:
    """As save.ts does it: the link is in no document, and its address is a blob of the frame."""
    frame = open_frame(page, site.url)
    with page.expect_download() as saved:
        frame.evaluate("""() => {
          const link = document.createElement('a');
          link.href = URL.createObjectURL(new Blob(['a question']));
          link.download = 'talk.md';
          link.click();
        }""")
    assert saved.value.path().read_text() == "a question"
