"""What people did to a run that was at work: kept with it, so that its thread and the terminal say who, and why."""

from __future__ import annotations

from datetime import datetime

from bot.core.run import Deed, Happened, Moved
from bot.core.text import hhmm, listed

MOST = 20
"""The newest are kept; the log has all of them."""
PLAIN = {
    "run_paused": "paused it",
    "run_resumed": "let it go on",
    "run_retried": "had it try again",
    "run_aborted": "aborted it",
    "outcome_accepted": "took the outcome as it is",
    "flag_enabled_anyway": "had the flag switched on although it was not verified",
    "locks_forced": "took its locks away by force",
}


def remembered(moved: Moved, now: datetime) -> Moved:
    """The same, with what was done kept in the run. Decisions are not: they have their own place."""
    run, events = moved
    done = [deed for event in events if (deed := _deed(event, now))]
    return (run.to(deeds=[*run.deeds, *done][-MOST:]) if done else run), events


def deed_of(deed: Deed, name: str) -> str:
    """``@ben 06:07 left out restore model: "its server is gone"``; not escaped."""
    return f"{name} {hhmm(deed.at)} {deed.what}" + (f': "{deed.why}"' if deed.why else "")


def _deed(event: Happened, now: datetime) -> Deed | None:
    what = _what(event)
    return Deed(person=event.actor.id, at=now, what=what, why=event.texts.get("reason", "").strip()) if what else None


def _what(event: Happened) -> str:
    facts = event.facts
    match event.act:
        case "step_skipped":
            steps = facts.get("steps")
            return f"left out {listed(str(s).partition(' ')[2] for s in steps)}" if isinstance(steps, list) else ""
        case "alerts_snoozed":
            return f"is looking, alerts are quiet until {hhmm(datetime.fromisoformat(str(facts['until'])))}"
        case "ramp_speed_set":
            every = str(facts["every"])
            return "had the rest of the ramp given at once" if every == "at once" else f"set a share every {every}"
        case _:
            return PLAIN.get(event.act, "")
