"""True exports verify, and no export that was tampered with does."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import pytest

from bot.core import checkpoint
from bot.core.audit import Exported, Head, Opening
from bot.core.auditor import verify_export
from bot.core.target import canonical
from tests.core.audit_log import KEY, LOG, PUBLIC, Log, edited, log_of, verify


def test_without_a_checkpoint_only_the_chain_is_vouched_for() -> None:
    """The report does not promise more than it established."""
    report = verify_export(log_of(5).lines())

    assert report.ok
    assert report.trust.startswith("chain consistent only: no checkpoint given")
    assert (report.size, report.covered, report.signer) == (5, 0, None)


def test_a_checkpoint_covers_all_events() -> None:
    """With the newest checkpoint the whole export is vouched for, and the report names the key."""
    log = log_of(5)
    report = verify(log)

    assert report.trust == (
        f"a checkpoint signed by {LOG} (key {checkpoint.public_key(KEY).id}) at size 5 matches "
        "(until 2026-11-22T03:02:15.123456Z); it covers all events"
    )
    assert (report.opened, report.withheld, report.root) == (10, 0, log.head.root.hex())


def test_an_older_checkpoint_covers_only_its_part() -> None:
    """A checkpoint from before is no lie, but the events after it are not vouched for, and the report says how many."""
    report = verify(log_of(5), size=3)

    assert report.ok
    assert report.covered == 3
    assert report.covered_until == "2026-11-22T03:02:13.123456Z"
    assert report.trust.endswith("the 2 events after it are chain consistent only")


def test_all_checkpoints_of_a_log_agree() -> None:
    """Any number of true checkpoints, in any order, is accepted."""
    log = log_of(9)

    assert verify_export(log.lines(), log.checkpoints[::-1], PUBLIC).covered == 9


def test_an_empty_log_verifies() -> None:
    """A log without events has a root as well."""
    note = checkpoint.sign(0, Head().root, KEY)

    assert verify_export(Log().lines(), [note], PUBLIC).ok


def test_erased_texts_and_people_leave_the_log_verifiable() -> None:
    """After the erasure of a text and of a person the same checkpoint still matches."""
    log = log_of(4)
    log.events[1] = Exported(log.events[1].body)
    report = verify(log)

    assert report.ok
    assert (report.opened, report.withheld) == (6, 1)


def test_no_personal_data_is_left_in_a_body() -> None:
    """Neither the person's id nor the free text can be read from what stays."""
    body = log_of(1).events[0].body

    assert "UANA" not in body
    assert "ETAs" not in body


def swap(lines: list[str], one: int, other: int) -> list[str]:
    lines[one], lines[other] = lines[other], lines[one]
    return lines


def retold(lines: list[str], line: int, **opening: str) -> list[str]:
    value = json.loads(lines[line])
    value["texts"]["reason"].update(opening)
    lines[line] = canonical(value) + "\n"
    return lines


def renamed(lines: list[str], line: int, text: str) -> list[str]:
    value = json.loads(lines[line])
    next(iter(value["people"].values()))["text"] = text
    lines[line] = canonical(value) + "\n"
    return lines


def mended_header(lines: list[str], **fields: object) -> list[str]:
    return [canonical({**json.loads(lines[0]), **fields}) + "\n", *lines[1:]]


def inserted_and_renumbered(lines: list[str]) -> list[str]:
    """One event twice, every number after it moved on by one."""
    lines.insert(4, lines[3])
    return mended_header(lines[:1] + [edited(line, seq=n) for n, line in enumerate(lines[1:])], size=9)


ATTACKS: dict[str, tuple[Callable[[list[str]], list[str]], int, str]] = {
    # what was done to eight events (lines 2 to 9): the first bad line, and a part of the sentence about it
    "edited field": (lambda x: [*x[:3], edited(x[3], after={"version": "v6"}), *x[4:]], 4, "the event was changed"),
    "edited time": (lambda x: [*x[:3], edited(x[3], at="2026-11-22T03:02:13.999999Z"), *x[4:]], 4, "was changed"),
    "edited first event": (lambda x: [x[0], edited(x[1], act="run_approved"), *x[2:]], 2, "the event was changed"),
    "edited last event": (lambda x: [*x[:8], edited(x[8], run="R-9")], 9, "the last event was changed"),
    "edited root in the middle": (lambda x: [*x[:4], edited(x[4], prior_root="0" * 64), *x[5:]], 5, "prior_root"),
    "edited root at the start": (lambda x: [x[0], edited(x[1], prior_root="0" * 64), *x[2:]], 2, "prior_root"),
    "edited root at the end": (lambda x: [*x[:8], edited(x[8], prior_root="0" * 64)], 9, "prior_root"),
    "deleted row": (lambda x: [*x[:4], *x[5:]], 5, "event 3 should stand here, but it is event 4"),
    "deleted first row": (lambda x: [x[0], *x[2:]], 2, "event 0 should stand here"),
    "inserted row": (lambda x: [*x[:4], x[3], *x[4:]], 5, "event 3 should stand here, but it is event 2"),
    "inserted and renumbered": (inserted_and_renumbered, 4, "the event was changed"),
    "swapped rows": (lambda x: swap(x, 3, 4), 4, "event 2 should stand here, but it is event 3"),
    "cut tail": (lambda x: x[:-2], 8, "the export ends after 6 events, its first line promises 8"),
    "cut tail, header edited": (lambda x: mended_header(x[:-2], size=6), 7, "the last event was changed"),
    "header with another root": (lambda x: mended_header(x, root="0" * 64), 1, "its root is not the one of the events"),
    "header promises less": (lambda x: mended_header(x, size=6), 10, "promises 6"),
    "other log": (lambda x: mended_header(x, log="acme/other"), 1, "the log is called 'acme/other'"),
    "other text": (lambda x: retold(x, 3, text="no reason"), 4, "the text 'reason' is not the one"),
    "other salt": (lambda x: retold(x, 3, salt="0" * 32), 4, "the text 'reason' is not the one"),
    "no salt": (lambda x: retold(x, 3, salt=""), 4, "the text 'reason' is not the one"),
    "other person": (lambda x: renamed(x, 3, "T1/UBEN"), 4, "a person's name is not the one"),
    "truth as number": (lambda x: [*x[:2], edited(x[2], seq=True), *x[3:]], 3, "seq is no number"),
    "truth as format": (lambda x: [*x[:2], edited(x[2], format=True), *x[3:]], 3, "this is not format 1"),
    "format as fraction": (lambda x: mended_header(x, format=1.0), 1, "this is not format 1"),
    "later format": (lambda x: [*x[:2], edited(x[2], format=2), *x[3:]], 3, "this is not format 1"),
    "one more field": (lambda x: [*x[:2], edited(x[2], approved=True), *x[3:]], 3, "fields are not those of format 1"),
    "name for a text": (lambda x: [*x[:2], edited(x[2], texts={"reason": "late"}), *x[3:]], 3, "commitments only"),
    "no time": (lambda x: [*x[:2], edited(x[2], at="2026-11-22 03:02"), *x[3:]], 3, "no time in UTC"),
    "actor as text": (lambda x: [*x[:2], edited(x[2], actor="ana"), *x[3:]], 3, "actor has a kind and an id"),
    "spaces": (lambda x: [*x[:2], x[2].replace('{"body":', '{"body": '), *x[3:]], 3, "canonical JSON"),
    "spaces in a body": (lambda x: [*x[:2], x[2].replace("{\\", "{ \\", 1), *x[3:]], 3, "the body is no object in can"),
    "key twice": (lambda x: [*x[:2], '{"body":"",' + x[2][1:], *x[3:]], 3, "canonical JSON"),
    "more beside the body": (lambda x: [*x[:2], '{"a":1,' + x[2][1:], *x[3:]], 3, "body, texts and people only"),
    "no number": (lambda x: [*x[:2], '{"body":NaN}\n', *x[3:]], 3, "no JSON"),
    "nested too deep": (lambda x: [*x[:2], "[" * 100_000 + "]" * 100_000 + "\n", *x[3:]], 3, "no JSON"),
    "body nested too deep": (lambda x: [*x[:2], canonical({"body": "[" * 100_000}) + "\n"], 3, "the body is no JSON"),
    "number too long": (lambda x: [*x[:2], "9" * 5000 + "\n", *x[3:]], 3, "no JSON"),
    "no UTF-8": (lambda x: [*x[:2], '{"body":"\ud800"}\n', *x[3:]], 3, "no JSON in UTF-8"),
    "other line ends": (lambda x: [line.replace("\n", "\r\n") for line in x], 1, "newline at its end"),
    "byte order mark": (lambda x: ["\ufeff" + x[0], *x[1:]], 1, "no JSON in UTF-8"),
    "no newline at the end": (lambda x: [*x[:-1], x[-1][:-1]], 9, "newline at its end"),
    "empty line at the end": (lambda x: [*x, "\n"], 10, "no JSON in UTF-8"),
    "no header": (lambda x: x[1:], 1, "the first line holds"),
    "nothing": (lambda _: [], 1, "the export is empty"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attack_is_noticed_and_the_line_named(attack: str) -> None:
    """Each way to tamper with an export is a fault that names the first bad line, with a checkpoint at hand."""
    tamper, line, why = ATTACKS[attack]
    report = verify(log := log_of(8), tamper(log.lines()))

    assert report.line == line
    assert f"line {line}: " in (report.fault or "")
    assert why in (report.fault or "")


@pytest.mark.parametrize("attack", sorted(ATTACKS.keys() - {"other log"}))
def test_attack_is_noticed_without_a_checkpoint(attack: str) -> None:
    """Whoever can't rebuild the whole chain is found out by the export alone."""
    report = verify_export(ATTACKS[attack][0](log_of(8).lines()))

    assert not report.ok
    assert report.trust.startswith("none")


def test_a_person_whom_the_event_does_not_name_is_refused() -> None:
    """An export can't put somebody into an event who was not in it."""
    log, ben = log_of(3), Opening(b"b" * 16, "T1/UBEN")
    log.events[1] = Exported(log.events[1].body, people=[ben])

    assert "names nobody with the id" in (verify(log).fault or "")


def test_a_text_that_the_event_does_not_have_is_refused() -> None:
    """An export can't add a text to an event."""
    log = log_of(3)
    log.events[1] = Exported(log.events[1].body, {"excuse": Opening(b"b" * 16, "sorry")})

    assert "has no text called 'excuse'" in (verify(log).fault or "")


def test_a_cut_tail_is_found_by_the_checkpoint() -> None:
    """A log that honestly ends earlier passes alone, and fails against the checkpoint of the longer one."""
    log = log_of(8)
    short = log_of(6).lines()

    assert verify_export(short).ok
    assert verify(log, short).fault == (
        "line 8: the tail is cut off: the export ends after 6 events, 8 were signed for. If it was made before that "
        "checkpoint, export again"
    )


def test_a_whole_rewrite_is_found_by_the_checkpoint() -> None:
    """A history rewritten with all its hashes passes alone, and fails against one checkpoint kept outside."""
    log, lie = log_of(8), log_of(8, rewritten_from=5)

    assert verify_export(lie.lines()).ok
    assert verify(log, lie.lines()).line == 2
    assert "history was rewritten: lines 2 to 9" in (verify(log, lie.lines()).fault or "")


def test_more_checkpoints_find_the_place_of_a_rewrite() -> None:
    """The last checkpoint that matches says where the trust ends."""
    log, lie = log_of(8), log_of(8, rewritten_from=5)
    report = verify_export(lie.lines(), [log.checkpoints[2], log.checkpoints[4], log.checkpoints[6]], PUBLIC)

    assert report.fault == f"line 7: history was rewritten: lines 7 to 8 are not what {LOG} signed at size 7"
    assert report.covered == 5
    assert report.trust.endswith("nothing after it can be believed")


def test_a_bad_line_after_a_matching_checkpoint_keeps_the_trust_before_it() -> None:
    """One damaged line does not take the trust from what was signed before it."""
    log = log_of(8)
    lines = log.lines()
    lines[6] = edited(lines[6], run="R-0")
    report = verify_export(lines, [log.checkpoints[2], log.checkpoints[7]], PUBLIC)

    assert (report.line, report.covered) == (7, 3)


def test_a_checkpoint_right_behind_a_changed_event_leaves_the_line_named() -> None:
    """The exact line is better than the range between two checkpoints."""
    log = log_of(8)
    lines = log.lines()
    lines[6] = edited(lines[6], run="R-0")

    assert verify_export(lines, log.checkpoints, PUBLIC).line == 7


def test_an_event_that_a_checkpoint_covers_is_not_blamed() -> None:
    """Where two lines don't fit together, the signed one is the true one."""
    log = log_of(8)
    lines = log.lines()
    lines[7] = edited(lines[7], prior_root="0" * 64, run="R-0")

    assert verify_export(lines).line == 7
    assert verify_export(lines, log.checkpoints, PUBLIC).line == 8


def test_two_signed_histories_of_one_size_are_a_fork() -> None:
    """Two checkpoints that can't both be true are told, whichever of them the export follows."""
    log, other = log_of(8), log_of(8, rewritten_from=5)
    report = verify_export(log.lines(), [log.checkpoints[7], other.checkpoints[7]], PUBLIC)

    assert report.fault == f"the log was forked: {LOG} signed two different histories of 8 events"
    assert report.trust.startswith("none")


def test_a_checkpoint_without_a_key_is_refused() -> None:
    """Anybody can write a checkpoint; without the key it says nothing."""
    log = log_of(2)

    assert "give the key as well" in (verify_export(log.lines(), log.checkpoints).fault or "")


def all_mutations(lines: list[str], number: int) -> list[bytes]:
    rng, data = random.Random(20261122), "".join(lines).encode()
    spots = ((rng.randrange(len(data)), rng.randrange(1, 256)) for _ in range(number))
    return [data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :] for at, flip in spots]


def split(data: bytes) -> list[bytes]:
    """As a file in binary mode yields them."""
    return [line + b"\n" for line in data.split(b"\n")[:-1]] + ([last] if (last := data.rpartition(b"\n")[2]) else [])


def test_1000_random_mutations_are_noticed() -> None:
    """No export with one changed byte, wherever it lies, passes against its checkpoint."""
    log = log_of(12)
    assert verify_export(split("".join(log.lines()).encode()), log.checkpoints[-1:], PUBLIC).ok

    passed = [
        data for data in all_mutations(log.lines(), 1000) if verify_export(split(data), log.checkpoints[-1:], PUBLIC).ok
    ]

    assert passed == []
