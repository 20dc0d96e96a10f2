"""Versions of a model in a real browser: only what changed is fetched, and nothing that is
stored is harmed by an update, however it ends.

The bytes that come are counted on the server and compared with what was packed.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page

from slmweb.pack.sign import PublicKey, generate_key, read_private_key, sign
from tests.web.conftest import PackedBytes, open_harness, pack_chunks
from tests.web.serving import Fault, Site
from tests.web.test_storage import CHUNK, assert_whole, inject_into_store, open_model

KB = 1000
NAME = "model"


def drawn(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


# Five chunks; version n has another second chunk than the others.
SHARED = [drawn(i, 200 * KB) for i in range(4)]


def release(models: Path, n: int, size: int = 50 * KB, **options: Any) -> PackedBytes:
    chunks = [SHARED[0], drawn(100 + n, size), *SHARED[1:]]
    return pack_chunks(models, NAME, [chunks], version=f"v{n}", **options)


def requested(site: Site) -> list[str]:
    return [hit.path.rpartition("/")[2] for hit in site.paths(CHUNK)]


def test_a_new_version_fetches_only_what_changed(harness: Page, site: Site, models: Path) -> None:
    old = release(models, 1)
    assert_whole(open_model(harness, old), old)
    # A tensor of another size moves everything behind it.
    new = release(models, 2, size=70 * KB)
    site.hits.clear()
    assert_whole(open_model(harness, new), new)
    assert requested(site) == [new.chunks[1]]
    assert sum(hit.range is not None for hit in site.paths(CHUNK)) == 0
    reports = [r for r in harness.evaluate("harness.progress") if r["phase"] == "download"]
    assert reports[-1]["loaded"] - reports[-1]["total"] == 0
    assert harness.evaluate("harness.versions('model')") == [new.root, old.root]


def test_the_version_before_is_kept_and_the_one_before_that_is_not(
    harness: Page, models: Path
) -> None:
    versions = []
    for n in (1, 2, 3):
        versions.append(release(models, n))
        assert_whole(open_model(harness, versions[-1]), versions[-1])
    first, second, third = versions
    assert harness.evaluate("harness.versions('model')") == [third.root, second.root]
    left = " ".join(harness.evaluate("harness.entries()"))
    assert first.sha256[0] not in left
    assert first.root not in left


def test_one_can_go_back_and_forth_without_a_request(
    harness: Page, site: Site, models: Path
) -> None:
    old, new = release(models, 1), release(models, 2)
    release(models, 1)
    open_model(harness, old)
    release(models, 2)
    open_model(harness, new)
    site.hits.clear()
    harness.evaluate(f"harness.goBack('model', '{old.root}')")
    assert harness.evaluate("harness.versions('model')") == [old.root, new.root]
    assert_whole(open_model(harness, new), new)
    assert harness.evaluate("harness.versions('model')") == [new.root, old.root]
    assert site.paths(CHUNK) == []
    harness.evaluate("harness.removeOthers('model')")
    assert harness.evaluate("harness.versions('model')") == [new.root]
    assert old.sha256[0] not in " ".join(harness.evaluate("harness.entries()"))


def test_an_interrupted_update_leaves_the_old_version_and_goes_on(
    context: BrowserContext, site: Site, models: Path
) -> None:
    old = release(models, 1)
    page = open_harness(context.new_page(), site)
    open_model(page, old)
    new = release(models, 2, size=2000 * KB)
    site.faults.append(Fault(new.chunks[1], hold_after=1500 * KB))
    page.evaluate("void harness.open('model')")
    page.evaluate(f"harness.reported('download', {800 * KB + 1200 * KB})")
    page.close()

    second = open_harness(context.new_page(), site)
    assert second.evaluate("harness.versions('model')") == [old.root]
    (names,) = [second.evaluate("harness.entries()")]
    assert any(f"{new.sha256[0]}.part" in name for name in names)
    # What runs the old version finds it whole, and what goes on with the new one fetches the rest.
    site.hits.clear()
    assert_whole(open_model(second, new), new)
    (hit,) = site.paths(CHUNK)
    assert hit.path.endswith(new.chunks[1])
    assert hit.range is not None
    assert int(hit.range.removeprefix("bytes=").removesuffix("-")) >= 1000 * KB
    assert second.evaluate("harness.versions('model')") == [new.root, old.root]


def test_an_update_that_is_aborted_leaves_the_old_version(
    harness: Page, site: Site, models: Path
) -> None:
    old = release(models, 1)
    open_model(harness, old)
    new = release(models, 2, size=2000 * KB)
    site.faults.append(Fault(new.chunks[1], hold_after=1500 * KB))
    harness.evaluate("globalThis.result = harness.open('model'); 0")
    harness.evaluate(f"harness.reported('download', {800 * KB + 1200 * KB})")
    harness.evaluate("harness.abort()")
    assert harness.evaluate("globalThis.result")["code"] == "AbortError"
    assert harness.evaluate("harness.versions('model')") == [old.root]


def test_a_rotten_chunk_of_the_old_version_is_fetched(
    harness: Page, site: Site, models: Path
) -> None:
    old = release(models, 1)
    open_model(harness, old)
    harness.evaluate(f"harness.damage('model', '{old.sha256[0]}', 5, [1, 2, 3, 4])")
    new = release(models, 2)
    site.hits.clear()
    assert_whole(open_model(harness, new), new)
    assert sorted(requested(site)) == sorted([new.chunks[0], new.chunks[1]])


def test_files_that_a_tab_holds_stay_readable_through_updates(
    context: BrowserContext, site: Site, models: Path
) -> None:
    """The tab runs version 1 while another one goes on to 2 and 3."""
    old = release(models, 1)
    first = open_harness(context.new_page(), site)
    open_model(first, old)
    second = open_harness(context.new_page(), site)
    for n in (2, 3):
        new = release(models, n)
        assert_whole(open_model(second, new), new)
    # Version 3 opens, 2 is the one before, and 1 is kept because a tab runs it.
    assert second.evaluate("harness.versions('model')")[0] == new.root
    assert old.root in second.evaluate("harness.versions('model')")
    release(models, 1)
    assert_whole(open_model(first, old, turn=False), old)
    first.close()
    newest = release(models, 4)
    assert_whole(open_model(second, newest), newest)
    assert second.evaluate("harness.versions('model')") == [newest.root, new.root]


def test_two_tabs_update_at_once(context: BrowserContext, site: Site, models: Path) -> None:
    old = release(models, 1)
    tabs = [open_harness(context.new_page(), site) for _ in range(2)]
    for tab in tabs:
        open_model(tab, old)
    new = release(models, 2)
    site.hits.clear()
    for tab in tabs:
        tab.evaluate("globalThis.result = harness.open('model'); 0")
    for tab in tabs:
        assert_whole(tab.evaluate("globalThis.result"), new)
    assert requested(site) == [new.chunks[1]]


def test_new_words_about_the_same_bytes_fetch_nothing(
    harness: Page, site: Site, models: Path
) -> None:
    model = release(models, 1)
    open_model(harness, model)
    path = models / NAME / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "title": "A better title"}))
    site.hits.clear()
    assert_whole(open_model(harness, model), model)
    assert site.paths(CHUNK) == []
    assert harness.evaluate("harness.versions('model')") == [model.root]
    titles = harness.evaluate("harness.titles('model')")
    assert titles == ["A better title"]


def test_a_lost_or_torn_pointer_leads_to_a_version_that_is_there(
    harness: Page, models: Path
) -> None:
    old = release(models, 1)
    open_model(harness, old)
    new = release(models, 2)
    open_model(harness, new)
    harness.evaluate("harness.damage('model', 'current', 0, [1, 2, 3])")
    assert set(harness.evaluate("harness.versions('model')")) == {old.root, new.root}
    harness.evaluate(f"harness.damage('model', '{new.root}.version', 0, [1, 2, 3])")
    assert harness.evaluate("harness.versions('model')") == [old.root]
    assert_whole(open_model(harness, new), new)


def test_without_room_for_three_the_oldest_goes(page: Page, site: Site, models: Path) -> None:
    # Room for two versions of about 0.85 MB; what is stored counts.
    inject_into_store(
        page,
        """navigator.storage.estimate = async () => {
          let usage = 0;
          const root = await navigator.storage.getDirectory();
          const models = await root.getDirectoryHandle('slmweb-models');
          for await (const folder of models.values())
            for await (const file of folder.values()) usage += (await file.getFile()).size;
          return {quota: 2_000_000, usage};
        }""",
    )
    open_harness(page, site)
    versions = [release(models, n) for n in (1, 2)]
    for n, version in enumerate(versions, 1):
        release(models, n)
        assert_whole(open_model(page, version), version)
    third = release(models, 3)
    assert_whole(open_model(page, third), third)
    assert page.evaluate("harness.versions('model')") == [third.root, versions[1].root]
    # What fits beside nothing leaves alone what is there.
    huge = release(models, 4, size=1500 * KB)
    failed = open_model(page, huge, mustStore=True)
    assert failed["code"] == "no_room"
    assert "so it was not fetched; free some space" in failed["error"]
    assert page.evaluate("harness.versions('model')")[0] == third.root


@pytest.fixture
def key(tmp_path: Path) -> PublicKey:
    return generate_key(tmp_path / "release.key")


def test_a_signed_model_opens(harness: Page, models: Path, tmp_path: Path, key: PublicKey) -> None:
    model = release(models, 1)
    sign(models / NAME, read_private_key(tmp_path / "release.key"))
    assert_whole(open_model(harness, model, publicKey=key.base64), model)
    assert harness.evaluate("key => harness.versions('model', key)", key.base64) == [model.root]


@pytest.mark.parametrize("what", ["unsigned", "other key", "manifest", "signature", "no line"])
def test_what_is_not_signed_by_the_key_is_refused(
    harness: Page, site: Site, models: Path, tmp_path: Path, key: PublicKey, what: str
) -> None:
    model = release(models, 1)
    path = models / NAME / "manifest.json.sig"
    expected = key
    if what == "other key":
        expected = generate_key(tmp_path / "other.key")
    if what != "unsigned":
        sign(models / NAME, read_private_key(tmp_path / "release.key"))
    if what == "manifest":
        manifest = models / NAME / "manifest.json"
        manifest.write_bytes(manifest.read_bytes().replace(b'"v1"', b'"v2"'))
    if what == "signature":
        line = path.read_text()
        path.write_text(line[:30] + ("A" if line[30] != "A" else "B") + line[31:])
    if what == "no line":
        path.write_text("signed, honestly")
    failed = open_model(harness, model, publicKey=expected.base64)
    assert failed["code"] == "bad_signature"
    sentence = {
        "unsigned": "found no signature",
        "other key": f"found the key {key.id} instead of {expected.id}",
        "manifest": "found that it was changed after it was signed",
        "signature": "found that it was changed after it was signed",
        "no line": "found something that is no signature",
    }[what]
    assert sentence in failed["error"]
    assert site.paths(CHUNK) == []


def test_a_stored_version_has_to_be_signed_too(
    harness: Page, models: Path, tmp_path: Path, key: PublicKey
) -> None:
    model = release(models, 1)
    open_model(harness, model)
    versions = "key => harness.versions('model', key)"
    assert harness.evaluate(versions, key.base64) == []
    # Signed meanwhile: the record takes it over and no byte is fetched again.
    sign(models / NAME, read_private_key(tmp_path / "release.key"))
    assert_whole(open_model(harness, model, publicKey=key.base64), model)
    assert harness.evaluate(versions, key.base64) == [model.root]
    # Somebody changes what is stored.
    harness.evaluate(
        """async (root) => {
          const folder = await (await navigator.storage.getDirectory())
            .getDirectoryHandle('slmweb-models').then((all) => all.getDirectoryHandle('model'));
          const handle = await folder.getFileHandle(`${root}.version`);
          const text = await (await handle.getFile()).text();
          const writable = await handle.createWritable();
          await writable.write(text.replace('v1', 'v2'));
          await writable.close();
        }""",
        model.root,
    )
    assert harness.evaluate(versions, key.base64) == []
    assert harness.evaluate(versions, None) == [model.root]


def test_a_browser_that_cannot_check_refuses(
    page: Page, site: Site, models: Path, tmp_path: Path, key: PublicKey
) -> None:
    page.add_init_script(
        """crypto.subtle.importKey = async () => {
          throw new DOMException('Unrecognized name.', 'NotSupportedError');
        }"""
    )
    model = release(models, 1)
    sign(models / NAME, read_private_key(tmp_path / "release.key"))
    failed = open_model(open_harness(page, site), model, publicKey=key.base64)
    assert failed["code"] == "unsupported"
    assert "update the browser" in failed["error"]
    assert site.paths(CHUNK) == []


def test_what_is_no_key_is_said_before_anything_is_fetched(harness: Page, site: Site) -> None:
    site.hits.clear()
    result = harness.evaluate(
        "harness.outcome(harness.SLM.load('/models/model/manifest.json', {publicKey: 'mine'}))"
    )
    assert result["code"] == "invalid_argument"
    assert "slmweb keygen" in result["error"]
    assert site.hits == []


def test_a_manifest_of_another_schema_or_root_is_refused(harness: Page, models: Path) -> None:
    model = release(models, 1)
    path = models / NAME / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "schema": 1}))
    failed = open_model(harness, model)
    assert failed["code"] == "bad_manifest"
    assert "pack the model again" in failed["error"]
    manifest["files"][0]["chunks"].reverse()
    path.write_text(json.dumps(manifest))
    failed = open_model(harness, model)
    assert failed["code"] == "bad_manifest"
    assert "expected root to be that of its chunks" in failed["error"]
