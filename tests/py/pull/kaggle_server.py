"""A loopback Kaggle that speaks the part of its API that slmweb uses: POST to a service's method,
JSON in camel case, and for contents a redirect to a storage host that takes ranges and states MD5.

After kagglesdk's own types; the models are those of the hub beside, "owner/variation" each.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.py.pull.hub_server import FakeHub, FakeRepo, HubHandler, serve_hub

VERSION = 3
PAGE = 4  # files in an answer, whatever is asked for


class _Handler(HubHandler):
    def do_POST(self) -> None:  # noqa: N802 (of http.server)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.hub.requests.append(("POST", self.path, None))
        given = self.headers.get("Authorization")
        name = f"{body['ownerSlug']}/{body['instanceSlug']}"
        repo = self.hub.repos.get(name)
        if repo is None or body["framework"] != "MODEL_FRAMEWORK_TRANSFORMERS":
            self._refuse(404, "Not found")
        elif self.hub.token is not None and given is None:
            self._refuse(401, "Unauthenticated")
        elif repo.gated:
            self._refuse(403, "Permission denied")
        else:
            method = self.path.removeprefix("/v1/models.ModelApiService/")
            {
                "GetModelInstance": self._instance,
                "ListModelInstanceVersionFiles": self._files,
                "DownloadModelInstanceVersion": self._redirect,
            }[method](name, repo, body)

    def _instance(self, name: str, repo: FakeRepo, body: dict[str, Any]) -> None:
        self._json({"versionNumber": VERSION, "licenseName": repo.license})

    def _files(self, name: str, repo: FakeRepo, body: dict[str, Any]) -> None:
        assert body["versionNumber"] in (1, VERSION)
        start = int(body.get("pageToken") or 0)
        date = "2026-01-02T03:04:05Z"
        files = [
            {"name": path, "size": len(data), "creationDate": date}
            for path, data in list(repo.files.items())[start : start + PAGE]
        ]
        more = str(start + PAGE) if start + PAGE < len(repo.files) else ""
        self._json({"files": files, "nextPageToken": more})

    def _redirect(self, name: str, repo: FakeRepo, body: dict[str, Any]) -> None:
        path = body["path"]
        stored = f"{path}.zip" if f"{path}.zip" in ZIPPED else path
        if stored != path:
            repo.files.setdefault(stored, ZIPPED[stored])
        md5 = b64encode(hashlib.md5(repo.files[stored], usedforsecurity=False).digest()).decode()
        self.hub.headers["x-goog-hash"] = f"crc32c=AAAAAA==,md5={md5}"
        self._empty(302, {"Location": f"{self.hub.url}/content/{name}/{stored}?signature=x"})

    def _refuse(self, status: int, message: str) -> None:
        self._empty(
            status,
            {"Content-Type": "application/json"},
            json.dumps({"code": status, "message": message}).encode(),
        )


# What the storage keeps as an archive of one file.
ZIPPED: dict[str, bytes] = {}


@contextmanager
def serve_kaggle(repos: dict[str, FakeRepo]) -> Iterator[FakeHub]:
    with serve_hub(repos, _Handler) as kaggle:
        yield kaggle
