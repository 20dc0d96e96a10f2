"""Opening models: whole, split, header only, and everything that can be wrong with files."""

from __future__ import annotations

import gc
import os
import re
import weakref
from pathlib import Path

import pytest

from slmweb.core import Model
from slmweb.core.files import model_files, split_stem
from slmweb.core.instance import Instance
from slmweb.errors import SlmError
from tests.goldens.tiny_gguf import write_gguf


def test_the_header_alone_describes_and_tokenizes(llama: Path) -> None:
    with Model.open(llama, weights=False) as model:
        assert not model.loaded
        info = model.info
        assert (info["architecture"], info["n_vocab"], info["n_layer"]) == ("llama", 307, 2)
        assert info["license"] == "apache-2.0"
        assert len(info["tensors"]) > 10
        assert model.tokenizer.decode(model.tokenizer.encode("the hen")) == b"the hen"


def test_loading_reports_every_byte_once(llama: Path) -> None:
    seen: list[tuple[int, int]] = []
    with Model.open(llama, progress=lambda done, total: seen.append((done, total))) as model:
        total = sum(tensor["size"] for tensor in model.info["tensors"])
    assert [t for _, t in seen] == [total] * len(seen)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (total, total)


def test_a_model_can_be_closed_twice_and_the_core_used_again(llama: Path) -> None:
    core = Instance()
    for _ in range(3):
        model = Model.open(llama, core=core)
        model.close()
        model.close()
    before = core.memory_bytes
    for _ in range(20):
        Model.open(llama, core=core).close()
    assert core.memory_bytes == before, "closed models give their memory back"


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("split")
    return write_gguf("qwen2", folder / "tiny.gguf", split_max_tensors=9)


def test_any_part_stands_for_a_split_set(split: list[Path], qwen2: Path) -> None:
    assert len(split) > 2
    with Model.open(qwen2) as whole, whole.session(8) as session:
        expected = session.eval([1, 2, 3], "all")
    assert expected is not None
    for names in ([split[0]], [split[-1]], split):
        with Model.open(*names) as model, model.session(8) as session:
            got = session.eval([1, 2, 3], "all")
            assert got is not None
            assert (got == expected).all()


def test_a_missing_part_is_named(split: list[Path], tmp_path: Path) -> None:
    for part in split[:-1]:
        (tmp_path / part.name).write_bytes(part.read_bytes())
    with pytest.raises(SlmError, match=re.escape(split[-1].name)) as caught:
        Model.open(tmp_path / split[0].name)
    assert caught.value.code == "unreadable"


def test_parts_in_the_wrong_order_are_an_error(split: list[Path]) -> None:
    with pytest.raises(SlmError) as caught:
        Model.open(*reversed(split))
    assert caught.value.code in ("bad_file", "invalid_argument")


def test_files_beyond_the_model_are_refused(llama: Path, qwen2: Path) -> None:
    with pytest.raises(SlmError):
        Model.open(llama, qwen2)


def test_split_names_follow_gguf_split() -> None:
    assert split_stem(Path("a/b.Q4_1.gguf")) == "b.Q4_1"
    assert split_stem(Path("b-00002-of-00003.gguf")) == "b"
    assert model_files([Path("x.gguf"), Path("y.gguf")]) == [Path("x.gguf"), Path("y.gguf")]
    with pytest.raises(SlmError, match="no model was given"):
        model_files([])


@pytest.mark.parametrize("share", [0.0, 0.00001, 0.001, 0.02, 0.5, 0.999])
def test_a_truncated_file_is_one_sentence(llama: Path, tmp_path: Path, share: float) -> None:
    data = llama.read_bytes()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(SlmError, match=r"cut\.gguf") as caught:
        Model.open(cut)
    assert caught.value.code == "bad_file"
    assert "\n" not in caught.value.message


def test_a_file_cut_while_it_is_read_is_noticed(llama: Path, tmp_path: Path) -> None:
    path = tmp_path / "shrinking.gguf"
    path.write_bytes(llama.read_bytes())

    def shrink(done: int, total: int) -> None:
        os.truncate(path, 20_000)

    with pytest.raises(SlmError, match="changed meanwhile"):
        Model.open(path, progress=shrink)


def test_what_is_no_model_is_one_sentence(tmp_path: Path) -> None:
    text = tmp_path / "notes.gguf"
    text.write_text("Dear diary, " * 1000)
    with pytest.raises(SlmError, match=r"notes\.gguf") as caught:
        Model.open(text)
    assert caught.value.code == "bad_file"


def test_folders_pipes_and_absent_files_are_told_apart(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.gguf"
    os.mkfifo(pipe)
    for path, words in (
        (tmp_path, "it is a folder"),
        (pipe, "not a regular file"),
        (tmp_path / "absent.gguf", "no such file"),
    ):
        with pytest.raises(SlmError, match=words) as caught:
            Model.open(path)
        assert caught.value.code == "unreadable"


def test_a_file_that_may_not_be_read_is_one_sentence(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> int:
        raise PermissionError(13, "Permission denied")

    core = Instance()
    monkeypatch.setattr("os.open", refuse)  # root may read everything
    with pytest.raises(SlmError, match="permission denied") as caught:
        Model.open(llama, core=core)
    assert caught.value.code == "unreadable"


def test_both_variants_compute_the_same_within_rounding(gemma3: Path) -> None:
    results = []
    for variant in ("simd", "relaxed"):
        chosen = Instance("simd" if variant == "simd" else "relaxed")
        with Model.open(gemma3, core=chosen) as model, model.session(16) as session:
            logits = session.eval([5, 6, 7, 8], "all")
            assert logits is not None
            results.append(logits)
    assert abs(results[0] - results[1]).max() < 1e-3 * abs(results[0]).max()


TEXTS = ["", "the hen", " leading and trailing ", "naïve Ωμέγα 語 🦔", "a\0b", "\r\n\t"]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", ["llama", "qwen2"])
def test_text_survives_the_round_trip(name: str, text: str, request: pytest.FixtureRequest) -> None:
    with Model.open(request.getfixturevalue(name), weights=False) as model:
        ids = model.tokenizer.encode(text)
        assert model.tokenizer.decode(ids).decode() == text


def test_invalid_utf8_is_text_too(qwen2: Path) -> None:
    with Model.open(qwen2, weights=False) as model:
        data = bytes(range(256))
        assert model.tokenizer.encode(data)


def test_special_tokens_are_parsed_or_taken_as_text(qwen2: Path) -> None:
    with Model.open(qwen2, weights=False) as model:
        tokenizer = model.tokenizer
        parsed = tokenizer.encode("<|im_start|>")
        literal = tokenizer.encode("<|im_start|>", special=False)
        assert len(parsed) == 1
        assert len(literal) > 1
        assert tokenizer.decode(parsed) == b""
        assert tokenizer.decode(parsed, special=True) == b"<|im_start|>"
        assert tokenizer.decode(literal) == b"<|im_start|>"


def test_bos_is_added_where_the_model_asks(llama: Path, qwen2: Path) -> None:
    with Model.open(llama, weights=False) as model:
        assert model.tokenizer.encode("e")[0] == model.info["bos"]
        assert model.info["bos"] not in model.tokenizer.encode("e", bos=False)
    with Model.open(qwen2, weights=False) as model:
        assert model.tokenizer.encode("e") == model.tokenizer.encode("e", bos=False)


@pytest.mark.parametrize("ids", [[-1], [307], [2**31], [2**40], [1, 99999]])
def test_ids_outside_the_vocabulary_are_an_error(llama: Path, ids: list[int]) -> None:
    with Model.open(llama) as model, model.session(8) as session:
        with pytest.raises(SlmError) as caught:
            model.tokenizer.decode(ids)
        assert caught.value.code == "invalid_argument"
        with pytest.raises(SlmError) as caught:
            session.eval(ids)
        assert caught.value.code == "invalid_argument"
        assert session.n_past == 0


def test_a_model_of_a_few_of_its_layers(llama: Path) -> None:
    """Both layers at once are none of them alone, and those that are left out take no memory."""
    ids = [1, 20, 300]

    def logits(model: Model) -> bytes:
        with model.session(8) as session:
            rows = session.eval(ids)
            assert rows is not None
            return rows.tobytes()

    with Model.open(llama) as model:
        whole, packed = logits(model), model.info["packed_bytes"]
        of_each = []
        for layer in (0, 1):
            model.consist_of((layer, layer + 1))
            of_each.append(logits(model))
        model.consist_of((0, 2))
        assert logits(model) == whole
        assert len({whole, *of_each}) == 3
        for wrong in ((1, 1), (1, 0), (0, 3), (2, 3)):
            with pytest.raises(SlmError, match="expected some of the layers 0 to 2") as caught:
                model.consist_of(wrong)
            assert caught.value.code == "invalid_argument"
        assert logits(model) == whole

    with Model.open(llama, layers=(1, 2)) as model:
        assert logits(model) == of_each[1]
        assert (model.info["packed_bytes"] or 0) < (packed or 0)
        left_out = [t for t in model.info["tensors"] if "granule" not in t]
        assert {t["name"].split(".")[1] for t in left_out} == {"0"}
        for wrong in ((0, 1), (0, 2)):
            with pytest.raises(SlmError, match="expected some of the layers 1 to 2"):
                model.consist_of(wrong)
        index = model.info["tensors"].index(left_out[0])
        with model.core.allocate(64) as bytes_, pytest.raises(SlmError, match="is left out"):
            model.core.check("slm_model_feed", model.handle, index, 0, bytes_, 64)

    for wrong in ((0, 0), (2, 4)):
        with pytest.raises(SlmError, match="expected some of the layers 0 to 2") as caught:
            Model.open(llama, layers=wrong)
        assert caught.value.code == "invalid_argument"


def test_a_closed_model_frees_its_memory_at_once(llama: Path) -> None:
    """Whoever loads a model of gigabytes after it needs that room, before anything is collected."""

    def used() -> weakref.ref[Instance]:
        with Model.open(llama) as model, model.session(8) as session:
            session.eval(model.tokenizer.encode("the hen"))
            return weakref.ref(model.core)

    gc.disable()
    try:
        assert used()() is None
    finally:
        gc.enable()
