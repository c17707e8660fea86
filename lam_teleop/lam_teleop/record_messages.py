"""Translates between ROS and a Recorder: words of outcomes, episodes' news, quality of service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Header

from lam_msgs.msg import EpisodeInfo
from lam_msgs.srv import StopEpisode
from lam_teleop.bags.recorder import Report
from lam_teleop.command_messages import duration_message, time_message

OUTCOMES: Mapping[int, str] = {
    StopEpisode.Request.OUTCOME_UNKNOWN: "unknown",
    StopEpisode.Request.OUTCOME_SUCCESS: "success",
    StopEpisode.Request.OUTCOME_FAILURE: "failure",
    StopEpisode.Request.OUTCOME_DISCARD: "discarded",
}
# What became of an episode, by the state that ends it.
ENDS: Mapping[int, str] = {
    EpisodeInfo.STATE_SUCCEEDED: "success",
    EpisodeInfo.STATE_FAILED: "failure",
    EpisodeInfo.STATE_DISCARDED: "discarded",
    EpisodeInfo.STATE_IDLE: "unknown",
}
_STATES = {outcome: state for state, outcome in ENDS.items()}
# A pause of the recorder for as long as this many messages take loses none.
_DEPTH = 500
_PICTURES_DEPTH = 90


def episode_info(
    episode_id: str, outcome: str, began_ns: int, now_ns: int, about: Mapping[str, str]
) -> EpisodeInfo:
    """News of the recorder's own episode. outcome: "" while it runs."""
    return EpisodeInfo(
        header=Header(stamp=time_message(now_ns)),
        episode_id=episode_id,
        state=_STATES[outcome] if outcome else EpisodeInfo.STATE_RUNNING,
        seed=-1,
        started=time_message(began_ns),
        elapsed=duration_message(max(0, now_ns - began_ns)),
        **about,
    )


def diagnostics(name: str, report: Report, stamp_ns: int) -> DiagnosticArray:
    """The recorder's state."""
    levels = (DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR)
    values = [KeyValue(key=key, value=value) for key, value in report.values.items()]
    status = DiagnosticStatus(
        level=levels[report.level], name=name, message=report.text, values=values
    )
    return DiagnosticArray(header=Header(stamp=time_message(stamp_ns)), status=[status])


def hearing_profile(offered: Sequence[QoSProfile], role: str) -> QoSProfile:
    """What hears every one of these publishers, as reliably as they all allow."""
    reliable = all(one.reliability == ReliabilityPolicy.RELIABLE for one in offered)
    latched = all(one.durability == DurabilityPolicy.TRANSIENT_LOCAL for one in offered)
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=_PICTURES_DEPTH if role == "camera" else _DEPTH,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def profile_json(profile: QoSProfile) -> dict[str, Any]:
    """A publisher's profile as rosbag2 keeps it."""
    depth = profile.depth or 1
    history = "keep_all" if profile.history == HistoryPolicy.KEEP_ALL else "keep_last"
    return {
        "history": history,
        "depth": depth,
        "reliability": _word(profile.reliability, "reliable", "best_effort"),
        "durability": _word(profile.durability, "transient_local", "volatile"),
        "deadline": _span(profile.deadline.nanoseconds),
        "lifespan": _span(profile.lifespan.nanoseconds),
        "liveliness": "automatic",
        "liveliness_lease_duration": _span(profile.liveliness_lease_duration.nanoseconds),
        "avoid_ros_namespace_conventions": bool(profile.avoid_ros_namespace_conventions),
    }


def _word(policy: Any, first: str, other: str) -> str:
    return first if policy.name.lower() == first else other


def _span(nanoseconds: int) -> dict[str, int]:
    sec, nsec = divmod(nanoseconds, 1_000_000_000)
    return {"sec": sec, "nsec": nsec}
