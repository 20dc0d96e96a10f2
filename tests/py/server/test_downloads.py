"""500 downloads at once: every byte arrives, and none of another's."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.py.support import Site, add_model, make_folders, running

DOWNLOADS = 500
CHUNKS = 8
SIZE = 700_000  # not a multiple of anything that the server reads at once


def content(index: int) -> bytes:
    return random.Random(index).randbytes(SIZE)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    root: Path = tmp_path_factory.mktemp("busy")
    folders = make_folders(root)
    add_model(folders.models, "many", [content(index) for index in range(CHUNKS)])
    with running(folders) as site:
        yield site


async def ranged_get(port: int, path: str, start: int, stop: int) -> bytes:
    """The body of one request on a connection of its own, checked for status and length."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    try:
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            f"Range: bytes={start}-{stop - 1}\r\n\r\n".encode()
        )
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert head.startswith("http/1.1 206 "), head
        assert f"content-range: bytes {start}-{stop - 1}/{SIZE}\r\n" in head
        assert f"content-length: {stop - start}\r\n" in head
        return await reader.read(-1)
    finally:
        writer.close()
        await writer.wait_closed()


def test_500_concurrent_ranged_downloads_lose_and_mix_no_byte(busy: Site) -> None:
    chunks = [content(index) for index in range(CHUNKS)]
    noise = random.Random(500)
    wanted = []
    for number in range(DOWNLOADS):
        start = noise.randrange(SIZE - 1)
        wanted.append((number % CHUNKS, start, noise.randrange(start + 1, SIZE + 1)))

    async def download_all() -> list[bytes]:
        async with asyncio.timeout(60):
            return await asyncio.gather(
                *(
                    ranged_get(
                        busy.port,
                        f"/models/many/{hashlib.sha256(chunks[index]).hexdigest()}",
                        start,
                        stop,
                    )
                    for index, start, stop in wanted
                )
            )

    bodies = asyncio.run(download_all())
    assert len(bodies) == DOWNLOADS
    for body, (index, start, stop) in zip(bodies, wanted, strict=True):
        assert body == chunks[index][start:stop]


def test_interrupted_downloads_leave_nothing_behind(busy: Site) -> None:
    path = f"/models/many/{hashlib.sha256(content(0)).hexdigest()}"
    descriptors = Path(f"/proc/{busy.process.pid}/fd")
    before = len(list(descriptors.iterdir()))

    async def leave_early() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", busy.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await writer.drain()
        writer.transport.abort()

    async def hundred() -> None:
        await asyncio.gather(*(leave_early() for _ in range(100)))

    asyncio.run(hundred())
    # Each request is answered after those abandoned before it were noticed.
    for _ in range(200):
        assert busy.request("/models/index.json").status == 200
        if len(list(descriptors.iterdir())) < before + 10:
            break
    # Not exactly as before: the request just answered may still be closing.
    assert len(list(descriptors.iterdir())) < before + 10
