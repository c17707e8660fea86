"""Which topics a robot's episode is made of, and which of a camera's topics is taken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lam_models.data.bags.topics import absolute, robot_of

COMPRESSED = "/compressed"
# Whoever looks at an episode later wants these, where they are published.
_CONTEXT = {
    "/tf": "transforms",
    "/tf_static": "transforms",
    "/robot_description": "robot_description",
    "/command_source": "command_source",
}


@dataclass(frozen=True)
class Wanted:
    """One thing to record, by its topic, or by one of several, the best first.

    must: its absence is worth a warning.
    """

    role: str
    names: tuple[str, ...]
    must: bool = False


def wanted_topics(
    robot: Mapping[str, Any], others: Mapping[str, str], more: Iterable[str]
) -> list[Wanted]:
    """All topics to record. others: roles by topic; more: topics the user adds."""
    out = []
    if robot:
        known = robot_of(robot)
        out = [Wanted("camera", _pictures(topic), True) for topic in known.cameras.values()]
        fixed = {
            known.joint_topic: "joints",
            known.pose_topic: "pose",
            known.command_topic: "command",
        }
        out += [Wanted(role, (name,), role != "command") for name, role in fixed.items() if name]
    seen = {name for one in out for name in one.names}
    rest = {**others, **dict.fromkeys(more, "other"), **_CONTEXT}
    for name, role in rest.items():
        if name and absolute(name) not in seen:
            seen.add(absolute(name))
            out.append(Wanted(role, (absolute(name),)))
    return out


def choose(names: Sequence[str], published: Iterable[str], patience_over: bool) -> str:
    """The topic to take of those that are published, "" for none yet."""
    found = set(published)
    if names[0] in found:
        return names[0]
    return next((name for name in names if name in found), "") if patience_over else ""


def _pictures(topic: str) -> tuple[str, ...]:
    bare = topic.removesuffix(COMPRESSED)
    return bare + COMPRESSED, bare
