"""A flag file as a thing on disk: locked, replaced in one rename, and evaluated as an app would through OpenFeature."""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bot.core.errors import MissingExtra, TargetError
from bot.core.target import Call, Json
from bot.targets.flag_rule import Found, Rule

Answer = tuple[str | None, Json, str | None]
"""Variant, value, error code: what an app gets for one targeting key."""

_DOMAIN = "rollbot"
_POLL_MS = 20


@contextmanager
def spoken(path: Path, verb: str) -> Iterator[None]:
    """Turns an OSError into one line. Retriable unless the file or the right to it is missing."""
    try:
        yield
    except FileNotFoundError:
        raise TargetError(f"{path} does not exist") from None
    except OSError as error:
        retriable = not isinstance(error, (PermissionError, IsADirectoryError, NotADirectoryError))
        raise TargetError(f"can't {verb} {path}: {error.strerror or error}", retriable=retriable) from None


@contextmanager
def locked(path: Path, seconds: float) -> Iterator[None]:
    """The only Rollbot that writes in this file's folder. Raises TargetError (retriable) if not had in ``seconds``.

    The folder itself is locked: a lock on the file would go with the file that the rename replaces, and a lock file
    beside it would stay. Where the file system has no such locks, ``replaced`` still looks again before its rename.
    """
    path = Path(os.path.realpath(path))
    with spoken(path.parent, "open"):
        folder = os.open(path.parent, os.O_RDONLY)
    try:
        _wait_for_lock(folder, path, time.monotonic() + seconds)
        yield
    finally:
        os.close(folder)


def _wait_for_lock(folder: int, path: Path, until: float) -> None:
    while True:
        try:
            return fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise TargetError(f"another process holds the lock on {path.parent}", retriable=True) from None
            time.sleep(0.01)
        except OSError:
            return None


def scratch(path: Path) -> Path:
    """Where the next content is written before the rename: always the same name, so that a kill leaves one at most."""
    return path.with_name(f".{path.name}.rollbot-new")


def replaced(call: Call, path: Path, found: Found, content: bytes) -> bool:
    """Put ``content`` in place of what ``found`` saw, in one rename, durable; False if the file changed meanwhile.

    Asks ``call.check()`` just before the rename. Mode, owner and extended attributes stay as they are.
    """
    new = scratch(path)
    try:
        with spoken(path, "write"):
            _write_like(path, new, content)
            call.check()
            if path.read_bytes() != found.raw:
                return False
            new.replace(path)
            _sync_folder(path.parent)
        return True
    finally:
        new.unlink(missing_ok=True)


def _write_like(path: Path, new: Path, content: bytes) -> None:
    was = path.stat()
    new.unlink(missing_ok=True)
    new.touch(0o600, exist_ok=False)
    with new.open("wb") as file:
        shutil.copystat(path, new)
        _keep_owner(file.fileno(), path, was)
        file.write(content)
        file.flush()
        # File watchers compare times (flagd's Python provider does): the new file must be the younger one.
        os.utime(file.fileno(), ns=(was.st_atime_ns, max(time.time_ns(), was.st_mtime_ns + 1_000_000)))
        os.fsync(file.fileno())


def _keep_owner(fd: int, path: Path, was: os.stat_result) -> None:
    now = os.fstat(fd)
    if (now.st_uid, now.st_gid) == (was.st_uid, was.st_gid):
        return
    try:
        os.fchown(fd, was.st_uid, was.st_gid)
    except PermissionError:
        if not was.st_mode & 0o004:
            hint = "run Rollbot as that user, or make the file readable for all"
            raise TargetError(f"can't keep the owner of {path} (uid {was.st_uid}, gid {was.st_gid}): {hint}") from None


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def answers(path: Path, flag: str, rule: Rule, keys: list[str], attributes: Mapping[str, Json]) -> list[Answer]:
    """What an app gets from this file for each targeting key, asked through OpenFeature and flagd's provider.

    ``rule`` only says of which type the flag is. Raises TargetError if the provider can't load the file.
    """
    try:
        from openfeature.evaluation_context import EvaluationContext
    except ImportError:
        raise MissingExtra("flagd", "openfeature") from None
    with client_of(path) as client:
        ask, default = _question(client, rule)
        details = [ask(flag, default, EvaluationContext(key, attributes)) for key in keys]
    return [(d.variant, d.value, d.error_code.value if d.error_code else None) for d in details]


@contextmanager
def client_of(path: Path) -> Iterator[Any]:
    """An OpenFeature client over the file; the provider's threads have ended afterwards.

    Raises TargetError if the provider can't load the file, MissingExtra if it isn't installed.
    """
    try:
        from openfeature import api
        from openfeature.contrib.provider.flagd import FlagdProvider
        from openfeature.contrib.provider.flagd.config import ResolverType
        from openfeature.exception import OpenFeatureError
        from openfeature.provider.no_op_provider import NoOpProvider
    except ImportError:
        raise MissingExtra("flagd", "openfeature.contrib.provider.flagd") from None
    running = set(threading.enumerate())
    provider = FlagdProvider(resolver_type=ResolverType.FILE, offline_flag_source_path=str(path), deadline_ms=_POLL_MS)
    try:
        api.set_provider_and_wait(provider, _DOMAIN)
        yield api.get_client(_DOMAIN)
    except OpenFeatureError as error:
        raise TargetError(f"{path}: flagd's OpenFeature provider can't load it: {error.__cause__ or error}") from None
    finally:
        provider.shutdown()
        api.set_provider(NoOpProvider(), _DOMAIN)
        for thread in set(threading.enumerate()) - running:
            thread.join(1)


def _question(client: Any, rule: Rule) -> tuple[Any, Json]:
    """The client's method for the type of the flag's values."""
    values = list(rule["variants"].values())
    if all(isinstance(v, bool) for v in values):
        return client.get_boolean_details, False
    if all(isinstance(v, str) for v in values):
        return client.get_string_details, ""
    if all(isinstance(v, int) and not isinstance(v, bool) for v in values):
        return client.get_integer_details, 0
    if all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
        return client.get_float_details, 0.0
    return client.get_object_details, {}


def shares(got: list[Answer]) -> str:
    """Answers in words: ``on for 250, off for 750 of 1,000 keys``."""
    counts = Counter(variant or error or "the default of each app" for variant, _, error in got)
    return f"{', '.join(f'{name} for {n:,}' for name, n in counts.most_common())} of {len(got):,} keys"
