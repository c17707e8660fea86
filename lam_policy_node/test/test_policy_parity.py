"""What the running node shows its policy is what the converter makes of the recorded bag.

The recorded bytes go, in the order of their arrival, through ROS's own decoding into the node's
callbacks; the questions that the node then asks are held against the dataset's frames.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from bags import FINGERS, MS, ROBOT, Swing, messages, record
from rclpy.node import Node
from rclpy.serialization import deserialize_message

from lam_models.checkpoint import CameraSpec, Spec
from lam_models.data.bags.convert import Conversion, Opened, open_recording
from lam_models.data.bags.frames import EE_NAMES, IMAGE, frames_of
from lam_models.data.bags.recording import Recording
from lam_models.data.bags.topics import robot_of
from lam_models.settings import from_mapping
from lam_models.types import Observation
from lam_policy_node.inputs_node import Inputs
from lam_policy_node.observing import observe
from lam_policy_node.params import PolicySettings
from lam_policy_node.run import Run
from lam_policy_node.worker import Loaded

SIZE = (24, 40)
SPEC = Spec(
    cameras=tuple(CameraSpec(name, *SIZE) for name in ("front", "wrist")),
    state={"ee": EE_NAMES, "hand": FINGERS},
    delta_axes="base",
)
TOPICS = ("/front/image_raw/compressed", "/wrist/image_raw", "/ee_pose", "/joint_states")


class FakeNode:
    """Keeps the node's callbacks, and a clock that is set by hand."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.callbacks: dict[str, tuple[type, Callable[[Any], None]]] = {}

    def create_subscription(self, kind: type, topic: str, callback: Callable, qos: Any) -> str:
        self.callbacks[topic] = kind, callback
        return topic

    def get_clock(self) -> Any:
        return SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=self.now_ns))


class Asked:
    """A worker that answers nothing and keeps what it was asked, decoded as its process does."""

    death = ""

    def __init__(self) -> None:
        self.seen: dict[int, Observation] = {}

    def thinking_s(self, now_ns: int) -> float | None:
        return None

    def ask(self, request: Any, now_ns: int) -> None:
        self.seen[request.stamp_ns] = observe(
            SPEC, request.pictures, request.state, request.stamp_ns, request.instruction
        )

    def poll(self) -> None:
        return None

    def close(self, reason: str) -> None:
        self.death = reason


def live(recording: Recording, instants_ns: list[int]) -> dict[int, Observation]:
    """What a running node asks its policy at these instants."""
    settings = from_mapping(PolicySettings, ROBOT["policy_node"]["ros__parameters"])
    worker, node = Asked(), FakeNode()
    run = Run(cast(Any, worker), Loaded(SPEC, "", False, 0.0), settings.conduct(None))
    run.instruct("go")
    Inputs(cast(Node, node), settings, SPEC, run.rules, run.take)
    coming = recording.messages(TOPICS)
    raw = next(coming, None)
    for now_ns in instants_ns:
        while raw is not None and raw.arrived_ns <= now_ns:
            node.now_ns = raw.arrived_ns
            kind, callback = node.callbacks[raw.topic]
            callback(deserialize_message(raw.data, kind))
            raw = next(coming, None)
        run.ask(now_ns, now_ns, on_beat=True)
    return worker.seen


def opened(folder: Path) -> Opened:
    recording = Recording(folder)
    wanted = Conversion(fps=20, size=SIZE, shortest_s=0.1)
    return open_recording(recording, robot_of(recording.about.robot), wanted)


@pytest.mark.parametrize("lost", [{}, {"/front/image_raw/compressed": (0.7, 1.1)}])
def test_the_node_sees_what_the_dataset_holds_frame_by_frame(tmp_path, lost):
    sent = messages(Swing(length_s=1.6, camera_hz=60.0, transport_s=0.03, lost=lost))
    made = opened(record(tmp_path, "episode", sent))
    first_ns, last_ns = made.recording.span_ns
    frames = [
        frame
        for piece, columns in zip(made.pieces, made.columns, strict=True)
        for frame in frames_of(made.recording, made.topics.cameras, piece, made.shapes, columns)
    ]
    grid_ns = [first_ns + i * 50 * MS for i in range((last_ns - first_ns) // (50 * MS))]
    asked = live(made.recording, grid_ns)

    assert [int(frame["stamp_ns"][0]) for frame in frames] == list(asked)
    assert len(made.pieces) == (2 if lost else 1)
    for frame, seen in zip(frames, asked.values(), strict=True):
        for camera in SPEC.cameras:
            np.testing.assert_array_equal(
                frame[IMAGE + camera.name], seen.frames[camera.name].pixels
            )
        state = np.concatenate([seen.state["ee"], seen.state["hand"]])
        np.testing.assert_array_equal(frame["observation.state"], state.astype(np.float32))


def test_messages_that_overtake_each_other_are_seen_alike(tmp_path):
    """Arrivals out of the order of stamps: what is newest by then, not what came last."""
    sent = messages(Swing(length_s=1.0, camera_hz=60.0, transport_s=0.06))
    made = opened(record(tmp_path, "episode", sent))
    (piece,), (columns,) = made.pieces, made.columns
    stamps = [one["front"].stamp_ns for one in piece.seen]
    assert stamps == sorted(stamps)
    asked = live(made.recording, piece.steps.ticks_ns.tolist())
    topics = made.topics.cameras
    for frame in frames_of(made.recording, topics, piece, made.shapes, columns):
        if (seen := asked.get(int(frame["stamp_ns"][0]))) is not None:
            np.testing.assert_array_equal(frame[IMAGE + "front"], seen.frames["front"].pixels)
    assert len(asked) > piece.length // 2
