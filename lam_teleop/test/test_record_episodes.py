"""Episodes on the disk: what was heard is there, what is lost is counted, what dies is mended."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import record_bench as bench
from hypothesis import given, settings
from hypothesis import strategies as st
from record_bench import BEGIN_NS, CAMERA, DELTA, JOINTS, NS_PER_S, WORDS, feed, recorder
from rosbags.rosbag2 import Reader

from lam_models.command import UserError
from lam_models.data.bags.recording import Recording
from lam_teleop.bags import info_command, layout, recovery
from lam_teleop.bags.counting import Rhythm
from lam_teleop.bags.recorder import Recorder
from lam_teleop.bags.repair import find_episodes, repair
from lam_teleop.bags.sidecar import PARTIAL, read_episode
from lam_teleop.bags.watching import Limits


def record(root: Path, seconds: float = 1.0, **more):
    """One finished episode; its folder and what was heard."""
    made = recorder(root)
    made.start(BEGIN_NS, "pick")
    heard = feed(made, BEGIN_NS, seconds, **more)
    closed = made.stop(BEGIN_NS + round(seconds * NS_PER_S), "success")
    assert closed.folder is not None
    return closed.folder, heard


def stop(made: Recorder, now_ns: int) -> Path:
    """End the running episode; its folder."""
    folder = made.stop(now_ns).folder
    assert folder is not None
    return folder


def test_rosbags_and_the_converter_read_every_message_in_its_order(tmp_path):
    folder, heard = record(tmp_path)
    types = bench.store()
    seen = {name: [] for name in heard}
    with Reader(folder) as reader:
        for connection, arrived_ns, raw in reader.messages():
            message = types.deserialize_cdr(raw, connection.msgtype)
            number = getattr(message, "sequence", None)
            number = int(message.header.frame_id) if number is None else number
            seen[connection.topic].append((number, arrived_ns))
    for name, found in seen.items():
        assert [n for n, _ in found] == list(range(heard[name]))
        assert [t for _, t in found] == [
            BEGIN_NS + n * bench.PERIODS_NS[name] + 2_000_000 for n in range(heard[name])
        ]
    recording = Recording(folder)
    assert recording.about.instruction == "pick" and recording.about.roles[CAMERA] == "camera"
    assert sum(1 for _ in recording.messages(list(heard))) == sum(heard.values())


def test_what_did_not_come_is_lost_and_what_came_is_not(tmp_path):
    dropped = {CAMERA: {20, 21, 22}, DELTA: {7, 9}, JOINTS: {60}}
    folder, heard = record(tmp_path, 1.5, skip=lambda name, n: n in dropped[name])
    for name, facts in read_episode(folder).topics.items():
        missing = len(dropped.get(name, ()))
        assert facts["lost"] == missing and facts["written"] == heard.get(name, 0)


def test_what_was_never_sent_is_told_from_what_was_lost(tmp_path):
    made = recorder(tmp_path)
    made.start(BEGIN_NS)
    number = 0
    for tick in range(120):
        stamp_ns = BEGIN_NS + tick * bench.PERIODS_NS[JOINTS]
        stalls, drops = tick in (50, 51, 52), tick in (80, 81)
        number += not stalls
        if not (stalls or drops):
            made.hear(JOINTS, stamp_ns, bench.joints(stamp_ns, tick), number)
    facts = read_episode(stop(made, BEGIN_NS + 2 * NS_PER_S)).topics[JOINTS]
    assert (facts["unsent"], facts["lost"], facts["written"]) == (3, 2, 115)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(-3_000_000, 3_000_000), min_size=20, max_size=60))
def test_trembling_stamps_are_no_losses(tremble):
    rhythm = Rhythm()
    stamps = [10**12 + 33_333_333 * i + t for i, t in enumerate(tremble)]
    assert all(rhythm.hear(stamp) == 0 for stamp in stamps)


def test_a_late_message_is_not_lost():
    rhythm = Rhythm()
    stamps = [10**12 + 10_000_000 * i for i in range(30)]
    stamps[20] += 9_000_000
    assert sum(rhythm.hear(stamp) for stamp in stamps) == 0


@settings(deadline=None, max_examples=50)
@given(st.text("abc_", max_size=20), st.integers(0, 2**32 - 1), st.integers(0, 3))
def test_a_command_says_its_source_and_number(frame, number, source):
    message = bench.delta(BEGIN_NS, number, source)
    assert layout.delta_sequence(message) == (source, number)
    assert layout.header_ns(message) == BEGIN_NS


def test_what_came_before_the_start_is_there_as_far_as_wanted(tmp_path):
    made = recorder(tmp_path, Limits(pre_roll_s=0.5, min_free_bytes=0))
    made.hear(WORDS, BEGIN_NS - 100 * NS_PER_S, bench.words("go"))
    feed(made, BEGIN_NS - NS_PER_S, 1.0)
    made.start(BEGIN_NS)
    made.hear(JOINTS, BEGIN_NS, bench.joints(BEGIN_NS, 100))
    recording = Recording(stop(made, BEGIN_NS + 1))
    first_ns, last_ns = recording.span_ns
    assert BEGIN_NS - NS_PER_S // 2 <= first_ns < BEGIN_NS - NS_PER_S // 3
    assert last_ns == BEGIN_NS and WORDS in recording.types


def test_a_recorder_that_cannot_follow_counts_what_it_drops(tmp_path):
    made = recorder(tmp_path, Limits(0.0, min_free_bytes=0, most_queued_bytes=40_000))
    made.start(BEGIN_NS)
    heard = feed(made, BEGIN_NS, 1.0)
    facts = read_episode(stop(made, BEGIN_NS + NS_PER_S)).topics
    assert sum(one["lost"] for one in facts.values()) > 0
    for name, count in heard.items():
        assert facts[name]["received"] == count == facts[name]["written"] + facts[name]["lost"]


def test_recording_stops_before_the_disk_is_full_and_none_begins_then(tmp_path):
    room = [10**9]
    limits = Limits(0.0, min_free_bytes=10**8)
    made = recorder(tmp_path, limits, free=lambda folder: room[0])
    made.start(BEGIN_NS)
    feed(made, BEGIN_NS, 0.3)
    room[0] = 10**7
    report = made.watch(BEGIN_NS + NS_PER_S)
    assert report.level == 2 and "disk is nearly full" in report.text
    assert report.stopped and report.stopped.folder and made.episode is None
    assert "disk" in read_episode(report.stopped.folder).note
    with pytest.raises(UserError, match="nearly full"):
        made.start(BEGIN_NS + 2 * NS_PER_S)


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_on_a_full_disk_it_says_so_and_keeps_what_it_has(small_disk):
    finished, _ = record(small_disk, 0.5)
    before = {path.name: path.read_bytes() for path in finished.iterdir()}
    made = recorder(small_disk)
    made.start(BEGIN_NS)
    for second in range(4):
        feed(made, BEGIN_NS + second * NS_PER_S, 1.0)
    end = time.monotonic() + 10
    while not (report := made.watch(BEGIN_NS + 5 * NS_PER_S)).stopped:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert report.level == 2 and "no space left" in report.text and made.episode is None
    assert {path.name: path.read_bytes() for path in finished.iterdir()} == before
    (other,) = [folder for folder in find_episodes(small_disk) if folder != finished]
    if other.name.endswith(PARTIAL):
        for path in finished.iterdir():
            path.unlink()
        other = repair(other).folder
    assert sum(1 for _ in Recording(other).messages([JOINTS])) > 0


CHILD = """
import sys, time
from pathlib import Path
import record_bench as bench
made = bench.recorder(Path(sys.argv[1]))
begin = time.time_ns()
made.start(begin, "first"); bench.feed(made, begin, 0.3); made.stop(begin + 300_000_000, "success")
made.start(time.time_ns(), "second")
number = 0
while True:
    now = time.time_ns()
    made.hear(bench.CAMERA, now, bench.picture(now, number))
    for _ in range(3):
        made.hear(bench.JOINTS, now, bench.joints(now, number))
    made.watch(now)
    if number == 0:
        print("running", flush=True)
    number += 1
    time.sleep(0.02)
"""


def start_recorder(root: Path) -> subprocess.Popen:
    """A process that has finished one episode and records another."""
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    command = [sys.executable, "-c", CHILD, str(root)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)


def kill_and_repair(child: subprocess.Popen, root: Path, after_s: float) -> tuple[float, list[int]]:
    """Kill it so long after its second episode's start; seconds lost, numbers of pictures kept."""
    assert child.stdout is not None and child.stdout.readline() == "running\n"
    time.sleep(after_s)
    died_ns = time.time_ns()
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    for folder in find_episodes(root):
        repair(folder)
    first, second = (Recording(folder) for folder in find_episodes(root))
    assert first.about.outcome == "success" and second.about.instruction == "second"
    with Reader(second.path) as reader:
        assert reader.message_count == sum(one.msgcount for one in reader.topics.values())
    raws = list(second.messages([CAMERA]))
    numbers = [int(raw.message.header.frame_id) for raw in raws]
    return (died_ns - raws[-1].arrived_ns) / NS_PER_S, numbers


def test_a_killed_recorder_loses_at_most_its_last_second(tmp_path):
    draw = random.Random(5)
    roots = [tmp_path / str(trial) for trial in range(3)]
    children = [(start_recorder(root), root) for root in roots]
    for child, root in children:
        lost_s, numbers = kill_and_repair(child, root, draw.uniform(1.0, 2.0))
        assert numbers == list(range(len(numbers)))
        assert lost_s <= 1.0


@pytest.mark.parametrize("share", [0.05, 0.3, 0.77, 0.999])
def test_wherever_a_file_is_cut_what_is_whole_is_kept(tmp_path, share):
    folder, heard = record(tmp_path, 2.0)
    (file,) = folder.glob("*.mcap")
    whole = recovery.scan(file)
    partial = folder.rename(folder.with_name(folder.name + PARTIAL))
    (file,) = partial.glob("*.mcap")
    data = file.read_bytes()
    at = round(share * len(data))
    file.write_bytes(data[:at])
    fitting = [
        chunk
        for chunk in whole.contents.chunks
        if chunk.chunk_start_offset + chunk.chunk_length <= at
    ]
    if not fitting:
        with pytest.raises(UserError, match="no whole message"):
            repair(partial)
        return
    done = repair(partial)
    kept = sum(1 for _ in Recording(done.folder).messages(list(heard)))
    found = recovery.scan(next(done.folder.glob("*.mcap")))
    assert found.is_finished and len(found.contents.chunks) == len(fitting)
    with Reader(done.folder) as reader:
        assert kept == reader.message_count == sum(1 for _ in reader.messages())
    facts = read_episode(done.folder).topics
    assert sum(f["written"] for f in facts.values()) == kept
    assert all(f["lost"] == f["expected"] - f["written"] for f in facts.values())


def test_a_finished_episode_is_not_touched(tmp_path):
    folder, _ = record(tmp_path)
    before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()}
    assert repair(folder).was_finished
    assert {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()} == before


def test_spoilt_bytes_end_what_is_kept(tmp_path):
    folder, _ = record(tmp_path, 2.0)
    (file,) = folder.glob("*.mcap")
    chunks = recovery.scan(file).contents.chunks
    data = bytearray(file.read_bytes())
    data[chunks[1].chunk_start_offset + 200] ^= 0xFF
    file.write_bytes(data)
    found = recovery.scan(file)
    assert len(found.contents.chunks) == 1 and not found.is_finished


def test_info_names_topics_and_losses(tmp_path, capsys):
    folder, heard = record(tmp_path)
    assert info_command.run(argparse.Namespace(folder=folder)) == 0
    page = capsys.readouterr().out
    assert all(name in page for name in heard) and "success" in page and "pick" in page
