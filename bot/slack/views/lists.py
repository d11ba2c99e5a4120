"""Lists for one person's eyes: status, history, versions. Every list is paged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.core.release import EXPECTED, Release, Stint, mixed_words
from bot.core.run import Run, verdict
from bot.core.text import day, hhmm
from bot.slack.views.card import first_line, said_accuracy, times
from bot.slack.views.words import Json, Scene, Shown, actions, button, said, sections, who

PAGE = 10
MORE_HISTORY, MORE_VERSIONS = "more_history", "more_versions"


@dataclass(frozen=True)
class Standing:
    """What is going on. ``feature`` empty: everywhere."""

    feature: str = ""
    live: str | None = None
    open: Sequence[Scene] = ()
    left: Sequence[Mapping[str, Any]] = ()
    hold: Mapping[str, Any] | None = None
    faults: Sequence[str] = ()
    more: bool = False
    mixed: Sequence[str] = ()


@dataclass(frozen=True)
class Past:
    """One page of a feature's runs, newest first; ``next`` is where the next page begins."""

    feature: str
    runs: Sequence[Run]
    names: Mapping[str, str] = field(default_factory=dict)
    next: int | None = None


@dataclass(frozen=True)
class Known:
    """One page of a feature's releases, newest first."""

    feature: str
    releases: Sequence[Release]
    stints: Sequence[Stint] = ()
    next: int | None = None


def status(now: Standing) -> Shown:
    """Open runs, what is held, what was left behind, and faults with file and line."""
    about = now.feature or "Rollbot"
    lines = [f"*{said(about)}*" + (f": {said(now.live)} is live" if now.live else "")]
    lines += [said(f"MIXED: {mixed_words(list(now.mixed))}: no moments are recorded")] if now.mixed else []
    lines += [said(f"{s.run.name} {first_line(s)}") for s in now.open]
    lines += [] if now.open else ["No open run."]
    lines += ["Older open runs are not shown."] if now.more else []
    if now.hold:
        by = f" ({now.hold.get('run')})" if now.hold.get("run") else ""
        lines.append(said(f"Held{by}: {now.hold.get('reason', '')}"))
    lines += [
        said(f"Left behind by R-{item.get('run')}: {item.get('feature')}, {item.get('say')}") for item in now.left
    ]
    lines += [said(f"Fault: {fault}", 500) for fault in now.faults]
    return _shown(lines, [])


def history(past: Past) -> Shown:
    lines = [f"*{said(past.feature)}: its runs*"]
    for run in past.runs:
        lines.append(said(f"{run.name} {_day(run)} {first_line(Scene(run, None, run.created_at, past.names))}"))
        lines.append(said(f"by {who(past.names, run.requester.id)}" + (f': "{run.reason}"' if run.reason else "")))
        _, accuracy = verdict(run)
        lines += [said(said_times) for said_times in [times(run)] if said_times]
        lines += [said(said_accuracy(accuracy))] if accuracy else []
    lines += [] if past.runs else ["None yet."]
    more = {"feature": past.feature, "before": past.next}
    return _shown(lines, [button("Older", MORE_HISTORY, more)] if past.next else [])


def _day(run: Run) -> str:
    return f"{day(run.created_at)} {hhmm(run.created_at)}"


def versions(known: Known) -> Shown:
    lines = [f"*{said(known.feature)}: its releases*"]
    for release in known.releases:
        lines.append(said(f"{release.version} {_lived(known.stints, release.version)}"))
        about = [f"captured {day(release.created_at)} {hhmm(release.created_at)}"]
        about += [EXPECTED] if release.expected else []
        about += [", ".join(f"{k} {v:g}" for k, v in sorted(release.metrics.items())[:5])] if release.metrics else []
        about += [f"commit {release.commit[:12]}"] if release.commit else []
        about += [f'"{release.changelog}"'] if release.changelog else []
        lines.append(said(" · ".join(about)))
        lines += [said(f"Doubt: {w}") for w in release.warnings[:2]]
    lines += [] if known.releases else ["None yet. Capture what is live: /rollback capture FEATURE VERSION"]
    more = {"feature": known.feature, "from": known.next}
    return _shown(lines, [button("Older", MORE_VERSIONS, more)] if known.next else [])


def _lived(stints: Sequence[Stint], version: str) -> str:
    mine = [s for s in stints if s.version == version]
    if not mine:
        return "never seen live"
    if any(s.until is None for s in mine):
        since = next(s.since for s in mine if s.until is None)
        return f"LIVE since {day(since)} {hhmm(since)}"
    last = max(s.until for s in mine if s.until)
    back = ", rolled back from" if any(s.rolled_back for s in mine) else ""
    return f"live {day(mine[0].since)}-{day(last)}{back}"


def _shown(lines: list[str], buttons: list[Json]) -> Shown:
    return Shown(lines[0], [*sections(lines), *actions(buttons)])


def home(now: Standing, usage: Sequence[str]) -> Json:
    """The Home tab: what is going on, and what can be typed."""
    shown = status(now)
    blocks = [*shown.blocks, {"type": "divider"}, *sections([said(line, 400) for line in usage])]
    return {"type": "home", "blocks": blocks[:90]}
