"""The report as files: results.json for programs, report.md, and report.html, one
page without scripts or anything from elsewhere.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jinja2

from ... import __version__
from ...atomic import atomic_file, check_output
from ...jsonable import jsonable
from ..metrics import SHARES
from ..run import Evaluated, Result
from . import svg
from .figures import (
    answers,
    changes,
    columns,
    number,
    short_names,
    size_text,
    span,
    verdicts,
)
from .text import about, answers_title, heading, markdown, title

RESULTS, MARKDOWN, HTML = "results.json", "report.md", "report.html"


def check_reports(folder: Path) -> None:
    """Raises SlmError "invalid_argument" if writing them there would destroy an input."""
    for name in (RESULTS, MARKDOWN, HTML):
        check_output(folder / name)


def write_reports(result: Result, folder: Path) -> None:
    """Writes the three files. Raises SlmError "unwritable", and what check_reports raises."""
    document = json.dumps(jsonable(results_json(result)), ensure_ascii=False, indent=1) + "\n"
    for name, text in (
        (RESULTS, document),
        (MARKDOWN, markdown(result)),
        (HTML, html(result)),
    ):
        with atomic_file(folder / name) as file:
            file.write(text.encode())


def results_json(result: Result) -> dict[str, Any]:
    """Everything that was measured, and with which settings."""
    return {
        "slmweb": __version__,
        "task": result.task,
        "data": result.data,
        "items": len(result.items),
        "headline": result.headline,
        "settings": asdict(result.settings),
        "seed": result.seed,
        "models": [_model_json(found) for found in result.models],
    }


def _model_json(found: Evaluated) -> dict[str, Any]:
    return {
        "name": found.model.name,
        "size": found.model.size,
        "sha256": found.model.sha256,
        "types": found.model.types,
        "reference": found.is_reference,
        "runtime": found.runtime,
        "reused": found.reused,
        "metrics": found.metrics,
        "interval": found.interval,
        "difference": found.difference,
        "difference_interval": found.difference_interval,
    }


def html(result: Result) -> str:
    """The page."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("slmweb.evaluate.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals |= {
        "number": number,
        "span": span,
        "size_text": size_text,
        "heading": heading,
        "changes": changes,
    }
    return environment.get_template("report.html.j2").render(
        result=result,
        title=title(result),
        about=about(result),
        verdicts=verdicts(result),
        columns=columns(result),
        short=short_names(result),
        answers=(listed := answers(result)),
        answers_title=answers_title(result, len(listed)),
        size_plot=_size_plot(result),
        reliability=svg.reliability,
        thresholds=svg.thresholds,
        version=__version__,
    )


def _size_plot(result: Result) -> str:
    if len(result.models) < 2:
        return ""
    metric = result.headline
    points = [
        svg.Point(
            short_names(result)[found.model.name],
            found.model.size / 1e6,
            found.metrics[metric],
            *(found.interval or (None, None)),
        )
        for found in result.models
    ]
    names = ("size in MB", heading(metric))
    return svg.scatter(points, names, metric in SHARES, f"{heading(metric)} against size")
