"""What format 1 of the audit log is."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core import audit
from bot.core.audit import Actor, ActorKind, Event, Exported, Head, Opening, Via
from bot.core.auditor import verify_export
from tests.core.audit_log import LOG, START


def test_format_1_is_final() -> None:
    """Body, leaf and root of a known event never change: logs written once must verify for ever."""
    actor = Actor(ActorKind.person, audit.commit_text("T1/U1", b"p" * 16))
    event = Event(act="run_requested", actor=actor, via=Via.slack, run="R-1", texts={"reason": "zu spät"})
    row, head = audit.make_event(Head(), event, START, lambda: b"s" * 16)

    assert row.body == (
        '{"act":"run_requested","actor":{"id":"sha256:ee40dbd4f4cd92860cb038885a7018a45d837850eb09e41b4c45d051799737e5","kind":"person"},"after":null,"at":"2026-11-22T03:02:11.123456Z",'
        '"before":null,"facts":{},"feature":null,"format":1,"plan_digest":null,'
        '"prior_root":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",'
        '"run":"R-1","seq":0,"texts":{"reason":"sha256:2e9e853693a53c8c59877a517c64a42dda5da181edd1766567335acfb627145a"},"via":"slack"}'
    )
    assert row.leaf.hex() == head.root.hex() == "8737c20a421c83ecb159b63be8b0a8b39a24be73fd8083f9fa720715324e6a28"
    assert row.texts == {"reason": Opening(b"s" * 16, "zu spät")}


def test_times_are_utc_with_microseconds() -> None:
    """Every time in the log has the same form, whatever zone it came in; a naive one is refused."""
    assert (
        audit.timestamp(datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))) == "2025-12-31T23:00:00.000000Z"
    )
    with pytest.raises(ValueError, match="time zone"):
        audit.timestamp(datetime(2026, 1, 1))  # noqa: DTZ001 - that is the case


def test_a_name_cannot_become_an_actor_id() -> None:
    """A person's id is a commitment, so that no name can reach a body by mistake."""
    with pytest.raises(ValueError, match="never a name"):
        Actor(ActorKind.person, "T1/U1")


@pytest.mark.parametrize("word", ["", "Run requested", "run-requested", "9lives", "été"])
def test_acts_are_plain_words(word: str) -> None:
    """An act is a lower-case word that any program can match on."""
    with pytest.raises(ValueError, match="plain lower-case word"):
        Event(act=word, actor=Actor(ActorKind.system, "rollbot"), via=Via.worker)


def test_a_salt_of_another_length_is_refused() -> None:
    """A short salt would make an erased text guessable."""
    with pytest.raises(ValueError, match="16 bytes"):
        audit.commit_text("text", b"short")


@settings(max_examples=50)
@given(
    facts=st.dictionaries(
        st.text(st.characters()) | st.integers(),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(st.characters()),
            st.lists,
        ),
        max_size=4,
    ),
    text=st.text(st.characters()),
)
def test_whatever_an_event_holds_verifies(facts: dict[str, object], text: str) -> None:
    """NULs, lone surrogates, number keys and any JSON give an event that is stored as UTF-8 and verifies."""
    event = Event(
        act="noted", actor=Actor(ActorKind.system, "rollbot"), via=Via.worker, facts=facts, texts={"note": text}
    )
    row, head = audit.make_event(Head(), event, START, lambda: b"s" * 16)
    lines = [line.encode() for line in audit.export(LOG, head, [Exported(row.body, row.texts)])]

    assert verify_export(lines).fault is None
    assert "\x00" not in row.body + row.texts["note"].text
