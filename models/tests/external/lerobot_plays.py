"""Makes an environment with the real LeRobot, and opens and plays a dataset of ours in it.

    python models/tests/external/lerobot_plays.py [DATASET]

Without DATASET a small one is generated. Every number and picture is compared with what we read;
then it is played as training plays it (a DataLoader with windows over time, over three episodes)
and as a person does (LeRobot's own viewer, writing its file instead of opening a window).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import lerobot_opens_generated
import lerobot_venv

from lam_models.data.lerobot_read import Dataset

LEROBOT_SIDE = """
import sys, time
import lerobot, torch
from lerobot.datasets.lerobot_dataset import LeRobotDataset

probe = LeRobotDataset("lam/given", root=sys.argv[1], video_backend="pyav")
step = 1 / probe.fps
windows = {key: [-step, 0.0] for key in probe.meta.camera_keys}
if "action" in probe.meta.features:
    windows["action"] = [i * step for i in range(8)]
few = list(range(min(3, probe.num_episodes)))
data = LeRobotDataset("lam/given", root=sys.argv[1], episodes=few, delta_timestamps=windows,
                      video_backend="pyav")
start, seen = time.monotonic(), 0
for batch in torch.utils.data.DataLoader(data, batch_size=16, shuffle=True):
    seen += len(batch["index"])
    for key, value in batch.items():
        if torch.is_tensor(value) and value.is_floating_point():
            assert torch.isfinite(value).all(), key
assert seen == len(data)
print(f"  lerobot {lerobot.__version__}: {seen} frames of {len(few)} episodes in random order, "
      f"{seen / (time.monotonic() - start):.0f} a second")
"""

# Its viewer decodes with torchcodec, which wants FFmpeg's libraries installed on the machine.
VIEWER = """
import lerobot.datasets.lerobot_dataset as module
module.get_safe_default_codec = lambda: "pyav"
from lerobot.scripts.lerobot_dataset_viz import main
main()
"""


def run(python: str, *words: str) -> None:
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": cache}
        subprocess.run([python, *words], env=environment, check=True)


def generated(folder: Path) -> Path:
    lam = shutil.which("lam") or "lam"
    path = folder / "generated"
    command = [lam, "data", "generate", "--task", "pick_place,reach", "--episodes", "4"]
    subprocess.run([*command, "--size", "96", "--workers", "1", "--out", str(path)], check=True)
    return path


def main() -> int:
    if len(sys.argv) > 2:
        print("usage: lerobot_plays.py [DATASET]", file=sys.stderr)
        return 2
    python = lerobot_venv.python()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(sys.argv[1]) if len(sys.argv) == 2 else generated(Path(folder))
        seen = lerobot_opens_generated.seen_by_lerobot(python, path)
        lerobot_opens_generated.compare(Dataset.open(path), seen)
        run(python, "-c", LEROBOT_SIDE, str(path))
        out = Path(folder) / "viewed"
        words = ["--repo-id", "lam/given", "--root", str(path), "--episode-index", "0"]
        words += ["--save", "1", "--num-workers", "0", "--output-dir", str(out)]
        run(python, "-c", VIEWER, *words)
        (file,) = out.glob("*.rrd")
        print(f"  its viewer played episode 0: {file.stat().st_size / 1e6:.1f} MB")
    print(f"LeRobot opens and plays {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
