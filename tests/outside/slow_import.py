"""A library that takes as long to import as the test wants: until somebody writes into the FIFO."""

from __future__ import annotations

import os
from pathlib import Path

Path(os.environ["SLOW_IMPORT"]).read_text()
