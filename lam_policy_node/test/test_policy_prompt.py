"""Pictures that come and go take no new memory."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import array, resource, sys
from lam_policy_node.memory import keep_memory
if sys.argv[1] == "kept":
    keep_memory()
picture = bytes(640 * 480 * 3)
for count in range(60):
    if count == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    came, copied = array.array("B", picture), bytearray(picture)
    del came, copied
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 50)
"""


def faults(how: str) -> float:
    """Pages that are taken anew for each of 50 pictures."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def test_memory_is_kept_from_picture_to_picture():
    kept = faults("kept")
    assert kept < 5.0 and kept < faults("given back")
