"""The shipped WebAssembly core, run inside Python by wasmtime.

  with Model.open("model.gguf") as model, model.session() as session:
      for text in session.generate(model.tokenizer.encode("Once upon a time")):
          print(text, end="")

What is evaluated here is what the browser runs: the same .wasm file.
"""

from ..generated.abi import Site
from .adapter import Adapter, AdapterInfo
from .chat import chat_prompt, chat_text, render
from .fim import FittedPrompt, Infill, fill_or_continue
from .instance import Instance, Variant
from .model import Model, ModelInfo, Tokenizer
from .perplexity import Perplexity, perplexity
from .sae import Sae, SaeInfo
from .session import Generation, Sampling, Session
from .vision import Picture, Vision, VisionInfo

__all__ = [
    "Adapter",
    "AdapterInfo",
    "FittedPrompt",
    "Generation",
    "Infill",
    "Instance",
    "Model",
    "ModelInfo",
    "Perplexity",
    "Picture",
    "Sae",
    "SaeInfo",
    "Sampling",
    "Session",
    "Site",
    "Tokenizer",
    "Variant",
    "Vision",
    "VisionInfo",
    "chat_prompt",
    "chat_text",
    "fill_or_continue",
    "perplexity",
    "render",
]
