"""Checks our datasets against the real LeRobot: it opens ours, and we open its.

LeRobot pins other library versions than this project, so it lives in its own environment:

    python3 -m venv /somewhere/lerobot && /somewhere/lerobot/bin/pip install lerobot==0.4.4
    LEROBOT_PYTHON=/somewhere/lerobot/bin/python python models/tests/external/lerobot_opens_ours.py

Without LEROBOT_PYTHON nothing is checked, and the script says so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from lam_models.data.lerobot_layout import FileLimits, Schema, camera, scalar, vector
from lam_models.data.lerobot_read import Dataset
from lam_models.data.lerobot_write import DatasetWriter

FPS = 20
LENGTHS = (30, 41, 25)
TASKS = ("pick the red cube", "open the drawer", "pick the red cube")
FRONT, WRIST = "observation.images.front", "observation.images.wrist"
SCHEMA = Schema(
    FPS,
    {
        FRONT: camera(96, 128),
        WRIST: camera(64, 64),
        "observation.state": vector(("x_m", "y_m", "z_m")),
        "action": vector(("dx_m", "dy_m")),
        "reward": scalar("float32"),
        "success": scalar("bool"),
    },
    robot_type="panda",
)

# Runs inside LeRobot's environment: reads `ours`, writes `theirs`, saves what it saw.
LEROBOT_SIDE = """
import json, sys
import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset

ours, theirs, seen_path, codec = sys.argv[1:]
data = LeRobotDataset("lam/ours", root=ours, video_backend="pyav")
front, wrist = "observation.images.front", "observation.images.wrist"
items = [data[i] for i in range(len(data))]
seen = {
    "frames": len(data), "episodes": data.num_episodes, "fps": data.fps,
    "robot_type": data.meta.robot_type, "tasks": [item["task"] for item in items],
    "stats": {
        key: {name: np.asarray(value).tolist() for name, value in of.items()}
        for key, of in data.meta.stats.items()
    },
}
columns = ["observation.state", "action", "reward", "success", "timestamp", "frame_index",
           "episode_index", "index", "task_index"]
arrays = {key: np.stack([item[key].numpy() for item in items]) for key in columns}
for key in (front, wrist):
    pixels = np.stack([item[key].numpy() for item in items])
    arrays[key] = np.round(pixels.transpose(0, 2, 3, 1) * 255).astype(np.uint8)
# Windows over time and a subset of episodes take other paths through LeRobot.
window = LeRobotDataset("lam/ours", root=ours, video_backend="pyav", episodes=[1],
                        delta_timestamps={front: [-0.1, 0.0], "action": [0.0, 0.05, 0.1]})
arrays["window"] = window[10][front].numpy()
arrays["window_action"] = window[10]["action"].numpy()
np.savez(seen_path + ".npz", **arrays)

features = {
    key: {"dtype": f["dtype"], "shape": tuple(f["shape"]), "names": f["names"]}
    for key, f in data.meta.features.items()
    if key in (front, "observation.state", "reward")
}
written = LeRobotDataset.create("lam/theirs", 20, features, root=theirs, robot_type="arm",
                                vcodec=codec)
for item in items:
    image = np.round(item[front].numpy().transpose(1, 2, 0) * 255).astype(np.uint8)
    written.add_frame({front: image, "observation.state": item["observation.state"].numpy(),
                       "reward": item["reward"].numpy().reshape(1), "task": item["task"]})
    if item["index"] + 1 == len(items) or items[item["index"] + 1]["frame_index"] == 0:
        written.save_episode()
written.finalize()
with open(seen_path, "w") as file:
    json.dump(seen, file)
"""


def image(episode: int, frame: int, height: int, width: int) -> np.ndarray:
    """A smooth image whose brightness names its episode and frame."""
    y, x = np.mgrid[:height, :width]
    wave = np.sin(x / 9 + frame / 3 + episode) + np.cos(y / 11 - frame / 5)
    pixels = np.stack([wave, -wave, np.sin(wave)], axis=-1) * 50 + 100 + frame
    return np.clip(pixels, 0, 255).astype(np.uint8)


def write_ours(path: Path, codec: str, limits: FileLimits) -> None:
    rng = np.random.default_rng(0)
    with DatasetWriter(path, SCHEMA, codec, limits) as writer:
        for episode, (length, task) in enumerate(zip(LENGTHS, TASKS, strict=True)):
            for i in range(length):
                writer.add_frame(
                    {
                        FRONT: image(episode, i, 96, 128),
                        WRIST: image(episode, i, 64, 64),
                        "observation.state": rng.normal(size=3),
                        "action": rng.normal(size=2),
                        "reward": float(i),
                        "success": i + 1 == length,
                    }
                )
            writer.save_episode(task)


def compare_ours(ours: Dataset, seen: dict, arrays: dict[str, np.ndarray]) -> None:
    """What LeRobot saw in our dataset equals what we see in it."""
    assert (seen["frames"], seen["episodes"]) == (sum(LENGTHS), len(LENGTHS))
    assert (seen["fps"], seen["robot_type"]) == (FPS, "panda")
    assert seen["tasks"] == [t for t, n in zip(TASKS, LENGTHS, strict=True) for _ in range(n)]
    columns = [key for key in arrays if not key.startswith(("window", "observation.images"))]
    for key in columns:
        np.testing.assert_array_equal(arrays[key].reshape(ours.frame_count, -1), ours.column(key))
    for key in (FRONT, WRIST):
        mine = np.concatenate([ours.frames(e, key) for e in range(len(LENGTHS))])
        worst = int(np.abs(mine.astype(int) - arrays[key]).max())
        print(f"  {key}: {len(mine)} frames, largest difference of a pixel value {worst}")
        # Two builds of FFmpeg convert YUV to RGB with different rounding; a wrong frame is far off.
        assert np.abs(mine.astype(int) - arrays[key]).mean() < 0.5
    window = np.round(arrays["window"].transpose(0, 2, 3, 1) * 255)
    expected = np.concatenate([ours.frames(1, FRONT, 8, 9), ours.frames(1, FRONT, 10, 11)])
    assert np.abs(window - expected).mean() < 0.5
    np.testing.assert_array_equal(arrays["window_action"], ours.episode_column(1, "action")[10:13])
    for key, of in ours.statistics.items():
        for name, value in of.items():
            np.testing.assert_array_equal(value, np.asarray(seen["stats"][key][name]))


def compare_theirs(theirs: Dataset, ours: Dataset) -> None:
    """A dataset written by LeRobot, opened by us, holds what was put in."""
    assert theirs.schema.robot_type == "arm"
    assert [e.length for e in theirs.episodes] == list(LENGTHS)
    assert [e.tasks[0] for e in theirs.episodes] == list(TASKS)
    for key in ("observation.state", "reward", "timestamp", "index"):
        np.testing.assert_array_equal(theirs.column(key), ours.column(key))
    for episode in range(len(LENGTHS)):
        difference = np.abs(
            theirs.frames(episode, FRONT).astype(int) - ours.frames(episode, FRONT)
        ).mean()
        print(f"  written by LeRobot, episode {episode}: mean difference {difference:.2f}")
        # Encoded once more, and lossily: consecutive frames differ by more than this.
        assert difference < 4.0
        whole = theirs.frames(episode, FRONT)
        for start in (20, 3, 11):
            window = theirs.frames(episode, FRONT, start, start + 3)
            np.testing.assert_array_equal(window, whole[start : start + 3])
    # Not "std": LeRobot 0.4.4 squares uint8 pixels, which overflows, and writes too small a one.
    for name in ("min", "max", "mean", "q01", "q50", "q99"):
        np.testing.assert_allclose(
            theirs.statistics[FRONT][name], ours.statistics[FRONT][name], atol=0.05
        )
    for name in ("min", "max", "mean", "std"):
        mine, its = (d.statistics["observation.state"][name] for d in (ours, theirs))
        np.testing.assert_allclose(mine, its, atol=1e-5)


def check(python: str, codec: str, their_codec: str, limits: FileLimits) -> None:
    print(f"ours in {codec}, LeRobot's in {their_codec}")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_ours(root / "ours", codec, limits)
        script = root / "lerobot_side.py"
        script.write_text(LEROBOT_SIDE)
        arguments = [root / "ours", root / "theirs", root / "seen.json", their_codec]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(root / "cache")}
        command = [python, str(script), *map(str, arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"LeRobot failed:\n{done.stderr[-3000:]}")
        seen = json.loads((root / "seen.json").read_text())
        arrays = dict(np.load(root / "seen.json.npz"))
        ours = Dataset.open(root / "ours")
        compare_ours(ours, seen, arrays)
        compare_theirs(Dataset.open(root / "theirs"), ours)


def main() -> int:
    python = os.environ.get("LEROBOT_PYTHON")
    if not python:
        print("skipped: LEROBOT_PYTHON does not name the python of an environment with lerobot")
        return 0
    check(python, "h264", "libsvtav1", FileLimits())
    # No room at all: every episode has its own files, two files a chunk.
    check(python, "av1", "h264", FileLimits(data_mb=0, video_mb=0, files_per_chunk=2))
    print("LeRobot opens our datasets and we open its: all equal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
