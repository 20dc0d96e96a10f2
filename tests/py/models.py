"""Tiny GGUF models for the tests of the Python side: quick to write, quick to run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np

from tests.goldens.tiny_gguf import write_gguf

# Each message between special tokens of the tiny qwen2, as ChatML has it.
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{{ message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


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
    reader = gguf.GGUFReader(source)
    architecture = str(reader.fields["general.architecture"].contents())
    writer = gguf.GGUFWriter(target, architecture, split_max_tensors=split_max_tensors)
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key == "general.architecture":
            continue
        kind, *sub = field.types
        value = field.contents()
        if renamed and key == "tokenizer.ggml.tokens":
            value = [renamed.get(token, token) for token in value]
        writer.add_key_value(key, value, kind, sub_type=sub[-1] if sub else None)
    writer.add_chat_template(template)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, np.array(tensor.data), raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    files = writer.format_shard_names(target)
    writer.close()
    return files
