"""The Makefile as a person meets it: help, and a second `make demo` that serves at once."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
import urllib.request

from script import ROOT

# Promised for a second `make demo`, from the command to the page.
SECONDS = 3.0


def test_make_alone_prints_help() -> None:
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True)
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


def demo() -> tuple[float, str]:
    """Seconds from `make demo` to a page that was read, and what make said meanwhile."""
    port = free_port()
    start = time.monotonic()
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
        return time.monotonic() - start, said
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)
        process.stdout.close()


def test_second_demo_serves_at_once() -> None:
    """Everything is built by now: what is left is to notice that, and to serve."""
    took, said = demo()
    assert "smollm2" in said
    for _ in range(2):
        # It takes one second; when something else has the machine, look again.
        if took >= SECONDS:
            took, said = demo()
    assert "compiled" not in said
    assert took < SECONDS, said
