"""Seconds of processor time: what a measurement costs whoever else is using the machine, so that a noisy one can still
be judged. Linux only; elsewhere nothing is said."""

from __future__ import annotations

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
UTIME = 11
"""Index of utime behind the command's name in /proc/PID/stat; stime, and both of buried children, follow."""


def _stats() -> dict[int, tuple[int, float]]:
    """Of each process its parent, and its own and its buried children's seconds."""
    found: dict[int, tuple[int, float]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "stat").read_text().rpartition(") ")[2].split()
        except OSError:  # it has just ended
            continue
        found[int(folder.name)] = int(words[1]), sum(map(int, words[UTIME : UTIME + 4])) / TICKS
    return found


def of_tree(pid: int) -> float:
    """Seconds of a process and of all that it has started, since they began."""
    stats = _stats()
    total, ours = 0.0, {pid}
    while ours:
        total += sum(stats[p][1] for p in ours if p in stats)
        ours = {p for p, (parent, _) in stats.items() if parent in ours}
    return total


def own(pid: int) -> float:
    """Seconds of one living process, without its children."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return sum(map(int, words[UTIME : UTIME + 2])) / TICKS
