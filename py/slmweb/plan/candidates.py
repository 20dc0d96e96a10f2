"""What one can choose from: models by name or on the hub, and what each device makes of them.

Owns the search, and the few numbers by which models are compared. Each is taken in the quantization
that `slmweb build` gives it; `plan` has the others.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..errors import SlmError
from ..pull import licenses
from ..pull.hub import Found, Hub
from ..pull.pull import pulled
from ..pull.registry import Entry, Registry, Repo
from .advice import WEB
from .option import Backend, make_option
from .plan import N_CTX_DEFAULT, quantized
from .rates import Device
from .shape import Shape, from_config, runs

# Of the hub's answers that many are looked at, and that many shown: each takes three requests.
_SEARCHED, _SHOWN = 100, 10


@dataclass(frozen=True)
class OnDevice:
    """What a class of devices makes of a model: the better place, None where it fits neither."""

    device: str
    backend: Backend | None
    needs_gpu: bool
    n_ctx: int
    decode_tokens_per_second: float


@dataclass(frozen=True)
class Candidate:
    """A model that may be chosen. `size` is that of a finished GGUF, `download_bytes` what a page
    fetches; numbers are None where nobody says what the model looks like."""

    name: str  # as `slmweb pull` takes it
    title: str
    kind: str
    architecture: str | None
    parameters: int | None
    size: int | None
    download_bytes: int | None
    license: str | None
    license_url: str | None
    consent: bool
    accepted: bool
    good_for: str | None
    path: str | None  # where it lies, if it was pulled
    devices: tuple[OnDevice, ...]


def by_name(registry: Registry, query: str, devices: Sequence[Device]) -> list[Candidate]:
    """The registry's models that have every word of the query in their name, title, family or
    what they are good for."""
    found = (_of_entry(entry, devices) for entry in registry.models.values())
    return [one for one in found if _matches(one, query.lower().split())]


def on_hub(query: str, devices: Sequence[Device], endpoint: str | None = None) -> list[Candidate]:
    """The hub's most used checkpoints that match and would run here.

    Raises SlmError "network".
    """
    hub = Hub(endpoint)
    found = [one for one in hub.search(query, _SEARCHED) if runs(one.model_type)]
    return [_of_repo(one, hub, devices) for one in found[:_SHOWN]]


def _matches(one: Candidate, words: Iterable[str]) -> bool:
    text = " ".join(filter(None, (one.name, one.title, one.good_for, one.architecture))).lower()
    return all(word in text for word in words)


def _of_entry(entry: Entry, devices: Sequence[Device]) -> Candidate:
    shape = None if entry.config is None else from_config(entry.config, entry.key)
    terms, there = entry.license, pulled(entry)
    asks = terms is not None and terms.ask_first
    return Candidate(
        name=entry.key,
        title=entry.title,
        kind=entry.kind,
        architecture=shape.architecture if shape else None,
        parameters=shape.parameters if shape else None,
        size=entry.size,
        download_bytes=entry.size or _download(shape),
        license=terms.id if terms else None,
        license_url=terms.url if terms else None,
        consent=asks,
        accepted=terms is not None and asks and licenses.is_accepted(terms),
        good_for=entry.good_for,
        path=str(there) if there else None,
        devices=_on(devices, shape),
    )


def _of_repo(found: Found, hub: Hub, devices: Sequence[Device]) -> Candidate:
    try:
        listing = hub.list(Repo(found.id))
        shape = from_config(json.loads(hub.read(listing, "config.json")), found.id)
    except (SlmError, ValueError):  # gated, or not whole: it is shown without numbers
        shape = None
    return Candidate(
        name=f"hf:{found.id}",
        title=found.id,
        kind="hf",
        architecture=found.model_type,
        parameters=shape.parameters if shape else found.parameters,
        size=None,
        download_bytes=_download(shape),
        license=found.license,
        license_url=f"{hub.endpoint}/{found.id}",
        consent=found.gated,
        accepted=False,
        good_for=f"{found.downloads:,} downloads a month" if found.downloads else None,
        path=None,
        devices=_on(devices, shape),
    )


def _download(shape: Shape | None) -> int | None:
    return None if shape is None else quantized(shape, WEB).file_bytes


def _on(devices: Sequence[Device], shape: Shape | None) -> tuple[OnDevice, ...]:
    if shape is None:
        return ()
    web, n_ctx = quantized(shape, WEB), min(N_CTX_DEFAULT, shape.n_ctx_train)
    options = [(device.title, make_option(WEB, web, device, n_ctx)) for device in devices]
    return tuple(
        OnDevice(title, o.backend, o.needs_gpu, o.best_fit.n_ctx, o.best_decode)
        for title, o in options
    )
