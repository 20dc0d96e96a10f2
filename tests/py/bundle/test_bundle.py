"""What is in a bundled site: the server's own bytes, the same every time, or nothing."""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import shutil
import stat
import time
from pathlib import Path

import brotli
import pytest

from script import DIST
from slmweb.bundle.bundle import bundle
from slmweb.errors import SlmError
from slmweb.pack.pack import pack
from slmweb.pack.sign import generate_key, read_private_key, verify_signature
from slmweb.server.app import Folders
from slmweb.server.files import IMMUTABLE, REVALIDATE
from slmweb.server.headers import seal_headers
from slmweb.server.pages import PageCache
from slmweb.server.site import Site, make_site
from tests.py.cli.program import slmweb
from tests.py.support import running

NAME = "tiny-chat"


@pytest.fixture(scope="module")
def packed(qwen2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed") / NAME
    pack([qwen2], folder, chunk_size=65536)
    return folder


@pytest.fixture(scope="module")
def site(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "site"
    bundle([packed], folder)
    return folder


@pytest.fixture(scope="module")
def sealed() -> dict[str, str]:
    script_hash = PageCache(DIST / "web", DIST / "wasm").current_hash()
    assert script_hash is not None
    return {name.title(): value for name, value in seal_headers(script_hash).items()}


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file and folder with its mode and content."""
    return {
        path.relative_to(folder).as_posix(): (
            stat.S_IMODE(path.stat().st_mode),
            path.read_bytes() if path.is_file() else b"",
        )
        for path in folder.rglob("*")
    }


def test_the_same_input_gives_the_same_bytes(
    packed: Path, qwen2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "elsewhere" / "model.gguf"
    other.parent.mkdir()
    other.write_bytes(qwen2.read_bytes())
    bundle([packed, other], tmp_path / "first", site=Site(title="A title"), base_path="/~user/a/")
    monkeypatch.setattr(time, "time", lambda: 2e9)
    os.utime(other, (1e9, 1e9))
    before = os.umask(0o077)
    try:
        bundle(
            [packed, other], tmp_path / "b" / "c", site=Site(title="A title"), base_path="/~user/a/"
        )
    finally:
        os.umask(before)
    first, second = tree(tmp_path / "first"), tree(tmp_path / "b" / "c")
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
    assert (tmp_path / "b" / "c").stat().st_mode & 0o777 == 0o755
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["c"]


def test_the_server_sends_the_same_bytes_under_the_same_addresses(site: Path, packed: Path) -> None:
    kept = {"README.txt", "_headers", "404.html", "hosting/nginx.conf", "hosting/Caddyfile",
            "assets/assets.json"}  # fmt: skip
    files = [p.relative_to(site).as_posix() for p in site.rglob("*") if p.is_file()]
    with running(Folders(DIST / "web", DIST / "wasm", packed.parent)) as server:
        for name in files:
            if name in kept or name.endswith((".br", ".gz")):
                continue
            answer = server.request("/" + name.removesuffix("index.html"))
            assert (answer.status, answer.body) == (200, (site / name).read_bytes()), name


def test_every_file_that_the_service_worker_wants_is_there(site: Path) -> None:
    text = (site / "sw.js").read_text()
    described = json.loads(text.partition("const SITE = ")[2].partition(";\nimportScripts")[0])
    names = [file["path"] for file in described["files"]]
    assert names[0] == ""
    assert {f"wasm/{v}.wasm" for v in ("simd", "simd-mt", "relaxed", "relaxed-mt")} <= set(names)
    assert all((site / (name or "index.html")).is_file() for name in names)
    imported = re.search(r'importScripts\("(.+?)"\)', text)
    assert imported is not None
    assert (site / imported[1]).is_file()


def test_compressed_siblings_hold_the_same_bytes(site: Path) -> None:
    found = 0
    for path in site.rglob("*"):
        if path.suffix in (".br", ".gz"):
            unpack = brotli.decompress if path.suffix == ".br" else gzip.decompress
            assert unpack(path.read_bytes()) == path.with_suffix("").read_bytes(), path
            found += 1
    names = {path.name for path in site.rglob("*")}
    assert {"index.html.br", "sw.js.gz", "manifest.json.br", "relaxed-mt.wasm.br"} <= names
    assert found > 30


def test_headers_for_netlify_and_cloudflare(site: Path, sealed: dict[str, str]) -> None:
    rules: dict[str, dict[str, str]] = {}
    for line in (site / "_headers").read_text().splitlines():
        if line.startswith("/"):
            rule = rules.setdefault(line, {})
        elif line.startswith("  "):
            name, _, value = line.strip().partition(": ")
            rule[name] = value
            assert len(line) < 2000
    assert rules.pop("/*") == sealed
    assert all(rule == {"Cache-Control": IMMUTABLE} for rule in rules.values())
    # Rules that overlap in one header are joined by one host and not by the other.
    assert all((site / path.strip("/")).is_file() for path in rules)
    assert sum(path.startswith("/models/tiny-chat/") for path in rules) > 1
    assert len(rules) < 100


def test_headers_for_nginx(site: Path, sealed: dict[str, str]) -> None:
    text = (site / "hosting/nginx.conf").read_text()
    added = dict(re.findall(r'add_header ([A-Za-z-]+) "([^"]*)" always;', text))
    assert added == sealed
    assert_hashed(re.search(r'"~(\^.+?\$)" "(.+?)";', text), site)


def test_headers_for_caddy(site: Path, sealed: dict[str, str]) -> None:
    text = (site / "hosting/Caddyfile").read_text()
    block = text.partition("header {")[2].partition("}")[0]
    assert dict(re.findall(r'([A-Za-z-]+) "([^"]*)"', block)) == sealed
    pattern = r'@hashed path_regexp (\S+)\s+header @hashed Cache-Control "(.+?)"'
    assert_hashed(re.search(pattern, text), site)
    assert f'header @named Cache-Control "{REVALIDATE}"' in text


def assert_hashed(found: re.Match[str] | None, site: Path) -> None:
    """The pattern matches the names that carry a hash and no other."""
    assert found is not None
    pattern, value = found.groups()
    assert value == IMMUTABLE
    names = ["/" + path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()]
    names = [name for name in names if not name.endswith((".br", ".gz"))]
    matched = {name for name in names if re.search(pattern, name)}
    wanted = {n for n in names if re.search(r"-[0-9a-f]{16}\.[a-z]+$|/[0-9a-f]{64}$", n)}
    assert matched == wanted
    assert {"/sw.js", "/index.html", "/wasm/simd.wasm", "/assets/assets.json"} <= set(
        names
    ) - matched


def test_no_other_host_is_named(site: Path) -> None:
    for name in ("index.html", "404.html", "sw.js", "_headers", "README.txt",
                 "hosting/nginx.conf", "hosting/Caddyfile"):  # fmt: skip
        # Addresses of namespaces are never fetched.
        text = re.sub(r"http://www\.w3\.org/[A-Za-z0-9/]+", "", (site / name).read_text())
        text = re.sub(r"(?s)<iframe.*?</iframe>", "", text)  # the chat's own words and patterns
        assert re.findall(r"\w+://[^\s\"']+", text) == [], name


def test_title_and_base_path_are_where_they_belong(packed: Path, tmp_path: Path) -> None:
    bundle([packed], tmp_path / "site", site=Site(title="Löwe & <Co>"), base_path="/~user/site/")
    page = (tmp_path / "site/index.html").read_text()
    assert "<title>Löwe &amp; &lt;Co&gt;</title>" in page
    assert not re.search(r'(src|href|data-\w+)="/', page), "the page works at any path"
    missing = (tmp_path / "site/404.html").read_text()
    assert set(re.findall(r'href="(/[^"]*/)', missing)) == {"/~user/site/", "/~user/site/assets/"}
    assert (tmp_path / "site/_headers").read_text().count("\n/~user/site/*\n") == 1
    assert "location /~user/site/ {" in (tmp_path / "site/hosting/nginx.conf").read_text()
    assert "handle_path /~user/site/*" in (tmp_path / "site/hosting/Caddyfile").read_text()


def test_a_page_with_a_key_comes_with_models_signed_by_it(packed: Path, tmp_path: Path) -> None:
    public = generate_key(tmp_path / "release.key")
    with pytest.raises(SlmError, match="not signed"):
        bundle([packed], tmp_path / "site", public_key=public)
    assert not (tmp_path / "site").exists()
    bundle([packed], tmp_path / "site", key=read_private_key(tmp_path / "release.key"))
    assert f'data-public-key="{public.base64}"' in (tmp_path / "site/index.html").read_text()
    verify_signature(tmp_path / "site/models" / NAME, public)
    # A signed model is taken with its signature.
    bundle([tmp_path / "site/models" / NAME], tmp_path / "again", public_key=public)
    assert tree(tmp_path / "again") == tree(tmp_path / "site")


def test_the_command_packs_on_the_way_and_says_what_it_made(qwen2: Path, tmp_path: Path) -> None:
    out = tmp_path / "site"
    done = slmweb("bundle", str(qwen2), "-o", str(out), "--json")
    assert (done.returncode, done.stderr) == (0, b"")
    said = json.loads(done.stdout)
    assert (said["out"], said["models"]) == (str(out), [NAME])
    assert said["size"] == sum(p.stat().st_size for p in out.rglob("*") if p.is_file())
    (entry,) = json.loads((out / "models/index.json").read_text())
    assert (entry["name"], entry["manifest"]) == (NAME, f"{NAME}/manifest.json")
    assert slmweb("bundle", str(qwen2), "-o", str(out)).returncode == 0  # over itself


@pytest.mark.parametrize("command", ["bundle", "build"])
def test_a_command_that_is_advised_can_be_pasted(qwen2: Path, tmp_path: Path, command: str) -> None:
    out = tmp_path / "the clinic's; site"
    done = slmweb(command, str(qwen2), "-o", str(out))
    assert done.returncode == 0, done.stderr
    (advised,) = re.findall(r"try it with `(.*)`\n", done.stdout.decode())
    assert shlex.split(advised)[-2:] == ["--directory", str(out)]


def test_commands_in_errors_can_be_pasted_too(packed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a model"
    shutil.copytree(packed, folder)
    with pytest.raises(SlmError) as caught:
        verify_signature(folder, generate_key(tmp_path / "key"))
    (advised,) = re.findall(r"run `(.*)`", caught.value.message)
    assert shlex.split(advised) == ["slmweb", "sign", str(folder), "--key", "KEY"]
    done = slmweb("serve", "--models", str(tmp_path / "no such"))
    (advised,) = re.findall(r"`(.*)`", done.stderr.decode())
    assert shlex.split(advised)[-1] == str(tmp_path / "no such" / "NAME")


def test_a_folder_with_other_things_is_left_alone(packed: Path, site: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "thesis.tex").write_text("years of work")
    with pytest.raises(SlmError, match=r"thesis\.tex") as caught:
        bundle([packed], own)
    assert caught.value.exit_status == 2
    assert (own / "thesis.tex").read_text() == "years of work"
    (own / "thesis.tex").rename(tmp_path / "thesis.tex")
    bundle([packed], own)
    (own / "CNAME").write_text("x")
    with pytest.raises(SlmError, match="CNAME"):
        bundle([packed], own)
    with pytest.raises(SlmError, match="is a file"):
        bundle([packed], tmp_path / "thesis.tex")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_what_is_interrupted_leaves_the_old_site_whole(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    out = tmp_path / "site"
    bundle([packed], out, site=Site(title="old"))
    before = tree(out)
    write = Path.write_bytes

    def fail(self: Path, content: bytes) -> int:
        if self.name == "Caddyfile":
            raise error
        return write(self, content)

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises((KeyboardInterrupt, SlmError), match=r"^$|no space left on device"):
        bundle([packed], out, site=Site(title="new"))
    assert tree(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_a_damaged_model_is_found(packed: Path, tmp_path: Path) -> None:
    damaged = tmp_path / NAME
    damaged.mkdir()
    for path in packed.iterdir():
        (damaged / path.name).write_bytes(path.read_bytes())
    chunk = next(path for path in sorted(damaged.iterdir()) if len(path.name) == 64)
    chunk.write_bytes(bytes([chunk.read_bytes()[0] ^ 1]) + chunk.read_bytes()[1:])
    with pytest.raises(SlmError, match=chunk.name):
        bundle([damaged], tmp_path / "site")
    chunk.unlink()
    with pytest.raises(SlmError, match=f"cannot read .*{chunk.name}"):
        bundle([damaged], tmp_path / "site")
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize("base", ["", "site", "/site", "site/", "/a b/", "//x/", "/../", '/"/'])
def test_base_paths_that_no_server_has(packed: Path, tmp_path: Path, base: str) -> None:
    with pytest.raises(SlmError, match="base path"):
        bundle([packed], tmp_path / "site", base_path=base)


def test_models_that_cannot_be_together(packed: Path, qwen2: Path, tmp_path: Path) -> None:
    with pytest.raises(SlmError, match="another one already is"):
        bundle([packed, qwen2], tmp_path / "site")
    with pytest.raises(SlmError, match="there is no"):
        bundle([tmp_path / "gone.gguf"], tmp_path / "site")
    with pytest.raises(SlmError, match="name in use"):
        bundle([pack_as(qwen2, tmp_path / "p", "index.json")], tmp_path / "site")


def pack_as(model: Path, folder: Path, name: str) -> Path:
    pack([model], folder, name=name)
    return folder


def test_a_site_whose_guard_is_not_there_is_refused(packed: Path, tmp_path: Path) -> None:
    with pytest.raises(SlmError, match="the guard nobody is not among the models"):
        bundle([packed], tmp_path / "site", site=make_site(guard="nobody"))
    assert not (tmp_path / "site").exists()
