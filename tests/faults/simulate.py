"""Many simulated nights in a row, or one line by line: ``python -m tests.faults.simulate --help``."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.faults.simulated.course import Outcome, simulate

EVERY = 250
"""Seeds between two lines of progress."""


def outcomes(seeds: Iterable[int], workers: int) -> Iterator[Outcome]:
    """In the order of the seeds."""
    if workers < 2:
        yield from map(simulate, seeds)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(simulate, seeds, chunksize=10)


def replay(seed: int) -> int:
    outcome = simulate(seed, verbose=True)
    sys.stdout.writelines(f"{line}\n" for line in outcome.said)
    return _said(outcome)


def _said(outcome: Outcome) -> int:
    for what in outcome.broken:
        sys.stdout.write(f"seed {outcome.seed}: {what}\n")
    sys.stdout.flush()
    return 1 if outcome.broken else 0


def sweep(first: int, count: int, workers: int) -> int:
    """1 if a rule was broken in any of them."""
    began, ends, broken = time.monotonic(), Counter[str](), 0
    for n, outcome in enumerate(outcomes(range(first, first + count), workers), 1):
        broken += _said(outcome)
        ends.update(outcome.ends)
        if n % EVERY == 0 or n == count:
            listed = ", ".join(f"{k} {v}" for k, v in sorted(ends.items()))
            sys.stdout.write(
                f"{n} of {count} seeds, {time.monotonic() - began:.0f} s, {broken} failing; runs: {listed}\n"
            )
            sys.stdout.flush()
    return 1 if broken else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.simulate", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this one, line by line")
    parser.add_argument("--first", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--count", type=int, default=10_000, help="how many (10000)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (one a core)")
    said = parser.parse_args()
    return replay(said.seed) if said.seed is not None else sweep(said.first, said.count, said.workers)


if __name__ == "__main__":
    sys.exit(main())
