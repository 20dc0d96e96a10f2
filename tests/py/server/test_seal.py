"""The sealing headers on every kind of response, and the sandbox inside the page."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import socket
from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.types import Message

from slmweb.errors import SlmError
from slmweb.server.app import create_app
from slmweb.server.models import ModelFolder
from slmweb.server.pages import inline_script
from tests.py.support import FRAME_SCRIPT, NAME, SEAL, SHELL_POLICY, Answer, Site, running
from tests.py.support import make_folders as make_folders_in


def expected_hash(script: str = FRAME_SCRIPT) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def assert_sealed(answer: Answer, script: str = FRAME_SCRIPT) -> None:
    policy = SHELL_POLICY.format(hash=expected_hash(script))
    for name, value in {**SEAL, "content-security-policy": policy}.items():
        assert answer.headers.get(name) == value, (answer.status, name)


def asset(site: Site, name: str) -> str:
    names: dict[str, str] = json.loads((site.folders.web / "assets.json").read_text())
    return f"/assets/{names[name]}"


def chunk_path(site: Site) -> str:
    manifest = json.loads((site.folders.models / NAME / "manifest.json").read_text())
    return f"/models/{NAME}/{manifest['files'][0]['chunks'][0]['sha256']}"


KINDS = {
    "page": ("GET", "/", {}, 200),
    "page-gzip": ("GET", "/", {"Accept-Encoding": "gzip"}, 200),
    "page-head": ("HEAD", "/", {}, 200),
    "page-not-modified": ("GET", "/", {"If-None-Match": "*"}, 304),
    "script": ("GET", "{shell.js}", {}, 200),
    "worker-script": ("GET", "{worker.js}", {}, 200),
    "store-worker-script": ("GET", "{store.js}", {}, 200),
    "brotli": ("GET", "{shell.js}", {"Accept-Encoding": "br"}, 200),
    "asset-not-modified": ("GET", "{shell.js}", {"If-None-Match": "*"}, 304),
    "asset-list": ("GET", "/assets/assets.json", {}, 200),
    "api-bundle": ("GET", "/slmweb.js", {}, 200),
    "wasm": ("GET", "/wasm/simd.wasm", {}, 200),
    "model-list": ("GET", "/models/index.json", {}, 200),
    "manifest": ("GET", f"/models/{NAME}/manifest.json", {}, 200),
    "chunk": ("GET", "{chunk}", {}, 200),
    "chunk-range": ("GET", "{chunk}", {"Range": "bytes=5-9"}, 206),
    "chunk-bad-range": ("GET", "{chunk}", {"Range": "bytes=999999999-"}, 416),
    "service-worker": ("GET", "/sw.js", {}, 200),
    "slash-at-the-end": ("GET", "/sw.js/", {}, 404),
    "no-page": ("GET", "/nothing/here", {}, 404),
    "no-page-html": ("GET", "/nothing", {"Accept": "text/html"}, 404),
    "no-asset": ("GET", "/assets/gone-0123456789abcdef.js", {}, 404),
    "no-variant": ("GET", "/wasm/avx512.wasm", {}, 404),
    "not-built-variant": ("GET", "/wasm/simd-mt.wasm", {}, 404),
    "no-model": ("GET", "/models/other/manifest.json", {}, 404),
    "no-chunk": ("GET", f"/models/{NAME}/{'0' * 64}", {}, 404),
    "wrong-method": ("POST", "/", {}, 405),
    "unknown-method": ("BREW", "{shell.js}", {}, 405),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_response_is_sealed(site: Site, kind: str) -> None:
    method, path, headers, status = KINDS[kind]
    if path == "{chunk}":
        path = chunk_path(site)
    elif path.startswith("{"):
        path = asset(site, path.strip("{}"))
    answer = site.request(path, method, headers)
    assert answer.status == status
    assert_sealed(answer)


def test_malformed_http_gets_a_sealed_answer(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as connection:
        connection.sendall(b"this is not HTTP\r\n\r\n")
        received = b""
        while piece := connection.recv(65536):
            received += piece
    head = received.partition(b"\r\n\r\n")[0].decode().lower()
    assert head.startswith("http/1.1 400 ")
    for name, value in SEAL.items():
        assert f"{name}: {value}" in head
    assert "content-security-policy: default-src 'none'" in head


def test_a_crash_is_sealed_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: ModelFolder) -> None:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(ModelFolder, "entries", fail)
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/models/index.json",
        "raw_path": b"/models/index.json",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "server": ("127.0.0.1", 80),
    }

    # Starlette raises again after answering, so that the server's log has it.
    async def request() -> None:
        await create_app(make_folders_in(tmp_path))(scope, receive, send)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(request())
    assert "GET /models/index.json failed" in caplog.text
    assert "a fault of ours" in caplog.text
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    answer = Answer(sent[0]["status"], headers, sent[1]["body"])
    assert answer.status == 500
    assert "its log says why" in answer.text
    assert "fault of ours" not in answer.text
    assert_sealed(answer)


def test_a_damaged_asset_list_is_an_unbuilt_page(tmp_path: Path) -> None:
    folders = make_folders_in(tmp_path)
    (folders.web / "assets.json").write_text("[1, 2]")
    with running(folders) as site:
        answer = site.request("/")
    assert answer.status == 503
    assert answer.headers["connection-allowlist"] == SEAL["connection-allowlist"]


def test_an_unbuilt_page_is_sealed_and_says_what_to_run(tmp_path: Path) -> None:
    folders = make_folders_in(tmp_path)
    (folders.web / "assets.json").unlink()
    with running(folders) as site:
        answer = site.request("/", headers={"Accept": "text/html"})
    assert answer.status == 503
    assert "make web" in answer.text
    for name, value in SEAL.items():
        assert answer.headers[name] == value
    # Nothing inline may run when there is no sandbox script.
    assert "sha256" not in answer.headers["content-security-policy"]


class _Elements(HTMLParser):
    """The elements of a document in order, with attributes, and the text of scripts."""

    def __init__(self, document: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.script = ""
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] == "script":
            self.script += data


def test_the_sandbox_has_its_own_policy_first_and_its_script_whole(site: Site) -> None:
    page = _Elements(site.request("/").text)
    frame = dict(next(attributes for tag, attributes in page.elements if tag == "iframe"))
    # Downloads are files that the frame itself makes: a conversation that is saved.
    assert frame["sandbox"] == "allow-scripts allow-downloads"
    assert frame["allow"] == "cross-origin-isolated"
    assert page.script.strip() == "", "the shell has no inline script"

    sandbox = _Elements(frame["srcdoc"] or "")
    within_head = [e for e in sandbox.elements if e[0] not in ("html", "head")]
    tag, meta = within_head[0]
    assert (tag, meta["http-equiv"]) == ("meta", "Content-Security-Policy")
    assert meta["content"] == (
        f"default-src 'none'; script-src '{expected_hash()}' 'wasm-unsafe-eval'; "
        "worker-src blob: data:; connect-src 'none'; style-src 'unsafe-inline'; "
        "img-src data: blob:; frame-src 'none'; form-action 'none'; base-uri 'none'"
    )
    assert sandbox.script == FRAME_SCRIPT
    assert expected_hash(sandbox.script) in site.request("/").headers["content-security-policy"]


def test_a_new_bundle_changes_page_and_policy_together(tmp_path: Path) -> None:
    folders = make_folders_in(tmp_path)
    script = "parent.postMessage('new', '*');"
    with running(folders) as site:
        before = site.request("/")
        (folders.web / "frame-1111111111111111.js").write_text(script)
        names = json.loads((folders.web / "assets.json").read_text())
        listing = folders.web / "assets.json.new"
        listing.write_text(json.dumps({**names, "frame.js": "frame-1111111111111111.js"}))
        listing.replace(folders.web / "assets.json")
        after = site.request("/")
    assert_sealed(before)
    assert_sealed(after, script)
    assert after.headers["etag"] != before.headers["etag"]
    assert "new" in after.text


@pytest.mark.parametrize("text", ["a('</script>')", "a('<!--')", "a('</SCRIPT ')", "a('\0')"])
def test_a_script_that_would_break_out_is_refused(text: str) -> None:
    with pytest.raises(SlmError, match="cannot be inlined"):
        inline_script(text)


def test_line_ends_are_those_that_the_html_parser_makes() -> None:
    assert inline_script("a\r\nb\rc\n") == "a\nb\nc\n"


def test_error_pages_escape_what_was_asked_for(site: Site) -> None:
    answer = site.request("/%3Cscript%3Ealert(1)%3C/script%3E", headers={"Accept": "text/html"})
    assert answer.status == 404
    assert "<script>" not in answer.text
    assert "&lt;script&gt;" in answer.text
