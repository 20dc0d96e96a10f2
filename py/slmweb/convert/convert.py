"""A Hugging Face checkpoint to a GGUF file, merging adapters on the way.

Owns the order: everything is read and checked before the first byte is written,
then tensors go through one block at a time, so that memory holds a block of rows
and never a tensor.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter
from numpy.typing import NDArray

from ..errors import SlmError
from .adapter import Adapter, Replacement, merges_of, resized
from .checkpoint import Checkpoint
from .family import Row
from .gguf_file import Output, Progress, write_gguf
from .hyperparameters import Hyperparameters, family_of, hyperparameters
from .masks import read_masks
from .metadata import FILE_TYPES, add_facts, add_hyperparameters
from .names import has_audio
from .sentence import read_sentence
from .tensors import (
    HEAD,
    TYPES,
    Planned,
    base_tensors,
    changed,
    changed_columns,
    plan,
    rounded,
    rows_of,
    stored_type,
)
from .vision import Vision, read_vision
from .vocabulary import read_templates, read_vocabulary


@dataclass(frozen=True)
class Converted:
    """What was written. `notes` are sentences about what could not be carried over."""

    architecture: str
    tensors: int
    parameters: int
    size: int  # bytes of the file
    notes: tuple[str, ...]
    vision: Path | None = None  # the second file: the encoder of pictures


def convert(
    checkpoint: Path,
    out: Path,
    *,
    type: str = "f16",  # noqa: A002 (the option's name)
    adapters: Sequence[tuple[Path, float]] = (),
    masks: Path | None = None,
    name: str | None = None,
    progress: Progress = lambda done, total: None,
) -> Converted:
    """Writes the checkpoint in the folder `checkpoint` to the GGUF file `out`, and the encoder
    of a model that sees pictures to another beside it: mmproj-`out`.

    `type` is "f32", "f16" or "bf16", of matrices; vectors are F32. `adapters` are
    folders of PEFT LoRA adapters with a weight each, merged in this order:
    W + weight * scale * B A, and for DoRA the rows of that rescaled to its
    magnitudes, as peft's merge_and_unload does. `masks` is PaliGemma's decoder of
    what its answers outline, vae-oid.npz, which goes into the encoder's file. `name`
    is by default the folder's. `progress` gets bytes written and in all.

    Raises SlmError: "invalid_argument", "unreadable", "bad_file", "unsupported",
    "unwritable". Whatever is raised, `out` is as it was.
    """
    wanted = _type(type)
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(Checkpoint(checkpoint))
        family, config, multimodal = family_of(source)
        hyper = hyperparameters(source, family, config)
        tensors = source.tensors()
        vision = read_vision(source, tensors, hyper.n_embd, wanted) if multimodal else None
        if masks is not None:
            vision = _with_masks(vision, masks, checkpoint)
        found = base_tensors(tensors, hyper, str(checkpoint))
        if family.embeds:
            sentence = read_sentence(source, family.n_dense)
            hyper = hyper.with_sentence(sentence)
            found |= {f"dense_{i + 2}.weight": dense for i, dense in enumerate(sentence.dense)}
        loaded = [stack.enter_context(Adapter(folder, weight)) for folder, weight in adapters]
        for adapter in loaded:
            adapter.forget_copies(found)
        notes = [*source.notes, *(note for adapter in loaded for note in adapter.notes(source))]
        hyper = resized(hyper, loaded, hyper.tied and HEAD not in found)
        merges = merges_of(loaded, rows_of(family, hyper), hyper)
        planned = plan(family, hyper, found, merges, str(source.config_path))
        # What training saved beside an adapter is what it was trained with.
        folders = [*(adapter.folder for adapter in reversed(loaded)), checkpoint]
        vocabulary = read_vocabulary(folders, hyper.n_vocab, config, bpe=family.bpe)
        notes += vocabulary.notes
        if multimodal and vision is None:
            heard = " and what hears" if has_audio(tensors) else ""
            notes.append(f"all but the language model is left out, such as the vision part{heard}")
        elif has_audio(tensors):
            notes.append("what hears is left out; the language model and what sees are converted")

        def describe(writer: GGUFWriter) -> None:
            add_facts(writer, folders, name or checkpoint.resolve().name)
            add_hyperparameters(writer, family, hyper)
            writer.add_file_type(FILE_TYPES[type])
            vocabulary.add_to(writer)

        outputs = [_output(tensor, hyper, wanted) for tensor in planned]
        outputs += [
            _vector(named, np.array(factors, np.float32))
            for named, factors in hyper.rope_factors().items()
        ]
        beside = None if vision is None else out.with_name(f"mmproj-{out.name}")
        with contextlib.ExitStack() as unfinished:
            if vision is not None and beside is not None:
                if out.exists() and not out.is_file():
                    raise SlmError("unwritable", f"cannot write {out}: it is no file; name one")
                # It gets its name with the model: neither stands beside another one's other half.
                part = beside.with_name(f".{beside.name}.part")
                unfinished.callback(part.unlink, missing_ok=True)
                _write_vision(part, vision, folders, name or checkpoint.resolve().name, type)
            size = write_gguf(out, family.architecture, describe, outputs, progress)
            if beside is not None:
                part.replace(beside)
    parameters = sum(int(np.prod(tensor.shape)) for tensor in planned)
    return Converted(family.architecture, len(outputs), parameters, size, tuple(notes), beside)


def _with_masks(vision: Vision | None, masks: Path, checkpoint: Path) -> Vision:
    if vision is None or vision.projector != "paligemma":
        raise SlmError(
            "invalid_argument",
            f"{masks} decodes what PaliGemma outlines, and {checkpoint} is no PaliGemma; leave out "
            "--masks",
        )
    return replace(vision, outputs=[*vision.outputs, *read_masks(masks)])


def _write_vision(
    path: Path,
    vision: Vision,
    folders: Sequence[Path],
    name: str,
    type: str,  # noqa: A002 (as the option's name)
) -> None:
    def describe(writer: GGUFWriter) -> None:
        add_facts(writer, folders, name, "mmproj")
        writer.add_file_type(FILE_TYPES[type])
        vision.add_to(writer)

    write_gguf(path, "clip", describe, vision.outputs, lambda done, total: None)


def convert_adapter(
    adapter: Path,
    out: Path,
    *,
    base: Path,
    type: str = "f16",  # noqa: A002 (the option's name)
    weight: float = 1.0,
    name: str | None = None,
    progress: Progress = lambda done, total: None,
) -> Converted:
    """Writes a PEFT LoRA adapter as a GGUF adapter that llama.cpp and the core load
    beside the GGUF of `base`, of which the config is read,
    and the weights where the adapter holds copies of them.

    llama.cpp scales by alpha / rank; other scales (rsLoRA's, patterns, `weight`)
    are written into alpha, or into B where they differ from matrix to matrix.
    Raises as `convert`; "unsupported" for what is no sum (DoRA, trained modules).
    """
    wanted = _type(type)
    with Checkpoint(base) as source, Adapter(adapter, weight) as loaded:
        family, config, _ = family_of(source)
        hyper = hyperparameters(source, family, config)
        table = rows_of(family, hyper)
        if any(isinstance(change, Replacement) for change in loaded.changes):
            loaded.forget_copies(base_tensors(source.tensors(), hyper, str(base)))
        pairs = loaded.pairs()
        merges_of([loaded], table, hyper)  # checks names and shapes
        alpha = pairs[0].scale * pairs[0].rank
        _refuse_stacked([pair.name for pair in pairs], table, adapter)
        outputs = []
        for pair in pairs:
            rows = table[pair.name]
            factor = np.float32(pair.scale * pair.rank / alpha)
            for row, part in zip(rows, np.split(pair.b * factor, len(rows)), strict=True):
                if pair.embedding:
                    # Tokens look A up by rows, so llama.cpp has it as (n_vocab, rank) and B as
                    # (n_embd, rank).
                    a, b = pair.b, np.ascontiguousarray(pair.a.T) * factor
                else:
                    # The conventions change rows of W, which are rows of B; a bias-like
                    # change ("plus_one") is for norms, and those are no matrices.
                    a, b = changed_columns(pair.a, row.change, hyper), part
                    if row.change != "value_columns":
                        b = changed(part, row.change, hyper)
                outputs.append(_matrix(f"{row.target}.lora_a", a, wanted))
                outputs.append(_matrix(f"{row.target}.lora_b", b, wanted))

        def describe(writer: GGUFWriter) -> None:
            writer.add_type("adapter")
            writer.add_string("adapter.type", "lora")
            writer.add_float32("adapter.lora.alpha", alpha)
            writer.add_name(name or adapter.resolve().name)
            writer.add_file_type(FILE_TYPES[type])

        size = write_gguf(out, family.architecture, describe, outputs, progress)
        notes = tuple(loaded.notes(source))
        templates = read_templates(adapter)
        if templates is not None and templates != read_templates(base):
            notes += (
                f"the chat template of {adapter} is left out, since an adapter beside a base has "
                "the base's; merge it with --adapter to keep it",
            )
    parameters = sum(pair.a.size + pair.b.size for pair in pairs)
    return Converted(family.architecture, len(outputs), parameters, size, notes)


def _refuse_stacked(
    names: Sequence[str], table: Mapping[str, Sequence[Row]], adapter: Path
) -> None:
    """Of several matrices that are one tensor in a GGUF, an adapter beside it cannot change one."""
    targets = Counter(row.target for rows in table.values() for row in rows)
    for name in names:
        if any(targets[row.target] > 1 for row in table[name]):
            raise SlmError(
                "unsupported",
                f"{adapter} changes {name}, which a GGUF has in one tensor with others, so that no "
                "adapter beside it can; merge it with --adapter",
            )


def _type(name: str) -> GGMLQuantizationType:
    if name not in TYPES:
        raise SlmError(
            "invalid_argument", f"the type {name!r} is not one of {', '.join(TYPES)}; choose one"
        )
    return TYPES[name]


def _output(tensor: Planned, hyper: Hyperparameters, wanted: GGMLQuantizationType) -> Output:
    kind = stored_type(tensor.name, tensor.shape, wanted)

    def blocks() -> Iterator[NDArray[np.generic]]:
        for rows in tensor.blocks(hyper):
            yield rounded(rows, kind, tensor.name)

    return Output(tensor.name, tensor.shape, kind, blocks)


def _vector(name: str, values: NDArray[np.float32]) -> Output:
    return Output(name, values.shape, GGMLQuantizationType.F32, lambda: iter([values]))


def _matrix(name: str, values: NDArray[np.float32], wanted: GGMLQuantizationType) -> Output:
    make: Callable[[], NDArray[np.generic]] = partial(rounded, values, wanted, name)
    return Output(name, values.shape, wanted, lambda: iter([make()]))
