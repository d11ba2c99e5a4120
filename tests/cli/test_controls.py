"""What a person at the terminal hears before a control does something, and what a run that waits can be helped with."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bot.cli.run_follow import _until_rest
from bot.core.commands import Actor, Purpose
from bot.core.run import Run, Status
from tests.cli.terminal import ANA, BEN, Terminal
from tests.core.runs import T0


def stands(terminal: Terminal) -> list[tuple[str, str, str | None]]:
    """All runs, oldest first."""
    listed = terminal("run", "list", "--json").json
    return [(r["purpose"], r["status"], r["waiting_for"]) for r in reversed(listed)]


@pytest.fixture
def ramping(two: Terminal) -> Terminal:
    """R-1 has the flag on for half, and goes on in an hour."""
    ramp = "enable: flag, ramp: [50], every: 1h"
    two.edit("playbooks/playbooks/standard.yaml", "- enable: flag", "- {" + ramp + "}")
    assert two("run", "request", "example", "--to", "v1", who=ANA).code == 0
    with two.started("run", "approve", "R-1", who=BEN) as approving:
        assert approving.stdout is not None
        assert any("50 % since" in line for line in approving.stdout)
    return two


def test_putting_back_is_refused_before_a_run_is_ended(two: Terminal) -> None:
    """A card that waits for approval and an open drill stay as they are: there is nothing to put back."""
    assert two("run", "request", "example", "--to", "v1", who=ANA).code == 0
    assert two("drill", "example", "v1", who=ANA).code == 0
    before = stands(two)
    answers = [two("run", "put-back", name, who=ANA) for name in ("R-1", "R-2")]

    assert [a.code for a in answers] == [2, 2]
    assert answers[0].fault == "R-1 changed nothing, so there is nothing to put back."
    assert answers[1].fault.startswith("R-2 was a drill: production was not touched")
    assert before == stands(two) == [("rollback", "waiting", "approval")] * 2


def test_a_person_is_told_and_asked_before_an_open_run_is_put_back(ramping: Terminal) -> None:
    """What it will do stands before the question. A no changes nothing and is exit 1; a yes does it."""
    before = stands(ramping)
    no = ramping.typed("n", "run", "put-back", "R-1", who=ANA)
    after = stands(ramping)
    yes = ramping.typed("y", "run", "put-back", "R-1", who=ANA)

    assert before == after == [("rollback", "waiting", "time")]
    assert (no.code, no.out) == (1, "")
    assert "R-1 is ended first. Then a new run puts back what it changed, with its own approval." in no.err
    assert no.err.endswith("Go on? [y/N] rollbot: not confirmed, so nothing was done\n")
    assert yes.code == 0, yes.err
    assert stands(ramping) == [("rollback", "aborted", None), ("put_back", "waiting", "approval")]


def test_nobody_is_asked_about_what_is_over(two: Terminal) -> None:
    """Aborting a run that has ended is refused at once, with its reason."""
    assert two("run", "request", "example", "--to", "v1", who=ANA).code == 0
    assert two("run", "abort", "R-1", who=ANA).code == 0
    again = two.typed("n", "run", "abort", "R-1", who=ANA)

    assert (again.code, again.out) == (4, "")
    assert again.err == "rollbot: R-1 is already aborted\n"


def test_who_said_yes_already_is_not_asked(two: Terminal) -> None:
    """--yes leaves the question out where a person sits; a script is never asked."""
    for words in (("typed", "--yes"), ("program",)):
        assert two("run", "request", "example", "--to", "v1", who=ANA).code == 0
        name = two("run", "list", "--json").json[0]["id"]
        run = ("run", "abort", name, *words[1:])
        said = two.typed("n", *run, who=ANA) if words[0] == "typed" else two.program(*run, who=ANA)
        assert (said.code, said.err) == (0, "")
    assert stands(two) == [("rollback", "aborted", None)] * 2


def test_the_ways_on_are_said_as_commands(models: Terminal) -> None:
    """Whoever approves hears once that the run waits and what can be done now; so does whoever looks later."""
    models.models("12", broken=True)
    asked = models("run", "request", "example", "--to", "v11", who=ANA)
    failed = models("run", "approve", "R-1", who=BEN)
    ways = "Ways on: rollbot run retry R-1, or skip, put-back, switch, accept, abort"

    assert "1 approval more needed: rollbot run approve R-1, or reject" in asked.out
    assert failed.fault.startswith("R-1 waiting: ") and failed.fault.endswith(f". {ways}")
    assert "R-1 waiting: model" not in failed.out
    assert ways in models("run", "show", "R-1").out.splitlines()


def test_speed_and_snooze_answer_in_json(ramping: Terminal) -> None:
    """The run as it is then, as all other controls."""
    slower = ramping("run", "speed", "R-1", "--every", "2h", "--json", who=BEN)
    quiet = ramping("run", "snooze", "R-1", "--json", who=BEN)
    assert [said.json["id"] for said in (slower, quiet)] == ["R-1", "R-1"]


def test_a_drills_plan_is_not_taken_for_a_live_one(two: Terminal) -> None:
    """It wears the same words as the drill itself, in place of the environment."""
    said = two("drill", "example", "v1", who=ANA)
    assert "example v2 -> v1 · DRILL - production is not touched" in said.out


async def test_each_line_is_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A run that waits for another's locks begins and waits, begins and waits: that fills no screen."""
    behind = "R-9 is working on the same thing; this goes on when it ends"
    fresh = Run(id=10, feature="f", purpose=Purpose.rollback, requester=Actor(), created_at=T0, status=Status.running)
    waits = fresh.to(status=Status.waiting, waiting_for="time", why=behind)
    seen = iter([fresh, waits, fresh, waits, fresh, fresh.to(status=Status.succeeded)])

    async def read(_: object) -> Run:
        return next(seen)

    session: Any = SimpleNamespace(parts=SimpleNamespace(store=SimpleNamespace(read=read)))
    ended = await _until_rest(session, 10, quiet=False)

    assert ended.status == Status.succeeded
    assert capsys.readouterr().out.splitlines() == ["R-10 running", f"R-10 waiting: {behind}"]


def test_no_runs_are_said_of_what_was_asked_for(two: Terminal) -> None:
    """Of which feature, and before which run."""
    assert two("run", "list", "--feature", "nope").out == "no runs of nope yet\n"
    assert two("run", "list", "--before", "R-9").out == "no runs before R-9\n"
