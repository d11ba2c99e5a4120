"""Releases and moments: an immutable code side, and the data side at several times."""

from __future__ import annotations

import contextlib
from datetime import datetime

from pydantic import Field

from bot.core.errors import Refused, Unknown, Usage
from bot.core.target import CODE_SIDE, DATA_SIDE, Capture, Kind, Value, digest_of
from bot.core.text import listed, near
from bot.core.text import moment as parse_time

EXPECTED = "expected, not observed"
"""How everybody says that a release or a moment was computed from what the systems still hold."""


class Release(Value):
    """An immutable, named code side. ``digest`` covers the captures' versions, nothing that is merely observed."""

    format: int = 1
    feature: str
    version: str
    digest: str
    captures: dict[str, Capture] = Field(default_factory=dict)
    changelog: str = ""
    metrics: dict[str, float] = Field(default_factory=dict)
    commit: str = ""
    created_at: datetime
    expected: bool = False
    warnings: list[str] = Field(default_factory=list)


class Moment(Value):
    """The data side at one time. ``version``: the release that was live then."""

    format: int = 1
    id: int = 0
    feature: str
    version: str
    at: datetime
    captures: dict[str, Capture] = Field(default_factory=dict)
    expected: bool = False
    warnings: list[str] = Field(default_factory=list)

    @property
    def digest(self) -> str:
        """Covers what would be restored."""
        return digest_of({name: [c.resource, c.pointer, c.digest] for name, c in self.captures.items()})


class Stint(Value):
    """A time during which one release was live. ``until`` None: still live. ``rolled_back``: ended by a rollback.
    ``mixed``: data components that hold another release's data, so that no moment of it can be taken."""

    version: str
    since: datetime
    until: datetime | None = None
    rolled_back: bool = False
    mixed: list[str] = Field(default_factory=list)


def code_digest(captures: dict[str, Capture]) -> str:
    """One digest over definition, model and flag rule."""
    return digest_of({name: [c.kind, c.resource, c.pointer, c.digest] for name, c in captures.items()})


def sides(captures: dict[str, Capture]) -> tuple[dict[str, Capture], dict[str, Capture]]:
    """Code side and data side."""
    code = {name: c for name, c in captures.items() if c.kind in CODE_SIDE}
    data = {name: c for name, c in captures.items() if c.kind in DATA_SIDE}
    return code, data


def same_or_refused(existing: Release | None, version: str, captures: dict[str, Capture]) -> None:
    """Another code side under the same version is refused; raises Refused naming the components that differ."""
    if existing is None or existing.digest == code_digest(captures):
        return
    raise Refused(
        f"{existing.feature} {version} exists with another code side "
        f"({', '.join(differing(existing.captures, captures))} differ). "
        f"A release is immutable: capture this one under a new version.",
        rule="immutable release",
    )


def differing(one: dict[str, Capture], other: dict[str, Capture]) -> list[str]:
    """The components that are not the same thing in both."""
    return [n for n in sorted({*one, *other}) if _identity(one.get(n)) != _identity(other.get(n))]


def _identity(c: Capture | None) -> tuple[str, str, str] | None:
    return (c.resource, c.pointer, c.digest) if c else None


def no_release(feature: str, version: str, versions: list[str]) -> Unknown:
    """The error for a version that does not exist: near misses, or the newest ones where none is near."""
    guesses = near(version, versions) or versions[:3]
    if not guesses:
        return Unknown(f"{feature} has no releases yet. Capture one: rollbot release capture {feature} VERSION")
    return Unknown(f"{feature} has no release {version!r}.", near=guesses)


def previous(stints: list[Stint]) -> str | None:
    """The newest release that was live before the present one and was never rolled back from."""
    if not stints:
        return None
    ordered = sorted(stints, key=lambda s: s.since)
    present = ordered[-1].version
    bad = {s.version for s in stints if s.rolled_back}
    earlier = [s.version for s in ordered[:-1] if s.version != present and s.version not in bad]
    return earlier[-1] if earlier else None


def choose_moment(
    moments: list[Moment],
    stints: list[Stint],  # noqa: ARG001  a moment says itself during which release it was taken
    version: str,
    at: datetime | None,
) -> Moment | None:
    """The newest moment before the next release took over, or the newest not after ``at``."""
    own = sorted((m for m in moments if m.version == version), key=lambda m: m.at)
    if at is not None:
        before = [m for m in own if m.at <= at]
        return before[-1] if before else None
    return own[-1] if own else None


def as_of(captures: dict[str, Capture], now: datetime) -> datetime:
    """Of when imported data is: the newest time that a dataset's capture tells of itself, else ``now``."""
    times = []
    for capture in captures.values():
        told = capture.observed.get("as_of") if capture.kind == Kind.dataset else None
        with contextlib.suppress(Usage):  # a program of a team's own may say anything
            times += [parse_time(str(told), now)] if told else []
    return min(max(times), now) if times else now


def live_for(stints: list[Stint], version: str, now: datetime) -> float:
    """Seconds that ``version`` was live, in all."""
    return sum(((s.until or now) - s.since).total_seconds() for s in stints if s.version == version)


def ever_rolled_back(stints: list[Stint], version: str) -> bool:
    return any(s.rolled_back for s in stints if s.version == version)


def live_stint(stints: list[Stint]) -> Stint | None:
    return next((s for s in stints if s.until is None), None)


def live_version(stints: list[Stint]) -> str | None:
    """The release that is live now."""
    live = live_stint(stints)
    return live.version if live else None


def mixed_words(names: list[str]) -> str:
    """What is to be said of a live release whose data is not all its own; empty if it is."""
    verb = "holds" if len(names) == 1 else "hold"
    return f"{listed(names)} {verb} another release's data since a rollback" if names else ""


def mixed(
    feature: str,  # noqa: ARG001  every rule about a release is told of which feature it is
    version: str,
    captures: dict[str, Capture],
    views: dict[str, str],
) -> list[str]:
    """Says so where a model was trained on another feature version than the release it is part of.

    Read from the model version's tags ``rollbot.release`` (a version) and ``feast.feature_views``
    (``view`` or ``view@vN``); ``views`` maps a view's name to the pointer captured here.
    """
    said: list[str] = []
    for name, c in captures.items():
        tags = c.facts.get("tags") or {}
        made_for = tags.get("rollbot.release")
        if made_for and made_for != version:
            said.append(f"MIXED: {name} {c.pointer} was trained on release {made_for}, not {version}")
        for ref in str(tags.get("feast.feature_views") or "").split(","):
            view, _, wanted = ref.strip().partition("@")
            if wanted and view in views and views[view] != wanted:
                said.append(f"MIXED: {name} {c.pointer} was trained on {view} {wanted}, this release has {views[view]}")
    return said
