"""`slmweb screen`: how probably a text or a picture breaks a rule, as a guard model has it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import SlmError
from .common import (
    ContextOption,
    JsonOption,
    ModelArgument,
    PolicyOption,
    ThresholdOption,
    VariantOption,
    VerifyOption,
    loaded_model,
    parse_picture_policies,
    parse_policies,
    print_json,
    read_bytes,
)
from .sight import MmprojOption, seeing

if TYPE_CHECKING:
    from ..core.guard import Score
    from ..core.model import Model


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
    image: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A picture to judge in place of a text.", show_default=False
        ),
    ] = None,
    mmproj: MmprojOption = None,
    policies: PolicyOption = None,
    threshold: ThresholdOption = 0.5,
    n_ctx: ContextOption = None,
    variant: VariantOption = None,
    verify: VerifyOption = False,
    json: JsonOption = False,
) -> None:
    """Ask a guard model (ShieldGemma) whether a text or a picture breaks a rule.

    Prints the probability of each rule being broken.
    """

    if image is not None and (prompt is not None or response is not None):
        raise SlmError(
            "invalid_argument", "--image is judged alone; leave --prompt and --response out"
        )
    judged = (
        _of_text(prompt, response, policies, threshold)
        if image is None
        else _of_picture(image, model, mmproj, policies, threshold)
    )
    with loaded_model(model, variant, verify=verify) as opened:
        scores = judged(opened, n_ctx)
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


Judged = Callable[["Model", int | None], "list[Score]"]


def _of_text(
    prompt: str | None, response: str | None, policies: list[str] | None, threshold: float
) -> Judged:
    from ..core.guard import check

    rules = parse_policies(policies)
    text = read_bytes(None).decode("utf-8", "replace") if prompt is None else prompt

    def judged(model: Model, n_ctx: int | None) -> list[Score]:
        with model.session(n_ctx) as session:
            return check(session, text, response, rules, threshold)

    return judged


def _of_picture(
    image: Path, path: Path, mmproj: Path | None, policies: list[str] | None, threshold: float
) -> Judged:
    from ..vision.guard import check_picture
    from ..vision.preprocess import open_picture

    rules = parse_picture_policies(policies)
    picture = open_picture(image)

    def judged(model: Model, n_ctx: int | None) -> list[Score]:
        with seeing(model, path, mmproj) as sight, sight.session(n_ctx) as session:
            return check_picture(session, sight.load(), picture, rules, threshold)

    return judged
