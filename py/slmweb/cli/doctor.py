"""`slmweb doctor`: what is there, what is missing, and the command that gets it.

A checkout needs the tools that build; an installed wheel needs only its own
files and a model. Nothing is changed.
"""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shutil
import subprocess
from dataclasses import asdict, dataclass

import typer

from .. import paths
from ..errors import SlmError
from .common import JsonOption, print_json

NODE = 20  # the oldest major version that the bundler and the tests run on
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass(frozen=True)
class Finding:
    name: str
    ok: bool
    needed: bool
    found: str
    fix: str | None  # the exact command, when something is missing


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: slmweb doctor --json")(doctor)


def doctor(json: JsonOption = False) -> None:
    """Say what is missing, and how to get it; exit 1 when something needed is."""
    findings = examine()
    missing = [finding for finding in findings if finding.needed and not finding.ok]
    if json:
        print_json({"ok": not missing, "checks": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            mark = "ok     " if finding.ok else "MISSING" if finding.needed else "absent "
            fix = f" -> {finding.fix}" if finding.fix and not finding.ok else ""
            print(f"{mark}  {finding.name:<16}  {finding.found}{fix}")
        if not missing:
            print("everything needed is there")
    if missing:
        raise SlmError(
            "not_built",
            f"{len(missing)} needed {'part is' if len(missing) == 1 else 'parts are'} missing: "
            + ", ".join(finding.name for finding in missing),
        )


def examine() -> list[Finding]:
    """All checks, in the order in which their fixes should be run."""
    findings = [
        Finding("python", True, True, platform.python_version(), None),
        _wasmtime(),
    ]
    if paths.is_checkout():
        findings += [_zig(), _node(), _browser()]
    return [*findings, *(_variant(name) for name in paths.VARIANTS), _bundle(), _model()]


def _wasmtime() -> Finding:
    version = _version("wasmtime")
    return Finding(
        "wasmtime", version is not None, True, version or "not installed", "pip install wasmtime"
    )


def _zig() -> Finding:
    version = _version("ziglang")
    return Finding(
        "zig",
        version is not None,
        True,
        f"ziglang {version}" if version else "the compiler of the core is not installed",
        "pip install -e '.[build]'",
    )


def _node() -> Finding:
    fix = f"install Node {NODE} or newer, e.g. apt-get install nodejs npm"
    version = _output("node", "--version")
    if version is None:
        return Finding("node", False, True, "not installed", fix)
    major = re.match(r"v(\d+)", version)
    if major is None or int(major[1]) < NODE:
        return Finding("node", False, True, f"{version} is too old", fix)
    if shutil.which("npm") is None:
        return Finding("node", False, True, f"{version}, but no npm", "apt-get install npm")
    return Finding("node", True, True, version, None)


def _browser() -> Finding:
    for name in BROWSERS:
        if path := shutil.which(name):
            return Finding("chromium", True, False, path, None)
    return Finding(
        "chromium",
        False,
        False,
        "not installed; only `make test` and `make bench` need it",
        "apt-get install chromium, or python -m playwright install chromium",
    )


def _variant(name: str) -> Finding:
    label = f"wasm {name}"
    try:
        size = paths.wasm_file(name).stat().st_size
    except (SlmError, OSError):
        return Finding(label, False, True, "not built", _get("make wasm"))
    if name in ("simd", "relaxed"):
        # The variants that run here can be asked; a stale one lacks an export.
        from ..core.instance import Instance, Variant

        try:
            variant: Variant = "simd" if name == "simd" else "relaxed"
            Instance(variant).build_info()
        except (SlmError, ValueError) as error:
            found = str(error).partition(";")[0]
            return Finding(label, False, True, found, _get("make wasm"))
    return Finding(label, True, True, f"{size:,} bytes", None)


def _bundle() -> Finding:
    from ..server.pages import PageCache

    try:
        PageCache(paths.web_dir(), paths.wasm_dir()).index()
    except SlmError as error:
        found = error.message.partition(";")[0]
        return Finding("web bundle", False, True, found, _get("make web"))
    return Finding("web bundle", True, True, str(paths.web_dir()), None)


def _model() -> Finding:
    from ..server.models import ModelFolder

    folder = paths.models_dir()
    names = [entry["name"] for entry in ModelFolder(folder).entries()]
    if names:
        return Finding("model", True, True, ", ".join(names), None)
    fix = "make model" if paths.is_checkout() else "slmweb pack MODEL.gguf"
    return Finding("model", False, True, f"no packed model in {folder}", fix)


def _get(command: str) -> str:
    return command if paths.is_checkout() else "pip install --force-reinstall slmweb"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _output(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
