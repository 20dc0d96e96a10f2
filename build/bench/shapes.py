"""The shapes that the parts of the benchmark hand to each other.

One request and one result serve every engine: plan.py makes the request; native.py and the pages
answer it as JSON (pages/protocol.ts says the same in TypeScript). Nothing here computes.
"""

from __future__ import annotations

from typing import TypedDict


class Prompt(TypedDict):
    """The same tokens twice: text for the engines that take only text, ids to compare with."""

    text: str
    ids: list[int]


class Request(TypedDict):
    """What an engine does in one go: load, first token, warm up, then one run per prompt."""

    model: str  # path of the GGUF, or its URL, or that of its manifest: the engine's own kind
    threads: int
    n_ctx: int
    first: Prompt  # prefilled for the first token after a load
    warmup: Prompt  # brings caches, clocks and the browser's optimizing compiler up to speed
    n_warmup: int
    prompts: list[Prompt]
    n_generate: int


class Run(TypedDict):
    """One generation. The first token belongs to prefill, so decode is n_generate - 1 tokens."""

    prefill_s: float
    decode_s: float
    text: str


class Result(TypedDict):
    version: str
    variant: str
    load_s: float
    first_token_s: float  # from the beginning of the load
    runs: list[Run]
