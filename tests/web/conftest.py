"""The browser and the servers of the web tests.

Owns how Chromium is started (Debian's, without its own background traffic) and
which bundles the pages under test are made of. What a page does is each test's.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, BrowserType, Page, Playwright

from slmweb.pack.manifest import (
    Chunk,
    ContextMemory,
    Manifest,
    Memory,
    PackedFile,
    content_root,
)
from slmweb.server.app import Folders, create_app
from tests.web.chat_page import ChatPage, open_chat
from tests.web.serving import Site, serve

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ESBUILD = ROOT / "node_modules" / ".bin" / "esbuild"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]
GPU_ARGS = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lets a page that hangs fail its own test and no other: Playwright waits for what a page
    evaluates for ever, and a signal ends that wait, where the watching thread would end the run."""
    for item in items:
        if item.path.is_relative_to(HERE) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(method="signal"))


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Debian's Chromium where there is one, else Playwright's own."""
    args = {**browser_type_launch_args, "args": CHROMIUM_ARGS}
    return {**args, "executable_path": CHROMIUM} if CHROMIUM else args


@pytest.fixture(scope="module")
def gpu_browser(
    browser_type: BrowserType, browser_type_launch_args: dict[str, Any]
) -> Iterator[Browser]:
    """One whose GPU is emulated; tests of WebGPU are skipped where it has none."""
    args = [*CHROMIUM_ARGS, *GPU_ARGS]
    browser = browser_type.launch(**{**browser_type_launch_args, "args": args})
    page = browser.new_page()
    page.goto("chrome://version")  # a secure context that needs no server
    found = page.evaluate("navigator.gpu?.requestAdapter().then((adapter) => adapter !== null)")
    page.close()
    if not found:
        browser.close()
        pytest.skip("no WebGPU here: Chromium has no emulated GPU")
    yield browser
    browser.close()


def bundle(source: Path, target: Path, kind: str = "iife") -> None:
    """Bundles one TypeScript entry; warnings are errors."""
    command = [
        str(ESBUILD), str(source), "--bundle", f"--format={kind}", "--target=es2022",
        "--loader:.css=text", "--log-level=warning", f"--outfile={target}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture(scope="session")
def harness_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A web folder with the harness page, and the workers as `SLM.load` finds them."""
    folder = tmp_path_factory.mktemp("web")
    bundle(ROOT / "tests/web/harness.ts", folder / "harness.js", "esm")
    bundle(ROOT / "web/src/store/worker.ts", folder / "store.js")
    bundle(ROOT / "web/src/worker/index.ts", folder / "worker.js")
    (folder / "assets.json").write_text('{"store.js": "store.js", "worker.js": "worker.js"}')
    (folder / "harness.html").write_text(
        '<!doctype html><title>loading</title><script type="module" src="harness.js"></script>'
    )
    return folder


@dataclass(frozen=True)
class PackedBytes:
    """Random bytes packed like a model, for tests of storage that never compute."""

    name: str
    sha256: tuple[str, ...]
    chunks: tuple[str, ...]
    root: str


def pack_bytes(
    models: Path, name: str, sizes: list[list[int]], seed: int = 1, version: str | None = None
) -> PackedBytes:
    """Packs files with chunks of the given sizes."""
    source = random.Random(seed)
    return pack_chunks(models, name, [[source.randbytes(n) for n in s] for s in sizes], version)


def pack_chunks(
    models: Path, name: str, contents: list[list[bytes]], version: str | None = None
) -> PackedBytes:
    """Packs files that consist of these chunks."""
    folder = models / name
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for index, chunks in enumerate(contents):
        listed = tuple(Chunk(hashlib.sha256(c).hexdigest(), len(c)) for c in chunks)
        for entry, chunk in zip(listed, chunks, strict=True):
            (folder / entry.sha256).write_bytes(chunk)
        whole = b"".join(chunks)
        digest = hashlib.sha256(whole).hexdigest()
        files.append(PackedFile(f"part-{index}.gguf", len(whole), digest, listed))
    manifest = Manifest(
        name=name,
        title=name,
        version=version,
        architecture="none",
        parameters=0,
        context_length=64,
        license=None,
        license_url=None,
        source="tests",
        chat_template=None,
        size=sum(file.size for file in files),
        memory=Memory(0, 64, (ContextMemory(64, 1),)),
        sampling={},
        root=content_root(files),
        files=tuple(files),
    )
    (folder / "manifest.json").write_bytes(manifest.to_json())
    return PackedBytes(
        name,
        tuple(file.sha256 for file in files),
        tuple(chunk.sha256 for file in files for chunk in file.chunks),
        manifest.root,
    )


@pytest.fixture(scope="module")
def shared_page(browser: Browser) -> Iterator[Page]:
    """One page for many tests: each opens its own chat in it, which starts from nothing."""
    with browser.new_context() as context:
        yield context.new_page()


@pytest.fixture
def chat(shared_page: Page) -> ChatPage:
    """A chat of its own in it, with the mock engine; files that need another have their own."""
    return open_chat(shared_page)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def site(harness_folder: Path, models: Path) -> Iterator[Site]:
    """The harness page at /assets/harness.html, over the models of this test."""
    folders = Folders(web=harness_folder, wasm=ROOT / "dist" / "wasm", models=models)
    with serve(create_app(folders)) as running:
        yield running


@pytest.fixture
def harness(page: Page, site: Site) -> Page:
    return open_harness(page, site)


def open_harness(page: Page, site: Site) -> Page:
    page.goto(f"{site.url}/assets/harness.html")
    # Module scripts have run when the load event fires, so the harness is there.
    assert page.title() == "ready"
    return page


@contextmanager
def profile_on_disk(
    playwright: Playwright, launch_args: dict[str, Any], folder: Path
) -> Iterator[BrowserContext]:
    """A browser with a profile on disk; Playwright's other contexts are private windows.

    Debian switches network prediction off, which would make every test of
    prefetching and preconnecting pass for the wrong reason.
    """
    (folder / "Default").mkdir(parents=True)
    preferences = {"net": {"network_prediction_options": 0}}
    (folder / "Default" / "Preferences").write_text(json.dumps(preferences))
    context = playwright.chromium.launch_persistent_context(folder, **launch_args)
    yield context
    context.close()


@pytest.fixture
def profile(
    playwright: Playwright, browser_type_launch_args: dict[str, Any], tmp_path: Path
) -> Iterator[BrowserContext]:
    with profile_on_disk(playwright, browser_type_launch_args, tmp_path / "profile") as context:
        yield context
