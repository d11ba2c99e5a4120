"""Who and what is in the practice workspace when it starts: plain records, so that a test can state its own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SeedUser:
    id: str
    name: str
    real_name: str
    title: str = ""

    @property
    def email(self) -> str:
        return f"{self.name}@practice.test"


@dataclass(frozen=True)
class SeedGroup:
    id: str
    handle: str
    name: str
    members: tuple[str, ...]


@dataclass(frozen=True)
class SeedChannel:
    id: str
    name: str
    members: tuple[str, ...]
    private: bool = False
    topic: str = ""


@dataclass(frozen=True)
class Seed:
    """A whole workspace. ``bot_user`` is a member of a channel only where the channel says so."""

    users: tuple[SeedUser, ...]
    groups: tuple[SeedGroup, ...]
    channels: tuple[SeedChannel, ...]
    team_id: str = "T0PRACTICE"
    team_name: str = "Practice"
    team_domain: str = "practice"
    bot_user: str = "U0BOT"
    bot_id: str = "B0BOT"
    app_id: str = "A0ROLLBOT"


PEOPLE = ("U0ANA", "U0BEN", "U0CLEO", "U0LEA", "U0SAM")


def default_seed() -> Seed:
    """One responder, two approvers, their lead and a stranger; the bot is in every channel but the private one."""
    everybody = (*PEOPLE, "U0BOT")
    return Seed(
        users=(
            SeedUser("U0ANA", "ana", "Ana Ortiz", "responder"),
            SeedUser("U0BEN", "ben", "Ben Adler", "approver"),
            SeedUser("U0CLEO", "cleo", "Cleo Mensah", "approver"),
            SeedUser("U0LEA", "lea", "Lea Winter", "on-call lead"),
            SeedUser("U0SAM", "sam", "Sam Doyle", "stranger"),
        ),
        groups=(
            SeedGroup("S0ONCALL", "ml-oncall", "ML on-call", ("U0BEN", "U0CLEO", "U0LEA")),
            SeedGroup("S0PLATFORM", "ml-platform", "ML platform", ("U0BEN", "U0CLEO", "U0LEA", "U0ANA")),
        ),
        channels=(
            SeedChannel("C0INC", "incident-142", everybody, topic="ETAs are too long"),
            SeedChannel("C0PLAT", "ml-platform", everybody),
            SeedChannel("C0DRILLS", "drills", everybody),
            SeedChannel("C0AUDIT", "rollbot-audit", everybody),
            SeedChannel("G0SECRET", "secret-war-room", ("U0ANA", "U0LEA"), private=True),
        ),
    )
