"""The ways on from a stuck run, pressed and typed; alerts and their buttons; and a night without Slack."""

from __future__ import annotations

from datetime import timedelta

from bot.core.commands import Actor, Decide
from bot.core.run import Run, RunStep, Status
from bot.core.target import Kind
from bot.flows.apply import Applier
from bot.flows.drive import drive
from bot.flows.stalls import Stalls
from bot.slack.views import form
from bot.store import inbox, runs
from tests.flows.house import write_flag
from tests.slack.office import ANA, BEN, INC, SAM, Office, actions, key_of
from tests.slack.test_forms import broken, opened


async def page(url: str, body: dict[str, object]) -> None:
    """Nobody is paged here."""


async def test_skip_asks_why(office: Office) -> None:
    """The form says what is left out; who may not hears so; then the run goes on without it, degraded."""
    card = await broken(office)
    await office.press(card, "skip", SAM)
    view = await opened(office, SAM)
    assert view.callback_id == form.SKIP and "verify flag is left out" in str(view.blocks)
    assert (await office.slack.submit(view.id, {"typed_reason": "x"}, SAM)).ok
    await office.settle()
    assert "Not done: only @ml-oncall may leave a step out." in office.told(SAM)
    await office.press(card, "skip", BEN)
    view = await opened(office, BEN)
    assert (await office.slack.submit(view.id, {"typed_reason": "known"}, BEN)).ok
    await office.settle()
    assert (await office.run(1)).status == Status.degraded
    assert "verify flag (skipped: known)" in str(office.slack.thread(INC, card.ts)[-1].blocks)


async def test_skip_typed(office: Office) -> None:
    """Without a reason it says what to write; with one it is done."""
    await broken(office)
    assert await office.type("skip", BEN) == "Say why: /rollback skip R-17 because REASON"
    assert await office.type("skip R-1 because known", BEN) == "R-1: skipping"
    assert (await office.run(1)).status == Status.degraded


async def test_another_way_takes_over(office: Office) -> None:
    """The form knows the feature and says what ends; the new card stands, the old one says who took over."""
    card = await broken(office)
    await office.press(card, "switch", BEN)
    view = await opened(office, BEN)
    assert "R-1 ends with this" in str(view.blocks)
    ack = await office.slack.submit(view.id, {form.FEATURE: "fares", form.VERSION: "v1", form.REASON: "again"}, BEN)
    assert ack.ok, ack
    await office.settle()
    assert "R-2 takes over from here" in str(office.card(run=1).blocks)
    assert (await office.run(2)).waiting_for == "approval"
    assert "takes over from R-1" in str(office.card(run=2).blocks)
    await office.press(office.card(run=2), "approve", "U0CLEO")
    assert (await office.run(2)).started_at is not None


async def test_switch_typed(office: Office) -> None:
    """What it lacks is said; then it is the same as the form."""
    await broken(office)
    assert (await office.type("switch R-1", BEN)).startswith("Which other way? /rollback switch R-1 to VERSION")
    assert "so it is no dry run" in await office.type("switch R-1 to v1 dry run", BEN)
    assert await office.type("switch R-1 to v1 because other", BEN) == "R-2: planning fares to v1"
    assert ((await office.run(1)).status, (await office.run(2)).instead_of) == (Status.aborted, 1)


async def test_unlock_by_the_card_that_waits(office: Office) -> None:
    """A run that waits for another's locks offers to take them, says what that means, and begins."""
    await broken(office)
    await office.type("fares to v2 because other", ANA)
    taken = office.card(run=2)
    await office.slack.click(taken.channel, taken.ts, "approve", BEN)
    for _ in range(3):
        await _once(office)
    card = office.card(run=2)
    assert actions(card) == ["pause", "unlock", "abort", "details"] and "R-1 is working on the same" in str(card.blocks)
    ack = await office.slack.click(card.channel, card.ts, "unlock", BEN)
    assert ack.ok
    view = await opened(office, BEN)
    assert view.callback_id == form.UNLOCK and "loses its locks and ends" in str(view.blocks)
    write_flag(office.house.folder)
    assert (await office.slack.submit(view.id, {"typed_reason": "its host burnt down"}, BEN)).ok
    await office.settle()
    assert (await office.run(1)).why.startswith("its locks were taken away by force: its host burnt down")
    assert (await office.run(2)).started_at is not None


async def _once(office: Office) -> None:
    """The loops by hand, while time stands still."""
    await Applier(office.house.world).apply_all()
    for number in await office.house.store.read(lambda c: runs.due(c, office.clock.now())):
        await drive(office.house.world, number)
    await office.publish()


async def test_a_slow_step_is_said_with_what_can_be_done(office: Office) -> None:
    """In the thread, with who is looking; pressed, it is quiet and says so. When the step is over the alert says that,
    and offers nothing any more."""
    await office.waiting()
    now = office.clock.now()
    known = {"n": 0, "group": 0, "verb": "disable", "component": "flag", "kind": Kind.flag, "resource": "f"}
    step = RunStep.model_validate({**known, "status": "running", "attempts": 1, "started_at": now})

    def begin(r: Run) -> tuple[Run, list[object]]:
        return r.to(steps=[step], status=Status.running, waiting_for=None, started_at=now), []

    await office.house.store.write(lambda c: runs.change(c, 1, begin, now))  # type: ignore[arg-type]
    office.clock.advance(timedelta(seconds=130))
    stalls = Stalls(office.house.world, page)
    assert await stalls.when_due() == 1
    await office.publish()
    alert = next(m for m in office.slack.thread(INC, office.card(run=1).ts) if ":stall:" in key_of(m))
    assert "disable flag is slow: since 03:02" in alert.text or "is slow: since" in alert.text
    assert "Nobody has said to be looking" in str(alert.blocks) and actions(alert)[0] == "looking"
    await office.slack.click(alert.channel, alert.ts, "looking", BEN)
    await Applier(office.house.world).apply_all()
    assert (await office.run(1)).looking.endswith(BEN)
    over = step.model_copy(update={"status": "done"})
    await office.house.store.write(lambda c: runs.change(c, 1, lambda r: (r.with_step(over), []), now))
    await stalls.when_due()
    await office.publish()
    alert = next(m for m in office.slack.thread(INC, office.card(run=1).ts) if ":stall:" in key_of(m))
    assert "disable flag is not stalled any more" in alert.text and actions(alert) == []


async def test_snooze_and_speed_typed(office: Office) -> None:
    """Durations are read, faults are said in one line."""
    await office.waiting()
    assert await office.type("snooze 30m", BEN) == "R-1: no alerts for 30 min"
    assert "'soon' is not a duration" in await office.type("snooze R-1 soon", BEN)
    assert await office.type("snooze 0s", BEN) == "0s is too long or too short: write between 1s and 24h."
    assert "Which run, and which other way?" in await office.type("switch", BEN)
    assert "Which run, and which other way?" in await office.type("switch to v1", BEN)
    assert await office.type("speed", BEN) == "How fast? /rollback speed R-17 5m, or: speed R-17 now"
    await office.type("speed R-1 now", BEN)
    assert "Not done: R-1 has no ramp that could go faster or slower." in office.told(BEN)


async def test_where_no_worker_is_alive_whoever_types_hears_it(office: Office) -> None:
    """Commands, presses and status: kept, and nobody does it yet."""
    await office.two_releases()
    office.house.world.unworked = "no worker is running: start one, 'rollbot serve --role worker'"
    ack = await office.typed("fares to v1", ANA)
    await office.app.desk.idle()
    assert ack.ok and any("It is kept, but nobody does it yet: no worker is running" in t for t in office.told(ANA))
    status = await office.typed("status", ANA)
    assert "no worker is running" in str(status.body)


async def test_a_night_without_slack(office: Office) -> None:
    """Every call to Slack fails while the run is approved at the terminal and done. When Slack is back each message
    stands once, in order, and the thread tells what happened meanwhile."""
    await office.waiting()
    office.slack.fault("*", times=60, status=503, error="service_unavailable")
    run, asked_of_slack = await office.run(1), len(office.slack.calls)
    ben = Actor(kind="person", id=f"{run.requester.id.split('/')[0]}/{BEN}", via="cli")
    yes, now = Decide(run=1, yes=True, digest=run.plan_digest or ""), office.clock.now()
    await office.house.store.intake(lambda c: inbox.take(c, "cli:1", ben, yes, "", now))
    await office.house.settle()
    assert (await office.run(1)).status == Status.succeeded
    assert await office.app.publisher.publish_due() == 0 and "R-1:outcome" in await office.due()

    for _ in range(200):
        await office.app.publisher.publish_due()
        office.clock.advance(30)
    card = office.card(run=1)
    keys = [key_of(m) for m in office.slack.thread(INC, card.ts)]
    assert not await office.due() and len(office.slack.calls) > asked_of_slack + 10
    assert keys == ["R-1:live", "R-1:outcome"] and len([m for m in office.slack.channel(INC) if m.ts == card.ts]) == 1
    assert any(f"Approved by @{who}" in str(card.blocks) for who in ("ben", BEN)) and "DONE" in card.text
