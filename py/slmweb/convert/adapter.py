"""PEFT LoRA adapters: what they do to the tensors of a base.

Owns adapter_config.json, the names in adapter_model.safetensors and the arithmetic
of LoRA (Hu et al. 2021), rsLoRA (Kalajdzievski 2023) and DoRA (Liu et al. 2024) as
peft merges them; refuses every variant that means something else. Knows no GGUF.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ..errors import SlmError
from .checkpoint import Checkpoint, read_json, refuse_pickle
from .families import Row
from .hyperparameters import Hyperparameters
from .safetensors import F32, SafetensorsFile, Tensor
from .tensors import Merge, canonical

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"

_LOW_RANK = re.compile(
    r"base_model\.model\.(?P<module>.+)\.(?P<part>lora_A|lora_B|lora_embedding_A|lora_embedding_B"
    r"|lora_magnitude_vector)(\.default)?(\.weight)?"
)
_WHOLE = re.compile(
    r"base_model\.model\.(?P<module>(?!.*\.lora_).+?)(\.modules_to_save)?(\.default)?(\.base_layer)?"
    r"\.(?P<kind>weight|bias)"
)
# Ways to begin training that leave the base as it is; the others (PiSSA, OLoRA,
# LoftQ…) change it, and a merge into the original would be wrong.
_PLAIN_BEGINNINGS = (True, False, None, "gaussian", "eva", "orthogonal")
# What would change the meaning of the matrices if it were set.
_VARIANTS = (
    *("lora_bias", "layer_replication", "alora_invocation_tokens", "trainable_token_indices"),
    *("use_qalora", "target_parameters", "arrow_config", "use_bdlora", "velora_config"),
)


@dataclass(frozen=True)
class LowRank:
    """W + scale * B A, for DoRA with its rows then rescaled to `magnitude`."""

    name: str  # of W in the checkpoint
    a: F32  # (rank, in)
    b: F32  # (out, rank)
    scale: float
    magnitude: F32 | None  # (out)
    embedding: bool

    @property
    def rank(self) -> int:
        return int(self.a.shape[0])

    @property
    def shape(self) -> tuple[int, ...]:
        return self.b.shape[0], self.a.shape[1]

    def apply(self, rows: F32, start: int) -> F32:
        part = slice(start, start + len(rows))
        merged: F32 = rows + np.float32(self.scale) * (self.b[part] @ self.a)
        if self.magnitude is None:
            return merged
        norms: F32 = np.linalg.norm(merged, axis=1)
        return merged * (self.magnitude[part] / norms)[:, None]


@dataclass(frozen=True)
class Replacement:
    """A tensor that was trained whole (modules_to_save, biases)."""

    name: str
    tensor: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        return self.tensor.shape

    def apply(self, rows: F32, start: int) -> F32:
        return self.tensor.read(start, start + len(rows))


class Adapter:
    """An adapter's folder, open; `weight` multiplies its scale. Use it in a `with`.

    Raises SlmError "unreadable", "bad_file" or "unsupported".
    """

    def __init__(self, folder: Path, weight: float = 1.0) -> None:
        self.folder = folder
        self.weight = weight
        if not math.isfinite(weight):
            raise SlmError("invalid_argument", f"the weight {weight} of {folder} is not finite")
        self.config_path = folder / CONFIG
        if not self.config_path.exists():
            raise SlmError(
                "unreadable", f"{self.config_path} is missing; name the folder of a PEFT adapter"
            )
        self.config = read_json(self.config_path)
        self._refuse_variants()
        self.path = folder / WEIGHTS
        if not self.path.exists():
            refuse_pickle(folder, "adapter_model.bin", WEIGHTS)
            raise SlmError("unreadable", f"{self.path} is missing; download it into the folder")
        self._file = SafetensorsFile(self.path)
        try:
            self.changes = self._changes()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Adapter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def notes(self, base: Checkpoint) -> list[str]:
        """What to know about the adapter and this base, for people."""
        name = str(self.config.get("base_model_name_or_path") or "").rstrip("/")
        own = str(base.config.get("_name_or_path") or "")
        short = name.rpartition("/")[2].casefold()
        if not name or name == own or short == base.folder.resolve().name.casefold():
            return []
        return [f"{self.folder} was trained on {name}; check that {base.folder} is that model"]

    def pairs(self) -> list[LowRank]:
        """The low-rank changes alone. Raises SlmError "unsupported" where there are others."""
        pairs = [change for change in self.changes if isinstance(change, LowRank)]
        if len(pairs) < len(self.changes):
            what = next(c.name for c in self.changes if isinstance(c, Replacement))
            raise self._unsupported(f"'{what}' was trained whole, which is no low-rank adapter")
        if any(pair.magnitude is not None for pair in pairs):
            raise self._unsupported("DoRA rescales the base, so it is no sum beside it")
        return pairs

    def _unsupported(self, why: str) -> SlmError:
        return SlmError(
            "unsupported",
            f"{self.folder} cannot be an adapter of its own: {why}; merge it into the base "
            "with --adapter",
        )

    def _refuse_variants(self) -> None:
        config = self.config
        kind = config.get("peft_type")
        found = next((key for key in _VARIANTS if config.get(key)), None)
        beginning = config.get("init_lora_weights", True)
        if kind != "LORA":
            what = f"the peft_type {kind!r}"
        elif found:
            what = f"{found} {str(config[found])[:40]}"
        elif beginning not in _PLAIN_BEGINNINGS:
            what = f"init_lora_weights {str(beginning)[:40]!r}, which changes the base"
        else:
            return
        raise SlmError(
            "unsupported",
            f"{self.config_path} asks for {what}; LoRA, rsLoRA and DoRA are merged here, "
            "so merge this one with peft (merge_and_unload) and convert the result",
        )

    def _changes(self) -> list[LowRank | Replacement]:
        """Whole tensors first: a low-rank change of one of them comes on top."""
        parts: dict[str, dict[str, Tensor]] = {}
        whole: list[LowRank | Replacement] = []
        for name, tensor in self._file.tensors.items():
            if match := _LOW_RANK.fullmatch(name):
                parts.setdefault(match["module"], {})[match["part"]] = tensor
            elif match := _WHOLE.fullmatch(name):
                whole.append(Replacement(self._plain(f"{match['module']}.{match['kind']}"), tensor))
            else:
                raise SlmError(
                    "unsupported",
                    f"{self.path}: tensor '{name}' is no part of LoRA as known here; "
                    "merge this adapter with peft and convert the result",
                )
        if whole and self.weight != 1:
            raise SlmError(
                "unsupported",
                f"{self.path}: '{whole[0].name}' was trained whole and cannot be weighed; "
                "use the adapter without a weight",
            )
        changes = whole + [self._low_rank(module, part) for module, part in parts.items()]
        if not changes:
            raise SlmError("bad_file", f"{self.path} holds no tensors; save the adapter again")
        return changes

    def _low_rank(self, module: str, parts: Mapping[str, Tensor]) -> LowRank:
        embedding = "lora_embedding_A" in parts
        names = ("lora_embedding_A", "lora_embedding_B") if embedding else ("lora_A", "lora_B")
        magnitude = parts.get("lora_magnitude_vector")
        if not set(names) <= parts.keys() or any(len(parts[n].shape) != 2 for n in names):
            raise SlmError(
                "bad_file",
                f"{self.path} has not both matrices of '{module}'; save the adapter again",
            )
        if magnitude is not None and embedding:
            raise SlmError(
                "unsupported",
                f"{self.path}: DoRA of the embeddings is not merged here; merge with peft",
            )
        a, b = (parts[name].read() for name in names)
        if a.shape[0] != b.shape[1] or 0 in a.shape:
            raise SlmError(
                "bad_file",
                f"{self.path}: the matrices of '{module}' have the shapes {list(a.shape)} and "
                f"{list(b.shape)}, which have no rank in common; save the adapter again",
            )
        return LowRank(
            self._plain(f"{module}.weight"),
            # An embedding's weight is the transpose of a linear layer's.
            a=np.ascontiguousarray(b.T) if embedding else a,
            b=np.ascontiguousarray(a.T) if embedding else b,
            scale=self.weight * self._scale(module, a.shape[0]),
            magnitude=None if magnitude is None else magnitude.read().reshape(-1),
            embedding=embedding,
        )

    def _scale(self, module: str, rank: int) -> float:
        alpha: Any = self.config.get("lora_alpha", 8)
        patterns = self.config.get("alpha_pattern")
        for pattern, value in (patterns if isinstance(patterns, dict) else {}).items():
            try:
                if re.match(rf"(.*\.)?({pattern})$", module):
                    alpha = value
                    break
            except re.error:
                raise SlmError(
                    "bad_file", f"{self.config_path}: {pattern!r} in alpha_pattern is no pattern"
                ) from None
        if not isinstance(alpha, int | float) or not math.isfinite(alpha):
            raise SlmError("bad_file", f"{self.config_path}: lora_alpha is {alpha!r}, no number")
        return alpha / math.sqrt(rank) if self.config.get("use_rslora") else alpha / rank

    def _plain(self, name: str) -> str:
        plain = canonical(name)
        if plain is None:
            raise SlmError(
                "unsupported",
                f"{self.path} adapts '{name}', a part of the vision model, which is not converted",
            )
        return plain


def merges_of(
    adapters: Iterable[Adapter], table: Mapping[str, Row], hyper: Hyperparameters
) -> dict[str, list[Merge]]:
    """The changes of all adapters, in order, by the name of the tensor they change.

    Raises SlmError "bad_file" for an adapter of another base.
    """
    merges: dict[str, list[Merge]] = {}
    for adapter in adapters:
        for change in adapter.changes:
            row = table.get(change.name)
            if row is None:
                raise SlmError(
                    "bad_file",
                    f"{adapter.path} adapts '{change.name}', which the base has not; "
                    "use the base that the adapter was trained on",
                )
            shape = tuple(hyper.size(dimension) for dimension in row.shape)
            magnitude = change.magnitude if isinstance(change, LowRank) else None
            if change.shape != shape or (magnitude is not None and magnitude.size != shape[0]):
                raise SlmError(
                    "bad_file",
                    f"{adapter.path} adapts '{change.name}' as {list(change.shape)}, but in the "
                    f"base it is {list(shape)}; use the base that the adapter was trained on",
                )
            if isinstance(change, Replacement) and change.name in merges:
                raise SlmError(
                    "unsupported",
                    f"{adapter.path} replaces '{change.name}', which another adapter changes; "
                    "merge one of them",
                )
            if adapter.config.get("ensure_weight_tying") and row.target in (
                "token_embd.weight",
                "output.weight",
            ):
                raise SlmError(
                    "unsupported",
                    f"{adapter.config_path} asks for ensure_weight_tying of trained embeddings; "
                    "merge this adapter with peft and convert the result",
                )
            merges.setdefault(change.name, []).append(change)
    return merges
