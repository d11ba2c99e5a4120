"""Nothing that the bot started goes on writing when the bot, or a process between, is killed or frozen."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress

import pytest

from bot.core.errors import TargetError
from bot.outside.child import Children
from tests.outside.tools import facts, fifo, gone, heard, request


@contextmanager
def bot(act, path, *preload, timeout="60"):
    """The small bot, and the pids of its fork servers (0 for one that is not there)."""
    command = [sys.executable, "-m", "tests.outside.bot_program", act, str(path), timeout, *preload]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            yield process, [int(word) for word in process.stdout.readline().split()]
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()


@contextmanager
def frozen(pid):
    """The process does nothing inside the block, and goes on behind it, also if the test has failed."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@pytest.fixture
async def children(tmp_path):
    made = Children(str(tmp_path), preload=[])
    await made.start()
    yield made
    await made.stop()


@pytest.mark.parametrize("preload", [[], ["colorsys"]])
async def test_kill_9_of_the_bot_takes_everything_along(tmp_path, preload):
    """The child, the program it started, and both fork servers are gone soon after the bot was killed."""
    path = fifo(tmp_path)
    with bot("grandchild", path, *preload) as (process, servers):
        child, program = await heard(path)
        assert not gone(child, 0.0) and not gone(program, 0.0)
        process.kill()
        assert gone(child) and gone(program)
        assert all(gone(pid) for pid in servers if pid)


async def test_kill_9_of_the_bot_ends_a_server_that_is_still_importing():
    """A fork server busy with an import that never ends does not outlive the bot."""
    with bot("wait", "", "tests.outside.hanging_import") as (process, servers):
        assert not gone(servers[1], 0.0)
        process.kill()
        assert all(gone(pid) for pid in servers)


@pytest.mark.parametrize("act", ["grandchild", "stubborn"])
async def test_a_child_keeps_its_deadline_while_the_bot_is_frozen(tmp_path, act):
    """A bot that is stopped (a suspended machine, a long pause) can't keep a call alive beyond its time, nor what the
    call started, also if the child ignores its own alarm."""
    path = fifo(tmp_path)
    with bot(act, path, timeout="4") as (process, _):
        pids = await heard(path)
        process.send_signal(signal.SIGSTOP)
        assert pids and all(gone(pid) for pid in pids)


async def test_a_child_keeps_its_deadline_while_all_above_it_are_frozen(tmp_path):
    """The child's own timer ends it even if neither the bot nor the fork server can."""
    path = fifo(tmp_path)
    with bot("hang", path, timeout="4") as (process, servers):
        (child,) = await heard(path)
        with frozen(servers[0]), frozen(process.pid):
            assert gone(child)


async def test_a_child_goes_with_its_fork_server_while_the_bot_is_frozen(tmp_path):
    """A killed fork server takes its children along even if the bot can't."""
    path = fifo(tmp_path)
    with bot("hang", path) as (process, servers):
        (child,) = await heard(path)
        process.send_signal(signal.SIGSTOP)
        os.kill(servers[0], signal.SIGKILL)
        assert gone(child)


async def test_a_child_goes_with_the_bot_while_its_fork_server_is_frozen(tmp_path):
    """A child notices by itself that nobody listens any more, and takes along what it started."""
    path = fifo(tmp_path)
    with bot("grandchild", path) as (process, servers):
        child, program = await heard(path)
        with frozen(servers[0]):
            process.kill()
            assert gone(child) and gone(program)


async def test_a_killed_fork_server_is_said_buried_and_replaced(children, tmp_path):
    """Its calls are over, what they started is gone, and the next call gets a new server."""
    path = fifo(tmp_path)
    call = asyncio.create_task(children.run(request(do="grandchild", arg=str(path)), timeout=60))
    child, program = await heard(path)
    os.kill(children._light.pid, signal.SIGKILL)
    with pytest.raises(TargetError, match="the process that it was forked from has ended") as raised:
        await call
    assert raised.value.retriable and gone(child) and gone(program)
    assert facts(await children.run(request(), timeout=20))["pid"]


async def test_a_frozen_fork_server_can_not_keep_a_cancelled_call_alive(children, tmp_path):
    """If the fork server does not obey, the bot kills the child itself."""
    path = fifo(tmp_path)
    call = asyncio.create_task(children.run(request(do="grandchild", arg=str(path)), timeout=60))
    child, program = await heard(path)
    with frozen(children._light.pid):
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert gone(child) and gone(program)


async def test_a_frozen_fork_server_can_not_prevent_the_stop(tmp_path):
    """stop() ends a server that hears nothing."""
    children = Children(str(tmp_path), preload=[])
    await children.start()
    await children.warmed()
    server = children._light.pid
    with frozen(server):
        await children.stop()
        assert gone(server)


async def test_a_warm_server_that_dies_leaves_the_light_one(tmp_path):
    """Without the preloaded libraries calls are slower, and work."""
    children = Children(str(tmp_path), preload=["colorsys"])
    await children.start()
    await children.warmed()
    server = children._warm.pid
    os.kill(server, signal.SIGKILL)
    assert gone(server)
    await children._warm._gone.wait()
    got = facts(await children.run(request(), timeout=20))
    assert "colorsys" not in got["modules"] and not children.ready()
    children._warm._started_at = float("-inf")
    await children.run(request(), timeout=20)
    await asyncio.wait_for(children.warmed(), 20)
    assert "colorsys" in facts(await children.run(request(), timeout=20))["modules"]
    await children.stop()
