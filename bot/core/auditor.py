"""The auditor's side of the log: checks an export with nothing but the export, signed checkpoints and a public key.

A verifier that accepts what it can't prove is worse than none: it trusts no line, and says how far its trust goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from bot.core.audit_lines import BadLine, body_of, commitment_of, header_of, parse, want
from bot.core.checkpoint import Checkpoint, PublicKey, open_checkpoint, read_key
from bot.core.errors import Fault
from bot.core.merkle import EMPTY_ROOT, Frontier, leaf_hash
from bot.core.target import Json, canonical


@dataclass(frozen=True)
class Report:
    """What could be established. ``fault`` is one sentence, None if nothing is wrong.

    ``line`` is the first line of the export that is bad or, when only a checkpoint shows it, the first that nobody
    vouches for (the header is line 1, event n is line n + 2). ``size`` events were read, and ``root`` is theirs; the
    first ``covered`` of them, the last one at ``covered_until``, are those that ``signer`` signed for.
    ``opened`` texts and names were compared with their commitments; ``withheld`` texts are erased or left out.
    """

    fault: str | None
    line: int | None
    size: int
    root: str
    covered: int = 0
    covered_until: str | None = None
    signer: str | None = None
    opened: int = 0
    withheld: int = 0

    @property
    def ok(self) -> bool:
        return self.fault is None

    @property
    def trust(self) -> str:
        """How far the export can be believed, in one sentence."""
        if not self.ok and not self.signer:
            return "none: the export is faulty and no checkpoint vouches for a part of it"
        if not self.signer:
            return "chain consistent only: no checkpoint given, so whoever can write the database may have rewritten it"
        matches = f"a checkpoint signed by {self.signer} at size {self.covered} matches"
        if self.covered:
            matches += f" (until {self.covered_until})"
        if not self.ok:
            return f"{matches}; nothing after it can be believed"
        rest = self.size - self.covered
        return f"{matches}; " + (
            f"the {rest} events after it are chain consistent only" if rest else "it covers all events"
        )


def verify_export(lines: Iterable[str | bytes], checkpoints: Sequence[str] = (), key: str | None = None) -> Report:
    """Checks an export line by line and against every checkpoint given; stops at the first bad line.

    ``lines`` as a file opened in binary mode yields them (text mode would hide changed line ends). ``key`` is the
    public key's text; checkpoints without it are a fault. Needs no database and no network, and never raises.
    """
    reading = _Reading()
    try:
        signer = read_key(key) if key is not None else None
        signed = _open_all(checkpoints, signer)
        reading.wanted = {checkpoint.size for checkpoint in signed}
        reading.read(iter(lines))
        fault: BadLine | None = None
    except BadLine as bad:
        fault = bad
    except Fault as bad:
        return reading.report(bad)
    return _compare(reading, signed, signer, fault)


def _open_all(checkpoints: Sequence[str], signer: PublicKey | None) -> list[Checkpoint]:
    if not checkpoints:
        return []
    if signer is None:
        raise Fault("a checkpoint proves nothing without the log's public key: give the key as well")
    signed = sorted((open_checkpoint(note, signer) for note in checkpoints), key=lambda c: c.size)
    for one, other in pairwise(signed):
        if one.size == other.size and one.root != other.root:
            raise Fault(f"the log was forked: {signer.name} signed two different histories of {one.size} events")
    return signed


def _compare(reading: _Reading, signed: list[Checkpoint], signer: PublicKey | None, fault: BadLine | None) -> Report:
    """The checkpoints against what was read: the last that matches gives the trust, the first that fails the fault."""
    match: Checkpoint | None = None
    for checkpoint in signed if reading.log else []:
        if checkpoint.size > reading.frontier.size:
            fault = fault or _cut(reading.frontier.size, checkpoint)
            break
        if reading.log != checkpoint.origin:
            fault = BadLine(1, f"the log is called {reading.log!r}, the checkpoint is for {checkpoint.origin!r}")
            break
        if reading.roots[checkpoint.size] != checkpoint.root:
            if fault is None or fault.number > checkpoint.size + 1:
                fault = _rewritten(match.size if match else 0, checkpoint)
            break
        match = checkpoint
    if fault and fault.otherwise and match and fault.number <= match.size + 1:
        fault = fault.otherwise
    return reading.report(fault, match, signer)


def _cut(size: int, checkpoint: Checkpoint) -> BadLine:
    return BadLine(
        size + 2,
        f"the tail is cut off: the export ends after {size} events, {checkpoint.size} were signed for. If it was made "
        "before that checkpoint, export again",
    )


def _rewritten(since: int, checkpoint: Checkpoint) -> BadLine:
    first, last = since + 2, checkpoint.size + 1
    where = f"lines {first} to {last} are" if last > first else f"line {first} is"
    return BadLine(
        first, f"history was rewritten: {where} not what {checkpoint.origin} signed at size {checkpoint.size}"
    )


@dataclass
class _Reading:
    """How far the reading has come."""

    frontier: Frontier = field(default_factory=Frontier)
    wanted: set[int] = field(default_factory=set)
    roots: dict[int, bytes] = field(default_factory=lambda: {0: EMPTY_ROOT})
    times: dict[int, str] = field(default_factory=dict)
    log: str = ""
    opened: int = 0
    withheld: int = 0

    def read(self, lines: Iterator[str | bytes]) -> None:
        """Raises BadLine at the first line that is wrong."""
        header = header_of(parse(next(lines, ""), 1))
        self.log = header["log"]
        for line in lines:
            n = self.frontier.size + 2
            value = parse(line, n)
            body = body_of(value, n)
            if body["seq"] != self.frontier.size:
                raise BadLine(n, f"event {self.frontier.size} should stand here, but it is event {body['seq']}")
            if body["prior_root"] != self.frontier.root.hex():
                raise self._changed(n, body, _claimed(next(lines, None), n + 1, header))
            self._texts(value, body, n)
            self._add(value["body"], body["at"])
        self._end(header)

    def _add(self, body: str, at: str) -> None:
        self.frontier = self.frontier.add(leaf_hash(body.encode()))
        if self.frontier.size in self.wanted:
            self.roots[self.frontier.size] = self.frontier.root
            self.times[self.frontier.size] = at

    def _changed(self, n: int, body: dict[str, Json], claimed: str | None) -> BadLine:
        """Which of two lines was changed: if this one, then with the right prior_root it fits what comes next."""
        this = BadLine(n, "its prior_root is not the root of the events before it")
        mended = canonical({**body, "prior_root": self.frontier.root.hex()})
        if n == 2 or self.frontier.add(leaf_hash(mended.encode())).root.hex() == claimed:
            return this
        return BadLine(n - 1, f"the event was changed: it is not the one that line {n} was chained to", this)

    def _end(self, header: dict[str, Json]) -> None:
        size = self.frontier.size
        if size != header["size"]:
            raise BadLine(size + 2, f"the export ends after {size} events, its first line promises {header['size']}")
        if self.frontier.root.hex() != header["root"]:
            header_line = BadLine(1, "its root is not the one of the events")
            raise BadLine(size + 1, "the last event was changed: the first line has another root", header_line)

    def _texts(self, value: dict[str, Json], body: dict[str, Json], n: int) -> None:
        texts, people = value.get("texts", {}), value.get("people", {})
        for name, opening in texts.items():
            want(name in body["texts"], n, f"the event has no text called {name!r}")
            want(
                commitment_of(opening) == body["texts"][name], n, f"the text {name!r} is not the one that was recorded"
            )
        for commitment, opening in people.items():
            want(f'"{commitment}"' in value["body"], n, f"the event names nobody with the id {commitment!r}")
            want(commitment_of(opening) == commitment, n, "a person's name is not the one that was recorded")
        self.opened += len(texts) + len(people)
        self.withheld += len(body["texts"]) - len(texts)

    def report(self, fault: Fault | None, match: Checkpoint | None = None, signer: PublicKey | None = None) -> Report:
        line = fault.number if isinstance(fault, BadLine) else None
        size = self.frontier.size
        report = (fault.message if fault else None, line, size, self.frontier.root.hex())
        if not match or not signer:
            return Report(*report, opened=self.opened, withheld=self.withheld)
        who, until = f"{signer.name} (key {signer.id})", self.times.get(match.size)
        return Report(*report, match.size, until, who, opened=self.opened, withheld=self.withheld)


def _claimed(raw: str | bytes | None, n: int, header: dict[str, Json]) -> str | None:
    """The root that the next line (or, after the last event, the first line) claims for all events before it."""
    if raw is None:
        return str(header["root"])
    try:
        return str(body_of(parse(raw, n), n)["prior_root"])
    except BadLine:
        return None
