"""A model inside the core: its header, its tokenizer and its weights.

Owns the loading protocol of slm.h: headers first, then the layout, then the
tensors' bytes in file order, read straight into linear memory. Knows nothing of
architectures or quantization; the core says how large pieces have to be.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from ..errors import SlmError
from ..generated.abi import Status, TextFlag
from ..kinds import advice
from .files import ByteFile, open_files
from .held import Held
from .instance import U32, Instance, Variant
from .loading import Progress, TensorInfo, about, feed_tensors, read_header

if TYPE_CHECKING:
    from .adapter import Adapter
    from .sae import Sae
    from .session import Session
    from .vision import Vision


class FimTokens(TypedDict):
    """What a text to be filled in the middle is put together with."""

    prefix: int
    suffix: int
    middle: int
    separator: int | None  # before each file
    repo: int | None  # before the name of what the files belong to
    pad: int | None


class ModelInfo(TypedDict):
    """slm_model_describe. Absent facts are None."""

    architecture: str | None
    name: str | None
    license: str | None
    license_link: str | None
    parameters: int
    n_ctx_train: int | None
    n_vocab: int | None
    n_embd: int | None
    # Numbers of a text's embedding, of models that embed; there after `layout`.
    n_embedding: int | None
    encoder_decoder: bool  # an encoder reads a prompt whole, and a decoder answers
    n_layer: int | None
    n_head: int | None
    n_head_kv: int | None
    head_dim: int | None
    rope_dims: int | None  # columns of a head that rotate
    # Where layers differ: which see a window alone, and how many of the last attend to others' keys
    # and values; the numbers of heads and sizes are then the largest.
    local_layers: list[int] | None
    n_shared: int | None
    bos: int | None
    eos: int | None
    eot: int | None
    add_bos: bool | None
    eog: list[int]
    fim: FimTokens | None
    tokenizer: str | None
    chat_template: str | None
    languages: list[str] | None
    packed_bytes: int | None
    types: dict[str, int]  # tensor type -> bytes
    files: int
    tensors: list[TensorInfo]


class Tokenizer:
    """Text to ids and back, by the model's own vocabulary. Needs no weights."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._core = model.core
        self._handle = model.handle

    def encode(
        self,
        text: str | bytes,
        *,
        special: bool = True,
        bos: bool = True,
        plain: Sequence[tuple[int, int]] = (),
    ) -> list[int]:
        """The token ids of `text`, which may be any bytes.

        `special` parses special tokens in the text ("<|im_start|>"); without it
        they are text like any other. `bos` adds BOS and EOS where the model's
        metadata asks for them. `plain` are stretches [begin, end) of `text`, rising,
        in which control tokens are text all the same: what came from a stranger.
        """
        data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        flags = _flag(special, TextFlag.SPECIAL) | _flag(bos, TextFlag.BOS)
        core = self._core
        # A token is seldom shorter than a byte, so this room is nearly always enough.
        capacity = len(data) + 16
        offsets = np.array(_byte_offsets(text, plain), "<u4").tobytes()
        with core.allocate(len(offsets) + len(data)) as spans:
            source = spans + len(offsets)
            core.view(spans, len(offsets) + len(data))[:] = offsets + data
            while True:
                with core.allocate(4 * capacity) as target:
                    n = core.check(
                        *("slm_tokenize", self._handle, source, len(data), flags),
                        *(spans, len(plain), target, capacity),
                    )
                    if n <= capacity:
                        ids: list[int] = core.array(target, n, np.int32).tolist()
                        return ids
                capacity = n

    def decode(self, ids: Sequence[int], *, special: bool = False) -> bytes:
        """The bytes of `ids`, which may end inside a character.

        `special` renders special tokens; without it they leave no text.
        Raises SlmError "invalid_argument" for an id outside the vocabulary.
        """
        core = self._core
        n_vocab = self._model.info["n_vocab"] or 0
        for token in ids:
            # The core renders such an id as nothing, which would hide a mistake.
            if not 0 <= token < n_vocab:
                raise SlmError(
                    "invalid_argument",
                    f"the token id {token} is outside the vocabulary of {n_vocab}; correct it",
                )
        capacity = 16 * len(ids) + 64
        with core.allocate(4 * len(ids)) as source:
            write_ids(core, source, ids)
            while True:
                with core.allocate(capacity) as target:
                    n = core.check(
                        "slm_detokenize",
                        *(self._handle, source, len(ids), _flag(special, TextFlag.SPECIAL)),
                        *(target, capacity),
                    )
                    if n <= capacity:
                        return bytes(core.view(target, n))
                capacity = n


class Model(Held):
    """A GGUF model in the core. Use `open`, and close it or use it in a `with`."""

    NOUN = "model"
    FREE = "slm_model_free"

    def __init__(self, core: Instance) -> None:
        super().__init__(core, core.pointer("slm_model_new"))
        self.loaded = False
        self._files: list[ByteFile] = []
        self._info: ModelInfo | None = None

    @classmethod
    def open(
        cls,
        *files: str | Path,
        weights: bool = True,
        layers: tuple[int, int] | None = None,
        variant: Variant | None = None,
        core: Instance | None = None,
        progress: Progress | None = None,
    ) -> Model:
        """Opens a model from its GGUF file, from any or all files of a split set, or from the
        folder of a packed model.

        Without `weights` only the headers are read: enough for `info` and
        `tokenizer`. `layers` as `consist_of`, and no others are loaded. `progress` is
        called with the bytes of weights loaded and in all. Raises SlmError: "unreadable",
        "bad_file", "unsupported", "out_of_memory", "not_built".
        """
        model = cls(core or Instance(variant))
        try:
            model._files = open_files([Path(file) for file in files])
            model._read_headers()
            if layers is not None:
                model.consist_of(layers)
            if weights:
                model._load(progress or (lambda done, total: None))
        except BaseException:
            model.close()
            raise
        model._close_files()
        return model

    @property
    def tokenizer(self) -> Tokenizer:
        """One that keeps the model alive. The model keeps none, so that it goes, and a core of
        gigabytes with it, when nobody has it any more."""
        return Tokenizer(self)

    @property
    def info(self) -> ModelInfo:
        if self._info is None:
            text = self.core.string(self.core.pointer("slm_model_describe", self.handle))
            if not text:
                raise self.core.error(Status.WRONG_STATE)
            self._info = json.loads(text)
        assert self._info is not None
        return self._info

    def session(self, n_ctx: int | None = None, n_batch: int = 128) -> Session:
        """A session with room for `n_ctx` tokens (by default the model's context, at most 2048)."""
        from .session import Session

        return Session(self, n_ctx or self.default_n_ctx, n_batch)

    def load_adapter(self, file: str | Path, *, progress: Progress | None = None) -> Adapter:
        """Loads a GGUF LoRA adapter beside this model, for `Session.adapters`.

        `progress` is called with the bytes loaded and in all. Raises SlmError:
        "unreadable", "bad_file" (also for an adapter of another base), "unsupported",
        "out_of_memory".
        """
        from .adapter import Adapter

        return Adapter(self, Path(file), progress or (lambda done, total: None))

    def load_vision(self, file: str | Path, *, progress: Progress | None = None) -> Vision:
        """Loads this model's encoder of pictures (llama.cpp's "mmproj"), for `Vision.encode`, from
        its file or from the folder of a packed model.

        `progress` is called with the bytes loaded and in all. Raises SlmError:
        "unreadable", "bad_file" (also for an encoder of another model), "unsupported",
        "out_of_memory".
        """
        from .vision import Vision

        return Vision(self, Path(file), progress or (lambda done, total: None))

    def load_sae(self, file: str | Path, *, progress: Progress | None = None) -> Sae:
        """Loads a sparse autoencoder of this model, as `slmweb sae` writes it, for
        `Session.encode`.

        `progress` is called with the bytes loaded and in all. Raises SlmError:
        "unreadable", "bad_file" (also for an SAE of another model), "unsupported",
        "out_of_memory".
        """
        from .sae import Sae

        return Sae(self, Path(file), progress or (lambda done, total: None))

    @property
    def default_n_ctx(self) -> int:
        return min(2048, self.info["n_ctx_train"] or 2048)

    def layout(self) -> None:
        """Checks the tensors against the architecture and allocates their memory."""
        self.core.check("slm_model_layout", self.handle)
        self._info = None  # now with the packed size and each tensor's granule

    def consist_of(self, layers: tuple[int, int]) -> None:
        """From now on the model is its layers [first, end) between its embedding and its head.

        Before `layout` no others will be loaded; after it they must be some of those that are.
        Empty every session's cache, which is of other layers. Raises SlmError "invalid_argument".
        """
        self.core.check("slm_model_layers", self.handle, *layers)

    def session_bytes(self, n_ctx: int, n_batch: int = 128) -> int:
        """What a session of this shape would take, with one thread. After `layout`.

        Raises SlmError "invalid_argument" or "wrong_state".
        """
        size: float = self.core.call("slm_session_bytes", self.handle, n_ctx, n_batch)
        if size < 0:
            raise self.core.error(int(size))
        return int(size)

    def close(self) -> None:
        """Frees the model. Sessions must be closed before; closing twice is fine."""
        self._close_files()
        super().close()

    def _close_files(self) -> None:
        for file in self._files:
            file.close()
        self._files.clear()

    def _read_headers(self) -> None:
        missing = 0
        for index, file in enumerate(self._files):
            missing = read_header(self.core, "slm_model_header", self.handle, file)
            given = len(self._files) - index - 1
            if missing < given:
                raise SlmError(
                    "invalid_argument",
                    f"{file.path} completes the model, but {given} more files were given; "
                    "name the files of one model only",
                )
        if missing > 0:
            raise SlmError(
                "unreadable",
                f"{self._files[-1].path} belongs to a set and {missing} of its files are missing; "
                "name all of them in order",
            )

    def _load(self, progress: Progress) -> None:
        self.core.tune()
        try:
            self.layout()
        except SlmError as error:
            told = advice(self.info["architecture"]) if error.code == "unsupported" else None
            raise about(self._files[0], error, told) from None
        tensors = self.info["tensors"]
        feed_tensors(self.core, "slm_model_feed", self.handle, self._files, tensors, progress)
        self.core.check("slm_model_ready", self.handle)
        self.loaded = True


def write_ids(core: Instance, address: int, ids: Sequence[int]) -> None:
    """Writes int32 token ids. Raises SlmError "invalid_argument" for what is no int32."""
    try:
        data = np.asarray(ids, np.int64).astype(np.int32)
        if len(ids) > U32 // 4 or not np.array_equal(data, np.asarray(ids, np.int64)):
            raise OverflowError
    except (OverflowError, ValueError, TypeError):
        raise SlmError(
            "invalid_argument", "a token id is not a number from 0 to 2147483647; correct the ids"
        ) from None
    core.view(address, data.nbytes)[:] = data.tobytes()


def _byte_offsets(text: str | bytes, spans: Sequence[tuple[int, int]]) -> list[int]:
    """Begin, end, begin, end, … of stretches of `text`, in bytes."""
    if isinstance(text, bytes):
        return [at for span in spans for at in span]
    offsets, byte, unit = [], 0, 0
    for at in (at for span in spans for at in span):
        byte += len(text[unit:at].encode("utf-8", "surrogateescape"))
        unit = at
        offsets.append(byte)
    return offsets


def _flag(wanted: bool, flag: TextFlag) -> int:
    return int(flag) if wanted else 0
