"""From a pressed button to a command in the inbox. Who may is judged by the worker; here is only read what it was."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from bot.core.commands import (
    Abort,
    Accept,
    Command,
    Decide,
    Pause,
    Purpose,
    Request,
    Resume,
    Retry,
    RunAnyway,
    Skip,
    Snooze,
    Speed,
    Unlock,
)
from bot.core.errors import Usage
from bot.core.run import Run, unproved
from bot.slack.commands import forms, names
from bot.slack.commands.reading import history_page, versions_page
from bot.slack.commands.rollback import planning, putting_back
from bot.slack.desk import Desk
from bot.slack.origin import Origin
from bot.slack.press import Press, Stale
from bot.slack.views import buttons, form, lists
from bot.slack.views.details import details
from bot.slack.views.words import Json, Shown
from bot.store import lineage, releases

Then = Awaitable[None]
After = Callable[[], Then] | None


async def pressed(press: Press) -> After:
    """Does what the button says: an inbox row, or a modal behind the ack. Raises RollbotError, StoreDown."""
    if press.action.startswith(f"{buttons.OFFER}_"):
        return await _offer(press)
    if press.action.startswith(f"{buttons.SPEED}_"):
        return await _speed(press)
    handler = PRESSES.get(press.action)
    if handler is None:
        raise Stale
    return await handler(press)


async def _take(press: Press, *wanted: tuple[Command, str]) -> After:
    """A press that asks for a run is told which one; others see the card change, or hear from the worker."""
    taken = await press.desk.take(press.origin, *wanted)
    asks = isinstance(wanted[-1][0], Request)
    return (lambda: press.desk.tell(press.origin, taken.answer)) if asks else None


async def _approve(press: Press) -> After:
    run = await press.number()
    return await _take(press, (Decide(run=run, yes=True, digest=press.digest), f"R-{run}: your yes is noted"))


async def _reject(press: Press) -> After:
    run = await press.number()
    return await _take(press, (Decide(run=run, yes=False, digest=press.digest), f"R-{run}: your no is noted"))


def _controls(make: type[Abort | Pause | Resume | Retry | Snooze], doing: str) -> Callable[[Press], Awaitable[After]]:
    async def handler(press: Press) -> After:
        run = await press.number()
        return await _take(press, (make(run=run), f"R-{run}: {doing}"))

    return handler


async def _restore_again(press: Press) -> After:
    """What a verified rollback brought and somebody has changed since."""
    run = await press.run()
    again = _of_run(run, Purpose.rollback, press.origin.channel)
    playbook = Request.model_validate(run.request).playbook
    update = {"to": run.to_version or "", "reason": f"{run.name} was undone", "playbook": playbook}
    request = again.model_copy(update=update)
    return await _take(press, (request, planning(request)))


async def _put_back(press: Press) -> After:
    return await _take(press, *putting_back(await press.run(), press.origin.channel))


def _of_run(run: Run, purpose: Purpose, channel: str) -> Request:
    return Request(
        feature=run.feature, purpose=purpose, of_run=run.id, incident=run.incident, channel=channel or run.channel
    )


def _asks(purpose: Purpose) -> Callable[[Press], Awaitable[After]]:
    async def handler(press: Press) -> After:
        request = _of_run(await press.run(), purpose, press.origin.channel)
        return await _take(press, (request, planning(request)))

    return handler


async def _enable(press: Press) -> After:
    """Where nothing proves that what is served is right, a person has to say why traffic may come back."""
    run = await press.run()
    if unproved(await press.desk.world.store.read(lambda c: lineage.last_back(c, run.feature))):
        return await _with_reason(partial(form.accept, enable=True))(press)
    return await _asks(Purpose.enable)(press)


async def _offer(press: Press) -> After:
    """What the card of a run that can't be restored offered instead. Checked anew: the value came back from outside."""
    run = await press.run()
    if press.value.get("purpose") == Purpose.stop:
        return await _asks(Purpose.stop)(press)
    feature = names.feature(press.desk.world, run.feature)
    without = press.value.get("without")
    request = Request(
        feature=run.feature,
        to=await names.version(press.desk.world, feature, str(press.value.get("to") or "")),
        without=names.components(feature, without if isinstance(without, list) else []),
        reason=run.reason,
        incident=run.incident,
        channel=press.origin.channel or run.channel,
    )
    return await _take(press, (request, planning(request)))


async def _details(press: Press) -> After:
    run = await press.run()

    async def make() -> Json:
        metrics = await _live_metrics(press.desk, run)
        meta = json.dumps(forms.where(press.origin))
        return details(await press.desk.scene(run), metrics, meta)

    return lambda: press.desk.open_after(press.origin, make(), push=press.in_view)


async def _live_metrics(desk: Desk, run: Run) -> dict[str, float]:
    return await desk.world.store.read(lambda c: releases.metrics_of(c, run.feature, run.from_version))


async def _run_anyway(press: Press) -> After:
    run = await press.run()

    async def make() -> Json:
        return form.run_anyway(await press.desk.scene(run), forms.where(press.origin))

    return lambda: press.desk.open_after(press.origin, make(), push=press.in_view)


def _with_reason(ask: Callable[[Run, dict[str, str]], Json]) -> Callable[[Press], Awaitable[After]]:
    async def handler(press: Press) -> After:
        view = ask(await press.run(), forms.where(press.origin))
        return lambda: press.desk.open_view(press.origin, view, push=press.in_view)

    return handler


async def _switch(press: Press) -> After:
    run = await press.run()
    return lambda: forms.open_switch(press.desk, press.origin, run, push=press.in_view)


async def _speed(press: Press) -> After:
    run, every = await press.number(), press.value.get("every")
    if not isinstance(every, int | float) or not 0 <= every <= 86_400:
        raise Stale
    return await _take(press, (Speed(run=run, every=every), f"R-{run}: changing the ramp"))


async def _more_history(press: Press) -> After:
    before = press.value.get("before")
    feature = names.feature(press.desk.world, str(press.value.get("feature") or "")).feature
    if not isinstance(before, int):
        raise Stale
    return lambda: _turn(press, history_page(press.desk, feature, before))


async def _more_versions(press: Press) -> After:
    start = press.value.get("from")
    feature = names.feature(press.desk.world, str(press.value.get("feature") or "")).feature
    if not isinstance(start, int):
        raise Stale
    return lambda: _turn(press, versions_page(press.desk, feature, start))


async def _turn(press: Press, page: Awaitable[Shown]) -> None:
    """The next page takes the place of the one it was asked on."""
    await press.desk.private.answer(press.origin.response_url, await page, replace=True)


PRESSES: dict[str, Callable[[Press], Awaitable[After]]] = {
    buttons.APPROVE: _approve,
    buttons.REJECT: _reject,
    buttons.STOP_HARM: _asks(Purpose.stop),
    buttons.DETAILS: _details,
    buttons.RUN_ANYWAY: _run_anyway,
    buttons.RETRY: _controls(Retry, "trying again"),
    buttons.ABORT: _controls(Abort, "aborting"),
    buttons.RESTORE_AGAIN: _restore_again,
    buttons.PAUSE: _controls(Pause, "pausing"),
    buttons.RESUME: _controls(Resume, "going on"),
    buttons.PUT_BACK: _put_back,
    buttons.LIFT: _asks(Purpose.lift),
    buttons.ENABLE: _enable,
    buttons.ACCEPT: _with_reason(partial(form.accept, enable=False)),
    buttons.ENABLE_ANYWAY: _with_reason(partial(form.accept, enable=True)),
    buttons.SKIP: _with_reason(form.skip),
    buttons.UNLOCK: _with_reason(form.unlock),
    buttons.SWITCH: _switch,
    buttons.LOOKING: _controls(Snooze, "you are looking"),
    lists.MORE_HISTORY: _more_history,
    lists.MORE_VERSIONS: _more_versions,
}


async def submitted(desk: Desk, origin: Origin, callback: str, view: Json, meta: dict[str, Any]) -> After:
    """A modal was submitted. Raises BadForm (the modal stays and says why), RollbotError, StoreDown."""
    if callback == form.FORM:
        request = await forms.request_of(desk.world, view, origin.channel)
        taken = await desk.take(origin, (request, planning(request)))
        return lambda: desk.tell(origin, taken.answer)
    reason = forms.text(forms.filled(view), "typed_reason")
    if not reason:
        raise forms.BadForm("reason", "this needs a reason")
    run = await Press(desk, origin, callback, meta).run()
    await desk.take(origin, _of_form(callback, run, reason, view, meta))
    return None


def _of_form(callback: str, run: Run, reason: str, view: Json, meta: dict[str, Any]) -> tuple[Command, str]:
    if callback == form.GLASS:
        typed = forms.text(forms.filled(view), "typed_version")
        if typed != (run.to_version or ""):
            raise forms.BadForm("version", f"type {run.to_version} to run this plan")
        command = RunAnyway(run=run.id, digest=str(meta.get("digest") or ""), version=typed, reason=reason)
        return command, f"{run.name}: running without approval"
    if callback == form.SKIP:
        return Skip(run=run.id, reason=reason), f"{run.name}: skipping"
    if callback == form.UNLOCK:
        return Unlock(run=run.id, reason=reason), f"{run.name}: unlocking"
    if callback not in (form.ACCEPT, form.ENABLE_ANYWAY):
        raise Usage("this form is from another version of Rollbot; open it again")
    enable = callback == form.ENABLE_ANYWAY
    if enable and not run.open:
        request = _of_run(run, Purpose.enable, str(meta.get("channel") or "")).model_copy(update={"reason": reason})
        return request, planning(request)
    return Accept(run=run.id, reason=reason, enable=enable), f"{run.name}: accepted"
