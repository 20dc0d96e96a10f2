"""Where the files that slmweb needs at run time are.

Owns the difference between an installed wheel, which carries them in
slmweb/_dist, and a checkout, where `make` leaves them in dist/. Everything else
asks here and never looks at the file system's layout itself.
"""

from __future__ import annotations

import os
from pathlib import Path

from .errors import SlmError
from .generated import abi

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parents[1]

VARIANTS = tuple(variant.name for variant in abi.VARIANTS)


def is_checkout() -> bool:
    """Whether the package runs from a source tree, where `make` can be used."""
    return (CHECKOUT / "wasm" / "include" / "slm.h").is_file()


def dist_dir() -> Path:
    """The folder with wasm/ and web/; it need not exist yet."""
    packaged = PACKAGE / "_dist"
    return packaged if packaged.is_dir() else CHECKOUT / "dist"


def wasm_dir() -> Path:
    return dist_dir() / "wasm"


def web_dir() -> Path:
    return dist_dir() / "web"


def models_dir() -> Path:
    """Where packed models are kept unless somebody says otherwise.

    A checkout keeps them beside its other outputs; an installed package, whose
    own folder may be read-only, in the user's data folder (XDG).
    """
    return _kept("models", "XDG_DATA_HOME", ".local/share")


def gguf_dir() -> Path:
    """Where `slmweb pull` puts GGUF files, which can be fetched again: a cache."""
    return _kept("gguf", "XDG_CACHE_HOME", ".cache")


def checkpoints_dir() -> Path:
    """Where `slmweb pull` puts Hugging Face checkpoints, a folder each."""
    return _kept("checkpoints", "XDG_CACHE_HOME", ".cache")


def data_dir() -> Path:
    """Where data sets that were fetched are kept: a cache."""
    return _kept("data", "XDG_CACHE_HOME", ".cache")


def config_dir() -> Path:
    """Where answers of the user are remembered (XDG); it need not exist yet."""
    return _xdg("XDG_CONFIG_HOME", ".config")


def _kept(name: str, variable: str, default: str) -> Path:
    if is_checkout() and not (PACKAGE / "_dist").is_dir():
        return CHECKOUT / "dist" / name
    return _xdg(variable, default) / name


def _xdg(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / default) / "slmweb"


def wasm_file(variant: str, folder: Path | None = None) -> Path:
    """The compiled core of a variant (one of `VARIANTS`).

    Raises SlmError "not_built" with the command that makes it.
    """
    path = (folder or wasm_dir()) / f"slm-{variant}.wasm"
    if not path.is_file():
        raise SlmError(
            "not_built", f"the compiled core {path} does not exist; {how_to_get('make wasm')}"
        )
    return path


def how_to_get(command: str) -> str:
    """What to do about a missing run-time file, as the end of a sentence."""
    if is_checkout():
        return f"run `{command}`"
    return "reinstall slmweb from a wheel, which carries it"


def how_to_get_a_model() -> str:
    """What to do when there is no packed model, as the end of a sentence."""
    pack = "`slmweb pack MODEL.gguf`"
    if is_checkout():
        return f"run `make model` for the demo's, or {pack}"
    return f"run `slmweb pull smollm2`, then {pack}"
