"""Planning: what a playbook would do now, within ten seconds, whoever answers or not."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from bot.core import drilled
from bot.core import plan as plans
from bot.core import policy as rules
from bot.core import release as releases_
from bot.core.commands import Purpose, Request
from bot.core.errors import Fault, Unknown, Usage
from bot.core.feature import Feature, as_document
from bot.core.plan import Plan, PlanBody, Seen
from bot.core.playbook import Act, Bound, Playbook, Step, Verb, bind, built_in, only_stops
from bot.core.release import Moment, Release, Stint
from bot.core.run import Run, unproved
from bot.core.target import Capture, Kind
from bot.core.text import day, past
from bot.flows import doubts, offers
from bot.flows.guard import again
from bot.flows.look import Looked, context, look
from bot.flows.standing import nobody_can
from bot.flows.world import World
from bot.store import history, lineage, releases, runs
from bot.store.write import Connection

ONE_STEP = (Purpose.hold, Purpose.lift, Purpose.enable)
"""Each a run of one step, for whoever may control."""
BRINGS_BACK = (Verb.restore, Verb.enable)


@dataclass
class Aim:
    """Where a run wants to go: the captures to restore, and what they are called."""

    playbook: Playbook
    captures: dict[str, Capture] = field(default_factory=dict)
    from_version: str | None = None
    to_version: str | None = None
    release: Release | None = None
    moment: Moment | None = None
    stints: list[Stint] = field(default_factory=list)
    without: frozenset[str] = frozenset()
    versions: list[str] = field(default_factory=list)


async def meant(world: World, request: Request) -> tuple[Feature, Aim, Bound]:
    """What is asked for, as far as that can be said without a look at any system. Raises as ``make_plan``."""
    feature = world.books.feature(request.feature)
    aim = await find_aim(world, request, feature)
    bound = bind(aim.playbook, feature, aim.without)
    back = request.purpose in (Purpose.rollback, Purpose.put_back)
    if bound.faults or (bound.unhandled and back):
        left_out = [f"no step of {aim.playbook.playbook} handles {name}" for name in bound.unhandled]
        raise Fault("; ".join(bound.faults + left_out))
    if back and not any(a.verb in BRINGS_BACK for a in bound.acts):
        raise Usage("nothing would be taken back: every component is left out")
    return feature, aim, bound


async def make_plan(world: World, run: Run, *, no: int, diffs: bool = True, seconds: float | None = None) -> Plan:
    """Looks at everything and binds the playbook; ``seconds`` as in ``look``. Raises Fault, Unknown or Usage where the
    request can't be planned."""
    request = Request.model_validate(run.request)
    feature, aim, bound = await meant(world, request)
    resources = {p.name: world.targets.resource(p) for p in feature.parts()}
    about = context(feature.feature, aim.from_version, aim.to_version, aim.captures, aim.without)
    stops = only_stops(bound.acts)
    # Stopping the harm looks at nothing but what it switches: a slow feature store must not hold it up.
    touched = frozenset(a.component for a in bound.acts) if stops else None
    found = await look(world, feature, aim.captures, about, diffs=diffs, only=touched, seconds=seconds, urgent=stops)
    shared = await world.store.read(lambda c: releases.sharing(c, feature.feature, resources))
    steps = plans.plan_steps(bound.acts, resources, aim.captures)
    steps = drilled.wrapped(steps, feature.parts(), resources, run.name) if run.mode == "drill" else steps
    need = _need(world, run, feature, aim, found, stops)
    if known := await again(world, run, request, steps, aim.captures):
        need = rules.Requirement(rule=known)
    body = PlanBody(
        feature=feature.feature,
        environment=feature.environment,
        purpose=run.purpose,
        mode=run.mode,
        playbook=aim.playbook.playbook,
        from_version=aim.from_version,
        to_version=aim.to_version,
        release_digest=aim.release.digest if aim.release else None,
        moment=aim.moment.id if aim.moment else None,
        moment_digest=aim.moment.digest if aim.moment else None,
        steps=steps,
        live=_live(bound.acts, found, feature),
        consumers=sorted(feature.consumers),
        shared=shared,
        without=sorted(aim.without),
        requirement=need,
    )
    seen = await _seen(world, run, feature, aim, body, found)
    return Plan(no=no, body=body, seen=seen, captures=aim.captures, feature_doc=as_document(feature))


def _live(acts: list[Act], found: Looked, feature: Feature) -> dict[str, str]:
    """The versions that will be replaced. A flag's rule and a hold are not bound: stopping the harm while the card
    waits must not void its approvals."""
    touched = {a.component for a in acts if a.verb == Verb.restore}
    return {
        p.name: found.states[p.name].version if p.name in found.states else "?"
        for p in feature.parts()
        if p.name in touched
    }


def _need(world: World, run: Run, feature: Feature, aim: Aim, found: Looked, stops: bool) -> rules.Requirement:
    if run.purpose in ONE_STEP:
        who = "ask for a rollback" if run.purpose == Purpose.hold else "control"
        return rules.Requirement(rule=f"who may {who} may {run.purpose}")
    ready = all(r.status == "ready" for r in found.readiness.values())
    version = aim.to_version or ""
    lived = releases_.live_for(aim.stints, version, world.now())
    risk = rules.risk(lived, releases_.ever_rolled_back(aim.stints, version), ready)
    policy = world.books.policy()
    return rules.requirement(policy, tier=feature.tier, risk=risk, mode=run.mode, owner=feature.owner, stops_only=stops)


async def find_aim(world: World, request: Request, feature: Feature) -> Aim:
    """Which captures this request means. Raises Unknown for what does not exist, Usage for what can't be meant."""
    name = feature.feature

    def gather(conn: Connection) -> tuple[list[Stint], list[str], Run | None, dict[str, Capture]]:
        of = runs.load(conn, request.of_run) if request.of_run else None
        found = lineage.origins(conn, of) if of else {}
        return releases.stints(conn, name), releases.versions(conn, name), of, found

    stints, versions, of, found = await world.store.read(gather)
    if of and of.mode == "drill":
        raise Usage(f"{of.name} was a drill: production was not touched, so there is nothing to put back or lift")
    live = releases_.live_version(stints)
    without = _without(feature, request.without)
    if request.purpose == Purpose.stop:
        return Aim(world.books.playbook("stop"), from_version=live, stints=stints)
    if request.purpose == Purpose.put_back:
        return _put_back(world, feature, of, found, stints, live)
    if request.purpose in ONE_STEP:
        return await _one_step(world, feature, request, found, stints, live)
    playbook = world.books.playbook(request.playbook or feature.playbook)
    aim = Aim(playbook, from_version=live, stints=stints, without=without, versions=versions)
    return await _to_release(world, aim, request, name)


def _without(feature: Feature, names: list[str]) -> frozenset[str]:
    known = [p.name for p in feature.parts()]
    for name in names:
        if name not in known:
            raise Unknown(f"{feature.feature} has no component {name!r}; it has {', '.join(known)}.")
    return frozenset(names)


async def _to_release(world: World, aim: Aim, request: Request, name: str) -> Aim:
    wanted = request.to
    if wanted == "previous":
        found = releases_.previous(aim.stints)
        if found is None:
            raise Usage(f"{name} has no earlier release that was never rolled back from; name one: to VERSION")
        wanted = found
    at = past(request.at, world.now()) if request.at else None

    def gather(conn: Connection) -> tuple[Release | None, list[Moment]]:
        return releases.get(conn, name, wanted), releases.moments(conn, name, wanted, not_after=at)

    release, moments = await world.store.read(gather)
    if release is None:
        raise releases_.no_release(name, wanted, aim.versions)
    chosen = releases_.choose_moment(moments, aim.stints, wanted, at)
    if at and chosen is None:
        raise Unknown(f"{name} {wanted} has no moment at or before {request.at}.")
    captures = {**release.captures, **(chosen.captures if chosen else {})}
    kept = {k: v for k, v in captures.items() if k not in aim.without}
    return replace(aim, captures=kept, to_version=wanted, release=release, moment=chosen)


def _put_back(
    world: World,
    feature: Feature,
    of: Run | None,
    captures: dict[str, Capture],
    stints: list[Stint],
    live: str | None,
) -> Aim:
    if of is None:
        raise Usage("put back which run? Name one: put-back R-17")
    if not captures:
        raise Usage(f"{of.name} changed nothing, so there is nothing to put back")
    shipped = world.books.playbook(feature.playbook)
    held = [world.targets.held(feature.part(n), c) == c for n, c in captures.items() if c.kind == Kind.pipeline]
    # A pipeline that was held before that run stays so.
    steps = [*shipped.steps, *([] if any(held) else [Step(verb=Verb.lift, on=[Kind.pipeline])])]
    untouched = frozenset(p.name for p in feature.parts() if p.name not in captures)
    book = shipped.model_copy(update={"steps": steps})
    return Aim(book, captures=captures, from_version=live, to_version=of.from_version, stints=stints, without=untouched)


async def _one_step(
    world: World, feature: Feature, request: Request, found: dict[str, Capture], stints: list[Stint], live: str | None
) -> Aim:
    playbook = built_in(Verb(request.purpose.value))
    aim = Aim(playbook, from_version=live, to_version=live, stints=stints)
    if request.purpose == Purpose.hold and not request.reason:
        raise Usage(f"say why: hold {feature.feature} because REASON")
    held = await world.store.read(lambda c: releases.hold(c, feature.feature))
    if request.purpose == Purpose.hold and held:
        raise Usage(f"{feature.feature} is held already, by {held['run'] or 'somebody'}: {held['reason']}")
    if request.purpose != Purpose.enable:
        return aim
    if not request.reason and (last := await _unproved(world, feature.feature)):
        raise Usage(
            f"{last.name} was not verified (it is {last.status}). To switch the flag on all the same, say why: "
            f"enable {feature.feature} because REASON"
        )
    release = await world.store.read(lambda c: releases.get(c, feature.feature, live or ""))
    known = {**found, **(release.captures if release else {})}
    captures = {n: c for n, c in known.items() if c.kind == Kind.flag}
    if not captures:
        raise Usage(f"no recorded rule says what the flag of {feature.feature} should be; capture a release first")
    if off := [n for n, c in captures.items() if world.targets.disabled(feature.part(n), c).digest == c.digest]:
        raise Usage(f"{live or 'the live release'} was captured with {off[0]} off, so enabling would leave it off")
    return replace(aim, captures=captures)


async def _unproved(world: World, feature: str) -> Run | None:
    return unproved(await world.store.read(lambda c: lineage.last_back(c, feature)))


async def _seen(world: World, run: Run, feature: Feature, aim: Aim, body: PlanBody, found: Looked) -> Seen:
    """What was observed, the blockers and what can be done instead."""
    usual = await world.store.read(lambda c: history.usual_seconds(c, body.feature))
    stops = plans.blockers(body.steps, found.readiness, aim.captures)
    need_no = await nobody_can(world, world.books.policy(), body.requirement, run.requester.id)
    applied, verified = offers.estimate(body.steps, usual)
    seen = Seen(
        at=world.now(),
        states=found.states,
        diffs=found.diffs,
        readiness=found.readiness,
        blockers=stops,
        live_since=next((s.since for s in aim.stints if s.until is None), None),
        target_live=_lived(aim.stints, aim.to_version),
        data_at=aim.moment.at if aim.moment else None,
        changelog=aim.release.changelog if aim.release else "",
        metrics=aim.release.metrics if aim.release else {},
        applied_s=applied,
        verified_s=verified,
        unsatisfiable=need_no,
        unanswered=sorted(found.trouble),
    )
    rivals = await world.store.read(lambda c: runs.rivals(c, run)) if run.mode != "drill" else []
    fault = world.books.policy_fault()
    said = doubts.Known(feature, body, seen, aim.captures, aim.release, aim.moment, found.trouble, rivals, fault)
    instead = await offers.offers(world, feature, body, stops)
    return seen.model_copy(update={"doubts": doubts.doubts(said), "offers": instead})


def _lived(stints: list[Stint], version: str | None) -> str:
    """``live 12-22 Nov, never rolled back from``."""
    mine = [s for s in stints if s.version == version]
    if not mine:
        return "never seen live"
    first, last = mine[0].since, max((s.until or s.since for s in mine), key=datetime.timestamp)
    same_month = f"{first:%b %Y}" == f"{last:%b %Y}"
    dates = day(first) if day(first) == day(last) else f"{first.day if same_month else day(first)}-{day(last)}"
    bad = any(s.rolled_back for s in mine)
    return f"live {dates}, {'rolled back from before' if bad else 'never rolled back from'}"
