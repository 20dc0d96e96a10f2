"""The GPU in a real browser, on Chromium's emulated device: what is chosen, what is
checked, and what a visitor sees of a device that fails in every way that we know of.

A tiny model stands for all: what it computes is tests/gpu's. Faults are put into the
worker's script, where a page could not tell them from a driver's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from slmweb.core import Model
from slmweb.pack import known_answer
from slmweb.pack.pack import pack
from slmweb.server.app import Folders, create_app
from tests.goldens.tiny_adapters import LAW, write_adapter
from tests.goldens.tiny_gguf import write_gguf
from tests.goldens.tiny_models import MODELS
from tests.py.models import CHATML, with_template
from tests.web.conftest import ROOT, open_harness
from tests.web.gpu_faults import (
    BROKEN_SHADER,
    COMPILED,
    FAULTS,
    FLIPPED_BIT,
    LOST_WITH_WEIGHTS,
    NO_ANSWER,
    NO_DEVICE,
    NO_ROOM,
    PRETENDS,
    WRONG_FORM,
    WRONG_SHADER,
    WRONG_SUMS,
)
from tests.web.serving import Site, serve

MODEL = "tiny"
# Pipelines compile slowly on a processor that is busy with other tests.
PATIENCE_MS = 240_000
pytestmark = pytest.mark.timeout(480, method="signal")
N_TOKENS = 24

# As a failing disk would.
DAMAGED = """async (model) => {
  const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('slmweb-models');
  const files = [];
  for await (const handle of (await root.getDirectoryHandle(model)).values())
    if (/^[0-9a-f]{64}$/.test(handle.name)) files.push([(await handle.getFile()).size, handle]);
  const [[size, largest]] = files.sort(([a], [b]) => b - a);
  const writable = await largest.createWritable({keepExistingData: true});
  const position = (size >> 1) & ~31;
  await writable.write({type: 'write', position, data: new Float32Array(1024).fill(1)});
  await writable.close();
}"""

PRELUDE = """
const settings = {temperature: 0, max_tokens: 24, ignore_eog: true, logprobs: true};
const messages = [{role: 'user', content: 'What is the law?'}];
const faults = new BroadcastChannel('faults');
/** Bytes of the answer's tokens, its text; `between` is called with each chunk's number. */
const ask = async (params = {}, between = () => {}) => {
  const request = {messages, ...settings, ...params, stream: true};
  const stream = await slm.chat.completions.create(request);
  const tokens = [];
  let text = '', n = 0, last;
  for await (const chunk of stream) {
    const [{delta, logprobs}] = chunk.choices;
    for (const {bytes} of logprobs?.content ?? []) tokens.push(bytes);
    text += delta.content ?? '';
    between(n++);
    last = chunk;
  }
  return {tokens, text, usage: last.usage, finish: last.choices[0].finish_reason};
};
const losing = (at, how = 'lose') => (n) => at.includes(n) && faults.postMessage(how);
"""
# Timing the forms takes seconds of an emulated device.
LOAD = """
globalThis.notices = [];
globalThis.progress = [];
globalThis.slm = await harness.SLM.load('/models/tiny/manifest.json', {
  baseUrl: '/', storage: 'memory', n_ctx: 128, n_batch: 1, backend: 'webgpu',
  kernels: {matvec: 'lane'},
  onNotice: (sentence, notice) => notices.push({sentence, ...notice}),
  onProgress: (report) => progress.push(report),
  ...argument,
});
return slm.info;
"""


@pytest.fixture(scope="module")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("gpu")
    tiny = MODELS["qwen2"]
    (plain,) = write_gguf(tiny.name, root / "plain.gguf")
    base = with_template(plain, root / "base.gguf", CHATML)
    law = write_adapter(tiny, LAW, root / "law.gguf")
    folder = root / "models" / MODEL
    sampling = {"temperature": 0.0}
    pack([base], folder, name=MODEL, title="Tiny", sampling=sampling, adapters=[(law, "Law")])
    return root / "models"


@pytest.fixture(scope="module")
def server(harness_folder: Path, models_folder: Path) -> Iterator[Site]:
    folders = Folders(web=harness_folder, wasm=ROOT / "dist/wasm", models=models_folder)
    with serve(create_app(folders)) as running:
        yield running


@pytest.fixture
def gpu_page(gpu_browser: Browser, server: Site) -> Iterator[Page]:
    with gpu_browser.new_context() as context:
        yield open_page(context.new_page(), server)


def open_page(page: Page, server: Site, *faults: str) -> Page:
    page.set_default_timeout(PATIENCE_MS)
    put_into_worker(page, "worker.js", FAULTS, *faults)
    return open_harness(page, server)


def put_into_worker(page: Page, pattern: str, *preludes: str, times: int | None = None) -> None:
    """Into the next workers, or into so many of them and then what was put there before."""

    def changed(route: Any) -> None:
        response = route.fetch()
        route.fulfill(response=response, body="".join(preludes) + response.text())

    page.route(f"**/{pattern}", changed, times=times)


def run(page: Page, body: str, argument: Any = None) -> Any:
    """The body of an async function; an SlmError becomes {error, code}."""
    code = (
        "(argument) => harness.outcome((async () => {"
        f"{PRELUDE} {body} }})(), {PATIENCE_MS // 1000})"
    )
    return page.evaluate(code, argument)


def load(page: Page, **options: Any) -> Any:
    return run(page, LOAD, options)


def codes(page: Page) -> list[str]:
    found: list[str] = page.evaluate("notices.map(({code}) => code)")
    return found


@pytest.fixture(scope="module")
def whole(gpu_browser: Browser, server: Site) -> Iterator[tuple[Page, Any]]:
    """A model on the GPU that nothing happens to, and its answer."""
    with gpu_browser.new_context() as context:
        page = open_page(context.new_page(), server)
        info = load(page, n_batch=64, kernels={})
        assert info.get("backend") == "webgpu", info
        yield page, run(page, "return ask();")


def test_info_says_what_runs_and_what_was_checked(whole: tuple[Page, Any]) -> None:
    page, answer = whole
    info = page.evaluate("slm.info")
    assert (info["backend"], info["variant"], info["threads"]) == ("webgpu", "webgpu", 1)
    assert info["backend_reason"] == "Computes on the GPU (google swiftshader)."
    assert [notice["code"] for notice in info["backend_notices"]] == ["gpu_used"]
    gpu = info["gpu"]
    assert gpu["adapter"]["vendor"] == "google"
    assert gpu["losses"] == 0
    assert gpu["compile_ms"] > 0
    checks = {check["name"]: check for check in info["checks"]}
    kernels = checks["kernels"]
    assert kernels["state"] == "passed"
    assert 0 < kernels["error"] < kernels["bound"]
    assert checks["weights"]["state"] == "passed"
    answered = checks["known_answer"]
    assert answered["state"] == "passed"
    assert 0 < answered["error"] < answered["bound"]
    assert len(answer["tokens"]) == N_TOKENS
    stats = page.evaluate("slm.stats().gpu")
    assert stats["dispatches"] > stats["submits"] > N_TOKENS
    assert stats["memory_bytes"] > 1e5
    assert codes(page) == []


def test_progress_counts_the_pipelines(whole: tuple[Page, Any]) -> None:
    page, _ = whole
    counts = page.evaluate("progress.filter((p) => p.pipelines).map((p) => p.pipelines)")
    assert counts
    assert counts[-1]["done"] == counts[-1]["total"] > 5
    assert [c["done"] for c in counts] == sorted(c["done"] for c in counts)


def test_nothing_is_compiled_in_the_midst_of_an_answer(whole: tuple[Page, Any]) -> None:
    page, _ = whole
    before = page.evaluate("slm.info.gpu.compile_ms")
    assert before > 0
    run(page, "return ask({max_tokens: 3});")
    assert page.evaluate("slm.info.gpu.compile_ms") == before


def test_requests_go_on_as_on_the_cpu(whole: tuple[Page, Any]) -> None:
    page, answer = whole
    again, short, echoed, adapted = run(
        page,
        """
        const echo = {prompt: 'The law', max_tokens: 0, echo: true, logprobs: 0};
        const echoed = await slm.completions.create(echo);
        return [await ask(), await ask({max_tokens: 5}), echoed.choices[0].logprobs,
          await ask({adapters: [{name: 'law'}]})];
        """,
    )
    assert again["tokens"] == answer["tokens"]
    assert short["tokens"] == answer["tokens"][:5]
    assert short["finish"] == "length"
    assert all(p < 0 for p in echoed["token_logprobs"][1:])
    assert adapted["tokens"] != answer["tokens"]


def test_logits_stay_on_the_device_unless_somebody_looks(whole: tuple[Page, Any]) -> None:
    page, answer = whole
    read, found = run(
        page,
        """
        const read = async (params) => {
          const before = slm.stats().gpu.read_bytes;
          const {text} = await ask(params);
          return [slm.stats().gpu.read_bytes - before, text];
        };
        const [own, text] = await read({logprobs: false});
        const [all] = await read({});
        return [[own, all], text];
        """,
    )
    assert found == answer["text"]
    n_vocab = page.evaluate("slm.info.n_vocab")
    assert read == [16 * N_TOKENS, 4 * n_vocab * N_TOKENS]


def test_what_an_earlier_start_found_is_not_timed_again(
    whole: tuple[Page, Any], gpu_page: Page
) -> None:
    timed, answer = whole
    found = timed.evaluate("slm.info.gpu.kernels")
    pipelines = "progress.findLast((p) => p.pipelines).pipelines.total"
    info = load(gpu_page, n_batch=64, kernels=found)
    assert info["gpu"]["kernels"] == found
    assert gpu_page.evaluate(pipelines) < timed.evaluate(pipelines)
    assert run(gpu_page, "return ask();")["tokens"] == answer["tokens"]
    # Not the one that timing would choose.
    other = "lane" if found["matvec"] == "sweep" else "sweep"
    info = load(gpu_page, n_batch=64, kernels={"matvec": other})
    assert (info["dot"], info["gpu"]["kernels"]) == (other, {"matvec": other})
    assert {check["state"] for check in info["checks"]} == {"passed"}
    # What is not known says nothing.
    info = load(gpu_page, n_batch=64, kernels={"matvec": "fastest", "other": "sweep"})
    assert info["backend"] == "webgpu"
    assert gpu_page.evaluate(pipelines) == timed.evaluate(pipelines)
    for wrong in ("lane", ["lane"], {"matvec": 1}, None):
        assert load(gpu_page, kernels=wrong)["code"] == "invalid_argument"


def test_an_aborted_answer_leaves_the_model_usable(whole: tuple[Page, Any]) -> None:
    page, answer = whole
    name, tokens = run(
        page,
        """
        const stop = new AbortController();
        const request = {messages, ...settings, stream: true};
        const stream = await slm.chat.completions.create(request, {signal: stop.signal});
        let name = 'none';
        try { for await (const _ of stream) stop.abort(); } catch (error) { name = error.name; }
        return [name, (await ask()).tokens];
        """,
    )
    assert name == "AbortError"
    assert tokens == answer["tokens"]


def test_a_lost_device_is_replaced_and_the_answer_goes_on(gpu_page: Page) -> None:
    load(gpu_page)
    plain = run(gpu_page, "return ask();")
    answer = run(gpu_page, "return ask({}, losing([6]));")
    # Nothing twice, nothing left out.
    assert answer == plain
    info = gpu_page.evaluate("slm.info")
    assert (info["backend"], info["gpu"]["losses"]) == ("webgpu", 1)
    assert codes(gpu_page) == ["gpu_lost"]
    # Lost once more, in the prefill of another question: the CPU goes on.
    answer = run(gpu_page, "return ask({}, losing([3, 4]));")
    assert answer["tokens"][:3] == plain["tokens"][:3]
    assert len(answer["tokens"]) == N_TOKENS
    assert answer["usage"]["completion_tokens"] == N_TOKENS
    info = gpu_page.evaluate("slm.info")
    assert (info["backend"], info["gpu"]) == ("cpu", None)
    assert codes(gpu_page) == ["gpu_lost", "gpu_given_up"]
    assert "lost 2 times" in info["backend_reason"]
    assert gpu_page.evaluate("slm.stats().gpu") is None


def test_a_device_that_is_lost_while_nothing_is_asked(gpu_page: Page) -> None:
    load(gpu_page)
    ids, again = run(
        gpu_page,
        """
        const ids = await slm.tokenize('The law');
        faults.postMessage('lose');
        await slm.adapters.use([{name: 'law'}]);
        return [ids, await slm.tokenize('The law')];
        """,
    )
    assert ids == again
    assert len(run(gpu_page, "return ask();")["tokens"]) == N_TOKENS
    assert codes(gpu_page) == ["gpu_lost"]


def test_a_device_that_is_lost_while_it_loads(gpu_browser: Browser, server: Site) -> None:
    with gpu_browser.new_context() as context:
        page = open_page(context.new_page(), server)
        put_into_worker(page, "worker.js", LOST_WITH_WEIGHTS, times=1)
        info = load(page)
        assert (info["backend"], info["gpu"]["losses"]) == ("webgpu", 1)
        assert codes(page) == ["gpu_lost"]
        put_into_worker(page, "worker.js", LOST_WITH_WEIGHTS, times=2)
        assert load(page)["backend"] == "cpu"
        assert codes(page) == ["gpu_lost", "gpu_given_up"]


def test_the_process_of_the_gpu_may_die(gpu_browser: Browser, gpu_page: Page) -> None:
    load(gpu_page)
    plain = run(gpu_page, "return ask();")
    gpu_page.evaluate(
        """() => {
          globalThis.begun = new Promise((resolve) => { globalThis.begin = resolve; });
        }"""
    )
    gpu_page.evaluate(
        "() => { globalThis.asked = harness.outcome((async () => {"
        f"{PRELUDE} return ask({{}}, (n) => n === 4 && begin()); }})(), 240); }}"
    )
    gpu_page.evaluate("Promise.race([begun, asked])")
    gpu_browser.new_browser_cdp_session().send("Browser.crashGpuProcess")
    answer = gpu_page.evaluate("asked")
    assert "error" not in answer, answer
    assert len(answer["tokens"]) == N_TOKENS
    assert answer["tokens"][:4] == plain["tokens"][:4]
    if not codes(gpu_page):  # on a busy machine the answer may be there before the process is gone
        assert len(run(gpu_page, "return ask();")["tokens"]) == N_TOKENS
    assert codes(gpu_page)[0] == "gpu_lost"


def test_numbers_that_are_none_are_never_an_answer(gpu_page: Page) -> None:
    load(gpu_page)
    plain = run(gpu_page, "return ask();")
    answer = run(gpu_page, "return ask({}, losing([6], 'poison'));")
    assert answer["tokens"][:6] == plain["tokens"][:6]
    assert len(answer["tokens"]) == N_TOKENS
    assert codes(gpu_page) == ["gpu_senseless"]
    assert gpu_page.evaluate("slm.info.backend") == "cpu"


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        (NO_ROOM, "gpu_out_of_memory", "a shorter context needs less"),
        (WRONG_SHADER, "gpu_wrong", "failed the check 'kernels'"),
        (BROKEN_SHADER, "gpu_failed", "v55"),
        (FLIPPED_BIT, "gpu_wrong", "failed the check 'weights'"),
        (NO_DEVICE, "gpu_failed", "the driver is gone"),
        (NO_ANSWER, "gpu_failed", "requestDevice said nothing for 60 s."),
    ],
)
def test_a_gpu_that_cannot_start_leaves_it_to_the_cpu(
    gpu_browser: Browser, server: Site, fault: str, code: str, words: str
) -> None:
    with gpu_browser.new_context() as context:
        page = open_page(context.new_page(), server, fault)
        info = load(page)
        assert info["backend"] == "cpu"
        assert [notice["code"] for notice in info["backend_notices"]] == [code]
        assert words in info["backend_reason"]
        assert info["backend_reason"].endswith("The CPU computes.")
        assert codes(page) == [code]
        assert len(run(page, "return ask();")["tokens"]) == N_TOKENS
        # Whoever wants this variant and no other hears of it instead.
        found = load(page, variant="webgpu")
        assert found["code"] in {"out_of_memory", "corrupt", "crashed"}
        assert words in found["error"]


@pytest.mark.parametrize(
    ("name", "form", "scale", "others"),
    [
        ("matvec_lane", "lane", "1.01 * params.scale", {"sweep", "dot8"}),
        ("matvec", "sweep", "params.scales", {"lane"}),
    ],
)
@pytest.mark.parametrize("remembered", [False, True])
def test_a_form_of_the_products_that_is_wrong_is_not_used(
    gpu_browser: Browser,
    server: Site,
    name: str,
    form: str,
    scale: str,
    others: set[str],
    remembered: bool,
) -> None:
    fault = WRONG_FORM.replace("NAME", name).replace("SCALE", scale)
    with gpu_browser.new_context() as context:
        page = open_page(context.new_page(), server, fault)
        info = load(page, kernels={"matvec": form} if remembered else {})
        assert info["backend"] == "webgpu"
        assert info["dot"] in others
        assert info["gpu"]["kernels"] == {"matvec": info["dot"]}
        assert {check["state"] for check in info["checks"]} == {"passed"}
        assert len(run(page, "return ask();")["tokens"]) == N_TOKENS


def test_only_the_gpu_gets_the_known_answer_wrong(gpu_browser: Browser, server: Site) -> None:
    with gpu_browser.new_context() as context:
        page = open_page(context.new_page(), server, WRONG_SUMS)
        info = load(page)
        assert info["backend"] == "cpu"
        (notice,) = info["backend_notices"]
        assert (notice["code"], notice["check"]) == ("gpu_wrong", "known_answer")
        # The weights may have been at fault: the processor has shown that they are not.
        (check,) = info["checks"]
        assert (check["name"], check["state"]) == ("known_answer", "passed")
        assert len(run(page, "return ask();")["tokens"]) == N_TOKENS


def test_a_known_answer_that_is_not_met(
    gpu_browser: Browser, server: Site, models_folder: Path
) -> None:
    path = models_folder / MODEL / "manifest.json"
    before = path.read_bytes()
    manifest = json.loads(before)
    answer = manifest["known_answer"]
    answer["logits"][-1] += 2 * answer["bound"] * answer["scale"]
    path.write_text(json.dumps(manifest))
    try:
        with gpu_browser.new_context() as context:
            page = open_page(context.new_page(), server)
            # Neither the device nor the processor: it is the weights, or what is said of them.
            assert load(page)["code"] == "corrupt"
            assert codes(page) == ["gpu_wrong"]
            notice = page.evaluate("notices[0]")
            assert notice["check"] == "known_answer"
            assert notice["error"] > notice["bound"] == answer["bound"]
            assert load(page, backend="cpu", verify=True)["code"] == "corrupt"
            assert load(page, backend="cpu")["checks"] == []
    finally:
        path.write_bytes(before)


def test_known_answers_of_some_layers_each(
    gpu_browser: Browser, server: Site, models_folder: Path
) -> None:
    """As a pack has them that the CPU's core had no room for."""
    folder = models_folder / MODEL
    path = folder / "manifest.json"
    before = path.read_bytes()
    manifest = json.loads(before)
    answers = []
    for layers in ((0, 1), (1, 2)):
        with Model.open(folder, layers=layers, variant="simd") as model:
            answers.append({**asdict(known_answer.compute(model, layers)), "layers": layers})
    manifest["known_answer"] = answers
    try:
        with gpu_browser.new_context() as context:
            page = open_page(context.new_page(), server)
            path.write_text(json.dumps(manifest))
            whole = load(page)
            assert whole["backend"] == "webgpu"
            check = next(check for check in whole["checks"] if check["name"] == "known_answer")
            assert check["state"] == "passed"
            assert 0 < check["error"] < check["bound"]
            assert ", of the layers " in check["detail"]
            # All layers take part in what is answered.
            tokens = run(page, "return ask();")["tokens"]
            assert load(page, backend="cpu", verify=True)["checks"][0]["state"] == "passed"
            assert run(page, "return ask();")["tokens"] == tokens
            *right, least = answers[1]["logits"]
            answers[1]["logits"] = [*right, least + 2 * answers[1]["bound"] * answers[1]["scale"]]
            path.write_text(json.dumps(manifest))
            assert load(page)["code"] == "corrupt"
            answers.pop()
            path.write_text(json.dumps(manifest))
            for wish in ({}, {"backend": "cpu", "verify": True}):
                assert load(page, **wish)["code"] == "bad_manifest"
    finally:
        path.write_bytes(before)


def test_an_emulated_device_is_used_only_when_asked_for(gpu_page: Page) -> None:
    info = load(gpu_page, backend="auto")
    assert info["backend"] == "cpu"
    assert info["backend_notices"] == [{"code": "gpu_software", "device": "google swiftshader"}]
    assert codes(gpu_page) == []  # nothing has changed


def test_the_cpu_when_it_is_asked_for(gpu_page: Page) -> None:
    info = load(gpu_page, backend="cpu")
    assert info["backend"] == "cpu"
    assert info["backend_notices"] == [{"code": "cpu_asked"}]
    assert info["checks"] == []
    assert load(gpu_page, variant="simd")["variant"] == "simd"
    (check,) = load(gpu_page, backend="cpu", verify=True)["checks"]
    assert (check["name"], check["state"]) == ("known_answer", "passed")
    assert check["error"] < check["bound"] / 20
    assert load(gpu_page, backend="tpu")["code"] == "invalid_argument"


def test_a_browser_without_webgpu(page: Page, server: Site) -> None:
    open_harness(page, server)
    info = load(page, backend="auto")
    assert info["backend"] == "cpu"
    assert info["backend_notices"][0]["code"] in {"gpu_missing", "gpu_none_found"}
    assert load(page, variant="webgpu")["code"] == "unsupported"


def test_the_sealed_frame_has_a_gpu_and_mends_weights_that_are_damaged(
    gpu_browser: Browser, models_folder: Path
) -> None:
    with serve(create_app(Folders.default(models_folder))) as site:
        context = gpu_browser.new_context(service_workers="block")
        with context:
            page = context.new_page()
            page.add_init_script(PRETENDS)
            put_into_worker(page, "worker-*.js", PRETENDS)
            page.goto(site.url)
            frame = page.frame_locator("iframe#sandbox")
            field = frame.get_by_role("textbox", name="Message")
            expect(field).to_have_attribute("placeholder", "Ask Tiny", timeout=PATIENCE_MS)
            # The CPU's workers would be of blob: URLs.
            (worker,) = page.workers
            assert worker.url.startswith("data:text/javascript")
            field.fill("What is the law?")
            field.press("Enter")
            answer = frame.locator(".turn.assistant .prose").first
            expect(answer).not_to_be_empty(timeout=PATIENCE_MS)

            page.evaluate(DAMAGED, MODEL)
            before = len(site.hits)
            page.reload()
            expect(field).to_have_attribute("placeholder", "Ask Tiny", timeout=PATIENCE_MS)
            paths = [hit.path for hit in site.hits[before:]]
            # Neither the GPU nor the CPU got the known answer out of them.
            assert sum(path.endswith(".wasm") for path in paths) == 2
            assert any(path.startswith(f"/models/{MODEL}/") and "." not in path for path in paths)
            (worker,) = page.workers
            assert worker.url.startswith("data:text/javascript")


def test_the_page_remembers_which_form_is_fastest(
    gpu_browser: Browser, models_folder: Path
) -> None:
    key = "slmweb-preferences /"
    with (
        serve(create_app(Folders.default(models_folder))) as site,
        gpu_browser.new_context(service_workers="block") as context,
    ):
        page = context.new_page()
        page.add_init_script(PRETENDS)
        put_into_worker(page, "worker-*.js", PRETENDS, COMPILED)

        def compiled() -> list[str]:
            """By the next start of the page."""
            page.goto(site.url)
            field = page.frame_locator("iframe#sandbox").get_by_role("textbox", name="Message")
            expect(field).to_have_attribute("placeholder", "Ask Tiny", timeout=PATIENCE_MS)
            (worker,) = page.workers
            found: list[str] = worker.evaluate("compiled")
            return found

        first = compiled()
        assert {"matvec", "matvec_lane", "matvec_dot8"} <= {*first}
        kept = page.evaluate("(key) => JSON.parse(localStorage.getItem(key))", key)
        assert kept["matvec"] in {"sweep", "lane", "dot8", "subgroup"}
        second = compiled()
        assert len(second) < len(first)
        assert not {"matvec", "matvec_lane"} <= {*second}
        # Another core may be fastest with another form.
        another = {**kept, "core": "sha256-another"}
        page.evaluate("([key, kept]) => localStorage.setItem(key, JSON.stringify(kept))",
                      [key, another])  # fmt: skip
        assert len(compiled()) == len(first)
