"""From a checkpoint to a site, in one go: convert, quantize, pack, bundle.

Owns the order and the files in between, which lie in a temporary folder beside
the site and are gone at the end. Each step is another module's.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SlmError
from ..vision.encoder_file import encoder_beside
from .bundle import Bundle, bundle, check_target
from .folder import work_folder

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from ..server.site import Site

Progress = Callable[[int, int], None]  # done and in all
# Begins a step: its name, and what is told how far it is.
Step = Callable[[str], AbstractContextManager[Progress]]

# What a conversion writes itself.
CONVERTED = ("f32", "f16", "bf16")
WEB = "web"


@dataclass(frozen=True)
class Built:
    """The site, how its model came to be, and `notes`: sentences about what was left out."""

    bundle: Bundle
    type: str | None  # None: the types that the GGUF came with
    mix: str | None  # of the type web
    notes: tuple[str, ...]


def build(
    checkpoint: Path,
    out: Path,
    *,
    adapters: Sequence[tuple[Path, float]] = (),
    type: str | None = None,  # noqa: A002 (the option's name)
    max_size: int | None = None,
    masks: Path | None = None,
    name: str | None = None,
    site: Site | None = None,
    base_path: str = "/",
    key: Ed25519PrivateKey | None = None,
    step: Step = lambda name: nullcontext(lambda done, total: None),
) -> Built:
    """Makes the site `out` with one model: a checkpoint's folder, or a GGUF file.

    `adapters` are merged into a checkpoint, each with its weight. `type` is one
    that `quantize` or `convert` writes, by default "web" for a checkpoint and
    what it is for a GGUF file; `max_size` (bytes) makes "web" choose the mix.
    `masks` is PaliGemma's decoder of masks, as for `convert`.
    `name` is the model's name for people, by default the checkpoint's folder.
    `site` is what the page says of itself. With `key` the model is signed, and the
    page opens no other.

    Raises SlmError: what `convert`, `quantize` and `bundle` raise. Whatever is
    raised, `out` is as it was and nothing else is left.
    """
    from ..convert import convert
    from ..quantize import quantize

    out = out.resolve()
    check_target(out, base_path)
    is_gguf = checkpoint.is_file()
    if is_gguf and (adapters or masks is not None or name is not None):
        raise SlmError(
            "invalid_argument",
            f"{checkpoint} is a GGUF file, into which nothing can be merged and whose name stays; "
            "give the checkpoint's folder",
        )
    if not checkpoint.exists():
        raise SlmError(
            "unreadable", f"there is no {checkpoint}; give a checkpoint's folder or a GGUF file"
        )
    wanted = type.lower() if type is not None else None
    if wanted is None and (max_size is not None or not is_gguf):
        wanted = WEB
    _check_type(wanted, max_size)
    mix: str | None = None
    notes: tuple[str, ...] = ()
    if is_gguf:
        _check_template(checkpoint)
    if site is not None and site.guard is not None:
        raise SlmError(
            "invalid_argument",
            "a guard is a second model and build makes a site of one; leave the guard out, or pack "
            "both and use `slmweb bundle`",
        )
    with work_folder(out) as work, _as_site(work, out):
        model = checkpoint
        if not is_gguf:
            kind = wanted if wanted in CONVERTED else "f16"
            stem = checkpoint.resolve().name or "model"
            model = work / f"{stem}-{kind}.gguf"
            with step("converting") as progress:
                converted = convert(
                    checkpoint,
                    model,
                    type=kind,
                    adapters=adapters,
                    masks=masks,
                    name=name,
                    progress=progress,
                )
            notes = converted.notes
        if wanted is not None and (is_gguf or wanted not in CONVERTED):
            stem = model.name.removesuffix(".gguf").removesuffix("-f16")
            source, model = model, work / f"{stem}-{wanted}.gguf"
            with step("quantizing") as progress:
                quantized = quantize(
                    source, model, type=wanted, max_size=max_size, progress=progress
                )
            mix = quantized.mix
            if (encoder := encoder_beside(source)) is not None:
                # It takes its own type: a mix is of language models, and it is small beside them.
                target = work / f"mmproj-{stem}.gguf"
                with step("quantizing") as progress:
                    _quantize_encoder(encoder, target, progress)
            if not is_gguf:
                source.unlink()  # the disk may hold two of the three, not all
                if encoder is not None:
                    encoder.unlink()
        with step("bundling") as progress:
            made = bundle([model], out, site=site, base_path=base_path, key=key, progress=progress)
    return Built(made, wanted, mix, (*notes, *made.notes))


def _quantize_encoder(source: Path, target: Path, progress: Progress) -> None:
    """One that is quantized already is taken as it is."""
    from ..quantize import quantize
    from ..quantize.codec import FLOAT_TYPES
    from ..quantize.container import read_tensors

    if all(tensor["type"] in FLOAT_TYPES for tensor in read_tensors(source)):
        quantize(source, target, type=WEB, progress=progress)
    else:
        shutil.copyfile(source, target)


@contextmanager
def _as_site(work: Path, out: Path) -> Iterator[None]:
    """What cannot be written is the site, whichever file in between did not fit."""
    try:
        yield
    except SlmError as error:
        if error.code != "unwritable":
            raise
        sentence = re.sub(rf"{re.escape(str(work))}/[^/]*?(?=: )", str(out), error.message)
        raise SlmError(error.code, sentence) from None


def _check_template(model: Path) -> None:
    """Refuses one that cannot be parsed before minutes of work, not after them."""
    from ..core.chat import check_template
    from ..core.model import Model

    with Model.open(model, weights=False) as opened:
        if opened.info["chat_template"]:
            check_template(opened.info["chat_template"])


def _check_type(wanted: str | None, max_size: int | None) -> None:
    """Raises what `quantize` would, before a long conversion."""
    from ..quantize import codec, ggml
    from ..quantize.choice import tensor_type

    if max_size is not None and wanted != WEB:
        raise SlmError(
            "invalid_argument",
            f"a largest size chooses among the mixes of the type web; {wanted} has only one size",
        )
    if wanted not in (None, WEB) and codec.needs_ggml(tensor_type(wanted), False):
        ggml.require()
