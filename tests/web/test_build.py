"""From a fine-tuned checkpoint to a page that answers, by one command.

The checkpoint and its adapter are transformers' and peft's own; what the page
is given must compute what they compute when merged.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from playwright.sync_api import Browser, expect

from slmweb.core import Model
from slmweb.pack.manifest import read_manifest
from slmweb.pack.sign import generate_key
from tests.goldens.tiny_models import sequence
from tests.parity.logits import F32, evaluate
from tests.py.cli.program import slmweb
from tests.py.convert import checkpoints
from tests.web.plain_host import plain_host, visit
from tests.web.test_page import Chat

# peft asks transformers for something that it has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is:FutureWarning")

GEMMA2 = checkpoints.models()["gemma2"]
# Error of all logits, relative to their norm: of weights rounded to 11 bits, and of blocks of
# 8 bits that meet activations of 8 bits.
BOUNDS = {"f16": 2e-3, "q8_0": 3e-2}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint") / "Gemma 2 tuned"
    return checkpoints.save(folder, checkpoints.model_of(GEMMA2), checkpoints.tokenizer_of(GEMMA2))


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter that changes what the model says, as training would."""
    torch.manual_seed(7)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"])
    model: Any = get_peft_model(checkpoints.model_of(GEMMA2), config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    folder = tmp_path_factory.mktemp("adapter") / "lora"
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def expected(adapter: Path) -> F32:
    merged: Any = PeftModel.from_pretrained(checkpoints.model_of(GEMMA2), adapter)
    return checkpoints.logits(merged.merge_and_unload(), sequence(GEMMA2))


def gguf_of(site: Path, name: str, folder: Path) -> Path:
    """The model that the site offers, put together from its chunks."""
    (file,) = read_manifest(site / "models" / name).files
    path = folder / file.name
    path.write_bytes(
        b"".join((site / "models" / name / c.sha256).read_bytes() for c in file.chunks)
    )
    return path


@pytest.mark.parametrize("kind", BOUNDS)
def test_a_checkpoint_and_an_adapter_become_a_page_that_answers(
    kind: str, checkpoint: Path, adapter: Path, expected: F32, tmp_path: Path, browser: Browser
) -> None:
    site = tmp_path / "site"
    done = slmweb("build", str(checkpoint), "-o", str(site), "--adapter", str(adapter),
                  "--type", kind, "--title", "Tuned", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    said = json.loads(done.stdout)
    assert said["type"] == kind
    assert [path.name for path in tmp_path.iterdir()] == ["site"]

    ids = sequence(GEMMA2)
    with (
        Model.open(gguf_of(site, said["model"], tmp_path)) as model,
        model.session(128) as session,
    ):
        found = evaluate(session, ids)
    error = float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
    plain = checkpoints.logits(checkpoints.model_of(GEMMA2), ids)
    away = float(np.linalg.norm(plain - expected) / np.linalg.norm(expected))
    assert error < BOUNDS[kind] < away / 3, (error, away)

    with plain_host(site) as host, browser.new_context() as context:
        page = context.new_page()
        visit(page, host)
        assert page.title() == "Tuned"
        chat = Chat.of(page)
        chat.ready("Gemma")
        assert chat.frame.evaluate("crossOriginIsolated") is True
        chat.send("Hello")
        # What an untrained model says is noise, but it says it and comes to an end.
        expect(chat.answers).to_contain_text("tokens/s")


def test_a_gguf_stays_as_it_is_and_a_key_signs_it(checkpoint: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.gguf"
    assert slmweb("convert", str(checkpoint), "-o", str(model)).returncode == 0
    public = generate_key(tmp_path / "release.key")
    site = tmp_path / "site"
    done = slmweb("build", str(model), "-o", str(site), "--sign", str(tmp_path / "release.key"),
                  "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    said = json.loads(done.stdout)
    assert (said["type"], said["signed_by"]) == (None, public.id)
    copy = gguf_of(site, said["model"], site)
    assert copy.read_bytes() == model.read_bytes()
    assert public.base64 in (site / "index.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--type", "q9"], "q9"),
        (["--type", "q8_0", "--max-size", "1MB"], "type web"),
        (["--adapter", "{nowhere}"], "nowhere"),
        (["--max-size", "1kB"], "no mix fits"),
        (["--base-path", "x"], "base path"),
        (["--sign", "{nowhere}"], "nowhere"),
    ],
)
def test_what_cannot_be_built_leaves_nothing(
    checkpoint: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    filled = [argument.format(nowhere=tmp_path / "nowhere") for argument in arguments]
    done = slmweb("build", str(checkpoint), "-o", str(tmp_path / "site"), *filled)
    assert done.returncode in (1, 2)
    assert words in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1
    assert list(tmp_path.iterdir()) == []
