"""What happens inside a child process: one method of one target, and then the end."""

from __future__ import annotations

import importlib
import json
import os
import queue
import resource
import signal
import socket
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final, NoReturn

from pydantic import BaseModel

from bot.core.errors import LostOwnership, TargetError
from bot.core.target import Call, Capture, Connection, Json, Target
from bot.outside.blobs import BlobStore
from bot.outside.wire import encode, error_from_json, error_to_json, secrets_of

PROGRESS_EVERY: Final = 0.1
"""Seconds. What comes faster is dropped, but never the first line nor the last."""


class Line:
    """The child's end of the line to the bot."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._file = sock.makefile("rb")
        self._answers: queue.Queue[Json] = queue.Queue()
        self._sending = threading.Lock()
        self._asking = threading.Lock()
        self._said = -PROGRESS_EVERY
        self._lost: Json = None

    def request(self) -> Json:
        """The one request; the process ends if the bot goes before it has asked."""
        line = self._file.readline()
        if not line.endswith(b"\n"):
            os._exit(0)
        threading.Thread(target=self._listen, daemon=True).start()
        return json.loads(line)

    def _listen(self) -> None:
        """Pass answers on; when the bot is gone, die at once with all that was started here."""
        for line in self._file:
            self._answers.put(json.loads(line))
        os.killpg(0, signal.SIGKILL)

    def send(self, line: bytes) -> None:
        with self._sending:
            self._sock.sendall(line)

    def progress(self, done: float, total: float, note: str) -> None:
        """Tell the bot how far it is."""
        now = time.monotonic()
        if now - self._said >= PROGRESS_EVERY or done >= total:
            self._said = now
            self.send(encode({"progress": [float(done), float(total), str(note)]}))

    def check(self) -> None:
        """Ask "still ours?" and wait for the answer. A no is for good. Raises LostOwnership."""
        with self._asking:
            if self._lost is None:
                self.send(encode({"check": True}))
                self._lost = self._answers.get().get("error")
            if self._lost is not None:
                raise error_from_json(self._lost)


def serve(sock: socket.socket, ends: float) -> NoReturn:
    """Do what is asked through ``sock`` and end; the kernel's timer ends it at ``ends`` (monotonic) in any case."""
    signal.setitimer(signal.ITIMER_REAL, max(ends - time.monotonic(), 0.001))
    _be_modest()
    line = Line(sock)
    request = line.request()
    what = f"the {request['type']} call ({request['method']})"
    try:
        answer = perform(request, line, ends)
    except BaseException as e:  # noqa: BLE001  also SystemExit: whatever it was, the bot must hear it
        if not isinstance(e, TargetError | LostOwnership):
            traceback.print_exc()
        connections = [Connection.model_validate(c) for c in [request["connection"], *request["connections"].values()]]
        answer = encode({"error": error_to_json(e, what, secrets_of(connections))})
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    line.send(answer)
    os._exit(0)


def _be_modest() -> None:
    """No core dumps (they hold secrets), first in line when the machine is out of memory, no warnings, fresh dice."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # not on Linux, or not allowed: it only decides who goes first
        Path("/proc/self/oom_score_adj").write_text("500")
    warnings.simplefilter("ignore")
    if "numpy.random" in sys.modules:  # Python's own generator reseeds itself after a fork; numpy's does not
        sys.modules["numpy.random"].seed()


def perform(request: Json, line: Line, ends: float) -> bytes:
    """The result as the line to send."""
    target = build(request["target"], request["params"])
    call = Call(
        connection=Connection.model_validate(request["connection"]),
        blobs=BlobStore(request["blobs"]),
        now=datetime.fromisoformat(request["now"]),
        key=request["key"],
        fence=request["fence"],
        deadline=max(ends - time.monotonic(), 0.0),
        progress=line.progress,
        check=line.check,
        connections={name: Connection.model_validate(c) for name, c in request["connections"].items()},
        context=request["context"],
    )
    result = METHODS[request["method"]](target, call, request["args"])
    if isinstance(result, BaseModel):
        return b'{"result":' + result.model_dump_json().encode() + b"}\n"
    return encode({"result": result})


def build(reference: str, params: Json) -> Target:
    """The target from ``module:Class`` and its parameters. Raises ValidationError, ImportError."""
    module, _, name = reference.partition(":")
    found: object = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    if not (isinstance(found, type) and issubclass(found, BaseModel)):
        raise TypeError(f"{reference} is no target class")
    target = found.model_validate(params)
    if not isinstance(target, Target):
        raise TypeError(f"{reference} lacks a method of the target contract")
    return target


def _capture(data: Json) -> Capture:
    return Capture.model_validate(data)


METHODS: Final[dict[str, Callable[[Target, Call, list[Json]], Json]]] = {
    "inspect": lambda target, call, _: target.inspect(call),
    "capture": lambda target, call, args: target.capture(call, args[0]),
    "readiness": lambda target, call, args: target.readiness(call, _capture(args[0])),
    "diff": lambda target, call, args: target.diff(call, _capture(args[0])),
    "restore": lambda target, call, args: target.restore(call, _capture(args[0]), _capture(args[1])),
    "visible": lambda target, call, args: target.visible(call, _capture(args[0])),
    "verify": lambda target, call, args: target.verify(call, _capture(args[0])),
    "sandbox": lambda target, call, _: _params(target.sandbox(call)),
    "discard": lambda target, call, _: target.discard(call),
}


def _params(target: Target) -> Json:
    """The parameters that build the sandbox again."""
    if not isinstance(target, BaseModel):
        raise TypeError("a sandbox must be a target of the same class")
    return json.loads(target.model_dump_json(by_alias=True))
