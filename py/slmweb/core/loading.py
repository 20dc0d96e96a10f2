"""How a file comes into the core: its header, then its tensors' bytes.

Owns the order that slm.h asks of a host for models and for what lies beside them: as much of
the header as the core wants, then each tensor in file order, read straight into linear memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NotRequired, TypedDict

from ..errors import SlmError
from ..generated.abi import Status
from .files import ByteFile
from .instance import Instance

HEADER_START = 1 << 20
# No vocabulary needs more header than this; a lying count must not make us
# read a whole file of gigabytes into memory.
HEADER_LIMIT = 1 << 28
STAGING = 4 << 20

Progress = Callable[[int, int], None]  # bytes done, bytes in all


class TensorInfo(TypedDict):
    """One tensor as the core describes it. `shape` has the fastest dimension first."""

    name: str
    file: int
    type: str
    shape: list[int]
    offset: int  # bytes from the start of its file
    size: int  # bytes
    # Bytes; pieces of a tensor are multiples of it. There after `layout`, for what is loaded.
    granule: NotRequired[int]


def read_header(core: Instance, function: str, handle: int, file: ByteFile) -> int:
    """Hands a file's header to slm_model_header or its like; returns its result.

    Raises SlmError with the name of the file.
    """
    n = min(HEADER_START, file.size)
    while True:
        with core.allocate(n) as buffer:
            file.read_into(core.view(buffer, n), 0)
            result: int = core.call(function, handle, buffer, n, file.size)
        if result >= 0:
            return result
        if result != Status.NEED_MORE:
            raise about(file, core.error(result))
        if n == file.size or n >= HEADER_LIMIT:
            raise SlmError(
                "bad_file",
                f"{file.path}: the header goes on past the first {n} bytes, which is "
                + ("the whole file; it is cut short, so fetch it again" if n == file.size
                   else "more than any model needs; the file is damaged"),
            )  # fmt: skip
        n = min(2 * n, file.size)


def feed_tensors(
    core: Instance,
    function: str,
    handle: int,
    files: Sequence[ByteFile],
    described: Sequence[TensorInfo],
    progress: Progress,
) -> None:
    """Feeds every tensor that is to be loaded, in file order, through slm_model_feed,
    slm_adapter_feed or slm_vision_feed."""
    tensors: list[Any] = [(i, tensor) for i, tensor in enumerate(described) if "granule" in tensor]
    tensors.sort(key=lambda item: (item[1]["file"], item[1]["offset"]))
    total = sum(tensor["size"] for _, tensor in tensors)
    done = 0
    room = max([STAGING, *(tensor["granule"] for _, tensor in tensors)])
    with core.allocate(room) as staging:
        for index, tensor in tensors:
            step = room - room % tensor["granule"]
            for offset in range(0, tensor["size"], step):
                n = min(step, tensor["size"] - offset)
                file = files[tensor["file"]]
                file.read_into(core.view(staging, n), tensor["offset"] + offset)
                core.check(function, handle, index, offset, staging, n)
                done += n
                progress(done, total)


def about(file: ByteFile, error: SlmError, advice: str | None = None) -> SlmError:
    """The core's error, which knows no file names, with the name of the file."""
    told = "" if advice is None else f"; {advice}"
    return SlmError(error.code, f"{file.path}: {error.message}{told}")
