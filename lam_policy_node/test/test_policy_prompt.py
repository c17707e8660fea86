"""The node is prompt: pictures take no new memory, and a thread that wakes need not wait."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

MEMORY = """
import array, resource, sys
from lam_policy_node.prompt import keep_memory
if sys.argv[1] == "kept":
    keep_memory()
picture = bytes(640 * 480 * 3)
for count in range(60):
    if count == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    came = [array.array("B", picture) for camera in range(3)]
    copied = [bytearray(one) for one in came]
    del came, copied
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 50)
"""


def faults(how: str) -> float:
    """Pages that are taken anew for each of 50 times three pictures."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, how], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def test_memory_is_kept_from_picture_to_picture():
    kept = faults("kept")
    assert kept < 5.0 and kept < faults("given back")


# What sched_getattr (a number of its own on each machine) says of a thread that was made after.
TURNS = """
import ctypes, os, platform, struct, sys, threading
from lam_policy_node.prompt import give_way, take_short_turns
realtime = sys.argv[1] == "realtime"
os.sched_setscheduler(0, os.SCHED_FIFO if realtime else os.SCHED_OTHER, os.sched_param(realtime))
os.nice(3)
if sys.argv[1] != "takes them":
    give_way()
take_short_turns()

def say():
    said = ctypes.create_string_buffer(48)
    number = {"x86_64": 315, "aarch64": 275}[platform.machine()]
    assert ctypes.CDLL(None).syscall(number, 0, said, 48, 0) == 0
    _, policy, _, nice, _, turn_ns, _, _ = struct.unpack("=IIQiIQQQ", said.raw)
    print(policy, nice, turn_ns)

thread = threading.Thread(target=say)
thread.start()
thread.join()
"""


def turns(how: str) -> tuple[int, int, int]:
    """Scheduling policy, niceness and length of a turn [ns] of a thread."""
    done = subprocess.run([sys.executable, "-c", TURNS, how], capture_output=True, text=True)
    if "PermissionError" in done.stderr:
        pytest.skip("who tests may not make threads realtime")
    policy, nice, turn_ns = map(int, done.stdout.split())
    return policy, nice, turn_ns


RELEASE = tuple(int(part) for part in platform.release().split(".")[:2] if part.isdigit())


@pytest.mark.skipif(RELEASE < (6, 12), reason="Linux knows wishes for turns since 6.12")
def test_threads_have_short_turns_and_are_as_nice_as_before():
    assert turns("takes them") == (os.SCHED_OTHER, 3, 100_000)


def test_who_gives_way_goes_on_giving_way():
    assert turns("gives way")[:2] == (os.SCHED_BATCH, 3)


def test_realtime_threads_are_left_as_they_are():
    assert turns("realtime")[0] == os.SCHED_FIFO
