"""Is the state on disk that of the last start? An ephemeral disk loses releases, runs and evidence without a word."""

from __future__ import annotations

import asyncio
import secrets

from bot.outside.blobs import BlobStore
from bot.store import occurrences
from bot.store.write import Connection, Store

OTHER_ARTIFACTS = "the artifact store is not the one of the last start: captures may be gone (is its disk ephemeral?)"
OTHER_DATABASE = (
    "the database is not the one of the last start: releases, runs and the audit log may be gone (is its disk "
    "ephemeral, or does ROLLBOT_DATABASE_URL name another one?)"
)


async def same_disk(store: Store, blobs: BlobStore) -> list[str]:
    """Warnings where database and artifact store are not those that know one another: each keeps the other's id from
    the first start on, so either may be the one that was lost."""
    marker = await asyncio.to_thread(blobs.marker)

    def meet(conn: Connection) -> tuple[str, str]:
        known = occurrences.first_meta(conn, "artifacts", marker)
        return known, occurrences.first_meta(conn, "database", secrets.token_hex(16))

    known, own = await store.write(meet)
    if known != marker:
        return [OTHER_ARTIFACTS]
    first = await asyncio.to_thread(blobs.database, own)
    return [] if first == own else [OTHER_DATABASE]
