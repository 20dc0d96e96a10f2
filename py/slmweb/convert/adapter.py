"""PEFT LoRA adapters: what they do to the tensors of a base.

Owns adapter_config.json, the names in adapter_model.safetensors and the arithmetic
of LoRA (Hu et al. 2021), rsLoRA (Kalajdzievski 2023) and DoRA (Liu et al. 2024) as
peft merges them; refuses every variant that means something else. Knows no GGUF.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ..errors import SlmError
from .checkpoint import ADAPTER_CONFIG as CONFIG
from .checkpoint import Checkpoint, read_json, refuse_pickle
from .family import Row
from .hyperparameters import Hyperparameters
from .names import canonical
from .safetensors import F32, SafetensorsFile, Tensor, same_values
from .tensors import EMBEDDING, HEAD, Merge, shape_of

WEIGHTS = "adapter_model.safetensors"

_LOW_RANK = re.compile(
    r"base_model\.model\.(?P<module>.+)\.(?P<part>lora_A|lora_B|lora_embedding_A|lora_embedding_B"
    r"|lora_magnitude_vector)(\.default)?(\.weight)?"
)
# Rows of the embeddings that were trained alone (trainable_token_indices).
_TOKENS = re.compile(
    r"base_model\.model\.(?P<module>.+)\.token_adapter\.trainable_tokens_delta(\.default)?"
)
_WHOLE = re.compile(
    r"base_model\.model\.(?P<module>(?!.*\.lora_).+?)(?P<trained>\.modules_to_save)?(\.default)?"
    r"(\.token_adapter)?(\.base_layer)?\.(?P<kind>weight|bias)"
)
# What a module was before it was trained whole, which nothing uses any more.
_REPLACED = re.compile(r"base_model\.model\..+\.original_module\.(weight|bias)")
# Ways to begin training that leave the base as it is; the others (PiSSA, OLoRA,
# LoftQ…) change it, and a merge into the original would be wrong.
_PLAIN_BEGINNINGS = (True, False, None, "gaussian", "eva", "orthogonal")
# What would change the meaning of the matrices if it were set.
_VARIANTS = (
    *("lora_bias", "layer_replication", "alora_invocation_tokens"),
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
    whole = None
    shared = False  # the head keeps a weight of its own

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
    """A tensor that the adapter holds whole: trained (modules_to_save, biases), or the
    base's, saved because it was resized or lies below a low-rank change."""

    name: str
    tensor: Tensor
    trained: bool

    @property
    def whole(self) -> Tensor:
        return self.tensor

    @property
    def shared(self) -> bool:
        """A resized matrix is the head's as well; a trained copy is not."""
        return not self.trained

    @property
    def shape(self) -> tuple[int, ...]:
        return self.tensor.shape

    def apply(self, rows: F32, start: int) -> F32:
        return self.tensor.read(start, start + len(rows))


@dataclass(frozen=True)
class Tokens:
    """Rows of the embeddings, or of the head, that were trained alone."""

    name: str
    indices: tuple[int, ...]
    values: F32  # (len(indices), embd)
    shared: bool = True  # with a tied head, unless that has tokens of its own
    whole = None

    def apply(self, rows: F32, start: int) -> F32:
        changed = rows.copy()
        for index, value in zip(self.indices, self.values, strict=True):
            if start <= index < start + len(rows):
                changed[index - start] = value
        return changed


Change = LowRank | Replacement | Tokens


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

    def forget_copies(self, base: Mapping[str, Tensor]) -> None:
        """Drops the tensors that peft saved though they are the base's (`base_tensors`)."""
        self.changes = [
            change
            for change in self.changes
            if not isinstance(change, Replacement)
            or (own := base.get(change.name, base.get(EMBEDDING) if change.name == HEAD else None))
            is None
            or not same_values(own, change.tensor)
        ]

    def pairs(self) -> list[LowRank]:
        """The low-rank changes alone. Raises SlmError "unsupported" where there are others."""
        pairs = [change for change in self.changes if isinstance(change, LowRank)]
        for change in self.changes:
            if isinstance(change, Tokens):
                raise self._unsupported(f"single tokens of '{change.name}' were trained")
            if isinstance(change, Replacement):
                what = "was trained whole" if change.trained else "is not the base's"
                raise self._unsupported(f"'{change.name}' {what}, which is no low-rank adapter")
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

    def _changes(self) -> list[Change]:
        """Whole tensors first: a low-rank change of one of them comes on top."""
        parts: dict[str, dict[str, Tensor]] = {}
        whole: list[Change] = []
        for name, tensor in self._file.tensors.items():
            if match := _LOW_RANK.fullmatch(name):
                parts.setdefault(match["module"], {})[match["part"]] = tensor
            elif match := _TOKENS.fullmatch(name):
                whole.append(self._tokens(match["module"], tensor))
            elif _REPLACED.fullmatch(name):
                continue
            elif match := _WHOLE.fullmatch(name):
                module, kind = match["module"], match["kind"]
                trained = kind == "bias" or bool(match["trained"]) or self._is_saved(module)
                plain = self._plain(f"{module}.{kind}")
                # A module trained whole is saved twice where the vocabulary was resized.
                if not any(isinstance(c, Replacement) and c.name == plain for c in whole):
                    whole.append(Replacement(plain, tensor, trained))
            else:
                raise SlmError(
                    "unsupported",
                    f"{self.path}: tensor '{name}' is no part of LoRA as known here; "
                    "merge this adapter with peft and convert the result",
                )
        if self.config.get("trainable_token_indices") and not any(
            isinstance(change, Tokens) for change in whole
        ):
            raise SlmError(
                "bad_file",
                f"{self.path} has no rows for the trainable_token_indices of {self.config_path}; "
                "save the adapter again",
            )
        if any(isinstance(c, Tokens) and c.name == HEAD for c in whole):
            whole = [replace(c, shared=False) if isinstance(c, Tokens) else c for c in whole]
        whole.sort(key=lambda change: isinstance(change, Tokens))
        changes = whole + [self._low_rank(module, part) for module, part in parts.items()]
        if not changes:
            raise SlmError("bad_file", f"{self.path} holds no tensors; save the adapter again")
        return changes

    def _is_saved(self, module: str) -> bool:
        saved = self.config.get("modules_to_save")
        return any(
            module == name or module.endswith(f".{name}")
            for name in (saved if isinstance(saved, list) else [])
        )

    def _tokens(self, module: str, values: Tensor) -> Tokens:
        given = self.config.get("trainable_token_indices")
        if isinstance(given, dict):
            # What the embeddings train, a head that is tied to them does too.
            only = next(iter(given.values())) if len(given) == 1 else None
            given = next(
                (i for name, i in given.items() if f".{module}".endswith(f".{name}")), only
            )
        if (
            not isinstance(given, list)
            or not all(isinstance(index, int) and index >= 0 for index in given)
            or len(values.shape) != 2
            or len(given) != values.rows
        ):
            raise SlmError(
                "bad_file",
                f"{self.config_path} does not say in trainable_token_indices which tokens the "
                f"{values.rows} rows of '{values.name}' are; save the adapter again",
            )
        return Tokens(self._plain(f"{module}.weight"), tuple(given), values.read())

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
    adapters: Iterable[Adapter], table: Mapping[str, tuple[Row, ...]], hyper: Hyperparameters
) -> dict[str, list[Merge]]:
    """The changes of all adapters, in order, by the name of the tensor they change.

    Raises SlmError "bad_file" for an adapter of another base.
    """
    merges: dict[str, list[Merge]] = {}
    for adapter in adapters:
        _refuse_half_tied(adapter, hyper)
        for change in adapter.changes:
            if change.name not in table:
                raise SlmError(
                    "bad_file",
                    f"{adapter.path} adapts '{change.name}', which the base has not; "
                    "use the base that the adapter was trained on",
                )
            _require_shape(adapter, change, shape_of(table[change.name][0], hyper))
            if isinstance(change, Replacement | Tokens) and adapter.weight != 1:
                raise SlmError(
                    "unsupported",
                    f"{adapter.path}: '{change.name}' was trained whole and cannot be weighed; "
                    "use the adapter without a weight",
                )
            if isinstance(change, Replacement) and change.name in merges:
                raise SlmError(
                    "unsupported",
                    f"{adapter.path} replaces '{change.name}', which another adapter changes; "
                    "merge one of them",
                )
            merges.setdefault(change.name, []).append(change)
    return merges


def _require_shape(adapter: Adapter, change: Change, shape: tuple[int, ...]) -> None:
    """Raises SlmError "bad_file" for a change of a tensor of another shape."""
    if isinstance(change, Tokens):
        fits = change.values.shape[1:] == shape[1:] and max(change.indices, default=0) < shape[0]
        found = f"tokens up to {max(change.indices, default=0)} of {list(change.values.shape[1:])}"
    else:
        magnitude = change.magnitude if isinstance(change, LowRank) else None
        fits = change.shape == shape and (magnitude is None or magnitude.size == shape[0])
        found = str(list(change.shape))
    if not fits:
        raise SlmError(
            "bad_file",
            f"{adapter.path} adapts '{change.name}' as {found}, but in the base it is "
            f"{list(shape)}; use the base that the adapter was trained on",
        )


def _refuse_half_tied(adapter: Adapter, hyper: Hyperparameters) -> None:
    """peft saves both of a tied pair that it was told to keep tied; the first versions that
    could be told so saved one. Raises SlmError "unsupported"."""
    pair = [c for c in adapter.changes if c.name in (EMBEDDING, HEAD)]
    alone = len({change.name for change in pair}) == 1 and not all(c.shared for c in pair)
    if adapter.config.get("ensure_weight_tying") and hyper.tied and alone:
        raise SlmError(
            "unsupported",
            f"{adapter.config_path} asks for ensure_weight_tying, but only '{pair[0].name}' is in "
            "the adapter; merge this one with peft and convert the result",
        )


def resized(hyper: Hyperparameters, adapters: Iterable[Adapter], tied: bool) -> Hyperparameters:
    """The base's numbers with the vocabulary to which an adapter has resized it.

    Training libraries do that for a pad token, and save both matrices whole. `tied`
    says that one is enough. Raises SlmError "bad_file" where one is missing.
    """
    for adapter in adapters:
        rows = {
            change.name: change.shape[0]
            for change in adapter.changes
            if isinstance(change, Replacement) and change.name in (EMBEDDING, HEAD)
        }
        sizes = set(rows.values())
        if len(sizes) != 1 or sizes == {hyper.n_vocab}:
            continue
        size = sizes.pop()
        if len(rows) == 1 and not tied:
            raise SlmError(
                "bad_file",
                f"{adapter.path} resizes the vocabulary from {hyper.n_vocab} to {size} tokens, "
                f"but holds only '{next(iter(rows))}' of the embeddings and the output head; "
                "save the adapter again with save_embedding_layers=True",
            )
        hyper = replace(hyper, n_vocab=size)
    return hyper
