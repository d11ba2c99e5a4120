"""WHO CALLS drive(run): a driver promises only that somebody calls ``drive`` again, soon."""

from __future__ import annotations

from typing import Protocol


class Driver(Protocol):
    """Whatever it is, somebody calls ``drive`` for each run that is due, soon, in this process or in another one."""

    async def start(self) -> None: ...

    def wake(self) -> None:
        """Something was written, so a run may be due. A hint: it may be lost or doubled."""
        ...

    async def stop(self) -> None:
        """Ends the work in hand; it goes on here at the next start, or at once in another process."""
        ...
