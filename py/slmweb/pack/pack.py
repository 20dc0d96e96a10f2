"""Packs GGUF files for the web: chunks named by their SHA-256 and a manifest.

Owns the order of writing: every file appears whole, the manifest last, so that
a folder with a manifest is a complete model at any moment. The same input gives
the same bytes. What the model is, the core says; where files are cut, cuts.py.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from ..atomic import atomic_file, check_output
from ..core.adapter import Adapter
from ..core.chat import check_template
from ..core.files import ByteFile, model_files, split_stem
from ..core.instance import Instance
from ..core.loading import TensorInfo
from ..core.model import Model
from ..core.sae import Sae
from ..core.vision import Vision
from ..errors import SlmError, os_reason
from ..generated.abi import N_BATCH, Site
from ..paths import wasm_file
from ..vision.masks import has_masks
from ..vision.projectors import n_batch_for
from . import known_answer
from .cuts import Extent, cuts
from .manifest import (
    CHUNK_SIZE,
    MANIFEST,
    MODEL_NAME,
    SAMPLING,
    VERSION_LABEL,
    Chunk,
    ContextMemory,
    KnownAnswer,
    Manifest,
    Memory,
    PackedAdapter,
    PackedFile,
    PackedSae,
    PackedVision,
    content_root,
    read_manifest,
)
from .sign import SIGNATURE, read_private_key, sign

Progress = Callable[[int, int], None]  # bytes done, bytes in all

# What the page takes as one chunk, and what is still worth a request.
MAX_CHUNK_SIZE = 64 << 20
MIN_CHUNK_SIZE = 4 << 10
# Contexts whose memory the manifest states.
_SMALLEST_CONTEXT, _LARGEST_CONTEXT = 512, 131072

_CHUNK_FILE = re.compile(r"[0-9a-f]{64}|\.[0-9a-f]{64}\.\d+\.tmp")


def default_name(path: Path) -> str:
    """The model's name in URLs, from its file name: "SmolLM2-135M.Q4_1.gguf" -> "smollm2-135m-q4_1"."""  # noqa: E501
    name = re.sub(r"[^a-z0-9_]+", "-", split_stem(path).lower()).strip("-_")[:100]
    return name or "model"


def pack(
    files: Sequence[Path],
    folder: Path,
    *,
    name: str | None = None,
    title: str | None = None,
    version: str | None = None,
    license: str | None = None,  # noqa: A002 (the manifest's word)
    license_url: str | None = None,
    good_for: str | None = None,
    source: str | None = None,
    sampling: Mapping[str, float] | None = None,
    adapters: Sequence[tuple[Path, str | None]] = (),
    encoder: Path | None = None,
    saes: Sequence[tuple[Path, str | None]] = (),
    or_without: Callable[[str], None] | None = None,
    chunk_size: int = CHUNK_SIZE,
    with_known_answer: bool = True,
    key: Path | None = None,
    progress: Progress = lambda done, total: None,
) -> Manifest:
    """Writes the model's chunks and its manifest into `folder`, which is made.

    Chunks of an earlier pack that the new manifest does not name are deleted.
    `files` is one GGUF file, or any or all files of a split set. Title and
    licence come from the metadata unless given; `version` is a label for people,
    `good_for` one line for those who choose between models.
    `adapters` are GGUF LoRA adapters of the model, each with a title or None for
    its own; the page offers them as domains. `encoder` is the GGUF of the model's encoder of
    pictures; where it cannot be used and `or_without` is given, that is told why, and the model
    packed without. `saes` are its sparse autoencoders, likewise with titles, which the page that
    looks inside offers. `chunk_size` is the most bytes of a chunk; `key` a private key to sign
    with. `with_known_answer` runs the model on a few tokens, which reads it twice.
    Raises SlmError: what `known_answer.of_files`, `Model.load_adapter`, `Model.load_vision` and
    `Model.load_sae` raise, "invalid_argument", "bad_template" for a template that cannot be
    parsed, "unreadable" and "unwritable", and what check_output raises.
    """
    paths = model_files(files)
    name = name if name is not None else default_name(paths[0])
    _check(name, version, license_url, sampling or {}, chunk_size)
    good_for = _line(good_for)
    private = read_private_key(key) if key is not None else None
    model, n_batch = _laid_out(paths)
    with model:
        info = model.info
        if info["chat_template"]:
            check_template(info["chat_template"])
        listed, adapter_tensors = _adapters(model, adapters, len(paths))
        vision: PackedVision | None = None
        vision_tensors: list[TensorInfo] = []
        if encoder is not None:
            try:
                vision, vision_tensors = _vision(model, encoder, len(paths) + len(adapters))
            except SlmError as error:
                if or_without is None or error.code not in (
                    "bad_file",
                    "unsupported",
                    "unreadable",
                ):
                    raise
                or_without(error.message)
                encoder = None
        packed_saes, sae_tensors = _saes(
            model, saes, len(paths) + len(adapters) + (encoder is not None)
        )
        n_ctx_train = info["n_ctx_train"] or 2048
        contexts = _contexts(
            model,
            context_lengths(n_ctx_train),
            lambda n_ctx: (
                n_batch
                if vision is None
                else n_batch_for(
                    vision.n_tokens, vision.whole_picture, vision.whole_prompt, n_ctx, n_batch
                )
            ),
        )
    loading = _size(paths) if with_known_answer else 0
    known: tuple[KnownAnswer, ...] = ()
    others = [
        *(path for path, _ in adapters),
        *([] if encoder is None else [encoder]),
        *(path for path, _ in saes),
    ]
    total = loading + _size(paths) + _size(others)
    if with_known_answer:
        known = known_answer.of_files(paths, lambda done, n: progress(loading * done // n, total))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _spare_inputs(folder)
    except OSError as error:
        raise SlmError("unwritable", f"cannot make {folder}: {os_reason(error)}") from None

    tensors_of = [
        [tensor for tensor in info["tensors"] if tensor["file"] == index]
        for index in range(len(paths))
    ]
    tensors_of += adapter_tensors + ([] if encoder is None else [vision_tensors]) + sae_tensors
    paths = [*paths, *others]
    packed: list[PackedFile] = []
    for path, described in zip(paths, tensors_of, strict=True):
        done = loading + sum(file.size for file in packed)
        # What the core leaves in the file, decoders of SAEs and of masks, may be cut anywhere.
        tensors = [
            Extent(tensor["name"], tensor["offset"], tensor.get("granule", 1))
            for tensor in described
        ]
        packed.append(
            _pack_file(
                path,
                folder,
                tensors,
                chunk_size,
                lambda n, done=done: progress(done + n, total),  # type: ignore[misc]
            )
        )
    manifest = Manifest(
        name=name,
        title=(title or info["name"] or split_stem(paths[0]))[:200],
        version=version,
        architecture=info["architecture"] or "unknown",
        parameters=info["parameters"],
        context_length=n_ctx_train,
        license=license or info["license"],
        license_url=license_url or _https(info["license_link"]),
        source=source,
        chat_template=info["chat_template"],
        size=sum(file.size for file in packed),
        memory=Memory(info["packed_bytes"] or 0, min(2048, n_ctx_train), contexts),
        sampling=dict(sampling or {}),
        root=content_root(packed),
        files=tuple(packed),
        adapters=listed,
        vision=vision,
        saes=packed_saes,
        good_for=good_for,
        known_answer=known,
    )
    _write_manifest(folder, manifest.to_json())
    if private is not None:
        sign(folder, private)
    _delete_others(folder, manifest)
    return manifest


def verify(folder: Path, progress: Progress = lambda done, total: None) -> Manifest:
    """Reads a packed model back as a browser would, and returns its manifest.

    Raises SlmError "corrupt" for the first byte range that is not what the
    manifest says, and what `read_manifest` raises.
    """
    manifest = read_manifest(folder)
    done = 0
    for file in manifest.files:
        whole = hashlib.sha256()
        for chunk in file.chunks:
            path = folder / chunk.sha256
            data = _read(path)
            if len(data) != chunk.size or hashlib.sha256(data).hexdigest() != chunk.sha256:
                raise SlmError("corrupt", f"{path} does not hold what its name says; pack again")
            whole.update(data)
            done += len(data)
            progress(done, manifest.size)
        if whole.hexdigest() != file.sha256 or file.size != sum(c.size for c in file.chunks):
            raise SlmError(
                "corrupt", f"the chunks of {file.name} in {folder} do not make the file; pack again"
            )
    return manifest


def _laid_out(paths: Sequence[Path]) -> tuple[Model, int]:
    """The model without weights, where the browser would run it, and the n_batch there: on the CPU
    or, if it does not fit WebAssembly's 4 GiB, on a GPU. Raises SlmError for what neither runs."""
    model = Model.open(*paths, weights=False)
    try:
        model.layout()
        return model, N_BATCH["cpu"]
    except SlmError as error:
        model.close()
        if error.code != "out_of_memory":
            raise
    model = Model.open(*paths, weights=False, core=Instance(wasm=wasm_file("webgpu")))
    try:
        model.layout()
    except SlmError:
        model.close()
        raise
    return model, N_BATCH["gpu"]


def _vision(model: Model, path: Path, file: int) -> tuple[PackedVision, list[TensorInfo]]:
    """What the manifest says of the encoder of pictures, whose file has that place, and its
    tensors. Raises SlmError for one that is not the model's."""
    with Vision(model, path, lambda done, total: None, weights=False) as vision:
        info = vision.info
        return PackedVision(
            projector=info["projector"],
            file=file,
            image_size=info["image_size"],
            patch_size=info["patch_size"],
            factor=None if info["image_size"] else info["factor"],
            n_tokens=info["n_tokens"],
            packed_bytes=info["packed_bytes"],
            encode_bytes=vision.encode_bytes,
            whole_picture=info["whole_picture"],
            whole_prompt=info["whole_prompt"],
            masks=has_masks(info),
        ), info["tensors"]


def _contexts(
    model: Model, lengths: Iterable[int], n_batch: Callable[[int], int]
) -> tuple[ContextMemory, ...]:
    """What sessions take, up to the longest that every GPU binds, and of what is one evaluation the
    longest of those; there is one entry at least.
    `n_batch` tells the tokens of an evaluation with so many positions."""
    found: list[ContextMemory] = []
    for n_ctx in lengths:
        try:
            found.append(ContextMemory(n_ctx, model.session_bytes(n_ctx, n_batch(n_ctx))))
        except SlmError as error:
            if error.code not in ("out_of_memory", "invalid_argument") or not found:
                raise
            break
    return tuple(found)


def _adapters(
    model: Model, adapters: Sequence[tuple[Path, str | None]], first: int
) -> tuple[tuple[PackedAdapter, ...], list[list[TensorInfo]]]:
    """What the manifest says of the adapters, whose files begin at place `first`, and their
    tensors. Raises SlmError for one that is not the model's, and for two of one name."""
    listed: list[PackedAdapter] = []
    tensors = []
    names = _names(adapters, "adapters")
    for file, (name, (path, title)) in enumerate(zip(names, adapters, strict=True), first):
        info = Adapter.check(model, path)
        tensors.append(info["tensors"])
        listed.append(PackedAdapter(name, _title(path, title, info["name"]), file))
    return tuple(listed), tensors


def _saes(
    model: Model, saes: Sequence[tuple[Path, str | None]], first: int
) -> tuple[tuple[PackedSae, ...], list[list[TensorInfo]]]:
    """The same of sparse autoencoders."""
    listed: list[PackedSae] = []
    tensors = []
    names = _names(saes, "autoencoders")
    for file, (name, (path, title)) in enumerate(zip(names, saes, strict=True), first):
        info = Sae.check(model, path)
        tensors.append(info["tensors"])
        listed.append(
            PackedSae(
                name=name,
                title=_title(path, title, info["name"]),
                file=file,
                site=Site(info["site"]).name.lower(),
                layer=info["layer"],
                width=info["width"],
                features=info["features"],
                labels=info["labels"],
                license=info["license"],
            )
        )
    return tuple(listed), tensors


def _names(files: Sequence[tuple[Path, str | None]], what: str) -> list[str]:
    """By which a page uses them. Raises SlmError "invalid_argument" for two that are one."""
    names: list[str] = []
    for path, _ in files:
        name = default_name(path)
        if name in names:
            raise SlmError(
                "invalid_argument",
                f"two {what} would have the name {name!r}; rename or leave out {path}",
            )
        names.append(name)
    return names


def _title(path: Path, given: str | None, own: str | None) -> str:
    return (given or own or split_stem(path))[:200]


def context_lengths(n_ctx_train: int) -> list[int]:
    """Powers of two up to the longest context that is stated, and that one itself."""
    longest = min(n_ctx_train, _LARGEST_CONTEXT)
    powers = [1 << i for i in range(32) if _SMALLEST_CONTEXT <= 1 << i < longest]
    return [*powers, longest]


def _line(good_for: str | None) -> str | None:
    """One line of text that a list can show."""
    if good_for is None:
        return None
    line = " ".join(good_for.split())
    if not 1 <= len(line) <= 200 or not line.isprintable():
        raise SlmError(
            "invalid_argument",
            f"what the model is good for has {len(line)} characters; "
            "say it in one line of 1 to 200",
        )
    return line


def _check(
    name: str,
    version: str | None,
    license_url: str | None,
    sampling: Mapping[str, float],
    chunk_size: int,
) -> None:
    if not MODEL_NAME.fullmatch(name):
        raise SlmError(
            "invalid_argument",
            f"the name {name!r} cannot be part of a URL; use up to 100 lower-case letters, digits, "
            "'.', '-' and '_', and begin with a letter or digit",
        )
    if version is not None and not VERSION_LABEL.fullmatch(version):
        raise SlmError(
            "invalid_argument",
            f"the version {version!r} is not a label; use up to 64 letters, digits, spaces and "
            "._+()-, beginning with a letter or digit, as in 2026-11",
        )
    if not MIN_CHUNK_SIZE <= chunk_size <= MAX_CHUNK_SIZE:
        raise SlmError(
            "invalid_argument",
            f"chunks of {chunk_size} bytes cannot be made; choose {MIN_CHUNK_SIZE} to "
            f"{MAX_CHUNK_SIZE} (16 MiB is {CHUNK_SIZE})",
        )
    if license_url is not None and not _https(license_url):
        raise SlmError(
            "invalid_argument", f"the licence address {license_url!r} does not begin with https://"
        )
    for key, value in sampling.items():
        if key not in SAMPLING or value != value or value in (float("inf"), float("-inf")):
            raise SlmError(
                "invalid_argument",
                f"the sampling default {key}={value} is not one of {', '.join(SAMPLING)} "
                "with a finite number",
            )


def _https(url: str | None) -> str | None:
    """The address if a page may link to it."""
    return url if url and re.fullmatch(r"https://[^\s\"'<>]{1,500}", url) else None


def _spare_inputs(folder: Path) -> None:
    """Raises what check_output raises if anything that a pack writes or deletes is an input."""
    chunks = [path for path in folder.iterdir() if _CHUNK_FILE.fullmatch(path.name)]
    for path in (folder / MANIFEST, folder / SIGNATURE, *chunks):
        check_output(path)


def _pack_file(
    path: Path,
    folder: Path,
    tensors: Sequence[Extent],
    chunk_size: int,
    progress: Callable[[int], None],
) -> PackedFile:
    whole = hashlib.sha256()
    chunks: list[Chunk] = []
    with ByteFile(path) as file:
        for offset, end in pairwise([0, *cuts(file.size, tensors, chunk_size)]):
            data = bytearray(end - offset)
            file.read_into(memoryview(data), offset)
            whole.update(data)
            digest = hashlib.sha256(data).hexdigest()
            target = folder / digest
            # A chunk that is there already is read, not trusted: packing again
            # is how a damaged folder is repaired.
            if not (target.is_file() and _read(target) == data):
                with atomic_file(target) as out:
                    out.write(data)
            chunks.append(Chunk(digest, len(data)))
            progress(end)
        name = re.sub(r"[^A-Za-z0-9 ._+()-]+", "-", path.name).lstrip(" ._+()-")[:200]
        return PackedFile(name or "model.gguf", file.size, whole.hexdigest(), tuple(chunks))


def _write_manifest(folder: Path, data: bytes) -> None:
    path = folder / MANIFEST
    if path.is_file() and _read(path) == data:
        return
    # A signature of the manifest that was there would only be wrong.
    (folder / SIGNATURE).unlink(missing_ok=True)
    with atomic_file(path) as out:
        out.write(data)


def _size(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SlmError("unreadable", f"cannot read {path}: {os_reason(error)}") from None


def _delete_others(folder: Path, manifest: Manifest) -> None:
    """Deletes chunks of earlier packs and what interrupted ones left."""
    wanted = {chunk.sha256 for file in manifest.files for chunk in file.chunks}
    for path in folder.iterdir():
        if _CHUNK_FILE.fullmatch(path.name) and path.name not in wanted:
            path.unlink(missing_ok=True)
