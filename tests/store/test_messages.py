"""What should stand in the chat: a wish is never lost, and nothing is said that was settled."""

from __future__ import annotations

import asyncio

import sqlalchemy as sa

from bot.core.run import Status
from bot.store import messages
from bot.store.write import Store
from tests.store.deeds import NOW, a_run, later, moved


def want(key: str = "k", at: float = 0, **more: object) -> object:
    def fn(conn: sa.Connection) -> None:
        messages.want(conn, key, purpose="card", channel="C1", now=later(at), **more)  # type: ignore[arg-type]

    return fn


async def due(store: Store) -> list[str]:
    return [m.key for m in await store.read(messages.due)]


async def test_wishes_add_up_and_the_last_body_counts(store: Store) -> None:
    """The same key is the same message however often it is wished for at the same time."""
    await asyncio.gather(*(store.write(want(body={"n": n})) for n in range(20)))  # type: ignore[arg-type]
    await store.write(want(body={"n": "last"}))  # type: ignore[arg-type]
    message = await store.read(lambda c: messages.get(c, "k"))

    assert message is not None
    assert (message.wanted, message.sent, message.body, message.settled) == (21, 0, {"n": "last"}, False)
    assert await store.read(lambda c: messages.get(c, "other")) is None


async def test_due_is_what_does_not_stand_as_it_should_oldest_first(store: Store) -> None:
    """Sent, settled and given-up messages are not due; a wish that came while one was sent keeps it due."""
    for n, key in enumerate(["new", "given up", "settled", "sent", "old", "overtaken"]):
        await store.write(want(key, at=-n))  # type: ignore[arg-type]
    await store.write(want("overtaken"))  # type: ignore[arg-type]
    for key in ("sent", "overtaken"):
        await store.write(lambda c, key=key: messages.sent(c, key, wanted=1, ts="1.2", channel="C2", digest="d"))
    await store.write(lambda c: messages.settle(c, "settled", wanted=1))
    await store.write(lambda c: messages.trouble(c, "given up", "channel_not_found", give_up=True))
    await store.write(lambda c: messages.trouble(c, "old", "ratelimited", give_up=False))

    assert await due(store) == ["overtaken", "old", "new"]
    assert [m.key for m in await store.read(lambda c: messages.due(c, limit=1))] == ["overtaken"]
    said = await store.read(messages.troubled)
    assert sorted(said) == [("given up", "channel_not_found"), ("old", "ratelimited")]
    await store.write(want("given up"))  # type: ignore[arg-type]
    assert await due(store) == ["overtaken", "old", "given up", "new"]


async def test_an_attempt_is_known_until_it_is_over(store: Store) -> None:
    """A crash between post and commit leaves an attempt without a time stamp; refusal and success clear it up."""

    async def state() -> tuple[object, object, object, int]:
        m = await store.read(lambda c: messages.get(c, "k"))
        assert m is not None
        return m.attempted_at, m.ts, m.posted_channel, m.failures

    await store.write(want())  # type: ignore[arg-type]
    await store.write(lambda c: messages.attempt(c, "k", NOW))
    assert await state() == (NOW, None, None, 0)
    await store.write(lambda c: messages.not_posted(c, "k"))
    await store.write(lambda c: messages.trouble(c, "k", "ratelimited", give_up=False))
    assert await state() == (None, None, None, 1)
    await store.write(lambda c: messages.redirect(c, "k", "C9"))
    await store.write(lambda c: messages.attempt(c, "k", NOW))
    await store.write(lambda c: messages.sent(c, "k", wanted=1, ts="1.2", channel="C9", digest="d"))
    assert await state() == (NOW, "1.2", "C9", 0)
    assert await store.read(messages.troubled) == []


async def test_a_run_is_followed_by_its_messages(store: Store) -> None:
    """Card from the plan on, thread from the start on, outcome at the end; none for a run without a channel."""
    run, silent = await a_run(store), await a_run(store, "rides", channel="")
    assert await due(store) == []
    for fields in ({"planned_at": NOW}, {"started_at": NOW}, {"status": Status.failed, "ended_at": NOW}):
        await moved(store, silent, **fields)
        await moved(store, run, **fields)
    wanted = {m.key: (m.wanted, m.parent) for m in await store.read(messages.due)}
    card = f"R-{run}:card"

    assert wanted == {card: (3, None), f"R-{run}:live": (2, card), f"R-{run}:outcome": (1, card)}
    await store.write(lambda c: messages.again(c, run, ("card", "left")))
    found = await store.read(lambda c: messages.of_run(c, run, "card"))
    assert [(m.key, m.wanted) for m in found] == [(card, 4)]
