"""A loopback hub that speaks the part of the Hugging Face API that slmweb uses, and misbehaves.

Model info, the tree listing and `resolve` with Range and a redirect to a content host, as the hub's
public API describes them; faults on demand. Refuses to know what is tested.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "c0ffee" * 6 + "c0de"


@dataclass
class FakeRepo:
    files: dict[str, bytes]
    license: str | None = "apache-2.0"
    gated: bool = False
    # Files at least this long are "large": listed with a SHA-256, and served by the content host.
    lfs_from: int = 1000


@dataclass
class FakeHub:
    """The running server, what was asked of it, and its faults."""

    url: str
    repos: dict[str, FakeRepo]
    token: str | None = None
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)  # method, path, Range
    authorized: list[tuple[str, bool]] = field(default_factory=list)
    break_after: dict[str, list[int]] = field(default_factory=dict)  # path -> bytes, one per answer
    lie: dict[str, bytes] = field(default_factory=dict)  # path -> other bytes than listed
    ignore_range: bool = False
    headers: dict[str, str] = field(default_factory=dict)  # of contents, beside the usual

    def ranges(self, path: str) -> list[str | None]:
        return [r for m, p, r in self.requests if m == "GET" and p == f"/content/{path}"]


class HubHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: FakeHub

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub, path = self.hub, unquote(urlsplit(self.path).path)
        hub.requests.append((self.command, path, self.headers.get("Range")))
        given = self.headers.get("Authorization")
        hub.authorized.append((path, given is not None))
        if given is not None and hub.token is not None and given != f"Bearer {hub.token}":
            self._error(401, None, "Invalid credentials in Authorization header")
        elif path == "/api/models":
            self._search(parse_qs(urlsplit(self.path).query)["search"][0])
        elif match := re.fullmatch(
            r"/api/models/([^/]+/[^/]+)/(?:revision|tree)/([^/]+).*|/api/models/([^/]+/[^/]+)", path
        ):
            self._api(match[1] or match[3], match[2], "/tree/" in path, given)
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._resolve(match[1], match[2], match[3], given)
        elif match := re.fullmatch(r"/content/([^/]+/[^/]+)/(.+)", path):
            data = hub.repos[match[1]].files.get(match[2])
            if data is None:
                self._error(404, None, "Not Found")
            else:
                self._content(f"{match[1]}/{match[2]}", data)
        else:
            self._error(404, None, "Not Found")

    def _repo(self, name: str, revision: str | None, given: str | None) -> FakeRepo | None:
        repo = self.hub.repos.get(name)
        if repo is None:
            # The hub does not tell strangers whether a repository exists.
            self._error(404 if given else 401, "RepoNotFound", "Repository not found")
        elif revision not in (None, "main", COMMIT):
            self._error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        else:
            return repo
        return None

    def _api(self, name: str, revision: str | None, tree: bool, given: str | None) -> None:
        repo = self._repo(name, revision, given)
        if repo is None:
            return
        if not tree:
            card = {"license": repo.license} if repo.license else {}
            siblings = [{"rfilename": file} for file in repo.files]
            gated = "manual" if repo.gated else False
            info: dict[str, Any] = {
                "id": name,
                "modelId": name,
                "sha": COMMIT,
                "tags": [],
                "gated": gated,
            }
            self._json(info | {"cardData": card, "siblings": siblings})
            return
        entries: list[dict[str, Any]] = []
        for file, data in repo.files.items():
            git = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
            entry: dict[str, Any] = {"type": "file", "path": file, "size": len(data), "oid": git}
            if len(data) >= repo.lfs_from:
                sha256 = hashlib.sha256(data).hexdigest()
                entry["lfs"] = {"oid": sha256, "size": len(data), "pointerSize": 134}
            entries.append(entry)
        self._json(entries)

    def _search(self, words: str) -> None:
        """What the hub says of a repository it knows from its config.json and its header."""
        self._json(
            [
                {
                    "id": name,
                    "downloads": 100,
                    "gated": "manual" if repo.gated else False,
                    "cardData": {"license": repo.license} if repo.license else {},
                    "config": json.loads(repo.files.get("config.json", b"{}")),
                    "safetensors": {"parameters": {"BF16": 7}, "total": 7},
                }
                for name, repo in self.hub.repos.items()
                if words in name
            ]
        )

    def _resolve(self, name: str, revision: str, file: str, given: str | None) -> None:
        repo = self._repo(name, revision, given)
        if repo is None:
            return
        if repo.gated and given is None:
            self._error(401, "GatedRepo", "Access to this model is restricted")
        elif repo.gated and given != f"Bearer {self.hub.token}-accepted":
            self._error(403, "GatedRepo", "You are not in the authorized list")
        elif file not in repo.files:
            self._error(404, "EntryNotFound", "Entry not found")
        elif len(repo.files[file]) >= repo.lfs_from:
            # Another host than the hub's own name: credentials must not follow there.
            port = urlsplit(self.hub.url).port
            self._empty(302, {"Location": f"http://localhost:{port}/content/{name}/{file}"})
        else:
            self._content(f"{name}/{file}", repo.files[file])

    def _content(self, path: str, data: bytes) -> None:
        data = self.hub.lie.get(path, data)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        tag = f'"{hashlib.sha256(data).hexdigest()[:8]}"'
        if self.hub.ignore_range or self.headers.get("If-Range", tag) != tag:
            asked = None
        start, total = int(asked[1]) if asked else 0, len(data)
        kind = "text/html" if data.startswith(b"<html") else "application/octet-stream"
        data = data[: int(asked[2]) + 1] if asked and asked[2] else data
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{total}")
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("ETag", tag)
        self.send_header("Content-Type", kind)
        for name, value in self.hub.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        breaks = None if asked and asked[2] else self.hub.break_after.get(path)
        if breaks:
            self.wfile.write(data[start : breaks.pop(0)])
            self.wfile.flush()
            self.close_connection = True
        else:
            self.wfile.write(data[start:])

    def _json(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self._empty(200, {"Content-Type": "application/json"}, body)

    def _error(self, status: int, code: str | None, message: str) -> None:
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self._empty(status, headers, json.dumps({"error": message}).encode())

    def _empty(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def serve_hub(
    repos: dict[str, FakeRepo], base: type[BaseHTTPRequestHandler] | None = None
) -> Iterator[FakeHub]:
    handler = type("Handler", (base or HubHandler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub = FakeHub(f"http://127.0.0.1:{server.server_port}", repos)
    handler.hub = hub  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
