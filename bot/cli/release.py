"""rollbot release: capture, import, list, show, ready."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated

import typer

from bot.cli.output import AsJson, command, line, say_json, table
from bot.cli.session import Session, known, looking, session, terminal, working
from bot.core import release as rules
from bot.core.commands import CaptureRelease
from bot.core.errors import NotRestorable, RollbotError, Usage
from bot.core.release import Moment, Release
from bot.flows.readiness import readiness
from bot.flows.recording import captured_words
from bot.store import releases

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Capture what is live, import what systems still hold, see what there is.",
)
Feature = Annotated[str, typer.Argument(help="The feature's name, as its file is named.")]
Version = Annotated[str, typer.Argument(help="The release's name, e.g. v12.")]
READY_S = 120.0
"""Seconds that a system may take to have its bytes read."""


def metrics_of(pairs: list[str]) -> dict[str, float]:
    """``auc=0.91`` -> {"auc": 0.91}. Raises Usage."""
    found: dict[str, float] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            found[name.strip()] = math.nan
        if not name.strip() or not math.isfinite(found[name.strip()]):
            raise Usage(f"--metric {pair!r}: write NAME=NUMBER, e.g. --metric auc=0.91")
    return found


def pointers_of(pairs: list[str]) -> dict[str, str]:
    """``dataset=38`` -> {"dataset": "38"}. Raises Usage."""
    named = dict(p.split("=", 1) for p in pairs if "=" in p)
    if len(named) != len(pairs) or not all(named.values()):
        raise Usage("write COMPONENT=POINTER, each component once, e.g. dataset=38 definition=v7 model=12")
    return named


@app.command("capture")
@command
async def capture(
    feature: Feature,
    version: Version,
    changelog: Annotated[str, typer.Option(help="What is new, in users' words.")] = "",
    metric: Annotated[list[str] | None, typer.Option(help="NAME=NUMBER, any number of times.")] = None,
    commit: Annotated[str, typer.Option(help="The commit this release was built from.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Capture what is live now as a release: its code side, and a first moment of its data side.

    Run it after each deploy, or let CI POST /hooks/release. The same release again adds a moment of its data side;
    another code side under the same version is refused.
    """
    order = CaptureRelease(
        feature=feature, version=version, changelog=changelog, metrics=metrics_of(metric or []), commit=commit
    )
    await _capture(order, as_json=as_json)


@app.command("import")
@command
async def import_(
    feature: Feature,
    version: Version,
    pointers: Annotated[list[str], typer.Argument(help="COMPONENT=POINTER, e.g. dataset=38 definition=v7 model=12.")],
    live_from: Annotated[
        str | None, typer.Option(help="When it went live (UTC), e.g. 2026-11-12T09:00; approval rules look at it.")
    ] = None,
    live_to: Annotated[
        str | None,
        typer.Option(help="Until when it was live (UTC), and of when its data is; else the dataset says that."),
    ] = None,
    changelog: Annotated[str, typer.Option(help="What was new, in users' words.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Make a release from versions that the systems still hold: installed on Tuesday, needed on Wednesday.

    What was served then is computed from the dataset and marked as expected, not observed.
    """
    order = CaptureRelease(
        feature=feature,
        version=version,
        pointers=pointers_of(pointers),
        live_from=live_from,
        live_to=live_to,
        changelog=changelog,
    )
    await _capture(order, as_json=as_json)


async def _capture(order: CaptureRelease, *, as_json: bool) -> None:
    if order.version.lower() == "previous":
        raise Usage("a release can't be named 'previous': that word means the release before the present one")
    async with working(order.feature) as s:
        _, result = await s.say(order, terminal())
    if as_json:
        say_json(result)
        return
    for said in captured_words(result).splitlines():
        line(said)
    until = result.get("restorable_until")
    for name, when in until.items() if isinstance(until, dict) else ():
        line(f"{name}: restorable until {when}")


@app.command("list")
@command
async def list_(feature: Feature, *, as_json: AsJson = False) -> None:
    """The newest 50 releases of a feature, newest first, and which one is live."""
    async with session() as s:
        s.parts.books.feature(feature)
        found = await s.parts.store.read(lambda c: releases.newest(c, feature))
        stints = await s.parts.store.read(lambda c: releases.stints(c, feature))
    live = rules.live_version(stints)
    if as_json:
        say_json([_brief(r, live) for r in found])
        return
    rows = [(r.version + _marks(r, live), _time(r.created_at), r.digest[7:19], r.changelog) for r in found]
    empty = f"{feature} has no releases yet. Capture one: rollbot release capture {feature} VERSION"
    table(["release", "captured (UTC)", "digest", "changelog"], rows, empty=empty)


def _marks(r: Release, live: str | None) -> str:
    """`` (live; expected, not observed)``."""
    marks = [mark for mark, holds in (("live", r.version == live), (rules.EXPECTED, r.expected)) if holds]
    return f" ({'; '.join(marks)})" if marks else ""


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M")


def _brief(r: Release, live: str | None) -> dict[str, object]:
    return {
        "version": r.version,
        "live": r.version == live,
        "digest": r.digest,
        "captured_at": r.created_at,
        "changelog": r.changelog,
        "metrics": r.metrics,
        "commit": r.commit,
        "expected": r.expected,
        "warnings": r.warnings,
    }


async def _found(s: Session, feature: str, version: str) -> tuple[Release, list[Moment]]:
    """The release and its moments, newest first. Raises Unknown with near misses."""
    await known(s, feature, version)
    release = await s.parts.store.read(lambda c: releases.get(c, feature, version))
    if release is None:
        raise rules.no_release(feature, version, [])
    return release, await s.parts.store.read(lambda c: releases.moments(c, feature, version))


@app.command("show")
@command
async def show(feature: Feature, version: Version, *, as_json: AsJson = False) -> None:
    """One release: its captures and its moments."""
    async with session() as s:
        release, moments = await _found(s, feature, version)
        stints = await s.parts.store.read(lambda c: releases.stints(c, feature))
    live = rules.live_version(stints)
    if as_json:
        captures = {name: c.model_dump(mode="json") for name, c in release.captures.items()}
        listed = [m.model_dump(mode="json") for m in moments]
        say_json({**_brief(release, live), "captures": captures, "moments": listed})
        return
    line(f"{feature} {version}{_marks(release, live)}  {release.changelog}")
    stint = rules.live_stint(stints)
    if stint and stint.version == version and stint.mixed:
        line(f"MIXED: {rules.mixed_words(stint.mixed)}: no moments are recorded")
    table(
        ["component", "kind", "version", "digest"],
        [(n, c.kind, c.pointer, c.digest[7:19]) for n, c in release.captures.items()],
        empty="no code side",
    )
    rows = [
        (
            _time(m.at),
            ", ".join(f"{n} {c.pointer}" for n, c in m.captures.items()),
            rules.EXPECTED if m.expected else "",
        )
        for m in moments
    ]
    table(["moment (UTC)", "data side", ""], rows, empty="no moments of the data side")
    for warning in [*release.warnings, *(moments[0].warnings if moments else [])]:
        line(f"Doubt: {warning}")


@app.command("ready")
@command
async def ready(feature: Feature, version: Version, *, as_json: AsJson = False) -> None:
    """Can this release still be restored, how do we know, until when? Reads the bytes. Exit 3 if it cannot."""
    async with session() as before:
        await _found(before, feature, version)
    async with looking(feature) as s:
        s.parts.world.plan_s = READY_S
        found = await readiness(s.parts.world, s.parts.books.feature(feature), version)
    if as_json:
        say_json({n: r.model_dump(mode="json") for n, r in found.items()})
    else:
        named = s.parts.books.feature(feature).components
        rows = [
            (n, r.status, "; ".join(r.reasons), _time(r.expires_at) if r.expires_at else "")
            for n, r in sorted(found.items(), key=lambda item: list(named).index(item[0]) if item[0] in named else -1)
        ]
        table(["component", "status", "why", "until (UTC)"], rows, empty="nothing to restore")
    if bad := [n for n, r in found.items() if r.status == "not_ready"]:
        raise NotRestorable(f"{feature} {version} can't be restored: {', '.join(bad)}")
    if silent := [n for n, r in found.items() if r.status == "not_checked"]:
        raise RollbotError(f"nobody can say about {', '.join(silent)} of {feature} {version}: no answer")
