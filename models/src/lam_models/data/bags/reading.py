"""The light content of a recording in memory: all but the pictures, of which only stamps are kept.

A picture stands for itself by its number among the messages of its topic; the few that end up in a
frame are decoded later (pictures.py). Latencies are taken out here, see Timing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64

from lam_models.command import UserError
from lam_models.data.bags.hand_commands import HandCommands
from lam_models.data.bags.recording import Raw, Recording
from lam_models.data.bags.topics import Robot, Topics
from lam_models.geometry import Pose
from lam_models.sense.align import Sample
from lam_models.sense.observing import JOINTS, NS_PER_S, POSE, joints_of, pose_of, time_ns

Timeline = Literal["served", "true"]
# In place of a camera's name: of all that have no latency of their own.
ALL_CAMERAS = "*"


@dataclass(frozen=True)
class Timing:
    """When things count.

    timeline: "served" is what policy_node would have been served at an instant: of what had arrived
        by then. "true" is what was so at that instant, wherever the news of it was.
    camera_latency_s: how much later than the exposure a picture's stamp is, by camera
        (ALL_CAMERAS: of the others); it is taken off the stamp.
    action_latency_s: from a command's stamp to the motion. Served, commands count when given and
        measured motion that much later; true, both count when the robot moves.
    """

    timeline: Timeline = "served"
    camera_latency_s: Mapping[str, float] = field(default_factory=dict)
    action_latency_s: float = 0.0

    @property
    def command_shift_ns(self) -> int:
        """Added to the stamps of commands."""
        return round(self.action_latency_s * NS_PER_S) if self.timeline == "true" else 0

    def camera_shift_ns(self, camera: str) -> int:
        """Taken off the stamps of a camera."""
        latencies = self.camera_latency_s
        return round(latencies.get(camera, latencies.get(ALL_CAMERAS, 0.0)) * NS_PER_S)

    @property
    def motion_shift_ns(self) -> int:
        """How much later the motion of a step is measured."""
        return 0 if self.timeline == "true" else round(self.action_latency_s * NS_PER_S)


@dataclass(frozen=True)
class DeltaCommand:
    """One relative motion in the axes of `frame`, from `start_ns` on; source as in the message."""

    start_ns: int
    duration_ns: int
    delta_ee: Float64[np.ndarray, "6"]
    frame: str
    source: int


@dataclass(frozen=True)
class Poses:
    """The end effector's poses by ascending stamp."""

    stamps_ns: list[int]
    poses: list[Pose]

    def at(self, now_ns: int) -> Pose:
        """The newest at or before an instant, the first one before all."""
        return self.poses[max(0, bisect_right(self.stamps_ns, now_ns) - 1)]


@dataclass(frozen=True)
class Content:
    """What a recording holds, in the order of arrival.

    arrivals: stream and sample; a picture's value is its number. commands, by start; hand: stamp
    and target, by stamp. foreign: poses in another frame than the base's, left out.
    """

    arrivals: list[tuple[str, Sample]]
    poses: Poses
    joints: list[tuple[int, dict[str, float]]]
    commands: list[DeltaCommand]
    hand: list[tuple[int, dict[str, float]]]
    foreign: Counter[str]


def read_content(
    recording: Recording, robot: Robot, topics: Topics, hand: HandCommands, timing: Timing
) -> Content:
    """Read everything once. UserError for what makes no sense at all."""
    reader = _Reader(recording, robot, topics, hand, timing)
    reader.read()
    return reader.content()


class _Reader:
    def __init__(
        self,
        recording: Recording,
        robot: Robot,
        topics: Topics,
        hand: HandCommands,
        timing: Timing,
    ) -> None:
        self._recording, self._robot, self._topics = recording, robot, topics
        self._hand_commands, self._timing = hand, timing
        self._camera_of = {topic: name for name, topic in topics.cameras.items()}
        self._numbers = dict.fromkeys(topics.cameras, 0)
        self._arrivals: list[tuple[str, Sample]] = []
        self._commands: list[DeltaCommand] = []
        self._hand: list[tuple[int, dict[str, float]]] = []
        self._foreign: Counter[str] = Counter()

    def read(self) -> None:
        topics = self._topics
        for raw in self._recording.messages([*topics.cameras.values(), *topics.light]):
            if raw.topic in self._camera_of:
                self._take_picture(raw, self._camera_of[raw.topic])
            elif raw.topic == topics.pose:
                self._take_pose(raw)
            elif raw.topic == topics.joints:
                message = raw.message
                self._sample(JOINTS, time_ns(message.header.stamp), raw, joints_of(message))
            elif raw.topic == topics.delta:
                self._commands.append(self._command(raw))
            elif raw.topic == topics.hand:
                self._take_hand(raw)

    def content(self) -> Content:
        if self._timing.timeline == "true":
            self._arrivals.sort(key=lambda arrival: arrival[1].received_ns)
        poses = sorted(
            ((one.stamp_ns, one.value) for name, one in self._arrivals if name == POSE),
            key=lambda pair: pair[0],
        )
        if not poses:
            other = ", ".join(self._foreign) or "none at all"
            raise UserError(
                f"no pose in '{self._robot.base_frame}' on {self._topics.pose}: {other}"
            )
        joints = [(one.stamp_ns, one.value) for name, one in self._arrivals if name == JOINTS]
        return Content(
            arrivals=self._arrivals,
            poses=Poses([stamp for stamp, _ in poses], [pose for _, pose in poses]),
            joints=sorted(joints, key=lambda pair: pair[0]),
            commands=sorted(self._commands, key=lambda command: command.start_ns),
            hand=sorted(self._hand, key=lambda pair: pair[0]),
            foreign=self._foreign,
        )

    def _take_picture(self, raw: Raw, camera: str) -> None:
        number = self._numbers[camera]
        self._numbers[camera] += 1
        latency_ns = self._timing.camera_shift_ns(camera)
        self._sample(camera, raw.header_ns, raw, number, latency_ns)

    def _take_pose(self, raw: Raw) -> None:
        message = raw.message
        if message.header.frame_id != self._robot.base_frame:  # As the node does.
            self._foreign[f"'{message.header.frame_id}'"] += 1
            return
        self._sample(POSE, time_ns(message.header.stamp), raw, pose_of(message))

    def _sample(
        self, stream: str, header_ns: int, raw: Raw, value: Any, latency_ns: int = 0
    ) -> None:
        # Some drivers leave the stamp out; then the arrival has to do.
        stamp_ns = (header_ns or raw.arrived_ns) - latency_ns
        known_ns = stamp_ns if self._timing.timeline == "true" else raw.arrived_ns
        self._arrivals.append((stream, Sample(stamp_ns, known_ns, value)))

    def _command(self, raw: Raw) -> DeltaCommand:
        message = raw.message
        t, w = message.translation, message.rotation
        return DeltaCommand(
            start_ns=(time_ns(message.header.stamp) or raw.arrived_ns)
            + self._timing.command_shift_ns,
            duration_ns=time_ns(message.duration),
            delta_ee=np.array([t.x, t.y, t.z, w.x, w.y, w.z]),
            frame=message.header.frame_id,
            source=message.source,
        )

    def _take_hand(self, raw: Raw) -> None:
        header_ns, target = self._hand_commands.target(raw)
        if target:
            stamp_ns = (header_ns or raw.arrived_ns) + self._timing.command_shift_ns
            self._hand.append((stamp_ns, target))


def picture_stamps(content: Content, camera: str) -> Iterator[tuple[int, int]]:
    """Number and stamp [ns] of each picture of a camera, in the order of arrival."""
    for name, sample in content.arrivals:
        if name == camera:
            yield sample.value, sample.stamp_ns
