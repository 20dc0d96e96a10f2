"""Bundles the web part with esbuild into dist/web, and lists it in assets.json.

Owns the entry points, the names (every file carries a hash of its content, so
that it can be cached for ever) and the compressed siblings that the server
sends. What the scripts do, it does not know, but some have to be self-contained
classic scripts: a frame's is inlined into a srcdoc, and the sandboxed frame
can start a worker from one text only.

  python build/bundle.py [--debug]     --debug: readable, with source maps inside
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import brotli

from declarations import declarations
from script import DIST, ROOT, BuildError, gzip_compress, replace, run

SOURCES = ROOT / "web/src"
# Icons and the like: served as they are, under a hashed name.
STATIC = ROOT / "web/static"
OUTPUT = DIST / "web"
ESBUILD = ROOT / "node_modules/.bin/esbuild"

COMPRESSED = {".js", ".css", ".svg", ".txt", ".webmanifest"}


@dataclass(frozen=True)
class Entry:
    """One file of the page: its name there, its source, and how it will be run."""

    name: str
    source: str
    kind: str  # "esm", "iife" or "css"


ENTRIES = (
    Entry("shell.js", "seal/shell.ts", "esm"),
    Entry("slmweb.js", "index.ts", "esm"),
    Entry("frame.js", "seal/frame.ts", "iife"),
    Entry("editor.js", "seal/editor.ts", "iife"),
    Entry("inspect.js", "seal/inspect.ts", "iife"),
    Entry("early.js", "seal/early.ts", "iife"),
    Entry("worker.js", "worker/index.ts", "iife"),
    Entry("store.js", "store/worker.ts", "iife"),
    Entry("sw.js", "offline/sw.ts", "iife"),
    Entry("shell.css", "seal/shell.css", "css"),
)


def esbuild(kind: str, folder: Path, debug: bool) -> dict[str, list[str]]:
    """Bundles the entries of one kind into `folder`; returns each one's source files."""
    entries = [entry for entry in ENTRIES if entry.kind == kind]
    metafile = folder / f"{kind}.json"
    arguments = [
        str(ESBUILD), "--bundle", "--target=es2022", "--charset=utf8", "--log-level=warning",
        "--legal-comments=none",  # licenses.txt has them, whole
        f"--outdir={folder}", f"--metafile={metafile}",
        *(["--sourcemap=inline"] if debug else ["--minify"]),
        *(f"{Path(e.name).stem}={SOURCES / e.source}" for e in entries),
    ]  # fmt: skip
    if kind != "css":
        # In a script a style sheet is text: the frame may load nothing.
        arguments += [f"--format={kind}", "--loader:.css=text"]
    if subprocess.run(arguments, cwd=ROOT, check=False).returncode != 0:
        raise BuildError("esbuild could not bundle the page (its words are above)")
    outputs = json.loads(metafile.read_text())["outputs"]
    return {Path(path).name: list(output["inputs"]) for path, output in outputs.items()}


def inlinable(script: str) -> str:
    """The same script without `<!--`, which would change how the HTML parser reads an inline one.

    esbuild has taken care of `</script`, and writes `<!--` only inside strings
    and regular expressions, where an escape means the same.
    """
    return script.replace("<!--", r"\x3c!--")


def licenses(sources: Iterable[str]) -> str:
    """The licences of the packages whose code is in the bundles, as they ask for."""
    found = {re.sub(r".*node_modules/((?:@[^/]+/)?[^/]+)/.*", r"\1", s)
             for s in sources if "node_modules/" in s}  # fmt: skip
    texts = []
    for name in sorted(found):
        package = ROOT / "node_modules" / name
        version = json.loads((package / "package.json").read_text())["version"]
        files = sorted(p for p in package.iterdir() if re.match(r"licen[cs]e", p.name, re.I))
        if not files:
            raise BuildError(f"the package {name} has no licence file, and its code is in the page")
        texts.append(f"{name} {version}\n\n" + files[0].read_text().strip() + "\n")
    return ("\n" + "-" * 78 + "\n\n").join(texts)


def hashed(name: str, content: bytes) -> str:
    stem, dot, suffix = name.partition(".")
    return f"{stem}-{hashlib.sha256(content).hexdigest()[:16]}{dot}{suffix}"


def write(path: Path, content: bytes) -> None:
    """Writes `path` and its compressed siblings; what is there already has this content."""
    if path.suffix in COMPRESSED:
        for suffix, compress in (".br", brotli.compress), (".gz", gzip_compress):
            sibling = path.with_name(path.name + suffix)
            if not sibling.is_file():
                replace(sibling, compress(content))
    if not path.is_file():
        replace(path, content)


def bundle(debug: bool) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    sources: set[str] = set()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for kind in ("esm", "iife", "css"):
            for name, inputs in esbuild(kind, folder, debug).items():
                files[name] = (folder / name).read_bytes()
                sources.update(inputs)
    for name in ("frame.js", "editor.js", "inspect.js"):
        files[name] = inlinable(files[name].decode()).encode()
    files["slmweb.d.ts"] = declarations()
    files["licenses.txt"] = licenses(sources).encode()
    if STATIC.is_dir():
        for path in sorted(p for p in STATIC.rglob("*") if p.is_file()):
            files[path.name] = path.read_bytes()
    return files


def fingerprint(debug: bool) -> str:
    """Names, sizes and dates of all that goes in: enough to see that nothing changed."""
    scripts = Path(__file__), Path(__file__).with_name("declarations.py")
    inputs = [*scripts, ROOT / "package-lock.json", ROOT / "tsconfig.json"]
    inputs += (p for folder in (SOURCES, STATIC) for p in sorted(folder.rglob("*")) if p.is_file())
    facts = [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in inputs]
    return hashlib.sha256(repr((debug, facts)).encode()).hexdigest()


def main(arguments: list[str]) -> None:
    if arguments not in ([], ["--debug"]):
        raise BuildError(f"got {' '.join(arguments)}; usage: python build/bundle.py [--debug]")
    if not ESBUILD.exists():
        raise BuildError("node_modules has no esbuild; run `make web`, which installs it")
    debug = bool(arguments)
    stamp, current = OUTPUT.with_suffix(".stamp"), fingerprint(debug)
    if (OUTPUT / "assets.json").is_file() and stamp.is_file() and stamp.read_text() == current:
        print("bundle: up to date")
        return
    files = bundle(debug)
    stamp.unlink(missing_ok=True)
    OUTPUT.mkdir(parents=True, exist_ok=True)
    names = {name: hashed(name, content) for name, content in files.items()}
    for name, content in files.items():
        write(OUTPUT / names[name], content)
    # The listing last: whoever reads it finds every file it names.
    listing = (json.dumps(names, indent=2, sort_keys=True) + "\n").encode()
    path = OUTPUT / "assets.json"
    if not path.is_file() or path.read_bytes() != listing:
        replace(path, listing)
        total = sum(map(len, files.values()))
        print(f"bundle: {len(files)} files, {total / 1000:.0f} KB")
    else:
        print("bundle: up to date")
    wanted = {path.name} | {n + s for n in names.values() for s in ("", ".br", ".gz")}
    for stale in OUTPUT.iterdir():
        if stale.name not in wanted:
            stale.unlink()
    stamp.write_text(current)


if __name__ == "__main__":
    raise SystemExit(run(main))
