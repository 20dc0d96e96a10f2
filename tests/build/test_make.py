"""The Makefile as a person meets it: help, and a second `make demo` that serves at once."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import urllib.request

from script import ROOT


def test_make_alone_prints_help() -> None:
    done = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stdout.startswith("make demo ")
    rules = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    told = set(re.findall(r"^make ([a-z]+)", done.stdout, re.MULTILINE))
    assert told == rules - {"tools", "node"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def demo() -> str:
    """What `make demo` says until its page could be read."""
    port = free_port()
    process = subprocess.Popen(
        ["make", "demo", f"PORT={port}"], cwd=ROOT, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        said = ""
        for line in process.stdout:
            said += line
            if "slmweb serves" in line:
                break
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as response:
            assert "srcdoc" in response.read().decode()
        return said
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)
        process.stdout.close()


def test_second_demo_serves_at_once() -> None:
    """Everything is built by now: what is left is to notice that, and to serve. That
    takes a second; how long it takes on a busy machine is not for a test to judge."""
    said = demo()
    assert "smollm2" in said
    for work in ("compiled", "linking", "bundled", "fetch", "pip"):
        assert work not in said, said
