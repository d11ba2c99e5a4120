"""What can go wrong, by who must act: the person, the clock, or nobody now. Anything else is a bug."""

from __future__ import annotations


class RollbotError(Exception):
    """Something went wrong."""

    code = 1

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())

    @property
    def message(self) -> str:
        return str(self.args[0])


class Fault(RollbotError):
    """A fault in what a person wrote: says what is wrong, where, and what to do."""

    def __init__(self, message: str, *, file: str | None = None, line: int | None = None) -> None:
        place = f"{file}:{line}: " if file and line else f"{file}: " if file else ""
        super().__init__(place + message)
        self.file, self.line = file, line


class Unknown(Fault):
    """A name that does not exist; carries the near misses."""

    def __init__(self, message: str, *, near: list[str] | None = None) -> None:
        self.near = near or []
        super().__init__(message + (f" Did you mean {' or '.join(self.near)}?" if self.near else ""))


class Usage(RollbotError):
    """The words of a command are off."""

    code = 2


class NotRestorable(RollbotError):
    """The release can't be restored: which component, why, since when, and what can be done instead."""

    code = 3


class Refused(RollbotError):
    """Policy or a hold says no; names the rule."""

    code = 4

    def __init__(self, message: str, *, rule: str = "") -> None:
        super().__init__(message)
        self.rule = rule


class TargetError(RollbotError):
    """An outside system's answer, in words. ``retriable``: the same call may work later."""

    def __init__(self, message: str, *, retriable: bool = False) -> None:
        super().__init__(message)
        self.retriable = retriable


class Moved(TargetError):
    """The outside thing is no longer what the pre-image says: somebody else wrote. Nothing was changed."""


class MissingExtra(TargetError):
    """A library that this type of system needs is not installed."""

    def __init__(self, extra: str, module: str) -> None:
        super().__init__(f"{module} is not installed: pip install 'rollbot[{extra}]'")


class CorruptBlob(TargetError):
    """The stored bytes are gone or no longer have the digest they were stored under."""


class LostOwnership(RollbotError):
    """Another worker took this run over: stop, write nothing."""


class Halted(LostOwnership):
    """A person has ended or paused this run: what is under way ends by itself, nothing starts."""
