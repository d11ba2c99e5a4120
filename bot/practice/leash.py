"""Runs Python so that it ends when its parent does, however that ended: ``python -m bot.practice.leash PARENT ARG...``.

The kernel's leash outlives exec, so what is run needs to know nothing of it.
"""

from __future__ import annotations

import os
import sys

from bot.outside.forkserver import die_with_parent

if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    os.execv(sys.executable, [sys.executable, *sys.argv[2:]])  # noqa: S606 (our own interpreter)
