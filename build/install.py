"""Installs what make needs, with the system's own Python: `python3 build/install.py PART...`.

Owns how each part is got and when it is there already; runs before anything is
installed, so it imports nothing but the standard library. Where a system package
is missing, root on Debian gets it from apt, and everybody else gets a sentence
with the command.

  tools     .venv with what compiles, packs and serves
  test      .venv with what tests and lints as well
  llama     .venv with llama-cpp-python too, for what is compared with llama.cpp itself
  node      node_modules, exactly as in package-lock.json, without running their scripts
  browser   Chromium: Debian's when root, else Playwright's own
  fuzzer    clang with libFuzzer and the sanitizers
  goldens   .venv-goldens with torch, transformers and llama.cpp, which only the
            making of golden files needs
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import llama
from script import ROOT, BuildError, run

VENV = ROOT / ".venv"
PYTHON = VENV / "bin/python"
LOCK = ROOT / "requirements.lock"
GOLDENS = ROOT / "tests/goldens/requirements.txt"

FUZZ_PROBE = """
#include <cstddef>
#include <cstdint>
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *, size_t) { return 0; }
"""


def call(
    arguments: Sequence[str | Path], otherwise: str, environment: dict[str, str] | None = None
) -> None:
    """Runs a command, its output visible; its failure is the sentence `otherwise`."""
    if subprocess.run(arguments, cwd=ROOT, env=environment, check=False).returncode != 0:
        raise BuildError(otherwise)


def can_apt() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None


def apt(packages: Sequence[str]) -> None:
    print(f"install: {', '.join(packages)} with apt", flush=True)
    quiet = ["apt-get", "-qq", "-o=Dpkg::Use-Pty=0"]
    install = [*quiet, "install", "--yes", "--no-install-recommends", *packages]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    log = subprocess.PIPE
    for arguments in ([*quiet, "update"], install):
        result = subprocess.run(
            arguments, env=environment, stdout=log, stderr=subprocess.STDOUT, text=True, check=False
        )
        if result.returncode != 0:
            sys.stderr.write(result.stdout)
            raise BuildError(
                f"apt could not install {' '.join(packages)} (its words are above); check the "
                "network and the package sources"
            )


def is_current(stamp: Path, *inputs: Path) -> bool:
    """Whether `stamp` was written for the inputs as they are. By content: a clone has new dates."""
    return stamp.is_file() and stamp.read_text() == fingerprint(inputs)


def fingerprint(inputs: Sequence[Path]) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in inputs)).hexdigest()


# ---- Python ---------------------------------------------------------------


def make_venv(folder: Path) -> None:
    if sys.version_info < (3, 11):  # noqa: UP036 - this is where older ones are told
        raise BuildError(
            f"slmweb needs Python 3.11 or newer, but {sys.executable} is "
            f"{sys.version.split()[0]}; run make with PYTHON=/path/to/a/newer/python3"
        )
    arguments = [sys.executable, "-m", "venv", str(folder)]
    result = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if result.returncode != 0 and "ensurepip" in result.stdout + result.stderr and can_apt():
        apt(["python3-venv"])
        result = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        shutil.rmtree(folder, ignore_errors=True)
        raise BuildError(
            f"python3 -m venv {folder.name} failed ({(result.stdout + result.stderr).strip()}); "
            "on Debian, `apt-get install python3-venv` gives what it needs"
        )


def install_python(extra: str) -> None:
    stamp = VENV / f"installed-{extra}"
    inputs = (ROOT / "pyproject.toml", LOCK)
    if PYTHON.is_file() and is_current(stamp, *inputs):
        return
    if not PYTHON.is_file():
        print("install: the Python environment .venv", flush=True)
        make_venv(VENV)
    print(f"install: Python packages ({extra})", flush=True)
    options, environment = llama.pip_options() if extra == "llama" else ([], None)
    call(
        [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *options,
         "--constraint", LOCK, "--editable", f".[{extra}]"],
        "pip could not install the Python packages (its words are above); check the network, "
        "then run make again",
        environment,
    )  # fmt: skip
    stamp.write_text(fingerprint(inputs))


def install_llama() -> None:
    install_python("llama")
    (version,) = re.findall(r"^llama_cpp_python==(.+)$", LOCK.read_text(), re.M)
    stamp = llama.VOCABULARIES / "installed"
    if not is_current(stamp, LOCK):
        print("install: llama.cpp's vocabularies", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            call(
                [PYTHON, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
                 "--no-deps", "--no-binary", ":all:", "--dest", folder,
                 f"llama-cpp-python=={version}"],
                "pip could not fetch the source of llama.cpp, whose vocabularies the tests read "
                "(its words are above); check the network, then run make again",
            )  # fmt: skip
            (source,) = Path(folder).glob("*.tar.gz")
            llama.unpack_vocabularies(source)
        stamp.write_text(fingerprint([LOCK]))


def install_goldens() -> None:
    folder = ROOT / ".venv-goldens"
    python, stamp, listing = folder / "bin/python", folder / "installed", GOLDENS
    if python.is_file() and is_current(stamp, listing):
        return
    if not python.is_file():
        make_venv(folder)
    print("install: torch, transformers and llama.cpp (built here, about 7 minutes)", flush=True)
    options, environment = llama.pip_options()
    call(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *options,
         "--requirement", listing],
        "pip could not install what makes the golden files (its words are above)",
        environment,
    )  # fmt: skip
    stamp.write_text(fingerprint([listing]))


# ---- Node -----------------------------------------------------------------


def install_node() -> None:
    stamp = ROOT / "node_modules/installed"
    inputs = (ROOT / "package.json", ROOT / "package-lock.json")
    if is_current(stamp, *inputs):
        return
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        raise BuildError(
            "building the page needs Node 20 or newer with npm; get it from nodejs.org"
        )
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(re.sub(r"\D.*", "", version.removeprefix("v"))) < 20:
        raise BuildError(f"building the page needs Node 20 or newer, but this is {version.strip()}")
    print("install: Node packages", flush=True)
    call(
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        "npm could not install the packages of package-lock.json (its words are above); check "
        "the network, then run make again",
    )
    stamp.write_text(fingerprint(inputs))


# ---- what only the tests need ---------------------------------------------


def install_browser() -> None:
    if shutil.which("chromium"):
        return
    if can_apt():
        apt(["chromium", "fonts-dejavu-core"])
        return
    print("install: Playwright's Chromium", flush=True)
    call(
        [PYTHON, "-m", "playwright", "install", "chromium"],
        "Playwright could not fetch Chromium (its words are above); install your system's own "
        "(on Debian: apt-get install chromium), then run make again",
    )


def can_fuzz(clang: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "probe.cpp"
        source.write_text(FUZZ_PROBE)
        binary = source.with_suffix("")
        arguments = [clang, "-fsanitize=fuzzer,address,undefined", str(source), "-o", str(binary)]
        return subprocess.run(arguments, capture_output=True, check=False).returncode == 0


def install_fuzzer() -> None:
    clang = shutil.which("clang++")
    if clang and can_fuzz(clang):
        return
    if can_apt():
        if not clang:
            apt(["clang", "libc6-dev", "libstdc++-12-dev"])
            clang = shutil.which("clang++")
        if clang and can_fuzz(clang):
            return
        # The sanitizers are a package of their own, named by clang's version.
        words = subprocess.run(["clang", "--version"], capture_output=True, text=True, check=True)
        major = re.search(r"version (\d+)", words.stdout)
        if major:
            apt([f"libclang-rt-{major[1]}-dev"])
        if clang and can_fuzz(clang):
            return
    raise BuildError(
        "the tests build the parsers with libFuzzer and the sanitizers, and need a clang++ that "
        "has them (on Debian: apt-get install clang libclang-rt-14-dev)"
    )


PARTS: dict[str, Callable[[], None]] = {
    "tools": lambda: install_python("build"),
    "test": lambda: install_python("dev"),
    "llama": install_llama,
    "node": install_node,
    "browser": install_browser,
    "fuzzer": install_fuzzer,
    "goldens": install_goldens,
}


def main(arguments: list[str]) -> None:
    for part in arguments:
        if part not in PARTS:
            raise BuildError(
                f"there is no part '{part}' to install; choose from {', '.join(PARTS)}"
            )
    for part in arguments:
        PARTS[part]()


if __name__ == "__main__":
    raise SystemExit(run(main))
