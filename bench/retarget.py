"""Retargeting: how fast and how near, beside dex-retargeting's vector optimiser and mink.

Streams: people's smooth motions at 60 Hz on the hands with five fingers, one thread, frame by
frame, the methods in turn on the same machine. All three of `vector`, dex-retargeting and mink are
given the same five vectors from the palm to the tips (the human's, times one number for each
hand); `keyvector` solves its own nine with pinches. Each frame's time is the least of three runs,
so that other work on the machine does not count. mm is the distance of a tip from its target.
mink is left without the couplings between joints, which makes its task easier.

Batches: natural poses of eight people on every hand that has fingers: what is left of the key
vectors, pinches (human gap under 20 mm) that close to less than 10 and 20 mm where the hand can
close them at all, false closures (over 30 mm to less than 20 mm), share converged, poses a second.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from retarget_venv import python

from lam_models.hands import poses
from lam_models.hands.correspondence import by_size
from lam_models.hands.human import FINGERS, TIPS, HumanHand, draw_subjects, mean_hand
from lam_models.hands.kinematics import Kinematics, open_kinematics, palm_pose
from lam_models.hands.retarget import Retargeter, is_gripper
from lam_models.hands.spec import HandSpec
from lam_models.hands.spec_file import read_hand, shipped_hands
from lam_models.hands.touch import nearest_touches
from lam_models.hands.urdf import tip_link, write_urdf
from report import Benchmark, Goal, Row, figure_of, main

FIVE_FINGERS = ("shadow", "five_finger", "ability", "inspire_rh56")
OTHERS = ("dex-retargeting", "mink")
SEED, PEOPLE, RATE_HZ, ROUNDS = 100, 8, 60.0, 3
PINCHED_M, APART_M, CLOSED_M = 0.02, 0.03, 0.01


def calibrated(hand: HumanHand, angles: np.ndarray) -> np.ndarray:
    return hand.points(angles) * (mean_hand().length_m / hand.length_m)


def motion(keys: int) -> np.ndarray:
    """Points of people who move from pose to pose, one person after another."""
    people = draw_subjects(PEOPLE, SEED)
    parts = [
        calibrated(who, poses.trajectory(poses.sample(who, keys, SEED).angles, RATE_HZ, 0.6))
        for who in people
    ]
    return np.concatenate(parts)


def measure(quick: bool) -> list[Row]:
    points = motion(2 if quick else 8)
    rows: list[Row] = []
    for name in FIVE_FINGERS[: 1 if quick else None]:
        rows += streams(read_hand(name), points)
    for name in shipped_hands():
        spec = read_hand(name)
        if not is_gripper(spec):
            rows.append(batch(spec, 32 if quick else 256))
    return rows


def streams(spec: HandSpec, points: np.ndarray) -> list[Row]:
    kinematics = open_kinematics(spec)
    human = points[:, TIPS[[FINGERS.index(tip) for tip in spec.tips]]]
    targets = by_size(kinematics).places(human)
    times: dict[str, np.ndarray] = {}
    tips: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _write_task(folder, spec, targets)
        for _ in range(ROUNDS):
            for objective in ("vector", "keyvector"):
                ms, q = _follow(Retargeter(spec, objective, kinematics), points)
                tips[objective] = kinematics.tips(q)
                times[objective] = np.minimum(ms, times.get(objective, ms))
            for method in OTHERS:
                ms, tips[method] = _others(folder, method, spec)
                times[method] = np.minimum(ms, times.get(method, ms))
    rows = []
    for method, ms in times.items():
        row: Row = {"what": "stream", "hand": spec.hand, "method": method, "frames": len(ms)}
        row |= {"ms": float(np.median(ms)), "ms_mean": float(ms.mean())}
        row["ms_p99"] = float(np.quantile(ms, 0.99))
        if method != "keyvector":
            off = 1e3 * np.linalg.norm(tips[method] - targets, axis=-1)
            row |= {"mm": float(np.median(off)), "mm_p95": float(np.quantile(off, 0.95))}
        rows.append(row)
    return rows


def _write_task(folder: Path, spec: HandSpec, targets: np.ndarray) -> None:
    write_urdf(spec, folder / "hand.urdf")
    T_base_palm = palm_pose(spec)  # The palm of each of these hands is on its base.
    np.savez(
        folder / "task.npz",
        targets=targets @ T_base_palm[:3, :3].T,
        tips=np.array([tip_link(finger) for finger in spec.tips]),
        joints=np.array(spec.actuated),
        palm_at_m=T_base_palm[:3, 3],
    )


def _follow(retargeter: Retargeter, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    retargeter.follow(points[0])
    ms, q = [], []
    for frame in points:
        begin = time.perf_counter()
        found = retargeter.follow(frame)
        ms.append(1e3 * (time.perf_counter() - begin))
        q.append(found.q)
    return np.array(ms), np.stack(q)


def _others(folder: Path, method: str, spec: HandSpec) -> tuple[np.ndarray, np.ndarray]:
    """Times and tips in the palm frame."""
    script = Path(__file__).with_name("retarget_others.py")
    command = [str(python()), str(script), str(folder), method]
    subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    with np.load(folder / f"{method}.npz") as file:
        return file["ms"], file["tips_m"] @ palm_pose(spec)[:3, :3]


def batch(spec: HandSpec, poses_each: int) -> Row:
    people = draw_subjects(PEOPLE, SEED)
    points = np.concatenate(
        [
            calibrated(who, poses.sample(who, poses_each, SEED + index).angles)
            for index, who in enumerate(people)
        ]
    )
    kinematics = open_kinematics(spec)
    retargeter = Retargeter(spec, kinematics=kinematics)
    found, seconds = retargeter.solve(points[:1]), []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        found = retargeter.solve(points)
        seconds.append(time.perf_counter() - begin)
    row: Row = {
        "what": "batch",
        "hand": spec.hand,
        "poses": len(points),
        "poses_per_s": len(points) / min(seconds),
        "mm": 1e3 * float(np.median(found.error_m)),
        "mm_p95": 1e3 * float(np.quantile(found.error_m, 0.95)),
        "converged": float(found.converged.mean()),
    }
    return row | pinches(kinematics, points, found.q)


def pinches(kinematics: Kinematics, points: np.ndarray, q: np.ndarray) -> Row:
    """Over all fingers of the hand; closures over those that it can bring to its thumb."""
    spec, tips = kinematics.spec, kinematics.tips(q)
    able = {touch.finger for touch in nearest_touches(kinematics) if touch.gap_m < CLOSED_M}
    thumb = spec.tips.index("thumb")
    closed, wrong = [], []
    for index, finger in enumerate(spec.tips):
        if finger == "thumb":
            continue
        human_m = np.linalg.norm(
            points[:, TIPS[FINGERS.index(finger)]] - points[:, TIPS[0]], axis=1
        )
        gap_m = np.linalg.norm(tips[:, index] - tips[:, thumb], axis=1)
        wrong.append(gap_m[human_m > APART_M] < PINCHED_M)
        if finger in able:
            closed.append(gap_m[human_m < PINCHED_M])
    all_closed = np.concatenate(closed)
    return {
        "closed10": float(np.mean(all_closed < CLOSED_M)),
        "closed20": float(np.mean(all_closed < PINCHED_M)),
        "false20": float(np.mean(np.concatenate(wrong))),
        "cannot_close": " ".join(f for f in spec.tips if f != "thumb" and f not in able),
    }


def of(rows: list[Row], method: str, hand: str = "shadow") -> float:
    """Median ms of a frame."""
    return figure_of("ms", method=method, hand=hand)(rows)


def shadow_gain(rows: list[Row]) -> float:
    return of(rows, "dex-retargeting") / of(rows, "vector")


def least_gain(rows: list[Row]) -> float:
    """How many times faster than dex-retargeting on the hand where it is least."""
    hands = {str(row["hand"]) for row in rows if row["what"] == "stream"}
    return min(of(rows, "dex-retargeting", hand) / of(rows, "vector", hand) for hand in hands)


def shown(rows: list[Row]) -> list[Row]:
    """The streams; the batches are in the picture."""
    return [
        {k: v for k, v in row.items() if k != "what"} for row in rows if row["what"] == "stream"
    ]


def draw(rows: list[Row], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
    stream = [row for row in rows if row["what"] == "stream"]
    hands = list(dict.fromkeys(str(row["hand"]) for row in stream))
    methods = list(dict.fromkeys(str(row["method"]) for row in stream))
    for index, method in enumerate(methods):
        at = np.arange(len(hands)) + 0.2 * index
        left.bar(at, [of(rows, method, hand) for hand in hands], 0.18, label=method)
    left.set_xticks(np.arange(len(hands)) + 0.3, hands)
    left.axhline(1.0, color="grey", linestyle=":")
    left.set(ylabel="ms a frame, median, one thread", yscale="log", title="Streams")
    left.legend()
    many = [row for row in rows if row["what"] == "batch"]
    for index, key in enumerate(("closed10", "closed20", "converged")):
        at = np.arange(len(many)) + 0.27 * index
        right.bar(at, [float(row[key]) for row in many], 0.25, label=key)
    right.set_xticks(np.arange(len(many)) + 0.27, [row["hand"] for row in many], rotation=20)
    right.set(title="Natural poses of eight people", ylim=(0, 1.02))
    right.legend(loc="lower right")
    figure.savefig(path, dpi=130)


BENCHMARK = Benchmark(
    name="retarget",
    summary="Retargeting: ms a frame, errors, pinches",
    measure=measure,
    draw=draw,
    goals=[
        Goal("ms a frame, shadow, vector", lambda rows: of(rows, "vector"), at_most=1.0),
        Goal("ms a frame, shadow, keyvector", lambda rows: of(rows, "keyvector"), at_most=1.0),
        Goal("times dex-retargeting's speed, shadow", shadow_gain, at_least=3.0),
        Goal("times dex-retargeting's speed, least of the hands", least_gain, at_least=3.0),
    ],
    seeds=(SEED,),
    table=shown,
)

if __name__ == "__main__":
    if os.environ.get("OMP_NUM_THREADS") != "1":
        # Read when NumPy is imported: this process starts anew with it.
        os.execve(
            sys.executable, [sys.executable, *sys.argv], os.environ | {"OMP_NUM_THREADS": "1"}
        )
    main(BENCHMARK)
