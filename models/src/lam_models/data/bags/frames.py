"""Pieces of a recording as the frames of a dataset, with the columns `lam data generate` writes.

observation.images.<camera>   as policy_node would have shown it to a policy
observation.state             ee.* (m, rad), then the hand's joints (rad or m)
observation.age_s             how old the sample of each stream was
action                        commanded: delta_ee.*, then the hand's targets
measured.action               the same, as the robot did it
command.source                who commanded: 0 nobody, 1 teleop, 2 policy, 3 expert
next.success                  in the last frame of a successful episode
stamp_ns                      the instant of the frame on the robot's clock
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Shaped, UInt8

from lam_models.command import UserError
from lam_models.data.bags import actions
from lam_models.data.bags.grid import Piece
from lam_models.data.bags.reading import Content, Timing
from lam_models.data.bags.recording import Recording
from lam_models.data.lerobot_layout import Schema, camera, scalar, vector
from lam_models.sense.observing import (
    JOINTS,
    POSE,
    Picture,
    decoded,
    ee_vector,
    joint_vector,
    picture_of,
    pixels_of,
)
from lam_models.sense.pinhole import Pinhole

EE_NAMES = ("ee.x_m", "ee.y_m", "ee.z_m", "ee.rx_rad", "ee.ry_rad", "ee.rz_rad")
DELTA_NAMES = tuple(f"delta_ee.{axis}" for axis in ("x", "y", "z", "rx", "ry", "rz"))
IMAGE = "observation.images."
SUCCESS = "success"

Image = UInt8[np.ndarray, "height width 3"]
# Pieces differ in length, so that the axes have no names.
Columns = Mapping[str, Shaped[np.ndarray, "_ _"]]


@dataclass(frozen=True)
class Shapes:
    """What the frames of an episode are made of: equal for all episodes of a dataset.

    cameras: height and width by name. joints: those of the hand, in state and action alike.
    pinholes: of the cameras that are calibrated, of the square that `fit` leaves.
    """

    cameras: Mapping[str, tuple[int, int]]
    joints: tuple[str, ...]
    fit: str = "crop"
    pinholes: Mapping[str, Pinhole] = field(default_factory=dict)

    @property
    def streams(self) -> tuple[str, ...]:
        return (*self.cameras, POSE, *((JOINTS,) if self.joints else ()))


@dataclass(frozen=True)
class Frames:
    """The axes commands may be in, and how times are told."""

    base: str
    ee: str
    timing: Timing


def schema_of(shapes: Shapes, fps: int) -> Schema:
    """What every frame holds."""
    joints = shapes.joints
    images = {
        IMAGE + name: camera(*size, shapes.pinholes.get(name))
        for name, size in shapes.cameras.items()
    }
    return Schema(
        fps,
        {
            **images,
            "observation.state": vector((*EE_NAMES, *joints)),
            "observation.age_s": vector(shapes.streams),
            "action": vector((*DELTA_NAMES, *joints)),
            "measured.action": vector((*DELTA_NAMES, *joints)),
            "command.source": scalar("int64"),
            "next.success": scalar("bool"),
            "stamp_ns": scalar("int64"),
        },
    )


def columns_of(content: Content, piece: Piece, shapes: Shapes, frames: Frames) -> Columns:
    """All but the pictures. UserError for a joint or a frame that there is not."""
    steps, shift_ns = piece.steps, frames.timing.motion_shift_ns
    commands = actions.obeyed(content.commands)
    given = actions.commanded(commands, steps, content.poses, frames.base, frames.ee)
    targets = actions.hand_targets(content.hand, content.joints, steps, shapes.joints)
    moved = actions.measured_motion(content.poses, steps, shift_ns)
    stood = actions.measured_joints(content.joints, steps, shapes.joints, shift_ns)
    columns = {
        "observation.state": _states(piece, shapes),
        "observation.age_s": _ages(piece, shapes),
        "action": np.concatenate([given.delta_ee, targets], axis=1),
        "measured.action": np.concatenate([moved, stood], axis=1),
    }
    out = {name: values.astype(np.float32) for name, values in columns.items()}
    for name, values in out.items():
        if not np.isfinite(values).all():
            raise UserError(
                f"'{name}' is not finite in frame {int(np.argwhere(~np.isfinite(values))[0][0])}"
            )
    return {
        **out,
        "command.source": given.source[:, None],
        "next.success": np.zeros((piece.length, 1), bool),
        "stamp_ns": steps.ticks_ns[:, None].astype(np.int64),
    }


def _states(piece: Piece, shapes: Shapes) -> np.ndarray:
    """Zeros for a stream that may be left out and is."""
    out = np.zeros((piece.length, len(EE_NAMES) + len(shapes.joints)))
    for i, seen in enumerate(piece.seen):
        if POSE in seen:
            out[i, : len(EE_NAMES)] = ee_vector(seen[POSE].value)
        if shapes.joints and JOINTS in seen:
            out[i, len(EE_NAMES) :] = joint_vector(seen[JOINTS].value, shapes.joints)
    return out


def _ages(piece: Piece, shapes: Shapes) -> np.ndarray:
    """-1 for a stream that may be left out and is."""
    return np.array(
        [
            [
                (tick - seen[name].stamp_ns) / 1e9 if name in seen else -1.0
                for name in shapes.streams
            ]
            for tick, seen in zip(piece.steps.ticks_ns.tolist(), piece.seen, strict=True)
        ]
    )


def numbers_of(piece: Piece, camera: str) -> list[int | None]:
    """The number of the picture in each frame; None where there may be none and is none."""
    return [seen[camera].value if camera in seen else None for seen in piece.seen]


def pictures(
    recording: Recording, topic: str, numbers: Sequence[int | None], shapes: Shapes, name: str
) -> Iterator[Image]:
    """The picture of each frame, of its size: RGB, black where there is none. Read once, in order.

    A picture that arrived before one that is shown earlier waits in memory.
    """
    height, width = shapes.cameras[name]
    uses: dict[int, int] = {}
    for number in numbers:
        if number is not None:
            uses[number] = uses.get(number, 0) + 1
    coming = raw_pictures(recording, topic, uses)
    ready: dict[int, Image] = {}
    for number in numbers:
        if number is None:
            yield np.zeros((height, width, 3), np.uint8)
            continue
        while number not in ready:
            found, picture = next(coming)
            ready[found] = pixels_of(picture, height, width, shapes.fit)
        yield ready[number]
        uses[number] -= 1
        if not uses[number]:
            del ready[number]


def raw_pictures(
    recording: Recording, topic: str, wanted: Mapping[int, int] | None = None
) -> Iterator[tuple[int, Picture]]:
    """Number and picture, not decoded, of the wanted messages of a topic (None: all)."""
    for number, raw in enumerate(recording.messages([topic])):
        if wanted is None or number in wanted:
            yield number, picture_of(raw.message)


def native_size(recording: Recording, topic: str) -> tuple[int, int]:
    """Height and width of a topic's first picture, made even as video needs it."""
    _, first = next(raw_pictures(recording, topic))
    height, width = decoded(first).shape[:2]
    return height // 2 * 2, width // 2 * 2


def frames_of(
    recording: Recording, topics: Mapping[str, str], piece: Piece, shapes: Shapes, columns: Columns
) -> Iterator[dict[str, np.ndarray]]:
    """The frames of a piece as a dataset's writer takes them. topics: of the cameras, by name."""
    images = {
        IMAGE + name: pictures(recording, topics[name], numbers_of(piece, name), shapes, name)
        for name in shapes.cameras
    }
    for i in range(piece.length):
        row = {name: values[i] for name, values in columns.items()}
        yield {**{name: next(coming) for name, coming in images.items()}, **row}


def mark_success(columns: Columns) -> None:
    """The last frame of a successful episode says so."""
    columns["next.success"][-1] = True
