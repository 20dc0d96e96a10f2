"""`slmweb bench`: how fast a model runs on this machine: under wasmtime on one thread, or in the
page's engine in Chromium, which has threads and may have a GPU.

The comparison with other programs is `make bench`; this one needs nothing but
the package and the model, and for a page Playwright.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import SlmError
from .common import (
    Backend,
    BackendOption,
    JsonOption,
    ModelArgument,
    Variant,
    VariantOption,
    VerifyOption,
    bytes_text,
    print_json,
    print_table,
    progress_bar,
)

if TYPE_CHECKING:
    from ..browser import PageModel

_TEXT = (
    "The harbour lay quiet under the morning fog, and only the bell of the outer buoy could be "
    "heard. A clerk counted 1,024 crates twice, wrote the number down, and began again. "
)


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: slmweb bench MODEL.gguf --prompt 256 --generate 64")(bench)


def bench(
    model: ModelArgument,
    prompt: Annotated[int, typer.Option(min=1, max=65536, help="Prompt tokens.")] = 256,
    generate: Annotated[int, typer.Option(min=1, max=65536, help="Tokens to generate.")] = 64,
    repeat: Annotated[int, typer.Option(min=1, max=100, help="Runs; medians are shown.")] = 3,
    variant: VariantOption = None,
    backend: BackendOption = None,
    verify: VerifyOption = False,
    json: JsonOption = False,
) -> None:
    """Measure prefill and decode speed, in tokens per second.

    Without --backend the core runs in this program; with it, in the page's engine in Chromium.
    """
    if backend is None:
        measured = _in_this_program(model, prompt, generate, repeat, variant, verify)
    elif verify:
        raise SlmError(
            "invalid_argument",
            "--verify checks what computes in this program; run it without --backend, whose page "
            "checks by itself",
        )
    else:
        measured = _in_a_page(model, prompt, generate, repeat, variant, backend)
    if json:
        print_json(measured)
        return
    rows = [
        ("model", str(measured["model"])),
        ("core", str(measured["runtime"])),
        ("prefill", f"{measured['prefill_tokens_per_second']:.1f} tokens/s ({prompt} tokens)"),
        ("decode", f"{measured['decode_tokens_per_second']:.1f} tokens/s ({generate} tokens)"),
        ("compile", f"{measured['compile_seconds']:.2f} s"),
        ("load", f"{measured['load_seconds']:.2f} s"),
        ("memory", bytes_text(measured["memory_bytes"])),
    ]
    if backend is not None:
        rows += _backend_rows(measured)
    print_table(rows)


def _in_this_program(
    model: Path, prompt: int, generate: int, repeat: int, variant: Variant | None, verify: bool
) -> dict[str, Any]:
    from ..core.instance import Instance, choose_variant
    from ..core.model import Model
    from ..core.session import Sampling
    from ..pack import known_answer

    chosen = variant or choose_variant()
    start = time.perf_counter()
    core = Instance(chosen)
    compiled = time.perf_counter()
    with progress_bar("loading", "bytes") as progress:
        opened = Model.open(model, core=core, progress=progress)
    loaded = time.perf_counter()
    sampling = Sampling(temperature=0, ignore_eog=True)
    prefill, decode = [], []
    with opened, opened.session(prompt + generate) as session:
        if verify:
            known_answer.verify(opened, model)
        words = opened.tokenizer.encode(_TEXT, bos=False)
        ids = (words * (prompt // len(words) + 1))[:prompt]
        with progress_bar("measuring", "tokens") as progress:
            for run in range(repeat):
                session.reuse(ids[:1])  # forgets the run before
                answer = session.generate(ids, sampling, max_tokens=generate)
                for _ in answer:
                    pass
                prefill.append(prompt / answer.prefill_seconds)
                decode.append(len(answer.ids) / answer.decode_seconds)
                progress(run + 1, repeat)
        dot = core.build_info().get("dot")
        return {
            "model": opened.info["name"] or model.name,
            "runtime": f"{chosen}, {dot}, 1 thread, wasmtime",
            "variant": chosen,
            "dot": dot,
            "threads": 1,
            **_speeds(prompt, generate, prefill, decode),
            "compile_seconds": compiled - start,
            "load_seconds": loaded - compiled,
            "memory_bytes": core.memory_bytes,
        }


def _in_a_page(
    model: Path, prompt: int, generate: int, repeat: int, variant: Variant | None, backend: Backend
) -> dict[str, Any]:
    from ..browser import PageModel
    from ..core.model import Model

    with Model.open(model, weights=False) as header:
        words = header.tokenizer.encode(_TEXT, bos=False)
        words *= (prompt + repeat) // len(words) + 1
        # Each begins with another word: what was read before is not read again.
        texts = [
            header.tokenizer.decode(words[run : run + prompt]).decode("utf-8", "replace")
            for run in range(repeat)
        ]
    with progress_bar("packing", "bytes") as progress:
        # Text that is cut anywhere may be a few tokens more.
        page = PageModel(
            model,
            n_ctx=prompt + generate + 16,
            variant=variant,
            backend=backend,
            progress=progress,
        )
    try:
        return _ask_page(page, texts, prompt, generate)
    finally:
        page.close()


def _ask_page(page: PageModel, texts: Sequence[str], prompt: int, generate: int) -> dict[str, Any]:
    # As people chat: the likeliest token alone, again and again, may be one without text, which the
    # page takes for nonsense of a GPU.
    sampling = {"temperature": 0.8, "top_k": 40, "seed": 1, "ignore_eog": True}
    params = {"max_tokens": generate, **sampling}
    prefill, decode = [], []
    before = page.facts()["stats"]["gpu"]
    with progress_bar("measuring", "tokens") as progress:
        for run, text in enumerate(texts):
            timings = page.ask("text", {"prompt": text, **params})["timings"]
            prefill.append(timings["prefill_tokens_per_second"])
            decode.append(timings["decode_tokens_per_second"])
            progress(run + 1, len(texts))
    facts = page.facts()
    info, stats = facts["info"], facts["stats"]
    gpu = info["gpu"]
    return {
        "model": info["title"],
        "runtime": page.runtime,
        "variant": info["variant"],
        "dot": info["dot"],
        "threads": info["threads"],
        **_speeds(prompt, generate, prefill, decode),
        "compile_seconds": gpu["compile_ms"] / 1000 if gpu else 0.0,
        "load_seconds": page.load_seconds,
        "memory_bytes": gpu["memory_bytes"] if gpu else stats["memory_bytes"],
        "backend": info["backend"],
        "backend_reason": info["backend_reason"],
        "checks": info["checks"],
        "gpu": gpu,
        "encode_ms_per_submit": _each(before, stats["gpu"], "encode_ms"),
        "dispatches_per_submit": _each(before, stats["gpu"], "dispatches"),
    }


def _speeds(
    prompt: int, generate: int, prefill: Sequence[float], decode: Sequence[float]
) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "generated_tokens": generate,
        "repeat": len(prefill),
        "prefill_tokens_per_second": statistics.median(prefill),
        "decode_tokens_per_second": statistics.median(decode),
    }


def _each(
    before: dict[str, float] | None, after: dict[str, float] | None, name: str
) -> float | None:
    """What came to each command buffer: one for a token, and for each batch of a prompt."""
    if before is None or after is None:
        return None
    return (after[name] - before[name]) / max(1, after["submits"] - before["submits"])


def _backend_rows(measured: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [("backend", str(measured["backend_reason"]))]
    for check in measured["checks"]:
        rows.append((str(check["name"]), f"{check['state']}: {check['detail']}"))
    if measured["encode_ms_per_submit"] is not None:
        dispatches = measured["dispatches_per_submit"]
        host = f"{measured['encode_ms_per_submit']:.2f} ms a token, for {dispatches:.0f} dispatches"
        rows.append(("host", host))
    return rows
