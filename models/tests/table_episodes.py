"""A small recorded dataset of a robot with a gripper, and a space that knows the gripper."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from lam_models.checkpoint import origin_now
from lam_models.data.lerobot_layout import Schema, camera, scalar, vector
from lam_models.data.lerobot_write import DatasetWriter
from lam_models.hands.space import Coder, HandSpace, founded, hand_modality, save_space
from lam_models.hands.spec_file import read_hand
from lam_models.policy.inputs import EE_NAMES
from lam_models.sense.pinhole import Pinhole

FPS, SIZE, FRAMES = 20, 32, 14
INSTRUCTIONS = ("push left", "push right", "push left", "push right")
DELTAS = tuple(f"delta_ee.{axis}" for axis in ("x", "y", "z", "rx", "ry", "rz"))


def record_episodes(
    path: Path,
    seed: int = 0,
    hand: str = "parallel_gripper",
    source: Int64[np.ndarray, "episodes frames"] | None = None,
    pinhole: Pinhole | None = None,
) -> Path:
    """Four episodes of a hand that slowly opens; a bright square wanders about.

    source: who commanded, as a column of the dataset. pinhole: of the front camera, in name only.
    """
    rng = np.random.default_rng(seed)
    spec = read_hand(hand)
    opening = np.linspace(spec.lower, spec.upper, FRAMES)
    schema = Schema(
        FPS,
        {
            "observation.images.front": camera(SIZE, SIZE, pinhole),
            "observation.images.wrist": camera(SIZE, SIZE),
            "observation.state": vector((*EE_NAMES, *spec.actuated)),
            "action": vector((*DELTAS, *spec.actuated)),
            **({} if source is None else {"command.source": scalar("int64")}),
        },
    )
    with DatasetWriter(path, schema) as writer:
        for episode, words in enumerate(INSTRUCTIONS):
            side = -1.0 if words.endswith("left") else 1.0
            for frame in range(FRAMES):
                images = rng.integers(0, 60, (2, SIZE, SIZE, 3)).astype(np.uint8)
                images[:, 8:16, frame : frame + 8] = 220
                joints = opening[frame]
                ee = np.array([0.4, 0.01 * frame * side, 0.2, np.pi, 0.0, 0.0, *joints])
                action = np.array([0.001 * frame, 0.01 * side, 0, 0, 0, 0.02, *joints])
                row = {
                    "observation.images.front": images[0],
                    "observation.images.wrist": images[1],
                    "observation.state": ee.astype(np.float32),
                    "action": action.astype(np.float32),
                }
                if source is not None:
                    row["command.source"] = source[episode, frame : frame + 1]
                writer.add_frame(row)
            writer.save_episode(task=words)
    return path


def gripper_space(
    path: Path, seed: int = 0, hands: Sequence[str | Path] = ("parallel_gripper", "four_finger")
) -> Path:
    """Of the simulated gripper and the four-finger hand, or of others, with random networks."""
    rng = np.random.default_rng(seed)

    def layers(*sizes: int) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        return tuple(
            (
                (rng.standard_normal((after, before)) / np.sqrt(before)).astype(np.float32),
                rng.standard_normal(after).astype(np.float32),
            )
            for before, after in pairwise(sizes)
        )

    coders = {}
    for hand in hands:
        modality = hand_modality(read_hand(hand))
        lower, upper = np.array(modality.lower), np.array(modality.upper)
        center, scale = ((lower + upper) / 2), ((upper - lower) / 2)
        size = len(modality.entries)
        coders[modality.name] = Coder(
            modality,
            center.astype(np.float32),
            scale.astype(np.float32),
            layers(size, 32, 16),
            layers(16, 32, size),
        )
    space = HandSpace(founded("hand/test", 16, coders), coders)
    return save_space(path, space, origin_now("", "random"))
