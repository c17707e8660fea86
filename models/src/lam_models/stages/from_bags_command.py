"""`lam data from-bags`: the command line of from_bags.py."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lam_models.command import UserError, unknown

if TYPE_CHECKING:
    from lam_models.data.bags.hand_commands import HandCommands
    from lam_models.data.bags.reading import Timing
    from lam_models.sense.align import StreamRule
    from lam_models.stages.from_bags import Plan

SUMMARY = "turn recorded bags into a LeRobot dataset"

_DEFAULT_HZ = 20
_RULES = ("asof", "hold", "drop")
_EPILOG = """A frame is what policy_node would have been served at that instant: each stream's
newest sample, of those that had arrived. A stream is a camera's name, ee_pose or joints. asof: a
sample older than AGE_S leaves a gap. hold: it is never too old. drop: the stream may be missing
(black, zeros, age -1). Interrupted, the same command goes on with the recordings that are left."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    add = parser.add_argument
    add("recordings", metavar="RECORDINGS", type=Path, help="folder of recordings, or one")
    add("--out", type=Path, required=True, help="dataset to write; must not exist")
    add("--overwrite", action="store_true", help="replace a dataset at OUT once the new is whole")
    add("--fps", type=int, help="frames a second (default: the robot's control rate)")
    add("--robot", type=Path, metavar="YAML", help="the robot's file (default: as recorded)")
    add("--cameras", default="", help="names joined by commas (default: all of the robot)")
    add("--size", default="", help="pixels: SIDE or HEIGHTxWIDTH (default: as recorded)")
    add("--fit", default="crop", help="to the size: crop, letterbox or stretch (default crop)")
    add("--hand", default="", help="whose driver's commands are in the bags (default: joints named "
        "in SI units)")  # fmt: skip
    add("--hand-topic", default="", help="commands to the hand (default: found by type)")
    add("--instruction", default="", help="in place of the recorded ones")
    add("--outcome", default="success,unknown", help="which are taken (default %(default)s)")
    _add_timing(add)
    add("--gaps", choices=("split", "refuse"), default="split", help="what a gap does: a new "
        "episode begins, or the recording is left out (default split)")  # fmt: skip
    add("--shortest", type=float, default=1.0, help="s; of an episode (default %(default)s)")
    add("--trim-idle", action="store_true", help="cut pauses off both ends")
    add("--codec", default="h264", help="h264 (fast) or av1 (LeRobot's own; default %(default)s)")
    add("--workers", default="auto", help="processes, or auto: one a core (default %(default)s)")


def _add_timing(add: Any) -> None:
    add(
        "--stream",
        action="append",
        default=[],
        metavar="NAME=RULE[:AGE_S]",
        help="asof, hold or drop; as often as needed (default: asof, with the robot's age limits)",
    )
    add(
        "--timeline",
        choices=("served", "true"),
        default="served",
        help="frames as a policy would have been served them, or as things truly were: latencies "
        "taken out (default served)",
    )
    add(
        "--camera-latency",
        action="append",
        default=[],
        metavar="[NAME=]S",
        help="from exposure to a picture's stamp; for all cameras or one",
    )
    add("--action-latency", type=float, default=0.0, help="s; from a command's stamp to the motion")
    add(
        "--estimate-latency",
        action="store_true",
        help="find the latencies that are not stated, by cross-correlation",
    )


def run(args: argparse.Namespace) -> int:
    """Exit code 0, or 130 after Ctrl-C."""
    from lam_models.stages.from_bags import convert
    from lam_models.stages.from_bags_latency import with_latencies

    plan = plan_of(args)
    try:
        if args.estimate_latency:
            plan = with_latencies(plan, print)
        converted = convert(plan)
    except KeyboardInterrupt:
        print("Stopped; converted recordings are kept. The same command goes on from there.")
        return 130
    left_out = f"; {len(converted.left_out)} left out" if converted.left_out else ""
    print(
        f"{converted.path}: {converted.episodes} episodes, {converted.frames} frames of "
        f"{len(converted.parts)} recordings{left_out}"
    )
    return 0


def plan_of(args: argparse.Namespace) -> Plan:
    """UserError for whatever cannot be."""
    from lam_models.data.bags.convert import Conversion
    from lam_models.data.bags.hand_commands import HandCommands
    from lam_models.data.bags.topics import read_robot
    from lam_models.data.video import codec_named
    from lam_models.sense.pixels import FITS
    from lam_models.stages.from_bags import Plan

    robot = read_robot(args.robot) if args.robot else {}
    fps = args.fps if args.fps is not None else _control_rate(args.recordings, robot)
    for name, value in (("--fps", fps), ("--shortest", args.shortest)):
        if value <= 0:
            raise UserError(f"{name} is {value:g}; it must be above 0")
    if args.fit not in FITS:
        raise unknown("way to fit an image", args.fit, FITS)
    codec_named(args.codec)
    cameras = tuple(name for name in args.cameras.split(",") if name)
    hand, hand_topic = _hand(args.hand) if args.hand else (HandCommands(), "")
    wanted = Conversion(
        fps=fps,
        cameras=cameras,
        size=_size(args.size) if args.size else None,
        fit=args.fit,
        rules=_stream_rules(args.stream),
        timing=_timing(args),
        gaps=args.gaps,
        trim_idle=args.trim_idle,
        shortest_s=args.shortest,
        hand_topic=args.hand_topic or hand_topic,
        instruction=args.instruction,
        codec=args.codec,
        hand=hand,
    )
    return Plan(
        recordings=args.recordings,
        out=args.out,
        wanted=wanted,
        robot=robot,
        outcomes=tuple(name for name in args.outcome.split(",") if name),
        workers=_workers(args.workers),
        overwrite=args.overwrite,
    )


def _control_rate(recordings: Path, robot: Mapping[str, Any]) -> int:
    """Of the robot, or of the first recording's."""
    from lam_models.data.bags.recording import find_recordings, read_about

    for path in [] if robot else find_recordings(recordings):
        robot = read_about(path).robot
        if robot:
            break
    values = robot.get("policy_node", {}).get("ros__parameters", {})
    return round(values.get("control_rate_hz", _DEFAULT_HZ))


def _size(text: str) -> tuple[int, int]:
    sides = text.split("x")
    if len(sides) > 2 or not all(side.isdigit() and int(side) >= 16 for side in sides):
        raise UserError(f"--size is '{text}'; allowed: SIDE or HEIGHTxWIDTH, 16 or more")
    height, width = int(sides[0]), int(sides[-1])
    if height % 2 or width % 2:
        raise UserError(f"--size is '{text}'; video needs even numbers")
    return height, width


def _stream_rules(texts: Sequence[str]) -> dict[str, StreamRule]:
    from lam_models.sense.align import StreamRule

    out = {}
    for text in texts:
        name, _, rest = text.partition("=")
        rule, _, age = rest.partition(":")
        if rule not in _RULES:
            raise UserError(f"--stream {text}: {unknown('rule', rule, _RULES)}")
        if rule != "hold" and not age:
            raise UserError(f"--stream {text}: it needs an age, as in {name}={rule}:0.2")
        max_age_s = _seconds("--stream", age) if age else 0.0
        out[name] = StreamRule(max_age_s, rule)  # pyright: ignore[reportArgumentType]
    return out


def _timing(args: argparse.Namespace) -> Timing:
    from lam_models.data.bags.reading import ALL_CAMERAS, Timing

    cameras = {}
    for text in args.camera_latency:
        name, _, value = text.rpartition("=")
        cameras[name or ALL_CAMERAS] = _seconds("--camera-latency", value)
    return Timing(args.timeline, cameras, args.action_latency)


def _seconds(option: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{option}: '{text}' is no number of seconds") from None


def _hand(name: str) -> tuple[HandCommands, str]:
    """How a hand's driver is told, and on what topic."""
    from lam_models.data.bags.hand_commands import Channel, HandCommands
    from lam_models.hands.driver import driver_units
    from lam_models.hands.spec_file import read_hand

    spec = read_hand(name)
    units = driver_units(spec)
    channels = tuple(
        Channel(channel, spec.actuated[units.take[i]], float(units.gain[i]), float(units.offset[i]))
        for i, channel in enumerate(units.names)
    )
    return HandCommands(tuple(spec.actuated), channels), spec.command.name


def _workers(text: str) -> int:
    if text == "auto":
        return len(os.sched_getaffinity(0))
    if not text.isdigit() or int(text) < 1:
        raise UserError(f"--workers is '{text}'; allowed: auto, or a number from 1")
    return int(text)
