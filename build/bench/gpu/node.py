"""Processes of Node that measure on Dawn, and which device they get.

Owns the way to a device: the system's own GPU where there is one, else the one that Chromium
emulates; its name; and the folder where the driver keeps what it has compiled, so that a cold start
is one. measure.ts answers; nothing is computed here.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from script import DIST, ROOT, BuildError
from tests import dawn

from ..environment import call

HERE = ROOT / "build" / "bench" / "gpu"
TIMEOUT_S = 1800  # of one process; an emulated device is slow

# Chromium's own kernels are not what is measured: on an emulated device nine tenths of what is
# compiled would clear workgroup memory, which no kernel relies on.
_EMULATED = ("enable-dawn-features=disable_workgroup_init",)
# Timestamps are else rounded to a tenth of a millisecond, which is several dispatches.
_EXACT = ("disable-dawn-features=timestamp_quantization",)

# Where drivers keep compiled shaders between processes.
_CACHES = ("MESA_SHADER_CACHE_DIR", "__GL_SHADER_DISK_CACHE_PATH", "AMD_SHADER_DISK_CACHE_PATH")


@dataclass(frozen=True)
class Device:
    """`adapter` is as in web/src/api/backend.ts."""

    adapter: dict[str, str]
    software: bool
    timestamps: bool
    environment: dict[str, str] = field(repr=False)

    @property
    def name(self) -> str:
        found = self.adapter
        return found["description"] or f"{found['vendor']} {found['architecture']}".strip() or "GPU"

    @property
    def features(self) -> list[str]:
        return [*(_EMULATED if self.software else ()), *_EXACT]


class Node:
    """Runs requests one after the other, each in a process of its own."""

    def __init__(self) -> None:
        self._script = bundle("measure")
        self.device = self._find()

    def ask(self, kind: str, *, cache: Path | None = None, **request: Any) -> dict[str, Any]:
        """The reply of protocol.ts. `cache` is where the driver keeps what it compiles."""
        kept = {} if cache is None else dict.fromkeys(_CACHES, str(cache))
        environment = {**self.device.environment, **kept}
        wanted = {"kind": kind, "features": self.device.features, **request}
        return _run(self._script, wanted, environment)

    def _find(self) -> Device:
        """A real device of the system's; the last that was found where there is none."""
        found: Device | None = None
        own = {**os.environ, "SLMWEB_DAWN": str(dawn.PACKAGE)}
        for environment in (own, dawn.environment()):
            try:
                reply = _run(self._script, {"kind": "probe", "features": []}, environment)
            except BuildError:
                continue  # without a Vulkan at all Dawn may end the process
            if reply["adapter"] is not None:
                found = Device(
                    reply["adapter"], reply["software"], reply["timestamps"], environment
                )
                if not found.software:
                    break
        if found is None:
            raise BuildError(f"there is {dawn.NO_DEVICE}")
        return found


def bundle(name: str) -> Path:
    """A script of this folder for Node; esbuild takes milliseconds, so there is nothing to keep."""
    if not dawn.ESBUILD.is_file():
        raise BuildError("node_modules has no esbuild; run `make web`")
    output = DIST / "bench" / f"gpu_{name}.mjs"
    command = [
        str(dawn.ESBUILD), str(HERE / f"{name}.ts"), "--bundle", "--platform=node", "--format=esm",
        "--target=node20", "--log-level=warning", f"--outfile={output}",
    ]  # fmt: skip
    call(f"bundling {name}.ts for Node", command)
    return output


def host_cost(device: Device) -> str:
    """What host.ts says: milliseconds that recording costs the processor."""
    done = subprocess.run(
        ["node", str(bundle("host"))], env=device.environment, capture_output=True, text=True,
        check=False, timeout=TIMEOUT_S,
    )  # fmt: skip
    if done.returncode != 0:
        raise BuildError(f"host.ts failed: {_last_line(done.stderr)}")
    return done.stdout


def fresh_cache() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="slmweb-shaders-")


def _run(script: Path, request: dict[str, Any], environment: dict[str, str]) -> dict[str, Any]:
    what = str(request["kind"])
    try:
        done = subprocess.run(
            ["node", str(script), json.dumps(request)], env=environment, capture_output=True,
            text=True, check=False, timeout=TIMEOUT_S,
        )  # fmt: skip
    except FileNotFoundError:
        raise BuildError("expected the program node, found none; install Node 20") from None
    except subprocess.TimeoutExpired:
        raise BuildError(f"measuring ({what}) has no result after {TIMEOUT_S} s") from None
    if done.returncode != 0 or not done.stdout:
        raise BuildError(f"measuring ({what}) failed: {_last_line(done.stderr)}")
    reply: dict[str, Any] = json.loads(done.stdout)
    if "error" in reply:
        raise BuildError(f"measuring ({what}) failed: {reply['error']}")
    return reply


def _last_line(text: str) -> str:
    return (text.strip() or "no output").splitlines()[-1]
