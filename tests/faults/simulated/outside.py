"""The port to the simulated systems, as one process has it: slow, failing, lying, late, and never answering."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import TypeVar

from bot.core.errors import Moved, TargetError
from bot.core.ports import Component, Errand
from bot.core.target import Accuracy, Capture, Diff, Readiness, Receipt, State, Visibility, diff_facts
from tests.faults.simulated.loop import lapse
from tests.faults.simulated.process import Process
from tests.faults.simulated.systems import OFF, System, captured

T = TypeVar("T")
HANGS = 10_000.0
Owns = Callable[[str, str], None]
"""Is told key and process before each write: does that process own the run?"""


class Outside:
    """``core.ports.Targets``. A call of a process that is gone writes nothing more, but for what is on its way."""

    def __init__(self, process: Process, systems: dict[str, System], now: Callable[[], datetime], owns: Owns) -> None:
        self.process, self.systems, self.now, self.owns = process, systems, now, owns
        self.mishaps = process.mishaps

    def resource(self, c: Component) -> str:
        return f"sim:{c.name}"

    def fault(self, c: Component) -> str | None:
        return None

    def disabled(self, c: Component, now: Capture) -> Capture:
        return self._changed(now, OFF[c.kind])

    def held(self, c: Component, now: Capture) -> Capture:
        return self._changed(now, OFF[c.kind])

    def lifted(self, c: Component, now: Capture) -> Capture:
        return self._changed(now, "runs")

    def at(self, c: Component, now: Capture, percent: int) -> Capture:
        return self._changed(now, f"{percent} %")

    def _changed(self, now: Capture, value: str) -> Capture:
        return captured(now.kind, now.resource.removeprefix("sim:"), value, now.taken_at)

    async def inspect(self, c: Component, errand: Errand) -> State:
        return await self._call(c, errand, "inspect", lambda: self._asked(self.systems[c.name].state))

    async def capture(self, c: Component, errand: Errand, at: str | None = None) -> Capture:
        system = self.systems[c.name]
        return await self._call(c, errand, "capture", lambda: self._asked(lambda: system.capture(self.now())))

    async def readiness(self, c: Component, errand: Errand, capture: Capture) -> Readiness:
        return await self._call(c, errand, "readiness", lambda: self._asked(lambda: Readiness(status="ready")))

    async def diff(self, c: Component, errand: Errand, capture: Capture) -> Diff:
        system = self.systems[c.name]
        return await self._call(c, errand, "diff", lambda: self._asked(lambda: diff_facts(system.state(), capture)))

    async def visible(self, c: Component, errand: Errand, capture: Capture) -> Visibility:
        system = self.systems[c.name]

        def seen() -> Visibility:
            there = asyncio.get_running_loop().time() >= system.seen_from
            return Visibility(visible=there, seen=int(there), total=1)

        return await self._call(c, errand, "visible", lambda: self._asked(seen))

    async def verify(self, c: Component, errand: Errand, capture: Capture) -> Accuracy:
        system = self.systems[c.name]

        def read() -> Accuracy:
            same = system.state().pointer == capture.pointer
            return Accuracy(matched=int(same), expected=1, missing=int(not same))

        return await self._call(c, errand, "verify", lambda: self._asked(read))

    async def restore(self, c: Component, errand: Errand, capture: Capture, before: Capture) -> Receipt:
        trouble = self.mishaps.of_call()
        work = partial(self._restore, c, errand, capture, before, trouble)
        return await self._call(c, errand, "restore", work, trouble)

    async def _asked(self, answer: Callable[[], T]) -> T:
        await lapse(self.mishaps.short() * 5)
        return answer()

    async def _call(
        self, c: Component, errand: Errand, method: str, work: Callable[[], Awaitable[T]], trouble: str | None = None
    ) -> T:
        """The frame of a child: its time, and how it may fail."""
        trouble = self.mishaps.of_call() if trouble is None else trouble
        if trouble:
            self.mishaps.say(f"{self.process.name} {method} {c.name}: {trouble}")
        await self.process.passes(f"call of {method} {c.name} begins")
        try:
            async with asyncio.timeout(errand.timeout):
                answer = await self._with(trouble, work)
        except TimeoutError:
            raise TargetError(f"the {method} call took longer than {errand.timeout:.0f} s", retriable=True) from None
        await self.process.passes(f"call of {method} {c.name} is answered")
        return answer

    async def _with(self, trouble: str, work: Callable[[], Awaitable[T]]) -> T:
        if trouble in ("refuses", "final"):
            await lapse(self.mishaps.short())
            raise TargetError("it can't do that now (simulated)", retriable=trouble == "refuses")
        if trouble in ("slow", "hangs"):
            await lapse(HANGS if trouble == "hangs" else self.mishaps.dice.uniform(0.5, 28))
        answer = await work()
        if trouble == "lost":
            raise TargetError("the answer was lost (simulated)", retriable=True)
        return answer

    async def _restore(self, c: Component, errand: Errand, to: Capture, before: Capture, trouble: str) -> Receipt:
        system, changed = self.systems[c.name], False
        for whole in [False] * (system.parts - 1) + [True]:
            await lapse(self.mishaps.short() * 5)
            if self.process.frozen:  # what freezes a process is no good to its children either
                await lapse(self.mishaps.dice.uniform(0, 25))
            if errand.check:
                await self.process.passes(f"child asks for {c.name}")
                await errand.check()
            if not self.process.alive:
                raise TargetError("the child died with its parent (simulated)", retriable=True)
            if trouble == "dies" and whole:
                raise TargetError("the child died (simulated)", retriable=True)
            if trouble == "lies":
                system.ledger.lies.add(errand.key)
                continue
            late = trouble == "late" and system.counts
            self.owns(errand.key, self.process.name)
            changed = await self._landed(system, errand, to, before, whole=whole, late=late) or changed
        system.seen_from = asyncio.get_running_loop().time() + self.mishaps.unseen()
        if trouble == "again":
            return Receipt(changed=changed, note="goes on outside", again_after=self.mishaps.dice.uniform(0.5, 5))
        return Receipt(changed=changed or trouble == "lies", pointer=to.pointer)

    async def _landed(
        self, system: System, errand: Errand, to: Capture, before: Capture, *, whole: bool, late: bool
    ) -> bool:
        """A write that is on its way takes effect, whatever becomes of who sent it."""
        if not late:
            return self._land(system, errand, to, before, whole=whole)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bool] = loop.create_future()

        def land() -> None:
            try:
                answer: bool | Moved = self._land(system, errand, to, before, whole=whole)
            except Moved as e:
                answer = e
            if done.done():
                return
            done.set_exception(answer) if isinstance(answer, Moved) else done.set_result(answer)

        loop.call_later(self.mishaps.dice.uniform(0.1, 25), land)
        return await done

    def _land(self, system: System, errand: Errand, to: Capture, before: Capture, *, whole: bool) -> bool:
        was = system.value
        changed = system.land(errand.key, to, before, whole=whole)
        self.mishaps.say(f"{self.process.name} {errand.key} {system.name}: {was} -> {system.value}")
        return changed
