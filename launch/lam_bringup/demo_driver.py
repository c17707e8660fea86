"""Who drives the demo's robot, and what differs with it: the scripted expert, or a policy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from lam_bringup.demo_report import Plan
from lam_models.command import UserError
from lam_models.policy.shipped import policy_folder

EXPERT_NAME = "expert"


@dataclass(frozen=True)
class Driver:
    """What is launched, and what is asked of it.

    policy: its folder, None for the expert. tasks, hands, difficulty: where no others are named.
    enough: the share of episodes that is to succeed.
    """

    policy: Path | None
    tasks: tuple[str, ...]
    hands: tuple[str, ...]
    difficulty: float
    enough: float

    @property
    def name(self) -> str:
        """In one word."""
        return EXPERT_NAME if self.policy is None else "policy"

    def needed(self, count: int) -> int:
        """How many of `count` episodes are to succeed."""
        return math.ceil(self.enough * count)

    def plans(
        self, count: int, seed: int, tasks: Sequence[str], hands: Sequence[str]
    ) -> list[Plan]:
        """Episodes over all tasks and hands in turn, each with a seed of its own.

        A policy's are ordered by hand: each hand is a launch of its own.
        """
        if count < 1:
            raise UserError(f"--episodes is {count}; at least 1 is needed")
        pairs = [(tasks[i % len(tasks)], hands[i % len(hands)]) for i in range(count)]
        if self.policy is not None:
            pairs.sort(key=lambda pair: hands.index(pair[1]))
        return [Plan(i + 1, task, hand, seed + i) for i, (task, hand) in enumerate(pairs)]

    def launches(self, plans: Sequence[Plan]) -> list[tuple[list[str], list[Plan]]]:
        """Words of `lam launch` and the episodes of each launch, one after the other."""
        # On simulated time a busy machine makes the demo slower, but neither jerky nor worse.
        if self.policy is None:
            # The simulator changes hands itself, and the expert knows them all.
            return [(["demo.launch.xml", "use_sim_time:=true"], list(plans))]
        words = ["policy.launch.xml", "sim:=true", "use_sim_time:=true"]
        policy = f"policy:={self.policy.resolve()}"
        return [
            ([*words, policy, f"hand:={hand}"], list(of_hand))
            for hand, of_hand in groupby(plans, key=lambda plan: plan.hand)
        ]


EXPERT = Driver(
    policy=None,
    tasks=("pick_place", "stack", "open_drawer"),
    hands=("parallel_gripper", "five_finger"),
    difficulty=0.5,
    enough=1.0,
)


def policy_driver(folder: Path) -> Driver:
    """The policy of a folder. UserError where there is none."""
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder} is no policy: it holds no config.json")
    tasks = ("reach", "push_to_zone", "pick_place", "stack", "open_drawer")
    hands = ("parallel_gripper", "five_finger")
    return Driver(folder, tasks, hands, difficulty=0.0, enough=0.5)


def driver_named(name: str) -> Driver:
    """What --policy says: "expert", "shipped" or a policy's folder."""
    if name == EXPERT_NAME:
        return EXPERT
    return policy_driver(policy_folder(name))
