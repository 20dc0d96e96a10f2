"""Building llama.cpp where the processor promises what it does not do."""

from __future__ import annotations

import pytest

import llama


def test_a_machine_without_false_tiles_builds_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama, "has_false_tiles", lambda: False)
    monkeypatch.setenv("CMAKE_ARGS", "-DGIVEN=1")
    options, environment = llama.pip_options()
    assert options == []
    assert environment["CMAKE_ARGS"] == "-DGIVEN=1"


def test_false_tiles_are_left_out_and_no_other_build_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(llama, "has_false_tiles", lambda: True)
    monkeypatch.setenv("CMAKE_ARGS", "-DGIVEN=1")
    options, environment = llama.pip_options()
    assert options == ["--no-cache-dir"]
    assert environment["CMAKE_ARGS"].startswith("-DGIVEN=1 -DCMAKE_C_FLAGS='-mno-amx-tile ")


def test_without_a_compiler_nothing_is_said() -> None:
    assert llama.has_false_tiles("no-such-compiler") is False
