"""A Hugging Face checkpoint on disk: its JSON files, and its tensors by name in one
safetensors file or in the shards of an index.

Owns which files a folder must have and what is said when one is missing. Pickles
are refused: unpickling runs whatever program the file holds. Knows no families.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import SlmError, os_reason
from .safetensors import SafetensorsFile, Tensor

Json = dict[str, Any]

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"


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
    try:
        value = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise SlmError(
            "bad_file",
            f"{path} is not JSON ({error.msg.lower()}, line {error.lineno}); download it again",
        ) from None
    except RecursionError:
        raise SlmError("bad_file", f"{path} nests too deeply; download it again") from None
    if not isinstance(value, dict):
        raise SlmError("bad_file", f"{path} is not a JSON object; download it again")
    return value


def read_json_if_there(path: Path) -> Json:
    """As `read_json`, but nothing for a file that does not exist."""
    return read_json(path) if path.exists() else {}


class Checkpoint:
    """A folder with a config.json. Use it in a `with`; the weights are opened on demand.

    Raises SlmError "unreadable" when the folder or its config is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: list[SafetensorsFile] = []
        if not folder.is_dir():
            what = "is not a folder" if folder.exists() else "does not exist"
            raise SlmError(
                "unreadable", f"{folder} {what}; name the folder of a Hugging Face checkpoint"
            )
        self.config_path = folder / "config.json"
        if not self.config_path.exists():
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

        Raises SlmError "unreadable" for a missing file and "bad_file" for a
        damaged one.
        """
        index = self.folder / INDEX
        if not index.exists():
            return dict(self._open(self._single_file()).tensors)
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
            tensors |= self._open(path).tensors
        for name, shard in shard_of.items():
            if name not in tensors:
                raise SlmError(
                    "bad_file",
                    f"{self.folder / shard} has no tensor '{name}', which {INDEX} expects there; "
                    "download both again",
                )
        return tensors

    def _open(self, path: Path) -> SafetensorsFile:
        file = SafetensorsFile(path)
        self._files.append(file)
        return file

    def _single_file(self) -> Path:
        path = self.folder / WEIGHTS
        if path.exists():
            return path
        refuse_pickle(self.folder, "pytorch_model*.bin", WEIGHTS)
        raise SlmError(
            "unreadable", f"{path} is missing, and so is {INDEX}; download the checkpoint's weights"
        )


def refuse_pickle(folder: Path, pattern: str, wanted: str) -> None:
    """Raises SlmError "unsupported" where only a pickle holds the weights."""
    for pickle in sorted(folder.glob(pattern)):
        raise SlmError(
            "unsupported",
            f"{pickle} is a pickle, which is a program and not read here; "
            f"save the weights as {wanted} (save_pretrained does)",
        )
