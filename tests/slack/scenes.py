"""The incident of the design's example, as values: a run of driver_stats in any state, with its plan."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bot.core.commands import Actor, Purpose
from bot.core.plan import Offer, Plan, PlanBody, PlanStep, Seen
from bot.core.policy import Alternative, Nod, Requirement
from bot.core.run import Glass, Left, Run, RunStep, Status
from bot.core.target import Accuracy, BlobRef, Capture, Change, Diff, Kind, Readiness, State
from bot.slack.views.words import Scene

ANA, BEN = "T1/U0ANA", "T1/U0BEN"
NAMES = {ANA: "ana", BEN: "ben"}
NEED = Requirement(alternatives=[Alternative(count=1, group="@ml-oncall")], rule="default for low risk")
PARTS = {
    "flag": (Kind.flag, "flagd:/x/flags.json#use_driver_stats", "off", "on for 100 %"),
    "dataset": (Kind.dataset, "delta:/x/data", "since 38", "38"),
    "definition": (Kind.definition, "feast:/x/driver_stats", "v8", "v7"),
    "online": (Kind.online, "feast:/x/driver_stats/rows", "v8", "v7"),
    "model": (Kind.model, "mlflow:sqlite:////x/m.db#eta@champion", "13", "12"),
}


def at(clock: str) -> datetime:
    hour, minute = clock.split(":")
    return datetime(2026, 11, 22, int(hour), int(minute), tzinfo=UTC)


def capture(name: str) -> Capture:
    kind, resource, _, pointer = PARTS[name]
    return Capture(
        kind=kind,
        resource=resource,
        pointer=pointer,
        digest="sha256:" + "c" * 64,
        taken_at=at("01:00"),
        data={"text": '{"state": "ENABLED",\n "variants": {"on": true}}'} if name == "flag" else {},
        blobs={"rows": BlobRef(digest="sha256:" + "b" * 64, size=1234)} if name == "online" else {},
    )


def steps() -> list[PlanStep]:
    verbs = [
        *[("disable", "flag"), ("restore", "dataset"), ("restore", "definition"), ("restore", "online")],
        *[("restore", "model"), ("wait", "online"), ("verify", "dataset"), ("verify", "online"), ("enable", "flag")],
    ]
    return [
        PlanStep(n=n, group=n, verb=verb, component=name, kind=PARTS[name][0], resource=PARTS[name][1], to="x#y")
        for n, (verb, name) in enumerate(verbs)
    ]


def plan(**seen: Any) -> Plan:
    body = PlanBody(
        feature="driver_stats",
        environment="production",
        purpose=seen.pop("purpose", Purpose.rollback),
        mode="live",
        playbook="standard",
        from_version="v13",
        to_version="v12",
        release_digest="sha256:" + "d" * 64,
        moment=4,
        moment_digest="sha256:" + "e" * 64,
        steps=steps(),
        live={},
        consumers=["eta-service", "pricing-batch"],
        shared=["rider_stats (same table)"],
        without=[],
        requirement=NEED,
    )
    states = {n: State(kind=k, resource=r, pointer=p, digest="sha256:" + "a" * 64) for n, (k, r, p, _) in PARTS.items()}
    diffs = {name: Diff(same=False, summary=f"{p} -> {q}") for name, (_, _, p, q) in PARTS.items()}
    diffs["dataset"] = Diff(same=False, counts={"commits_discarded": 41, "rows_removed": 1000})
    diffs["online"] = Diff(same=False, counts={"rows_changed": 49_000, "rows_removed": 1000})
    diffs["definition"] = Diff(same=False, changes=[Change(name="trips_7d", before="Int64", after=None)])
    found: dict[str, Any] = {
        "at": at("03:02"),
        "states": states,
        "diffs": diffs,
        "readiness": {name: Readiness(status="ready") for name in PARTS},
        "doubts": ["serving caches up to 10 min"],
        "live_since": at("01:10"),
        "target_live": "live 12-22 Nov, never rolled back from",
        "data_at": at("01:00"),
        "metrics": {"auc": 0.91},
        "changelog": "trips over 7 days",
        "applied_s": 40.0,
        "verified_s": 660.0,
    }
    return Plan(no=1, body=body, seen=Seen(**(found | seen)), captures={n: capture(n) for n in PARTS})


def run(**more: Any) -> Run:
    found: dict[str, Any] = {
        "id": 17,
        "feature": "driver_stats",
        "environment": "production",
        "purpose": Purpose.rollback,
        "status": Status.waiting,
        "waiting_for": "approval",
        "requester": Actor(kind="person", id=ANA, via="slack", channel="C0INC"),
        "channel": "C0INC",
        "reason": "ETAs 40 % too long",
        "incident": "INC-142",
        "from_version": "v13",
        "to_version": "v12",
        "plan_no": 1,
        "plan_digest": "sha256:" + "9" * 64,
        "requirement": NEED,
        "created_at": at("03:02"),
        "planned_at": at("03:02"),
        "expires_at": at("04:02"),
        "steps": [RunStep(**s.model_dump(exclude={"to", "stall_after"})) for s in steps()],
    }
    return Run(**(found | more))


def done(n: int, step: RunStep) -> RunStep:
    """The step as it stands when all went well."""
    accuracy = None
    if step.verb == "verify":
        accuracy = Accuracy(
            matched=200_000, expected=200_000, where="at consumers" if step.kind == "online" else "in the store"
        )
    return step.model_copy(
        update={
            "status": "done",
            "changed": step.verb in ("restore", "disable", "enable") or None,
            "before": capture(step.component),
            "origin": capture(step.component),
            "to": capture(step.component),
            "accuracy": accuracy,
            "started_at": at("03:05"),
            "ended_at": at("03:06"),
        }
    )


def ran(status: Status = Status.succeeded, **more: Any) -> Run:
    """The run after all of its steps."""
    base = run()
    found: dict[str, Any] = {
        "status": status,
        "waiting_for": None,
        "steps": [done(n, s) for n, s in enumerate(base.steps)],
        "nods": [Nod(person=BEN, yes=True, digest=str(base.plan_digest), plan=base.plan_no)],
        "decided_at": at("03:04"),
        "decided_by": BEN,
        "started_at": at("03:04"),
        "applied_at": at("03:05"),
        "visible_at": at("03:14"),
        "verified_at": at("03:15"),
        "ended_at": at("03:15"),
        "why": "verified in 11 min",
        "left": [Left(what="hold", component="", say="driver_stats is held: CI is told not to deploy it")],
    }
    return run(**(found | more))


LEFT = (
    {"run": 17, "feature": "driver_stats", "what": "pipeline", "component": "pipeline", "say": "pipeline is held"},
    {"run": 17, "feature": "driver_stats", "what": "flag", "component": "flag", "say": "flag is off"},
)


def working() -> Run:
    """In the middle: some done, one with a bar, one asked again."""
    base = ran(Status.running, ended_at=None, verified_at=None, visible_at=None)
    live = [done(n, s) if n < 3 else s for n, s in enumerate(run().steps)]
    live[3] = live[3].model_copy(
        update={"status": "running", "done": 30_000.0, "total": 50_000.0, "note": "rows", "started_at": at("03:05")}
    )
    live[5] = live[5].model_copy(update={"status": "again", "note": "3 of 5 see it"})
    return base.to(steps=live)


def ramping() -> Run:
    """The flag comes back by shares; a quarter is given."""
    parked = working().to(status=Status.waiting, waiting_for="time", why="25 % since 03:20, 50 % at 03:25")
    ramp = {"ramp": [25, 50], "every": 300.0, "stage": 1, "staged_at": at("03:20"), "status": "again"}
    return parked.with_step(parked.steps[-1].model_copy(update=ramp))


def stuck() -> Run:
    """A verify step failed, so the flag is still off."""
    base = working()
    bad = Accuracy(matched=150_000, expected=200_000, missing=1, extra=1000, examples=["driver 5: trips 3 is not 4"])
    failed = {"status": "failed", "error": "150,000 of 200,000 match", "accuracy": bad, "ended_at": at("03:09")}
    live = [*ran().steps[:7], run().steps[7].model_copy(update=failed), *run().steps[8:]]
    return base.to(
        status=Status.waiting, waiting_for="person", why="verify online: 150,000 of 200,000 match", steps=live
    )


def glassy() -> Run:
    return ran(glass=Glass(person=BEN, reason="nobody is awake", at=at("03:03")), nods=[])


def refused() -> Run:
    why = "not restorable: dataset: files are gone since 20 Nov"
    return run(status=Status.refused, waiting_for=None, why=why, ended_at=at("03:02"), expires_at=None)


OFFERS = [
    Offer(label="v12 without dataset", to="v12", without=["dataset"]),
    Offer(label="v11", to="v11"),
    Offer(label="Stop the harm", purpose=Purpose.stop),
]
BLOCKED = {"blockers": ["dataset: files are gone since 20 Nov"], "offers": OFFERS}


def all_states() -> dict[str, Scene]:
    """Every state a run can be seen in."""

    def ended(status: Status, **more: Any) -> Run:
        return run(status=status, waiting_for=None, ended_at=at("03:30"), **more)

    now = at("03:02")
    told: dict[str, tuple[Run, Plan | None, tuple[Any, ...]]] = {
        "planning": (run(status=Status.planning, waiting_for=None, planned_at=None, plan_no=0), None, ()),
        "planning again": (
            run(status=Status.planning, waiting_for=None, why="model is no longer 13 but 14"),
            plan(),
            (),
        ),
        "waiting": (run(), plan(), ()),
        "one of two said yes": (run(nods=[Nod(person=BEN, yes=True, digest="sha256:" + "9" * 64, plan=1)]), plan(), ()),
        "nobody can": (run(), plan(unsatisfiable="@ml-oncall has 0 who may decide, 1 needed"), ()),
        "starting": (ran(Status.running, started_at=None, steps=run().steps, ended_at=None), plan(), ()),
        "working": (working(), plan(), ()),
        "parked": (working().to(status=Status.waiting, waiting_for="time", why="R-16 is working on it"), plan(), ()),
        "behind": (
            working().to(status=Status.waiting, waiting_for="time", why="R-16 is on it", started_at=None, behind=16),
            plan(),
            (),
        ),
        "ramping": (ramping(), plan(), ()),
        "stuck": (stuck(), plan(), ()),
        "paused": (working().to(status=Status.paused, why="paused: wait for cleo", paused_by=BEN), plan(), ()),
        "done": (ran(), plan(), ()),
        "done, things left": (ran(), plan(), LEFT),
        "degraded": (ran(Status.degraded, accepted="good enough", why="accepted as it is: good enough"), plan(), LEFT),
        "failed": (ended(Status.failed, why="the registry is gone"), plan(), ()),
        "aborted": (ran(Status.aborted, verified_at=None, why="aborted after 2 changes"), plan(), LEFT),
        "aborted early": (ended(Status.aborted, decided_by=ANA, why="aborted, nothing was changed"), plan(), ()),
        "rejected": (ended(Status.rejected, decided_by=BEN, why="rejected: not that one"), plan(), ()),
        "expired": (ended(Status.expired, why="nobody decided in time"), plan(), ()),
        "refused": (ended(Status.refused, why="only @ml may ask for a rollback", planned_at=None), None, ()),
        "not restorable": (refused(), plan(**BLOCKED), ()),
        "dry run": (ended(Status.succeeded, mode="dry_run", why="dry run: nothing was changed"), plan(), ()),
        "drill": (ran(mode="drill"), plan(), ()),
        "glass": (glassy(), plan(), LEFT),
        "stop": (ran(purpose=Purpose.stop, to_version=None), plan(purpose=Purpose.stop), LEFT),
        "put back": (run(purpose=Purpose.put_back, to_version="v13"), plan(purpose=Purpose.put_back), ()),
        "lift": (ran(purpose=Purpose.lift), plan(purpose=Purpose.lift), ()),
        "enable": (ran(purpose=Purpose.enable), plan(purpose=Purpose.enable), ()),
    }
    return {name: Scene(r, p, now, NAMES, left) for name, (r, p, left) in told.items()}
