"""Puts what a user needs at run time into the wheel: dist/wasm and dist/web, as slmweb/_dist.

Owns only that copy; it compiles nothing, because a wheel must hold what was
tested. So a build without those files stops here instead of making a wheel that
cannot serve. An editable install needs none of it: the package then reads dist/.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

REQUIRED = ("wasm/slm-simd.wasm", "wasm/slm-relaxed.wasm", "wasm/slm-simd-mt.wasm",
            "wasm/slm-relaxed-mt.wasm", "web/assets.json")  # fmt: skip


class DistHook(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        dist = Path(self.root) / "dist"
        missing = [name for name in REQUIRED if not (dist / name).is_file()]
        if missing:
            raise SystemExit(
                f"the wheel carries the compiled core and the page, but dist/{missing[0]} "
                "does not exist; run `make wasm web` first"
            )
        for part in ("wasm", "web"):
            build_data["force_include"][str(dist / part)] = f"slmweb/_dist/{part}"
