"""One evaluation from beginning to end: models, items, records, figures.

Owns the order of things: whatever can be wrong with the input is found before
the first token is evaluated, models are loaded one after the other (beside the
reference, if there is one), and what the journal has is not computed again.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .. import __version__, paths
from ..core.files import ByteFile, is_pack, model_files, open_files, split_stem
from ..core.instance import Variant, choose_variant
from ..core.model import Model
from ..errors import SlmError
from .data import Item, Task
from .engine import CoreEngine, Engine
from .journal import Journal, fingerprint
from .metrics import HEADLINE, difference_interval, interval, summarize
from .tasks import Prepared, Record, Settings, decided, evaluate_item, prepare

if TYPE_CHECKING:
    from ..browser import Backend

Progress = Callable[[int, int], None]
Bar = Callable[[str, Literal["bytes", "items"]], AbstractContextManager[Progress]]


@contextlib.contextmanager
def no_bar(label: str, unit: Literal["bytes", "items"]) -> Iterator[Progress]:
    yield lambda done, total: None


@dataclass(frozen=True)
class Candidate:
    """A model that is to be evaluated."""

    path: Path
    name: str
    size: int  # bytes of all files
    sha256: str
    types: dict[str, int]
    n_vocab: int


@dataclass
class Evaluated:
    """What one model did; `records` are in the order of the items."""

    model: Candidate
    is_reference: bool
    runtime: str
    reused: int  # records that the journal had
    records: list[Record]
    metrics: dict[str, Any]
    interval: tuple[float, float] | None = None  # of the headline metric, 95%
    difference: float | None = None  # of the headline metric from the baseline
    difference_interval: tuple[float, float] | None = None


@dataclass
class Result:
    """An evaluation. The baseline is the reference, or else the first model."""

    task: Task
    data: str
    items: list[Item]
    settings: Settings
    seed: int
    models: list[Evaluated] = field(default_factory=list)

    @property
    def headline(self) -> str:
        return HEADLINE[self.task]

    @property
    def baseline(self) -> Evaluated:
        return self.models[0]


def run(
    models: Sequence[Path],
    items: list[Item],
    settings: Settings,
    *,
    data: str = "",
    reference: Path | None = None,
    browser: bool = False,
    folder: Path | None = None,
    seed: int = 0,
    variant: Variant | None = None,
    backend: Backend | None = None,
    verify: bool = False,
    bar: Bar = no_bar,
) -> Result:
    """Evaluates every model, the reference first, on every item.

    `folder` keeps the records, and a second run with the same settings takes
    them from there. `verify` holds each model that is loaded, a packed one, to its
    known answer. Raises SlmError: what opening a model raises, "bad_data",
    "bad_template", "unwritable", "missing_extra", "corrupt".
    """
    if browser and verify:
        raise SlmError(
            "invalid_argument",
            "--verify checks what computes in this program; run it without --browser, whose page "
            "checks by itself",
        )
    if browser and reference is not None:
        raise SlmError(
            "invalid_argument",
            "--reference compares all logits, which a page does not hand out; run it without "
            "--browser (the core is the same)",
        )
    if settings.wording.task == "guard" and len({item.answer for item in items}) < 2:
        raise SlmError(
            "bad_data",
            f"all {len(items)} items of {data or 'the data'} have one label, and what a guard "
            "tells apart takes two; give lines of both",
        )
    result = Result(settings.wording.task, data, items, settings, seed)
    with bar("reading", "bytes") as progress:
        candidates = _candidates(models, reference, progress)
    compare_with = candidates[0] if reference is not None else None
    core = _core_digest(variant, browser)
    runs = backend or browser  # on a GPU it would be another result
    with Journal(folder) as journal, contextlib.ExitStack() as opened:
        loaded_reference: CoreEngine | None = None
        for candidate in candidates:
            compared = compare_with if candidate is not compare_with else None
            keys = [
                fingerprint(
                    *(__version__, core, runs, candidate.sha256, compared and compared.sha256),
                    *(item.digest, item.choices, _rules(item), _relevant(settings)),
                )
                for item in items
            ]
            pending = [i for i, key in enumerate(keys) if journal.get(key) is None]
            if pending:
                if compared and loaded_reference is None:
                    loaded_reference = _open_core(compared, settings, variant, verify, bar)
                    opened.callback(loaded_reference.close)
                engine = (
                    _open_browser(candidate, settings, variant, backend, bar)
                    if browser
                    else _open_core(candidate, settings, variant, verify, bar)
                )
                with contextlib.closing(engine):
                    prepared = _prepare(engine, candidate, [items[i] for i in pending], settings)
                    with bar(candidate.name, "items") as progress:
                        for n, (i, item) in enumerate(zip(pending, prepared, strict=True)):
                            progress(len(items) - len(pending) + n, len(items))
                            record = evaluate_item(
                                item, engine, loaded_reference if compared else None, settings
                            )
                            record["runtime"] = engine.runtime
                            journal.add(keys[i], candidate.name, record)
            records = [decided(journal.get(key) or {}, settings) for key in keys]
            result.models.append(
                Evaluated(
                    model=candidate,
                    is_reference=candidate is compare_with,
                    runtime=records[0]["runtime"],
                    reused=len(items) - len(pending),
                    records=records,
                    metrics=summarize(result.task, items, records),
                )
            )
    _add_intervals(result)
    return result


def _candidates(
    models: Sequence[Path], reference: Path | None, progress: Progress
) -> list[Candidate]:
    """The reference first, then every model: also one with the same bytes as another, since each
    of them is judged. Only a file that is named twice among the models counts once."""
    wanted = [_source(path) for path in ([reference] if reference else []) + list(models)]
    total = 0
    for path in wanted:
        with _opened(path) as files:
            total += sum(file.size for file in files)
    found: list[Candidate] = []
    seen: list[Path] = []
    done = 0
    for index, path in enumerate(wanted):
        if index >= (reference is not None):
            if any(path.samefile(other) for other in seen):
                continue
            seen.append(path)
        sha, size = hashlib.sha256(), 0
        with _opened(path) as files:
            for file in files:
                for offset in range(0, file.size, 8 << 20):
                    piece = bytearray(min(8 << 20, file.size - offset))
                    file.read_into(memoryview(piece), offset)
                    sha.update(piece)
                    progress(done + offset + len(piece), total)
                size += file.size
                done += file.size
        with Model.open(path, weights=False) as model:
            info = model.info
        found.append(
            Candidate(
                path=path,
                name=_name(path, [other.name for other in found]),
                size=size,
                sha256=sha.hexdigest(),
                types=info["types"],
                n_vocab=info["n_vocab"] or 0,
            )
        )
    if reference is not None:
        _check_vocabularies(found)
    return found


def _source(path: Path) -> Path:
    """What stands for a model: its first file, or its packed folder."""
    return path if is_pack(path) else model_files([path])[0]


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[list[ByteFile]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(file) for file in open_files([path])]


def _name(path: Path, taken: Sequence[str]) -> str:
    """The file's, then with its folder's, then with a number: one that is not taken."""
    name = split_stem(path)
    if name in taken:
        name = f"{name} ({path.resolve().parent.name})"
    number = 2
    while (numbered := name if number == 2 else f"{name} #{number - 1}") in taken:
        number += 1
    return numbered


def _check_vocabularies(found: list[Candidate]) -> None:
    reference = found[0]
    for other in found[1:]:
        if other.n_vocab != reference.n_vocab:
            raise SlmError(
                "invalid_argument",
                f"the reference {reference.name} has a vocabulary of {reference.n_vocab} tokens "
                f"and {other.name} one of {other.n_vocab}; compare models of one family",
            )


def _rules(item: Item) -> list[list[str | None]]:
    return [[policy.name, policy.text] for policy in item.policies]


def _relevant(settings: Settings) -> dict[str, Any]:
    """The settings without those that change nothing here."""
    values = asdict(settings)
    values.pop("threshold")
    if settings.temperature == 0:
        values.pop("seed")
    if settings.wording.task not in ("chat", "generate") and settings.by == "likelihood":
        values.pop("max_tokens")
    return values


def _open_core(
    candidate: Candidate, settings: Settings, variant: Variant | None, verify: bool, bar: Bar
) -> CoreEngine:
    with bar(f"loading {candidate.name}", "bytes") as progress:
        return CoreEngine(
            candidate.path,
            n_ctx=settings.n_ctx,
            variant=variant,
            verify=verify,
            progress=progress,
        )


def _core_digest(variant: Variant | None, browser: bool) -> str:
    """Of what computes. A browser chooses among the variants by itself."""
    names = paths.VARIANTS if browser and variant is None else (variant or choose_variant(),)
    sha = hashlib.sha256()
    for name in names:
        sha.update(paths.wasm_file(name).read_bytes())
    return sha.hexdigest()


def _open_browser(
    candidate: Candidate,
    settings: Settings,
    variant: Variant | None,
    backend: Backend | None,
    bar: Bar,
) -> Engine:
    from .browser import BrowserEngine

    with bar(f"packing {candidate.name}", "bytes") as progress:
        return BrowserEngine(
            candidate.path,
            n_ctx=settings.n_ctx,
            variant=variant,
            backend=backend,
            progress=progress,
        )


def _prepare(
    engine: Engine, candidate: Candidate, items: Sequence[Item], settings: Settings
) -> list[Prepared]:
    try:
        return [prepare(engine, item, settings) for item in items]
    except SlmError as error:
        raise SlmError(error.code, f"{candidate.name}, {error.message}") from None


def _add_intervals(result: Result) -> None:
    metric, items, baseline = result.headline, result.items, result.baseline
    for found in result.models:
        found.interval = interval(metric, items, found.records, result.seed)
        if found is not baseline:
            found.difference = found.metrics[metric] - baseline.metrics[metric]
            found.difference_interval = difference_interval(
                metric, items, found.records, baseline.records, result.seed
            )
