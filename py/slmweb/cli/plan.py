"""`slmweb plan`: memory, download, speed and browsers of a model, before anybody fetches it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import SlmError
from .common import JsonOption, bytes_text, count_text, print_columns, print_json

if TYPE_CHECKING:
    from ..plan.option import OnGpu, Option
    from ..plan.plan import ClassOption, Plan


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: slmweb plan gemma3-270m --device phone")(plan)


def plan(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A GGUF, a packed folder, a checkpoint (config.json is enough), or what "
            "`slmweb pull` takes.",
            show_default=False,
        ),
    ],
    device: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE.json",
            help="phone, laptop, mac, desktop, benchmark, or a JSON file with the same numbers.",
        ),
    ] = "laptop",
    gpu_shares: Annotated[
        str | None,
        typer.Option(
            metavar="DECODE,PREFILL",
            help="What of its rated bandwidth and arithmetic a GPU reaches.",
            show_default="0.5,0.3: goals",
        ),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(
            envvar="HF_ENDPOINT",
            metavar="URL",
            help="The hub that hf:owner/name is asked of, for config.json.",
            show_default="https://huggingface.co",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Say what a model will need and do on a device; nothing is downloaded."""
    from ..plan.browsers import read_browsers
    from ..plan.plan import plan as make
    from ..plan.rates import known_devices, read_device, with_shares

    wanted, classes = read_device(device), known_devices()
    if gpu_shares is not None:
        shares = _shares(gpu_shares)
        wanted, *classes = [with_shares(one, *shares) for one in (wanted, *classes)]
    made = make(model, wanted, classes=classes, endpoint=endpoint)
    browsers = read_browsers()
    if json:
        paths = [
            {**asdict(b), "paths": [{"from": v, "build": build} for v, build in b.paths()]}
            for b in browsers
        ]
        print_json({**asdict(made), "browsers": paths})
        return
    print(
        f"{made.model}: {made.architecture}, {count_text(made.parameters)} parameters, context "
        f"{count_text(made.n_ctx_train)}"
    )
    gpu = made.device.gpu
    print(
        f"on {made.device.title}: {made.device.memory_gib:g} GiB, of which a tab may take "
        f"{bytes_text(made.available_bytes)}; {made.device.threads} threads; "
        f"{gpu.title if gpu is not None else 'no GPU'}\n"
    )
    print_columns(_speed_rows(made))
    if (line := _pictures_line(made)) is not None:
        print(f"\n{line}")
    print("\nmemory by context length (* more than a tab may take, + on the GPU only)\n")
    print_columns(_memory_rows(made))
    print(f"\n{made.classes[0].option.type} by class of device, {_assumption(made.classes)}\n")
    print_columns(_class_rows(made.classes))
    print("\nbrowsers, with COOP and COEP headers on the page\n")
    print_columns([[b.name, *_paths(b)] for b in browsers])
    print(f"\n{made.recommendation}")


def _shares(text: str) -> tuple[float, float]:
    with contextlib.suppress(ValueError):
        decode, prefill = map(float, text.split(","))
        if 0 < decode <= 1 and 0 < prefill <= 1:
            return decode, prefill
    raise SlmError(
        "invalid_argument",
        f"--gpu-shares {text!r} are not two numbers above 0 and up to 1, as in 0.5,0.3",
    )


def _speed_rows(made: Plan) -> list[list[str]]:
    lines = list(made.options[0].download_seconds)
    rows = [["", "download", *lines, "prefill/s", "decode/s"]]
    if made.device.gpu is not None:
        rows[0] += ["GPU memory", "GPU prefill/s", "GPU decode/s"]
    for option in made.options:
        seconds = [_seconds(option.download_seconds[line]) for line in lines]
        cells = [option.type, bytes_text(option.download_bytes), *seconds, *_cpu_rates(option)]
        rows.append(cells if option.gpu is None else [*cells, *_gpu_cells(option.gpu)])
    return rows


def _cpu_rates(option: Option) -> list[str]:
    return [_rate(option.prefill_tokens_per_second), _rate(option.decode_tokens_per_second)]


def _gpu_cells(gpu: OnGpu) -> list[str]:
    mark = "*" if gpu.fit.verdict == "refused" else ""
    rates = (gpu.prefill_tokens_per_second, gpu.decode_tokens_per_second)
    return [bytes_text(gpu.fit.needed) + mark, *map(_rate, rates)]


def _pictures_line(made: Plan) -> str | None:
    """What seeing costs, in the quantization that the classes of devices are shown with."""
    kind = made.classes[0].option.type if made.classes else made.options[0].type
    option = next((one for one in made.options if one.type == kind), made.options[0])
    seen = option.pictures
    if seen is None:
        return None
    on_gpu = "" if option.gpu is None else _seconds(option.gpu.picture_seconds or 0)
    return (
        f"it sees pictures: with {kind}, its encoder is {bytes_text(seen.file_bytes)} of the "
        f"download; each picture takes {count_text(seen.n_tokens)} tokens,\n"
        f"{bytes_text(seen.encode_bytes)} of memory while it is encoded, and about "
        f"{_seconds(seen.seconds)} on the CPU" + (f", {on_gpu} on the GPU" if on_gpu else "")
    )


def _assumption(classes: Sequence[ClassOption]) -> str:
    gpus = [one.device.gpu for one in classes if one.device.gpu is not None]
    shares = {(gpu.decode_share, gpu.prefill_share) for gpu in gpus}
    decode, prefill = shares.pop()
    return (
        f"if a GPU decodes at {decode:.0%} of its bandwidth and prefills at {prefill:.0%} of its "
        "arithmetic (assumed, not measured); compiling comes before the first answer only"
    )


def _class_rows(classes: Sequence[ClassOption]) -> list[list[str]]:
    rows = [
        ["", "prefill/s", "decode/s", "GPU memory", "prefill/s", "decode/s", "compiling", "use"]
    ]
    for one in classes:
        option = one.option
        cpu = ["-", "-"] if option.fit.verdict == "refused" else _cpu_rates(option)
        gpu = [] if option.gpu is None else _gpu_cells(option.gpu)
        compiling = "" if option.gpu is None else f"about {_seconds(option.gpu.compile_seconds)}"
        rows.append([one.device.title, *cpu, *gpu, compiling, _use(option)])
    return rows


def _use(option: Option) -> str:
    if option.backend is None:
        return "neither: too large"
    return "needs the GPU" if option.needs_gpu else {"cpu": "CPU", "webgpu": "GPU"}[option.backend]


def _memory_rows(made: Plan) -> list[list[str]]:
    rows = [["", *(count_text(need.n_ctx) for need in made.options[0].contexts)]]
    return rows + [[option.type, *_needs(option)] for option in made.options]


def _needs(option: Option) -> list[str]:
    return [
        bytes_text(c.needed_bytes) + ("" if c.fits else "+" if c.gpu_fits else "*")
        for c in option.contexts
    ]


def _paths(browser: Any) -> list[str]:
    return [f"{version}+ {build}" for version, build in browser.paths()]


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _rate(n: float) -> str:
    return f"{n:.1f}" if n < 10 else count_text(round(n))
