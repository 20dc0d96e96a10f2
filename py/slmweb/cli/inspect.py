"""`slmweb inspect`: what a GGUF file is, from its header alone."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .common import JsonOption, ModelArgument, bytes_text, count_text, print_json, print_table


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: slmweb inspect MODEL.gguf --json")(inspect)


def inspect(
    model: ModelArgument,
    tensors: Annotated[bool, typer.Option("--tensors", help="List every tensor as well.")] = False,
    json: JsonOption = False,
) -> None:
    """Print architecture, parameters, tensor types, context, template and licence."""
    from ..core.model import Model

    with Model.open(model, weights=False) as opened:
        info: dict[str, Any] = dict(opened.info)
    listed = info.pop("tensors")
    if json:
        print_json({**info, "tensors": listed} if tensors else info)
        return

    def fact(key: str, unit: str = "") -> str:
        value = info.get(key)
        if value is None:
            return "not stated"
        return (count_text(value) if isinstance(value, int) else str(value)) + unit

    types = ", ".join(f"{name} {bytes_text(size)}" for name, size in info["types"].items())
    template = info["chat_template"]
    print_table(
        [
            ("name", fact("name")),
            ("architecture", fact("architecture")),
            ("parameters", fact("parameters")),
            ("tensor types", types or "none"),
            ("context", fact("n_ctx_train", " tokens")),
            ("vocabulary", fact("n_vocab", " tokens")),
            ("tokenizer", fact("tokenizer")),
            ("layers", fact("n_layer")),
            ("embedding", fact("n_embd")),
            ("heads", f"{fact('n_head')} (key/value: {fact('n_head_kv')})"),
            ("languages", ", ".join(info.get("languages") or []) or "not stated"),
            ("licence", fact("license")),
            ("fills in text", "yes" if info["fim"] else "no"),
            ("chat template", "none: not a chat model" if not template else "as follows"),
        ]
    )
    if template:
        print("\n" + template.rstrip())
    if tensors:
        print()
        for tensor in listed:
            shape = " x ".join(str(n) for n in tensor["shape"])
            print(f"{tensor['name']:<40} {tensor['type']:<7} {shape:<24} {tensor['size']:>12}")
