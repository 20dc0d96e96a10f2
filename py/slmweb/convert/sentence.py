"""What sentence-transformers put behind a model to make embeddings of its hidden states:
modules.json and the folders that it names.

Owns which chains of modules mean what the core computes: pooling, matrices without biases or
activations, and a norm, which whoever takes the embedding applies. Others are refused: an
embedding that is nearly right finds nearly the right texts, and nobody would notice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from gguf import PoolingType

from ..errors import SlmError
from .checkpoint import Checkpoint, read_json, read_json_list
from .safetensors import Tensor

MODULES = "modules.json"
_POOLING = {
    "mean": PoolingType.MEAN,
    "cls": PoolingType.CLS,
    "lasttoken": PoolingType.LAST,
}
# The model's own folder, or one in it: whoever wrote the file may want others to be read.
_FOLDER = re.compile(r"\.?|[\w-]+", re.ASCII)
_IDENTITY = "torch.nn.modules.linear.Identity"


@dataclass(frozen=True)
class Sentence:
    """How a text's hidden states become its embedding."""

    pooling: PoolingType
    dense: tuple[Tensor, ...] = ()  # (out, in) each, one after the other


def read_sentence(source: Checkpoint, n_dense: int) -> Sentence:
    """The modules of a checkpoint, which should have `n_dense` matrices.

    Raises SlmError "unreadable", "bad_file", or "unsupported" for a chain that is computed
    otherwise.
    """
    path = source.folder / MODULES
    if not path.exists():
        raise SlmError(
            "unsupported",
            f"{source.config_path} is of a model that embeds texts, and {path}, which says how, is "
            "missing; download all of the repository, with the folders that it names",
        )
    modules = _modules(path)
    kinds = [kind for kind, _ in modules]
    wanted = ["Transformer", "Pooling", *["Dense"] * n_dense]
    if kinds not in (wanted, [*wanted, "Normalize"]):
        raise SlmError(
            "unsupported",
            f"{path} chains {', '.join(kinds)}; expected {', '.join(wanted)} and Normalize",
        )
    if modules[0][1] not in ("", "."):
        raise SlmError(
            "unsupported",
            f"{path} has the model in the folder {modules[0][1]!r}; expected it beside {MODULES}",
        )
    dense = tuple(_dense(source, at) for kind, at in modules if kind == "Dense")
    return Sentence(_pooling(source.folder / modules[1][1] / "config.json"), dense)


def _modules(path: Path) -> list[tuple[str, str]]:
    """The last word of each module's type, and its folder."""
    found = []
    for module in read_json_list(path):
        given = module if isinstance(module, dict) else {}
        kind, at = given.get("type"), given.get("path")
        if not isinstance(kind, str) or not isinstance(at, str) or not _FOLDER.fullmatch(at):
            raise SlmError(
                "bad_file",
                f"{path} has a module without a type, or without a folder beside it as its path; "
                "download it again",
            )
        found.append((kind.rpartition(".")[2], at))
    return found


def _pooling(path: Path) -> PoolingType:
    config = read_json(path)
    # Old configs have a switch for each mode, new ones its name.
    modes = [
        key.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token")
        for key, on in config.items()
        if key.startswith("pooling_mode_") and on is True
    ]
    named = config.get("pooling_mode")
    if isinstance(named, str):
        modes = [named]
    modes = modes or ["mean"]
    if len(modes) == 1 and modes[0] in _POOLING and config.get("include_prompt", True):
        return _POOLING[modes[0]]
    raise SlmError(
        "unsupported",
        f"{path} pools by {' and '.join(modes)}"
        + ("" if config.get("include_prompt", True) else " without the prompt")
        + "; mean, cls and lasttoken are supported, over the prompt too",
    )


def _dense(source: Checkpoint, at: str) -> Tensor:
    folder = source.folder / at
    config = read_json(folder / "config.json")
    if config.get("bias", True) or config.get("activation_function") != _IDENTITY:
        raise SlmError(
            "unsupported",
            f"{folder / 'config.json'} has a bias or the activation "
            f"{config.get('activation_function')}; matrices alone are supported",
        )
    path = folder / "model.safetensors"
    if not path.exists():
        raise SlmError("unreadable", f"{path} is missing; download it into the folder")
    tensors = source.open(path).tensors
    if list(tensors) != ["linear.weight"] or len(tensors["linear.weight"].shape) != 2:
        raise SlmError(
            "bad_file",
            f"{path} holds {', '.join(tensors)}; expected the matrix linear.weight alone",
        )
    return tensors["linear.weight"]
