"""Results as they come, one JSON line each, so that an interrupted run goes on.

Owns the file `items.jsonl` and its keys: a record counts only for the very same
model, reference, line, settings and core, all of them in one SHA-256. A line is
written whole when an item is done; what a kill leaves of one is not read.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from ..atomic import check_output
from ..errors import SlmError, os_reason

FILE = "items.jsonl"


def fingerprint(*parts: object) -> str:
    """Of anything that JSON can say."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


class Journal:
    """The records in a folder, which is made; None keeps nothing.

    Raises SlmError "unwritable", and what check_output raises.
    """

    def __init__(self, folder: Path | None) -> None:
        self._records: dict[str, dict[str, Any]] = {}
        self._fd = -1
        if folder is None:
            return
        self._path = folder / FILE
        check_output(self._path)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            data = self._path.read_bytes()
            for line in data.split(b"\n"):
                self._read(line)
            if data and not data.endswith(b"\n"):
                os.write(self._fd, b"\n")
        except OSError as error:
            self.close()
            raise SlmError("unwritable", f"cannot write {folder}: {os_reason(error)}") from None

    def get(self, key: str) -> dict[str, Any] | None:
        return self._records.get(key)

    def add(self, key: str, model: str, record: dict[str, Any]) -> None:
        """Keeps a record; `model` is there for who reads the file."""
        self._records[key] = record
        if self._fd < 0:
            return
        line = json.dumps({"key": key, "model": model, **record}, ensure_ascii=False) + "\n"
        try:
            data = line.encode()
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            raise SlmError("unwritable", f"cannot write {self._path}: {os_reason(error)}") from None

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read(self, line: bytes) -> None:
        try:
            record = json.loads(line)
            key = record.pop("key")
            record.pop("model")
        except (ValueError, KeyError, AttributeError):
            return
        self._records[key] = record
