"""What can be typed after /rollback, as a table; and that nothing typed makes the parser fall over or guess."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.core.errors import Usage
from bot.slack.commands.parse import CLAUSES, MOST, Asked, asked, read


def said(text: str) -> Asked:
    return asked(read(text))


UNDERSTOOD = [
    ("fares to v12", Asked("fares", to="v12")),
    ("fares TO v12", Asked("fares", to="v12")),
    ("fares to previous", Asked("fares", to="previous")),
    ("  fares   to\u00a0v12  ", Asked("fares", to="v12")),
    ("fares --to v12 —dry-run", Asked("fares", to="v12", dry_run=True)),
    ("fares to v12 –dry–run", Asked("fares", to="v12", dry_run=True)),
    ("fares to v12 dry run", Asked("fares", to="v12", dry_run=True)),
    ("fares to v12 Dry Run", Asked("fares", to="v12", dry_run=True)),
    ("fares to v1—2", Asked("fares", to="v1-2")),
    ("fares to v12 at 01:00", Asked("fares", to="v12", at="01:00")),
    ("fares at 2026-11-22 01:00 to v12", Asked("fares", to="v12", at="2026-11-22 01:00")),
    ("fares at 2026-11-22T01:00:00Z to v12", Asked("fares", to="v12", at="2026-11-22T01:00:00Z")),
    ("fares to v12 without dataset", Asked("fares", to="v12", without=("dataset",))),
    ("fares to v12 without dataset, model", Asked("fares", to="v12", without=("dataset", "model"))),
    ("fares to v12 without dataset ,model,dataset", Asked("fares", to="v12", without=("dataset", "model"))),
    (
        "fares to v12 playbook careful incident INC-142",
        Asked("fares", to="v12", playbook="careful", incident="INC-142"),
    ),
    ("fares to v12 because ETAs 40 % too long", Asked("fares", to="v12", reason="ETAs 40 % too long")),
    ("fares to v12 because ETAs — 40 %", Asked("fares", to="v12", reason="ETAs — 40 %")),
    ("fares to v12 because it's “bad” today", Asked("fares", to="v12", reason="it's “bad” today")),
    ("fares to v12 because wrong dry run", Asked("fares", to="v12", reason="wrong", dry_run=True)),
    (
        "fares to v12 because wrong dry run playbook careful incident INC-1",
        Asked("fares", to="v12", reason="wrong", dry_run=True, playbook="careful", incident="INC-1"),
    ),
    ('fares because "we need a dry run" to v12', Asked("fares", to="v12", reason="we need a dry run")),
    ("fares because “quoted — so” to v12", Asked("fares", to="v12", reason="quoted — so")),
    ("fares to v12 because a &lt;!channel&gt; &amp;amp; b", Asked("fares", to="v12", reason="a <!channel> &amp; b")),
    ("fares to v12 because <!channel> and <@U0ANA|ana>", Asked("fares", to="v12", reason="@channel and @ana")),
    (
        "fares to v12 because <#C1|general> <http://x.test/a|x.test>",
        Asked("fares", to="v12", reason="#general x.test"),
    ),
    ("fares", Asked("fares")),
]


@pytest.mark.parametrize(("text", "meant"), UNDERSTOOD)
def test_what_is_typed_is_understood(text: str, meant: Asked) -> None:
    """Each clause in any order, with any dash, any quote, any case and Slack's own markup, means what it says."""
    assert said(text) == meant


REFUSED = [
    ("fares to v12 to v11", "'to' is said twice"),
    ("fares to", "'to' needs a version"),
    ("fares to because x", "'to' needs a version"),
    ("fares to v12 without", "'without' needs a component"),
    ("fares to v12 without ,", "'without' needs a component"),
    ("fares to v12 because", "'because' needs a reason"),
    ('fares to v12 because ""', "'because' needs a reason"),
    ("fares to v12 incident please", "no incident id"),
    ("fares too v12", "Did you mean to"),
    ("fares to v12 wihtout dataset", "Did you mean without"),
    ("fares v12", "I don't understand 'v12' here. Write /rollback FEATURE to VERSION"),
    ("fares to v12 dry", "I don't understand 'dry' here"),
    ("to v12", "Which feature?"),
    ("fares to v\u202e21", "U+202E, RIGHT-TO-LEFT OVERRIDE"),
    ("fares to v12\x00", "U+0000, a control character"),
    ("fa\u200bres to v12", "U+200B"),
    ("x" * 4000, "4,000 characters; a command has at most 2,000"),
]


@pytest.mark.parametrize(("text", "why"), REFUSED)
def test_what_is_not_understood_is_said_in_one_line(text: str, why: str) -> None:
    """A clause that is off, an invisible character or 4,000 characters get one clear line and no guess."""
    with pytest.raises(Usage) as caught:
        said(text)
    assert why in caught.value.message
    assert "\n" not in caught.value.message and len(caught.value.message) < 250


WORDS = st.sampled_from(["fares", "v12", "previous", "dataset,model", "01:00", '"', "“x", "--", "—", *CLAUSES, "run"])


@given(st.one_of(st.text(max_size=300), st.lists(WORDS, max_size=12).map(" ".join)))
@example("<" * 2000)
@example("because" + " " * 1900 + "x")
@example('fares because "a" "b"')
def test_nothing_typed_makes_it_fall_over(text: str) -> None:
    """Any text is either understood or refused with Usage."""
    answer, found = "", None
    try:
        found = said(text)
    except Usage as e:
        answer = e.message
    assert found.feature.strip() if found else answer and "\n" not in answer


names = st.from_regex(r"[a-z][a-z0-9_.]{0,20}", fullmatch=True).filter(lambda n: n not in CLAUSES and n != "run")
reasons = st.text(
    st.characters(exclude_categories=("C", "Z"), exclude_characters='<>&"“”„‟«»″＂'), min_size=1, max_size=40
)


@given(names, names, st.sets(names, max_size=3), reasons, st.booleans(), st.sampled_from(["--", "—", ""]))
def test_what_is_written_is_read_back(
    feature: str, to: str, without: set[str], reason: str, dry: bool, dash: str
) -> None:
    """A command written from its parts, with a quoted reason, is read back as exactly these parts."""
    parts = [feature, f"{dash}to {to}", f'because "{reason}"']
    parts += [f"without {', '.join(sorted(without))}"] if without else []
    parts += [f"{dash}dry-run"] if dry else []
    found = said(" ".join(parts))
    assert (found.feature, found.to, found.reason, found.dry_run) == (feature, to, reason, dry)
    assert set(found.without) == without


def test_the_longest_command_is_read() -> None:
    """Exactly as many characters as are allowed are read, one more is refused."""
    start = "fares to v12 because "
    assert said(start + "x" * (MOST - len(start))).to == "v12"
    with pytest.raises(Usage):
        read("x" * (MOST + 1))
