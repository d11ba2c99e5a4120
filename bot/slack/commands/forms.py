"""The rollback form: opened by a bare command, a shortcut, or a command that lacks its version; and what it submits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bot.core import before
from bot.core.commands import Request
from bot.core.errors import RollbotError, Unknown, Usage
from bot.core.feature import Feature
from bot.core.release import Stint, live_version
from bot.core.run import Run
from bot.flows.world import World
from bot.slack.commands import names
from bot.slack.desk import Desk
from bot.slack.origin import Origin, remembered
from bot.slack.views import form as views
from bot.slack.views.words import Json
from bot.store import releases
from bot.store.write import Connection

STOP = "stop"
Values = dict[str, tuple[str, Any]]
"""What was filled in: action id -> (block id, value)."""


class BadForm(Exception):
    """What is wrong, by block id, as Slack shows it beside the input."""

    def __init__(self, block: str, said: str) -> None:
        super().__init__(said)
        self.errors = {block: said[:150]}


async def open_form(desk: Desk, origin: Origin, feature: str = "") -> None:
    """Within three seconds after the press, or Slack refuses."""
    await desk.open_view(origin, views.form(await choice(desk.world, feature), where(origin)))


async def open_switch(desk: Desk, origin: Origin, run: Run, *, push: bool) -> None:
    """The same form for another way on from a run that rests."""
    shown = replace(await choice(desk.world, run.feature), features=[run.feature], instead=before.switch(run))
    await desk.open_view(origin, views.form(shown, {**where(origin), "instead_of": run.id}), push=push)


def where(origin: Origin) -> dict[str, str]:
    """What a modal hands back: a modal itself belongs to no channel."""
    kept = {"channel": origin.channel, "response_url": origin.response_url}
    return {name: value for name, value in kept.items() if value}


async def choice(world: World, feature: str) -> views.Choice:
    """What can be chosen now, with this feature picked (or none)."""
    all_names = world.books.feature_names()
    few = all_names if len(all_names) <= views.STATIC else None
    if not feature:
        return views.Choice(few)
    try:
        found = world.books.feature(feature)
    except RollbotError as e:
        return views.Choice(few, feature, fault=e.message)

    def read(conn: Connection) -> tuple[list[str], list[Stint]]:
        return releases.versions(conn, feature), releases.stints(conn, feature)

    versions, stints = await world.store.read(read)
    components = [part.name for part in found.parts()]
    books = [name for name in world.books.playbook_names() if name != STOP]
    offered = books if len(books) > 1 else []
    return views.Choice(few, feature, versions, live_version(stints), components, offered)


async def picked(desk: Desk, origin: Origin, view: Json) -> None:
    """Another feature was picked: its versions take the place of the others. Lost if the modal has changed since."""
    feature, meta = text(filled(view), views.FEATURE), remembered({"view": view})
    if "instead_of" in meta:  # there is nothing else to pick
        return
    fresh = views.form(await choice(desk.world, feature), where(origin))
    await desk.client.views_update(view_id=str(view.get("id")), hash=str(view.get("hash")), view=fresh)


def filled(view: Json) -> Values:
    """What stands in a view's inputs."""
    found: Values = {}
    states = (view.get("state") or {}).get("values") or {}
    for block, inputs in states.items():
        for action, state in inputs.items():
            one = (state.get("selected_option") or {}).get("value")
            many = [option.get("value") for option in state.get("selected_options") or []]
            found[action] = (block, state.get("value") or one or many or state.get("selected_conversation"))
    return found


def text(values: Values, action: str) -> str:
    value = values.get(action, ("", None))[1]
    return value.strip() if isinstance(value, str) else ""


async def request_of(world: World, view: Json, channel: str) -> Request:
    """What a submitted form asks for, checked like a typed command. Raises BadForm."""
    values, instead = filled(view), remembered({"view": view}).get("instead_of")
    feature = _feature(world, values)
    without = values.get(views.WITHOUT, ("", None))[1]
    return Request(
        feature=feature.feature,
        to=await _version(world, feature, values),
        at=_time(world, values),
        without=names.components(feature, without if isinstance(without, list) else []),
        reason=text(values, views.REASON),
        incident=text(values, views.INCIDENT),
        mode="dry_run" if values.get(views.DRY, ("", None))[1] else "live",
        channel=text(values, views.CHANNEL) or channel,
        playbook=text(values, views.PLAYBOOK) or None,
        instead_of=instead if isinstance(instead, int) else None,
    )


def _feature(world: World, values: Values) -> Feature:
    try:
        return names.feature(world, text(values, views.FEATURE))
    except RollbotError as e:
        raise BadForm("feature", e.message) from e


async def _version(world: World, feature: Feature, values: Values) -> str:
    block, _ = values.get(views.VERSION, ("", None))
    word = text(values, views.VERSION)
    if not word or block != views.version_block(feature.feature):
        raise BadForm("feature", f"{feature.feature}: its versions are not shown yet, wait a moment")
    try:
        return await names.version(world, feature, word)
    except Unknown as e:
        raise BadForm(block, e.message) from e


def _time(world: World, values: Values) -> str | None:
    try:
        return names.time(world, text(values, views.AT) or None)
    except Usage as e:
        raise BadForm("at", e.message) from e
