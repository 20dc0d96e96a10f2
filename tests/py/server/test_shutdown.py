"""How the server starts and ends: ports, signals, downloads under way."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from slmweb.errors import SlmError
from slmweb.server.run import bind, is_loopback, url_of
from tests.py.support import Site, add_model, make_folders, running

BIG = b"0123456789" * 6_000_000  # more than sockets buffer


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_success_and_no_words(tmp_path: Path, number: signal.Signals) -> None:
    with running(make_folders(tmp_path)) as site:
        assert site.request("/").status == 200
        site.process.send_signal(number)
        out, err = site.process.communicate(timeout=10)
        assert (site.process.returncode, out, err) == (0, "", "")


@contextlib.contextmanager
def download(site: Site, name: str) -> Iterator[http.client.HTTPResponse]:
    """A response whose first thousand bytes have been read."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=20)
    with contextlib.closing(connection):
        connection.request("GET", f"/models/big/{name}")
        with connection.getresponse() as response:
            assert len(response.read(1000)) == 1000
            yield response


@contextlib.contextmanager
def until_shutdown(site: Site) -> Iterator[None]:
    """Returns from the block's end when the shutdown has begun.

    A shutdown closes idle connections first, so one is opened and watched.
    """
    idle = http.client.HTTPConnection("127.0.0.1", site.port, timeout=20)
    with contextlib.closing(idle):
        idle.request("HEAD", "/models/index.json")
        idle.getresponse().read()
        yield
        assert idle.sock.recv(1) == b""


def test_a_download_under_way_is_finished_first(tmp_path: Path) -> None:
    folders = make_folders(tmp_path)
    (name,) = add_model(folders.models, "big", [BIG])
    with running(folders) as site:
        with download(site, name) as response:
            with until_shutdown(site):
                site.process.send_signal(signal.SIGTERM)
            body = response.read()
        site.process.communicate(timeout=10)
        assert site.process.returncode == 0
    assert body == BIG[1000:]


def test_a_download_that_does_not_end_is_given_up_after_the_grace(tmp_path: Path) -> None:
    folders = make_folders(tmp_path)
    (name,) = add_model(folders.models, "big", [BIG])
    with running(folders, grace=1) as site:
        with download(site, name):
            site.process.send_signal(signal.SIGTERM)
            _, err = site.process.communicate(timeout=10)
        assert site.process.returncode == 0
        assert "Traceback" not in err


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    folders = make_folders(tmp_path)
    (name,) = add_model(folders.models, "big", [BIG])
    with running(folders, grace=3600) as site:
        with download(site, name):
            with until_shutdown(site):
                site.process.send_signal(signal.SIGINT)
            site.process.send_signal(signal.SIGINT)
            _, err = site.process.communicate(timeout=10)
        assert site.process.returncode == 0
        assert "Traceback" not in err


def test_a_port_in_use_is_one_sentence_with_another_port() -> None:
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SlmError, match=rf"port {port} is in use .* --port \d+") as caught:
            bind("127.0.0.1", port)
    assert caught.value.code == "unavailable"


@pytest.mark.parametrize("host", ["203.0.113.7", "no such host", "a" * 300, "256.256.256.256"])
def test_an_address_that_is_not_ours_is_one_sentence(host: str) -> None:
    with pytest.raises(SlmError, match=r"127\.0\.0\.1"):
        bind(host, 0)


def test_loopback_is_told_from_the_world() -> None:
    with bind("127.0.0.1", 0) as listener:
        assert is_loopback(listener)
        assert url_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"
    with bind("0.0.0.0", 0) as listener:
        assert not is_loopback(listener)
        assert url_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"


def serve(*arguments: str, models: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "slmweb", "serve", "--models", str(models), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )


def test_the_command_says_where_and_what_it_serves(tmp_path: Path) -> None:
    folders = make_folders(tmp_path)
    process = serve("--port", "0", models=folders.models)
    assert process.stdout is not None
    line = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert line.startswith("slmweb serves tiny-model at http://127.0.0.1:")
    assert process.returncode == 0
    assert "other machines" not in err


def test_the_command_warns_when_others_can_connect(tmp_path: Path) -> None:
    process = serve("--port", "0", "--host", "0.0.0.0", "--json", models=tmp_path)
    assert process.stdout is not None
    line = process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=20)
    assert line.startswith('{"url": "http://127.0.0.1:')
    assert "other machines can reach this server" in err
    assert "no packed model" in err


def test_the_command_fails_on_a_port_in_use(tmp_path: Path) -> None:
    with bind("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        process = serve("--port", port, models=tmp_path)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (1, "")
    assert err.splitlines()[-1].startswith(f"slmweb: port {port} is in use")
