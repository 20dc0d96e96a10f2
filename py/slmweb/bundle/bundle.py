"""Makes the site: the page as the server renders it, the core, and packed models.

Owns which files a site has and what they are called. The same input gives the
same bytes in every file. How a page looks is the server's templates', what a
model is the packer's, and what web servers are told hosts.py's.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import brotli

from .. import paths
from ..errors import SlmError, os_reason
from ..pack.manifest import MANIFEST, Manifest, read_manifest
from ..pack.pack import default_name, pack
from ..pack.sign import SIGNATURE, PublicKey, public_key_of, sign, verify_signature
from ..server.identity import words
from ..server.models import MODEL_LIST, ModelFolder
from ..server.pages import FRAME_SCRIPTS, PageCache, hashed
from ..server.site import Site
from ..vision.encoder_file import encoder_beside
from .folder import check_replaceable, publish, work_folder
from .hosts import host_files

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

Progress = Callable[[int, int], None]  # bytes of models done, bytes in all

# Assets that have a place of their own: inside the page, and at the top.
_ELSEWHERE = (*FRAME_SCRIPTS.values(), "slmweb.js", "slmweb.d.ts")
_COMPRESSED = {".css", ".html", ".js", ".json", ".svg", ".txt", ".wasm", ".webmanifest"}
_BASE_PATH = re.compile(r"/((?!\.\.?/)[A-Za-z0-9._~-]+/)*")
_TOP = {"404.html", "README.txt", "_headers", "assets", "hosting", "index.html", "models",
        "slmweb.d.ts", "slmweb.js", "sw.js", "wasm"}  # fmt: skip
_SITE_NAMES = {name + suffix for name in _TOP for suffix in ("", ".br", ".gz")}


@dataclass(frozen=True)
class Bundle:
    """What was made: the folder, its models, how many files and bytes it has, and `notes`:
    sentences about what was left out."""

    out: Path
    models: tuple[Manifest, ...]
    files: int
    size: int
    notes: tuple[str, ...] = ()


def bundle(
    models: Sequence[Path],
    out: Path,
    *,
    site: Site | None = None,
    base_path: str = "/",
    public_key: PublicKey | None = None,
    key: Ed25519PrivateKey | None = None,
    web: Path | None = None,
    wasm: Path | None = None,
    progress: Progress = lambda done, total: None,
) -> Bundle:
    """Writes a folder of static files that any web server can offer.

    Each of `models` is a GGUF file, which is packed on the way, or a packed
    folder. `site` is what the page says of itself. `base_path` is the path at
    which the site will be reached; only the 404 page and the header files need it.
    With `public_key` the page opens only models that are signed with it, and others are
    refused here already; `key` is
    the private one, with which the models are signed first. A site that `out`
    holds already is replaced when the new one is whole.

    Raises SlmError: what `pack` and `read_manifest` raise, "corrupt" for a packed
    model that is damaged or not signed, "not_built", "invalid_argument" and "unwritable".
    """
    out = out.resolve()
    check_target(out, base_path)
    names = _names(models)
    if site is not None and site.guard is not None and site.guard.model not in names:
        raise SlmError(
            "invalid_argument",
            f"the guard {site.guard.model} is not among the models {', '.join(names)}, and without "
            "it the page opens none; name its GGUF file or packed folder as well",
        )
    if key is not None:
        public_key = public_key_of(key)
    pages = PageCache(
        web or paths.web_dir(),
        wasm or paths.wasm_dir(),
        site=site,
        base=base_path,
        public_key=public_key,
    )
    with work_folder(out) as work:
        folder = _Folder(work / "site", pages)
        folder.add_page()
        folder.add_wasm()
        manifests = folder.add_models(dict(zip(names, models, strict=True)), key, progress)
        folder.add_host_files(base_path)
        made = [path for path in folder.root.rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in made)
        publish(folder.root, out)
    return Bundle(out, manifests, len(made), size, tuple(folder.notes))


def check_target(out: Path, base_path: str) -> None:
    """Raises the SlmError that `bundle` would, for what can be known before any work."""
    if not _BASE_PATH.fullmatch(base_path):
        raise SlmError(
            "invalid_argument",
            f"the base path {base_path!r} is not a path of letters, digits and ._~- that begins "
            "and ends with a slash, as in /~user/site/",
        )
    check_replaceable(out, _SITE_NAMES, "sw.js")


def _names(models: Sequence[Path]) -> list[str]:
    names: list[str] = []
    for path in models:
        if not path.exists():
            raise SlmError("unreadable", f"there is no {path}; give a GGUF file or a packed folder")
        name = read_manifest(path).name if path.is_dir() else default_name(path)
        if name in names or name == Path(MODEL_LIST).name:
            raise SlmError(
                "invalid_argument",
                f"{path} would be the model {name!r}, "
                + ("as another one already is; " if name in names else "which is a name in use; ")
                + "pack it under another name with `slmweb pack --name`",
            )
        names.append(name)
    return names


class _Folder:
    """A site that is being written into `root`."""

    def __init__(self, root: Path, pages: PageCache) -> None:
        self.root = root
        self.pages = pages
        self.notes: list[str] = []

    def write(self, name: str, content: bytes, compressed_from: Path | None = None) -> None:
        """Writes a file and, where they are smaller, its compressed siblings.

        Siblings beside `compressed_from` are taken when they are this content's.
        """
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if path.suffix not in _COMPRESSED:
            return
        for suffix, compress, decompress in (
            (".br", brotli.compress, brotli.decompress),
            (".gz", lambda data: gzip.compress(data, mtime=0), gzip.decompress),
        ):
            packed = b""
            if compressed_from is not None:
                sibling = compressed_from.with_name(compressed_from.name + suffix)
                packed = sibling.read_bytes() if sibling.is_file() else b""
            if not packed or decompress(packed) != content:
                packed = compress(content)
            if len(packed) < len(content):
                path.with_name(path.name + suffix).write_bytes(packed)

    def add_page(self) -> None:
        index, worker = self.pages.index(), self.pages.service_worker()
        missing = words(self.pages.site.language)["missing"]
        self.write("index.html", index.body)
        self.write("404.html", self.pages.error(404, missing).encode())
        self.write("sw.js", worker.body)
        for name in "slmweb.js", "slmweb.d.ts":  # TypeScript looks for the types beside the script
            api = self.pages.web / self.pages.asset(name)
            self.write(name, _read(api), api)
        listing = json.loads(_read(self.pages.web / "assets.json"))
        kept = {name: file for name, file in sorted(listing.items()) if name not in _ELSEWHERE}
        for file in kept.values():
            source = self.pages.web / file
            self.write(f"assets/{file}", _read(source), source)
        for file, content in self.pages.made().items():
            self.write(f"assets/{file}", content)
        # Where slmweb.js looks up its workers.
        self.write("assets/assets.json", (json.dumps(kept, indent=1) + "\n").encode())

    def add_wasm(self) -> None:
        for variant in paths.VARIANTS:
            source = paths.wasm_file(variant, self.pages.wasm)
            self.write(f"wasm/{variant}.wasm", _read(source), source)

    def add_models(
        self, models: dict[str, Path], key: Ed25519PrivateKey | None, progress: Progress
    ) -> tuple[Manifest, ...]:
        folder = self.root / "models"
        folder.mkdir(parents=True)
        manifests: list[Manifest] = []
        sizes = {name: _size(path) for name, path in models.items()}
        total = sum(sizes.values())
        before = 0
        for name, path in models.items():

            def report(done: int, whole: int, at: int = before, size: int = sizes[name]) -> None:
                progress(at + done * size // max(1, whole), total)

            before += sizes[name]

            if path.is_dir():
                manifests.append(_copy(path, folder / name, report))
            else:

                def blind(reason: str, of: str = name) -> None:
                    self.notes.append(f"{of} is packed without its encoder of pictures: {reason}")

                manifests.append(
                    pack(
                        [path],
                        folder / name,
                        name=name,
                        encoder=encoder_beside(path),
                        or_without=blind,
                        progress=report,
                    )
                )
            if key is not None:
                sign(folder / name, key)
            if self.pages.public_key is not None:
                verify_signature(folder / name, self.pages.public_key)
            self.write(f"models/{name}/{MANIFEST}", _read(folder / name / MANIFEST))
        self.write(MODEL_LIST, ModelFolder(folder).listing())
        return tuple(manifests)

    def add_host_files(self, base: str) -> None:
        files = (path.relative_to(self.root).as_posix() for path in self.root.rglob("*"))
        # Assets are asked for at every visit, chunks once.
        immutable = sorted(name for name in files if _immutable(name))
        texts = host_files(
            self.pages.current_hash(), title=self.pages.site.name, base=base, immutable=immutable
        )
        for name, text in texts.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())


def _immutable(name: str) -> bool:
    """Whether a file's name is made from its content (and it is no compressed sibling)."""
    folder, _, file = name.rpartition("/")
    if folder == "assets":
        return hashed(file) and not file.endswith((".br", ".gz"))
    return re.fullmatch(r"models/[^/]+/[0-9a-f]{64}", name) is not None


def _size(model: Path) -> int:
    return read_manifest(model).size if model.is_dir() else model.stat().st_size


def _copy(source: Path, folder: Path, progress: Progress) -> Manifest:
    """Copies a packed model, reading every chunk as a browser would."""
    manifest = read_manifest(source)
    folder.mkdir()
    done = 0
    for chunk in (chunk for file in manifest.files for chunk in file.chunks):
        data = _read(source / chunk.sha256)
        if len(data) != chunk.size or hashlib.sha256(data).hexdigest() != chunk.sha256:
            raise SlmError(
                "corrupt",
                f"{source / chunk.sha256} does not hold what its name says; pack the model again",
            )
        (folder / chunk.sha256).write_bytes(data)
        done += len(data)
        progress(done, manifest.size)
    (folder / MANIFEST).write_bytes(_read(source / MANIFEST))
    if (source / SIGNATURE).is_file():
        (folder / SIGNATURE).write_bytes(_read(source / SIGNATURE))
    return manifest


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SlmError("unreadable", f"cannot read {path}: {os_reason(error)}") from None
