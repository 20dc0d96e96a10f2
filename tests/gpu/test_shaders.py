"""Every expansion of every shader is valid, and uses no more than every device has."""

from __future__ import annotations

import re
from pathlib import Path

from script import ROOT
from tests.gpu.cases import INTERFACE, Batch
from tests.gpu.packing import step

SHADERS = ROOT / "wasm/shaders"


def test_every_expansion_compiles(tmp_path: Path) -> None:
    batch = Batch(tmp_path)
    for operation in INTERFACE.operations:
        for number, name in INTERFACE.formats if operation.format else ((0, ""),):
            if operation.name.endswith("_dot8") and step(name.upper()) == 1:
                continue  # floats are no bytes
            wanted = {"operation": operation.name, "format": number, "overrides": {}}
            batch.compile.append(wanted)
    batch.run()
    for wanted, error in zip(batch.compile, batch.compiled, strict=True):
        assert error is None, f"{wanted}: {error}"


def test_every_format_and_every_common_text_is_used() -> None:
    formats = {path.stem for path in (SHADERS / "formats").glob("*.wgsl")}
    assert formats == {name for _, name in INTERFACE.formats}
    texts = "".join(path.read_text() for path in SHADERS.rglob("*.wgsl"))
    included = set(re.findall(r"^//:include (\w+)$", texts, re.MULTILINE)) - {"format"}
    assert included == {path.stem for path in (SHADERS / "common").glob("*.wgsl")}


def test_texts_use_no_feature_that_they_do_not_ask_for() -> None:
    portable = set(SHADERS.rglob("*.wgsl"))
    portable -= {SHADERS / f"{o.name}.wgsl" for o in INTERFACE.operations if o.needs}
    for path in portable:
        text = path.read_text()
        for word in ("enable ", "requires ", "f16>", "subgroup", "unpack4x", "dot4"):
            assert word not in re.sub(r"//.*", "", text), f"{path.name} uses {word}"
