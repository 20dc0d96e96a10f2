"""onnxruntime-web's WebGPU beside slmweb's, on one device: milliseconds of a token.

Both get a model of SmolLM2's shape with random weights in blocks of 32 at 4 bits. They take turns,
so that a machine that is disturbed is so for both. onnxruntime runs in headless Chromium, the only
place where it finds a GPU, and its step is less than a whole one (onnx.py), which is in its favour.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from script import BuildError

from .. import environment
from .figures import Plan, request
from .models import COMPARED, FOLDER, MODELS, GpuModel
from .node import HERE, Device, Node
from .onnx import write_decoder

ROUNDS = 2
PACKAGE = HERE / "node_modules" / "onnxruntime-web"


@dataclass(frozen=True)
class Compared:
    version: str
    adapter: str
    ort_ms: float
    slmweb_ms: float

    @property
    def ratio(self) -> float:
        return self.ort_ms / self.slmweb_ms

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio}


def compare(node: Node, plan: Plan, say: Callable[[str], None]) -> Compared:
    """Raises BuildError where onnxruntime-web or its browser does not run."""
    from ..browser import Browser

    environment.install_packages("onnxruntime-web", HERE)
    environment.bundle_page("ort")
    model = MODELS[COMPARED]()
    path = FOLDER / "smollm2.onnx"
    write_decoder(model.shape, path, plan.past)
    ours: list[float] = []
    theirs: list[float] = []
    with Browser(arguments=_switches(node.device)) as browser:
        browser.server.folders["/ort/"] = PACKAGE / "dist"
        browser.server.files["/model.onnx"] = path
        wish = {"model": "/model.onnx", "width": model.shape.n_embd, "steps": plan.generate + 2}
        for n in range(1, ROUNDS + 1):
            say(f"onnxruntime-web, round {n} of {ROUNDS}")
            reply = browser.measure("ort", wish)
            theirs += reply["step_ms"][2:]  # the first ones compile
            say(f"slmweb, round {n} of {ROUNDS}")
            ours += _decode_ms(node, model, plan)
    path.unlink()
    emulated = "swiftshader" in reply["adapter"].lower()
    if emulated != node.device.software:
        raise BuildError(
            f"Chromium has the device {reply['adapter']} and Node {node.device.name}; figures of "
            "two devices are not compared"
        )
    medians = statistics.median(theirs), statistics.median(ours)
    return Compared(reply["version"], reply["adapter"], *medians)


def _decode_ms(node: Node, model: GpuModel, plan: Plan) -> list[float]:
    # One token is enough of a prompt here.
    wish = request(model, plan) | {"prompt": 1, "repeat": 1, "warm": False}
    found: list[float] = node.ask("model", **wish)["decode_ms"]
    return found


def _switches(device: Device) -> list[str]:
    """For the device that Node has."""
    switches = ["--enable-unsafe-webgpu"]
    if device.software:
        features = "--enable-dawn-features=disable_workgroup_init"  # as in Node
        return [*switches, "--use-webgpu-adapter=swiftshader", features]
    return [*switches, "--enable-features=Vulkan"] if sys.platform == "linux" else switches
