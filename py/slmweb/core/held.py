"""What stands in the core and is known here by its handle.

Owns the lifetime that models, sessions and all that lies beside a model have in common:
made by one function, freed once by another, and not used after that.
"""

from __future__ import annotations

from types import TracebackType
from typing import ClassVar, Self

from ..errors import SlmError
from ..generated.abi import Status
from .instance import Instance


class Held:
    """Close it, or use it in a `with`; closing twice is fine."""

    NOUN: ClassVar[str]  # in messages, such as "adapter"
    AGAIN: ClassVar[str] = "load it again"
    FREE: ClassVar[str]  # the function of slm.h

    def __init__(self, core: Instance, handle: int) -> None:
        """Takes over what a function of slm.h has made. Raises SlmError "out_of_memory", or what
        the core says, where it made nothing."""
        self.core = core
        self.handle = handle
        if handle == 0:
            raise core.error(Status.OUT_OF_MEMORY)

    def pointer(self) -> int:
        """The handle while it is open. Raises SlmError "wrong_state"."""
        if self.handle == 0:
            raise SlmError("wrong_state", f"the {self.NOUN} is closed; {self.AGAIN}")
        return self.handle

    def close(self) -> None:
        if self.handle:
            handle, self.handle = self.handle, 0
            self.core.call(self.FREE, handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
