"""Numbers of bytes for people. Owns their units; what is counted is others' business."""

from __future__ import annotations


def bytes_text(n: float) -> str:
    """A size for people, in powers of 1000 as disks and downloads count."""
    for unit in ("bytes", "kB", "MB"):
        if n < 1000:
            return f"{n:.0f} {unit}" if unit == "bytes" else f"{n:.1f} {unit}"
        n /= 1000
    return f"{n:.2f} GB"


def apart(a: int, b: int) -> tuple[str, str]:
    """Two sizes that a sentence compares: exact where they would read the same and are not."""
    shown = bytes_text(a), bytes_text(b)
    return shown if shown[0] != shown[1] or a == b else (f"{a:,} bytes", f"{b:,} bytes")
