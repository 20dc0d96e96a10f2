"""How pip builds llama.cpp: for this machine's own instructions, if they are what it says; and
the vocabularies that come with its source.

Owns one doubt about the first. llama.cpp asks the processor and the kernel whether there are
matrix tiles (Intel AMX) and believes them; some virtual machines say yes and then end whoever uses
one with an illegal instruction. There it is built without them, and not out of pip's cache, which
does not know the difference.
"""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path

from script import ROOT

# llama.cpp's vocabularies of well-known models, with the texts and ids that it tests itself by.
VOCABULARIES = ROOT / "dist/llama"
_VOCABULARY = re.compile(r"[^/]+/vendor/llama\.cpp/models/(ggml-vocab-[^/]+)")

ARCH_REQ_XCOMP_PERM, XTILEDATA = 0x1023, 18  # Linux, arch_prctl(2)

PROBE = f"""
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
__attribute__((target("amx-tile"))) int main(void) {{
  _Alignas(64) unsigned char config[64] = {{1}}; /* palette 1; one tile of 16 rows of 64 bytes */
  /* llama.cpp asks for permission too, and does without where it is refused. */
  if (syscall(SYS_arch_prctl, {ARCH_REQ_XCOMP_PERM}, {XTILEDATA})) return 0;
  config[16] = 64;
  config[48] = 16;
  _tile_loadconfig(config);
  _tile_zero(0);
  _tile_release();
  return 0;
}}
"""

WITHOUT_TILES = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"


def has_false_tiles(compiler: str = "cc") -> bool:
    """Whether a program that uses tiles, as it may, is killed for it."""
    try:
        if "amx_tile" not in Path("/proc/cpuinfo").read_text():
            return False
    except OSError:
        return False
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "probe.c"
        source.write_text(PROBE)
        binary = source.with_suffix("")
        command = [compiler, "-O1", str(source), "-o", str(binary)]
        try:
            if subprocess.run(command, capture_output=True, check=False).returncode != 0:
                return False
        except FileNotFoundError:
            return False  # pip will say what is missing
        return subprocess.run([binary], capture_output=True, check=False).returncode < 0


def pip_options() -> tuple[list[str], dict[str, str]]:
    """Further arguments and the environment for a `pip install` that may build llama.cpp."""
    if not has_false_tiles():
        return [], dict(os.environ)
    flags = f"-DCMAKE_C_FLAGS='{WITHOUT_TILES}' -DCMAKE_CXX_FLAGS='{WITHOUT_TILES}'"
    given = os.environ.get("CMAKE_ARGS", "")
    return ["--no-cache-dir"], {**os.environ, "CMAKE_ARGS": f"{given} {flags}".strip()}


def unpack_vocabularies(source: Path) -> None:
    """Out of the source of llama-cpp-python, a .tar.gz."""
    VOCABULARIES.mkdir(parents=True, exist_ok=True)
    with tarfile.open(source) as archive:
        for member in archive:
            match = _VOCABULARY.fullmatch(member.name)
            if match and (file := archive.extractfile(member)):
                (VOCABULARIES / match[1]).write_bytes(file.read())
