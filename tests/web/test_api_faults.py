"""The public API where something is missing or breaks: each in a page of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route

from tests.web.conftest import open_harness
from tests.web.serving import Site
from tests.web.test_api import LOAD, N_CTX, evaluate
from tests.web.test_api import server as server


@pytest.fixture
def fresh(browser: Browser, server: Site) -> Iterator[Page]:
    """A page of its own, not opened yet."""
    with browser.new_context() as context:
        yield context.new_page()
    server.removed_headers.clear()


def test_without_isolation_it_runs_on_one_thread_and_says_why(fresh: Page, server: Site) -> None:
    server.removed_headers |= {"cross-origin-opener-policy", "cross-origin-embedder-policy"}
    open_harness(fresh, server)
    info = fresh.evaluate(LOAD, {"n_ctx": N_CTX})
    assert info["variant"] == "relaxed"
    assert info["threads"] == 1
    assert "not cross-origin isolated" in info["variant_reason"]
    text = evaluate(fresh, "return complete('The capital of France is', {max_tokens: 1})")
    assert text["choices"][0]["text"] == " Paris"


def test_without_relaxed_simd_it_takes_plain_simd(fresh: Page, server: Site) -> None:
    # i8x16.relaxed_swizzle and its like begin with 0xfd 0x80..0x93 0x02.
    fresh.add_init_script(
        """const validate = WebAssembly.validate;
        WebAssembly.validate = (bytes) => {
          const code = new Uint8Array(bytes.buffer ?? bytes);
          const relaxed = (b, i) => b === 0xfd && code[i + 1] >= 0x80 && code[i + 2] === 0x02;
          return !code.some(relaxed) && validate(bytes);
        };"""
    )
    open_harness(fresh, server)
    info = fresh.evaluate(LOAD, {"n_ctx": N_CTX, "threads": 1})
    assert info["variant"] == "simd"
    assert "without its relaxed instructions" in info["variant_reason"]


def test_without_simd_it_ends_in_one_sentence(fresh: Page, server: Site) -> None:
    fresh.add_init_script("WebAssembly.validate = () => false")
    open_harness(fresh, server)
    result = fresh.evaluate(f"harness.outcome(({LOAD})({{}}))")
    assert result["code"] == "unsupported"
    assert result["error"] == (
        "Expected a browser with WebAssembly SIMD, found one without it; "
        "use Chrome or Edge 91, Firefox 89, Safari 16.4 or later."
    )


def inject_into_worker(page: Page, script: str) -> None:
    def fulfil(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, body=f"{script};\n{response.text()}")

    page.route("**/assets/worker.js", fulfil)


def test_a_crash_rejects_what_runs_and_all_that_follows(fresh: Page, server: Site) -> None:
    inject_into_worker(
        fresh,
        "self.addEventListener('message', ({data}) => {"
        " if (data.text === 'crash') throw new Error('unreachable') })",
    )
    open_harness(fresh, server)
    fresh.evaluate(LOAD, {"n_ctx": N_CTX})
    running, crashed, after = evaluate(
        fresh,
        """
        const running = harness.outcome(complete('Once', {max_tokens: 200, ignore_eog: true}));
        await slm.tokenize('x');
        const crashed = harness.outcome(slm.tokenize('crash'));
        const results = [await running, await crashed, await harness.outcome(ask('Still there?'))];
        await slm.dispose();
        return results;
        """,
    )
    for result in (running, crashed, after):
        assert result["code"] == "crashed"
        assert "load the model again" in result["error"]


def test_a_phone_that_cannot_reserve_4_gib_gets_less(fresh: Page, server: Site) -> None:
    inject_into_worker(
        fresh,
        "const Memory = WebAssembly.Memory; WebAssembly.Memory = class extends Memory {"
        " constructor(d) { if (d.maximum > 20000) throw new RangeError('no'); super(d); } }",
    )
    open_harness(fresh, server)
    info = fresh.evaluate(LOAD, {"n_ctx": N_CTX, "variant": "relaxed-mt", "threads": 2})
    assert "reserve 1.1 GB of memory addresses only" in info["variant_reason"]


def test_loading_can_be_aborted(fresh: Page, server: Site) -> None:
    open_harness(fresh, server)
    result = fresh.evaluate(
        f"""() => {{
            const stop = new AbortController();
            const onProgress = ({{phase}}) => {{ if (phase === 'load') stop.abort(); }};
            return harness.outcome(({LOAD})({{signal: stop.signal, onProgress}}));
        }}"""
    )
    assert result["code"] == "AbortError"


def test_a_disposed_model_says_so(fresh: Page, server: Site) -> None:
    open_harness(fresh, server)
    fresh.evaluate(LOAD, {"n_ctx": N_CTX})
    pending, after = evaluate(
        fresh,
        """
        const pending = harness.outcome(ask('Hello', {max_tokens: 200}));
        await slm.tokenize('x');
        await slm.dispose();
        return [await pending, await harness.outcome(slm.tokenize('x'))];
        """,
    )
    assert pending["code"] == "disposed"
    assert after["code"] == "disposed"


def test_a_file_that_is_no_model_is_named(fresh: Page, server: Site) -> None:
    open_harness(fresh, server)
    result = fresh.evaluate(
        """async () => {
          const sha256 = '0'.repeat(64);
          const files = [{name: 'x.gguf', size: 5000, sha256, chunks: [{sha256, size: 5000}]}];
          const manifest = {name: 'x', title: 'x', size: 5000, files, sampling: {},
            memory: {weights: 0, n_ctx_default: 64}};
          const wasm = async (variant) => (await fetch(`/wasm/${variant}.wasm`)).arrayBuffer();
          const source = {manifest, wasm, workerUrl: '/assets/worker.js'};
          source.files = [new Blob(['x'.repeat(5000)])];
          return harness.outcome(harness.SLM.fromSource(source));
        }"""
    )
    assert result["code"] == "bad_file"
    assert "GGUF" in result["error"]
