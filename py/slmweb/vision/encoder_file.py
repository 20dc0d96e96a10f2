"""The GGUF of a picture encoder (llama.cpp's "mmproj") on disk: which one is a model's, and what it
says of itself.

Owns the names by which the two files find each other. The core checks an encoder's file, beside its
model; here a header is only looked into, for those who plan or choose.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ..core.files import is_pack, split_stem
from ..errors import SlmError
from ..pack.manifest import read_manifest

_ARCHITECTURE = "clip"
# Types at the end of a file's name: "-Q4_K_M", ".f16", "-web"; of one model there are several.
_TYPE = re.compile(r"[-_.](?:ud[-_.])?(?:b?f16|f32|web|i?q\d\w*|tq\d_\d|mxfp4\w*)$", re.I)
_ENCODER = re.compile(r"mmproj(?:[-_.](?P<model>.*))?", re.I)
# What those who convert call the encoder of the one model of a repository.
_NAMELESS = ("", "model", "gguf")


def is_encoder(path: Path) -> bool:
    """Whether a file is an encoder of pictures; what cannot be read is none."""
    from ..quantize.container import read_metadata, read_text

    try:
        return read_text(read_metadata(path), "general.architecture") == _ARCHITECTURE
    except SlmError:
        return False


def is_encoder_name(name: str) -> bool:
    return name.lower().endswith(".gguf") and _ENCODER.fullmatch(name[:-5]) is not None


def encoder_of(model: Path) -> Path | None:
    """What `Model.load_vision` takes for a model: a packed folder that has an encoder, or the file
    beside a GGUF. Raises SlmError "bad_manifest"."""
    if is_pack(model):
        return model if read_manifest(model).vision is not None else None
    return encoder_beside(model)


def encoder_beside(model: Path) -> Path | None:
    """The encoder that lies beside a model's GGUF and is named for it, or None.

    mmproj-NAME.gguf belongs to NAME.gguf, whatever types both have: "mmproj-cat-f16.gguf" to
    "cat-Q4_K_M.gguf". One that names no model belongs to what else lies there, where that is one
    model. Of several the smallest is taken.
    """
    try:
        there = [
            path
            for path in model.parent.iterdir()
            if path.suffix.lower() == ".gguf" and path.is_file()
        ]
    except OSError:
        return None
    encoders = [path.name for path in there if is_encoder_name(path.name)]
    models = [path.name for path in there if path.name not in encoders]
    belonging = encoders_of(model.name, encoders, models)
    if model.name in encoders or not belonging:
        return None
    return min((model.with_name(name) for name in belonging), key=lambda path: path.stat().st_size)


def encoders_of(model: str, encoders: Sequence[str], models: Sequence[str]) -> list[str]:
    """Of `encoders`, file names, those of `model`, which is one of the `models` of a folder."""
    named = {name: _model_of(name) for name in encoders}
    own = [name for name, of in named.items() if of == _without_type(model)]
    if own or len({_without_type(name) for name in models}) > 1:
        return own
    return [name for name, of in named.items() if of in _NAMELESS]


def _model_of(encoder: str) -> str:
    match = _ENCODER.fullmatch(_without_type(encoder))
    return "" if match is None else match["model"] or ""


def _without_type(name: str) -> str:
    stem = split_stem(Path(name)).lower()
    while shorter := _TYPE.search(stem):
        stem = stem[: shorter.start()]
    return stem
