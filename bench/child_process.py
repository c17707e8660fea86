"""A benchmark's other processes: none outlives the block that uses it.

report.main makes SIGTERM an exception as Ctrl-C is one, so that every way out of a block is this.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any


class Child(subprocess.Popen[str]):
    """A process of this Python; `with` kills it, however the block is left."""

    def __init__(self, *words: str, **options: Any) -> None:
        super().__init__([sys.executable, *words], text=True, **options)

    def __exit__(self, *error: Any) -> None:
        self.kill()
        super().__exit__(*error)
