"""Demonstrated grasps in the table world, and their replay with another hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from hand_replay_ways import Way

from lam_models.geometry import Pose, delta_between, pose
from lam_models.hands.driver import driver_units
from lam_models.hands.kinematics import Kinematics, open_kinematics, palm_pose
from lam_models.hands.spec_file import read_hand
from lam_models.types import Action
from lam_sim.table.world import TableWorld, WorldSettings
from lam_sim.tasks.things import NOUNS

HANDS = ("parallel_gripper", "four_finger", "five_finger")
LIFTED_M = 0.05
_MOST_STEPS = 200
_HOLD_STEPS = 20  # A second in the air after the last demonstrated step.
_NEAR_M = 0.01  # The wrist waits for the arm when it is farther than this from where it was.
_MOST_WAITS = 10
_NEAREST_M = 0.01


@dataclass(frozen=True)
class Demonstration:
    """A lift: at each control step where the end effector was and what the hand was told.

    vectors: of the hand (lam_models.hands.spec), rad or m.
    """

    hand: str
    seed: int
    shape: str
    T_base_ee: tuple[Pose, ...]
    vectors: np.ndarray


def demonstrate(hand: str, seed: int, wanted: Sequence[str]) -> Demonstration | None:
    """The expert's lift in the scene of `seed`, None if it failed or the thing is another shape."""
    world = _world(hand)
    world.reset(seed)
    shape = _shape_of(world.instruction)
    if shape not in wanted:
        return None
    expert = world.expert()
    rest_m = height_m(world)
    poses, commands = [], []
    for _ in range(_MOST_STEPS):
        truth = world.truth()
        action = expert.act(truth)
        poses.append(truth.T_base_ee)
        commands.append(action.hand)
        world.step(action)
        if height_m(world) > rest_m + LIFTED_M:
            units = driver_units(read_hand(hand))
            return Demonstration(hand, seed, shape, tuple(poses), units.joints(np.array(commands)))
    return None


def replay(shown: Demonstration, hand: str, way: Way | None) -> bool:
    """Whether the thing is in the air a second after the replay's end. way None: the same hand."""
    world = _world(hand)
    world.reset(shown.seed)
    rest_m = height_m(world)
    vectors = shown.vectors if way is None else way(shown.hand, hand, shown.vectors)
    commands = driver_units(read_hand(hand)).values(vectors)
    shift = grasp_center_m(shown.hand, shown.vectors) - grasp_center_m(hand, vectors)
    for T_demonstrated, command in zip(shown.T_base_ee, commands, strict=True):
        _go(world, T_demonstrated @ pose(np.eye(3), shift), command)
    up = pose(np.eye(3), np.array([0.0, 0.0, LIFTED_M])) @ world.truth().T_base_ee
    for _ in range(_HOLD_STEPS):
        _step(world, up, commands[-1])
    return height_m(world) > rest_m + LIFTED_M


def _go(world: TableWorld, T_base_ee: Pose, command: np.ndarray) -> None:
    """A step towards a pose, and as many more as the arm needs to be near it."""
    for _ in range(1 + _MOST_WAITS):
        _step(world, T_base_ee, command)
        away = world.truth().T_base_ee[:3, 3] - T_base_ee[:3, 3]
        if np.linalg.norm(away) < _NEAR_M:
            return


def _step(world: TableWorld, T_base_ee: Pose, command: np.ndarray) -> None:
    delta = delta_between(world.truth().T_base_ee, T_base_ee)
    longest = 0.025  # 0.5 m/s
    delta *= min(1.0, longest / max(1e-9, float(np.linalg.norm(delta[:3]))))
    world.step(Action(delta, command))


def grasp_center_m(hand: str, vectors: np.ndarray) -> np.ndarray:
    """Middle between thumb and fingers of the closing posture, in the frame ee_link.

    Fingers count by how near they are to the thumb: an idle little finger holds nothing.
    """
    kinematics = _kinematics(hand)
    tips = kinematics.tips(np.asarray(vectors[-1], np.float64))
    thumb = kinematics.spec.tips.index("thumb")
    fingers = np.delete(tips, thumb, axis=0)
    gaps_m = np.linalg.norm(fingers - tips[thumb], axis=-1)
    weights = np.exp((gaps_m.min() - gaps_m) / _NEAREST_M)
    middle = (tips[thumb] + weights @ fingers / weights.sum()) / 2.0
    T_flange_palm = _palm(hand)
    in_flange = T_flange_palm[:3, :3] @ middle + T_flange_palm[:3, 3]
    return in_flange - np.array([0.0, 0.0, _world(hand).effector.grasp_point_m])


def height_m(world: TableWorld) -> float:
    return float(world.truth().bodies["target"][2, 3])


def _shape_of(instruction: str) -> str:
    """The shape that an instruction names, "" where it only says "object"."""
    for shape, nouns in NOUNS.items():
        if any(noun in instruction for noun in nouns):
            return shape
    return ""


@cache
def _world(hand: str) -> TableWorld:
    return TableWorld(WorldSettings("pick_place", hand, difficulty=0.2))


@cache
def _kinematics(hand: str) -> Kinematics:
    return open_kinematics(read_hand(hand))


@cache
def _palm(hand: str) -> Pose:
    return palm_pose(read_hand(hand))
