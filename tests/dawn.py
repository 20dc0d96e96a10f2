"""Dawn, the WebGPU of Chromium, in Node: where it is and which Vulkan it uses.

Chromium brings an emulated device of its own, so that tests need no GPU. Where
there is no Chromium, the system's Vulkan may have one; tests skip where not.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "node_modules/webgpu/index.js"
ESBUILD = ROOT / "node_modules/.bin/esbuild"

NO_DEVICE = "no WebGPU here: needs npm's webgpu, and Chromium's Vulkan or the system's"
"""Why a test is skipped."""


def bundle(source: Path, output: Path) -> Path:
    """A script for Node out of one of TypeScript; esbuild may have nothing to say."""
    command = [
        str(ESBUILD), str(source), "--bundle", "--platform=node", "--format=esm",
        "--target=node20", "--log-level=warning", f"--outfile={output}",
    ]  # fmt: skip
    built = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (built.returncode, built.stderr) == (0, "")
    return output


def environment() -> dict[str, str]:
    """The environment of a Node process that imports Dawn from $SLMWEB_DAWN."""
    found = {**os.environ, "SLMWEB_DAWN": str(PACKAGE)} if PACKAGE.is_file() else {**os.environ}
    folder = _chromium()
    if folder is not None:
        libraries = [str(folder), *filter(None, [found.get("LD_LIBRARY_PATH")])]
        found["LD_LIBRARY_PATH"] = os.pathsep.join(libraries)
        found["VK_ICD_FILENAMES"] = str(folder / "vk_swiftshader_icd.json")
    return found


def _chromium() -> Path | None:
    """The folder of Chromium's libraries; the command itself is often a script elsewhere."""
    command = shutil.which("chromium") or shutil.which("chromium-browser")
    places = [Path(command).resolve().parent] if command else []
    places += [Path("/usr/lib") / name for name in ("chromium", "chromium-browser")]
    for folder in places:
        if (folder / "vk_swiftshader_icd.json").is_file():
            return folder
    return None
