"""The layout of weights on the device, from ggml's blocks, by numpy: the second witness of
what the core repacks. Slow and plain on purpose; build on it nothing but tests.

A matrix is regions over (row, block of 32 columns): see wasm/shaders/formats.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from tests.blocks import HALVES, dequantize, put_half

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
F32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Regions = Callable[[U8], tuple[U32, ...]]


@dataclass(frozen=True)
class Matrix:
    kind: str
    rows: int
    columns: int
    blocks: int  # of a row
    values: F32  # (rows, columns), as gguf dequantizes them
    regions: tuple[U32, ...]


def step(kind: str) -> int:
    """Columns come in multiples of this."""
    return int(GGML_QUANT_SIZES[GGMLQuantizationType[kind]][0])


def random_matrix(random: np.random.Generator, kind: str, rows: int, columns: int) -> Matrix:
    """Every bit pattern of quants and small scales; half scales are subnormal now and then."""
    if kind in ("F32", "F16", "BF16"):
        values = random.standard_normal((rows, columns)).astype(np.float32) * 0.05
        values[:, 0] *= 1e-3  # subnormal halves
        if kind == "F16":
            values = values.astype(np.float16).astype(np.float32)
        if kind == "BF16":
            values = (values.view(np.uint32) & 0xFFFF0000).view(np.float32)
        return Matrix(kind, rows, columns, -(-columns // 32), values, float_regions(kind, values))
    size, bytes_ = GGML_QUANT_SIZES[GGMLQuantizationType[kind]]
    raw = random.integers(0, 256, (rows, columns // size, bytes_), np.uint8)
    for offset in HALVES[kind]:
        scales = 0.01 * random.standard_normal(raw.shape[:2])
        scales[random.random(raw.shape[:2]) < 0.2] *= 2e-3  # subnormal
        put_half(raw, offset, scales)
    values = dequantize(raw.reshape(rows, -1), GGMLQuantizationType[kind])
    padded = np.concatenate([raw, np.zeros((-rows % 4, *raw.shape[1:]), np.uint8)])
    return Matrix(kind, rows, columns, columns // 32, values, REGIONS[kind](padded))


def heap_of(matrices: list[Matrix]) -> tuple[U32, list[list[int]]]:
    """One heap behind something else, and where the regions of each matrix begin in it."""
    parts, places, at = [np.full(48, 0xFFFFFFFF, np.uint32)], [], 48
    for matrix in matrices:
        place = [0, 0, 0, 0]
        for i, region in enumerate(matrix.regions):
            place[i] = at
            padding = -len(region) % 16
            parts += [region, np.full(padding, 0xFFFFFFFF, np.uint32)]
            at += len(region) + padding
        places.append(place)
    return np.concatenate(parts), places


def float_regions(kind: str, values: F32) -> tuple[U32, ...]:
    rows, columns = values.shape
    padded = np.zeros((-(-rows // 4) * 4, -(-columns // 32) * 32), np.float32)
    padded[:rows, :columns] = values
    if kind == "F32":
        return (padded.reshape(-1).view(np.uint32),)
    if kind == "F16":
        return (padded.astype(np.float16).reshape(-1).view(np.uint32),)
    return ((padded.view(np.uint32) >> 16).astype(np.uint16).reshape(-1).view(np.uint32),)


def halves(scales: U8) -> U32:
    """(..., 2) bytes of halves, two to a word."""
    flat = np.ascontiguousarray(scales).reshape(-1).view(np.uint16)
    return np.concatenate([flat, np.zeros(len(flat) % 2, np.uint16)]).view(np.uint32)


def whole(scales: U8) -> U32:
    """(..., 4) bytes: two halves in a word."""
    return np.ascontiguousarray(scales).reshape(-1).view(np.uint32)


def nibbles(q: Ints) -> U32:
    """(..., 32) numbers: byte j of word w has 8w + j below, 8w + 4 + j above."""
    words = q.reshape(-1, 4, 2, 4)
    packed: U8 = (words[:, :, 0] | words[:, :, 1] << 4).astype(np.uint8)
    return packed.reshape(-1).view(np.uint32)


def pairs(q: Ints) -> U32:
    """(..., 32) numbers: bits 2k of byte j of word w have 16w + 4k + j."""
    words = q.reshape(-1, 2, 4, 4)
    shifts = np.array([0, 2, 4, 6])[:, None]
    packed: U8 = (words << shifts).sum(2).astype(np.uint8)
    return packed.reshape(-1).view(np.uint32)


def bits(q: Ints) -> U32:
    """(..., 32) bits: bit e of a word is element e."""
    packed: U32 = (q.reshape(-1, 32) << np.arange(32)).sum(1).astype(np.uint32)
    return packed


def two_bytes(low: Ints, high: Ints) -> U32:
    """Sixteen bits for each block, two to a word."""
    both = ((low & 255) | (high & 255) << 8).astype(np.uint16).reshape(-1)
    return both.view(np.uint32)


def low_then_high(bytes_: U8) -> Ints:
    """ggml's order of four bits: the low halves of all bytes, then the high ones."""
    return np.concatenate([bytes_ & 15, bytes_ >> 4], -1).astype(np.int64)


def word_bits(bytes_: U8) -> Ints:
    """(..., 4) bytes: 32 bits, the lowest first."""
    return np.unpackbits(bytes_, axis=-1, bitorder="little").astype(np.int64)


def q4(scale: int) -> Regions:
    def regions(raw: U8) -> tuple[U32, ...]:
        d = halves(raw[..., :2]) if scale == 2 else whole(raw[..., :4])
        return nibbles(low_then_high(raw[..., scale:])), d

    return regions


def q5(scale: int) -> Regions:
    def regions(raw: U8) -> tuple[U32, ...]:
        d = halves(raw[..., :2]) if scale == 2 else whole(raw[..., :4])
        q = nibbles(low_then_high(raw[..., scale + 4 :]))
        return q, d, bits(word_bits(raw[..., scale : scale + 4]))

    return regions


def q8_0(raw: U8) -> tuple[U32, ...]:
    return whole(raw[..., 2:]), halves(raw[..., :2])


def six_bits(packed: U8) -> tuple[Ints, Ints]:
    """The scales and minima of Q4_K and Q5_K."""
    p = packed.astype(np.int64)
    low, middle, high = p[..., :4], p[..., 4:8], p[..., 8:]
    scales = np.concatenate([low & 63, (high & 15) | (low >> 6) << 4], -1)
    minima = np.concatenate([middle & 63, high >> 4 | (middle >> 6) << 4], -1)
    return scales, minima


def by_64(qs: U8) -> Ints:
    """(..., 128) bytes: 32 bytes at a time, the low halves and then the high ones."""
    return low_then_high(qs.reshape(*qs.shape[:-1], 4, 32)).reshape(*qs.shape[:-1], 8, 32)


def q4_k(raw: U8) -> tuple[U32, ...]:
    scales = two_bytes(*six_bits(raw[..., 4:16]))
    return nibbles(by_64(raw[..., 16:])), scales, whole(raw[..., :4])


def q5_k(raw: U8) -> tuple[U32, ...]:
    scales = two_bytes(*six_bits(raw[..., 4:16]))
    fifth = raw[..., None, 16:48].astype(np.int64) >> np.arange(8)[:, None] & 1
    return nibbles(by_64(raw[..., 48:])), scales, whole(raw[..., :4]), bits(fifth)


def by_128(qs: U8) -> Ints:
    """(..., 64) bytes: 32 bytes at a time, bits 0 and 1 of all, then bits 2 and 3, ..."""
    q: Ints = qs.reshape(*qs.shape[:-1], 2, 1, 32).astype(np.int64)
    q = q >> np.array([0, 2, 4, 6])[:, None] & 3
    return q.reshape(*qs.shape[:-1], 8, 32)


def q6_k(raw: U8) -> tuple[U32, ...]:
    ql = raw[..., :128].reshape(*raw.shape[:-1], 2, 64)
    low = low_then_high(ql).reshape(*raw.shape[:-1], 8, 32)
    scales = raw[..., 192:208].astype(np.int64)
    d = halves(raw[..., 208:])
    upper = pairs(by_128(raw[..., 128:192]))
    return nibbles(low), two_bytes(scales[..., ::2], scales[..., 1::2]), d, upper


def q3_k(raw: U8) -> tuple[U32, ...]:
    third = raw[..., None, :32].astype(np.int64) >> np.arange(8)[:, None] & 1
    p = raw[..., 96:108].astype(np.int64)
    low = np.concatenate([p[..., :8] & 15, p[..., :8] >> 4], -1)
    high = (p[..., None, 8:] >> np.array([0, 2, 4, 6])[:, None] & 3).reshape(low.shape)
    scales = (low | high << 4) - 32
    d = halves(raw[..., 108:])
    q = pairs(by_128(raw[..., 32:96]))
    return q, two_bytes(scales[..., ::2], scales[..., 1::2]), d, bits(third)


def q2_k(raw: U8) -> tuple[U32, ...]:
    scales = raw[..., :16].astype(np.int64)
    both = two_bytes(scales[..., ::2], scales[..., 1::2])
    return pairs(by_128(raw[..., 16:80])), both, whole(raw[..., 80:])


def nibble_pairs(bytes_: U8) -> Ints:
    """(..., n) bytes: 2n numbers, the lower four bits of each byte first."""
    return np.stack([bytes_ & 15, bytes_ >> 4], -1).reshape(*bytes_.shape[:-1], -1).astype(np.int64)


def words32(bytes_: U8) -> Ints:
    """(..., 4n) bytes: n numbers of 32 bits."""
    return np.ascontiguousarray(bytes_).view(np.uint32).astype(np.int64)


def words16(bytes_: U8) -> Ints:
    return np.ascontiguousarray(bytes_).view(np.uint16).astype(np.int64)


def of_32(scales: Ints) -> Ints:
    """(..., 8) scales of 32 elements each: those of 16."""
    return np.repeat(scales, 2, -1)


def iq4_scales(raw: U8) -> Ints:
    high = words16(raw[..., 2:4]) >> 2 * np.arange(8) & 3
    return of_32((nibble_pairs(raw[..., 4:8]) | high << 4) - 32)


def iq1_m_scales(raw: U8) -> Ints:
    four = words16(raw[..., 48:])[..., None] >> 3 * np.arange(4) & 7
    return 2 * four.reshape(*raw.shape[:-1], 16) + 1


NONLINEAR = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]
EIGHT = [4, 12, 20, 28, 36, 44, 52, 62]
ODD = [1, 3, 5, 7, 9, 11, 13, 15]
FEW = [8, 25, 43, -7, 1, 9, 0, 2, -8, -25, -43, -9, -1, 7]
# Where d is (IQ1_M has it elsewhere), what of it the values' table is made for, the scales of 16
# elements, and the table.
INDEXED: dict[str, tuple[int, int, Callable[[U8], Ints], list[int]]] = {
    "IQ4_XS": (0, 1, iq4_scales, NONLINEAR),
    "IQ3_S": (0, 1, lambda raw: of_32(2 * nibble_pairs(raw[..., 106:]) + 1), ODD),
    "IQ3_XXS": (0, 4, lambda raw: of_32(2 * (words32(raw[..., 66:]) >> 28) + 1), EIGHT),
    "IQ2_S": (0, 8, lambda raw: 2 * nibble_pairs(raw[..., 74:]) + 1, FEW),
    "IQ2_XS": (0, 8, lambda raw: 2 * nibble_pairs(raw[..., 66:]) + 1, FEW),
    "IQ2_XXS": (0, 8, lambda raw: of_32(2 * (words32(raw[..., 2:])[..., 1::2] >> 28) + 1), FEW),
    "IQ1_S": (0, 8, lambda raw: of_32(2 * (words16(raw[..., 34:]) >> 12 & 7) + 1), FEW),
    "IQ1_M": (-1, 8, iq1_m_scales, FEW),
    "TQ2_0": (64, 1, lambda raw: np.ones((*raw.shape[:-1], 16), np.int64), FEW),
    "TQ1_0": (52, 1, lambda raw: np.ones((*raw.shape[:-1], 16), np.int64), FEW),
}  # fmt: skip


def indexed(kind: str) -> Regions:
    """Which value of the table an element has, gguf's own values say."""
    at, share, scales_of, magnitudes = INDEXED[kind]
    table = magnitudes if len(magnitudes) > 8 else [*magnitudes, *(-m for m in magnitudes)]

    def regions(raw: U8) -> tuple[U32, ...]:
        if at < 0:
            nibbles_ = words16(raw[..., 48:]) >> 12
            half = (nibbles_ << 4 * np.arange(4)).sum(-1, keepdims=True).astype(np.uint16)
        else:
            half = np.ascontiguousarray(raw[..., at : at + 2]).view(np.uint16)
        d = half.view(np.float16).astype(np.float32) / share
        scales = scales_of(raw)
        values = dequantize(raw.reshape(len(raw), -1), GGMLQuantizationType[kind])
        with np.errstate(all="ignore"):
            ratios = values.reshape(*raw.shape[:-1], 16, 16) / (d * scales)[..., None]
        ratios = np.nan_to_num(ratios)  # a scale of zero: any index is right
        q = np.abs(ratios[..., None] - np.array(table)).argmin(-1)
        q = q.reshape(*raw.shape[:-1], 8, 32)
        packed = two_bytes(scales[..., ::2], scales[..., 1::2])
        return nibbles(q), packed, np.ascontiguousarray(d).reshape(-1).view(np.uint32)

    return regions


def mxfp4(raw: U8) -> tuple[U32, ...]:
    exponents = raw[..., 0].astype(np.int64).reshape(-1)
    d: F32 = np.ldexp(1.0, exponents - 128).astype(np.float32)
    tops: U8 = d.view(np.uint8).reshape(-1, 4)[:, 2:]  # their lower halves are zero
    return nibbles(low_then_high(raw[..., 1:])), halves(tops)


def q1_0(raw: U8) -> tuple[U32, ...]:
    return whole(raw[..., 2:]), halves(raw[..., :2])


REGIONS: dict[str, Regions] = {
    "Q4_0": q4(2), "IQ4_NL": q4(2), "Q4_1": q4(4), "Q5_0": q5(2), "Q5_1": q5(4), "Q8_0": q8_0,
    "Q2_K": q2_k, "Q3_K": q3_k, "Q4_K": q4_k, "Q5_K": q5_k, "Q6_K": q6_k,
    "MXFP4": mxfp4, "Q1_0": q1_0,
    **{kind: indexed(kind) for kind in INDEXED},
}  # fmt: skip
