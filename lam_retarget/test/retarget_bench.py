"""A bench for retarget_node: spaces of random networks, and the node with its driver's listener.

The node runs in this process, in a ROS domain of its own, beside a client that speaks to it.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from nodes_bench import nodes
from rclpy.executors import Executor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter

from lam_models.checkpoint import origin_now
from lam_models.hands.space import (
    Coder,
    HandSpace,
    Layers,
    Modality,
    founded,
    hand_modality,
    save_space,
)
from lam_models.hands.spec import HandSpec
from lam_models.hands.spec_file import read_hand, shipped_hands
from lam_msgs.msg import LatentAction
from lam_retarget import messages
from lam_retarget.retarget_node import RetargetNode

DIM = 16
# Low domains are what people use; above 101 lie ephemeral ports.
DOMAIN = 40 + os.getpid() % 60
PATIENCE_S = 30.0


def _layers(rng: np.random.Generator, *sizes: int) -> Layers:
    return tuple(
        (rng.normal(0.0, n**-0.5, (m, n)).astype(np.float32), np.zeros(m, np.float32))
        for n, m in itertools.pairwise(sizes)
    )


def random_coder(modality: Modality, seed: int) -> Coder:
    """Networks that spread latents over the whole range of a hand."""
    rng, size = np.random.default_rng(seed), len(modality.entries)
    lower = np.array(modality.lower or [-0.1] * size, np.float32)
    upper = np.array(modality.upper or [0.2] * size, np.float32)
    encoder, decoder = _layers(rng, size, 32, DIM), _layers(rng, DIM, 32, size)
    return Coder(modality, (lower + upper) / 2, upper - lower, encoder, decoder)


def random_space(specs: Sequence[HandSpec], name: str = "hand/random", seed: int = 0) -> HandSpace:
    """A space of the hands."""
    modalities = [hand_modality(spec) for spec in specs]
    coders = {each.name: random_coder(each, seed + at) for at, each in enumerate(modalities)}
    return HandSpace(founded(name, DIM, coders), coders)


def all_hands() -> list[HandSpec]:
    """Every shipped hand."""
    return [read_hand(name) for name in shipped_hands()]


def write_space(folder: Path, space: HandSpace) -> HandSpace:
    """Save a space as `folder`."""
    save_space(folder, space, origin_now("none", "random"))
    return HandSpace(space.latent, space.coders, path=folder)


def random_latents(count: int, seed: int) -> np.ndarray:
    """Points of the sphere."""
    x = np.random.default_rng(seed).normal(size=(count, DIM))
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


class Bench:
    """A retarget_node and a client of it."""

    def __init__(self, executor: Executor, node: RetargetNode, client: Node) -> None:
        self._executor, self.node, self.client = executor, node, client
        self._latents = self.client.create_publisher(LatentAction, "/latent_action", 10)
        self.reports: list[Any] = []
        self.client.create_subscription(DiagnosticArray, "/diagnostics", self.reports.append, 10)

    def up(self) -> None:
        """Configure and activate."""
        assert self.node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert self.node.trigger_activate() == TransitionCallbackReturn.SUCCESS
        self.until(self._latents.get_subscription_count)

    def listen(self, kind: type, topic: str, qos: Any = 10) -> list[Any]:
        """Every message of a topic from now on, in the list that is returned."""
        heard: list[Any] = []
        self.client.create_subscription(kind, topic, heard.append, qos)
        self.until(lambda: self.client.count_publishers(topic))
        return heard

    def spin(self, duration_s: float) -> None:
        """Handle what comes for a while."""
        end_s = time.monotonic() + duration_s
        while (left_s := end_s - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left_s)

    def until(self, done: Callable[[], Any]) -> None:
        """Handle what comes until `done`, or fail."""
        end_s = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < end_s, "it did not happen in time"
            self._executor.spin_once(timeout_sec=0.02)

    def say(self, latents: np.ndarray, space: HandSpace, **fields: Any) -> None:
        """Publish a latent action of one or several latents, seen just now."""
        latents = np.atleast_2d(latents)
        stamp = messages.time_message(time.time_ns() - fields.pop("age_ns", 0))
        message = LatentAction(
            space=space.latent.name,
            space_hash=space.latent.space_hash,
            horizon=len(latents),
            dim=latents.shape[1],
            values=latents.astype(np.float32).ravel().tolist(),
            **fields,
        )
        message.header.stamp = stamp
        self._latents.publish(message)

    def stream(self, latents: np.ndarray, space: HandSpace, done: Callable[[], Any]) -> None:
        """Say the same latents at 50 Hz until `done`."""

        def say_and_look() -> Any:
            self.say(latents, space)
            self.spin(0.02)
            return done()

        self.until(say_and_look)

    def report(self) -> tuple[str, dict[str, str]]:
        """Text and values of the next diagnostics."""
        self.reports.clear()
        self.until(lambda: self.reports)
        status = self.reports[-1].status[0]
        return status.message, {entry.key: entry.value for entry in status.values}

    def last_report(self) -> str:
        """Text of the latest diagnostics, "" before the first."""
        return self.reports[-1].status[0].message if self.reports else ""


@contextmanager
def bench(**parameters: Any) -> Iterator[Bench]:
    """A node that is not configured yet."""
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    node = partial(RetargetNode, parameter_overrides=overrides)
    with nodes(DOMAIN, node, partial(Node, "client")) as (executor, made):
        yield Bench(executor, *made)
