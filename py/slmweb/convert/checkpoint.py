"""A Hugging Face checkpoint on disk: its JSON files, and its tensors by name in one
safetensors file or in shards, with or without an index.

Owns which files a folder must have and what is said when one is missing. Pickles
are refused: unpickling runs whatever program the file holds. Knows no families.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import SlmError, os_reason
from .safetensors import SafetensorsFile, Tensor

Json = dict[str, Any]

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
ADAPTER_CONFIG = "adapter_config.json"
_SHARD = re.compile(r"model-(\d{5})-of-(\d{5})\.safetensors")


def read_text(path: Path) -> str:
    """A UTF-8 file. Raises SlmError "unreadable" or "bad_file"."""
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise SlmError("unreadable", f"cannot read {path}: {os_reason(error)}") from None
    except UnicodeDecodeError as error:
        raise SlmError(
            "bad_file", f"{path} is not UTF-8 (byte {error.start}); download it again"
        ) from None


def read_json(path: Path) -> Json:
    """A file that holds a JSON object. Raises SlmError "unreadable" or "bad_file"."""
    value = _read_json(path)
    if not isinstance(value, dict):
        raise SlmError("bad_file", f"{path} is not a JSON object; download it again")
    return value


def read_json_list(path: Path) -> list[Any]:
    """A file that holds a JSON list. Raises as `read_json`."""
    value = _read_json(path)
    if not isinstance(value, list):
        raise SlmError("bad_file", f"{path} is not a JSON list; download it again")
    return value


def _read_json(path: Path) -> Any:
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise SlmError(
            "bad_file",
            f"{path} is not JSON ({error.msg.lower()}, line {error.lineno}); download it again",
        ) from None
    except RecursionError:
        raise SlmError("bad_file", f"{path} nests too deeply; download it again") from None


def read_json_if_there(path: Path) -> Json:
    """As `read_json`, but nothing for a file that does not exist."""
    return read_json(path) if path.exists() else {}


def first_with(name: str, folders: Sequence[Path]) -> Path:
    """The file of that name in the first folder that has it, else where the last would."""
    return next(
        (path for folder in folders if (path := folder / name).exists()), folders[-1] / name
    )


class Checkpoint:
    """A folder with a config.json. Use it in a `with`; the weights are opened on demand.

    Raises SlmError "unreadable" when the folder or its config is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: list[SafetensorsFile] = []
        self.notes: list[str] = []  # what to know about the files that were chosen, for people
        if not folder.is_dir():
            what = "is not a folder" if folder.exists() else "does not exist"
            raise SlmError(
                "unreadable", f"{folder} {what}; name the folder of a Hugging Face checkpoint"
            )
        self.config_path = folder / "config.json"
        if not self.config_path.exists():
            refuse_adapter(self.folder)
            refuse_pipeline(self.folder)
            raise SlmError(
                "unreadable",
                f"{self.config_path} is missing; name the folder of a Hugging Face checkpoint",
            )
        self.config = read_json(self.config_path)

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in self._files:
            file.close()
        self._files.clear()

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor by its name in the checkpoint.

        One file counts before an index, as in transformers: where both are, the
        folder was trained into twice. Raises SlmError "unreadable" for a missing
        file and "bad_file" for a damaged one.
        """
        single, index = self.folder / WEIGHTS, self.folder / INDEX
        if single.exists():
            if index.exists():
                self.notes.append(
                    f"{single} is converted, as transformers would load it; {INDEX} and its files "
                    "are left out"
                )
            return dict(self.open(single).tensors)
        if not index.exists():
            return self._unlisted_shards()
        shard_of = read_json(index).get("weight_map")
        if not isinstance(shard_of, dict) or not all(
            isinstance(name, str) and Path(name).name == name for name in shard_of.values()
        ):
            raise SlmError("bad_file", f"{index} has no valid weight_map; download it again")
        tensors: dict[str, Tensor] = {}
        for shard in sorted(set(shard_of.values())):
            path = self.folder / shard
            if not path.exists():
                raise SlmError(
                    "unreadable",
                    f"{path} is missing, one of {len(set(shard_of.values()))} files that "
                    f"{INDEX} names; download it into the folder",
                )
            tensors |= self.open(path).tensors
        for name, shard in shard_of.items():
            if name not in tensors:
                raise SlmError(
                    "bad_file",
                    f"{self.folder / shard} has no tensor '{name}', which {INDEX} expects there; "
                    "download both again",
                )
        return tensors

    def open(self, path: Path) -> SafetensorsFile:
        """A file of the checkpoint, closed with it."""
        file = SafetensorsFile(path)
        self._files.append(file)
        return file

    def _unlisted_shards(self) -> dict[str, Tensor]:
        """The tensors of shards that lie there without an index; their names say how many
        there have to be."""
        shards = sorted(p for p in self.folder.iterdir() if _SHARD.fullmatch(p.name))
        if not shards:
            refuse_adapter(self.folder)
            refuse_pickle(self.folder, "pytorch_model*.bin", WEIGHTS)
            raise SlmError(
                "unreadable",
                f"{self.folder / WEIGHTS} is missing, and so is {INDEX}; download the "
                "checkpoint's weights",
            )
        counts = {path.stem.rpartition("-")[2] for path in shards}
        if len(counts) > 1:
            raise SlmError(
                "bad_file",
                f"{self.folder} has shards of several checkpoints and no {INDEX} to choose by; "
                "keep one set, or download its index",
            )
        (count,) = counts
        tensors: dict[str, Tensor] = {}
        for i in range(1, int(count) + 1):
            path = self.folder / f"model-{i:05}-of-{count}.safetensors"
            if not path.exists():
                raise SlmError(
                    "unreadable",
                    f"{path} is missing, one of {int(count)} files; download it into the folder",
                )
            for name, tensor in self.open(path).tensors.items():
                if name in tensors:
                    raise SlmError(
                        "bad_file",
                        f"{path} has the tensor '{name}' again, which {tensors[name].file.path} "
                        f"has too, and there is no {INDEX} to choose by; download it",
                    )
                tensors[name] = tensor
        return tensors


def refuse_pipeline(folder: Path) -> None:
    """Raises SlmError "unsupported" for a folder of the library diffusers."""
    if (path := folder / "model_index.json").exists():
        kind = read_json(path).get("_class_name", "diffusers")
        raise SlmError(
            "unsupported",
            f"{folder} is a pipeline of {kind}, which makes images or sound out of noise; use a "
            "model that writes text instead (see `slmweb models`)",
        )


def refuse_adapter(folder: Path) -> None:
    """Raises SlmError "invalid_argument" for an adapter in place of a model, with the base
    that it asks for."""
    path = folder / ADAPTER_CONFIG
    if not path.exists():
        return
    base = read_json(path).get("base_model_name_or_path")
    asked = f" of {base}" if isinstance(base, str) and base else ""
    raise SlmError(
        "invalid_argument",
        f"{folder} is an adapter{asked}, not a whole model; name the folder of its base, "
        f"and this one with --adapter {shlex.quote(str(folder))}",
    )


def refuse_pickle(folder: Path, pattern: str, wanted: str) -> None:
    """Raises SlmError "unsupported" where only a pickle holds the weights."""
    for pickle in sorted(folder.glob(pattern)):
        raise SlmError(
            "unsupported",
            f"{pickle} is a pickle, which is a program and not read here; "
            f"save the weights as {wanted} (save_pretrained does)",
        )
