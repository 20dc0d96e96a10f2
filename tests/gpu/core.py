"""The core's variant `webgpu` as an Instance: whatever Python does with the core on the
CPU runs on a GPU with it, through Node and Dawn (serve.ts), so that the same tests run
against both. Knows the protocol of serve.ts and no test.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import IO, Any

import pytest

from slmweb.core import Instance
from slmweb.errors import SlmError
from tests.dawn import NO_DEVICE, ROOT, environment

WASM = ROOT / "dist/wasm/slm-webgpu.wasm"

NO_DEVICE_CODE = 3  # serve.ts says so by its exit


class GpuInstance(Instance):
    """An Instance whose exports and memory are those of another process.

    `form` is that of its products; what a page measures and chooses on an emulated
    device is "lane".
    """

    def __init__(self, script: Path, form: str = "lane", **wish: object) -> None:
        self.path = WASM
        self._crash = None
        self._size = 0
        self._windows: list[tuple[int, bytearray, bytes]] = []
        self._process = subprocess.Popen(
            ["node", script, WASM, json.dumps({"subgroups": form == "subgroup", **wish})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
        )
        names = [
            self.string(self.pointer("slm_dot_name", i)) for i in range(self.call("slm_dot_count"))
        ]
        self.check("slm_dot_select", names.index(form))

    def close(self) -> None:
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(timeout=60)

    def call(self, name: str, *arguments: int | float) -> Any:
        if self._crash is not None:
            raise self._crash
        self._flush()
        # As text, because JSON has no infinity.
        reply, _ = self._ask({"call": name, "args": [json.dumps(+a) for a in arguments]})
        self._size = reply["size"]
        result = reply["result"]
        return float(result) if isinstance(result, str) else result

    def tune(self) -> None:
        """The form is the test's choice."""

    def facts(self) -> dict[str, Any]:
        """What the host knows: its device, what it did, what it compiled."""
        reply, _ = self._ask({"facts": True})
        return reply

    @property
    def memory_bytes(self) -> int:
        return self._size

    def view(self, address: int, n: int) -> memoryview:
        assert address + n <= self._size
        # What is written into it goes over with the next call, after which it is invalid anyway.
        _, content = self._ask({"read": address, "n": n})
        window = bytearray(content)
        self._windows.append((address, window, content))
        return memoryview(window)

    def _flush(self) -> None:
        for address, window, before in self._windows:
            if window != before:
                self._ask({"write": address, "n": len(window)}, bytes(window))
        self._windows.clear()

    def _ask(self, request: dict[str, Any], content: bytes = b"") -> tuple[dict[str, Any], bytes]:
        to, back = self._process.stdin, self._process.stdout
        assert to is not None
        assert back is not None
        to.write(json.dumps(request).encode() + b"\n" + content)
        to.flush()
        line = back.readline()
        if not line:
            if self._process.wait(timeout=60) == NO_DEVICE_CODE:
                pytest.skip(NO_DEVICE)
            raise AssertionError("the process of Node has ended; its words are above")
        reply: dict[str, Any] = json.loads(line)
        content = _exactly(back, reply["n"])
        if "failed" in reply:
            raise SlmError("crashed", reply["failed"])
        return reply, content


def _exactly(stream: IO[bytes], n: int) -> bytes:
    content = stream.read(n)
    assert len(content) == n
    return content
