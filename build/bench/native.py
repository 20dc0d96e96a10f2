"""Measures native llama.cpp, and makes the prompts that all engines get with its tokenizer.

Runs as its own process in the bench environment, the only one with llama-cpp-python; engines.py
talks to it through the command line and one JSON value on stdout. It calls llama.cpp's C API and
takes its own time around llama_decode, because llama-cpp-python's Python sampling would be held
against llama.cpp. It knows nothing of browsers, results files or target ratios.
"""

from __future__ import annotations

import ctypes
import json
import sys
import time
from typing import Any

import llama_cpp
import numpy as np

from .shapes import Prompt, Request, Result, Run

# Speed does not depend on what the text says, only on its length; plain English prose keeps every
# tokenizer to ordinary tokens, and its repetition keeps greedy decoding away from the end of text.
PARAGRAPH = (
    "The lighthouse stood at the end of a long road, and few people went there in winter. "
    "Every evening the keeper climbed the stairs, cleaned the glass and wrote down the weather. "
    "He liked the quiet. When a ship passed, he counted the lights and tried to guess its name. "
)


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _silence(_level: int, _text: bytes, _data: ctypes.c_void_p) -> None:
    pass


class Llama:
    """One loaded model and, with n_ctx > 0, one context."""

    def __init__(self, path: str, n_ctx: int = 0, n_threads: int = 1) -> None:
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = 0
        params.vocab_only = n_ctx == 0
        self.model: Any = llama_cpp.llama_model_load_from_file(path.encode(), params)
        if not self.model:
            raise SystemExit(f"expected a GGUF that llama.cpp supports, and it refuses {path}")
        self.vocab: Any = llama_cpp.llama_model_get_vocab(self.model)
        self.n_vocab = int(llama_cpp.llama_vocab_n_tokens(self.vocab))
        self.context: Any = None
        if n_ctx > 0:
            options = llama_cpp.llama_context_default_params()
            options.n_ctx = n_ctx
            options.n_threads = options.n_threads_batch = n_threads
            self.context = llama_cpp.llama_init_from_model(self.model, options)
            if not self.context:
                raise SystemExit(f"llama.cpp cannot make a context of {n_ctx} tokens for {path}")

    def tokenize(self, text: str) -> list[int]:
        data = text.encode()
        room = (llama_cpp.llama_token * (len(data) + 8))()
        n = llama_cpp.llama_tokenize(self.vocab, data, len(data), room, len(room), True, True)
        return list(room[:n])

    def detokenize(self, ids: list[int]) -> str:
        tokens = (llama_cpp.llama_token * len(ids))(*ids)
        room = ctypes.create_string_buffer(256 * len(ids))
        n = llama_cpp.llama_detokenize(self.vocab, tokens, len(ids), room, len(room), False, False)
        return room.raw[:n].decode(errors="replace")

    def evaluate(self, ids: list[int]) -> float:
        """Appends `ids` to the cache, computes the last one's logits; returns the seconds."""
        tokens = (llama_cpp.llama_token * len(ids))(*ids)
        batch = llama_cpp.llama_batch_get_one(tokens, len(ids))
        start = time.perf_counter()
        status = llama_cpp.llama_decode(self.context, batch)
        llama_cpp.llama_synchronize(self.context)
        seconds = time.perf_counter() - start
        if status != 0:
            raise SystemExit(f"expected 0 from llama_decode of {len(ids)} tokens, found {status}")
        return seconds

    def greedy(self) -> int:
        logits = llama_cpp.llama_get_logits_ith(self.context, -1)
        return int(np.ctypeslib.as_array(logits, (self.n_vocab,)).argmax())

    def generate(self, prompt: list[int], n_generate: int) -> Run:
        """Greedy generation from an empty cache."""
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)
        prefill = self.evaluate(prompt)
        ids = [self.greedy()]
        decode = 0.0
        while len(ids) < n_generate:
            decode += self.evaluate(ids[-1:])
            ids.append(self.greedy())
        return {"prefill_s": prefill, "decode_s": decode, "text": self.detokenize(ids)}


def make_prompt(llama: Llama, n_tokens: int) -> Prompt:
    """A text of exactly `n_tokens` ids, BOS included where the model asks for one.

    Each length begins with other words, so that an engine that keeps the cache of the prompt
    before has no prefix to reuse.
    """
    text = f"{n_tokens} stories from the coast. " + PARAGRAPH * (n_tokens // 40 + 2)
    fits, too_long = 0, len(text)  # characters; more of them never make fewer ids by much
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if len(llama.tokenize(text[:middle])) > n_tokens:
            too_long = middle
        else:
            fits = middle
    ids = llama.tokenize(text[:fits])
    if len(ids) != n_tokens:
        raise SystemExit(f"expected a text of {n_tokens} tokens, found one of {len(ids)}")
    return {"text": text[:fits], "ids": ids}


def measure(request: Request) -> Result:
    start = time.perf_counter()
    llama = Llama(request["model"], request["n_ctx"], request["threads"])
    loaded = time.perf_counter() - start
    llama.generate(request["first"]["ids"], 1)
    first = time.perf_counter() - start
    llama.generate(request["warmup"]["ids"], request["n_warmup"])
    return {
        "version": f"llama-cpp-python {llama_cpp.__version__}",
        "variant": "native",
        "load_s": loaded,
        "first_token_s": first,
        "runs": [llama.generate(p["ids"], request["n_generate"]) for p in request["prompts"]],
    }


def main(arguments: list[str]) -> None:
    llama_cpp.llama_log_set(_silence, ctypes.c_void_p(0))
    match arguments:
        case ["measure"]:
            json.dump(measure(json.load(sys.stdin)), sys.stdout)
        case ["prompts", path, *lengths]:
            llama = Llama(path)
            json.dump({n: make_prompt(llama, int(n)) for n in lengths}, sys.stdout)
        case _:
            raise SystemExit("usage: native.py measure < REQUEST.json | prompts MODEL LENGTH...")


if __name__ == "__main__":
    main(sys.argv[1:])
