"""`make quality`: everything that is measured, going on where an earlier run stopped.

  python -m quality [--speed | --no-speed]     (with build/ on the path)

--speed measures the tokens per second again, for which the machine should have
nothing else to do; --no-speed leaves them out. The mixes come first, then every
tensor type, the default mix, and some types as weighed by an importance matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from script import ROOT, BuildError, run
from slmweb.core.model import Model as Opened
from slmweb.errors import SlmError
from slmweb.quantize import ggml
from slmweb.quantize.choice import TARGETS
from slmweb.quantize.imatrix import compute, write_imatrix

from . import report, search
from .models import Model, find_models
from .report import Row

# What importance matrices are computed on: not the text that is measured.
CALIBRATION = ("README.md", "CONTRIBUTING.md", "docs/benchmarks/LOG.md")
CALIBRATION_CHUNKS = 8
WEIGHTED = ("Q4_0", "Q4_1", "Q5_0")


def find_mixes(models: Sequence[Model]) -> list[search.Measured]:
    chosen = search.candidates(models)
    measured = []
    for i, types in enumerate(chosen, 1):
        print(f"mix {i} of {len(chosen)}: {' '.join(types)}", flush=True)
        measured.append(search.measure(models, types))
    return search.undominated(measured)


def importance_matrix(model: Model) -> Path:
    path = model.folder / "imatrix.gguf"
    if not path.is_file():
        print(f"{model.title}: computing an importance matrix", flush=True)
        text = b"\n\n".join((ROOT / name).read_bytes() for name in CALIBRATION)
        # In 8 bits it runs several times faster, and the sums are the same to a percent.
        with Opened.open(model.of_type("Q8_0")) as opened:
            matrix = compute(
                opened, text, dataset=", ".join(CALIBRATION), max_chunks=CALIBRATION_CHUNKS
            )
        write_imatrix(matrix, path)
    return path


def measure(models: Sequence[Model], web: search.Measured, option: str) -> Iterator[Row]:
    for model in models:
        made: dict[str, Callable[[], Path]] = {
            **{kind: partial(model.of_type, kind) for kind in TARGETS},
            f"web ({web.name})": partial(model.mixed, search.by_class(web.types)),
            **{f"{kind}, imatrix": partial(weighted, model, kind) for kind in WEIGHTED},
        }
        for kind, make in made.items():
            path = make()
            speed = None
            if option != "--no-speed":
                speed = model.bench.speed(path, again=option == "--speed")
            row = Row(model, kind, model.bench.quality(path), speed)
            print(f"{model.title} {kind}: {row.quality} {row.speed}", flush=True)
            yield row


def weighted(model: Model, kind: str) -> Path:
    return model.of_type(kind, importance_matrix(model))


def main(arguments: list[str]) -> None:
    option = " ".join(arguments)
    if option not in ("", "--speed", "--no-speed"):
        raise BuildError(f"got {option}; usage: python -m quality [--speed | --no-speed]")
    try:
        ggml.require()  # before an hour of work
        models = find_models()
        mixes = find_mixes(models)
        report.write_recipes(mixes)
        rows = list(measure(models, search.default_mix(mixes), option))
        report.write_document(models, rows, mixes)
    except SlmError as error:
        raise BuildError(error.message) from None


if __name__ == "__main__":
    raise SystemExit(run(main))
