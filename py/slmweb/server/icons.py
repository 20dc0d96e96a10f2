"""A site's icon: what may be one, and the pictures that browsers and phones ask for.

Owns the check of a PNG or SVG file and the sizes that are made of it. Only
pictures rendered here are published, never the file that was given, so nothing
that an SVG may hold can run or load anything in a visitor's browser.
"""

from __future__ import annotations

import base64
import re
import struct
import zlib
from pathlib import Path
from xml.etree import ElementTree

import resvg_py

from ..errors import SlmError, os_reason

MAX_BYTES = 1 << 20
# Pixels a side: smaller ones look blurred on a home screen, larger ones cost memory.
SMALLEST, LARGEST = 128, 4096
_PNG = b"\x89PNG\r\n\x1a\n"
_SVG = "http://www.w3.org/2000/svg"
# Of a maskable icon, a circle of 80% is sure to be seen.
_SAFE = 0.7


def read_icon(path: Path) -> bytes:
    """An SVG document with the icon in a PNG or SVG file.

    Raises SlmError "invalid_argument" for anything else, "unreadable".
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SlmError("unreadable", f"cannot read the icon {path}: {os_reason(error)}") from None
    if len(content) > MAX_BYTES:
        raise _refused(path, "has more than 1 MiB", "save it smaller, 512 pixels are enough")
    if content.startswith(_PNG):
        width, height = _check_png(path, content)
        return _svg(f'<image width="{width}" height="{height}" href="{_data(content)}"/>',
                    width, height).encode()  # fmt: skip
    _check_svg(path, content)
    return content


def picture(icon: bytes, side: int, background: str | None = None) -> bytes:
    """The icon as a PNG of `side` pixels; on a `background` (#rrggbb), which fills the square,
    it keeps to the part that no mask cuts off."""
    ground, part = "", 1.0
    if background is not None:
        ground, part = f'<rect width="{side}" height="{side}" fill="{background}"/>', _SAFE
    inner = side * part
    at = (side - inner) / 2
    href = "data:image/svg+xml;base64," + base64.b64encode(icon).decode()
    image = f'<image x="{at}" y="{at}" width="{inner}" height="{inner}" href="{href}"/>'
    return _render(_svg(ground + image, side, side), side)


def data_url(png: bytes) -> str:
    return _data(png)


def _render(svg: str, side: int) -> bytes:
    # Without the system's fonts: the same icon on every machine.
    return bytes(
        resvg_py.svg_to_bytes(svg_string=svg, width=side, height=side, skip_system_fonts=True)
    )


def _check_png(path: Path, content: bytes) -> tuple[int, int]:
    """Width and height. Reads every chunk, since half a picture would be drawn as nothing."""
    at, kinds, size = len(_PNG), [], (0, 0)
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        body = content[at + 4 : at + 8 + length]
        (expected,) = struct.unpack(">I", content[at + 8 + length : at + 12 + length] or b"\0" * 4)
        if len(body) != length + 4 or zlib.crc32(body) != expected:
            break
        kinds.append(body[:4])
        if body[:4] == b"IHDR" and length == 13:
            size = struct.unpack(">II", body[4:12])
        at += 12 + length
        if body[:4] == b"IEND":
            break
    if kinds[:1] != [b"IHDR"] or kinds[-1:] != [b"IEND"] or b"IDAT" not in kinds:
        raise _refused(path, "is a damaged PNG file", "save it again")
    width, height = size
    if not (SMALLEST <= width <= LARGEST and SMALLEST <= height <= LARGEST):
        raise _refused(
            path,
            f"has {width}x{height} pixels",
            f"make it a square of {SMALLEST} to {LARGEST}, 512 is best",
        )
    return width, height


def _check_svg(path: Path, content: bytes) -> None:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise _refused(path, "is neither a PNG nor an SVG file", "convert it to one") from None
    if re.search(r"<!(DOCTYPE|ENTITY)", text, re.I):
        raise _refused(path, "is an SVG with a DOCTYPE", "save it as plain SVG")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 (entities are refused above)
    except ElementTree.ParseError as error:
        raise _refused(path, f"is no PNG, and as SVG no XML ({error})", "save it again") from None
    if root.tag != f"{{{_SVG}}}svg":
        raise _refused(path, "is no SVG: its root is not <svg>", f'add xmlns="{_SVG}"')
    for element in root.iter():
        for name, value in element.attrib.items():
            # Fragments and data are in the file; everything else is a file or an address.
            names = re.findall(r"url\(\s*['\"]?([^)'\"]*)", value, re.I)
            if name.rpartition("}")[2] in ("href", "src"):
                names.append(value.strip())
            for found in names:
                if not found.startswith(("#", "data:")):
                    raise _refused(
                        path,
                        f"loads {found[:60]!r} from elsewhere",
                        "put that into the file itself",
                    )
    try:
        _render(text, 64)
    except (ValueError, RuntimeError) as error:
        raise _refused(path, f"cannot be drawn ({error})", "save it as plain SVG") from None


def _svg(inside: str, width: float, height: float) -> str:
    return f'<svg xmlns="{_SVG}" viewBox="0 0 {width} {height}">{inside}</svg>'


def _data(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _refused(path: Path, found: str, advice: str) -> SlmError:
    return SlmError("invalid_argument", f"the icon {path} {found}; {advice}")
