"""The memory check before a download: in the released page's shell, in the API, and as drawn.

A manifest that claims a large model over a few random bytes: nothing of it may be fetched when the
device cannot have it. The rule itself is tests/web/unit/room.test.ts's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from slmweb.server.app import Folders, create_app
from tests.web.chat_page import open_chat
from tests.web.conftest import ROOT, pack_bytes
from tests.web.serving import Site, serve

CHUNK = r"/[0-9a-f]{64}$"
MEMORY_OF_1_GB = "Object.defineProperty(Navigator.prototype, 'deviceMemory', {get: () => 1});"
# As much of a GPU as the check before a download asks for.
A_GPU = """
  const limits = {maxStorageBuffersPerShaderStage: 8, maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupSizeX: 256, maxComputeWorkgroupStorageSize: 16384};
  const info = {vendor: 'test', architecture: '', device: '', description: ''};
  const gpu = {requestAdapter: () => Promise.resolve({info, limits})};
  Object.defineProperty(Navigator.prototype, 'gpu', {get: () => gpu});
"""
PATIENCE_MS = 30_000


def claim(models: Path, name: str, weights: int, contexts: list[list[int]], n_ctx: int) -> None:
    """Packs a few bytes as a model that says that it takes this much memory."""
    pack_bytes(models, name, [[1000]])
    path = models / name / "manifest.json"
    manifest: dict[str, Any] = json.loads(path.read_bytes())
    listed = [{"n_ctx": n, "bytes": size} for n, size in contexts]
    manifest["memory"] = {"weights": weights, "n_ctx_default": n_ctx, "contexts": listed}
    manifest["context_length"] = n_ctx
    path.write_text(json.dumps(manifest))


@pytest.fixture
def released(models: Path) -> Iterator[Site]:
    """The released page over the models of this test."""
    folders = Folders(web=ROOT / "dist/web", wasm=ROOT / "dist/wasm", models=models)
    with serve(create_app(folders)) as running:
        yield running


def test_an_estimate_refuses_until_the_person_insists(
    page: Page, models: Path, released: Site
) -> None:
    claim(models, "large", 700_000_000, [[512, 10_000_000], [2048, 40_000_000]], 2048)
    page.add_init_script(MEMORY_OF_1_GB)
    page.goto(released.url)
    frame = page.frame_locator("iframe#sandbox")
    alert = frame.get_by_role("alert")
    expect(alert).to_contain_text("large needs 744 MB of memory", timeout=PATIENCE_MS)
    expect(alert).to_contain_text("at most 429 MB of the 1 GB that this device reports")
    assert released.paths(CHUNK) == []
    frame.get_by_role("button", name="Try anyway").click()
    # The bytes are no model, which the engine says after they were fetched.
    expect(alert).not_to_contain_text("429 MB", timeout=PATIENCE_MS)
    expect(frame.get_by_role("button", name="Try again")).to_be_visible(timeout=PATIENCE_MS)
    assert len(released.paths(CHUNK)) > 0


def test_a_hard_limit_cannot_be_overruled(page: Page, models: Path, released: Site) -> None:
    claim(models, "huge", 5_000_000_000, [[512, 10_000_000], [2048, 40_000_000]], 2048)
    page.goto(released.url)
    frame = page.frame_locator("iframe#sandbox")
    alert = frame.get_by_role("alert")
    expect(alert).to_contain_text("huge needs 5.0 GB of memory even with", timeout=PATIENCE_MS)
    expect(alert).to_contain_text("this browser gives a page at most")
    expect(alert.get_by_role("button")).to_have_count(0)
    assert released.paths(CHUNK) == []


def test_with_a_gpu_it_limits_nothing_unless_the_cpu_is_asked_for(
    page: Page, models: Path, released: Site
) -> None:
    claim(models, "huge", 5_000_000_000, [[512, 10_000_000], [2048, 40_000_000]], 2048)
    page.add_init_script(A_GPU)
    page.goto(f"{released.url}/?backend=cpu")
    frame = page.frame_locator("iframe#sandbox")
    expect(frame.get_by_role("alert")).to_contain_text("5.0 GB", timeout=PATIENCE_MS)
    assert released.paths(CHUNK) == []
    page.goto(released.url)
    # The bytes are no model, which the engine says after they were fetched.
    button = frame.get_by_role("button", name="Try again")
    expect(button).to_be_visible(timeout=PATIENCE_MS)
    assert len(released.paths(CHUNK)) > 0


def test_the_api_refuses_and_shortens_too(harness: Page, models: Path, site: Site) -> None:
    claim(models, "large", 300_000_000, [[512, 30_000_000], [2048, 400_000_000]], 2048)
    claim(models, "huge", 5_000_000_000, [[512, 30_000_000]], 512)
    harness.add_init_script(MEMORY_OF_1_GB)
    harness.reload()
    load = """async (name) => {
      const notices = [];
      const codes = [];
      const outcome = await harness.outcome(harness.SLM.load(`/models/${name}/manifest.json`, {
        baseUrl: '/', onNotice: (sentence, { code }) => {
          notices.push(sentence);
          codes.push(code);
        },
      }));
      return {outcome, notices, codes};
    }"""
    huge = harness.evaluate(load, "huge")
    assert huge["outcome"]["code"] == "too_large"
    assert site.paths(CHUNK) == []
    shortened = harness.evaluate(load, "large")
    assert "512 tokens instead of 2,048 tokens" in shortened["notices"][0]
    assert shortened["codes"] == ["context_by_device"]
    assert len(site.paths(CHUNK)) == 1


def test_what_a_model_needs_is_said_before_it_is_chosen(page: Page) -> None:
    chat = open_chat(page, models=[{"stored": False}, {"name": "b", "title": "B", "stored": False}])
    offer = chat.frame.get_by_role("button", name="SmolLM2 135M Instruct")
    expect(offer).to_contain_text("Download 98.4 MB, about 181 MB of memory")


def test_opening_says_what_it_takes(page: Page) -> None:
    chat = open_chat(page, models=[{"stored": False}], manualOpen=True)
    opening = chat.frame.locator(".opening")
    expect(opening).to_contain_text("98.4 MB · about 157 MB of memory")
    details = "{needed: 744e6, available: 429e6, estimate: true}"
    chat.mock(f"openFails('too_large', 'It needs 744 MB and may take 429 MB.', {details})")
    expect(opening.get_by_role("button")).to_have_text(["Try anyway"])
    opening.get_by_role("button").click()
    chat.drawn()
    assert chat.frame.evaluate("mock.forced") == [False, True]
    hard = details.replace("true", "false")
    chat.mock(f"openFails('too_large', 'It needs 5 GB and may take 4.3 GB.', {hard})")
    expect(opening).to_contain_text("It needs 5 GB and may take 4.3 GB.")
    expect(opening.get_by_role("button")).to_have_count(0)


def test_a_shorter_context_is_said_until_the_chat_begins(page: Page) -> None:
    figures = {"n_ctx": 1024, "wanted": 2048, "needed": 454e6, "available": 429e6}
    chat = open_chat(page, roomNotice={"code": "context_by_device", **figures, "device_memory": 1})
    notice = (
        "The context is 1,024 tokens instead of 2,048, which would need 454 MB of memory; "
        "a page should take at most 429 MB of the 1 GB that this device reports."
    )
    note = chat.frame.locator(".opening-note")
    expect(note).to_have_text(notice)
    chat.ask("Hello", "Hi.")
    expect(note).to_be_hidden()
    chat.frame.get_by_role("button", name="About SmolLM2 135M Instruct").click()
    expect(chat.frame.get_by_role("dialog")).to_contain_text(notice)
