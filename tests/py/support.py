"""A small site on disk and the real server over it, in a process of its own.

The files are made up (a few bytes of script, chunks of seeded noise), so that
every byte that comes back can be told from every other.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from slmweb.pack.manifest import (
    Chunk,
    ContextMemory,
    Manifest,
    Memory,
    PackedFile,
    content_root,
)
from slmweb.server.app import Folders

# What shared documentation of the seal demands, word for word; {hash} is the
# sandbox script's.
SHELL_POLICY = (
    "default-src 'none'; script-src 'self' '{hash}' 'wasm-unsafe-eval'; "
    "worker-src 'self' blob: data:; connect-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; manifest-src 'self'; frame-src 'none'; form-action 'none'; "
    "base-uri 'none'; object-src 'none'"
)
SEAL = {
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "connection-allowlist": "(response-origin)",
}

FRAME_SCRIPT = "const a = '<b>' + \"&amp;\" && `äöü`;\nparent.postMessage(a, '*');\n"
NAME = "tiny-model"

_SERVE = """
import sys
from pathlib import Path
from slmweb.server.app import Folders, create_app
from slmweb.server.run import bind, run, url_of
web, wasm, models, grace = sys.argv[1:]
listener = bind("127.0.0.1", 0)
app = create_app(Folders(Path(web), Path(wasm), Path(models)))
run(app, listener, grace=int(grace), on_ready=lambda: print(url_of(listener), flush=True))
"""


@dataclass(frozen=True)
class Answer:
    """A response: header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Site:
    """The running server and the folders that it serves."""

    folders: Folders
    port: int
    process: subprocess.Popen[str]

    def request(
        self, path: str, method: str = "GET", headers: Mapping[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request(method, path, headers=dict(headers or {}))
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def chunk(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def add_model(models: Path, name: str, chunks: list[bytes]) -> list[str]:
    """Writes a packed model by hand; returns the chunks' names."""
    folder = models / name
    folder.mkdir(parents=True)
    names = [hashlib.sha256(data).hexdigest() for data in chunks]
    for digest, data in zip(names, chunks, strict=True):
        (folder / digest).write_bytes(data)
    whole = b"".join(chunks)
    chunk_list = tuple(Chunk(digest, len(data)) for digest, data in zip(names, chunks, strict=True))
    file = PackedFile("tiny.gguf", len(whole), hashlib.sha256(whole).hexdigest(), chunk_list)
    manifest = Manifest(
        name=name,
        title="A tiny model",
        version=None,
        architecture="llama",
        parameters=42,
        context_length=128,
        license="apache-2.0",
        license_url=None,
        source=None,
        chat_template=None,
        size=len(whole),
        memory=Memory(1, 128, (ContextMemory(128, 1),)),
        sampling={},
        root=content_root([file]),
        files=(file,),
    )
    (folder / "manifest.json").write_bytes(manifest.to_json())
    return names


def make_folders(root: Path) -> Folders:
    """A web bundle as build/bundle.py leaves it, two wasm variants, one model."""
    folders = Folders(root / "web", root / "wasm", root / "models")
    for folder in (folders.web, folders.wasm, folders.models):
        folder.mkdir(parents=True)
    sources = {
        "shell.js": "console.log('shell');\n" * 40,
        "early.js": "console.log('early');\n",
        "frame.js": FRAME_SCRIPT,
        "editor.js": "const editor = 1;\n",
        "inspect.js": "const inspect = 1;\n",
        "worker.js": "onmessage = () => 0;\n",
        "store.js": "onmessage = () => 1;\n",
        "sw.js": "onfetch = () => 2;\n",
        "slmweb.js": "export const SLM = 0;\n",
        "slmweb.d.ts": "export declare const SLM: 0;\n",
        "shell.css": "body { margin: 0; }\n",
        "icon.svg": '<svg xmlns="http://www.w3.org/2000/svg"/>\n',
    }
    names = {}
    for name, text in sources.items():
        stem, _, suffix = name.partition(".")
        names[name] = f"{stem}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.{suffix}"
        (folders.web / names[name]).write_text(text)
    # The content of these siblings is recognisable instead of compressed.
    (folders.web / (names["shell.js"] + ".br")).write_bytes(b"brotli sibling")
    (folders.web / (names["shell.js"] + ".gz")).write_bytes(b"gzip sibling")
    (folders.web / "assets.json").write_text(json.dumps(names))
    for variant in ("simd", "relaxed"):
        (folders.wasm / f"slm-{variant}.wasm").write_bytes(b"\0asm" + variant.encode())
    add_model(folders.models, NAME, [chunk(1, 100_000), chunk(2, 5_000)])
    return folders


@contextlib.contextmanager
def running(folders: Folders, grace: int = 10) -> Iterator[Site]:
    """The server in a process, killed at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, str(folders.web), str(folders.wasm), str(folders.models),
         str(grace)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stdout is not None
    site = Site(folders, 0, process)
    try:
        url = process.stdout.readline().strip()
        assert url, process.communicate()[1]
        site.port = urlsplit(url).port or 0
        yield site
    finally:
        site.stop()
