"""The engines under test behind one interface: slmweb, wllama and native llama.cpp.

An engine turns a Request into a Result and knows how its model is named (a path, a URL). Which
engines run, how often and in what order is not decided here.
"""

from __future__ import annotations

import json
import subprocess
from typing import Protocol, cast

from script import DIST, ROOT, BuildError

from . import environment
from .browser import Browser, Server
from .models import Model
from .shapes import Request, Result

NAMES = ("slmweb", "wllama", "native")


class Engine(Protocol):
    """Fails with a BuildError: one sentence, after which the other engines go on."""

    name: str

    def measure(self, model: Model, request: Request) -> Result: ...


class Native:
    """llama.cpp as llama-cpp-python builds it here: for this machine's own instructions."""

    name = "native"

    def __init__(self) -> None:
        environment.bench_python()

    def measure(self, model: Model, request: Request) -> Result:
        request = {**request, "model": str(model.path)}
        out = environment.run_module("native", "measure", stdin=json.dumps(request))
        return cast(Result, json.loads(out))


class Wllama:
    """llama.cpp compiled to wasm, without WebGPU."""

    name = "wllama"

    def __init__(self, browser: Browser) -> None:
        environment.install_packages("wllama")
        environment.bundle_page("wllama")
        self._browser = browser

    def measure(self, model: Model, request: Request) -> Result:
        url = f"/gguf/{model.path.name}"
        self._browser.server.files[url] = model.path
        request = {**request, "model": self._browser.server.url + url}
        result = cast(Result, self._browser.measure("wllama", request))
        result["version"] += f" in {self._browser.version}"
        return result


class Slmweb:
    """This project, from dist/."""

    name = "slmweb"

    def __init__(self, browser: Browser) -> None:
        environment.bundle_page("slmweb")
        self._browser = browser
        serve_slmweb(browser.server)
        self._version = git_version()

    def measure(self, model: Model, request: Request) -> Result:
        request = {**request, "model": serve_model(self._browser.server, model)}
        result = cast(Result, self._browser.measure("slmweb", request))
        result["version"] = f"{self._version} in {self._browser.version}"
        return result


def serve_slmweb(server: Server) -> None:
    """What pages/served.ts imports, and what that asks for."""
    missing = [path for path in ("wasm", "web") if not (DIST / path).is_dir()]
    if missing:
        raise BuildError(f"slmweb needs dist/{missing[0]}, which is missing; run `make wasm web`")
    server.folders["/assets/"] = DIST / "web"
    for path in (DIST / "wasm").glob("slm-*.wasm"):
        server.files[f"/wasm/{path.name.removeprefix('slm-')}"] = path


def serve_model(server: Server, model: Model) -> str:
    """The address of the packed model's manifest."""
    prefix = f"/models/{model.name}/"
    server.folders[prefix] = model.pack()
    return f"{server.url}{prefix}manifest.json"


def git_version() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"
