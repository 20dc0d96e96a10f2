"""Names that the server answers to, over real sockets: a page elsewhere whose name resolves to
this machine reads nothing."""

from __future__ import annotations

import http.client
import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from slmweb.errors import SlmError
from slmweb.server.app import create_app
from slmweb.server.hosts import check_name
from tests.py.support import NAME, SEAL, Site, make_folders

MANIFEST = f"/models/{NAME}/manifest.json"


def ask(site: Site, host: str | None, path: str = MANIFEST) -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)
    connection.putrequest("GET", path, skip_host=True)
    if host is not None:
        connection.putheader("Host", host)
    connection.endheaders()
    response = connection.getresponse()
    headers = {name.lower(): value for name, value in response.getheaders()}
    answer = response.status, response.read().decode(errors="replace"), headers
    connection.close()
    return answer


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8000", "localhost:1", "LOCALHOST", "[::1]:8000", "a.localhost"]
)
def test_names_of_this_machine_are_answered(site: Site, host: str) -> None:
    assert ask(site, host)[0] == 200


@pytest.mark.parametrize(
    "host",
    ["evil.test", "evil.test:8000", "localhost.evil.test", "evillocalhost", "127.0.0.1.evil.test",
     "192.168.0.7", "[::2]", "", "a b"],
)  # fmt: skip
@pytest.mark.parametrize("path", [MANIFEST, "/", "/sw.js", "/nothing"])
def test_other_names_read_nothing_and_hear_what_to_do(site: Site, host: str, path: str) -> None:
    status, text, headers = ask(site, host, path)
    assert status == 400
    assert text.count("\n") <= 1
    assert NAME not in text
    if " " not in host:  # what is no header at all, the HTTP parser refuses
        assert "--allowed-host" in text
        assert repr(host) in text
    assert headers.items() >= SEAL.items()


def test_names_can_be_allowed(tmp_path: Path) -> None:
    app = create_app(make_folders(tmp_path), None, ["clinic.test", "*.clinic.test", "fe80::1"])
    for host in ("clinic.test", "a.clinic.test:80", "[fe80::1]:80", "localhost"):
        assert TestClient(app).get(MANIFEST, headers={"Host": host}).status_code == 200, host
    assert TestClient(app).get(MANIFEST, headers={"Host": "xclinic.test"}).status_code == 400
    everybody = create_app(make_folders(tmp_path / "2"), None, ["*"])
    assert TestClient(everybody).get(MANIFEST, headers={"Host": "evil.test"}).status_code == 200


@pytest.mark.parametrize("name", ["http://a.test", "a.test:80", "a.test/", "a*.test", "", "a b"])
def test_what_can_be_no_name_is_refused(name: str) -> None:
    with pytest.raises(SlmError, match="is not the name of a host") as caught:
        check_name(name)
    assert caught.value.code == "invalid_argument"


@pytest.mark.parametrize("path", ["/", "/sw.js", "{shell.js}"])
@pytest.mark.parametrize(
    ("accepted", "coding"),
    [("gzip;q=0", None), ("gzip;q=0, identity", None), ("*;q=0", None), ("gzip;q=0.5", "gzip"),
     ("GZIP", "gzip"), ("xgzip", None), ("", None)],
)  # fmt: skip
def test_a_coding_that_is_refused_is_not_sent(
    site: Site, path: str, accepted: str, coding: str | None
) -> None:
    if path.startswith("{"):
        names = json.loads((site.folders.web / "assets.json").read_text())
        path = f"/assets/{names['shell.js']}"
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)
    connection.request("GET", path, headers={"Accept-Encoding": accepted})
    response = connection.getresponse()
    assert response.status == 200
    assert response.getheader("Content-Encoding") == coding
    response.read()
    connection.close()
