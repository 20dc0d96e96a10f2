"""Bytes over HTTP, with huggingface_hub's client: appended to what is there already, with Range.

Owns the sentence for each way in which a host fails. Knows no source of models.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import SlmError

_ADVICE = {
    401: "it wants to know who asks; name an address that anybody may read",
    403: "it may not be read; name an address that anybody may read",
    404: "there is no such thing there; check the spelling",
}


def append(
    url: str,
    partial: Path,
    size: int,
    count: Callable[[int], None],
    headers: Mapping[str, str] = {},
) -> None:
    """Appends to `partial` what it still lacks of `size` bytes, across broken connections.

    Raises what huggingface_hub and httpx2 do (see `explained`), and OSError of our own disk.
    """
    from huggingface_hub.file_download import http_get

    there = partial.stat().st_size if partial.is_file() else 0
    if there > size:
        partial.unlink()
        there = 0
    with partial.open("ab") as out, _quiet():
        http_get(
            url,
            out,
            resume_size=there,
            headers={**headers, "Accept-Encoding": "identity"},
            expected_size=size,
            tqdm_class=_counter(count),
        )


@contextmanager
def explained(where: str, advice: Mapping[int, str] = _ADVICE) -> Iterator[None]:
    """Turns what `append` raises into one sentence: SlmError "network"."""
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        said = advice.get(status, "try again later")
        sentence = f"{where} answered with HTTP {status}; {said}"
    except (httpx2.HTTPError, httpx2.InvalidURL, errors.OfflineModeIsEnabled) as error:
        sentence = (
            f"{where} is out of reach ({first_line(error)}); check the network and run this "
            "again, what has arrived is kept"
        )
    except OSError as error:
        if error.errno is not None:  # of our own disk
            raise
        sentence = f"{where} sent fewer bytes than it had announced; run this again"
    else:
        return
    raise SlmError("network", sentence) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings at each new attempt: they show addresses, which may be signed."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _counter(progress: Callable[[int], None]) -> type:
    """A progress bar in tqdm's shape that only counts, for http_get to report to."""

    class Counter:
        def __init__(self, *_: Any, initial: int = 0, **__: Any) -> None:
            self.n = initial

        def update(self, n: int) -> None:
            self.n += n
            progress(self.n)

        def __enter__(self) -> Counter:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def close(self) -> None:
            pass

    return Counter
