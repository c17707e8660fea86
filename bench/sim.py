"""How fast the simulated robot is: physics, pictures, demonstrations, and the node in real time.

Everything is measured on one core: the measured process is pinned to core 0, a listening process
to another. Demonstrations are whole `lam data generate` runs with two cameras, encoding included.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib

from report import Benchmark, Goal, Row, main

matplotlib.use("Agg")
os.environ.setdefault("MUJOCO_GL", "egl")
os.environ.setdefault("LP_NUM_THREADS", "1")

SIZES = {"64x64": (64, 64), "128x128": (128, 128), "224x224": (224, 224), "640x480": (480, 640)}
SEED = 0
DOMAIN = "94"


def pin(core: int) -> None:
    os.sched_setaffinity(0, {core % (os.cpu_count() or 1)})


def physics(effector: str, seconds: float) -> Row:
    """Simulated steps of 2 ms a second while the expert works, IK and task logic included."""
    from lam_sim.table.world import TableWorld, WorldSettings

    world = TableWorld(WorldSettings(task="pick_place", end_effector=effector), SEED)
    steps_a_period = round(1.0 / world.control_hz / 0.002)
    steps, resets, reset_s = 0, 0, 0.0
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        before = time.perf_counter()
        world.reset(SEED + resets)
        reset_s += time.perf_counter() - before
        resets += 1
        expert = world.expert()
        while not world.succeeded() and world.truth().time_s < 10.0:
            world.step(expert.act(world.truth()))
            steps += steps_a_period
    spent = time.perf_counter() - started
    return {
        "what": "physics with expert and IK",
        "case": effector,
        "figure": steps / (spent - reset_s),
        "unit": "steps/s",
        "note": f"reset {1e3 * reset_s / resets:.0f} ms",
    }


def pictures(effector: str, size: str, seconds: float) -> Row:
    """Frames a second of front and wrist in turn, the arm moving in between."""
    from lam_sim.table.world import TableWorld, WorldSettings

    world = TableWorld(WorldSettings(task="pick_place", end_effector=effector), SEED)
    expert, frames, drawing_s = world.expert(), 0, 0.0
    for camera in world.cameras:
        world.render(camera, *SIZES[size])
    while drawing_s < seconds:
        world.step(expert.act(world.truth()))
        before = time.perf_counter()
        for camera in world.cameras:
            world.render(camera, *SIZES[size])
            frames += 1
        drawing_s += time.perf_counter() - before
    return {
        "what": "pictures",
        "case": f"{effector} {size}",
        "figure": frames / drawing_s,
        "unit": "frames/s",
    }


def demonstrations(task: str, effector: str, episodes: int) -> Row:
    """Episodes a minute of a whole `lam data generate` on one core, less its start-up."""
    folder = Path(tempfile.mkdtemp(prefix="lam_bench_"))
    times = []
    try:
        for count in (2, episodes):
            command = ["lam", "data", "generate", "--task", task, "--hand", effector]
            command += ["--episodes", str(count), "--size", "128", "--workers", "1"]
            command += ["--out", str(folder / str(count)), "--seed", str(SEED)]
            before = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            times.append(time.perf_counter() - before)
    finally:
        shutil.rmtree(folder)
    return {
        "what": "demonstrations, 2 cameras 128x128",
        "case": f"{effector} {task}",
        "figure": 60.0 * (episodes - 2) / (times[1] - times[0]),
        "unit": "episodes/min",
        "note": f"start-up {times[0]:.1f} s",
    }


def node(form: str, seconds: float) -> Row:
    """Simulated seconds a wall second of sim_node when not paced, two VGA cameras at 30 Hz."""
    settings = {"raw": ("front,wrist", ""), "jpeg": ("", "front,wrist")}[form]
    command = [sys.executable, __file__, "--sim-node"]
    command += ["-p", "publish_clock:=true", "-p", "real_time_factor:=0.0"]
    for name, cameras in zip(("raw_cameras", "jpeg_cameras"), settings, strict=True):
        names = ",".join(f"'{camera}'" for camera in cameras.split(",") if camera)
        command += ["-p", f"{name}:=[{names}]"]
    env = dict(os.environ, ROS_DOMAIN_ID=DOMAIN)
    profile = str(Path(__file__).resolve().parent.parent / "launch" / "config" / "fastdds.xml")
    env |= {"FASTDDS_DEFAULT_PROFILES_FILE": profile, "FASTRTPS_DEFAULT_PROFILES_FILE": profile}
    server = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL)
    listener = [sys.executable, __file__, "--listen", form, str(seconds)]
    try:
        heard = subprocess.run(listener, env=env, capture_output=True, text=True, check=True)
    finally:
        server.terminate()
        server.wait(20)
    factor, frames_hz = map(float, heard.stdout.split())
    return {
        "what": "sim_node, two VGA cameras at 30 Hz",
        "case": form,
        "figure": factor,
        "unit": "real-time factor",
        "note": f"{frames_hz:.1f} frames a simulated second received",
    }


def sim_node() -> None:
    """Child process: sim_node pinned to core 0."""
    pin(0)
    sys.argv = ["sim_node", "--ros-args", *sys.argv[2:]]
    from lam_sim.sim_node import main as run_node

    run_node()


def listen(form: str, seconds: float) -> None:
    """Child process: print simulated seconds a wall second, and frames a simulated second."""
    pin(1)
    import rclpy
    from rclpy.qos import qos_profile_sensor_data
    from rosgraph_msgs.msg import Clock
    from sensor_msgs.msg import CompressedImage, Image

    rclpy.init()
    listener = rclpy.create_node("bench_listener")
    frames = 0
    clock: list[tuple[float, float, int]] = []

    def on_image(message: Image | CompressedImage) -> None:
        nonlocal frames
        frames += 1

    def on_clock(message: Clock) -> None:
        sim_s = message.clock.sec + 1e-9 * message.clock.nanosec
        clock.append((time.perf_counter(), sim_s, frames))

    for camera in ("front", "wrist"):
        topic = f"{camera}/image_raw" + ("/compressed" if form == "jpeg" else "")
        kind = CompressedImage if form == "jpeg" else Image
        listener.create_subscription(kind, topic, on_image, qos_profile_sensor_data)
    listener.create_subscription(Clock, "/clock", on_clock, 10)
    until = time.perf_counter() + 60.0
    while time.perf_counter() < until and (not clock or frames < 20):
        rclpy.spin_once(listener, timeout_sec=0.2)
    clock.clear()
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        rclpy.spin_once(listener, timeout_sec=0.2)
    (wall0, sim0, frames0), (wall1, sim1, frames1) = clock[0], clock[-1]
    print((sim1 - sim0) / (wall1 - wall0), (frames1 - frames0) / (sim1 - sim0))


def measure(quick: bool) -> list[Row]:
    from lam_sim.table.effectors import EFFECTORS
    from lam_sim.tasks import TASKS

    everywhere = os.sched_getaffinity(0)
    pin(0)
    effectors = ["parallel_gripper", "four_finger"] if quick else list(EFFECTORS)
    sizes = ["128x128"] if quick else list(SIZES)
    seconds = 1.0 if quick else 4.0
    rows = [physics(effector, seconds) for effector in effectors]
    rows += [pictures(effector, size, seconds / 2) for effector in effectors for size in sizes]
    tasks = ["pick_place"] if quick else list(TASKS)
    episodes = 12 if quick else 60
    for effector in effectors:
        rows += [demonstrations(task, effector, episodes) for task in tasks]
    os.sched_setaffinity(0, everywhere)
    rows += [node(form, 4.0 if quick else 15.0) for form in ("raw", "jpeg")]
    return rows


def draw(rows: list[Row], path: Path) -> None:
    import matplotlib.pyplot as plt

    kinds = list(dict.fromkeys(str(row["what"]) for row in rows))
    heights = [sum(row["what"] == kind for row in rows) for kind in kinds]
    figure, axes = plt.subplots(
        len(kinds), 1, figsize=(8, 0.3 * sum(heights) + 1.1 * len(kinds)), height_ratios=heights
    )
    for axis, kind in zip(axes, kinds, strict=True):
        of_kind = [row for row in rows if row["what"] == kind][::-1]
        bars = axis.barh(
            [str(row["case"]) for row in of_kind],
            [row["figure"] for row in of_kind],
            color="#2a7f62",
        )
        axis.bar_label(bars, fmt="{:,.4g}", padding=3, fontsize=8)
        axis.set_title(f"{kind} [{of_kind[0]['unit']}], one core", loc="left", fontsize=9)
        axis.tick_params(labelsize=8)
        axis.margins(x=0.12)
    figure.tight_layout()
    figure.savefig(path, dpi=130)


def slowest_task(effector: str):
    """Episodes a minute of the task that takes longest."""
    return lambda rows: min(
        float(row["figure"])
        for row in rows
        if row["unit"] == "episodes/min" and str(row["case"]).startswith(effector)
    )


def slowest_node(rows: list[Row]) -> float:
    return min(float(row["figure"]) for row in rows if row["unit"] == "real-time factor")


GOALS = (
    Goal("gripper, slowest task, episodes/min", slowest_task("parallel_gripper"), at_least=200.0),
    Goal("four_finger, slowest task, episodes/min", slowest_task("four_finger"), at_least=140.0),
    Goal("five_finger, slowest task, episodes/min", slowest_task("five_finger"), at_least=140.0),
    Goal("sim_node real-time factor on one core", slowest_node, at_least=1.0),
)

if __name__ == "__main__":
    if sys.argv[1:2] == ["--sim-node"]:
        sim_node()
    elif sys.argv[1:2] == ["--listen"]:
        listen(sys.argv[2], float(sys.argv[3]))
    else:
        summary = "The simulated robot on one core"
        main(Benchmark("sim", summary, measure, draw, GOALS, seeds=(SEED,)))
