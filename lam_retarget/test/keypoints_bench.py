"""A bench for tracked hands: a played hand, a space that knows the human, and the node."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseArray, PoseStamped
from nodes_bench import nodes
from rclpy.executors import Executor
from rclpy.node import Node
from rclpy.parameter import Parameter
from retarget_bench import DIM, DOMAIN, PATIENCE_S, all_hands, random_space, write_space
from std_msgs.msg import Header

from lam_models.hands.keypoints import LAYOUTS
from lam_models.hands.space import Coder, HandSpace, founded, human_modality
from lam_msgs.msg import HandKeypoints, LatentAction
from lam_retarget.keypoints_messages import hand_keypoints, spelled
from lam_retarget.messages import time_message
from lam_retarget.playing import Piece, Player
from lam_retarget.retarget_keypoints_node import RetargetKeypointsNode
from lam_retarget.tracking import Frame

NOW_NS = 1_700_000_000_000_000_000


def human_coder(seed: int = 0) -> Coder:
    """One linear layer each way, by chance."""
    rng, modality = np.random.default_rng(seed), human_modality()
    size = len(modality.entries)
    weight = rng.normal(0.0, 1.0, (DIM, size)).astype(np.float32)
    encoder = ((weight, rng.normal(0.0, 0.1, DIM).astype(np.float32)),)
    decoder = ((weight.T.copy(), np.zeros(size, np.float32)),)
    ones = np.ones(size, np.float32)
    return Coder(modality, 0 * ones, 0.1 * ones, encoder, decoder)


def human_space(folder: Path, name: str = "hand/random", seed: int = 0) -> HandSpace:
    """A space of the human hand and of every shipped one, saved as `folder`."""
    coders = {**random_space(all_hands(), seed=seed).coders, "human": human_coder(seed)}
    return write_space(folder, HandSpace(founded(name, DIM, coders), coders))


def player(layout: str = "openxr", side: str = "right", **piece: Any) -> Player:
    """A played hand; the same one for every layout and side."""
    return Player(Piece(LAYOUTS[layout], side, poses=3, **piece))


def frame(played: Player, time_s: float = 0.0, **fields: Any) -> Frame:
    """What a tracker sends of it."""
    layout = played.piece.layout
    values = {"names": layout.joints, "side": played.piece.side, "stamp_ns": NOW_NS, **fields}
    values.setdefault("positions", played.joints(time_s))
    return Frame(spelled(layout), **values)


def keypoints(played: Player, time_s: float = 0.0, age_ns: int = 0) -> HandKeypoints:
    """The message of it, seen just now."""
    header = Header(stamp=time_message(time.time_ns() - age_ns), frame_id="sensor")
    return hand_keypoints(played.joints(time_s), played.piece.layout, played.piece.side, header)


def pose_array(played: Player, time_s: float = 0.0) -> PoseArray:
    """The same without names."""
    message = keypoints(played, time_s)
    return PoseArray(header=message.header, poses=message.poses)


class Bench:
    """A retarget_keypoints_node and a client of it."""

    def __init__(self, executor: Executor, client: Node, kind: type) -> None:
        self._executor = executor
        self.latents: list[LatentAction] = []
        self.palms: list[PoseStamped] = []
        self.reports: list[Any] = []
        self._frames = client.create_publisher(kind, "/hand_keypoints", 10)
        client.create_subscription(LatentAction, "/latent_action", self.latents.append, 10)
        client.create_subscription(PoseStamped, "/palm_pose", self.palms.append, 10)
        client.create_subscription(DiagnosticArray, "/diagnostics", self.reports.append, 10)
        self.until(
            lambda: (
                self._frames.get_subscription_count()
                and client.count_publishers("/latent_action")
                and client.count_publishers("/palm_pose")
            )
        )

    def until(self, done: Callable[[], Any]) -> None:
        """Handle what comes until `done`, or fail."""
        end_s = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < end_s, "it did not happen in time"
            self._executor.spin_once(timeout_sec=0.02)

    def stream(self, make: Callable[[], Any], done: Callable[[], Any]) -> None:
        """Send what is made at 50 Hz or slower until `done`."""

        def send_and_look() -> Any:
            self._frames.publish(make())
            end_s = time.monotonic() + 0.02
            while (left_s := end_s - time.monotonic()) > 0:
                self._executor.spin_once(timeout_sec=left_s)
            return done()

        self.until(send_and_look)

    def said(self) -> str:
        """Text of the latest diagnostics."""
        return self.reports[-1].status[0].message if self.reports else ""

    def values(self) -> dict[str, str]:
        """Values of the latest diagnostics."""
        return {entry.key: entry.value for entry in self.reports[-1].status[0].values}


@contextmanager
def bench(kind: type = HandKeypoints, **parameters: Any) -> Iterator[Bench]:
    """A running node with these parameters."""
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    node = partial(RetargetKeypointsNode, parameter_overrides=overrides)
    with nodes(DOMAIN, node, partial(Node, "client")) as (executor, (_, client)):
        yield Bench(executor, client, kind)
