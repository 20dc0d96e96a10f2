"""Sends one file over HTTP: validators, ranges, precompressed siblings.

Owns the parts of RFC 9110 that downloads depend on (If-None-Match, Range,
If-Range, Accept-Encoding, HEAD) and the rule that nothing outside the given
folder is ever opened. A response reads from the descriptor it was made with, so
a file that is replaced meanwhile can neither change nor mix the bytes under way.
Starlette's FileResponse opens by name after the headers are out, and answers
400 to range units that the RFC tells a server to ignore; hence this one.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

# Large enough that a thread hop per piece costs little, small enough that 500
# downloads at once hold 128 MiB.
PIECE = 256 * 1024

# The host's mime.types is not to be trusted with these: a wrong type breaks
# streaming compilation and module scripts.
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ts": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}

# How far apart in time a file and its compressed siblings may have been written.
SAME_BUILD_NS = 60 * 10**9

IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"

ENCODINGS = {"br": ".br", "gzip": ".gz"}  # in the order of preference


class OpenFile:
    """A regular file under `root`, open for reading.

    Raises FileNotFoundError when there is none, when it is no regular file or
    when a symbolic link leads out of `root`: to a visitor these are the same.
    """

    def __init__(self, root: Path, name: str) -> None:
        path = (root / name).resolve()
        if not path.is_relative_to(root.resolve()):
            raise FileNotFoundError(name)
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        status = os.fstat(self.fd)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise FileNotFoundError(name)
        self.size = status.st_size
        self.identity = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


_digests: dict[tuple[int, int, int, int], str] = {}


def content_digest(file: OpenFile) -> str:
    """SHA-256 (hex) of a small file; remembered until the file changes."""
    known = _digests.get(file.identity)
    if known is None:
        digest = hashlib.sha256()
        offset = 0
        while piece := os.pread(file.fd, PIECE, offset):
            digest.update(piece)
            offset += len(piece)
        known = _digests[file.identity] = digest.hexdigest()
    return known


class FileBody(StreamingResponse):
    """Bytes [start, stop) of an open file, which is closed at the end."""

    def __init__(
        self, file: OpenFile, start: int, stop: int, status: int, headers: dict[str, str]
    ) -> None:
        headers["content-length"] = str(stop - start)
        self.file = file
        super().__init__(self._pieces(start, stop), status_code=status, headers=headers)

    async def _pieces(self, start: int, stop: int) -> AsyncIterator[bytes]:
        while start < stop:
            want = min(PIECE, stop - start)
            piece = await anyio.to_thread.run_sync(os.pread, self.file.fd, want, start)
            if not piece:
                # The length is already promised: breaking the connection is
                # the only honest way to say that bytes are missing.
                raise RuntimeError(f"file ended at {start} instead of {stop}")
            start += len(piece)
            yield piece

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.file.close()


def send_file(
    request: Request,
    root: Path,
    name: str,
    *,
    cache_control: str,
    etag: str | None = None,
    precompressed: bool = False,
) -> Response:
    """The response to a GET or HEAD request for `root`/`name`.

    `etag` is the entity tag without quotes (by default the content's hash).
    With `precompressed`, `name`.br and `name`.gz are sent instead where the
    client accepts them and they are of the same build.
    Raises FileNotFoundError, see OpenFile.
    """
    file = OpenFile(root, name)
    try:
        headers = {
            "content-type": MEDIA_TYPES.get(Path(name).suffix, "application/octet-stream"),
            "cache-control": cache_control,
            "accept-ranges": "bytes",
        }
        tag = etag or content_digest(file)
        # A range is a part of the plain file: resuming a download must not
        # depend on which coding the first half happened to arrive in.
        byte_range = request.headers.get("range") if request.method == "GET" else None
        if precompressed:
            headers["vary"] = "Accept-Encoding"
            if byte_range is None:
                accepted = request.headers.get("accept-encoding", "")
                coding, file = _precompressed(root, name, file, accepted)
                if coding:
                    headers["content-encoding"] = coding
                    tag = f"{tag}-{coding}"
        headers["etag"] = f'"{tag}"'

        if etag_matches(request.headers.get("if-none-match"), headers["etag"]):
            file.close()
            del headers["content-type"], headers["accept-ranges"]
            return Response(status_code=304, headers=headers)
        if request.method == "HEAD":
            headers["content-length"] = str(file.size)
            file.close()
            return Response(headers=headers)
        if byte_range and request.headers.get("if-range", headers["etag"]) == headers["etag"]:
            span = parse_range(byte_range, file.size)
            if span is not None and span[0] >= span[1]:
                file.close()
                return _not_satisfiable(headers, file.size)
            if span is not None:
                headers["content-range"] = f"bytes {span[0]}-{span[1] - 1}/{file.size}"
                return FileBody(file, *span, 206, headers)
        return FileBody(file, 0, file.size, 200, headers)
    except BaseException:
        file.close()
        raise


def _not_satisfiable(headers: dict[str, str], size: int) -> Response:
    return Response(
        f"the file has {size} bytes and the range lies beyond them; ask for less\n",
        status_code=416,
        headers={"content-range": f"bytes */{size}", "etag": headers["etag"]},
        media_type="text/plain",
    )


def _precompressed(
    root: Path, name: str, plain: OpenFile, accept_encoding: str
) -> tuple[str | None, OpenFile]:
    """The best coding that the client accepts and that lies beside the file, and its file."""
    for coding in accepted_codings(accept_encoding):
        try:
            sibling = OpenFile(root, name + ENCODINGS[coding])
        except OSError:
            continue
        # A sibling from an earlier build would be another file's content.
        # Builds and installers write the two in either order.
        if sibling.identity[2] > plain.identity[2] - SAME_BUILD_NS:
            plain.close()
            return coding, sibling
        sibling.close()
    return None, plain


def accepted_codings(accept_encoding: str) -> Sequence[str]:
    """The codings that we can send and the header allows, the client's favourite first."""
    quality: dict[str, float] = {}
    for item in accept_encoding.split(","):
        coding, *parameters = (part.strip().lower() for part in item.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = float(parameter[2:])
                except ValueError:
                    weight = 0.0
        quality[coding] = weight
    star = quality.get("*", 0.0)
    weights = {coding: quality.get(coding, star) for coding in ENCODINGS}
    return sorted((c for c, w in weights.items() if w > 0), key=lambda c: -weights[c])


def etag_matches(if_none_match: str | None, etag: str) -> bool:
    """Whether the If-None-Match header names `etag` (weak comparison) or is "*"."""
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or etag in tags


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """The span [start, stop) that a Range header asks of a file of `size` bytes.

    None where the RFC lets or tells us to ignore the header: another unit, bad
    syntax, several ranges. An empty span (start >= stop) cannot be satisfied.
    """
    match = re.fullmatch(r"bytes\s*=\s*([0-9]{0,18})\s*-\s*([0-9]{0,18})", header.strip(), re.I)
    if match is None or match.group(0).endswith("=-"):
        return None
    first, last = match.groups()
    if not first and not last:
        return None
    if not first:  # the last n bytes
        return max(0, size - int(last)), size
    if last and int(last) < int(first):
        return None
    return int(first), min(size, int(last) + 1) if last else size
