"""Calls into outside systems run in children of their own, and nothing that a child does can hurt the bot."""

from __future__ import annotations

import asyncio
import os
import sys
import time

import pytest

from bot.core.errors import CorruptBlob, LostOwnership, MissingExtra, Moved, TargetError
from bot.core.target import Capture, Connection
from bot.outside.child import Children, Request
from tests.outside.fakes import capture_of
from tests.outside.tools import NOW, facts, fifo, gone, heard, request, said


@pytest.fixture
async def children(tmp_path):
    """Children without preloaded libraries."""
    made = Children(str(tmp_path / "artifacts"), 400 * 1024**2, [], tmp_path / "log" / "children.log")
    await made.start()
    yield made
    await made.stop()


def swap(made: Request, **changes: object) -> Request:
    """The request with other values."""
    return Request(**(vars(made) | changes))


async def test_a_call_gets_everything_and_answers(children):
    """Key, fence, time, context, settings and the other connections arrive in a process that is not the bot's."""
    other = Connection(name="lake", type="delta")
    got = facts(await children.run(swap(request(), connections={"lake": other}, context={"feature": "f"}), timeout=20))
    assert got["pid"] != os.getpid() and got["group"] == got["pid"]
    assert (got["key"], got["fence"], got["context"]) == ("R-1:3", 7, {"feature": "f"})
    assert got["now"] == NOW.isoformat() and got["others"] == ["lake"]
    assert got["settings"] == {"password": "hunter2", "host": "h"}
    assert 0 < got["deadline"] <= 20


async def test_every_method_of_the_contract_goes_there_and_back(children, tmp_path):
    """All methods of a target can be called, and the bytes a child stores are there for the next child."""
    capture = Capture.model_validate(await children.run(request("capture", ["v12"]), timeout=20))
    assert capture.pointer == "v12" and capture.taken_at == NOW
    given = capture.model_dump(mode="json")
    before = capture_of("v13").model_dump(mode="json")
    assert (await children.run(request("readiness", [given]), timeout=20))["status"] == "ready"
    assert (await children.run(request("diff", [given]), timeout=20))["counts"] == {"rows_added": 1}
    restored = await children.run(request("restore", [given, before], arg=str(tmp_path / "w")), timeout=20)
    assert restored["pointer"] == "v13->v12"
    assert (await children.run(request("visible", [given]), timeout=20))["total"] == 2
    assert (await children.run(request("verify", [given]), timeout=20))["matched"] == 9
    sandbox = await children.run(request("sandbox", arg="table"), timeout=20)
    assert sandbox["arg"] == "table-sandbox"
    assert await children.run(request("discard", arg=str(tmp_path / "d")), timeout=20) is None
    assert (tmp_path / "d").read_text() == "discarded"


@pytest.mark.parametrize(
    ("do", "arg", "words"),
    [
        ("exit", "3", "ended without an answer (exit code 3)"),
        ("exit", "0", "ended without an answer (exit code 0)"),
        ("kill", "9", "was ended by SIGKILL before it answered"),
        ("kill", "11", "was ended by SIGSEGV before it answered"),
    ],
)
async def test_a_child_that_dies_is_said_and_the_next_call_works(children, do, arg, words):
    """A crash is a retriable TargetError in words, and hurts only its own call."""
    with pytest.raises(TargetError) as raised:
        await children.run(request(do=do, arg=arg), timeout=20)
    assert raised.value.message == f"the thing call (inspect) {words}" and raised.value.retriable
    assert facts(await children.run(request(), timeout=20))["pid"]


@pytest.mark.parametrize("do", ["hang", "stubborn"])
async def test_a_child_that_hangs_is_stopped_at_its_time(children, tmp_path, do):
    """After the timeout the child is dead, also if it ignores every polite signal, and the error says so."""
    path = fifo(tmp_path)
    pids = asyncio.create_task(heard(path))
    with pytest.raises(TargetError) as raised:
        await children.run(request(do=do, arg=str(path)), timeout=3.5)
    assert raised.value.message == "the thing call (inspect) did not answer within 3.5 s and was stopped"
    assert raised.value.retriable
    assert all(gone(pid, 0.0) for pid in await pids)


async def test_a_memory_hog_is_stopped_and_the_others_go_on(children):
    """A child over its memory limit is killed and named; a call beside it ends well."""
    hog = asyncio.create_task(children.run(request(do="eat", arg="16"), timeout=60))
    assert facts(await children.run(request(), timeout=20))
    with pytest.raises(TargetError, match=r"used more than 0\.\d GiB of memory and was stopped") as raised:
        await hog
    assert not raised.value.retriable


async def test_ten_megabytes_come_back_whole(children):
    """A large answer is not cut."""
    assert len(facts(await children.run(request(size=10_000_000), timeout=60))["big"]) == 10_000_000


async def test_an_answer_beyond_the_limit_is_refused(children):
    """What is larger than a line may be is an error, not the bot's memory."""
    with pytest.raises(TargetError, match="more than 64 MiB at once"):
        await children.run(request(size=65 * 1024 * 1024), timeout=60)


async def test_what_libraries_print_goes_to_the_log(children, tmp_path):
    """Lines on stdout that look like answers are no answers; they are in the log."""
    assert facts(await children.run(request(do="print"), timeout=20))["pid"]
    log = (tmp_path / "log" / "children.log").read_text()
    assert "not the answer" in log and "noise" in log


async def test_the_log_does_not_grow_for_ever(tmp_path):
    """A full log is put aside, one old copy is kept, and later calls print into a new one."""
    log = tmp_path / "log"
    for content in (b"first", b"second"):
        log.write_bytes(content + bytes(10 * 1024**2))
        children = Children(str(tmp_path), preload=[], log=log)
        await children.start()
        await children.run(request(do="print"), timeout=20)
        await children.stop()
    assert "not the answer" in log.read_text() and log.stat().st_size < 100_000
    assert (tmp_path / "log.1").read_bytes().startswith(b"second")
    assert log.stat().st_mode & 0o077 == 0


async def test_a_request_shows_no_secrets():
    """What may end up in a traceback or a log holds no settings."""
    assert "hunter2" not in repr(request()) and "hunter2" in str(request().connection.settings)


async def test_threads_of_a_library_do_not_keep_a_child(children):
    """A child ends with its answer, whatever threads a library left running."""
    pid = facts(await children.run(request(do="threads"), timeout=20))["pid"]
    assert gone(pid)


async def test_a_cancelled_call_is_dead_and_so_is_what_it_started(children, tmp_path):
    """When the awaiting task is cancelled the child and the programs it started are gone before the task ends."""
    path = fifo(tmp_path)
    call = asyncio.create_task(children.run(request(do="grandchild", arg=str(path)), timeout=60))
    child, program = await heard(path)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert gone(child, 0.0) and gone(program)


async def test_stop_kills_what_is_running(children, tmp_path):
    """After stop() no call is left, and who waited for one is told."""
    path = fifo(tmp_path)
    call = asyncio.create_task(children.run(request(do="grandchild", arg=str(path)), timeout=60))
    child, program = await heard(path)
    await children.stop()
    with pytest.raises(TargetError):
        await call
    assert gone(child) and gone(program)
    with pytest.raises(TargetError, match="have been stopped"):
        await children.run(request(), timeout=5)


async def test_progress_is_heard(children, tmp_path):
    """The first and the last progress always arrive."""
    notes: list = []
    args = [capture_of().model_dump(mode="json")] * 2
    await children.run(request("restore", args, arg=str(tmp_path / "w")), timeout=20, on_progress=said(notes))
    assert notes[0] == (1, 3, "row 0") and notes[-1] == (3, 3, "row 2")


async def test_a_no_before_a_write_prevents_it(children, tmp_path):
    """Writes before the no stand, the write after it does not happen, and the caller hears LostOwnership."""
    asked = []

    async def check() -> None:
        asked.append(1)
        if len(asked) == 2:
            raise LostOwnership("R-1 belongs to another worker")

    args = [capture_of().model_dump(mode="json")] * 2
    with pytest.raises(LostOwnership, match="R-1 belongs to another worker"):
        await children.run(request("restore", args, arg=str(tmp_path / "w")), timeout=20, check=check)
    assert (tmp_path / "w").read_text() == "0\n" and len(asked) == 2


async def test_a_target_can_not_hide_a_no(children, tmp_path):
    """A target that swallows LostOwnership never gets a yes again, and the caller hears the no, not its result."""
    asked = []

    async def check() -> None:
        asked.append(1)
        raise LostOwnership

    args = [capture_of().model_dump(mode="json")] * 2
    made = request("restore", args, arg=str(tmp_path / "w"))
    with pytest.raises(LostOwnership):
        await children.run(swap(made, target="tests.outside.fakes:Swallower"), timeout=20, check=check)
    assert asked == [1] and not (tmp_path / "w").exists()


async def test_a_check_that_fails_otherwise_ends_the_call(children, tmp_path):
    """If nobody can say whether the run is still ours, nothing is written and the caller's own error comes back."""

    async def check() -> None:
        raise RuntimeError("no database")

    args = [capture_of().model_dump(mode="json")] * 2
    with pytest.raises(RuntimeError, match="no database"):
        await children.run(request("restore", args, arg=str(tmp_path / "w")), timeout=20, check=check)
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize(
    ("arg", "kind", "words", "retriable"),
    [
        ("moved", Moved, "the flag is at v14 now", False),
        ("corrupt", CorruptBlob, "blob sha256:ab is gone", False),
        ("missing", MissingExtra, "feast is not installed: pip install 'rollbot[feast]'", False),
        ("busy", TargetError, "the table is locked", True),
        ("bug", TargetError, "the thing call (inspect) failed: KeyError: 's3cr3t-value'", False),
        ("exit", TargetError, "the thing call (inspect) failed: SystemExit: 3", False),
    ],
)
async def test_errors_keep_their_class(children, arg, kind, words, retriable):
    """Our errors come back as themselves; anything else is a TargetError that says what failed."""
    with pytest.raises(TargetError) as raised:
        await children.run(request(do="fail", arg=arg), timeout=20)
    assert type(raised.value) is kind and raised.value.message == words and raised.value.retriable is retriable


async def test_errors_carry_no_secrets(children):
    """A lost connection is one retriable line without the password in it."""
    with pytest.raises(TargetError) as raised:
        await children.run(request(do="fail", arg="network"), timeout=20)
    text = raised.value.message
    assert "hunter2" not in text and "postgresql://***@db refused second line" in text and raised.value.retriable


async def test_parameters_that_do_not_fit_are_said(children):
    """A child that can't build its target says so."""
    with pytest.raises(TargetError, match="failed: ValidationError"):
        await children.run(request(sise=3), timeout=20)
    with pytest.raises(TargetError, match="no target class"):
        await children.run(swap(request(), target="tests.outside.fakes:Broken", params={}), timeout=20)


async def test_twenty_at_once(children):
    """More calls than slots all end well, each in a process of its own."""
    made = [swap(request(), connection=Connection(name=f"c{n % 5}", type="thing")) for n in range(20)]
    results = await asyncio.gather(*[children.run(r, timeout=60) for r in made])
    assert len({facts(r)["pid"] for r in results}) == 20


async def test_a_dead_system_can_not_take_every_slot(tmp_path):
    """Calls into one hanging system leave slots for another and for what is urgent; those behind them are told why."""
    children = Children(str(tmp_path), preload=[], slots=2, per_connection=1)
    await children.start()
    path = fifo(tmp_path)
    hanging = asyncio.create_task(children.run(request(do="hang", arg=str(path)), timeout=60))
    await heard(path)
    with pytest.raises(TargetError, match=r"found no free slot within 0\.2 s") as raised:
        await children.run(request(), timeout=0.2)
    assert raised.value.retriable
    other = swap(request(), connection=Connection(name="flags", type="thing"))
    assert facts(await children.run(other, timeout=20))
    assert facts(await children.run(request(), timeout=20, urgent=True)), "stopping the harm waits in no line"
    hanging.cancel()
    await asyncio.wait([hanging])
    await children.stop()


async def test_children_see_only_what_they_need(tmp_path, monkeypatch):
    """The bot's tokens are in no child's environment or command line; what is passed by name is."""
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-1")
    monkeypatch.setenv("ROLLBOT_DATABASE_URL", "postgresql://x")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("LAKE_TOKEN", "t")
    children = Children(str(tmp_path), preload=[], pass_env=("LAKE_TOKEN",))
    await children.start()
    got = facts(await children.run(request(), timeout=20))["env"]
    await children.stop()
    assert not {k for k in got if k.startswith(("SLACK", "ROLLBOT"))}
    assert got["AWS_REGION"] == "eu-west-1" and got["LAKE_TOKEN"] == "t"


async def test_start_returns_at_once_and_preloading_goes_on_behind_it(tmp_path, monkeypatch):
    """Calls work before the preload is finished, and have the libraries once it is."""
    gate = fifo(tmp_path)
    monkeypatch.setenv("SLOW_IMPORT", str(gate))
    modules = ["no_such_library", "tests.outside.slow_import", "colorsys"]
    children = Children(str(tmp_path), preload=modules, pass_env=("SLOW_IMPORT",))
    began = time.perf_counter()
    await children.start()
    took = time.perf_counter() - began
    early = facts(await children.run(request(), timeout=20))
    assert not children.ready() and "colorsys" not in early["modules"]
    await asyncio.to_thread(gate.write_text, "go on")
    await asyncio.wait_for(children.warmed(), 20)
    late = facts(await children.run(request(), timeout=20))
    await children.stop()
    sys.stdout.write(f"start() took {took * 1000:.1f} ms\n")
    assert "colorsys" in late["modules"] and took < 1.0


async def test_a_module_that_starts_a_thread_is_not_preloaded(tmp_path):
    """Forking stays safe: the other modules are preloaded, this one is left to the calls, and the log says so."""
    log = tmp_path / "log"
    children = Children(str(tmp_path), preload=["colorsys", "tests.outside.threaded_import", "sched"], log=log)
    await children.start()
    await asyncio.wait_for(children.warmed(), 20)
    modules = facts(await children.run(request(), timeout=20))["modules"]
    await children.stop()
    assert "colorsys" in modules and "sched" in modules
    assert "tests.outside.threaded_import starts a thread when it is imported" in log.read_text()


async def test_a_log_that_can_not_be_written_is_said_at_the_start(tmp_path):
    """A faulty log path fails start(), not the first call of an incident."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        await Children(str(tmp_path), preload=[], log=tmp_path / "file" / "log").start()
