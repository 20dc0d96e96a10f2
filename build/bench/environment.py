"""Gets what only the benchmark needs: llama-cpp-python and matplotlib in .venv-bench, wllama in
build/bench/node_modules, the pages bundled and peak.wasm compiled into dist/bench.

Both package sets are pinned and apart from the project's own, so that nobody who does not
benchmark waits for a build of llama.cpp. It does not know what is measured.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import llama
from script import DIST, ROOT, BuildError

HERE = ROOT / "build" / "bench"
PYTHON = ROOT / ".venv-bench" / "bin" / "python"
NODE_MODULES = HERE / "node_modules"
PAGES = DIST / "bench"

TIMEOUT_S = 600  # of what runs in the bench environment, as of a page


def call(
    what: str, command: list[str], cwd: Path = ROOT, environment: dict[str, str] | None = None
) -> None:
    print(f"{what} ...", flush=True)
    try:
        done = subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise BuildError(f"{what}: expected the program {command[0]}, found none") from None
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise BuildError(f"{what} failed: {last}")


def is_older(target: Path, *sources: Path) -> bool:
    return not target.exists() or any(
        target.stat().st_mtime < source.stat().st_mtime for source in sources
    )


def bench_python() -> Path:
    """The Python that runs native.py and plot.py; the first time builds llama.cpp."""
    requirements = HERE / "requirements.txt"
    stamp = PYTHON.parents[1] / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != requirements.read_text():
        venv.create(PYTHON.parents[1], with_pip=True)
        options, environment = llama.pip_options()
        call(
            "installing llama-cpp-python and matplotlib (builds llama.cpp: about 7 minutes)",
            [str(PYTHON), "-m", "pip", "install", "--quiet", *options, "-r", str(requirements)],
            environment=environment,
        )
        stamp.write_text(requirements.read_text())
    return PYTHON


def run_module(module: str, *arguments: str, stdin: str | None = None) -> str:
    """Runs one of our modules in the bench environment and returns its stdout."""
    try:
        done = subprocess.run(
            [str(bench_python()), "-m", f"bench.{module}", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(HERE.parent)},
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        raise BuildError(
            f"bench.{module} {arguments[0]} has no result after {TIMEOUT_S} s"
        ) from None
    if done.returncode != 0:
        killed = f"killed by signal {-done.returncode}" if done.returncode < 0 else "no output"
        last = (done.stderr.strip() or killed).splitlines()[-1]
        raise BuildError(f"bench.{module} {arguments[0]} failed: {last}")
    return done.stdout


def install_packages(what: str, folder: Path = HERE) -> None:
    """What the package.json of `folder` names, as its lock has it."""
    installed = folder / "node_modules" / ".package-lock.json"
    if is_older(installed, folder / "package-lock.json"):
        call(
            f"installing {what}",
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=folder,
        )


def bundle_page(name: str) -> None:
    """Bundles one page; esbuild takes milliseconds, so there is nothing to keep."""
    esbuild = ROOT / "node_modules" / ".bin" / "esbuild"
    if not esbuild.exists():
        raise BuildError("the bench pages need esbuild, and node_modules has none; run `make web`")
    call(
        f"bundling the page {name}",
        [
            str(esbuild),
            str(HERE / "pages" / f"{name}.ts"),
            "--bundle",
            "--format=esm",
            "--target=es2022",
            "--log-level=warning",
            f"--outfile={PAGES / name}.js",
        ],
    )


def compile_peak() -> Path:
    source, target = HERE / "pages" / "peak.c", PAGES / "peak.wasm"
    if is_older(target, source):
        PAGES.mkdir(parents=True, exist_ok=True)
        call(
            "compiling peak.wasm",
            [
                sys.executable, "-m", "ziglang", "cc", "-target", "wasm32-freestanding",
                "-mcpu=generic+simd128+relaxed_simd", "-O3", "-fvisibility=hidden", "-nostdlib",
                "-Wl,--no-entry", "-Wl,--export-dynamic", "-Wl,-z,stack-size=65536", "-s",
                "-o", str(target), str(source),
            ],
        )  # fmt: skip
    return target
