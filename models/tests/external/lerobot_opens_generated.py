"""Opens a dataset on disk, such as one of `lam data generate`, in the real LeRobot, frame by frame.

    LEROBOT_PYTHON=/somewhere/lerobot/bin/python \
        python models/tests/external/lerobot_opens_generated.py out/pick_place

The environment is that of lerobot_opens_ours.py. Without LEROBOT_PYTHON nothing is checked, and the
script says so.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from lam_models.data.lerobot_read import Dataset

LEROBOT_SIDE = """
import sys
import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset

data = LeRobotDataset("lam/given", root=sys.argv[1], video_backend="pyav")
items = [data[i] for i in range(len(data))]
arrays = {"task": np.array([item["task"] for item in items])}
for key in data.meta.features:
    values = np.stack([np.asarray(item[key]) for item in items])
    if key in data.meta.camera_keys:
        values = np.round(values.transpose(0, 2, 3, 1) * 255).astype(np.uint8)
    arrays[key] = values
np.savez(sys.argv[2], **arrays)
"""


def seen_by_lerobot(python: str, path: Path) -> dict[str, np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "seen.npz"
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": folder}
        command = [python, "-c", LEROBOT_SIDE, str(path), str(out)]
        subprocess.run(command, env=environment, check=True)
        return dict(np.load(out))


def compare(ours: Dataset, seen: dict[str, np.ndarray]) -> None:
    tasks = [episode.tasks[0] for episode in ours.episodes for _ in range(episode.length)]
    assert seen["task"].tolist() == tasks
    for key in ours.schema.columns:
        mine = ours.column(key)
        np.testing.assert_array_equal(seen[key].reshape(mine.shape), mine)
        print(f"  {key}: {len(mine)} rows, equal")
    for key in ours.cameras:
        mine = np.concatenate([ours.frames(e.index, key) for e in ours.episodes]).astype(int)
        difference = np.abs(mine - seen[key])
        print(f"  {key}: {len(mine)} frames, largest difference {difference.max()}")
        # Two builds of FFmpeg may round differently; a wrong frame is far off.
        assert difference.mean() < 0.5


def main() -> int:
    python = os.environ.get("LEROBOT_PYTHON")
    if not python:
        print("skipped: LEROBOT_PYTHON does not name the python of an environment with lerobot")
        return 0
    if len(sys.argv) != 2:
        print("usage: lerobot_opens_generated.py DATASET", file=sys.stderr)
        return 2
    path = Path(sys.argv[1])
    ours = Dataset.open(path)
    compare(ours, seen_by_lerobot(python, path))
    print(f"LeRobot sees in {path} what we see: {len(ours.episodes)} episodes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
