"""Reading a config: values that are checked as they are asked for.

Owns the sentences about what a config lacks or says wrongly; what its values mean is
other files' business.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..errors import SlmError


class ConfigReader:
    """Values of a config, each checked as it is asked for."""

    def __init__(self, path: str, values: Mapping[str, Any]) -> None:
        self.path = path
        self.values = values

    def whole(self, key: str, default: int | None = None) -> int:
        value = self.values.get(key, default)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 31:
            return value
        raise self._bad(key, value, "a whole number above zero")

    def positive(self, key: str, default: float) -> float:
        return self.inside(self.values, key, default)

    def inside(self, values: Mapping[str, Any], key: str, default: float | None = None) -> float:
        value = values.get(key, default)
        if isinstance(value, int | float) and 0 < value < math.inf:
            return float(value)
        raise self._bad(key, value, "a number above zero")

    def cap(self, key: str, required: bool | None) -> float | None:
        """A soft cap, which some families have to have and the others must not; None: either."""
        value = self.values.get(key)
        if required is None:
            required = value is not None
        if (value is None) == required:
            expected = "needs one" if required else "has none"
            raise self.unsupported(f"{key} {value!r}", f"this architecture {expected}")
        return self.positive(key, 0) if required else None

    def object(self, key: str, values: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """An object of the config, empty where there is none."""
        value = (self.values if values is None else values).get(key) or {}
        if not isinstance(value, dict):
            raise self.unsupported(f"the {key} {str(value)[:40]!r}", "expected an object")
        return value

    def unsupported(self, what: str, otherwise: str) -> SlmError:
        return SlmError("unsupported", f"{self.path} asks for {what}; {otherwise}")

    def _bad(self, key: str, value: Any, expected: str) -> SlmError:
        found = "is missing" if value is None else f"is {str(value)[:40]!r}"
        return SlmError(
            "bad_file", f"{self.path}: {key} {found}, expected {expected}; download it again"
        )


def without_nulls(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config without nulls, except where null means something."""
    return {
        key: value
        for key, value in config.items()
        if value is not None or key.endswith("_softcapping") or key == "sliding_window"
    }
