"""The store in a real browser, on networks and disks that fail.

Every test ends by comparing the bytes that the page can read with the bytes
that were packed: a download that merely ended is not a success.
"""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page, Route

from tests.web.conftest import PackedBytes, open_harness, pack_bytes, pack_chunks
from tests.web.serving import Fault, Site

MIB = 1024 * 1024
CHUNK = r"/[0-9a-f]{64}$"


def small(models: Path) -> PackedBytes:
    return pack_bytes(models, "small", [[65536, 65536, 1000], [65536, 7]])


def open_model(page: Page, model: PackedBytes, **options: Any) -> dict[str, Any]:
    result: dict[str, Any] = page.evaluate(
        "([name, options]) => harness.open(name, options)", [model.name, options]
    )
    return result


def assert_whole(result: dict[str, Any], model: PackedBytes, kind: str = "opfs") -> None:
    assert "error" not in result, result
    assert result["kind"] == kind
    assert tuple(result["sha256"]) == model.sha256


def test_download_is_stored_and_not_fetched_again(harness: Page, site: Site, models: Path) -> None:
    model = small(models)
    assert_whole(open_model(harness, model), model)
    assert len(site.paths(CHUNK)) == len(model.chunks)
    assert harness.evaluate("harness.stored()") == ["small"]
    # Final names and the records; no partial file and no journal is left.
    assert sorted(entry.split()[0] for entry in harness.evaluate("harness.entries()")) == sorted(
        [f"small/{sha}" for sha in model.sha256] + [f"small/{model.root}.version", "small/current"]
    )
    open_harness(harness, site)
    site.hits.clear()
    again = open_model(harness, model)
    assert_whole(again, model)
    assert again["phases"] == ["check"]
    assert site.paths(CHUNK) == []


def test_progress_ends_at_the_total_and_never_passes_it(harness: Page, models: Path) -> None:
    model = pack_bytes(models, "large", [[2 * MIB] * 4])
    assert_whole(open_model(harness, model), model)
    reports = [r for r in harness.evaluate("harness.progress") if r["phase"] == "download"]
    loaded = [r["loaded"] for r in reports]
    assert loaded == sorted(loaded)
    assert loaded[-1] == 8 * MIB == reports[-1]["total"]
    assert reports[-1]["rate"] > 0
    assert reports[-1]["remaining"] == 0


def test_four_chunks_at_a_time(harness: Page, site: Site, models: Path) -> None:
    model = pack_bytes(models, "many", [[5000] * 12])
    site.most_active = 0
    site.faults.append(Fault(CHUNK, times=4, hold_after=1000))
    harness.evaluate("globalThis.result = harness.open('many'); 0")
    harness.evaluate("harness.reported('download', 4000)")
    assert site.active == 4
    site.release()
    assert_whole(harness.evaluate("globalThis.result"), model)
    assert site.most_active == 4


def start_and_break(page: Page, site: Site) -> None:
    """Begins `globalThis.result` and breaks its connection once a part has arrived.

    A connection that is cut at once may take with it what the page has not read yet.
    """
    site.faults.insert(0, Fault(CHUNK, hold_after=MIB))
    page.evaluate("globalThis.result = harness.open('large'); 0")
    page.evaluate(f"harness.reported('download', {MIB // 2})")
    site.release()


def test_broken_connection_is_continued_with_range(harness: Page, site: Site, models: Path) -> None:
    model = pack_bytes(models, "large", [[2 * MIB]])
    start_and_break(harness, site)
    assert_whole(harness.evaluate("globalThis.result"), model)
    first, second = site.paths(CHUNK)
    assert first.range is None
    assert second.range is not None
    start = int(second.range.removeprefix("bytes=").removesuffix("-"))
    assert MIB // 2 <= start <= MIB


def test_server_that_ignores_range_starts_the_chunk_over(
    harness: Page, site: Site, models: Path
) -> None:
    model = pack_bytes(models, "large", [[2 * MIB]])
    site.faults.append(Fault(CHUNK, ignore_range=True))
    start_and_break(harness, site)
    assert_whole(harness.evaluate("globalThis.result"), model)
    first, second = site.paths(CHUNK)
    assert first.range is None
    assert second.range is not None


def test_closed_tab_is_continued_with_range(
    context: BrowserContext, site: Site, models: Path
) -> None:
    model = pack_bytes(models, "large", [[4 * MIB]])
    site.faults.append(Fault(CHUNK, hold_after=3 * MIB))
    page = open_harness(context.new_page(), site)
    page.evaluate("void harness.open('large')")
    page.evaluate(f"harness.reported('download', {2 * MIB})")
    page.close()
    second = open_harness(context.new_page(), site)
    unfinished = second.evaluate("harness.entries()")
    kinds = {entry.split()[0].rpartition(".")[2] for entry in unfinished}
    assert kinds == {"part", "journal", "version"}
    assert second.evaluate("harness.stored()") == []
    site.hits.clear()
    assert_whole(open_model(second, model), model)
    (hit,) = site.paths(CHUNK)
    assert hit.range is not None
    assert int(hit.range.removeprefix("bytes=").removesuffix("-")) >= MIB


def test_verified_chunks_survive_a_failed_download(harness: Page, site: Site, models: Path) -> None:
    model = small(models)
    site.faults.append(Fault(model.chunks[-1], status=404, times=1))
    failed = open_model(harness, model)
    assert failed["code"] == "network"
    assert "HTTP 404" in failed["error"]
    # The lanes that were under way may have been stopped with it; nothing has a final name yet.
    names = {entry.split()[0].rpartition("/")[2] for entry in harness.evaluate("harness.entries()")}
    assert names.isdisjoint(model.sha256)
    assert_whole(open_model(harness, model), model)


def test_server_errors_are_retried(harness: Page, site: Site, models: Path) -> None:
    model = small(models)
    site.faults.append(Fault(model.chunks[0], status=503, times=3))
    assert_whole(open_model(harness, model), model)
    assert len(site.paths(model.chunks[0])) == 4


def test_dead_server_is_given_up_with_a_sentence(harness: Page, site: Site, models: Path) -> None:
    model = small(models)
    site.faults.append(Fault(model.chunks[0], status=503, times=100))
    failed = open_model(harness, model)
    assert failed["code"] == "network"
    assert "after 10 attempts" in failed["error"]
    assert "HTTP 503" in failed["error"]


def test_a_page_in_place_of_a_chunk_is_no_data(harness: Page, site: Site, models: Path) -> None:
    """With status 200, as a proxy sends it whose login has run out."""
    model = small(models)
    site.faults.append(Fault(CHUNK, times=2, page=True))
    assert_whole(open_model(harness, model), model)


def test_a_page_that_stays_is_named(harness: Page, site: Site, models: Path) -> None:
    site.faults.append(Fault(CHUNK, times=1000, page=True))
    failed = open_model(harness, small(models))
    assert failed["code"] == "network"
    assert "a web page in place of" in failed["error"]


def test_a_page_in_place_of_the_rest_leaves_what_has_arrived(
    harness: Page, site: Site, models: Path
) -> None:
    model = pack_bytes(models, "large", [[2 * MIB]])
    site.faults.append(Fault(CHUNK, times=2, page=True))
    start_and_break(harness, site)
    assert_whole(harness.evaluate("globalThis.result"), model)
    first, *others = site.paths(CHUNK)
    assert first.range is None
    assert len(others) == 3
    # Every other one asks for the same rest.
    assert {hit.range for hit in others} == {others[0].range}
    assert others[0].range is not None


def test_a_page_in_place_of_a_manifest_is_no_manifest(
    harness: Page, site: Site, models: Path
) -> None:
    model = small(models)
    site.faults.append(Fault(r"manifest\.json$", page=True))
    failed = open_model(harness, model)
    assert failed["code"] == "network"
    assert "a web page in place of" in failed["error"]
    assert_whole(open_model(harness, model), model)


def test_corrupted_chunk_is_fetched_again(harness: Page, site: Site, models: Path) -> None:
    model = small(models)
    site.faults.append(Fault(model.chunks[1], flip=True))
    assert_whole(open_model(harness, model), model)
    assert len(site.paths(model.chunks[1])) == 2


def test_chunk_that_stays_corrupt_is_an_error_with_both_hashes(
    harness: Page, site: Site, models: Path
) -> None:
    model = small(models)
    site.faults.append(Fault(model.chunks[1], flip=True, times=100))
    failed = open_model(harness, model)
    assert failed["code"] == "corrupt"
    assert model.chunks[1][:12] in failed["error"]
    assert len(site.paths(model.chunks[1])) == 3
    assert harness.evaluate("harness.stored()") == []


def test_damage_on_disk_is_found_and_repaired(harness: Page, site: Site, models: Path) -> None:
    model = small(models)
    open_model(harness, model)
    harness.evaluate(f"harness.damage('small', '{model.sha256[0]}', 70000, [1, 2, 3, 4])")
    site.hits.clear()
    assert_whole(open_model(harness, model, verify=True), model)
    assert [hit.path.rpartition("/")[2] for hit in site.paths(CHUNK)] == [model.chunks[1]]


def test_other_chunk_sizes_do_not_confuse_the_journal(
    harness: Page, site: Site, models: Path
) -> None:
    """The same file packed with other chunks: what the journal vouched for is another range."""
    model = pack_bytes(models, "again", [[60_000, 60_000]])
    site.faults.append(Fault(model.chunks[1], status=404))
    assert open_model(harness, model)["code"] == "network"
    whole = b"".join((models / "again" / chunk).read_bytes() for chunk in model.chunks)
    # Packing cuts the same random bytes: one stream of the seed, cut elsewhere.
    again = repack(models, whole, [40_000, 80_000])
    assert again.sha256 == model.sha256
    assert_whole(open_model(harness, again), again)


def repack(models: Path, whole: bytes, sizes: list[int]) -> PackedBytes:
    ends = list(accumulate(sizes))
    pieces = [whole[end - size : end] for end, size in zip(ends, sizes, strict=True)]
    return pack_chunks(models, "again", [pieces])


def test_second_tab_waits_and_then_finds_the_model(
    context: BrowserContext, site: Site, models: Path
) -> None:
    model = pack_bytes(models, "large", [[2 * MIB]])
    site.faults.append(Fault(CHUNK, hold_after=MIB))
    first = open_harness(context.new_page(), site)
    second = open_harness(context.new_page(), site)
    first.evaluate("globalThis.first = harness.open('large'); 0")
    first.evaluate("harness.reported('download', 1)")
    second.evaluate("globalThis.second = harness.open('large'); 0")
    second.evaluate("harness.reported('wait')")
    site.release()  # the first tab's connection breaks; it goes on with Range
    assert_whole(first.evaluate("globalThis.first"), model)
    assert_whole(second.evaluate("globalThis.second"), model)
    assert len(site.paths(CHUNK)) == 2


def test_second_tab_takes_over_when_the_first_is_closed(
    context: BrowserContext, site: Site, models: Path
) -> None:
    model = pack_bytes(models, "large", [[2 * MIB]])
    site.faults.append(Fault(CHUNK, hold_after=MIB))
    first = open_harness(context.new_page(), site)
    second = open_harness(context.new_page(), site)
    first.evaluate("void harness.open('large')")
    first.evaluate("harness.reported('download', 1)")
    second.evaluate("globalThis.second = harness.open('large'); 0")
    second.evaluate("harness.reported('wait')")
    first.close()
    assert_whole(second.evaluate("globalThis.second"), model)


def test_abort_stops_the_download_and_keeps_what_came(
    harness: Page, site: Site, models: Path
) -> None:
    model = pack_bytes(models, "large", [[2 * MIB]])
    site.faults.append(Fault(CHUNK, hold_after=MIB))
    harness.evaluate("globalThis.first = harness.open('large'); 0")
    harness.evaluate(f"harness.reported('download', {MIB // 2})")
    harness.evaluate("harness.abort()")
    assert harness.evaluate("globalThis.first")["code"] == "AbortError"
    assert_whole(open_model(harness, model), model)
    first, second = site.paths(CHUNK)
    assert first.range is None
    assert second.range is not None


def inject_into_store(page: Page, script: str) -> None:
    """Runs `script` before the store worker's own; workers have a global of their own."""

    def fulfil(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, body=f"{script};\n{response.text()}")

    page.route("**/assets/store.js", fulfil)


def test_without_opfs_it_runs_from_memory_and_says_so(page: Page, site: Site, models: Path) -> None:
    model = small(models)
    # What a private window of another browser does.
    inject_into_store(
        page,
        "const refuse = async () => { throw new DOMException('', 'SecurityError') };"
        "navigator.storage.getDirectory = refuse",
    )
    open_harness(page, site)
    result = open_model(page, model)
    assert_whole(result, model, kind="memory")
    (notice,) = result["notices"]
    assert "keeps no files" in notice
    assert result["codes"] == [{"code": "keeps_no_files"}]
    assert page.evaluate("harness.stored()") == []


def test_without_room_it_runs_from_memory_with_the_numbers(
    page: Page, site: Site, models: Path
) -> None:
    model = pack_bytes(models, "large", [[2 * MIB] * 2])
    inject_into_store(
        page, "navigator.storage.estimate = async () => ({quota: 5_000_000, usage: 2_000_000})"
    )
    result = open_model(open_harness(page, site), model)
    assert_whole(result, model, kind="memory")
    (notice,) = result["notices"]
    assert "needs 4.2 MB" in notice
    assert "2.0 MB in use of 5.0 MB" in notice
    figures = {"size": 4 * MIB, "usage": 2_000_000, "quota": 5_000_000}
    assert result["codes"] == [{"code": "storage_full", **figures}]


def test_refused_room_leads_to_memory_as_well(
    profile: BrowserContext, site: Site, models: Path
) -> None:
    """Chromium reports a quota that it does not grant (and grants any in a private window)."""
    harness = open_harness(profile.new_page(), site)
    model = pack_bytes(models, "large", [[2 * MIB] * 2])
    cdp = profile.new_cdp_session(harness)
    cdp.send("Storage.overrideQuotaForOrigin", {"origin": site.url, "quotaSize": 3 * MIB})
    result = open_model(harness, model)
    assert_whole(result, model, kind="memory")
    (notice,) = result["notices"]
    assert "needs 4.2 MB" in notice
    # It found out before the download, and what it had begun takes no room.
    assert harness.evaluate("harness.entries()") == []
    assert len(site.paths(CHUNK)) == len(model.chunks)


def test_memory_on_request_stores_nothing(harness: Page, models: Path) -> None:
    model = small(models)
    result = open_model(harness, model, storage="memory")
    assert_whole(result, model, kind="memory")
    assert result["notices"] == []
    assert harness.evaluate("harness.entries()") == []


def test_what_a_model_takes_of_the_device_is_known_and_freed(harness: Page, models: Path) -> None:
    model = small(models)
    assert harness.evaluate("harness.bytesOnDevice()") == {}
    open_model(harness, model)
    listed = [int(entry.rsplit(" ", 1)[1]) for entry in harness.evaluate("harness.entries()")]
    assert harness.evaluate("harness.bytesOnDevice()") == {"small": sum(listed)}
    harness.evaluate("harness.remove('small')")
    assert harness.evaluate("harness.bytesOnDevice()") == {}


def test_removed_model_is_gone(harness: Page, models: Path) -> None:
    model = small(models)
    open_model(harness, model)
    harness.evaluate("harness.remove('small')")
    assert harness.evaluate("harness.stored()") == []
    assert harness.evaluate("harness.entries()") == []
    harness.evaluate("harness.remove('never-stored')")  # no error
