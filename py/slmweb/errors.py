"""The one exception of slmweb: a code for programs and a sentence for people.

Owns the vocabulary of codes and the exit status that belongs to each, and knows
nothing of where an error comes from, so that every layer can raise it and only
the command line decides what becomes of it.
"""

from __future__ import annotations

from typing import Literal, get_args

Code = Literal[
    # from the core, named as in wasm/include/slm.h
    "invalid_argument",
    "bad_file",
    "unsupported",
    "out_of_memory",
    "context_full",
    "wrong_state",
    # from the host
    "crashed",  # the core trapped; the instance cannot be used any more
    "unreadable",  # the operating system does not let us read this file
    "unwritable",
    "unavailable",  # a port or an address that we cannot have
    "network",  # a server is out of reach, or does not give what was asked
    "license",  # terms that nobody has accepted yet
    "bad_manifest",
    "bad_signature",  # the manifest is not signed, or not by the key that was asked for
    "bad_registry",  # a table of models, devices or browsers that is not one
    "bad_template",  # the chat template is missing or fails on these messages
    "corrupt",  # bytes that do not match their SHA-256
    "not_built",  # a file that `make` produces is missing
    "missing_extra",  # a package that only some commands need
    "bad_data",  # a line of a data set
    "gate",  # a figure is worse than was asked for
]
CODES: tuple[str, ...] = get_args(Code)


class SlmError(Exception):
    """What was expected, what was found and what to do, in one sentence.

    `code` is one of `CODES`; `message` is the sentence, without a final newline.
    """

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def exit_status(self) -> int:
        """2 when the caller asked for something that makes no sense, else 1."""
        return 2 if self.code == "invalid_argument" else 1


def os_reason(error: OSError) -> str:
    """The operating system's reason in its own words, without errno and path."""
    return (error.strerror or str(error) or type(error).__name__).lower()
