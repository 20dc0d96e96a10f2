"""The manifest of a packed model: what web/src/store reads, as Python types.

Owns the schema, its JSON form and the root hash that names a version. The bytes
of a manifest depend on nothing but its content: no dates, no machine names.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import SlmError, os_reason
from ..generated.abi import Site

SCHEMA = 2
MANIFEST = "manifest.json"
MAX_LAYERS = 1024
MAX_BOUND = 0.1  # of a known answer; rounding to 8 bits is not much further off
CHUNK_SIZE = 16 << 20  # bytes; what a browser hashes and resumes as one piece

# The names that the browser takes for a model and its files, and the label of a version.
MODEL_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
VERSION_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+()-]{0,63}")
SITES = tuple(site.name.lower() for site in Site)
SAMPLING = ("temperature", "top_k", "top_p", "min_p", "repeat_penalty")


@dataclass(frozen=True)
class Chunk:
    sha256: str
    size: int


@dataclass(frozen=True)
class PackedFile:
    name: str
    size: int
    sha256: str
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True)
class PackedAdapter:
    """A LoRA adapter that comes with the model: one of the manifest's files."""

    name: str
    title: str
    file: int  # its place in the manifest's files


@dataclass(frozen=True)
class PackedSae:
    """A sparse autoencoder that comes with the model: one of the manifest's files."""

    name: str
    title: str
    file: int  # its place in the manifest's files
    site: str  # "residual", "mlp" or "heads"
    layer: int
    width: int  # numbers of a row
    features: int
    labels: int  # features that have one
    license: str | None


@dataclass(frozen=True)
class PackedVision:
    """The encoder of pictures that comes with the model: one of the manifest's files."""

    projector: str
    file: int  # its place in the manifest's files
    image_size: int  # of the square that the encoder takes, pixels; 0: pictures keep their shape
    patch_size: int
    n_tokens: int  # positions that one picture takes, or at most where nobody asks for more
    packed_bytes: int  # that the weights take
    encode_bytes: int  # beside them, while a picture of so many positions is encoded
    # Rows and columns of patches that make one position, where pictures keep their shape; else
    # left out.
    factor: int | None = None
    whole_picture: bool = True  # a picture is one evaluation; left out when true
    whole_prompt: bool = False  # a prompt with pictures is one evaluation; left out when false
    masks: bool = False  # its file has a decoder of what answers outline; left out when false


@dataclass(frozen=True)
class ContextMemory:
    """What a session of `n_ctx` positions takes: KV cache, activations and scratch memory
    for prefill chunks of 128 tokens on one thread; with an encoder, for chunks that hold a picture,
    or where it takes a whole prompt at once, all positions."""

    n_ctx: int
    bytes: int


@dataclass(frozen=True)
class Memory:
    weights: int  # bytes that the packed weights take
    n_ctx_default: int
    contexts: tuple[ContextMemory, ...]  # by rising n_ctx


@dataclass(frozen=True)
class KnownAnswer:
    """What the weights make of a few tokens; see known_answer.py."""

    tokens: tuple[int, ...]
    ids: tuple[int, ...]  # with the greatest logits after the last token, greatest first
    logits: tuple[float, ...]  # theirs
    scale: float  # root mean square of all logits less their mean: what errors are measured in
    bound: float  # the error that a right device stays under in an exact session
    f16_bound: float  # the same where the cache is f16, and nothing else is rounded
    arithmetic: str  # "exact": float32 activations and cache, weights as they are stored
    layers: tuple[int, int] | None = None  # [first, end), which alone took part; None: all


@dataclass(frozen=True)
class Manifest:
    name: str
    title: str
    version: str | None  # a label for people; what tells versions apart is `root`
    architecture: str
    parameters: int
    context_length: int
    license: str | None
    license_url: str | None
    source: str | None
    chat_template: str | None
    size: int  # bytes of all files
    memory: Memory
    sampling: dict[str, float]
    root: str  # content_root(files)
    files: tuple[PackedFile, ...]  # the model's, then its adapters', the encoder's, its SAEs'
    adapters: tuple[PackedAdapter, ...] = ()  # left out of the JSON when there is none
    vision: PackedVision | None = None  # left out of the JSON when there is none
    saes: tuple[PackedSae, ...] = ()  # left out of the JSON when there is none
    good_for: str | None = None  # one line for people who choose; left out when there is none
    # One; or those of a few layers each, together all of them; left out when there is none.
    known_answer: tuple[KnownAnswer, ...] = ()
    schema: int = field(default=SCHEMA, kw_only=True)

    @property
    def model_files(self) -> list[PackedFile]:
        """Without those of the adapters, the encoder and the SAEs."""
        others = {adapter.file for adapter in self.adapters} | {sae.file for sae in self.saes}
        if self.vision is not None:
            others.add(self.vision.file)
        return [file for index, file in enumerate(self.files) if index not in others]

    def to_json(self) -> bytes:
        fields = asdict(self)
        if not self.adapters:
            del fields["adapters"]
        if not self.saes:
            del fields["saes"]
        if self.vision is None:
            del fields["vision"]
        else:
            usual = {"factor": None, "whole_picture": True, "whole_prompt": False, "masks": False}
            fields["vision"] = {
                key: value
                for key, value in fields["vision"].items()
                if key not in usual or value is not usual[key]
            }
        if self.good_for is None:
            del fields["good_for"]
        answers = [_without_none(answer) for answer in fields.pop("known_answer")]
        if answers:
            fields["known_answer"] = answers if "layers" in answers[0] else answers[0]
        return (
            json.dumps({"schema": fields.pop("schema"), **fields}, ensure_ascii=False, indent=1)
            + "\n"
        ).encode()


def content_root(files: Iterable[PackedFile]) -> str:
    """The hash that stands for every byte of a model, 64 hex digits.

    SHA-256 of an ASCII text: for each file in order the line "file SHA256 SIZE"
    and then, for each of its chunks in order, the line "chunk SHA256 SIZE"; sizes
    in decimal, single spaces, every line ended by "\\n". Two manifests with one
    root are the same weights, whatever else they say.
    """
    lines = []
    for file in files:
        lines.append(f"file {file.sha256} {file.size}\n")
        lines += [f"chunk {chunk.sha256} {chunk.size}\n" for chunk in file.chunks]
    return hashlib.sha256("".join(lines).encode("ascii")).hexdigest()


def parse_manifest(data: bytes, where: object) -> Manifest:
    """The manifest in `data`, whose root fits its chunks.

    `where` opens the sentence of the SlmError "bad_manifest".
    """
    try:
        value: dict[str, Any] = json.loads(data)
        if value.get("schema") != SCHEMA:
            raise ValueError(
                f"its schema is {value.get('schema')!r} and this slmweb reads {SCHEMA}"
            )
        files = tuple(
            PackedFile(**{**file, "chunks": tuple(Chunk(**chunk) for chunk in file["chunks"])})
            for file in value["files"]
        )
        contexts = tuple(ContextMemory(**context) for context in value["memory"]["contexts"])
        memory = Memory(**{**value["memory"], "contexts": contexts})
        adapters = tuple(PackedAdapter(**adapter) for adapter in value.get("adapters", []))
        known_answer = _known_answers(value.get("known_answer"))
        taken = {adapter.file for adapter in adapters}
        vision = _vision(value.get("vision"), len(files), taken)
        if vision is not None:
            taken.add(vision.file)
        nested = {
            "memory": memory,
            "files": files,
            "adapters": adapters,
            "vision": vision,
            "saes": _saes(value.get("saes", []), len(files), taken),
            "known_answer": known_answer,
        }
        manifest = Manifest(**{**value, **nested})
        if manifest.good_for is not None and not isinstance(manifest.good_for, str):
            raise ValueError("its good_for is not a text")
        if manifest.root != content_root(files):
            raise ValueError("its root is not that of its chunks")
        return manifest
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SlmError(
            "bad_manifest",
            f"{where} is not a manifest that can be used ({error}); pack the model again",
        ) from None


def _vision(value: Any, n_files: int, adapters: Collection[int]) -> PackedVision | None:
    """Raises ValueError, or what a value of another type raises."""
    if value is None:
        return None
    vision = PackedVision(**value)
    others = ("projector", "factor", "whole_picture", "whole_prompt", "masks")
    whole = {k: v for k, v in asdict(vision).items() if k not in others}
    if not all(type(number) is int and number >= 0 for number in whole.values()):
        raise ValueError("its encoder of pictures has sizes that are none")
    keeps_shape = vision.image_size == 0
    factor_fits = (
        (type(vision.factor) is int and vision.factor > 0)
        if keeps_shape
        else (vision.factor is None)
    )
    if not (vision.patch_size and vision.n_tokens and factor_fits):
        raise ValueError("its encoder of pictures has sizes that are none")
    # One file at least is the model's.
    if not vision.file < n_files or vision.file in adapters or len(adapters) + 1 >= n_files:
        raise ValueError("its encoder of pictures has no file of its own")
    flags = (vision.whole_picture, vision.whole_prompt, vision.masks)
    if not isinstance(vision.projector, str) or not all(isinstance(flag, bool) for flag in flags):
        raise ValueError("its encoder of pictures has a projector that is none")
    return vision


def _saes(value: Any, n_files: int, taken: Collection[int]) -> tuple[PackedSae, ...]:
    """Raises ValueError, or what a value of another type raises."""
    saes = tuple(PackedSae(**sae) for sae in value)
    for sae in saes:
        numbers = (sae.file, sae.layer, sae.width, sae.features, sae.labels)
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise ValueError("one of its autoencoders has sizes that are none")
        if not (sae.width and sae.features and sae.labels <= sae.features):
            raise ValueError("one of its autoencoders has sizes that are none")
        if sae.site not in SITES:
            raise ValueError(f"one of its autoencoders has the site {sae.site!r}")
        if not (isinstance(sae.name, str) and MODEL_NAME.fullmatch(sae.name)):
            raise ValueError("one of its autoencoders has a name that is none")
        if not isinstance(sae.title, str) or not isinstance(sae.license, str | None):
            raise ValueError("one of its autoencoders has a title or a licence that is none")
    files = {sae.file for sae in saes}
    if len({sae.name for sae in saes}) < len(saes):
        raise ValueError("two of its autoencoders have one name")
    # One file at least is the model's.
    if len(files) < len(saes) or files & set(taken) or max(files, default=-1) >= n_files:
        raise ValueError("one of its autoencoders has no file of its own")
    if saes and len(saes) + len(taken) >= n_files:
        raise ValueError("its autoencoders leave no file for the model")
    return saes


def _without_none(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


def _known_answers(value: Any) -> tuple[KnownAnswer, ...]:
    """Raises ValueError, or what a value of another type raises."""
    if value is None:
        return ()
    if not isinstance(value, list):
        answer = _known_answer(value)
        if answer.layers is not None:
            raise ValueError("its known answer is of some layers alone")
        return (answer,)
    answers = tuple(_known_answer(answer) for answer in value)
    borders = [answer.layers or (-1, -1) for answer in answers]
    if [first for first, _ in borders] != [0, *(end for _, end in borders[:-1])]:
        raise ValueError("its known answers are not those of all layers, in order")
    return answers


def _known_answer(value: Any) -> KnownAnswer:
    lists = {key: tuple(value[key]) for key in ("tokens", "ids", "logits")}
    if value.get("layers") is not None:
        first, end = value["layers"]
        if not (type(first) is type(end) is int and 0 <= first < end <= MAX_LAYERS):
            raise ValueError("its known answer has layers that are none")
        lists["layers"] = (first, end)
    answer = KnownAnswer(**{**value, **lists})
    ids = answer.tokens + answer.ids
    if not all(isinstance(i, int) and 0 <= i < 1 << 31 for i in ids) or not answer.tokens:
        raise ValueError("its known answer has tokens that are none")
    bounds = (answer.bound, answer.f16_bound)
    numbers = (*answer.logits, answer.scale, *bounds)
    if len(answer.ids) != len(answer.logits) or not all(map(math.isfinite, numbers)):
        raise ValueError("its known answer has not a number for each id")
    if not (answer.ids and answer.scale > 0 and all(0 < b <= MAX_BOUND for b in bounds)):
        raise ValueError("its known answer could never fail")
    if answer.arithmetic != "exact":
        raise ValueError(f"its known answer is of the arithmetic {answer.arithmetic!r}")
    return answer


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a packed model. Raises SlmError "unreadable" or "bad_manifest"."""
    path = folder / MANIFEST
    try:
        data = path.read_bytes()
    except OSError as error:
        if not isinstance(error, FileNotFoundError) or not folder.is_dir():
            raise SlmError("unreadable", f"cannot read {path}: {os_reason(error)}") from None
        raise SlmError(
            "unreadable",
            f"expected a packed model, with its {MANIFEST}, found none in {folder}; "
            f"`slmweb pack` makes one of a GGUF, `slmweb build` a site of a checkpoint",
        ) from None
    return parse_manifest(data, path)
