"""What is made of a page's answers, without a browser: a folder's name, and a GPU that fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from slmweb.browser import PageModel, packed_name
from slmweb.errors import SlmError

CPU = {"backend": "cpu", "backend_reason": "The GPU was lost 2 times.", "gpu": None}


def on_gpu(losses: int) -> dict[str, Any]:
    return {"backend": "webgpu", "backend_reason": "A GPU.", "gpu": {"losses": losses}}


class Answering:
    """As much of a page as one that has loaded a model needs."""

    def __init__(self, info: dict[str, Any]) -> None:
        self.info = info

    def evaluate(self, script: str, argument: list[Any]) -> dict[str, Any]:
        return {"text": "yes", "info": self.info}


def opened(info: dict[str, Any], now: dict[str, Any]) -> PageModel:
    page = PageModel.__new__(PageModel)
    page.info = info
    page._page = Answering(now)
    return page


@pytest.mark.parametrize("info", [CPU, on_gpu(0), on_gpu(1)])
def test_an_answer_is_what_the_page_says(info: dict[str, Any]) -> None:
    assert opened(info, info).ask("text", {}) == {"text": "yes"}


@pytest.mark.parametrize("now", [CPU, on_gpu(1)])
def test_figures_of_two_devices_are_not_mixed(now: dict[str, Any]) -> None:
    with pytest.raises(SlmError, match="the GPU failed while it was measured") as raised:
        opened(on_gpu(0), now).ask("text", {})
    assert raised.value.code == "unavailable"
    assert now["backend_reason"].rstrip(".") in raised.value.message


def test_a_packed_model_is_called_what_its_folder_is(tmp_path: Path) -> None:
    assert packed_name(tmp_path / "renamed") == "renamed"
    with pytest.raises(SlmError, match=r"folder 'My Model': expected .*; rename it"):
        packed_name(tmp_path / "My Model")
