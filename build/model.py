"""Pulls a model of the registry into dist/gguf and packs it: dist/models/<name>.

A thin caller of `slmweb pull` and `slmweb pack` for make. The second run has nothing to do and
says so without asking any network.

  python build/model.py [model] [--accept-license] [--gguf-only]

--gguf-only stops before packing: for tests and measurements, which read the
GGUF, of models that the page is not to offer.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from script import DIST, BuildError, run
from slmweb.errors import SlmError
from slmweb.pack.manifest import SCHEMA
from slmweb.pull.pull import pull, pulled
from slmweb.pull.registry import Entry, Registry, read_registry


def is_packed(entry: Entry, folder: Path) -> bool:
    """Whether `folder` holds a whole pack of this very file, as this release writes it."""
    url = entry.license and entry.license.url
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        (file,) = manifest["files"]
        sizes = {folder / chunk["sha256"]: chunk["size"] for chunk in file["chunks"]}
        said = [manifest[key] for key in ("schema", "title", "license_url", "source", "sampling")]
        said.append(manifest.get("good_for"))  # left out where there is none
        wanted = [SCHEMA, entry.title, url, entry.source, entry.sampling, entry.good_for]
        same = file["sha256"] == entry.sha256 and said == wanted
        same = same and "known_answer" in manifest  # packs of older releases have none
        return same and all(chunk.stat().st_size == size for chunk, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def pack(entry: Entry, gguf: Path, folder: Path) -> None:
    arguments = [
        sys.executable, "-m", "slmweb", "pack", str(gguf), "--out", str(folder),
        "--name", str(entry.name), "--title", entry.title, "--source", entry.source or "",
        *(f"--sampling={key}={value}" for key, value in entry.sampling.items()),
    ]  # fmt: skip
    if entry.good_for is not None:
        arguments += ["--good-for", entry.good_for]
    if entry.license is not None:
        arguments += ["--license", entry.license.id]
        arguments += ["--license-url", entry.license.url] if entry.license.url else []
    if subprocess.run(arguments, check=False).returncode != 0:
        raise BuildError(f"packing {gguf.name} failed for the reason above")


def fetch(registry: Registry, key: str, accepted: bool, gguf_only: bool = False) -> Path:
    """The GGUF of a registry entry, packed too unless `gguf_only`."""
    entry = registry.find(key)
    folder = DIST / "models" / str(entry.name)
    out = DIST / "gguf"
    there = pulled(entry, out)
    if there is not None and (gguf_only or is_packed(entry, folder)):
        print(f"model: {entry.title} is there")
        return there
    print(f"model: {entry.title} ({(entry.size or 0) / 1e6:.0f} MB)", flush=True)
    say = lambda line: print(f"  {line}", flush=True)  # noqa: E731
    path = pull(key, out=out, accept_license=accepted, registry=registry, say=say)
    if not gguf_only and not is_packed(entry, folder):
        pack(entry, path, folder)
    return path


def main(arguments: list[str]) -> None:
    registry = read_registry()
    options = {a for a in arguments if a.startswith("--")}
    if strange := options - {"--accept-license", "--gguf-only"}:
        raise BuildError(
            f"got {' '.join(sorted(strange))}; "
            "usage: python build/model.py [model] [--accept-license] [--gguf-only]"
        )
    # What make packs has a name for its folder; checkpoints are for `slmweb pull` and `convert`.
    known = [key for key, entry in registry.models.items() if entry.name is not None]
    for name in [a for a in arguments if a not in options] or ["smollm2"]:
        if name not in known:
            raise BuildError(f"there is no model '{name}'; choose from {', '.join(known)}")
        try:
            fetch(registry, name, "--accept-license" in options, "--gguf-only" in options)
        except SlmError as error:
            raise BuildError(error.message) from None


if __name__ == "__main__":
    raise SystemExit(run(main))
