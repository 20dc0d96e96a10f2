"""Reads from a PDF that Chromium printed which words stand on which page, and how high.

Owns just what Skia writes: objects in the open, Flate streams, fonts with a ToUnicode
table. Refuses to know any other PDF, and what a page looks like: a test looks at that.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    rb"\s*(?:(<[0-9A-Fa-f\s]*>)|\(((?:\\.|[^\\()])*)\)|(/[^\s/\[\]<>()]+)|([-+]?[\d.]+)|([\[\]])"
    rb"|([A-Za-z'\"*]+[01]?)|(<<.*?>>))",
    re.S,
)
_IDENTITY = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
Matrix = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class Run:
    """Glyphs of one font in a row; `top` and `bottom` are of its em box, in points from the
    top of the page."""

    page: int
    top: float
    bottom: float
    x: float
    text: str


@dataclass(frozen=True)
class Document:
    pages: int
    height: float  # of a page, in points
    runs: tuple[Run, ...]

    def lines(self) -> list[Run]:
        """Runs whose baselines agree, joined: what a person reads as a line."""
        found: list[Run] = []
        for run in self.runs:
            last = found[-1] if found else None
            if last and last.page == run.page and abs(last.bottom - run.bottom) < 0.5:
                found[-1] = Run(run.page, last.top, last.bottom, last.x, last.text + run.text)
            else:
                found.append(run)
        return found


def read_pdf(content: bytes) -> Document:
    objects = {
        int(number): body
        for number, body in re.findall(rb"(\d+) 0 obj\s(.*?)\sendobj", content, re.S)
    }
    pages = [body for _, body in sorted(objects.items()) if re.search(rb"/Type\s*/Page\b", body)]
    box = re.search(rb"/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)", pages[0])
    assert box is not None
    height = float(box[2])
    runs: list[Run] = []
    for index, page in enumerate(pages):
        fonts = {name: _characters(objects, ref) for name, ref in _fonts(objects, page)}
        contents = re.search(rb"/Contents (\d+) 0 R", page)
        assert contents is not None
        for size, (_, _, c, d, x, y), text in _shown(_stream(objects[int(contents[1])]), fonts):
            em = size * (c * c + d * d) ** 0.5
            baseline = height - y
            runs.append(Run(index, baseline - 0.8 * em, baseline + 0.2 * em, x, text))
    return Document(len(pages), height, tuple(runs))


def _fonts(objects: dict[int, bytes], page: bytes) -> list[tuple[bytes, int]]:
    resources = re.search(rb"/Resources (\d+) 0 R", page)
    inside = objects[int(resources[1])] if resources else page
    table = re.search(rb"/Font\s*<<(.*?)>>", inside, re.S)
    found = re.findall(rb"(/\S+) (\d+) 0 R", table[1]) if table else []
    return [(name, int(ref)) for name, ref in found]


def _stream(body: bytes) -> bytes:
    head, _, rest = body.partition(b"stream")
    data = rest.lstrip(b"\r").removeprefix(b"\n").rsplit(b"endstream", 1)[0]
    return zlib.decompressobj().decompress(data) if b"/FlateDecode" in head else data


def _characters(objects: dict[int, bytes], font: int) -> dict[int, str]:
    """Glyph -> text."""
    table = re.search(rb"/ToUnicode (\d+) 0 R", objects[font])
    if table is None:
        return {}
    found: dict[int, str] = {}
    source = _stream(objects[int(table[1])])
    for block in re.findall(rb"beginbfchar(.*?)endbfchar", source, re.S):
        for glyph, text in re.findall(rb"<(\w+)>\s*<(\w+)>", block):
            found[int(glyph, 16)] = _utf16(text)
    for block in re.findall(rb"beginbfrange(.*?)endbfrange", source, re.S):
        for first, last, text in re.findall(rb"<(\w+)>\s*<(\w+)>\s*<(\w+)>", block):
            for step in range(int(last, 16) - int(first, 16) + 1):
                found[int(first, 16) + step] = chr(int(text, 16) + step)
    return found


def _utf16(digits: bytes) -> str:
    return bytes.fromhex(digits.decode()).decode("utf-16-be", "replace")


def _times(a: Matrix, b: Matrix) -> Matrix:
    return (
        a[0] * b[0] + a[1] * b[2],
        a[0] * b[1] + a[1] * b[3],
        a[2] * b[0] + a[3] * b[2],
        a[2] * b[1] + a[3] * b[3],
        a[4] * b[0] + a[5] * b[2] + b[4],
        a[4] * b[1] + a[5] * b[3] + b[5],
    )


def _shown(
    stream: bytes, fonts: dict[bytes, dict[int, str]]
) -> Iterator[tuple[float, Matrix, str]]:
    """Size of the font, place and text of whatever is shown."""
    given: list[bytes] = []
    matrix, line, saved = _IDENTITY, _IDENTITY, list[Matrix]()
    size, characters = 1.0, dict[int, str]()
    for match in _TOKEN.finditer(stream):
        operator = match[6]
        if operator is None:
            given.append(match[0].strip())
            continue
        numbers = [float(one) for one in given if re.fullmatch(rb"[-+]?[\d.]+", one)]
        if operator == b"q":
            saved.append(matrix)
        elif operator == b"Q":
            matrix = saved.pop()
        elif operator == b"cm":
            matrix = _times(_matrix(numbers), matrix)
        elif operator == b"BT":
            line = _IDENTITY
        elif operator == b"Tf":
            size, characters = numbers[-1], fonts[given[-2]]
        elif operator == b"Tm":
            line = _matrix(numbers)
        elif operator in (b"Td", b"TD"):
            line = _times((1.0, 0.0, 0.0, 1.0, numbers[0], numbers[1]), line)
        elif operator in (b"Tj", b"TJ"):
            glyphs = b"".join(one[1:-1] for one in given if one.startswith(b"<"))
            text = "".join(
                characters.get(int(glyphs[at : at + 4], 16), "") for at in range(0, len(glyphs), 4)
            )
            yield size, _times(line, matrix), text
        given = []


def _matrix(numbers: list[float]) -> Matrix:
    a, b, c, d, e, f = numbers[-6:]
    return a, b, c, d, e, f
