"""The shaders' texts as TypeScript: what the page carries of wasm/shaders.

Owns what is left out of them: comments and indentation, which a third of each
file is. What stands for what, web/src/gpu/shaders.ts knows.
"""

from __future__ import annotations

import re
from pathlib import Path

from script import BuildError
from shader_tables import SHADERS

INCLUDE = re.compile(r"//:include (\w+)")


def strip(text: str) -> str:
    """The text without comments, indentation and empty lines; `//:include` lines stay."""
    lines = []
    for line in text.splitlines():
        code = line if INCLUDE.fullmatch(line) else re.sub(r"//.*", "", line)
        lines.append(code.strip())
    return "\n".join(filter(None, lines))


def literal(path: Path) -> str:
    text = strip(path.read_text())
    if re.search(r"[`\\]|\$\{", text):
        raise BuildError(f"{path.name} has a `, \\ or ${{ in its code, which WGSL does not use")
    return f"`{text}\n`"


def texts_ts(formats: tuple[tuple[int, str], ...], origin: str, folder: Path = SHADERS) -> str:
    """Formats by number, operations and common texts by name."""
    files = sorted(folder.glob("*.wgsl"), key=lambda path: path.stem)
    common = sorted((folder / "common").glob("*.wgsl"))
    known = {path.stem for path in common} | {"format"}
    weights = [(number, folder / f"formats/{name}.wgsl") for number, name in formats]
    for number, path in weights:
        if not path.is_file():
            raise BuildError(f"tensor type {number} has no shader text; write {path}")
    for path in [*files, *common, *(path for _, path in weights)]:
        for name in INCLUDE.findall(path.read_text()):
            if name not in known:
                raise BuildError(
                    f"{path.name} includes '{name}', which is not in {folder.name}/common; "
                    f"there are {', '.join(sorted(known))}"
                )
    return TEXTS_TS.format(
        origin=origin,
        operations="\n".join(f"  {path.stem}: {literal(path)}," for path in files),
        formats="\n".join(f"  {number}: {literal(path)}," for number, path in weights),
        common="\n".join(f"  {path.stem}: {literal(path)}," for path in common),
    )


TEXTS_TS = """\
{origin}
/** A line `//:include name` stands for a text of COMMON_TEXTS, or for the format's. */
export const OPERATION_TEXTS: {{ readonly [name: string]: string }} = {{
{operations}
}};

/** By ggml's number of a tensor type. */
export const FORMAT_TEXTS: {{ readonly [type: number]: string }} = {{
{formats}
}};

export const COMMON_TEXTS: {{ readonly [name: string]: string }} = {{
{common}
}};
"""
