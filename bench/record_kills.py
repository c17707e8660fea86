"""record_node killed (SIGKILL) at random instants of an episode, under a robot's load.

The streams are record.py's. Of the two episodes of each run the finished one must be as it was,
byte for byte; the other must be repaired and end at most a second before the kill.
"""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

import matplotlib
import numpy as np
from record_processes import Caller, Recorder, Robot

from lam_models.command import UserError
from lam_models.data.bags.recording import Recording
from lam_teleop.bags.repair import find_episodes, is_finished, repair
from report import Benchmark, Goal, Row, main

matplotlib.use("Agg")

KILLS, QUICK_KILLS, SEED = 20, 2, 0
EARLIEST_S, LATEST_S = 0.8, 3.0


def kill(robot: Robot, after_s: float) -> Row:
    """Seconds lost of an episode by a kill; whether the finished one before is as it was."""
    with (
        tempfile.TemporaryDirectory() as name,
        Caller() as caller,
        Recorder(Path(name), caller) as recorder,
    ):
        recorder.ready()
        robot.begin(after_s + 3.0)
        recorder.begin()
        time.sleep(0.5)
        recorder.stop()
        (finished,) = find_episodes(recorder.recordings)
        before = {path.name: path.read_bytes() for path in finished.iterdir()}
        recorder.begin()
        began_ns = time.time_ns()
        time.sleep(after_s)
        died_ns = time.time_ns()
        recorder.kill()
        recorder.wait()
        robot.sent()
        lost_s = seconds_lost(recorder.recordings, began_ns, died_ns)
        intact = {path.name: path.read_bytes() for path in finished.iterdir()} == before
        intact &= is_finished(finished)
        return {"after_s": after_s, "lost_s": lost_s, "spoilt": int(not intact)}


def seconds_lost(recordings: Path, began_ns: int, died_ns: int) -> float:
    """Of the interrupted episode, the last, after its repair; all of it where that is refused."""
    *_, interrupted = find_episodes(recordings)
    try:
        last_ns = Recording(repair(interrupted).folder).span_ns[1]
    except UserError as error:
        print(error, flush=True)
        last_ns = began_ns
    return (died_ns - last_ns) / 1e9


def measure(quick: bool) -> list[Row]:
    draw, rows = random.Random(SEED), []
    with Robot() as robot:
        robot.ready()
        for number in range(QUICK_KILLS if quick else KILLS):
            rows.append({"kill": number + 1, **kill(robot, draw.uniform(EARLIEST_S, LATEST_S))})
            print(" ".join(f"{key}={value}" for key, value in rows[-1].items()), flush=True)
    return rows


def draw(rows: list[Row], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(5, 2.8), layout="constrained")
    lost = np.sort([float(row["lost_s"]) for row in rows])
    axis.plot(1e3 * lost, np.arange(1, len(lost) + 1), "o-", color="#2a7f62")
    axis.set(xlabel="lost of the interrupted episode [ms]", ylabel="kills", xlim=(0, None))
    figure.savefig(path, dpi=120)


def worst(figure: str):
    return lambda rows: max(float(row[figure]) for row in rows)


BENCHMARK = Benchmark(
    name="record_kills",
    summary="record_node killed in the midst of an episode",
    measure=measure,
    draw=draw,
    goals=(
        Goal("most seconds lost by a kill", worst("lost_s"), at_most=1.0),
        Goal("finished episodes spoilt by a kill", worst("spoilt"), at_most=0),
    ),
    seeds=(SEED,),
)

if __name__ == "__main__":
    main(BENCHMARK)
