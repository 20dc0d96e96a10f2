"""A vocabulary as GGUF has it: the tokens, their kinds, scores or merges, and the
special ones, from whichever tokenizer files a checkpoint has.

Owns llama.cpp's conventions for tokenizer.ggml.*, and the rules by which the files
are read together. The two formats have files of their own; no text is tokenized.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gguf import GGUFWriter, TokenType

from ..errors import SlmError
from .checkpoint import Json, first_with, read_json_if_there, read_text

TOKENIZER_JSON = "tokenizer.json"
SENTENCEPIECE = "tokenizer.model"
SETTINGS = "tokenizer_config.json"
ADDED_SCORE = -1000.0  # llama.cpp's, of what is never merged
_SCORED = ("llama", "t5")

# Tokens that end a turn or a message; llama.cpp and the core know them by name.
_END_OF_TURN = (
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
)
_END_OF_GENERATION = (*_END_OF_TURN, "<|eom_id|>", "</s>", "<eos>")
# Fill-in-the-middle, by the names that Gemma, Qwen and others give the tokens.
_FILL = {
    "pre": ("<|fim_prefix|>", "<fim_prefix>", "<fim-prefix>"),
    "suf": ("<|fim_suffix|>", "<fim_suffix>", "<fim-suffix>"),
    "mid": ("<|fim_middle|>", "<fim_middle>", "<fim-middle>"),
    "pad": ("<|fim_pad|>",),
    "rep": ("<|repo_name|>", "<|fim_repo|>", "<repo_name>"),
    "sep": ("<|file_separator|>", "<|file_sep|>", "<file_sep>"),
}


@dataclass
class Vocabulary:
    """`types` and `scores` run along `tokens`. A model of "gpt2" has merges and no scores,
    one of "llama" or "t5" scores and no merges, one of "bert" neither."""

    model: str  # tokenizer.ggml.model
    pre: str  # tokenizer.ggml.pre
    tokens: list[str]
    types: list[TokenType]
    scores: list[float] = field(default_factory=list)
    merges: list[str] = field(default_factory=list)
    add_bos: bool | None = None
    add_eos: bool | None = None
    add_space_prefix: bool = False
    charsmap: bytes = b""  # SentencePiece's normalization, compiled
    special: dict[str, int] = field(default_factory=dict)  # "bos", "eos", "fim_pre"… -> id
    templates: str | list[dict[str, str]] | None = None
    notes: list[str] = field(default_factory=list)
    _remarks: dict[tuple[str, str], tuple[int, list[str]]] = field(default_factory=dict)

    def remark(self, text: str, one: str, several: str) -> None:
        """A note about a token: "the token 'x' `one`". Of all tokens of which the same is to be
        said it says "3 tokens ('x', …) `several`", since a vocabulary may have a thousand."""
        at, tokens = self._remarks.setdefault((one, several), (len(self.notes), []))
        if at == len(self.notes):
            self.notes.append("")
        tokens.append(repr(text))
        listed = ", ".join(tokens[:5]) + (", …" if len(tokens) > 5 else "")
        self.notes[at] = (
            f"the token {listed} {one}"
            if len(tokens) == 1
            else f"{len(tokens):,} tokens ({listed}) {several}"
        )

    def add_to(self, writer: GGUFWriter) -> None:
        writer.add_tokenizer_model(self.model)
        writer.add_tokenizer_pre(self.pre)
        writer.add_token_list(self.tokens)
        writer.add_token_types(self.types)
        if self.model in _SCORED:
            writer.add_token_scores(self.scores)
        elif self.model == "gpt2":
            writer.add_token_merges(self.merges)
        for name, token in self.special.items():
            key = {"unk": "unknown", "pad": "padding"}.get(name, name)
            writer.add_uint32(f"tokenizer.ggml.{key}_token_id", token)
        if self.add_bos is not None:
            writer.add_add_bos_token(self.add_bos)
        if self.add_eos is not None:
            writer.add_add_eos_token(self.add_eos)
        writer.add_add_space_prefix(self.add_space_prefix)
        if self.model == "t5":
            writer.add_remove_extra_whitespaces(True)
        if self.charsmap:
            writer.add_precompiled_charsmap(self.charsmap)
        if self.templates:
            writer.add_chat_template(self.templates)

    def add(self, token: int, text: str, special: bool, n_vocab: int) -> None:
        """An added token, which may replace one of the model's."""
        if token >= n_vocab:
            reason = f"left out: the model has embeddings for {n_vocab} tokens only"
            self.remark(text, f"is {reason}", f"are {reason}")
            return
        while len(self.tokens) <= token:  # a hole, which no text can reach
            self._append(f"[PAD{len(self.tokens)}]", TokenType.UNUSED)
        control = special or _looks_special(text)
        if self.model == "llama" and not control:
            text = text.replace("▁", " ")  # it is looked for in the text as it is
        self.tokens[token] = text
        self.types[token] = TokenType.CONTROL if control else TokenType.USER_DEFINED
        if self.scores:
            self.scores[token] = ADDED_SCORE

    def pad(self, n_vocab: int, path: Path) -> None:
        """Fills up to the number of embeddings. Raises SlmError "bad_file" where there are
        more tokens than embeddings."""
        if len(self.tokens) > n_vocab:
            raise SlmError(
                "bad_file",
                f"{path} has {len(self.tokens)} tokens and the model embeddings for {n_vocab}; "
                "use the tokenizer that belongs to the checkpoint",
            )
        while len(self.tokens) < n_vocab:
            self._append(f"[PAD{len(self.tokens)}]", TokenType.UNUSED)

    def _append(self, text: str, kind: TokenType) -> None:
        self.tokens.append(text)
        self.types.append(kind)
        if self.model in _SCORED:
            self.scores.append(ADDED_SCORE)


def read_vocabulary(folders: Sequence[Path], n_vocab: int, config: Mapping[str, Any]) -> Vocabulary:
    """The vocabulary of a checkpoint, padded to `n_vocab` tokens.

    `folders` are those of the adapters, the last one first, and the base's: the
    first that has a tokenizer, a chat template, a generation config, gives it.
    tokenizer.json counts where there is one, since it is what transformers uses;
    otherwise tokenizer.model. Raises SlmError "unreadable", "bad_file" and
    "unsupported".
    """
    from .sentencepiece import read_sentencepiece
    from .tokenizer_json import read_tokenizer_json

    has = [f for f in folders if (f / TOKENIZER_JSON).exists() or (f / SENTENCEPIECE).exists()]
    folder = has[0] if has else folders[-1]
    path = folder / TOKENIZER_JSON
    if path.exists():
        vocabulary = read_tokenizer_json(path, n_vocab)
    elif (path := folder / SENTENCEPIECE).exists():
        vocabulary = read_sentencepiece(path)
        added = _added_tokens(folder, read_json_if_there(folder / SETTINGS))
        for token, text, special in added:
            vocabulary.add(token, text, special, n_vocab)
    else:
        raise SlmError(
            "unreadable",
            f"{folder / TOKENIZER_JSON} is missing, and so is {SENTENCEPIECE}; download the "
            "tokenizer into the folder, or save it there (save_pretrained does)",
        )
    vocabulary.pad(n_vocab, path)
    settings = read_json_if_there(first_with(SETTINGS, folders))
    for key in ("bos", "eos"):
        attribute, given = f"add_{key}", settings.get(f"add_{key}_token")
        if getattr(vocabulary, attribute) is None and isinstance(given, bool):
            setattr(vocabulary, attribute, given)
    if vocabulary.model == "gpt2" and vocabulary.add_bos is None:
        vocabulary.add_bos = False  # some pre-tokenizers stand for models that do
    _find_special(vocabulary, first_with("generation_config.json", folders), settings, config)
    for place in folders:
        if (templates := read_templates(place)) is not None:
            _check_templates(templates, place)
            vocabulary.templates = templates
            if place != folders[-1]:
                vocabulary.notes.append(f"the chat template is that of {place}")
            break
    return vocabulary


def _added_tokens(folder: Path, settings: Json) -> Iterable[tuple[int, str, bool]]:
    """What tokenizers without a tokenizer.json have beside tokenizer.model: (id, text, special)."""
    for text, token in read_json_if_there(folder / "added_tokens.json").items():
        if isinstance(token, int):
            yield token, text, False
    decoder = settings.get("added_tokens_decoder")
    for token, entry in (decoder if isinstance(decoder, dict) else {}).items():
        if isinstance(entry, dict) and str(token).isdigit():
            yield int(token), str(entry.get("content", "")), bool(entry.get("special"))


def _find_special(
    vocabulary: Vocabulary, generation_config: Path, settings: Json, config: Mapping[str, Any]
) -> None:
    ids = {text: token for token, text in enumerate(vocabulary.tokens)}
    generation = read_json_if_there(generation_config)
    special = vocabulary.special

    def known(tokens: object) -> list[int]:
        listed = tokens if isinstance(tokens, list) else [tokens]
        return [t for t in listed if isinstance(t, int) and 0 <= t < len(vocabulary.tokens)]

    for name in ("bos", "eos", "unk", "pad"):
        text = settings.get(f"{name}_token")
        text = text.get("content") if isinstance(text, dict) else text
        candidates = [ids[text]] if isinstance(text, str) and text in ids else []
        for source in (config, generation):
            candidates += known(source.get(f"{name}_token_id"))
        if candidates:
            special[name] = candidates[0]

    # A generation config may name several ends; a GGUF has keys for three.
    ends = known(generation.get("eos_token_id", config.get("eos_token_id")))
    others = [t for t in dict.fromkeys(ends) if t != special.get("eos")]
    turn = [t for t in others if vocabulary.tokens[t] in _END_OF_TURN]
    unnamed = [t for t in others if vocabulary.tokens[t] not in _END_OF_GENERATION]
    for name, token in zip(("eot", "eom"), [*turn[:1], *unnamed], strict=False):
        special[name] = token
    for token in unnamed[2 - len(turn[:1]) :]:
        what = "will not end an answer: a GGUF has no key for a fourth end"
        vocabulary.remark(vocabulary.tokens[token], what, what)
    for role, names in _FILL.items():
        for name in names:
            if name in ids:
                special.setdefault(f"fim_{role}", ids[name])


def read_templates(folder: Path) -> str | list[dict[str, str]] | None:
    """The chat template, or several by name, from the newest place to the oldest."""
    path = folder / "chat_template.jinja"
    if path.exists():
        more = sorted((folder / "additional_chat_templates").glob("*.jinja"))
        default = read_text(path)
        if not more:
            return default
        named = [{"name": file.stem, "template": read_text(file)} for file in more]
        return [{"name": "default", "template": default}, *named]
    found = read_json_if_there(folder / "chat_template.json").get("chat_template")
    found = found or read_json_if_there(folder / SETTINGS).get("chat_template")
    if isinstance(found, list):
        return [
            {"name": str(entry["name"]), "template": str(entry["template"])}
            for entry in found
            if isinstance(entry, dict) and {"name", "template"} <= entry.keys()
        ]
    return found if isinstance(found, str) else None


def _check_templates(templates: str | list[dict[str, str]], place: Path) -> None:
    """Refuses one that cannot be parsed: nothing would ever be able to chat with the model."""
    from ..core.chat import check_template

    named = [{"template": templates}] if isinstance(templates, str) else templates
    for entry in named:
        try:
            check_template(entry["template"])
        except SlmError as error:
            which = f" ({entry['name']!r})" if "name" in entry else ""
            raise SlmError(error.code, f"{place}{which}: {error.message}") from None


def _looks_special(text: str) -> bool:
    """llama.cpp's rule for tokens that tokenizers fail to mark."""
    return (
        text in ("<pad>", "<mask>", "<2mass>", "[@BOS@]")
        or (text.startswith("<|") and text.endswith("|>"))
        or (text.startswith("<｜") and text.endswith("｜>"))
        or (text.startswith("<unused") and text.endswith(">"))
    )
