"""The latencies of a robot, estimated over several of its recordings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lam_models.command import UserError
from lam_models.data.bags.latency import (
    Estimate,
    Pair,
    action_pair,
    camera_pair,
    content_of,
    estimate,
)
from lam_models.data.bags.reading import ALL_CAMERAS
from lam_models.data.bags.topics import robot_of, topics_of
from lam_models.stages.from_bags import Plan, open_chosen, recordings_of, robot_content

ACTION = "action"
# More recordings make the estimate no better that is one of seconds of motion.
_MOST_RECORDINGS = 8


def estimate_latencies(plan: Plan) -> dict[str, Estimate]:
    """By camera, and "action". Recordings that cannot be read are passed over."""
    pairs: dict[str, list[Pair]] = {}
    read = 0
    reasons = []
    for name, path in recordings_of(plan):
        if read == _MOST_RECORDINGS:
            break
        try:
            found = _pairs(plan, path)
        except UserError as error:
            reasons.append(f"{name}: {error}")
            continue
        read += 1
        for stream, pair in found.items():
            pairs.setdefault(stream, []).append(pair)
    if not pairs:
        raise UserError(f"no latency can be estimated: {'; '.join(reasons) or 'no recordings'}")
    return {stream: estimate(found) for stream, found in pairs.items()}


def with_latencies(plan: Plan, say: Callable[[str], None]) -> Plan:
    """The plan with estimated latencies where it states none; 0 where none can be told."""
    timing = plan.wanted.timing
    cameras, action_s = dict(timing.camera_latency_s), timing.action_latency_s
    for stream, found in estimate_latencies(plan).items():
        all_stated = ALL_CAMERAS in cameras and stream != ACTION
        known = stream in cameras or all_stated or (stream == ACTION and action_s)
        say(f"latency of {stream}: {found}{' (the stated one is used)' if known else ''}")
        if known or found.reason:
            continue
        if stream == ACTION:
            action_s = round(found.latency_s, 4)
        else:
            cameras[stream] = round(found.latency_s, 4)
    timing = replace(timing, camera_latency_s=cameras, action_latency_s=action_s)
    return replace(plan, wanted=replace(plan.wanted, timing=timing))


def _pairs(plan: Plan, path: Path) -> dict[str, Pair]:
    recording = open_chosen(plan, path)
    robot, wanted = robot_of(robot_content(plan, recording)), plan.wanted
    topics = topics_of(recording, robot, wanted.cameras, wanted.hand_topic)
    content = content_of(recording, robot, topics, wanted.hand)
    out = {name: camera_pair(recording, content, topics, name) for name in topics.cameras}
    action = action_pair(content, robot.base_frame, wanted.ee_frame)
    return out if action is None else {**out, ACTION: action}
