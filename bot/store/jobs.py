"""One write on its way to the database, how several share a commit, and what database trouble is called in words."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import itertools
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError

from bot.core.errors import RollbotError

T = TypeVar("T")
Fn = Callable[[sa.Connection], T]
Together = Callable[[sa.Connection, list[Fn[Any]]], list[Any]]
"""What a function may carry as ``together``: the results of several of its kind, in fewer statements."""
OWN_FAULTS = ("21", "22", "23", "42", "44", "P0")
"""Classes of SQLSTATE that speak of one statement: bad data, a broken constraint, wrong SQL. What is not among them
(no connection, no space, shutdown, deadlock) speaks of the database."""
CLASHES = ("40001", "40P01")
"""Serialization failure and deadlock: undone by the database, may work at the next try."""


class StoreDown(RollbotError):
    """The database can't take writes now (disk full, gone, or locked): nothing was stored."""


def nothing_done() -> None:
    """For ``on_write`` where nobody listens."""


class Job:
    """One write and the task that waits for it. Give it its outcome, then ``settle`` it; it can be done only once."""

    def __init__(self, fn: Fn[Any], on_write: Callable[[], None] = nothing_done) -> None:
        self.fn, self.on_write = fn, on_write
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()
        self.result: Any = None
        self.error: BaseException | None = None

    def tell(self) -> None:
        """Hands the outcome to the waiting task, on its loop."""
        try:
            if self.error is None:
                self.on_write()  # also if nobody waits any more: it is stored
        finally:  # a hint that fails must not leave a task waiting for what is stored
            self._tell()

    def _tell(self) -> None:
        if self.future.done():
            return
        if isinstance(self.error, StopIteration):  # a future refuses it, and its task would wait for ever
            self.error = RuntimeError(f"a write raised {self.error!r}")
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


def settle(group: Sequence[Job]) -> None:
    """Hands the outcomes to the waiting tasks, from any thread: one wake-up for all of them on a loop, each of which
    costs a system call and both threads' turn. The loop may be gone at shutdown."""
    for loop in {job.loop: None for job in group}:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_tell, [job for job in group if job.loop is loop])


def _tell(group: Sequence[Job]) -> None:
    for job in group:
        job.loop.call_soon(job.tell)  # each by itself: what one of them raises must not leave the others waiting


def run_group(conn: sa.Connection, group: Sequence[Job]) -> None:
    """All jobs in this transaction. A failing one is undone by itself and does not take the others along; trouble
    with the database itself is raised, and then none of them may be committed. Where one fails, the others may have
    been run twice, with what they did the first time undone."""
    for job in group:
        job.result, job.error = None, None
    if len(group) == 1:
        group[0].result = group[0].fn(conn)
    elif not _run_together(conn, group):
        for job in group:
            job.result = None
            _run_beside_others(conn, job)


def _run_together(conn: sa.Connection, group: Sequence[Job]) -> bool:
    """All behind one savepoint: one for each is two of three trips to PostgreSQL. False: one failed, all are undone."""
    trouble: BaseException | None = None
    try:
        with conn.begin_nested():
            try:
                for together, several in itertools.groupby(group, lambda job: getattr(job.fn, "together", None)):
                    _results(conn, together, list(several))
            except BaseException as e:
                trouble = e
                raise
    except Exception as e:
        # SQLite undoes everything when the disk is full, so that leaving the savepoint fails too
        if trouble is not None and speaks_of_database(trouble):
            raise trouble from None
        if speaks_of_database(e):
            raise
        return False
    return True


def _results(conn: sa.Connection, together: Together | None, several: list[Job]) -> None:
    fns = [job.fn for job in several]
    found = together(conn, fns) if together else [fn(conn) for fn in fns]
    for job, result in zip(several, found, strict=True):
        job.result = result


def _run_beside_others(conn: sa.Connection, job: Job) -> None:
    trouble: BaseException | None = None
    try:
        with conn.begin_nested():
            try:
                job.result = job.fn(conn)
            except BaseException as e:
                trouble = e  # SQLite undoes everything when the disk is full, so that leaving the savepoint fails too
                raise
    except (MemoryError, DBAPIError, OSError) as e:
        if trouble is not None and speaks_of_database(trouble):
            raise trouble from None
        if speaks_of_database(e):
            raise
        job.error = e
    except Exception as e:  # noqa: BLE001  its own task hears of it
        job.error = e


def fail(group: Sequence[Job], error: BaseException) -> None:
    """None of them was stored. Each waiting task gets an error of its own: a traceback grows wherever it is raised."""
    for job in group:
        job.result, job.error = None, error if len(group) == 1 else _twin(error)


def _twin(error: BaseException) -> BaseException:
    try:
        twin = copy.copy(error)
    except Exception:  # noqa: BLE001  an error that can't be copied
        return RollbotError(str(error))
    twin.__cause__ = error
    return twin


def speaks_of_database(error: BaseException) -> bool:
    """Is this trouble with the database itself, and not with what one statement asked of it?"""
    if isinstance(error, MemoryError | ConnectionError | TimeoutError | sa.exc.TimeoutError):
        return True
    if not isinstance(error, DBAPIError) or isinstance(error, IntegrityError | ProgrammingError | DataError):
        return False
    state = sqlstate(error)
    if error.connection_invalidated or state is None:
        # asyncpg and sqlite3 have errors without a code for arguments that they can't send
        return not isinstance(error.orig, sqlite3.InterfaceError) and not isinstance(_cause(error), ValueError)
    return not state.startswith(OWN_FAULTS)


def sqlstate(error: BaseException) -> str | None:
    """PostgreSQL's five letters; None where there are none."""
    return getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else None


def clashed(error: BaseException) -> bool:
    """Two transactions were in each other's way, and this one was undone."""
    return sqlstate(error) in CLASHES


def _cause(error: DBAPIError) -> BaseException | None:
    return error.orig.__cause__ if error.orig else None


def down(error: BaseException, *, doing: str = "take writes", outcome: str = "nothing was stored") -> BaseException:
    """Database trouble in words; anything else as it is."""
    if isinstance(error, StoreDown) or not speaks_of_database(error):
        return error
    said = str(error.orig if isinstance(error, DBAPIError) else error) or type(error).__name__
    told = StoreDown(f"the database can't {doing} now ({' '.join(said.split())}): {outcome}")
    told.__cause__ = error
    return told
