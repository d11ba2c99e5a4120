"""The audit log: what an append costs, and how long an auditor waits, in seconds of one core: both only compute."""

from __future__ import annotations

from collections.abc import Iterator
from time import process_time

from bot.core.auditor import verify_export
from tests.bench import Number
from tests.core.audit_log import PUBLIC, log_of

EVENTS = 100_000


def numbers() -> Iterator[Number]:
    start = process_time()
    log = log_of(EVENTS)
    yield Number("one event made, chained and signed for", (process_time() - start) / EVENTS * 1e6, "µs")
    lines = [line.encode() for line in log.lines()]
    start = process_time()
    report = verify_export(lines, log.checkpoints[-1:], PUBLIC)
    assert report.ok, report.fault
    yield Number(f"audit verify, {EVENTS:,} events with texts", process_time() - start, "s", promised=5)
