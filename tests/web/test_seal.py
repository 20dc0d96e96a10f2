"""What the sandboxed frame can reach: nothing.

Every probe runs three times: in a plain page, where it must reach a loopback
server (otherwise it proves nothing), and in the frame of the real chat page,
where no connection may arrive at all, once as slmweb's server sends it and once
from a host without headers, whose page the service worker seals. The browser has
a profile on disk, because Debian's defaults and private windows both switch off
some of the channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Frame, Page, Playwright

from slmweb.bundle.bundle import bundle
from slmweb.server.app import Folders, create_app
from tests.web.conftest import profile_on_disk
from tests.web.plain_host import plain_host, visit
from tests.web.serving import HitLogger, serve

# What every probe may use; the page's policy has no eval, so it is part of the evaluated text.
PRELUDE = """
const make = (tag, fields) => Object.assign(document.createElement(tag), fields);
const add = (tag, fields) => document.body.append(make(tag, fields));
const link = (rel, fields) => add('link', {rel, href: url, ...fields});
const html = (text) => { document.body.innerHTML = text; };
const press = (element, how, type = 'click') => element.dispatchEvent(
  new PointerEvent(type, {bubbles: true, cancelable: true, composed: true, view: window, ...how}));
const pressed = (text, selector, how, type) => {
  html(text); press(document.querySelector(selector), how, type); };
const nested = () => { add('iframe', {}); return document.body.lastChild.contentWindow; };
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
    "popup": "open(url)",
    "fetch in a blob worker": "worker(`fetch('${url}')`)",
    "fetch in a data worker": "new Worker(`data:text/javascript,fetch('${url}')`)",
    "importScripts": "worker(`importScripts('${url}')`)",
    "TURN over TCP": "turn(RTCPeerConnection)",
    "TURN by the peer connection of a new frame": (
        "add('iframe', {}); turn(document.body.lastChild.contentWindow.RTCPeerConnection)"
    ),
}

# A click with a modifier or the middle button opens a tab although no popup is allowed.
A, CTRL = "`<a href='${url}'>x</a>`, 'a'", "{ctrlKey: true}"
TABS = {
    "link pressed with Ctrl": f"pressed({A}, {CTRL})",
    "link pressed with Ctrl and Shift": f"pressed({A}, {{ctrlKey: true, shiftKey: true}})",
    "link pressed with Shift": f"pressed({A}, {{shiftKey: true}})",
    "link pressed with the middle button": f"pressed({A}, {{button: 1}})",
    "link pressed with the middle button, by auxclick": f"pressed({A}, {{button: 1}}, 'auxclick')",
    "link in no document": f"press(make('a', {{href: url}}), {CTRL})",
    "link in a shadow tree": (
        "const root = add('p', {}).attachShadow({mode: 'closed'});"
        f"root.innerHTML = `<a href='${{url}}'>x</a>`; press(root.firstChild, {CTRL})"
    ),
    "named link": f"pressed(`<a target=x rel=noopener href='${{url}}'>x</a>`, 'a', {CTRL})",
    "link to a download with Ctrl": f"pressed(`<a download href='${{url}}'>x</a>`, 'a', {CTRL})",
    "area pressed with Ctrl": (
        "pressed(`<img usemap='#m' src='data:,'><map name=m><area href='${url}'></map>`,"
        f" 'area', {CTRL})"
    ),
    "svg link pressed with Ctrl": f"pressed(`<svg><a href='${{url}}'></a></svg>`, 'a', {CTRL})",
    "link in a nested frame": (
        "const inside = nested().document; inside.body.innerHTML = `<a href='${url}'>x</a>`;"
        f"press(inside.body.firstChild, {CTRL})"
    ),
    "link pressed by a nested frame's function": (
        "nested().EventTarget.prototype.dispatchEvent.call("
        f"make('a', {{href: url}}), new MouseEvent('click', {CTRL}))"
    ),
}
PROBES |= TABS

# These ask for no path: a connection is all that can be seen of them.
BARE = {"preconnect", "WebSocket", "TURN over TCP", "TURN by the peer connection of a new frame"}

# These take the page elsewhere, and a page that is on its way cannot be closed.
NAVIGATING = {"form", "form post", "navigation", "navigation of the top", "meta refresh", "link"}


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
