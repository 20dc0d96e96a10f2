"""Writes the public types as one file, slmweb.d.ts, for pages that import the API.

Owns what is public: the class SLM as far as a page may use it, SlmError, and the
types of web/src/api/types.ts, completions.ts, embedding_types.ts, guarding.ts,
inspection.ts, notices.ts and backend.ts. The compiler writes the declarations; here they
are put together, and anything that would still point into our sources is an error.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import tomllib
from pathlib import Path

from script import ROOT, BuildError

SOURCES = ROOT / "web/src"
TSC = ROOT / "node_modules/.bin/tsc"
VARIANTS = ROOT / "build/tables/variants.toml"
GUARD = ROOT / "build/tables/guard.toml"

HEAD = """\
// The types of slmweb.js. Put this file beside it: TypeScript finds it by its name.

"""
# What a page may use of a loaded model is the interface Slm; how it came to be is no page's.
INSTANCE = """\
export interface SLM extends Slm {}
"""


def declarations() -> bytes:
    """The text of slmweb.d.ts. Raises BuildError where it would not stand alone."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        config = {
            "extends": str(ROOT / "tsconfig.json"),
            "compilerOptions": {
                "noEmit": False, "declaration": True, "emitDeclarationOnly": True,
                "rootDir": str(SOURCES), "outDir": str(folder / "out"),
            },
            "include": [str(SOURCES)],
        }  # fmt: skip
        (folder / "tsconfig.json").write_text(json.dumps(config))
        done = subprocess.run(
            [TSC, "-p", folder / "tsconfig.json"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise BuildError(f"the types of the web part cannot be written: {done.stdout.strip()}")
        types, completions, embeddings, guarding, inspection, notices, backend, error, load = (
            (folder / "out" / name).read_text()
            for name in (
                "api/types.d.ts",
                "api/completions.d.ts",
                "api/embedding_types.d.ts",
                "api/guarding.d.ts",
                "api/inspection.d.ts",
                "api/notices.d.ts",
                "api/backend.d.ts",
                "core/error.d.ts",
                "api/load.d.ts",
            )
        )
    rows = tomllib.loads(VARIANTS.read_text())["variant"]
    variants = " | ".join(f"'{row['name']}'" for row in rows)
    types = types.replace(
        "export type Variant = VariantName;", f"export type Variant = {variants};"
    )
    policies = " | ".join(f"'{name}'" for name in tomllib.loads(GUARD.read_text())["policies"])
    guarding = guarding.replace(
        "export type GuardPolicyName = PolicyName;", f"export type GuardPolicyName = {policies};"
    )
    # Only the class of each: what else they export is for our own files.
    load = _class(load, "SLM").replace(
        "class SLM extends LoadedModel {", "class SLM {\n    private constructor();"
    )
    parts = [
        types,
        completions,
        embeddings,
        guarding,
        inspection,
        notices,
        backend,
        error.replace("export interface", "interface").replace("export type", "type"),
        INSTANCE + load,
    ]
    text = HEAD + "\n".join(_body(part) for part in parts) + "\nexport {};\n"
    for mark in ("import ", "VariantName", "PolicyName;", "LoadedModel", " from '"):
        if re.search(rf"^(?!\s*(//|/?\*)).*{re.escape(mark)}", text, re.MULTILINE):
            raise BuildError(
                f"slmweb.d.ts would hold {mark.strip()!r}, which only our sources know"
            )
    return text.encode()


def _class(text: str, name: str) -> str:
    found = re.search(rf"^export declare class {name} .*?^\}}\n", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise BuildError(f"expected the declaration of the class {name}, found none")
    return found[0]


def _body(text: str) -> str:
    """The declarations without imports and exports of other files."""
    text = re.sub(r"^import .*?;\n", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^export (\{.*?\}|type \* from .*?);\n", "", text, flags=re.MULTILINE)
