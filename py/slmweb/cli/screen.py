"""`slmweb screen`: how probably a text breaks a rule, as a guard model has it."""

from __future__ import annotations

from typing import Annotated

import typer

from .common import (
    ContextOption,
    JsonOption,
    ModelArgument,
    PolicyOption,
    ThresholdOption,
    VariantOption,
    parse_policies,
    print_json,
    progress_bar,
    read_bytes,
)


def register(app: typer.Typer) -> None:
    app.command(
        epilog='Example: slmweb screen shieldgemma-2b.Q4_K_M.gguf --prompt "How do I pick a lock?"'
    )(screen)


def screen(
    model: ModelArgument,
    prompt: Annotated[
        str | None,
        typer.Option(help="What is asked; by default stdin.", show_default=False),
    ] = None,
    response: Annotated[
        str | None,
        typer.Option(help="What was answered; it is then what is judged.", show_default=False),
    ] = None,
    policies: PolicyOption = None,
    threshold: ThresholdOption = 0.5,
    n_ctx: ContextOption = None,
    variant: VariantOption = None,
    json: JsonOption = False,
) -> None:
    """Ask a guard model (ShieldGemma) whether a text breaks a rule.

    Prints the probability of each rule being broken.
    """
    from ..core.guard import check
    from ..core.model import Model

    rules = parse_policies(policies)
    text = read_bytes(None).decode("utf-8", "replace") if prompt is None else prompt
    with (
        progress_bar(f"loading {model.name}", "bytes") as progress,
        Model.open(model, variant=variant, progress=progress) as opened,
        opened.session(n_ctx) as session,
    ):
        scores = check(session, text, response, rules, threshold)
    if json:
        print_json(
            {
                "violates": any(score.violates for score in scores),
                "scores": [
                    {
                        "name": score.policy.name,
                        "title": score.policy.title,
                        "probability": score.probability,
                        "threshold": score.threshold,
                        "violates": score.violates,
                    }
                    for score in scores
                ],
            }
        )
        return
    width = max(len(score.policy.title) for score in scores)
    for score in scores:
        said = "violates" if score.violates else "keeps"
        print(f"{score.policy.title:{width}}  {score.probability:7.2%}  {said}")
