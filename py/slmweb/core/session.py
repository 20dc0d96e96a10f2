"""Evaluation and generation: one KV cache and one sampler of a model.

Owns the order of calls that slm.h asks of a host: reuse what the cache holds,
prefill in batches, then sample, take text, evaluate, until something ends it.
Between any two calls the caller may stop. Knows no chat roles; see chat.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..errors import SlmError
from ..generated.abi import EvalFlag, Finish, Param, Site, Status
from .adapter import Adapter
from .held import Held
from .model import Model, write_ids
from .sae import Sae
from .vision import Picture

Logits = npt.NDArray[np.float32]
Embedding = npt.NDArray[np.float32]
Rows = npt.NDArray[np.float32]

TEXT_ROOM = 1024  # bytes; a token's text is far shorter, and the rest waits


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen; the defaults are those of slm.h.

    `temperature` 0 is greedy. `top_k` 0, `top_p` 1, `min_p` 0 and a
    `repeat_penalty` of 1 are off. `logit_bias` maps token ids to what is added
    to their logits; -inf forbids a token. `stop` strings end the text before
    their first occurrence. Special tokens give no text, but for those to `show`.
    """

    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    penalty_last_n: int = 64
    seed: int = 0
    ignore_eog: bool = False
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    stop: Sequence[str] = ()
    show: Sequence[int] = ()


_PARAMS: dict[str, Param] = {
    "temperature": Param.TEMPERATURE,
    "top_k": Param.TOP_K,
    "top_p": Param.TOP_P,
    "min_p": Param.MIN_P,
    "repeat_penalty": Param.REPEAT_PENALTY,
    "presence_penalty": Param.PRESENCE_PENALTY,
    "frequency_penalty": Param.FREQUENCY_PENALTY,
    "penalty_last_n": Param.PENALTY_LAST_N,
    "seed": Param.SEED,
    "ignore_eog": Param.IGNORE_EOG,
}


class Session(Held):
    """One conversation's cache. Close it before its model, or use it in a `with`.

    `n_ctx` positions fit; one evaluation takes at most `n_batch` tokens.
    Raises SlmError "out_of_memory" or "invalid_argument".
    """

    NOUN = "session"
    AGAIN = "open another"
    FREE = "slm_session_free"

    def __init__(self, model: Model, n_ctx: int, n_batch: int) -> None:
        made = model.core.pointer("slm_session_new", model.handle, n_ctx, n_batch)
        super().__init__(model.core, made)
        self.model = model
        self.n_ctx = n_ctx
        self.n_batch = n_batch
        self._shown: list[tuple[int, int]] = []  # of pictures that are whole, [begin, end)
        self._n_evaluated = 0  # tokens of the last evaluation

    @property
    def n_past(self) -> int:
        """Positions in the cache."""
        return self.core.check("slm_session_n_past", self.handle)

    def adapters(self, used: Sequence[tuple[Adapter, float]]) -> None:
        """The adapters and scales of the evaluations to come, in place of those before.

        [] is the base alone, and so is a scale of 0. What the cache holds is only
        reused with the adapters that it was computed with. Raises SlmError
        "invalid_argument"; nothing has changed then.
        """
        n = len(used)
        handles = np.array([adapter.pointer() for adapter, _ in used], "<u4").tobytes()
        scales = np.array([scale for _, scale in used], "<f4").tobytes()
        with self.core.allocate(8 * n) as address:
            self.core.view(address, 8 * n)[:] = handles + scales
            self.core.check("slm_session_adapters", self.handle, address, address + 4 * n, n)

    def pictures(self, shown: Sequence[Picture], at: Sequence[int]) -> None:
        """The pictures of the prompts to come, in place of those before: `shown[i]` stands at the
        `n_tokens` positions from `at[i]` on, rising, whatever ids are there.

        Say so before `reuse`, which compares pictures too. An evaluation has a picture that
        `is_whole` whole, so that `n_batch` is at least its `n_tokens`. Raises SlmError
        "invalid_argument" or "context_full"; nothing has changed then.
        """
        n = len(shown)
        if len(at) != n:
            raise SlmError(
                "invalid_argument", f"{n} pictures at {len(at)} positions; name one for each"
            )
        handles = np.array([picture.pointer() for picture in shown], "<u4").tobytes()
        with self.core.allocate(8 * n) as address:
            self.core.view(address, 8 * n)[:] = handles + np.array(at, "<u4").tobytes()
            self.core.check("slm_session_pictures", self.handle, address, address + 4 * n, n)
        self._shown = [
            (a, a + picture.n_tokens)
            for a, picture in zip(at, shown, strict=True)
            if picture.is_whole
        ]

    def exact(self, on: bool = True) -> None:
        """Whether the evaluations to come multiply float32 activations with the weights as they
        are stored, in place of rounded ones. Slow, and for checks. A change empties the cache."""
        self.core.check("slm_session_exact", self.handle, int(on))

    def tap(self, places: Sequence[tuple[Site, int]]) -> None:
        """Has the evaluations to come copy the rows of all their tokens at these sites and layers,
        in place of those before; [] is none. `tapped` has them.

        Raises SlmError "invalid_argument", or "unsupported" where a layer has no such site;
        nothing has changed then.
        """
        pairs = np.array([(int(site), layer) for site, layer in places], "<u4").tobytes()
        with self.core.allocate(len(pairs)) as address:
            self.core.view(address, len(pairs))[:] = pairs
            self.core.check("slm_session_tap", self.handle, address, len(places))

    def tapped(self, tap: int) -> Rows:
        """What the last evaluation left at this tap, a row for each of its tokens.

        Raises SlmError "wrong_state" before an evaluation, or "invalid_argument".
        """
        width = self.core.check("slm_session_tap_width", self.handle, tap)
        address = self.core.pointer("slm_session_tapped", self.handle, tap)
        if address == 0:
            raise SlmError("wrong_state", "nothing was evaluated since the taps were set; do that")
        n = self._n_evaluated
        rows: Rows = self.core.array(address, n * width, np.float32).reshape(n, width)
        return rows

    def steer(self, layer: int, direction: npt.ArrayLike, scale: float = 1.0) -> None:
        """Adds scale * direction [n_embd] to what `layer` hands on, in all evaluations to come and
        beside what was added before; see `steer_no_more`. The cache is only reused with the
        steering that it was made with.

        Raises SlmError "invalid_argument"; nothing has changed then.
        """
        values = np.asarray(direction, np.float32)
        with self._floats(values) as address:
            self.core.check(
                "slm_session_steer", self.handle, layer, address, values.size, float(scale)
            )

    def steer_no_more(self) -> None:
        """Ends all steering."""
        self.core.check("slm_session_steer", self.handle, 0, 0, 0, 0.0)

    def lens(self, rows: npt.ArrayLike) -> Logits:
        """The logit lens (nostalgebraist 2020): what the model's last norm and its head make of
        rows [n, n_embd], such as those of a tap of a residual. Returns logits [n, n_vocab].

        Takes any number of rows; the cache stays as it is, and what was evaluated before can be
        sampled no more. Raises SlmError "invalid_argument".
        """
        values = np.asarray(rows, np.float32)
        blocks = []
        for start in range(0, len(values), self.n_batch):
            block = values[start : start + self.n_batch]
            self.look_through(block)
            blocks.append(self._output(len(block), self.model.info["n_vocab"] or 0))
        return np.concatenate(blocks)

    def look_through(self, rows: Rows) -> None:
        """The lens on 1 to `n_batch` rows, whose logits stay where they are: for `top`."""
        n_embd = self.model.info["n_embd"]
        if rows.ndim != 2 or rows.shape[1] != n_embd:
            raise SlmError(
                "invalid_argument", f"rows of the shape {rows.shape}; expected (n, {n_embd})"
            )
        with self._floats(rows) as address:
            self.core.check("slm_session_lens", self.handle, address, len(rows))

    def encode(self, sae: Sae, rows: Rows) -> None:
        """Hands 1 to `n_batch` rows [n, width] of the SAE's site to its encoder, for `features` and
        `feature`. Raises SlmError "invalid_argument"."""
        width = sae.info["width"]
        if rows.ndim != 2 or rows.shape[1] != width:
            raise SlmError(
                "invalid_argument", f"rows of the shape {rows.shape}; expected (n, {width})"
            )
        with self._floats(rows) as address:
            self.core.check("slm_session_encode", self.handle, sae.pointer(), address, len(rows))

    def features(self, n: int, row: int = 0) -> list[tuple[int, float]]:
        """(feature, activation) of the strongest, at most `n`, of a row of the last `encode`."""
        with self.core.allocate(8 * n) as address:
            found = self.core.check(
                *("slm_session_features", self.handle, row, n), *(address, address + 4 * n)
            )
            ids: list[Any] = self.core.array(address, found, np.int32).tolist()
            values: list[Any] = self.core.array(address + 4 * n, found, np.float32).tolist()
        return list(zip(ids, values, strict=True))

    def feature(self, feature: int, row: int = 0) -> float:
        """The activation of one feature in a row of the last `encode`; 0 below its threshold."""
        activation: float = self.core.call("slm_session_feature", self.handle, row, feature)
        if activation < 0:
            raise self.core.error(int(activation))
        return activation

    def steer_by(self, sae: Sae, feature: int, scale: float) -> None:
        """Steers behind the SAE's layer by scale times a feature's direction, whose activations are
        in the same unit. Raises SlmError "unsupported" for an SAE of attention heads, whose rows
        are no residual."""
        site, layer = sae.place
        if site == Site.HEADS:
            raise SlmError(
                "unsupported",
                "an SAE of attention heads steers no residual; take one of a residual or of a "
                "feed-forward network",
            )
        self.steer(layer, sae.direction(feature), scale)

    def top(self, n: int, row: int = 0) -> list[tuple[int, float]]:
        """(token, natural-log probability) of the `n` most likely tokens of a row of logits, of
        the last evaluation or of the lens. Raises SlmError "wrong_state" or "invalid_argument"."""
        with self.core.allocate(8 * n) as address:
            self.core.check("slm_session_top", self.handle, row, n, address, address + 4 * n)
            ids: list[Any] = self.core.array(address, n, np.int32).tolist()
            logprobs: list[Any] = self.core.array(address + 4 * n, n, np.float32).tolist()
        return list(zip(ids, logprobs, strict=True))

    @contextmanager
    def _floats(self, values: npt.NDArray[np.float32]) -> Iterator[int]:
        data = values.astype("<f4").tobytes()
        with self.core.allocate(len(data)) as address:
            self.core.view(address, len(data))[:] = data
            yield address

    def reuse(self, ids: Sequence[int]) -> int:
        """Keeps the longest prefix of `ids` that the cache holds, and returns its length.

        At most len(ids) - 1, so that there is always a token to evaluate.
        """
        with self.core.allocate(4 * len(ids)) as address:
            write_ids(self.core, address, ids)
            return self.core.check("slm_session_reuse", self.handle, address, len(ids))

    def eval(
        self, ids: Sequence[int], logits: Literal["none", "last", "all"] = "last"
    ) -> Logits | None:
        """Appends 1 to `n_batch` tokens to the cache.

        Returns None, the logits of the last token [1, n_vocab] or those of every
        token [len(ids), n_vocab]. Raises SlmError "context_full" or
        "invalid_argument"; the cache is then as before.
        """
        flag = {
            "none": EvalFlag.NO_LOGITS,
            "last": EvalFlag.LAST_LOGITS,
            "all": EvalFlag.ALL_LOGITS,
        }[logits]
        self._eval(ids, flag)
        if logits == "none":
            return None
        return self._output(1 if logits == "last" else len(ids), self.model.info["n_vocab"] or 0)

    def last_logits(self) -> Logits:
        """Those of the last token, [n_vocab], after `prefill` or an evaluation that kept them."""
        row: Logits = self._output(1, self.model.info["n_vocab"] or 0)[0]
        return row

    def _output(self, rows: int, columns: int) -> Logits:
        address = self.core.pointer("slm_session_logits", self.handle)
        if address == 0:
            raise self.core.error(Status.WRONG_STATE)
        return self.core.array(address, rows * columns, np.float32).reshape(rows, columns)

    def embed(self, ids: Sequence[int], dimensions: int | None = None) -> Embedding:
        """The embedding of one text, of length 1: all its numbers, or the first `dimensions` of
        them. Evaluates the text alone, whatever was there before.

        Raises SlmError "context_full" for a text of more than `n_ctx` tokens, "unsupported" for a
        model that generates, or "invalid_argument".
        """
        self._eval(ids, EvalFlag.EMBEDDING)
        n = self.model.info["n_embedding"] if dimensions is None else dimensions
        n = max(0, n or 0)
        with self.core.allocate(4 * n) as address:
            self.core.check("slm_session_embedding", self.handle, address, n)
            embedding: Embedding = self.core.array(address, n, np.float32)
            return embedding

    def output(self, pieces: Sequence[Sequence[int]]) -> Logits:
        """What the model puts out for a text in pieces: the logits of its last token, or of a
        model that embeds, which takes a text in one, the embedding as it comes."""
        if self.model.info["n_embedding"] is None:
            whole = [piece for piece in pieces if piece]
            for piece in whole[:-1]:
                self.eval(piece, "none")
            logits = self.eval(whole[-1])
            assert logits is not None
            row: Logits = logits[0]
            return row
        self._eval([token for piece in pieces for token in piece], EvalFlag.EMBEDDING)
        (row,) = self._output(1, self.model.info["n_embedding"])
        return row

    def logits(self, ids: Sequence[int]) -> Iterator[Logits]:
        """Evaluates `ids` after what is in the cache; yields blocks [n, n_vocab], in order.

        Blocks are kept to 32 MiB, so that a large vocabulary costs no more
        memory than a small one.
        """
        n_vocab = max(1, self.model.info["n_vocab"] or 1)
        step = min(self.n_batch, max(1, (32 << 20) // (4 * n_vocab)))
        for start in range(0, len(ids), step):
            block = self.eval(ids[start : start + step], "all")
            assert block is not None
            yield block

    def prefill(
        self,
        ids: Sequence[int],
        *,
        progress: Callable[[int, int], None] | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> int:
        """Makes the cache hold exactly `ids`, with the last one's logits ready to sample.

        Returns how many tokens the cache already held. `progress` is called with
        the tokens done and in all; `stopped` is asked before each batch.
        Raises SlmError "context_full" with the numbers, "invalid_argument" for no ids.
        """
        if not ids:
            raise SlmError("invalid_argument", "there are no tokens to evaluate; give some text")
        if len(ids) > self.n_ctx:
            raise SlmError(
                "context_full",
                f"the prompt has {len(ids)} tokens and the context holds {self.n_ctx}; "
                "shorten it or ask for a larger n_ctx",
            )
        cached = stop = self.reuse(ids)
        while stop < len(ids):
            if stopped():
                break
            start, stop = stop, self._piece(stop, len(ids))
            last = stop == len(ids)
            self._eval(ids[start:stop], EvalFlag.LAST_LOGITS if last else EvalFlag.NO_LOGITS)
            if progress:
                progress(stop, len(ids))
        return cached

    def _piece(self, start: int, end: int) -> int:
        """Where an evaluation from `start` on ends: no picture that is whole is cut."""
        stop = min(start + self.n_batch, end)
        cut = next((begin for begin, last in self._shown if begin < stop < last), stop)
        return cut if cut > start else stop

    def generate(
        self,
        ids: Sequence[int],
        sampling: Sampling | None = None,
        *,
        max_tokens: int | None = None,
        progress: Callable[[int, int], None] | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Generation:
        """Starts generating after the prompt `ids`; iterate over the result for the text.

        `max_tokens` (at least 1) is by default what the context has room for.
        `stopped` is asked between batches of the prefill and after every token.
        """
        return Generation(self, ids, sampling or Sampling(), max_tokens, progress, stopped)

    def _eval(self, ids: Sequence[int], flag: EvalFlag) -> None:
        with self.core.allocate(4 * len(ids)) as address:
            write_ids(self.core, address, ids)
            self.core.check("slm_session_eval", self.handle, address, len(ids), flag)
        self._n_evaluated = len(ids)

    def configure(self, sampling: Sampling) -> None:
        """Forgets the sampler's state and sets parameters, biases and stop strings."""
        core, handle = self.core, self.handle
        core.check("slm_session_reset", handle)
        for name, param in _PARAMS.items():
            core.check("slm_session_set", handle, param, getattr(sampling, name))
        for token, bias in sampling.logit_bias.items():
            core.check("slm_session_bias", handle, token, bias)
        for text in sampling.stop:
            data = text.encode()
            with core.allocate(len(data)) as address:
                core.view(address, len(data))[:] = data
                core.check("slm_session_stop", handle, address, len(data))
        for token in sampling.show:
            core.check("slm_session_show", handle, token)

    def logprobs(self, n: int) -> list[tuple[int, float]]:
        """(token, natural-log probability): the token just sampled, then the `n` most likely."""
        with self.core.allocate(8 * (n + 1)) as address:
            values = address + 4 * (n + 1)
            self.core.check("slm_session_logprobs", self.handle, n, address, values)
            ids: list[Any] = self.core.array(address, n + 1, np.int32).tolist()
            logprobs: list[Any] = self.core.array(values, n + 1, np.float32).tolist()
        return list(zip(ids, logprobs, strict=True))


FinishReason = Literal["stop", "length", "aborted"]


class Generation:
    """One answer under way: an iterator over pieces of text, then the numbers about it.

    The pieces are whole characters and never part of a stop string. Between two
    pieces `session.logprobs` tells about the token just sampled. Leaving the loop
    early is fine; the cache keeps what was evaluated.
    """

    def __init__(
        self,
        session: Session,
        ids: Sequence[int],
        sampling: Sampling,
        max_tokens: int | None,
        progress: Callable[[int, int], None] | None,
        stopped: Callable[[], bool],
    ) -> None:
        self.session = session
        self.prompt = list(ids)
        self.ids: list[int] = []  # generated
        self.cached = 0  # prompt tokens that needed no evaluation
        self.finish_reason: FinishReason | None = None
        self.prefill_seconds = 0.0
        self.decode_seconds = 0.0
        self._sampling = sampling
        self._max_tokens = max_tokens
        self._progress = progress
        self._stopped = stopped

    def __iter__(self) -> Iterator[str]:
        session, core = self.session, self.session.core
        start = time.perf_counter()
        self.cached = session.prefill(self.prompt, progress=self._progress, stopped=self._stopped)
        session.configure(self._sampling)
        self.prefill_seconds = time.perf_counter() - start
        if session.n_past < len(self.prompt):
            self.finish_reason = "aborted"
        with core.allocate(TEXT_ROOM) as room:
            while self.finish_reason is None:
                start = time.perf_counter()
                # The token before this one; the last one of all is never needed.
                if self.ids:
                    session._eval(self.ids[-1:], EvalFlag.LAST_LOGITS)
                self.ids.append(core.check("slm_session_sample", session.handle))
                text = self._take(room, flush=False)
                self.finish_reason = self._finished()
                self.decode_seconds += time.perf_counter() - start
                if text:
                    yield text
            if self.ids and (text := self._take(room, flush=True)):
                yield text

    def _finished(self) -> FinishReason | None:
        session = self.session
        if session.core.check("slm_session_finish", session.handle) != Finish.NONE:
            return "stop"
        # The cache has no room for the token that was just sampled.
        full = len(self.prompt) + len(self.ids) > session.n_ctx
        if full or len(self.ids) == self._max_tokens:
            return "length"
        return "aborted" if self._stopped() else None

    def _take(self, room: int, *, flush: bool) -> str:
        core = self.session.core
        pieces = []
        while n := core.check("slm_session_text", self.session.handle, int(flush), room, TEXT_ROOM):
            pieces.append(bytes(core.view(room, n)))
        return b"".join(pieces).decode("utf-8", "replace")
