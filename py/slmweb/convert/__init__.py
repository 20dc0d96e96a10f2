"""Checkpoints of transformers, with or without PEFT adapters, as GGUF files."""

from .convert import Converted, convert, convert_adapter

__all__ = ["Converted", "convert", "convert_adapter"]
