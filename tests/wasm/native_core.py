"""The sanitized native core in a process of its own (driver.cpp). A fault that a
sanitizer sees ends that process, and the test fails with the sanitizer's words.
Knows the driver's protocol and no test.
"""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

OK, INVALID_ARGUMENT, BAD_FILE, UNSUPPORTED = 0, -1, -2, -3
NEED_MORE, WRONG_STATE = -6, -7

SPECIAL, BOS = 1, 2


@dataclass(frozen=True)
class Answer:
    status: int
    content: bytes

    @property
    def sentence(self) -> str:
        return self.content.decode()


class NativeCore:
    def __init__(self, driver: Path) -> None:
        self._process = subprocess.Popen(
            [driver], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def close(self) -> None:
        _, words = self._process.communicate(timeout=60)
        assert self._process.returncode == 0, words.decode()

    def new_model(self) -> None:
        self._ask("n")

    def header(self, content: bytes, file_size: int | None = None) -> Answer:
        """Gives a header to a new model."""
        self.new_model()
        return self._ask("h", len(content) if file_size is None else file_size, content)

    def load(self, content: bytes) -> None:
        answer = self.header(content)
        assert answer.status == OK, answer.sentence

    def layout(self) -> Answer:
        return self._ask("l")

    def describe(self) -> dict[str, Any]:
        description: dict[str, Any] = json.loads(self._ask("d").content)
        return description

    def tokenize(self, text: str | bytes, flags: int = 0) -> list[int]:
        answer = self._ask("t", flags, text.encode() if isinstance(text, str) else text)
        assert answer.status >= 0, answer.sentence
        return list(struct.unpack(f"<{answer.status}i", answer.content))

    def detokenize(self, ids: Sequence[int], flags: int = 0) -> bytes:
        answer = self._ask("u", flags, struct.pack(f"<{len(ids)}i", *ids))
        assert answer.status >= 0, answer.sentence
        return answer.content

    def _ask(self, command: str, number: float = 0, content: bytes = b"") -> Answer:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin
        assert stdout
        try:
            stdin.write(command.encode() + struct.pack("<dI", number, len(content)) + content)
            stdin.flush()
            status, n = struct.unpack("<iI", self._read(stdout, 8))
            return Answer(status, self._read(stdout, n))
        except (BrokenPipeError, EOFError):
            stderr = self._process.stderr
            assert stderr
            words = stderr.read().decode(errors="replace")
            raise AssertionError(f"the core ended in the middle of '{command}':\n{words}") from None

    @staticmethod
    def _read(stream: IO[bytes], n: int) -> bytes:
        content = stream.read(n)
        if len(content) < n:
            raise EOFError
        return content
