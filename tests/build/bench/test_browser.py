"""The benchmark's server: threads need its headers, and it serves only what it was given."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from bench.browser import Server


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server
        server.shutdown()


def get(server: Server, path: str, method: str = "GET") -> tuple[int, bytes, dict[str, str]]:
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request(method, path)
    response = connection.getresponse()
    answer = response.status, response.read(), dict(response.getheaders())
    connection.close()
    return answer


def test_pages_are_cross_origin_isolated(server: Server) -> None:
    status, body, headers = get(server, "/wllama")
    assert (status, b'src="/pages/wllama.js"' in body) == (200, True)
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"


def test_files_are_served_whole_and_nothing_outside_them(server: Server, tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "a.json").write_bytes(b"{}")
    (tmp_path / "secret").write_bytes(b"secret")
    server.folders["/open/"] = tmp_path / "open"
    server.files["/one.wasm"] = tmp_path / "open" / "a.json"
    status, body, headers = get(server, "/open/a.json")
    assert (status, body, headers["Content-Type"]) == (200, b"{}", "application/json")
    assert get(server, "/one.wasm")[:2] == (200, b"{}")
    assert get(server, "/open/a.json", "HEAD")[:2] == (200, b"")
    for path in ("/open/../secret", "/open/b.json", "/open/", "/"):
        assert get(server, path)[0] == 404
