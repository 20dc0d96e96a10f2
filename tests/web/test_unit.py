"""Runs the Node tests of tests/web/unit: what the web part decides without a browser."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.dawn import NO_DEVICE, ROOT, bundle, environment

UNIT = ROOT / "tests/web/unit"


@pytest.mark.parametrize("source", sorted(UNIT.glob("*.test.ts")), ids=lambda path: path.stem)
def test_unit(source: Path, tmp_path: Path) -> None:
    bundled = bundle(source, tmp_path / f"{source.stem}.mjs")
    run = ["node", "--test", "--test-reporter=spec", str(bundled)]
    done = subprocess.run(
        run, capture_output=True, text=True, cwd=ROOT, check=False, timeout=120, env=environment()
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if "# no device" in done.stdout:
        pytest.skip(NO_DEVICE)
