"""Plain GGUF files in a page of one's own: from another site, as a File, from the store.

The other site is a file server that we did not write; what the page computes from
the file is compared with what Python's pack says of the same bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from slmweb.pack.pack import pack
from tests.py.models import CHATML, tiny, with_template
from tests.web.conftest import open_harness
from tests.web.serving import Fault, Site, serve

LOAD = """async ([source, options]) => harness.outcome((async () => {
  const phases = [];
  const slm = await harness.SLM.load(source, {baseUrl: '/', retryMs: 1, ...options,
    onProgress: (report) => {
      harness.progress.push(report);
      if (phases.at(-1) !== report.phase) phases.push(report.phase);
    }});
  const {choices} = await slm.chat.completions.create({
    messages: [{role: 'user', content: 'Hello'}], max_tokens: 8, temperature: 0});
  const {info} = slm;
  await slm.dispose();
  return {info, phases, text: choices[0].message.content};
})())"""
FILE = """async ([address, name, damage]) => {
  const bytes = new Uint8Array(await (await fetch(address)).arrayBuffer());
  globalThis.file = new File([damage ? bytes.slice(0, damage) : bytes], name);
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the other site offers."""
    folder = tmp_path_factory.mktemp("elsewhere")
    plain = tiny("qwen2", folder)
    with_template(plain, folder / "Tiny Chat.gguf", CHATML)
    (folder / "login.gguf").write_text("<!doctype html><title>Log in</title>")
    (folder / "pointer.gguf").write_text("version https://git-lfs.github.com/spec/v1\n")
    (folder / "cut.gguf").write_bytes((folder / "Tiny Chat.gguf").read_bytes()[:3000])
    return folder


def file_site(folder: Path, *middleware: Middleware) -> Starlette:
    async def moved(_: object) -> RedirectResponse:
        return RedirectResponse("/Tiny%20Chat.gguf")

    return Starlette(
        routes=[Route("/moved.gguf", moved), Mount("/", StaticFiles(directory=folder))],
        middleware=list(middleware),
    )


@pytest.fixture
def elsewhere(folder: Path) -> Iterator[Site]:
    """A site that lets other sites read its files."""
    with serve(file_site(folder, Middleware(CORSMiddleware, allow_origins=["*"]))) as running:
        yield running


@pytest.fixture
def own(context: BrowserContext, site: Site) -> Page:
    """A page that may ask other sites, unlike the sealed one."""
    site.removed_headers |= {"content-security-policy", "connection-allowlist"}
    return open_harness(context.new_page(), site)


def load(page: Page, source: Any, **options: Any) -> dict[str, Any]:
    result: dict[str, Any] = page.evaluate(LOAD, [source, options])
    return result


def load_file(page: Page, address: str, name: str, damage: int = 0) -> dict[str, Any]:
    page.evaluate(FILE, [address, name, damage])
    result: dict[str, Any] = page.evaluate(
        LOAD.replace("load(source", "load(globalThis.file"), [0, {}]
    )
    return result


def test_a_gguf_of_another_site_is_packed_and_opens_without_a_network(
    own: Page, site: Site, elsewhere: Site, folder: Path, tmp_path: Path
) -> None:
    address = f"{elsewhere.url}/Tiny%20Chat.gguf"
    first = load(own, address)
    assert first.get("phases", first)[:2] == ["download", "check"]
    (stored,) = own.evaluate("harness.SLM.stored()")
    assert stored["state"] == "whole"
    assert stored["source"] == address
    content = (folder / "Tiny Chat.gguf").read_bytes()
    assert stored["size"] > len(content)
    # What our own packer says of the same file.
    packed = pack([folder / "Tiny Chat.gguf"], tmp_path / "packed")
    (made,) = own.evaluate("(name) => harness.manifests(name)", stored["name"])
    assert made["files"][0]["sha256"] == hashlib.sha256(content).hexdigest()
    for key in ("architecture", "parameters", "context_length", "chat_template", "license", "size"):
        assert made[key] == getattr(packed, key)
    assert made["memory"]["weights"] == packed.memory.weights
    assert [(c["n_ctx"], c["bytes"]) for c in made["memory"]["contexts"]] == [
        (c.n_ctx, c.bytes) for c in packed.memory.contexts
    ]
    # The second time nobody asks the other site.
    open_harness(own, site)
    elsewhere.hits.clear()
    for source in (address, {"stored": stored["name"]}):
        again = load(own, source)
        assert again["text"] == first["text"]
    assert elsewhere.hits == []
    own.evaluate("(name) => harness.SLM.remove(name)", stored["name"])
    assert own.evaluate("harness.SLM.stored()") == []
    assert load(own, {"stored": stored["name"]})["code"] == "invalid_argument"


def test_a_file_is_packed_once_and_opens_by_its_name(own: Page, elsewhere: Site) -> None:
    address = f"{elsewhere.url}/Tiny%20Chat.gguf"
    first = load_file(own, address, "My model.gguf")
    assert "error" not in first, first
    (stored,) = own.evaluate("harness.SLM.stored()")
    assert stored["name"].startswith("my-model-")
    entries = own.evaluate("harness.entries()")
    assert load_file(own, address, "My model.gguf")["text"] == first["text"]
    assert own.evaluate("harness.entries()") == entries
    assert load(own, {"stored": stored["name"]})["text"] == first["text"]


def test_a_site_that_lets_nobody_read_is_told_from_nothing_with_what_to_do(
    own: Page, folder: Path
) -> None:
    with serve(file_site(folder)) as closed:
        failed = load(own, f"{closed.url}/Tiny%20Chat.gguf")
    assert failed["code"] == "network"
    for words in ("no connection", "does not let other sites read", "Access-Control-Allow-Origin"):
        assert words in failed["error"]
    assert own.evaluate("harness.entries()") == []
    assert own.evaluate("harness.SLM.stored()") == []


@pytest.mark.parametrize(
    ("file", "code", "words"),
    [
        ("missing.gguf", "network", "HTTP 404"),
        ("login.gguf", "bad_file", "a page of HTML"),
        ("pointer.gguf", "bad_file", "Git LFS"),
        ("cut.gguf", "bad_file", "the file is damaged"),
        ("a-00001-of-00002.gguf", "unsupported", "split set"),
    ],
)
def test_what_is_no_model_is_named_and_leaves_nothing(
    own: Page, elsewhere: Site, file: str, code: str, words: str
) -> None:
    failed = load(own, f"{elsewhere.url}/{file}")
    assert (failed["code"], words in failed["error"]) == (code, True), failed
    assert own.evaluate("harness.entries()") == []
    assert own.evaluate("harness.SLM.stored()") == []


def test_a_damaged_file_leaves_nothing(own: Page, elsewhere: Site) -> None:
    failed = load_file(own, f"{elsewhere.url}/Tiny%20Chat.gguf", "cut.gguf", 3000)
    assert failed["code"] == "bad_file", failed
    assert own.evaluate("harness.SLM.stored()") == []


def test_a_redirect_is_followed(own: Page, elsewhere: Site) -> None:
    assert "error" not in load(own, f"{elsewhere.url}/moved.gguf")


def begin(page: Page, elsewhere: Site, held: int) -> None:
    """Begins `globalThis.result`, whose download stops after `held` bytes."""
    elsewhere.faults.append(Fault(r"Tiny", times=1, hold_after=held))
    page.evaluate(
        f"(args) => {{ globalThis.result = ({LOAD})(args); }}",
        [f"{elsewhere.url}/Tiny%20Chat.gguf", {}],
    )
    page.wait_for_function(
        "harness.progress.some(({phase, loaded}) => phase === 'download' && loaded > 0)"
    )


@pytest.mark.parametrize("changed", [False, True])
def test_a_closed_tab_is_continued_unless_the_file_has_changed(
    own: Page, context: BrowserContext, site: Site, folder: Path, tmp_path: Path, changed: bool
) -> None:
    """Halves of two files are never joined."""
    offered = tmp_path / "offered"
    offered.mkdir()
    content = (folder / "Tiny Chat.gguf").read_bytes()
    path = offered / "Tiny Chat.gguf"
    path.write_bytes(content)
    open_to_all = Middleware(CORSMiddleware, allow_origins=["*"])
    with serve(file_site(offered, open_to_all)) as elsewhere:
        begin(own, elsewhere, len(content) // 2)
        own.close()
        if changed:
            os.utime(path, (1e9, 1e9))
        page = open_harness(context.new_page(), site)
        (stored,) = page.evaluate("harness.SLM.stored()")
        assert stored["state"] == "partial"
        result = load(page, f"{elsewhere.url}/Tiny%20Chat.gguf")
        assert "error" not in result, result
        ranges = [hit.range is not None for hit in elsewhere.hits]
        assert ranges == ([False, True, False] if changed else [False, True])
    (stored,) = page.evaluate("harness.SLM.stored()")
    (made,) = page.evaluate("(name) => harness.manifests(name)", stored["name"])
    assert made["files"][0]["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_broken_download_goes_on_with_range(own: Page, elsewhere: Site, folder: Path) -> None:
    begin(own, elsewhere, (folder / "Tiny Chat.gguf").stat().st_size // 2)
    elsewhere.release()
    result = own.evaluate("globalThis.result")
    assert "error" not in result, result
    first, second = elsewhere.hits
    assert first.range is None
    assert second.range is not None
    assert own.evaluate("harness.SLM.stored()")[0]["state"] == "whole"


def test_in_memory_nothing_is_kept(own: Page, elsewhere: Site) -> None:
    result = load(own, f"{elsewhere.url}/Tiny%20Chat.gguf", storage="memory")
    assert "error" not in result, result
    assert own.evaluate("harness.SLM.stored()") == []
