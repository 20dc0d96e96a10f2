"""Plain GGUF files in a page of one's own: from another site, as a File, from the store.

The other site is a file server that we did not write; what the page computes from
the file is compared with what Python's pack says of the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slmweb.pack.pack import pack
from tests.py.models import CHATML, split_set, tiny, with_template
from tests.web.conftest import open_harness
from tests.web.serving import Fault, Site, serve

LOAD = """async ([source, options]) => harness.outcome((async () => {
  const phases = [], notices = [];
  const slm = await harness.SLM.load(source, {baseUrl: '/', retryMs: 1, ...options,
    onNotice: (sentence) => notices.push(sentence),
    onProgress: (report) => {
      harness.progress.push(report);
      if (phases.at(-1) !== report.phase) phases.push(report.phase);
    }});
  const {choices} = await slm.chat.completions.create({
    messages: [{role: 'user', content: 'Hello'}], max_tokens: 8, temperature: 0});
  const {info} = slm;
  await slm.dispose();
  return {info, phases, notices, text: choices[0].message.content};
})())"""
FILE = """async ([address, name, damage]) => {
  const bytes = new Uint8Array(await (await fetch(address)).arrayBuffer());
  globalThis.file = new File([damage ? bytes.slice(0, damage) : bytes], name);
}"""
FILES = """async (addresses) => {
  globalThis.file = await Promise.all(addresses.map(async (address) => {
    const name = decodeURIComponent(address.split('/').at(-1));
    return new File([await (await fetch(address)).blob()], name);
  }));
}"""
STORE_AFTER = """const Plain = Worker;
globalThis.Worker = class extends Plain {
  constructor(url) {
    const own = `importScripts(${JSON.stringify(new URL(url, location.href).href)})`;
    const isStore = String(url).includes('store');
    super(isStore ? URL.createObjectURL(new Blob([before, ';', own])) : url);
  }
};"""
MIB = 1024 * 1024
# A file is asked about its memory when so much of it is there.
HEAD = MIB


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the other site offers."""
    folder = tmp_path_factory.mktemp("elsewhere")
    plain = tiny("qwen2", folder)
    with_template(plain, folder / "Tiny Chat.gguf", CHATML)
    (folder / "login.gguf").write_text("<!doctype html><title>Log in</title>")
    (folder / "pointer.gguf").write_text("version https://git-lfs.github.com/spec/v1\n")
    content = (folder / "Tiny Chat.gguf").read_bytes()
    (folder / "cut.gguf").write_bytes(content[:3000])
    # As a large model begins: more than its header has to come.
    (folder / "long.gguf").write_bytes(content + bytes(4 * MIB))
    parts = split_set(plain, folder / "Set.gguf", CHATML, 10)
    assert len(parts) == 3
    for i, part in enumerate(parts):
        shutil.copy(part, folder / f"other-{i}.gguf")
    shutil.copy(parts[0], folder / "Gap-00001-of-00003.gguf")
    pack([folder / "Tiny Chat.gguf"], folder / "packed.v1")
    return folder


def set_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("Set-*.gguf"))


def file_site(folder: Path, *middleware: Middleware) -> Starlette:
    async def moved(request: Request) -> RedirectResponse:
        return RedirectResponse(request.query_params.get("to", "/Tiny%20Chat.gguf"))

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


def before_store(page: Page, script: str) -> None:
    """Runs `script` in the store worker before its own. A route would keep it from other sites."""
    page.add_init_script(f"const before = {json.dumps(script)};" + STORE_AFTER)


def load(page: Page, source: Any, **options: Any) -> dict[str, Any]:
    result: dict[str, Any] = page.evaluate(LOAD, [source, options])
    return result


def load_files(page: Page, addresses: list[str]) -> dict[str, Any]:
    """As Files that a visitor has chosen."""
    page.evaluate(FILES, addresses)
    result: dict[str, Any] = page.evaluate(
        LOAD.replace("load(source", "load(globalThis.file"), [0, {}]
    )
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


@pytest.mark.parametrize("address", ["packed.v1", "packed.v1/", "packed.v1/manifest.json?v=2"])
def test_a_pack_is_its_folder_or_its_manifest(own: Page, elsewhere: Site, address: str) -> None:
    loaded = load(own, f"{elsewhere.url}/{address}")
    assert loaded.get("text", loaded) == load(own, f"{elsewhere.url}/Tiny%20Chat.gguf")["text"]
    assert elsewhere.hits[0].path == "/packed.v1/manifest.json"


def test_an_address_that_was_signed_at_length(own: Page, site: Site, elsewhere: Site) -> None:
    address = f"{elsewhere.url}/Tiny%20Chat.gguf?signature={'5e' * 1500}"
    first = load(own, address)
    assert "error" not in first, first
    open_harness(own, site)
    elsewhere.hits.clear()
    assert load(own, address)["text"] == first["text"]
    assert elsewhere.hits == []


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
        # Of a set nothing is fetched whole before all of it is known to be there.
        ("Gap-00001-of-00003.gguf", "network", "Gap-00002-of-00003.gguf, found HTTP 404"),
        ("other-1.gguf", "bad_file", "give the files in order"),
        ("other-0.gguf", "bad_file", "GGUF files of the split set, found 1"),
        ("a-00001-of-00065.gguf", "unsupported", "at most 64 files"),
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


def test_a_redirect_to_a_page_or_to_a_closed_site_is_named(
    own: Page, elsewhere: Site, folder: Path
) -> None:
    login = load(own, f"{elsewhere.url}/moved.gguf?to=/login.gguf")
    assert login["code"] == "bad_file"
    assert f"redirected to {elsewhere.url}/login.gguf, found a page of HTML" in login["error"]
    with serve(file_site(folder)) as closed:
        failed = load(own, f"{elsewhere.url}/moved.gguf?to={closed.url}/Tiny%20Chat.gguf")
    assert failed["code"] == "network"
    assert "or one that it redirects to" in failed["error"]
    assert own.evaluate("harness.entries()") == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_sign_in_is_named_with_what_to_do(own: Page, elsewhere: Site, status: int) -> None:
    elsewhere.faults.append(Fault("Tiny", status=status))
    failed = load(own, f"{elsewhere.url}/Tiny%20Chat.gguf")
    assert failed["code"] == "network"
    for words in (f"HTTP {status}", "needs a sign-in", "serve the file from this page’s own site"):
        assert words in failed["error"]
    assert own.evaluate("harness.entries()") == []
    assert "error" not in load(own, f"{elsewhere.url}/Tiny%20Chat.gguf")


def test_any_file_of_a_split_set_stands_for_all(
    own: Page, site: Site, elsewhere: Site, folder: Path
) -> None:
    first, *_, last = set_names(folder)
    whole = load(own, f"{elsewhere.url}/Tiny%20Chat.gguf")["text"]
    elsewhere.hits.clear()
    loaded = load(own, f"{elsewhere.url}/{last}?download=true")
    assert loaded.get("text", loaded) == whole
    # Each file is small enough to come in one piece.
    assert [hit.path for hit in elsewhere.hits] == [f"/{name}" for name in set_names(folder)]
    (stored,) = [s for s in own.evaluate("harness.SLM.stored()") if s["name"].startswith("set-")]
    address = f"{elsewhere.url}/{first}?download=true"
    assert (stored["state"], stored["source"]) == ("whole", address)
    (made,) = own.evaluate("(name) => harness.manifests(name)", stored["name"])
    assert [file["sha256"] for file in made["files"]] == [
        hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in set_names(folder)
    ]
    open_harness(own, site)
    elsewhere.hits.clear()
    for source in (address, {"stored": stored["name"]}):
        assert load(own, source)["text"] == whole
    assert elsewhere.hits == []


def test_a_split_set_as_an_array(own: Page, elsewhere: Site, folder: Path) -> None:
    whole = load(own, f"{elsewhere.url}/Tiny%20Chat.gguf", storage="memory")["text"]
    names = set_names(folder)
    addresses = [f"{elsewhere.url}/{name}" for name in names]
    # What is named as a set is put in order; other names are in theirs.
    assert load(own, addresses[::-1], storage="memory").get("text") == whole
    others = [f"{elsewhere.url}/other-{i}.gguf" for i in range(len(names))]
    assert load(own, others).get("text") == whole
    assert load_files(own, addresses[::-1]).get("text") == whole
    assert len(own.evaluate("harness.SLM.stored()")) == 2
    for wrong, code, words in (
        ([], "invalid_argument", "found none"),
        (others[1:], "bad_file", "give the files in order"),
        (others[:2], "bad_file", "found 2"),
        ([others[0], *[f"{elsewhere.url}/Tiny%20Chat.gguf"] * 2], "bad_file", "belongs to a set"),
        ([f"{elsewhere.url}/Tiny%20Chat.gguf", others[0]], "bad_file", "one GGUF file"),
    ):
        failed = load(own, wrong)
        assert (failed["code"], words in failed["error"]) == (code, True), failed
    alone = load_file(own, addresses[1], names[1])
    assert (alone["code"], f"{names[1]} alone" in alone["error"]) == ("invalid_argument", True)
    assert len(own.evaluate("harness.SLM.stored()")) == 2


def test_a_split_set_goes_on_where_it_stopped(
    own: Page, context: BrowserContext, site: Site, elsewhere: Site, folder: Path
) -> None:
    names = set_names(folder)
    elsewhere.faults.append(Fault(names[1], hold_after=5000))
    address = f"{elsewhere.url}/{names[0]}"
    own.evaluate(f"(args) => {{ globalThis.result = ({LOAD})(args); }}", [address, {}])
    size = (folder / names[0]).stat().st_size
    own.wait_for_function(f"harness.progress.some(({{loaded}}) => loaded > {size})")
    own.close()
    page = open_harness(context.new_page(), site)
    elsewhere.hits.clear()
    assert "error" not in load(page, address)
    ranges = [hit.range for hit in elsewhere.hits]
    # Of what was whole the last byte, of what was not the rest, and what had not come.
    assert ranges[0] == f"bytes={size - 1}-"
    assert ranges[1] is not None
    assert set(ranges[2:]) == {None}


def test_what_needs_too_much_memory_is_refused_before_it_is_fetched(
    page: Page, site: Site, elsewhere: Site
) -> None:
    site.removed_headers |= {"content-security-policy", "connection-allowlist"}
    before_store(
        page, "Object.defineProperty(WorkerNavigator.prototype, 'deviceMemory', {get: () => 0.05})"
    )
    own = open_harness(page, site)
    # What would come after the header never does.
    elsewhere.faults.append(Fault("long", times=2, hold_after=HEAD + MIB))
    address = f"{elsewhere.url}/long.gguf"
    failed = load(own, address)
    assert failed["code"] == "too_large", failed
    assert "of memory even with a context of 512 tokens" in failed["error"]
    assert len(elsewhere.hits) == 1
    assert own.evaluate("harness.entries()") == []
    assert own.evaluate("harness.SLM.stored()") == []
    assert load(own, address, storage="memory")["code"] == "too_large"
    # Insisted, it is not refused: the whole file comes.
    assert "error" not in load(own, address, force=True)


def test_without_room_a_file_comes_into_memory_and_is_not_begun_twice(
    page: Page, site: Site, elsewhere: Site
) -> None:
    site.removed_headers |= {"content-security-policy", "connection-allowlist"}
    before_store(
        page, "navigator.storage.estimate = async () => ({quota: 5_000_000, usage: 2_000_000})"
    )
    own = open_harness(page, site)
    elsewhere.faults.append(Fault("long", hold_after=0))
    loaded = load(own, f"{elsewhere.url}/long.gguf")
    (notice,) = loaded.get("notices", [loaded])
    assert "of storage, more than this browser gives this site" in notice
    assert "2.0 MB in use of 5.0 MB" in notice
    assert "free some space" in notice
    assert len(elsewhere.hits) == 2
    assert own.evaluate("harness.entries()") == []
    assert own.evaluate("harness.SLM.stored()") == []


def test_room_that_is_not_granted_is_found_out_before_the_file_comes(
    profile: BrowserContext, site: Site, elsewhere: Site
) -> None:
    site.removed_headers |= {"content-security-policy", "connection-allowlist"}
    own = open_harness(profile.new_page(), site)
    cdp = profile.new_cdp_session(own)
    cdp.send("Storage.overrideQuotaForOrigin", {"origin": site.url, "quotaSize": 3 * MIB})
    elsewhere.faults.append(Fault("long", hold_after=0))
    loaded = load(own, f"{elsewhere.url}/long.gguf")
    assert "stays in memory" in loaded["notices"][0]
    assert own.evaluate("harness.entries()") == []


FULL = """{
  const write = FileSystemSyncAccessHandle.prototype.write;
  let room = %d;
  FileSystemSyncAccessHandle.prototype.write = function (bytes, options) {
    room -= bytes.byteLength;
    if (room < 0) throw new DOMException('', 'QuotaExceededError');
    return write.call(this, bytes, options);
  };
}"""


@pytest.mark.parametrize("where", ["header", "middle", "record"])
def test_storage_that_becomes_full_meanwhile_leads_to_memory(
    page: Page, site: Site, elsewhere: Site, folder: Path, where: str
) -> None:
    """Another page of this site, or the rest of the disk, may take the room."""
    site.removed_headers |= {"content-security-policy", "connection-allowlist"}
    size = (folder / "long.gguf").stat().st_size
    room = {"header": 1000, "middle": size // 2, "record": size + 1000}[where]
    before_store(page, FULL % room)
    own = open_harness(page, site)
    loaded = load(own, f"{elsewhere.url}/long.gguf")
    (notice,) = loaded.get("notices", [loaded])
    assert "stays in memory and will be downloaded again next time; free some space" in notice
    assert own.evaluate("harness.entries()") == []
    assert own.evaluate("harness.SLM.stored()") == []


class OnlyWhole:
    """A host that lets other sites read a file, but no part of it."""

    def __init__(self, app: ASGIApp, how: str) -> None:
        self.app = app
        self.how = how

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", []))
        partial = b"range" in headers

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                readable = self.how == "no preflight" or not partial
                allowed = [(b"access-control-allow-origin", b"*")] if readable else []
                message = {**message, "headers": [*message["headers"], *allowed]}
            await send(message)

        await self.app(scope, receive, answer)


@pytest.mark.parametrize("how", ["no preflight", "parts closed"])
def test_a_host_that_gives_no_parts_gives_the_whole(own: Page, folder: Path, how: str) -> None:
    """It refuses every preflight, and perhaps forgets its header on answers with 206."""
    with serve(OnlyWhole(file_site(folder), how)) as elsewhere:
        begin(own, elsewhere, (folder / "Tiny Chat.gguf").stat().st_size // 2)
        elsewhere.release()
        result = own.evaluate("globalThis.result")
        assert "error" not in result, result
        whole = [hit for hit in elsewhere.hits if hit.range is None]
        assert len(whole) == (1 if how == "no preflight" else 3)
    assert own.evaluate("harness.SLM.stored()")[0]["state"] == "whole"


def test_a_page_in_place_of_the_rest_takes_nothing_away(
    own: Page, elsewhere: Site, folder: Path
) -> None:
    begin(own, elsewhere, (folder / "Tiny Chat.gguf").stat().st_size // 2)
    elsewhere.faults.append(Fault("Tiny", times=2, page=True))
    elsewhere.release()
    result = own.evaluate("globalThis.result")
    assert "error" not in result, result
    assert [hit.range is not None for hit in elsewhere.hits] == [False, True, True, True]


def test_a_file_that_was_whole_is_not_fetched_again(
    context: BrowserContext, site: Site, elsewhere: Site, folder: Path
) -> None:
    """The tab was closed while it was being hashed."""
    site.removed_headers |= {"content-security-policy", "connection-allowlist"}
    first = context.new_page()
    before_store(first, "crypto.subtle.digest = () => new Promise(() => {})")
    open_harness(first, site)
    address = f"{elsewhere.url}/Tiny%20Chat.gguf"
    first.evaluate(f"(args) => {{ globalThis.result = ({LOAD})(args); }}", [address, {}])
    first.wait_for_function("harness.progress.some(({phase}) => phase === 'check')")
    first.close()
    elsewhere.hits.clear()
    result = load(open_harness(context.new_page(), site), address)
    assert "error" not in result, result
    size = (folder / "Tiny Chat.gguf").stat().st_size
    assert [hit.range for hit in elsewhere.hits] == [f"bytes={size - 1}-"]


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
