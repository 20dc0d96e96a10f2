"""`slmweb bench`: how fast a model runs under wasmtime on this machine, on one thread.

The comparison with other programs is `make bench`; this one needs nothing but
the package and the model.
"""

from __future__ import annotations

import statistics
import time
from typing import Annotated

import typer

from .common import (
    JsonOption,
    ModelArgument,
    VariantOption,
    VerifyOption,
    bytes_text,
    print_json,
    print_table,
    progress_bar,
)

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
    verify: VerifyOption = False,
    json: JsonOption = False,
) -> None:
    """Measure prefill and decode speed, in tokens per second."""
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
        info = core.build_info()
        result = {
            "model": opened.info["name"] or model.name,
            "variant": chosen,
            "dot": info.get("dot"),
            "threads": 1,
            "prompt_tokens": prompt,
            "generated_tokens": generate,
            "repeat": repeat,
            "prefill_tokens_per_second": statistics.median(prefill),
            "decode_tokens_per_second": statistics.median(decode),
            "compile_seconds": compiled - start,
            "load_seconds": loaded - compiled,
            "memory_bytes": core.memory_bytes,
        }
    if json:
        print_json(result)
        return
    print_table(
        [
            ("model", str(result["model"])),
            ("core", f"{chosen}, {info.get('dot')}, 1 thread, wasmtime"),
            ("prefill", f"{statistics.median(prefill):.1f} tokens/s ({prompt} tokens)"),
            ("decode", f"{statistics.median(decode):.1f} tokens/s ({generate} tokens)"),
            ("compile", f"{compiled - start:.2f} s"),
            ("load", f"{loaded - compiled:.2f} s"),
            ("memory", bytes_text(core.memory_bytes)),
        ]
    )
