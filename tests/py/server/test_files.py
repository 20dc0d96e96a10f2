"""What HTTP promises about files: types, validators, ranges, codings, and what may not be read."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import random
import time
from pathlib import Path

import pytest

from slmweb.pack.sign import generate_key, read_private_key, sign
from slmweb.server.files import accepted_codings, parse_range
from slmweb.server.pages import PageCache
from tests.py.support import NAME, Site, add_model, chunk, make_folders, running

FIRST = chunk(1, 100_000)  # the first chunk of the site's model


def chunk_path(data: bytes = FIRST) -> str:
    return f"/models/{NAME}/{hashlib.sha256(data).hexdigest()}"


def asset(site: Site, name: str) -> str:
    names: dict[str, str] = json.loads((site.folders.web / "assets.json").read_text())
    return f"/assets/{names[name]}"


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("shell.js", "text/javascript; charset=utf-8"),
        ("worker.js", "text/javascript; charset=utf-8"),
        ("shell.css", "text/css; charset=utf-8"),
    ],
)
def test_assets_have_their_type_and_never_expire(site: Site, name: str, media_type: str) -> None:
    answer = site.request(asset(site, name))
    assert answer.headers["content-type"] == media_type
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


def test_what_keeps_its_name_is_asked_for_again(site: Site) -> None:
    for path in (
        "/",
        "/slmweb.js",
        "/slmweb.d.ts",
        "/assets/assets.json",
        "/wasm/simd.wasm",
        "/sw.js",
        "/models/index.json",
    ):
        assert site.request(path).headers["cache-control"] == "no-cache", path


def test_wasm_has_the_type_that_streaming_compilation_asks_for(site: Site) -> None:
    answer = site.request("/wasm/relaxed.wasm")
    assert answer.headers["content-type"] == "application/wasm"
    assert answer.body == b"\0asmrelaxed"


def test_the_model_list_has_what_the_page_shows(site: Site) -> None:
    (entry,) = json.loads(site.request("/models/index.json").body)
    assert entry["name"] == NAME
    assert entry["title"] == "A tiny model"
    assert (entry["architecture"], entry["parameters"], entry["size"]) == ("llama", 42, 105_000)
    assert (entry["license"], entry["license_url"], entry["source"]) == ("apache-2.0", None, None)
    assert (entry["version"], entry["signed"]) == (None, False)
    manifest = site.request(f"/models/{entry['manifest']}")
    assert manifest.status == 200
    assert entry["root"] == json.loads(manifest.body)["root"]


def test_a_signature_is_served_beside_its_manifest(tmp_path: Path) -> None:
    generate_key(tmp_path / "release.key")
    with running(make_folders(tmp_path)) as site:
        address = f"/models/{NAME}/manifest.json.sig"
        missing = site.request(address)
        assert (missing.status, "slmweb sign" in missing.text) == (404, True)
        sign(site.folders.models / NAME, read_private_key(tmp_path / "release.key"))
        signature = site.request(address)
        assert signature.status == 200
        assert signature.body == (site.folders.models / NAME / "manifest.json.sig").read_bytes()
        assert (
            signature.headers["cache-control"]
            == site.request(f"/models/{NAME}/manifest.json").headers["cache-control"]
        )
        (entry,) = json.loads(site.request("/models/index.json").body)
        assert entry["signed"]
        assert site.request("/models/other/manifest.json.sig").status == 404


def test_the_page_is_told_the_key(tmp_path: Path) -> None:
    folders = make_folders(tmp_path)
    key = generate_key(tmp_path / "release.key")
    plain = PageCache(folders.web, folders.wasm).index()
    keyed = PageCache(folders.web, folders.wasm, public_key=key).index()
    assert b"data-public-key" not in plain.body
    assert f' data-public-key="{key.base64}">'.encode() in keyed.body


def test_a_model_added_while_the_server_runs_is_listed(tmp_path: Path) -> None:
    with running(make_folders(tmp_path)) as site:
        assert len(json.loads(site.request("/models/index.json").body)) == 1
        add_model(site.folders.models, "another", [b"x"])
        broken = site.folders.models / "broken"
        broken.mkdir()
        (broken / "manifest.json").write_text('{"schema": 1')
        listed = json.loads(site.request("/models/index.json").body)
    assert [entry["name"] for entry in listed] == ["another", NAME]


@pytest.mark.parametrize("path", ["/", "/slmweb.js", "/wasm/simd.wasm", chunk_path()])
def test_etags_save_the_second_download(site: Site, path: str) -> None:
    etag = site.request(path).headers["etag"]
    assert etag.startswith('"')
    for known in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        again = site.request(path, headers={"If-None-Match": known})
        assert (again.status, again.body) == (304, b"")
        assert again.headers["etag"] == etag
    assert site.request(path, headers={"If-None-Match": '"other"'}).status == 200


@pytest.mark.parametrize("path", ["/", "/slmweb.js", "/models/index.json", chunk_path()])
def test_head_says_what_get_would(site: Site, path: str) -> None:
    head, get = site.request(path, "HEAD"), site.request(path)
    assert head.body == b""
    for name in ("content-length", "content-type", "etag", "cache-control"):
        assert head.headers[name] == get.headers[name], name
    assert int(get.headers["content-length"]) == len(get.body)


RANGES = {
    "bytes=0-0": FIRST[:1],
    "bytes=0-99": FIRST[:100],
    "bytes=99990-": FIRST[99990:],
    "bytes=99990-200000": FIRST[99990:],
    "bytes=-7": FIRST[-7:],
    "bytes=-200000": FIRST,
    "BYTES = 5 - 9": FIRST[5:10],
}


@pytest.mark.parametrize("header", RANGES)
def test_a_range_is_exactly_those_bytes(site: Site, header: str) -> None:
    answer = site.request(chunk_path(), headers={"Range": header})
    wanted = RANGES[header]
    start = FIRST.index(wanted)
    assert answer.status == 206
    assert answer.body == wanted
    assert answer.headers["content-range"] == f"bytes {start}-{start + len(wanted) - 1}/100000"
    assert answer.headers["content-length"] == str(len(wanted))


@pytest.mark.parametrize("header", ["bytes=100000-", "bytes=500000-600000", "bytes=-0"])
def test_a_range_beyond_the_file_is_416_with_its_size(site: Site, header: str) -> None:
    answer = site.request(chunk_path(), headers={"Range": header})
    assert answer.status == 416
    assert answer.headers["content-range"] == "bytes */100000"


@pytest.mark.parametrize(
    "header",
    ["lines=1-2", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=9-5", "bytes=0-1,5-6",
     "bytes=" + "9" * 30 + "-", "bytes=1.5-2", "bytes=--5"],
)  # fmt: skip
def test_a_range_that_makes_no_sense_is_ignored(site: Site, header: str) -> None:
    answer = site.request(chunk_path(), headers={"Range": header})
    assert (answer.status, answer.body) == (200, FIRST)


def test_if_range_resumes_only_the_same_file(site: Site) -> None:
    etag = site.request(chunk_path(), "HEAD").headers["etag"]
    resume = {"Range": "bytes=90000-"}
    same = site.request(chunk_path(), headers={**resume, "If-Range": etag})
    assert (same.status, same.body) == (206, FIRST[90000:])
    for other in ('"other"', f"W/{etag}", "Sun, 06 Nov 1994 08:49:37 GMT"):
        answer = site.request(chunk_path(), headers={**resume, "If-Range": other})
        assert (answer.status, answer.body) == (200, FIRST)


def test_ranges_agree_with_slicing() -> None:
    noise = random.Random(7)
    for _ in range(2000):
        size, a, b = noise.randrange(20), noise.randrange(25), noise.randrange(25)
        data = bytes(range(size))
        span = parse_range(f"bytes={a}-{b}", size)
        if b < a:
            assert span is None
        else:
            assert span is not None
            assert data[span[0] : span[1]] == data[a : b + 1]
            assert (span[0] >= span[1]) == (a >= size)
        tail = parse_range(f"bytes=-{b}", size)
        assert tail is not None
        assert data[tail[0] : tail[1]] == (data[-b:] if b else b"")


@pytest.mark.parametrize(
    ("accept", "coding", "body"),
    [
        ("br", "br", b"brotli sibling"),
        ("gzip", "gzip", b"gzip sibling"),
        ("gzip, br", "br", b"brotli sibling"),
        ("gzip, deflate, br, zstd", "br", b"brotli sibling"),
        ("br;q=0.1, gzip;q=0.9", "gzip", b"gzip sibling"),
        ("*", "br", b"brotli sibling"),
        ("br;q=0, *", "gzip", b"gzip sibling"),
    ],
)
def test_precompressed_siblings_are_sent_where_accepted(
    site: Site, accept: str, coding: str, body: bytes
) -> None:
    answer = site.request(asset(site, "shell.js"), headers={"Accept-Encoding": accept})
    assert answer.headers["content-encoding"] == coding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.body == body


@pytest.mark.parametrize("accept", ["", "identity", "zstd", "br;q=0, gzip;q=0", "gzip;q=nonsense"])
def test_the_plain_file_is_sent_otherwise(site: Site, accept: str) -> None:
    answer = site.request(asset(site, "shell.js"), headers={"Accept-Encoding": accept})
    assert "content-encoding" not in answer.headers
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.body.startswith(b"console.log('shell')")


def test_codings_have_entity_tags_of_their_own(site: Site) -> None:
    path = asset(site, "shell.js")
    tags = {site.request(path, headers={"Accept-Encoding": a}).headers["etag"]
            for a in ("br", "gzip", "identity")}  # fmt: skip
    assert len(tags) == 3


def test_a_range_is_of_the_plain_file(site: Site) -> None:
    headers = {"Accept-Encoding": "br", "Range": "bytes=0-10"}
    answer = site.request(asset(site, "shell.js"), headers=headers)
    assert (answer.status, answer.body) == (206, b"console.log")


def test_the_order_in_which_a_build_writes_does_not_matter(tmp_path: Path) -> None:
    folders = make_folders(tmp_path)
    sibling = folders.wasm / "slm-simd.wasm.br"
    sibling.write_bytes(b"written first")
    moment_ago = (folders.wasm / "slm-simd.wasm").stat().st_mtime - 2
    os.utime(sibling, (moment_ago, moment_ago))
    with running(folders) as site:
        answer = site.request("/wasm/simd.wasm", headers={"Accept-Encoding": "br"})
    assert answer.body == b"written first"


def test_a_sibling_of_an_older_build_is_not_sent(tmp_path: Path) -> None:
    folders = make_folders(tmp_path)
    plain = folders.wasm / "slm-simd.wasm"
    sibling = folders.wasm / "slm-simd.wasm.br"
    sibling.write_bytes(b"of yesterday")
    yesterday = plain.stat().st_mtime - 86400
    os.utime(sibling, (yesterday, yesterday))
    with running(folders) as site:
        answer = site.request("/wasm/simd.wasm", headers={"Accept-Encoding": "br"})
    assert answer.body == b"\0asmsimd"


def test_codings_that_we_do_not_have_are_never_chosen() -> None:
    assert list(accepted_codings("zstd, deflate")) == []
    assert list(accepted_codings("gzip;q=0.5, br;q=0.5")) == ["br", "gzip"]


TRAVERSALS = [
    "/assets/../secret.txt",
    "/assets/..%2fsecret.txt",
    "/assets/%2e%2e/secret.txt",
    "/assets/%2e%2e%2fsecret.txt",
    "/assets/..%5csecret.txt",
    "/assets/%252e%252e%252fsecret.txt",
    "/assets//etc/passwd",
    "/assets/%2fetc%2fpasswd",
    "/assets/link.txt",
    "/assets/.hidden",
    "/assets/shell.js%00.txt",
    "/wasm/../../secret.txt",
    "/wasm/..%2f..%2fsecret.wasm",
    "/wasm/%2fetc%2fpasswd.wasm",
    "/models/../secret.txt",
    "/models/..%2f/manifest.json",
    "/models/%2e%2e/manifest.json",
    "/models/linked/manifest.json",
    f"/models/{NAME}/../../secret.txt",
    f"/models/{NAME}/..%2f..%2fsecret.txt",
    f"/models/{NAME}/{'a' * 64}",
    "//etc/passwd",
    "/..//..//..//etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/assets/" + "a" * 5000,
    "/models/" + "a" * 5000 + "/manifest.json",
]


@pytest.fixture(scope="module")
def trap(tmp_path_factory: pytest.TempPathFactory) -> contextlib.AbstractContextManager[Site]:
    """A site with a secret beside it and symbolic links that lead out to it."""
    root = tmp_path_factory.mktemp("trap")
    folders = make_folders(root)
    (root / "secret.txt").write_text("SECRET")
    (root / "secret.wasm").write_text("SECRET")
    (root / "outside").mkdir()
    (root / "outside" / "manifest.json").write_text('{"name": "SECRET"}')
    (folders.web / ".hidden").write_text("SECRET")
    (folders.web / "link.txt").symlink_to(root / "secret.txt")
    (folders.models / "linked").symlink_to(root / "outside")
    (folders.models / NAME / ("a" * 64)).symlink_to(root / "secret.txt")
    return running(folders)


def test_nothing_outside_the_folders_is_ever_sent(
    trap: contextlib.AbstractContextManager[Site],
) -> None:
    with trap as site:
        for path in TRAVERSALS:
            answer = site.request(path)
            assert answer.status == 404, path
            assert b"SECRET" not in answer.body, path
            assert b"root:" not in answer.body, path


def test_folders_and_pipes_are_not_files(tmp_path: Path) -> None:
    folders = make_folders(tmp_path)
    (folders.models / NAME / ("b" * 64)).mkdir()
    os.mkfifo(folders.models / NAME / ("c" * 64))
    with running(folders) as site:
        assert site.request(f"/models/{NAME}/{'b' * 64}").status == 404
        assert site.request(f"/models/{NAME}/{'c' * 64}").status == 404


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/chat", ["/chat", " models/index.json"]),
        ("/assets/shell-0123456789abcdef.js", ["reload"]),
        ("/wasm/sse2.wasm", ["sse2.wasm", "relaxed.wasm"]),
        ("/wasm/simd-mt.wasm", ["simd-mt", "make wasm"]),
        ("/models/gpt5/manifest.json", ["gpt5", NAME]),
        (f"/models/{NAME}/{'0' * 64}", ["SHA-256", "manifest.json"]),
        (f"/models/{NAME}/part1", ["part1", "SHA-256"]),
    ],
)
def test_a_404_explains_in_one_sentence(site: Site, path: str, words: list[str]) -> None:
    answer = site.request(path)
    assert answer.status == 404
    assert answer.text.count("\n") == 1
    for word in words:
        assert word in answer.text
    page = site.request(path, headers={"Accept": "text/html,*/*"})
    assert page.headers["content-type"].startswith("text/html")
    assert words[0] in page.text


def test_a_chunk_replaced_under_a_download_is_never_mixed(tmp_path: Path) -> None:
    old = b"a" * 20_000_000
    folders = make_folders(tmp_path)
    (name,) = add_model(folders.models, "big", [old])
    path = folders.models / "big" / name
    with running(folders) as site:
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", f"/models/big/{name}")
            response = connection.getresponse()
            body = response.read(1000)
            other = path.with_suffix(".new")
            other.write_bytes(b"b" * len(old))
            other.replace(path)
            body += response.read()
    assert body == old


def test_a_file_cut_short_under_a_download_breaks_the_connection(tmp_path: Path) -> None:
    folders = make_folders(tmp_path)
    (name,) = add_model(folders.models, "big", [b"a" * 40_000_000])
    with running(folders) as site:
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", f"/models/big/{name}")
            response = connection.getresponse()
            response.read(1000)
            os.truncate(folders.models / "big" / name, 100)
            # What is missing is noticed; it is never replaced by other bytes.
            with pytest.raises(http.client.IncompleteRead):
                response.read()
        assert site.request("/models/index.json").status == 200


def test_the_page_is_there_at_once(site: Site) -> None:
    site.request("/")
    start = time.perf_counter()
    for _ in range(20):
        assert site.request("/", headers={"Accept-Encoding": "gzip"}).status == 200
    assert time.perf_counter() - start < 5, "a page is rendered and compressed once, not each time"
