"""Tiny GGUF models for the tests of the Python side: quick to write, quick to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

from tests.goldens.tiny_gguf import write_gguf

# Each message between special tokens of the tiny qwen2, as ChatML has it.
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{{ message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

CODE_GEMMA = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|file_separator|>")
QWEN_CODER = (*CODE_GEMMA[:3], "<|file_sep|>", "<|repo_name|>", "<|fim_pad|>")


def tiny(name: str, folder: Path) -> Path:
    """The tiny model `name` as one file in `folder`."""
    (path,) = write_gguf(name, folder / f"tiny-{name}.gguf")
    return path


def with_template(
    source: Path, target: Path, template: str, renamed: Mapping[str, str] | None = None
) -> Path:
    """A copy of a GGUF with a chat template in its metadata, and with other names for tokens."""
    copy_with_template(source, target, template, 0, renamed)
    return target


def with_special(source: Path, target: Path, names: Sequence[str]) -> Path:
    """A copy of a tiny GGUF whose first unused tokens are control tokens with these texts."""
    fields = gguf.GGUFReader(source).fields
    tokens = list(fields["tokenizer.ggml.tokens"].contents())
    types = list(fields["tokenizer.ggml.token_type"].contents())
    first = types.index(gguf.TokenType.UNUSED)
    tokens[first : first + len(names)] = names
    types[first : first + len(names)] = [gguf.TokenType.CONTROL] * len(names)
    edits = {"tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types}
    _copy(source, target, edits)
    return target


def with_context(source: Path, target: Path, n_ctx: int) -> Path:
    """A copy of a GGUF that says it was trained for `n_ctx` positions."""
    architecture = gguf.GGUFReader(source).fields["general.architecture"].contents()
    _copy(source, target, {f"{architecture}.context_length": n_ctx})
    return target


def with_pieces(source: Path, target: Path, pieces: Sequence[str]) -> Path:
    """A copy of a tiny GGUF with scored merges that has these pieces too, the first before all."""
    fields = gguf.GGUFReader(source).fields
    tokens = list(fields["tokenizer.ggml.tokens"].contents())
    types = list(fields["tokenizer.ggml.token_type"].contents())
    scores = list(fields["tokenizer.ggml.scores"].contents())
    for i, piece in enumerate(pieces):
        at = tokens.index(piece) if piece in tokens else types.index(gguf.TokenType.UNUSED)
        tokens[at], types[at], scores[at] = piece, gguf.TokenType.NORMAL, float(len(pieces) - i)
    edits = {
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.scores": scores,
    }
    _copy(source, target, edits)
    return target


def split_set(source: Path, target: Path, template: str, max_tensors: int) -> list[Path]:
    """The same as a split set: its files, as the gguf package cuts them and names them."""
    return copy_with_template(source, target, template, max_tensors)


def copy_with_template(
    source: Path,
    target: Path,
    template: str,
    split_max_tensors: int,
    renamed: Mapping[str, str] | None = None,
) -> list[Path]:
    return _copy(source, target, {}, template, split_max_tensors, renamed)


def with_tensors(source: Path, target: Path, beside: Mapping[str, NDArray[np.float32]]) -> Path:
    """A copy of a GGUF that has these tensors, too."""
    _copy(source, target, {}, beside=beside)
    return target


def _copy(
    source: Path,
    target: Path,
    edits: Mapping[str, Any],
    template: str | None = None,
    split_max_tensors: int = 0,
    renamed: Mapping[str, str] | None = None,
    beside: Mapping[str, NDArray[np.float32]] | None = None,
) -> list[Path]:
    """A copy of a GGUF with other values for some of its keys."""
    reader = gguf.GGUFReader(source)
    architecture = str(reader.fields["general.architecture"].contents())
    writer = gguf.GGUFWriter(target, architecture, split_max_tensors=split_max_tensors)
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key == "general.architecture":
            continue
        kind, *sub = field.types
        value = edits.get(key, field.contents())
        if renamed and key == "tokenizer.ggml.tokens":
            value = [renamed.get(token, token) for token in value]
        writer.add_key_value(key, value, kind, sub_type=sub[-1] if sub else None)
    if template is not None:
        writer.add_chat_template(template)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, np.array(tensor.data), raw_dtype=tensor.tensor_type)
    for name, values in (beside or {}).items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    files = writer.format_shard_names(target)
    writer.close()
    return files
