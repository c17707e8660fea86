"""A small recorded dataset: a square that is pushed about."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lam_models.data.lerobot_layout import Schema, camera, vector
from lam_models.data.lerobot_write import DatasetWriter

EPISODES, FRAMES, FPS, SIZE = 8, 10, 10, 32
NAMES = ("delta_ee.x", "delta_ee.y", "delta_ee.z", "gripper.position")


def record_squares(path: Path) -> Path:
    """Eight episodes of a second, two instructions."""
    rng = np.random.default_rng(0)
    schema = Schema(FPS, {"observation.images.top": camera(SIZE, SIZE), "action": vector(NAMES)})
    with DatasetWriter(path, schema) as writer:
        for episode in range(EPISODES):
            place = np.array([12, 12])
            for _ in range(FRAMES):
                image = np.full((SIZE, SIZE, 3), 40, np.uint8)
                image[place[0] : place[0] + 8, place[1] : place[1] + 8] = 220
                move = rng.integers(-3, 4, 2)
                place = np.clip(place + move, 0, SIZE - 8)
                action = np.array([*move, 0.0, episode], np.float32)
                writer.add_frame({"observation.images.top": image, "action": action})
            writer.save_episode(task=("push left", "push right")[episode % 2])
    return path
