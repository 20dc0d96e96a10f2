"""The starts of `make bench-gpu ARGS=--start`: who is told what, in which order, what is said."""

from __future__ import annotations

import io
from types import SimpleNamespace, TracebackType
from typing import Any

import pytest
from rich.console import Console

from bench.gpu import report, start
from bench.gpu.start import FIRST, REMEMBERED, TIMED


class FakeBrowser:
    """Starts take as long as there are programs to compile."""

    version = "Chromium 1"
    server = None
    log: list[str] = []  # noqa: RUF012 (of all browsers)

    def __init__(self, arguments: list[str]) -> None:
        assert "--enable-unsafe-webgpu" in arguments
        self.log.append("fresh")

    def __enter__(self) -> FakeBrowser:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.log.append("gone")

    def reopen(self) -> None:
        self.log.append("again")

    def measure(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        told = request["kernels"].get("matvec", "")
        self.log.append(f"{name} {told}".strip())
        programs = 28 if told else 31
        parts = ("fetch_s", "device_s", "weights_s", "checks_s", "compile_s")
        return {
            **dict.fromkeys(parts, programs / 10),
            "ready_s": programs + len(self.log),
            "pipelines": programs,
            "kernels": {"matvec": "lane"},
            "adapter": {"vendor": "google", "architecture": "swiftshader"},
            "emulated": True,
        }


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> start.Starts:
    monkeypatch.setattr(FakeBrowser, "log", [])
    monkeypatch.setattr(start, "Browser", FakeBrowser)
    monkeypatch.setattr(start, "bundle_page", lambda _: None)
    monkeypatch.setattr(start, "serve_slmweb", lambda _: None)
    monkeypatch.setattr(start, "serve_model", lambda *_: "manifest.json")
    monkeypatch.setattr(start, "smollm2_q4_1", lambda: SimpleNamespace(title="A model"))
    return start.measure_starts(2, lambda _: None)


def test_each_round_has_a_fresh_profile_and_the_second_starts_take_turns(
    found: start.Starts,
) -> None:
    one = ["fresh", "start", "again", "start", "again", "start lane", "gone"]
    two = ["fresh", "start", "again", "start lane", "again", "start", "gone"]
    assert FakeBrowser.log == [*one, *two]
    assert [len(found.starts[kind]) for kind in (FIRST, TIMED, REMEMBERED)] == [2, 2, 2]
    assert found.median(TIMED).ready_s == 31 + (4 + 13) / 2
    assert found.median(REMEMBERED).pipelines == 28


def test_what_is_said_of_an_emulated_device(found: start.Starts) -> None:
    out = io.StringIO()
    report.print_starts(Console(file=out, width=200), found)
    said = out.getvalue()
    assert report.NO_CACHE in said.replace("\n", " ")
    assert "3.10 s before the first weight become 2.80 s" in said
    assert found.forms == ("lane",)
