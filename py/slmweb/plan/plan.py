"""`plan`: what a model needs and does on a device, at every quantization, on the CPU and the GPU.

Owns the table. Sizes are memory.py's and gpu.py's, speeds rates.py's and gpu.py's, what to choose
advice.py's; where a name means something to `slmweb pull`, its shape comes from the registry, so
that nothing need be fetched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from ..errors import SlmError
from ..pull.pull import pulled, source_of
from ..pull.registry import Registry, Remote, read_registry
from ..quantize.recipes import read_recipes
from .advice import WEB, choose, recommend
from .option import AS_IT_IS, Option, available_bytes, make_option
from .rates import Device
from .shape import Shape, from_config, read_shape

# Best quality first.
TYPES = ("F16", "Q8_0", "Q6_K", "Q5_K", "Q5_1", WEB, "Q5_0", "Q4_K", "Q4_1", "IQ4_NL", "Q4_0",
         "Q3_K", "Q2_K")  # fmt: skip
N_CTX_DEFAULT = 2048


@dataclass(frozen=True)
class ClassOption:
    """What a class of devices makes of the model in one quantization."""

    device: Device
    option: Option


@dataclass(frozen=True)
class Plan:
    model: str
    architecture: str
    parameters: int
    n_ctx_train: int
    n_ctx_default: int
    types: dict[str, int] | None  # of the file at hand; None when there is none
    device: Device
    available_bytes: int  # that a tab may take there
    options: tuple[Option, ...]  # the file at hand first, then by falling quality
    classes: tuple[ClassOption, ...]  # of what is recommended, or else needs least
    recommendation: str


def plan(
    model: str,
    device: Device,
    *,
    classes: Sequence[Device] = (),
    registry: Registry | None = None,
    endpoint: str | None = None,
) -> Plan:
    """The plan for a GGUF, a packed folder, a checkpoint folder, a config.json, or what
    `slmweb pull` knows by name. Of the hub at most config.json is fetched. `classes` are devices
    on which the CPU and the GPU are compared.

    Raises SlmError: what `read_shape` raises, "invalid_argument", "network", "bad_registry".
    """
    shape, has_file = _shape(model, registry or read_registry(), endpoint)
    n_ctx = min(N_CTX_DEFAULT, shape.n_ctx_train)
    shapes = {AS_IT_IS: shape} if has_file else {}
    shapes |= {kind: quantized(shape, kind) for kind in TYPES}
    options = [make_option(kind, shapes[kind], device, n_ctx) for kind in shapes]
    chosen = choose(options) or min(options, key=lambda option: option.fit.needed)
    return Plan(
        model=model,
        architecture=shape.architecture,
        parameters=shape.parameters,
        n_ctx_train=shape.n_ctx_train,
        n_ctx_default=n_ctx,
        types=shape.types if has_file else None,
        device=device,
        available_bytes=available_bytes(device),
        options=tuple(options),
        classes=tuple(
            ClassOption(one, make_option(chosen.type, shapes[chosen.type], one, n_ctx))
            for one in classes
        ),
        recommendation=recommend(options, device, n_ctx),
    )


def quantized(shape: Shape, kind: str) -> Shape:
    """The shape in one of TYPES, among them the mix that `quantize` writes by itself."""
    if kind != WEB:
        return shape.quantized(kind)
    mix = read_recipes().default
    return shape.quantized(lambda tensor: mix.wanted(tensor).name)


def _shape(model: str, registry: Registry, endpoint: str | None) -> tuple[Shape, bool]:
    """The shape, and whether it is that of a GGUF at hand, whose own types count."""
    path = Path(model)
    if path.exists():
        packed = path.is_dir() and (path / "manifest.json").is_file()
        return read_shape(path), packed or (path.is_file() and path.suffix != ".json")
    entry = registry.find(model)
    if (there := pulled(entry)) is not None:
        return read_shape(there), there.is_file()
    if entry.config is not None:
        return from_config(entry.config, model), False
    if isinstance(entry.origin, Remote):
        source = source_of(entry.origin, endpoint)
        listing = source.list(entry.origin)
        if not listing.gguf:
            import json

            return from_config(json.loads(source.read(listing, "config.json")), model), False
    raise SlmError(
        "invalid_argument",
        f"the shape of {model} is only known from its file; run `slmweb pull {quote(model)}` first",
    )
