"""One recording to the encoded episodes it becomes. No dataset is needed for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

from lam_models.command import UserError, unknown
from lam_models.data.bags import frames as made
from lam_models.data.bags.frames import Columns, Frames, Shapes
from lam_models.data.bags.grid import Piece, cut
from lam_models.data.bags.hand_commands import HandCommands
from lam_models.data.bags.idle import busy_span
from lam_models.data.bags.reading import Content, Timing, read_content
from lam_models.data.bags.recording import Recording
from lam_models.data.bags.topics import Robot, Topics, topics_of
from lam_models.data.episode import EncodedEpisode
from lam_models.data.statistics import PixelHistogram
from lam_models.data.video import VideoEncoder, codec_named
from lam_models.sense.align import StreamRule
from lam_models.sense.observing import JOINTS, NS_PER_S, POSE

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Conversion:
    """What is made of a recording.

    size: height and width of the pictures, None as recorded. rules: instead of the robot's, by
        stream. gaps: "split" begins a new episode after each, "refuse" converts no such recording.
    shortest_s: of an episode; a shorter piece between gaps is left out.
    instruction: instead of the recording's own; "" for that.
    """

    fps: int
    cameras: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    fit: str = "crop"
    rules: Mapping[str, StreamRule] = field(default_factory=dict)
    timing: Timing = field(default_factory=Timing)
    gaps: Literal["split", "refuse"] = "split"
    trim_idle: bool = False
    shortest_s: float = 1.0
    hand_topic: str = ""
    hand: HandCommands = field(default_factory=HandCommands)
    ee_frame: str = "ee_link"
    instruction: str = ""
    codec: str = "h264"


@dataclass(frozen=True)
class Opened:
    """A recording on its grid, its light columns made. pieces and columns belong together."""

    recording: Recording
    topics: Topics
    shapes: Shapes
    pieces: tuple[Piece, ...]
    columns: tuple[Columns, ...]
    notes: tuple[str, ...]
    instruction: str

    @property
    def frame_count(self) -> int:
        return sum(piece.length for piece in self.pieces)


def open_recording(recording: Recording, robot: Robot, wanted: Conversion) -> Opened:
    """Everything but the pictures. UserError with the reason where it cannot be converted."""
    about = recording.about
    instruction = wanted.instruction or about.instruction
    if not instruction:
        raise UserError("it has no instruction (say --instruction)")
    topics = topics_of(recording, robot, wanted.cameras, wanted.hand_topic)
    content = read_content(recording, robot, topics, wanted.hand, wanted.timing)
    shapes = _shapes(recording, topics, content, robot, wanted)
    first_ns, last_ns = recording.span_ns
    # What came before the start and after the end was another episode or none.
    span_ns = max(first_ns, about.started_ns), min(last_ns, about.ended_ns or last_ns)
    gridded = cut(content, _rules(shapes, robot, wanted), span_ns, wanted.fps)
    if gridded.gaps and wanted.gaps == "refuse":
        raise UserError("; ".join(map(str, gridded.gaps)))
    notes = [f"gap: {gap}" for gap in gridded.gaps]
    notes += [f"{n} samples of '{name}' from the future" for name, n in gridded.rejected.items()]
    notes += [f"{n} poses in the frame {name} left out" for name, n in content.foreign.items()]
    frames = Frames(robot.base_frame, wanted.ee_frame, wanted.timing)
    kept = [
        _trimmed(piece, made.columns_of(content, piece, shapes, frames), wanted)
        for piece in gridded.pieces
    ]
    fewest = max(2, round(wanted.shortest_s * wanted.fps))
    if short := [piece.length for piece, _ in kept if piece.length < fewest]:
        notes.append(f"{len(short)} pieces too short: {sum(short)} frames left out")
    kept = [(piece, columns) for piece, columns in kept if piece.length >= fewest]
    if not kept:
        reasons = [str(gap) for gap in gridded.gaps] or ["it is too short, or nothing moves"]
        raise UserError(f"no {wanted.shortest_s:g} s in one piece: {'; '.join(reasons)}")
    if about.outcome == made.SUCCESS:
        made.mark_success(kept[-1][1])
    return Opened(
        recording=recording,
        topics=topics,
        shapes=shapes,
        pieces=tuple(piece for piece, _ in kept),
        columns=tuple(columns for _, columns in kept),
        notes=tuple(notes),
        instruction=instruction,
    )


def _shapes(
    recording: Recording, topics: Topics, content: Content, robot: Robot, wanted: Conversion
) -> Shapes:
    sizes = {
        name: wanted.size or made.native_size(recording, topic)
        for name, topic in topics.cameras.items()
    }
    joints = wanted.hand.joints
    if not joints:
        joints = tuple(dict.fromkeys(name for _, target in content.hand for name in target))
    if not joints and content.joints:  # Nobody commands a hand: then all that is reported.
        joints = tuple(content.joints[0][1])
    pinholes = robot.pinholes if wanted.fit == "crop" else {}
    return Shapes(sizes, joints, wanted.fit, pinholes)


def _rules(shapes: Shapes, robot: Robot, wanted: Conversion) -> dict[str, StreamRule]:
    """Of the streams that are needed; the robot's limits where nothing else is wanted."""
    ages = {POSE: robot.ages.pose_s, JOINTS: robot.ages.joints_s}
    rules = {name: StreamRule(ages.get(name, robot.ages.camera_s)) for name in shapes.streams}
    for name, rule in wanted.rules.items():
        if name not in rules:
            raise unknown("stream", name, rules)
        rules[name] = rule
    return rules


def _trimmed(piece: Piece, columns: Columns, wanted: Conversion) -> tuple[Piece, Columns]:
    if not wanted.trim_idle:
        return piece, columns
    start, stop = busy_span(columns, wanted.fps)
    return piece.part(start, stop), {key: values[start:stop] for key, values in columns.items()}


def encode(
    opened: Opened, wanted: Conversion, threads: int = 1, advance: Advance = lambda frames: None
) -> list[EncodedEpisode]:
    """The episodes, a thread a camera: decoding, resizing and encoding leave Python's lock.

    advance: called with frames times cameras as they are done, from several threads.
    """
    with ThreadPoolExecutor(max(1, min(threads, len(opened.shapes.cameras))), "encode") as pool:
        tasks = {
            name: pool.submit(_encode_camera, opened, name, wanted, advance)
            for name in opened.shapes.cameras
        }
        videos = {made.IMAGE + name: task.result() for name, task in tasks.items()}
    return [
        EncodedEpisode(
            task=opened.instruction,
            length=piece.length,
            columns=columns,
            videos={name: parts[i][0] for name, parts in videos.items()},
            pixels={name: parts[i][1] for name, parts in videos.items()},
        )
        for i, (piece, columns) in enumerate(zip(opened.pieces, opened.columns, strict=True))
    ]


def _encode_camera(
    opened: Opened, name: str, wanted: Conversion, advance: Advance
) -> list[tuple[bytes, PixelHistogram]]:
    """A video and its statistics for each piece; the camera's messages are read once."""
    numbers = [n for piece in opened.pieces for n in made.numbers_of(piece, name)]
    topic = opened.topics.cameras[name]
    images = made.pictures(opened.recording, topic, numbers, opened.shapes, name)
    height, width = opened.shapes.cameras[name]
    out = []
    for piece in opened.pieces:
        encoder = VideoEncoder(wanted.fps, height, width, codec_named(wanted.codec))
        pixels = PixelHistogram()
        for _ in range(piece.length):
            image = next(images)
            encoder.add(image)
            pixels.add(image)
            advance(1)
        out.append((encoder.finish(), pixels))
    return out


def seconds(recording: Recording) -> float:
    """Of the recording, from its first message to its last."""
    first_ns, last_ns = recording.span_ns
    return (last_ns - first_ns) / NS_PER_S
