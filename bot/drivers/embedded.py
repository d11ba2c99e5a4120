"""The default driver: our own lease loop in this process. After a restart a run goes on within two seconds."""

from __future__ import annotations

from bot.drivers.sweep import Sweeper
from bot.store import leases
from bot.store.runs import Due


class Embedded(Sweeper):
    """One task per run that is due, at most ``SLOTS`` at a time and besides them all that stop harm; a parked run costs
    nothing. On PostgreSQL any number of processes may do so: whoever claims a run's lease first drives it."""

    async def start(self) -> None:
        if self.world.store.dialect == "sqlite":
            await self.world.store.write(leases.void_leases)
        await super().start()

    async def _hand_out(self, due: list[Due]) -> int:
        return len(await self._take([d.run for d in due]))
