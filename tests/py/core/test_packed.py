"""A packed folder opens like the GGUF that it came from, without its adapters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from slmweb.core import Model
from slmweb.core.files import is_pack, model_files, open_files
from slmweb.errors import SlmError
from slmweb.pack.pack import pack
from tests.goldens.tiny_adapters import LAW, write_adapter
from tests.goldens.tiny_gguf import write_gguf
from tests.goldens.tiny_models import MODELS


def logits(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    with Model.open(path) as model, model.session(8) as session:
        found = session.eval([1, 2, 3], "all")
    assert found is not None
    return found


@pytest.fixture(scope="module")
def folder(qwen2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In chunks that end where no tensor and no read does."""
    out = tmp_path_factory.mktemp("packed")
    law = write_adapter(MODELS["qwen2"], LAW, out / "law.gguf")
    pack([qwen2], out, adapters=[(law, None)], chunk_size=5000)
    return out


def test_it_computes_the_same(folder: Path, qwen2: Path) -> None:
    assert is_pack(folder)
    assert not is_pack(qwen2)
    assert (logits(folder) == logits(qwen2)).all()


def test_a_split_set_does_too(tmp_path: Path) -> None:
    parts = write_gguf("qwen2", tmp_path / "tiny.gguf", split_max_tensors=9)
    pack([parts[0]], tmp_path / "packed", chunk_size=5000)
    assert (logits(tmp_path / "packed") == logits(parts[0])).all()


@pytest.mark.parametrize("offset", [0, 1, 4999, 5000, 5001, 12345])
@pytest.mark.parametrize("n", [0, 1, 4999, 5000, 20000])
def test_every_byte_is_where_it_was(folder: Path, qwen2: Path, offset: int, n: int) -> None:
    (file,) = open_files([folder])
    data = qwen2.read_bytes()
    assert file.size == len(data)
    buffer = bytearray(n)
    file.read_into(memoryview(buffer), offset)
    assert buffer == data[offset : offset + n]


def test_a_chunk_that_is_gone_or_short_is_one_sentence(qwen2: Path, tmp_path: Path) -> None:
    manifest = pack([qwen2], tmp_path, chunk_size=50_000)
    chunk = tmp_path / manifest.files[0].chunks[-1].sha256
    chunk.write_bytes(chunk.read_bytes()[:-1])
    with pytest.raises(SlmError, match=f"{chunk.name} does not hold") as caught:
        Model.open(tmp_path)
    assert caught.value.code == "corrupt"
    chunk.unlink()
    with pytest.raises(SlmError, match=f"{chunk.name}: no such file") as caught:
        Model.open(tmp_path)
    assert caught.value.code == "unreadable"


def test_where_a_file_is_needed_it_says_so(folder: Path, tmp_path: Path) -> None:
    for packs in (lambda: model_files([folder]), lambda: pack([folder], tmp_path / "again")):
        with pytest.raises(
            SlmError, match="expected a GGUF file, found the packed model"
        ) as caught:
            packs()
        assert caught.value.code == "invalid_argument"
