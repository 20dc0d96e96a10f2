"""Sparse autoencoders of Gemma Scope (Lieberum et al. 2024) and Gemma Scope 2 to the side file of
docs/inspect.md.

Owns what both publish: `params.npz` with W_enc, W_dec, b_enc, b_dec and threshold in a folder that
says which layer, and `params.safetensors` with the same in small letters beside a config.json that
says where they belong; labels as Neuronpedia exports them. Refuses transcoders, whose output is
another place than their input. Knows no core: the model is asked for its shape alone.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter
from numpy.typing import NDArray

from ..errors import SlmError, os_reason
from ..generated.abi import Site, TensorType
from ..quantize.codec import encode
from .gguf_file import Output, Progress, write_gguf
from .safetensors import F32, SafetensorsFile

NAMES = ("w_enc", "w_dec", "b_enc", "b_dec", "threshold")
OPTIONAL = ("b_dec",)

SITES: Mapping[str, Site] = {site.name.lower(): site for site in Site}

# What Gemma Scope 2 calls its places: modules of transformers.
_HOOKS = {
    "output": Site.RESIDUAL,
    "post_feedforward_layernorm.output": Site.MLP,
    "self_attn.o_proj.input": Site.HEADS,
}
_HOOK = re.compile(r".*\blayers\.(?P<layer>\d+)\.(?P<place>.+)")

# What the folders of both are called, of a site and of a layer.
_SITE_FOLDERS = (
    (re.compile(r"(.*-)?res|resid_post(_all)?"), Site.RESIDUAL),
    (re.compile(r"(.*-)?mlp|mlp_out(_all)?"), Site.MLP),
    (re.compile(r"(.*-)?att|attn_out(_all)?"), Site.HEADS),
)
_LAYER_FOLDER = re.compile(r"layer_(?P<layer>\d+)(_.*)?")

_ROWS = 4096  # of a matrix that are turned and quantized at once


@dataclass(frozen=True)
class Place:
    """Where an SAE belongs; what is not known is None."""

    site: Site | None = None
    layer: int | None = None

    def otherwise(self, other: Place) -> Place:
        return Place(
            other.site if self.site is None else self.site,
            other.layer if self.layer is None else self.layer,
        )


@dataclass(frozen=True)
class Base:
    """The model that an SAE is for, as its header has it. `widths` are those of its sites."""

    architecture: str
    name: str | None
    n_layer: int
    widths: Mapping[Site, int]


@dataclass(frozen=True)
class Written:
    site: Site
    layer: int
    features: int
    width: int
    labels: int
    size: int  # bytes


def convert_sae(
    source: Path,
    out: Path,
    base: Base,
    *,
    type: TensorType,  # noqa: A002 (the option's name)
    place: Place,
    labels: Sequence[Path] = (),
    name: str | None = None,
    license: str | None = None,  # noqa: A002 (the option's name)
    progress: Progress = lambda done, total: None,
) -> Written:
    """Writes `source`, params.npz or params.safetensors or the folder of one, as a GGUF side file.

    `place` says what the file's own place does not. Raises SlmError "unreadable", "bad_file",
    "unsupported", "invalid_argument" or "unwritable".
    """
    path = _params(source)
    config = _config(path)
    stated = _place_of(config, path).otherwise(_place_of_folders(path))
    found = stated.otherwise(place)
    for option, given, own in (
        ("--site", place.site, stated.site),
        ("--layer", place.layer, stated.layer),
    ):
        if given is not None and own is not None and given != own:
            says = own.name.lower() if isinstance(own, Site) else own
            raise SlmError(
                "invalid_argument",
                f"{path} says by itself that the SAE belongs to {says}; leave {option} out",
            )
    if found.site is None or found.layer is None:
        missing = "--site" if found.site is None else "--layer"
        raise SlmError(
            "invalid_argument",
            f"neither a config.json nor the folders of {path} say where the SAE belongs; "
            f"give {missing}",
        )
    if found.layer >= base.n_layer:
        raise SlmError(
            "invalid_argument",
            f"the SAE is of layer {found.layer} and the model has {base.n_layer}; give the model "
            "that it was trained on",
        )
    arrays = _read(path)
    width, features = arrays["w_enc"].shape
    if width != base.widths[found.site]:
        raise SlmError(
            "bad_file",
            f"{path} reads rows of {width}, but the model's {found.site.name.lower()} has "
            f"{base.widths[found.site]}; give the model that it was trained on",
        )
    if width % type.block_size:
        raise SlmError(
            "invalid_argument",
            f"rows of {width} are no whole blocks of {type.name} ({type.block_size}); "
            "choose --type F16",
        )
    texts = read_labels(labels, features)
    float_type = GGMLQuantizationType.F32

    def whole(key: str) -> Callable[[], Iterator[NDArray[np.generic]]]:
        return lambda: iter([arrays[key].astype("<f4")])

    def rows(key: str, turned: F32) -> Callable[[], Iterator[NDArray[np.generic]]]:
        def blocks() -> Iterator[NDArray[np.generic]]:
            for start in range(0, features, _ROWS):
                block = np.ascontiguousarray(turned[start : start + _ROWS], np.float32)
                try:
                    yield np.frombuffer(encode(block, type), np.uint8)
                except ValueError as error:
                    raise SlmError("unsupported", f"{path}: '{key}' {error}") from None

        return blocks

    quantized = GGMLQuantizationType(type.id)
    outputs = [
        Output("encoder.weight", (features, width), quantized, rows("w_enc", arrays["w_enc"].T)),
        Output("encoder.bias", (features,), float_type, whole("b_enc")),
        Output("threshold", (features,), float_type, whole("threshold")),
        Output("decoder.weight", (features, width), quantized, rows("w_dec", arrays["w_dec"])),
    ]
    if "b_dec" in arrays:
        outputs.append(Output("decoder.bias", (width,), float_type, whole("b_dec")))
    site, layer = found.site, found.layer

    def describe(writer: GGUFWriter) -> None:
        writer.add_type("sae")
        writer.add_name(name or _name(config, site, layer, features))
        if license is not None:
            writer.add_license(license)
        if base.name is not None:
            writer.add_base_model_count(1)
            writer.add_base_model_name(0, base.name)
        writer.add_string("sae.type", "jump_relu")
        writer.add_string("sae.site", site.name.lower())
        writer.add_uint32("sae.layer", layer)
        if texts:
            writer.add_array("sae.labels", [texts.get(i, "") for i in range(features)])

    size = write_gguf(out, base.architecture, describe, outputs, progress)
    return Written(site, layer, features, width, len(texts), size)


# A lying header of an array asks for more memory than there is.
_DAMAGED_NPZ = (ValueError, TypeError, KeyError, EOFError, MemoryError, NotImplementedError,
                RuntimeError, zipfile.BadZipFile, zlib.error)  # fmt: skip
_DAMAGED_LABELS = (ValueError, KeyError, TypeError, AttributeError, EOFError, RecursionError,
                   csv.Error, gzip.BadGzipFile, zlib.error)  # fmt: skip
# Of a million features with a line each; a small archive could be far more.
_MAX_LABEL_BYTES = 1 << 29


def _params(source: Path) -> Path:
    if not source.is_dir():
        return source
    for file in ("params.safetensors", "params.npz"):
        if (source / file).is_file():
            return source / file
    raise SlmError(
        "unreadable",
        f"{source} has neither params.safetensors nor params.npz; name the folder of one SAE",
    )


def _config(path: Path) -> dict[str, Any]:
    """config.json beside the parameters, or nothing; refuses what is no JumpReLU SAE."""
    beside = path.with_name("config.json")
    if not beside.is_file():
        return {}
    try:
        config = json.loads(beside.read_text())
    except (OSError, ValueError, RecursionError):
        raise SlmError("bad_file", f"{beside} is no JSON; download it again") from None
    if not isinstance(config, dict):
        raise SlmError("bad_file", f"{beside} is no JSON object; download it again")
    kind = config.get("architecture", "jump_relu")
    if kind != "jump_relu":
        raise SlmError("unsupported", f"{beside}: an SAE of the type {kind!r}; expected jump_relu")
    reads, writes = config.get("hf_hook_point_in"), config.get("hf_hook_point_out")
    if config.get("affine_connection") or (writes is not None and writes != reads):
        raise SlmError(
            "unsupported",
            f"{beside} is of a transcoder, which reads {reads} and writes {writes}; take an SAE "
            "(resid_post, mlp_out or attn_out)",
        )
    return config


def _place_of(config: Mapping[str, Any], path: Path) -> Place:
    hook = config.get("hf_hook_point_in")
    if hook is None:
        return Place()
    match = _HOOK.fullmatch(str(hook))
    site = None if match is None else _HOOKS.get(match["place"])
    if match is None or site is None:
        raise SlmError(
            "unsupported",
            f"{path}: an SAE of '{hook}'; the output of a layer, of its feed-forward network's "
            "norm, and the input of o_proj are supported",
        )
    return Place(site, int(match["layer"]))


def _place_of_folders(path: Path) -> Place:
    place = Place()
    for folder in path.resolve().parent.parts[::-1]:
        site = next((site for form, site in _SITE_FOLDERS if form.fullmatch(folder)), None)
        match = _LAYER_FOLDER.fullmatch(folder)
        place = place.otherwise(Place(site, None if match is None else int(match["layer"])))
    return place


def _name(config: Mapping[str, Any], site: Site, layer: int, features: int) -> str:
    told = config.get("model_name")
    of = f"{told}, " if isinstance(told, str) else ""
    return f"{of}layer {layer} {site.name.lower()}, {features} features"


def _read(path: Path) -> dict[str, F32]:
    """The parameters by their small names, checked against each other."""
    arrays = _read_npz(path) if path.suffix.lower() == ".npz" else _read_safetensors(path)
    strange = sorted(set(arrays) - set(NAMES))
    missing = [name for name in NAMES if name not in arrays and name not in OPTIONAL]
    if strange or missing:
        raise SlmError(
            "unsupported" if strange else "bad_file",
            f"{path} has {', '.join(strange) or 'no ' + missing[0]}, and a JumpReLU SAE has "
            f"{', '.join(NAMES)}; give one of Gemma Scope",
        )
    if arrays["w_enc"].ndim != 2:
        raise SlmError("bad_file", f"{path}: w_enc is no matrix; give one SAE of one layer")
    width, features = arrays["w_enc"].shape
    shapes = {"w_dec": (features, width), "b_enc": (features,), "b_dec": (width,),
              "threshold": (features,)}  # fmt: skip
    for name, values in arrays.items():
        if values.shape != shapes.get(name, values.shape):
            raise SlmError(
                "bad_file",
                f"{path}: {name} has the shape {list(values.shape)}, but w_enc asks for "
                f"{list(shapes[name])}; download it again",
            )
        if not np.isfinite(values).all():
            raise SlmError("bad_file", f"{path}: {name} holds NaN or infinity; download it again")
    return arrays


def _read_npz(path: Path) -> dict[str, F32]:
    try:
        # Opened here, for np.load leaves a file that is no archive open.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {key.lower(): np.asarray(file[key], np.float32) for key in file.files}
    except OSError as error:
        raise SlmError("unreadable", f"cannot read {path}: {os_reason(error)}") from None
    except _DAMAGED_NPZ:
        raise SlmError("bad_file", f"{path} is no npz file or damaged; download it again") from None


def _read_safetensors(path: Path) -> dict[str, F32]:
    file = SafetensorsFile(path)
    try:
        return {name.lower(): tensor.read() for name, tensor in file.tensors.items()}
    finally:
        file.close()


def read_labels(paths: Sequence[Path], features: int) -> dict[int, str]:
    """What features stand for, from files as Neuronpedia exports them: JSON or JSON Lines of
    explanations with an `index` and a `description`, also under gzip; an object from index to
    text; or CSV with those two columns. Of several texts for a feature the first counts.

    Raises SlmError "unreadable" or "bad_file".
    """
    texts: dict[int, str] = {}
    for path in paths:
        for index, text in _labels_of(path):
            if not 0 <= index < features:
                raise SlmError(
                    "bad_file",
                    f"{path} labels feature {index} and the SAE has {features}; give the labels "
                    "of this SAE",
                )
            # JSON may say half of a character, which no file can hold.
            told = " ".join(text.encode("utf-8", "replace").decode().split())
            if told:
                texts.setdefault(index, told)
    return texts


def _labels_of(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read(_MAX_LABEL_BYTES + 1)
        if len(data) > _MAX_LABEL_BYTES:
            raise ValueError("too long")
        text = data.decode()
        kind = path.suffixes[-2] if path.suffix == ".gz" and len(path.suffixes) > 1 else path.suffix
        if kind == ".csv":
            entries: Any = csv.DictReader(io.StringIO(text))
        elif kind == ".jsonl":
            entries = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            entries = json.loads(text)
            if isinstance(entries, dict):
                entries = entries.get("explanations", [
                    {"index": index, "description": told} for index, told in entries.items()
                ])  # fmt: skip
        for entry in entries:
            yield int(entry["index"]), str(entry["description"] or "")
    except _DAMAGED_LABELS:
        raise SlmError(
            "bad_file",
            f"{path} is no list of labels; expected JSON, JSON Lines or CSV with 'index' and "
            "'description', as Neuronpedia exports them",
        ) from None
    except OSError as error:
        raise SlmError("unreadable", f"cannot read {path}: {os_reason(error)}") from None
