"""Token ids of transformers' tokenizer against those of the core on the converted file,
on the Unicode corpus: every pre-tokenizer that is recognized, SentencePiece's BPE as
tokenizer.json and as tokenizer.model, and the special tokens around.
"""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from gguf import GGUFReader, TokenType

from slmweb.convert import convert
from slmweb.core import Instance, Model
from slmweb.errors import SlmError
from tests.goldens.vocabularies import corpus
from tests.py.convert import checkpoints

N_VOCAB = checkpoints.N_VOCAB


def texts() -> dict[str, str]:
    """What of the corpus is text; transformers takes no broken UTF-8."""
    found = {}
    for case in corpus():
        try:
            found[case.name] = case.text.decode()
        except UnicodeDecodeError:
            continue
    assert len(found) > 100
    return found


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder with weights and config of an architecture, to which a tokenizer comes."""
    tiny = checkpoints.models()
    made: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in made:
            folder = tmp_path_factory.mktemp("weights") / name
            model = replace(tiny[name], n_layer=1)
            made[name] = checkpoints.save(folder, checkpoints.model_of(model))
        return made[name]

    return get


def converted(folder: Path, tokenizer: Any, tmp_path: Path) -> Path:
    copy = Path(shutil.copytree(folder, tmp_path / "it"))
    if tokenizer is not None:
        tokenizer.save_pretrained(copy)
    convert(copy, tmp_path / "out.gguf")
    return tmp_path / "out.gguf"


TOKENIZERS: dict[str, tuple[str, Callable[[], Any]]] = {
    "gpt-2": ("llama", partial(checkpoints.byte_level_tokenizer, "gpt-2")),
    "smollm": ("llama", partial(checkpoints.byte_level_tokenizer, "smollm")),
    "llama-bpe": ("llama", partial(checkpoints.byte_level_tokenizer, "llama-bpe")),
    "gpt-4o": ("llama", partial(checkpoints.byte_level_tokenizer, "gpt-4o")),
    "tekken": ("mistral3", partial(checkpoints.byte_level_tokenizer, "tekken")),
    "dbrx": ("granite", partial(checkpoints.byte_level_tokenizer, "dbrx")),
    "qwen2": ("qwen2", partial(checkpoints.byte_level_tokenizer, "qwen2")),
    "gemma": ("gemma2", checkpoints.gemma_tokenizer),
    "llama2": ("llama", checkpoints.llama2_tokenizer),
    "legacy llama2": ("llama", checkpoints.legacy_llama2_tokenizer),
}


def differs(name: str, text: str, special: list[str]) -> bool:
    """Where transformers is known not to do what llama.cpp does: it composes Qwen's
    characters first, and puts its one space before the whole text if there is none,
    where llama.cpp puts one before each piece of text between special tokens."""
    if name == "qwen2":
        return unicodedata.normalize("NFC", text) != text
    return name == "llama2" and (
        text.startswith((" ", "▁")) or any(token in text for token in special)
    )


@pytest.mark.parametrize("name", TOKENIZERS)
def test_ids_of_the_corpus(
    name: str, models: Callable[[str], Path], tmp_path: Path, core: Instance
) -> None:
    architecture, make = TOKENIZERS[name]
    path = converted(models(architecture), make(), tmp_path)
    # As anybody would load it, from what was saved.
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "it")
    special = [text for text in tokenizer.get_added_vocab() if text]
    wrong, compared = [], 0
    with Model.open(path, weights=False, core=core) as model:
        assert model.info["n_vocab"] == N_VOCAB
        for case, text in texts().items():
            if differs(name, text, special):
                continue
            compared += 1
            for bos in (False, True):
                expected = tokenizer.encode(text, add_special_tokens=bos)
                if model.tokenizer.encode(text, bos=bos) != expected:
                    wrong.append(case)
        assert not wrong
        assert compared > 80
        assert model.info["add_bos"] == (
            tokenizer.encode("a") != tokenizer.encode("a", add_special_tokens=False)
        )


OVERLAPPING = ["1", "13", "314", "ab", "bcde", "cd", "<x>", "<x><y>", "y>z", "aab", "aa"]


@pytest.mark.parametrize("special", [True, False], ids=["special", "visible"])
@pytest.mark.parametrize("name", ["smollm", "gemma"])
def test_added_tokens_that_overlap(
    name: str, special: bool, models: Callable[[str], Path], tmp_path: Path, core: Instance
) -> None:
    """The leftmost is taken, and of those that begin together the longest."""
    from tokenizers import AddedToken
    from transformers import AutoTokenizer

    architecture, make = TOKENIZERS[name]
    tokenizer = make()
    tokenizer.add_tokens(
        [AddedToken(t, special=special) for t in OVERLAPPING], special_tokens=special
    )
    path = converted(models(architecture), tokenizer, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "it")
    with Model.open(path, weights=False, core=core) as model:
        for text in ("1314151", "abcde", "xabcdey 13 1 314", "<x><y>z", "<x>y>z", "aaab aaaab"):
            expected = tokenizer.encode(text, add_special_tokens=False)
            assert model.tokenizer.encode(text, bos=False) == expected, text


@pytest.mark.parametrize(
    ("other", "text", "noted"),
    [("y@", "y@x@", True), ("a@x@b", "a@x@b", True), ("@x@y", "@x@y", True), ("@y", "@x@y", False)],
)
def test_added_tokens_that_transformers_takes_out_of_order(
    other: str,
    text: str,
    noted: bool,
    models: Callable[[str], Path],
    tmp_path: Path,
    core: Instance,
) -> None:
    """Those that are not normalized come first, wherever they stand; a GGUF cannot say it, so
    it is noted where it matters."""
    from tokenizers import AddedToken

    tokenizer = checkpoints.byte_level_tokenizer("smollm")
    tokenizer.add_tokens([AddedToken("@x@", normalized=False), AddedToken(other, normalized=True)])
    folder = Path(shutil.copytree(models("llama"), tmp_path / "it"))
    tokenizer.save_pretrained(folder)
    notes = convert(folder, tmp_path / "out.gguf").notes
    assert any(f"{other!r} and '@x@' overlap" in note for note in notes) == noted
    with Model.open(tmp_path / "out.gguf", weights=False, core=core) as model:
        expected = tokenizer.encode(text, add_special_tokens=False)
        assert (model.tokenizer.encode(text, bos=False) != expected) == noted


@pytest.mark.parametrize("gemma", [True, False], ids=["gemma", "llama2"])
def test_tokenizer_model_alone(
    gemma: bool, models: Callable[[str], Path], tmp_path: Path, core: Instance
) -> None:
    """Against the sentencepiece library itself; its special tokens are no text to it."""
    folder = Path(shutil.copytree(models("gemma" if gemma else "llama"), tmp_path / "in"))
    data = checkpoints.sentencepiece_model(gemma)
    (folder / "tokenizer.model").write_bytes(data)
    path = converted(folder, None, tmp_path)
    processor = sentencepiece.SentencePieceProcessor(model_proto=data)
    wrong = []
    with Model.open(path, weights=False, core=core) as model:
        info = model.info
        assert [info["bos"], info["eos"]] == [processor.bos_id(), processor.eos_id()]
        for case, text in texts().items():
            # It reads U+2581 as a space, and a zero byte ends its text.
            if text and "▁" not in text and "\0" not in text:
                found = model.tokenizer.encode(text, special=False, bos=False)
                if found != processor.encode(text):
                    wrong.append(case)
    assert not wrong


def test_added_tokens_beside_a_tokenizer_model(
    models: Callable[[str], Path], tmp_path: Path, core: Instance
) -> None:
    folder = Path(shutil.copytree(models("gemma"), tmp_path / "in"))
    (folder / "tokenizer.model").write_bytes(checkpoints.sentencepiece_model(True))
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "add_bos_token": True,
                "bos_token": {"content": "<bos>"},
                "eos_token": "<turn_end>",
                "added_tokens_decoder": {
                    "430": {"content": "<turn_end>", "special": True},
                    "431": {"content": "▁visible▁", "special": False},
                    "500": {"content": "<image>", "special": True},
                },
            }
        )
    )
    result = convert(folder, tmp_path / "out.gguf")
    assert any("<image>" in note for note in result.notes)
    with Model.open(tmp_path / "out.gguf", weights=False, core=core) as model:
        assert model.info["eos"] == 430
        assert 430 in model.info["eog"]
        assert model.tokenizer.encode("a visible <turn_end>")[-2:] == [431, 430]
        assert model.tokenizer.decode([431, 430]) == b" visible "


def field(path: Path, key: str) -> Any:
    found = GGUFReader(path).fields.get(key)
    return None if found is None else found.contents()


def test_what_the_metadata_says(models: Callable[[str], Path], tmp_path: Path) -> None:
    """CodeGemma's fill-in-the-middle, several ends, the generation and model card facts."""
    from tokenizers import AddedToken

    folder = Path(shutil.copytree(models("gemma"), tmp_path / "in"))
    tokenizer = checkpoints.gemma_tokenizer()
    fill = ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|file_separator|>"]
    tokenizer.add_tokens([AddedToken(t, special=True) for t in [*fill, "<stop>"]])
    ids = {
        text: tokenizer.convert_tokens_to_ids(text)
        for text in [*fill, "<stop>", *checkpoints.TURNS]
    }
    (folder / "generation_config.json").write_text(
        json.dumps(
            {
                "eos_token_id": [1, ids["<end_of_turn>"], ids["<stop>"]],
                "temperature": 0.7,
                "top_k": 20,
                "top_p": 0.9,
            }
        )
    )
    (folder / "README.md").write_text(
        "---\nlicense: gemma\nlicense_link: https://example.org/terms\nlanguage: [en, de]\n"
        "base_model: google/gemma-2b\n---\nA model.\n"
    )
    path = converted(folder, tokenizer, tmp_path)
    for key, expected in {
        "tokenizer.ggml.fim_pre_token_id": ids["<|fim_prefix|>"],
        "tokenizer.ggml.fim_suf_token_id": ids["<|fim_suffix|>"],
        "tokenizer.ggml.fim_mid_token_id": ids["<|fim_middle|>"],
        "tokenizer.ggml.fim_sep_token_id": ids["<|file_separator|>"],
        "tokenizer.ggml.bos_token_id": 2,
        "tokenizer.ggml.eos_token_id": 1,
        "tokenizer.ggml.unknown_token_id": 3,
        "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.ggml.eot_token_id": ids["<end_of_turn>"],
        "tokenizer.ggml.eom_token_id": ids["<stop>"],
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.ggml.add_space_prefix": False,
        "tokenizer.chat_template": checkpoints.CHAT,
        "general.name": "it",
        "general.license": "gemma",
        "general.license.link": "https://example.org/terms",
        "general.languages": ["en", "de"],
        "general.base_model.0.repo_url": "https://huggingface.co/google/gemma-2b",
        "general.sampling.top_k": 20,
    }.items():
        assert field(path, key) == expected, key
    assert field(path, "general.sampling.temp") == pytest.approx(0.7)
    types = dict(
        zip(
            field(path, "tokenizer.ggml.tokens"),
            field(path, "tokenizer.ggml.token_type"),
            strict=True,
        )
    )
    assert types["<bos>"] == types["<end_of_turn>"] == TokenType.CONTROL
    assert types["<0x41>"] == TokenType.BYTE
    assert types["th"] == TokenType.NORMAL
    assert types[f"[PAD{N_VOCAB - 1}]"] == TokenType.UNUSED


@pytest.mark.parametrize("where", ["jinja", "json", "config", "several", "named files"])
def test_chat_templates_wherever_they_are(
    where: str, models: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(models("qwen2"), tmp_path / "in"))
    tokenizer = checkpoints.byte_level_tokenizer("qwen2")
    tokenizer.save_pretrained(folder)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    several = [{"name": "default", "template": "D"}, {"name": "tool_use", "template": "T"}]
    match where:
        case "jinja":
            (folder / "chat_template.jinja").write_text("D")
        case "json":
            (folder / "chat_template.json").write_text(json.dumps({"chat_template": "D"}))
        case "config":
            config["chat_template"] = "D"
        case "several":
            config["chat_template"] = several
        case _:
            (folder / "chat_template.jinja").write_text("D")
            (folder / "additional_chat_templates").mkdir()
            (folder / "additional_chat_templates" / "tool_use.jinja").write_text("T")
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    convert(folder, tmp_path / "out.gguf")
    assert field(tmp_path / "out.gguf", "tokenizer.chat_template") == "D"
    expected = "T" if where in ("several", "named files") else None
    assert field(tmp_path / "out.gguf", "tokenizer.chat_template.tool_use") == expected


def test_a_template_that_cannot_be_parsed_is_refused(
    models: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(models("qwen2"), tmp_path / "in"))
    checkpoints.byte_level_tokenizer("qwen2").save_pretrained(folder)
    (folder / "chat_template.jinja").write_text("one\n{{ a b }}")
    with pytest.raises(SlmError, match=r"in: the chat template has a syntax error \(line 2: ") as e:
        convert(folder, tmp_path / "out.gguf")
    assert e.value.code == "bad_template"
    assert not (tmp_path / "out.gguf").exists()


Json = dict[str, Any]


def _forget_merges(file: Json) -> None:
    file["model"]["merges"] = file["model"]["merges"][::2]


@pytest.mark.parametrize(
    ("name", "damage", "reason"),
    [
        ("qwen2", lambda f: f["model"].update(type="WordLevel"), "type 'WordLevel'"),
        ("qwen2", lambda f: f.update(normalizer={"type": "Lowercase"}), "normalizer 'Lowercase'"),
        (
            "qwen2",
            lambda f: f["pre_tokenizer"]["pretokenizers"][0]["pattern"].update(Regex=r"\S+"),
            "not known here",
        ),
        ("qwen2", lambda f: f["model"].update(ignore_merges=True), "not known here"),
        ("qwen2", lambda f: f["pre_tokenizer"].update(type="Whitespace"), "not known here"),
        ("gemma2", _forget_merges, "possible merges not to be made"),
        ("gemma2", lambda f: f.update(normalizer={"type": "NFKC"}), "normalizer 'NFKC'"),
        ("gemma2", lambda f: f["model"].update(dropout=0.1), "dropout"),
    ],
)  # fmt: skip
def test_tokenizers_that_are_refused(
    name: str,
    damage: Callable[[Json], None],
    reason: str,
    models: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    folder = Path(shutil.copytree(models(name), tmp_path / "in"))
    kind = "qwen2" if name == "qwen2" else "gemma"
    TOKENIZERS[kind][1]().save_pretrained(folder)
    path = folder / "tokenizer.json"
    file = json.loads(path.read_text())
    damage(file)
    path.write_text(json.dumps(file))
    with pytest.raises(SlmError, match=reason) as caught:
        convert(folder, tmp_path / "out.gguf")
    assert caught.value.code == "unsupported"
    assert str(path) in caught.value.message
    assert not (tmp_path / "out.gguf").exists()


@pytest.mark.parametrize(
    "options", [{"model_type": "unigram"}, {"normalization_rule_name": "nfkc"}]
)
def test_sentencepiece_models_that_are_refused(
    options: Json, models: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(models("gemma"), tmp_path / "in"))
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(checkpoints.sentences()),
        model_prefix=str(folder / "tokenizer"),
        **{"model_type": "bpe", "vocab_size": 120, "minloglevel": 2, **options},
    )
    with pytest.raises(SlmError, match=r"tokenizer\.model") as caught:
        convert(folder, tmp_path / "out.gguf")
    assert caught.value.code == "unsupported"
