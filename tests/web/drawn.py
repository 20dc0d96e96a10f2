"""A picture for tests of the page, drawn without a library: the PNG of a house on a lawn,
whose colours are flat, so that what a browser decodes of it is known."""

from __future__ import annotations

import struct
import zlib

SKY, LAWN, WALL = (120, 180, 240), (60, 150, 70), (220, 90, 60)


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def house(width: int = 320, height: int = 200) -> bytes:
    """A PNG of 8-bit RGB. The wall spans 0.25 to 0.75 of the width, 0.4 to 0.9 of the height."""
    rows = []
    for y in range(height):
        row = bytearray(b"\0")
        for x in range(width):
            wall = 0.25 <= x / width < 0.75 and 0.4 <= y / height < 0.9
            row += bytes(WALL if wall else SKY if y < 0.7 * height else LAWN)
        rows.append(bytes(row))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"".join(rows))
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", body)
        + _chunk(b"IEND", b"")
    )
