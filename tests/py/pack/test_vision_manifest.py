"""What a manifest says of an encoder of pictures, read and refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from slmweb.errors import SlmError
from slmweb.pack.manifest import (
    Chunk,
    ContextMemory,
    Manifest,
    Memory,
    PackedAdapter,
    PackedFile,
    PackedVision,
    content_root,
    parse_manifest,
)

VISION = PackedVision(
    projector="gemma3",
    file=2,
    image_size=896,
    patch_size=14,
    n_tokens=256,
    packed_bytes=850_000_000,
    encode_bytes=300_000_000,
)


def manifest() -> Manifest:
    files = tuple(
        PackedFile(name, 9, digit * 64, (Chunk(digit * 64, 9),))
        for name, digit in (("cat.gguf", "a"), ("lora.gguf", "b"), ("mmproj-cat.gguf", "c"))
    )
    return Manifest(
        name="cat",
        title="Cat",
        version=None,
        architecture="gemma3",
        parameters=4,
        context_length=2048,
        license=None,
        license_url=None,
        source=None,
        chat_template=None,
        size=27,
        memory=Memory(9, 2048, (ContextMemory(2048, 9),)),
        sampling={},
        root=content_root(files),
        files=files,
        adapters=(PackedAdapter("lora", "LoRA", 1),),
        vision=VISION,
    )


def test_the_encoder_is_a_file_apart_that_the_root_covers() -> None:
    packed = manifest()
    assert [file.name for file in packed.model_files] == ["cat.gguf"]
    again = parse_manifest(packed.to_json(), "it")
    assert again == packed
    assert "whole_prompt" not in json.loads(packed.to_json())["vision"]
    for other in (
        replace(VISION, whole_prompt=True),
        replace(VISION, projector="gemma4v", image_size=0, factor=3, whole_picture=False),
    ):
        changed_eyes = replace(packed, vision=other)
        assert parse_manifest(changed_eyes.to_json(), "it").vision == other
    changed = replace(packed.files[2], sha256="d" * 64)
    assert content_root([*packed.files[:2], changed]) != packed.root


def test_a_model_without_eyes_says_nothing_of_them() -> None:
    blind = replace(manifest(), vision=None)
    assert "vision" not in json.loads(blind.to_json())
    assert parse_manifest(blind.to_json(), "it").vision is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("file", 3),
        ("file", -1),
        ("file", 1),  # the adapter's
        ("file", 1.0),
        ("image_size", 0),  # without the factor of pictures that keep their shape
        ("factor", 3),
        ("factor", True),
        ("whole_picture", 1),
        ("patch_size", "14"),
        ("n_tokens", True),
        ("packed_bytes", -1),
        ("encode_bytes", None),
        ("projector", 4),
        ("whole_prompt", "yes"),
        ("colour", "green"),
    ],
)
def test_what_an_encoder_cannot_be_is_refused(key: str, value: Any) -> None:
    read = json.loads(manifest().to_json())
    read["vision"][key] = value
    with pytest.raises(SlmError, match="it is not a manifest that can be used") as caught:
        parse_manifest(json.dumps(read).encode(), "it")
    assert caught.value.code == "bad_manifest"
