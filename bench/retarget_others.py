"""Runs in the other venv: a public retargeter on the targets in a folder, timed frame by frame.

    python retarget_others.py <folder> <dex-retargeting | mink>

The folder holds hand.urdf and task.npz: targets [frames, tips, 3] m from palm_frame to the tips in
the URDF's base frame, tips (names of links), joints (names of the actuated), palm_at_m [3].
Written: <method>.npz with tips_m [frames, tips, 3] from palm_frame as the method left them, and
ms [frames]. Imports nothing of this project.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

MINK_STEPS, MINK_DAMPING = 5, 1e-4

# One frame: targets to the tips from palm_frame, found after the clock has stopped.
Frame = Callable[[np.ndarray], Callable[[], np.ndarray]]


def dex_retargeting(folder: Path, task: dict[str, np.ndarray]) -> Frame:
    """Its vector optimiser as its configurations have it, without the filter on what comes out."""
    import torch
    from dex_retargeting.retargeting_config import RetargetingConfig

    torch.set_num_threads(1)
    tips = task["tips"].tolist()
    config = {
        "type": "vector",
        "urdf_path": str(folder / "hand.urdf"),
        "target_joint_names": task["joints"].tolist(),
        "target_origin_link_names": ["palm_frame"] * len(tips),
        "target_task_link_names": tips,
        "target_link_human_indices": np.zeros((2, len(tips)), dtype=int),
        "low_pass_alpha": 1.0,
    }
    solver = RetargetingConfig.from_dict(config).build()
    robot = solver.optimizer.robot
    links = [robot.get_link_index(name) for name in ("palm_frame", *tips)]

    def frame(targets: np.ndarray) -> Callable[[], np.ndarray]:
        q = solver.retarget(targets)

        def found() -> np.ndarray:
            robot.compute_forward_kinematics(np.asarray(q, dtype=np.float64))
            places = np.array([robot.get_link_pose(link)[:3, 3] for link in links])
            return places[1:] - places[0]

        return found

    return frame


def mink(folder: Path, task: dict[str, np.ndarray]) -> Frame:
    """Differential inverse kinematics with limits; joints that should be coupled are free."""
    import mink as solver
    import mujoco

    spec = mujoco.MjSpec.from_file(str(folder / "hand.urdf"))
    # Whatever moves needs a mass.
    spec.compiler.boundmass, spec.compiler.boundinertia = 1e-3, 1e-6
    spec.compiler.fusestatic = False
    model = spec.compile()
    configuration = solver.Configuration(model)
    middle = model.jnt_range.mean(axis=1)
    configuration.update(middle)
    tasks = [
        solver.FrameTask(name, "body", position_cost=1.0, orientation_cost=0.0, lm_damping=1e-2)
        for name in task["tips"].tolist()
    ]
    limits = [solver.ConfigurationLimit(model)]
    bodies = [model.body(name).id for name in task["tips"].tolist()]

    def frame(targets: np.ndarray) -> Callable[[], np.ndarray]:
        for one, target in zip(tasks, targets + task["palm_at_m"], strict=True):
            one.set_target(solver.SE3.from_translation(target))
        for _ in range(MINK_STEPS):
            velocity = solver.solve_ik(
                configuration, tasks, 1.0, "daqp", damping=MINK_DAMPING, limits=limits
            )
            configuration.integrate_inplace(velocity, 1.0)
        return lambda: configuration.data.xpos[bodies] - task["palm_at_m"]

    return frame


def main() -> None:
    folder, method = Path(sys.argv[1]), sys.argv[2]
    with np.load(folder / "task.npz") as file:
        task = dict(file)
    frame = {"dex-retargeting": dex_retargeting, "mink": mink}[method](folder, task)
    frame(task["targets"][0])
    ms, tips_m = [], []
    for targets in task["targets"]:
        begin = time.perf_counter()
        found = frame(targets)
        ms.append(1e3 * (time.perf_counter() - begin))
        tips_m.append(found().copy())
    np.savez(folder / f"{method}.npz", ms=ms, tips_m=tips_m)


if __name__ == "__main__":
    main()
