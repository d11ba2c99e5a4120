"""Is the state on disk that of the last start? An ephemeral disk loses releases, runs and evidence without a word."""

from __future__ import annotations

import asyncio
import secrets

from bot.outside.blobs import BlobStore
from bot.store import occurrences
from bot.store.write import Connection, Store


async def same_disk(store: Store, blobs: BlobStore) -> list[str]:
    """Warnings where the artifact store is not the one that this database knows. Remembers it at the first start."""
    marker = await asyncio.to_thread(blobs.marker)

    def compare(conn: Connection) -> list[str]:
        known = occurrences.get_meta(conn, "artifacts")
        if known is None:
            occurrences.set_meta(conn, "artifacts", marker)
            occurrences.set_meta(conn, "database", secrets.token_hex(16))
            return []
        if known == marker:
            return []
        return ["the artifact store is not the one of the last start: captures may be gone (is its disk ephemeral?)"]

    return await store.write(compare)
