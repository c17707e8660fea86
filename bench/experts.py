"""How often the scripted experts succeed: every task with every end effector, without pictures.

200 episodes a cell at the default difficulty, and 50 at the greatest; no distractors.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

import matplotlib
import numpy as np

from report import Benchmark, Goal, Row, main

matplotlib.use("Agg")

SEED = 0
EPISODES = {0.5: 200, 1.0: 50}


def evaluate(difficulty: float, episodes: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        command = ["lam", "eval", "--policy", "expert", "--task", "all", "--hand", "all"]
        command += ["--episodes", str(episodes), "--difficulty", str(difficulty)]
        command += ["--seed", str(SEED), "--out", folder + "/eval"]
        subprocess.run(command, check=True)
        cells = json.loads(Path(folder, "eval", "results.json").read_text())["cells"]
    return [
        {
            "difficulty": difficulty,
            "task": cell["task"],
            "hand": cell["hand"],
            "episodes": cell["episodes"],
            "rate": cell["rate"],
            "wilson_low": cell["wilson_95"][0],
            "wilson_high": cell["wilson_95"][1],
            "mean_s": cell["mean_success_s"],
        }
        for cell in cells
    ]


def measure(quick: bool) -> list[Row]:
    rows = []
    for difficulty, episodes in EPISODES.items():
        rows += evaluate(difficulty, 10 if quick else episodes)
    return rows


def draw(rows: list[Row], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(EPISODES), figsize=(11, 4.2), sharex=True, sharey=True)
    for axis, difficulty in zip(axes, EPISODES, strict=True):
        of_it = [row for row in rows if row["difficulty"] == difficulty][::-1]
        at = np.arange(len(of_it))
        rates = np.array([float(row["rate"]) for row in of_it])
        low = rates - [float(row["wilson_low"]) for row in of_it]
        high = [float(row["wilson_high"]) for row in of_it] - rates
        axis.errorbar(rates, at, xerr=[low, high], fmt="o", color="#2a7f62", capsize=3)
        axis.set_yticks(at, [f"{row['task']}, {row['hand']}" for row in of_it], fontsize=8)
        axis.set(xlabel="success, 95 % interval", xlim=(0.8, 1.01))
        axis.set_title(f"difficulty {difficulty:g}, {of_it[0]['episodes']} episodes", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=130)


def worst(rows: list[Row]) -> float:
    """The lowest success rate of a cell at the default difficulty."""
    return min(float(row["rate"]) for row in rows if row["difficulty"] == 0.5)


GOALS = (Goal("success of the worst task and hand", worst, at_least=0.95),)

if __name__ == "__main__":
    summary = "Success of the scripted experts"
    main(Benchmark("experts", summary, measure, draw, GOALS, seeds=(SEED,)))
