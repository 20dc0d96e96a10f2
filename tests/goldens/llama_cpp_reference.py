"""llama.cpp behind four calls: tokenize, detokenize, logits, quantize. It owns
the C API of llama-cpp-python so that generators and benchmarks need not know
it, and it avoids that package's Python sampling, which is slow. Only golden
generation, benchmarks and the tests marked `llama` import this.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.float32]


def _log_errors(level: int, text: bytes, _data: ctypes.c_void_p) -> None:
    if level == 4:  # GGML_LOG_LEVEL_ERROR; 5 goes on with a message of any level
        print(text.decode(errors="replace"), end="")


_LOG = llama_cpp.llama_log_callback(_log_errors)  # kept, since C keeps the pointer
llama_cpp.llama_log_set(_LOG, ctypes.c_void_p(0))
llama_cpp.llama_backend_init()


def version() -> str:
    return f"llama-cpp-python {llama_cpp.__version__}"


class LlamaCpp:
    """One model. `repack=False` keeps ggml's plain kernels, which round
    activations differently from the repacked ones: the noise floor."""

    def __init__(self, path: Path, *, vocab_only: bool = False, repack: bool = True) -> None:
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = 0
        params.vocab_only = vocab_only
        params.use_extra_bufts = repack
        self._model = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
        if not self._model:
            raise RuntimeError(f"llama.cpp cannot load {path}: look at the message above")
        self._vocab = llama_cpp.llama_model_get_vocab(self._model)
        self.n_vocab: int = llama_cpp.llama_vocab_n_tokens(self._vocab)

    def __enter__(self) -> LlamaCpp:
        return self

    def __exit__(self, *_: object) -> None:
        llama_cpp.llama_model_free(self._model)

    def tokenize(self, text: bytes, *, special: bool, bos: bool) -> list[int]:
        # An invalid byte becomes U+FFFD, three bytes and as many tokens.
        ids = (llama_cpp.llama_token * (3 * len(text) + 8))()
        n = llama_cpp.llama_tokenize(self._vocab, text, len(text), ids, len(ids), bos, special)
        if n < 0:
            raise RuntimeError(f"llama_tokenize returned {n} for {len(text)} bytes")
        return list(ids[:n])

    def detokenize(self, ids: Sequence[int], *, special: bool) -> bytes:
        array = (llama_cpp.llama_token * len(ids))(*ids)
        text = ctypes.create_string_buffer(64 + 64 * len(ids))
        n = llama_cpp.llama_detokenize(
            self._vocab, array, len(ids), text, len(text), False, special
        )
        if n < 0:
            raise RuntimeError(f"llama_detokenize returned {n} for {len(ids)} ids")
        return text.raw[:n]

    def logits(
        self,
        ids: Sequence[int],
        *,
        n_ubatch: int = 512,
        flash: bool = False,
        kv_type: int = 1,
        n_threads: int = 2,
        adapters: Sequence[tuple[Path, float]] = (),
    ) -> Logits:
        """Logits at every position, [len(ids), n_vocab]. `kv_type` is ggml's
        number of the cache's type: 1 is F16, llama.cpp's default, 0 is F32.
        `adapters` are GGUF adapters with a scale each; the model frees them."""
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = max(64, len(ids))
        params.n_batch = params.n_ubatch = n_ubatch
        params.n_threads = params.n_threads_batch = 2
        params.type_k = params.type_v = kv_type
        params.flash_attn_type = 1 if flash else 0
        context: Any = llama_cpp.llama_init_from_model(self._model, params)
        if not context:
            raise RuntimeError("llama.cpp cannot make a context: look at the message above")
        if adapters:
            self._adapt(context, adapters)
        out = np.empty((len(ids), self.n_vocab), np.float32)
        batch = llama_cpp.llama_batch_init(n_ubatch, 0, 1)
        try:
            for start in range(0, len(ids), n_ubatch):
                chunk = ids[start : start + n_ubatch]
                batch.n_tokens = len(chunk)
                for i, token in enumerate(chunk):
                    batch.token[i] = token
                    batch.pos[i] = start + i
                    batch.n_seq_id[i] = 1
                    batch.seq_id[i][0] = 0
                    batch.logits[i] = True
                if (rc := llama_cpp.llama_decode(context, batch)) != 0:
                    raise RuntimeError(f"llama_decode returned {rc} at position {start}")
                for i in range(len(chunk)):
                    row = llama_cpp.llama_get_logits_ith(context, i)
                    out[start + i] = np.ctypeslib.as_array(row, (self.n_vocab,))
        finally:
            llama_cpp.llama_batch_free(batch)
            llama_cpp.llama_free(context)
        return out

    def embedding(self, ids: Sequence[int]) -> Logits:
        """The embedding of one text as it comes, pooled as the file says."""
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = max(64, len(ids))
        params.n_threads = params.n_threads_batch = 2
        params.embeddings = True
        params.flash_attn_type = 0
        params.type_k = params.type_v = 0
        context: Any = llama_cpp.llama_init_from_model(self._model, params)
        if not context:
            raise RuntimeError("llama.cpp cannot make a context: look at the message above")
        batch = llama_cpp.llama_batch_init(len(ids), 0, 1)
        try:
            batch.n_tokens = len(ids)
            for i, token in enumerate(ids):
                batch.token[i] = token
                batch.pos[i] = i
                batch.n_seq_id[i] = 1
                batch.seq_id[i][0] = 0
                batch.logits[i] = True
            if (rc := llama_cpp.llama_decode(context, batch)) != 0:
                raise RuntimeError(f"llama_decode returned {rc}")
            row = llama_cpp.llama_get_embeddings_seq(context, 0)
            n = llama_cpp.llama_model_n_embd_out(self._model)
            return np.ctypeslib.as_array(row, (n,)).copy()
        finally:
            llama_cpp.llama_batch_free(batch)
            llama_cpp.llama_free(context)

    def _adapt(self, context: Any, adapters: Sequence[tuple[Path, float]]) -> None:
        loaded = (llama_cpp.llama_adapter_lora_p_ctypes * len(adapters))()
        for i, (path, _) in enumerate(adapters):
            loaded[i] = llama_cpp.llama_adapter_lora_init(self._model, str(path).encode())
            if not loaded[i]:
                raise RuntimeError(f"llama.cpp cannot load {path}: look at the message above")
        scales = (ctypes.c_float * len(adapters))(*[scale for _, scale in adapters])
        if llama_cpp.llama_set_adapters_lora(context, loaded, len(adapters), scales) != 0:
            raise RuntimeError("llama.cpp refuses the adapters: look at the message above")


def quantize(source: Path, target: Path, ftype: str) -> None:
    """`llama-quantize --allow-requantize SOURCE TARGET FTYPE`."""
    params = llama_cpp.llama_model_quantize_default_params()
    kind = "ALL" if ftype == "F32" else "MOSTLY"
    params.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_{kind}_{ftype}")
    params.nthread = 2
    params.allow_requantize = True
    rc = llama_cpp.llama_model_quantize(
        str(source).encode(), str(target).encode(), ctypes.byref(params)
    )
    if rc != 0:
        raise RuntimeError(f"llama_model_quantize returned {rc} for {source}")
