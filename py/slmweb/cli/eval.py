"""`slmweb eval`: how good a model is on a person's own data, and what quantizing cost.

Owns the options, the table in the terminal and the exit status as a gate; the
evaluation is py/slmweb/evaluate's.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..errors import SlmError
from .common import (
    BackendOption,
    ContextOption,
    JsonOption,
    PolicyOption,
    ThresholdOption,
    VariantOption,
    VerifyOption,
    finite,
    note,
    parse_policies,
    print_json,
    progress_bar,
    read_bytes,
)

if TYPE_CHECKING:
    from ..evaluate.run import Result

Task = Literal["chat", "classify", "generate", "perplexity", "choice", "tools", "guard"]
By = Literal["likelihood", "generation"]


def register(app: typer.Typer) -> None:
    app.command(
        "eval",
        epilog="Example: slmweb eval tuned.Q4_1.gguf --reference tuned.F16.gguf "
        "--data tickets.jsonl --task classify -o report --fail-under accuracy=0.8",
    )(evaluate)


def evaluate(
    models: Annotated[
        list[Path],
        typer.Argument(
            metavar="MODEL.gguf...",
            help="One model or several, which make one table.",
            show_default=False,
        ),
    ],
    data: Annotated[
        Path,
        typer.Option(
            metavar="FILE.jsonl",
            help="One JSON object a line; - is stdin, bfcl BFCL's questions for tools.",
            show_default=False,
        ),
    ],
    task: Annotated[Task, typer.Option(help="What the lines ask for.", show_default=False)],
    reference: Annotated[
        Path | None,
        typer.Option(
            metavar="OTHER.gguf",
            help="Compare with this model: KL divergence and flips of the next token.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="DIR",
            help="Write report.html, report.md and results.json there, and resume from there.",
            show_default=False,
        ),
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser", help="Run the page's engine in Chromium instead.")
    ] = False,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,…", help="The classes of classify.", show_default="those in the data"
        ),
    ] = None,
    by: Annotated[
        By, typer.Option(help="How classify decides: the likeliest label, or the text.")
    ] = "likelihood",
    policies: PolicyOption = None,
    threshold: ThresholdOption = 0.5,
    prompt: Annotated[
        str | None,
        typer.Option(
            help="Wording around {text}, and {labels}; lines with messages stay as they are.",
            show_default="the task's",
        ),
    ] = None,
    system: Annotated[
        str | None, typer.Option(help="System prompt.", show_default="the line's, or none")
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Plain text, without the model's chat template.")
    ] = False,
    chat_template: Annotated[
        Path | None,
        typer.Option(metavar="FILE.jinja", help="In place of the model's own.", show_default=False),
    ] = None,
    must_call: Annotated[
        bool, typer.Option("--must-call", help="tools: begin every answer as a call.")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="So many lines, drawn by --seed.", show_default="all"),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Of --limit, sampling and intervals.")
    ] = 0,
    max_tokens: Annotated[
        int, typer.Option(min=1, max=65536, help="Longest generated answer.")
    ] = 128,
    temperature: Annotated[
        float, typer.Option(min=0, max=100, callback=finite, help="0 is greedy.")
    ] = 0.0,
    fail_under: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC=X", help="Exit with 1 if a figure is lower; repeatable."),
    ] = None,
    fail_over: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC=X", help="Exit with 1 if a figure is higher; repeatable."),
    ] = None,
    n_ctx: ContextOption = None,
    variant: VariantOption = None,
    backend: BackendOption = None,
    verify: VerifyOption = False,
    json: JsonOption = False,
) -> None:
    """Measure models on your own data, beside each other and a reference.

    A line of JSON holds, by task: chat {"messages", "expected"}; classify {"text", "label"};
    generate {"prompt", "reference"}; perplexity {"text"}; choice {"question", "choices",
    "answer"}; tools {"messages", "tools", "calls"}; guard {"prompt", "label"}, and {"response"}
    where that is to be judged. docs/evaluate.md has the other names that are understood.
    """
    from ..core.chat import check_template
    from ..evaluate import bfcl, gate, metrics
    from ..evaluate.data import choose, parse_items
    from ..evaluate.prompts import Wording, check_wording
    from ..evaluate.report import check_reports, results_json, table, write_reports
    from ..evaluate.run import run
    from ..evaluate.tasks import Settings

    bounds = gate.parse_bounds(
        fail_under or (), fail_over or (), metrics.names(task, reference is not None)
    )
    if by == "generation" and task != "classify":
        raise SlmError("invalid_argument", f"--by generation is for classify, not for {task}")
    if (policies or threshold != 0.5) and task != "guard":
        raise SlmError("invalid_argument", f"--policy and --threshold are for guard, not {task}")
    if backend is not None and not browser:
        raise SlmError(
            "invalid_argument",
            f"--backend {backend} is for the page's engine; give --browser as well",
        )
    if chat_template is not None and browser:
        raise SlmError(
            "invalid_argument",
            "--chat-template is for this program; a page takes the model's own, so run without "
            "--browser",
        )
    metrics.require(task)
    classes = _labels(labels, task)
    template = None
    if chat_template is not None:
        template = read_bytes(chat_template).decode("utf-8", "replace")
        check_template(template)
    if must_call and task != "tools":
        raise SlmError("invalid_argument", f"--must-call is for tools, not for {task}")
    wording = Wording(task, prompt, system, raw, classes, template, must_call)
    check_wording(wording)
    if out is not None:
        check_reports(out)
    name = "stdin" if str(data) == "-" else str(data)
    fetched = task == "tools" and bfcl.is_bfcl(name)
    lines = bfcl.questions(name, note) if fetched else read_bytes(data)
    rules = parse_policies(policies)
    items = choose(parse_items(lines, name, task, classes, rules), limit, seed)
    settings = Settings(wording, by, max_tokens, temperature, seed, n_ctx, threshold)
    try:
        result = run(
            models,
            items,
            settings,
            data=name,
            reference=reference,
            browser=browser,
            folder=out,
            seed=seed,
            variant=variant,
            backend=backend,
            verify=verify,
            bar=progress_bar,
        )
    except KeyboardInterrupt:
        if out is not None:
            note(f"slmweb: stopped; the same command goes on with what {out} holds")
        raise
    if out is not None:
        write_reports(result, out)
    if json:
        print_json(results_json(result))
    else:
        print(table(result))
        _where(result, out)
    if clauses := gate.missed(result, bounds):
        raise SlmError("gate", f"not good enough: {'; '.join(clauses)}")


def _labels(text: str | None, task: Task) -> list[str]:
    if text is None:
        return []
    labels = [label.strip() for label in text.split(",") if label.strip()]
    if task != "classify":
        raise SlmError("invalid_argument", f"--labels are for classify, not for {task}")
    if len(set(labels)) != len(labels) or len(labels) < 2:
        raise SlmError(
            "invalid_argument", f"--labels {text!r} are not two or more different names, as in a,b"
        )
    return labels


def _where(result: Result, out: Path | None) -> None:
    if out is None:
        return
    reused = sum(model.reused for model in result.models)
    kept = f" ({reused} results were there already)" if reused else ""
    print(f"\nreport: {out / 'report.html'}{kept}")
