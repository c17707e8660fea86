"""The recorder's subscriptions: made as publishers appear, serialized, of whatever type.

wanted topics + the graph ─▶ one raw subscription each ─▶ Recorder.hear
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from rclpy.subscription import Subscription

from lam_models.command import UserError
from lam_teleop import record_messages as messages
from lam_teleop.bags.definitions import definition_of, type_hash
from lam_teleop.bags.episode_writer import Topic
from lam_teleop.bags.recorder import Recorder
from lam_teleop.bags.wanted import Wanted, choose

NS_PER_S = 1_000_000_000


@dataclass
class _Ear:
    """One subscription and the thing it is for."""

    topic: str
    subscription: Subscription
    is_reliable: bool


class Listening:
    """Subscribes to what is wanted. raw_after_s: how long to wait for a camera's best topic."""

    def __init__(
        self, node: Node, recorder: Recorder, wanted: Sequence[Wanted], raw_after_s: float
    ) -> None:
        self._node, self._recorder, self._wanted = node, recorder, wanted
        self._patience_ns = round(raw_after_s * NS_PER_S)
        self._ears: dict[Wanted, _Ear] = {}
        self._seen_ns: dict[Wanted, int] = {}
        self._told: set[str] = set()
        self._single: set[str] = set()

    @property
    def absent(self) -> list[str]:
        """What must be recorded and is not published."""
        return [one.names[0] for one in self._wanted if one.must and one not in self._ears]

    def look(self, now_ns: int) -> None:
        """Subscribe to what has appeared; listen less strictly where a publisher asks for it."""
        published = {name for name, _ in self._node.get_topic_names_and_types()}
        for one in self._wanted:
            ear = self._ears.get(one)
            if ear is not None and (ear.topic == one.names[0] or self._recorder.episode):
                self._relax(one, ear)
                continue
            if not published.isdisjoint(one.names):
                first_ns = self._seen_ns.setdefault(one, now_ns)
                patient = now_ns - first_ns < self._patience_ns
                name = choose(one.names, self._published(one.names, published), not patient)
                if name and (ear is None or ear.topic != name):
                    self._listen(one, name)

    def _published(self, names: Sequence[str], known: set[str]) -> list[str]:
        return [name for name in names if name in known and self._node.count_publishers(name)]

    def _listen(self, one: Wanted, name: str) -> None:
        offers = self._node.get_publishers_info_by_topic(name)
        types = sorted({offer.topic_type for offer in offers})
        if len(types) != 1:
            self._tell(f"{name} is published as {' and '.join(types) or 'nothing'}: not recorded")
            return
        try:
            kind, definition = _class_of(types[0]), definition_of(types[0])
        except (UserError, ImportError, AttributeError) as error:
            self._tell(f"{name} is not recorded: {error}")
            return
        profiles = [offer.qos_profile for offer in offers]
        profile = messages.hearing_profile(profiles, one.role)
        if name not in self._recorder.topics:
            self._recorder.add_topic(
                Topic(
                    name=name,
                    type=types[0],
                    role=one.role,
                    definition=definition,
                    hash=type_hash(types[0]),
                    qos=tuple(map(messages.profile_json, profiles)),
                    latched=profile.durability == DurabilityPolicy.TRANSIENT_LOCAL,
                )
            )
        if (old := self._ears.get(one)) is not None:
            self._node.destroy_subscription(old.subscription)
        self._count(name, len(offers))
        # rclpy's annotations know callbacks without the message's info only.
        hear: Any = partial(self._hear, name)
        subscription = self._node.create_subscription(kind, name, hear, profile, raw=True)
        reliable = profile.reliability == ReliabilityPolicy.RELIABLE
        self._ears[one] = _Ear(name, subscription, reliable)
        self._node.get_logger().info(f"hearing {name} ({types[0]})")

    def _relax(self, one: Wanted, ear: _Ear) -> None:
        """A publisher that offers less is not heard by who asks for more."""
        offers = self._node.get_publishers_info_by_topic(ear.topic)
        self._count(ear.topic, len(offers))
        if not ear.is_reliable:
            return
        if any(o.qos_profile.reliability != ReliabilityPolicy.RELIABLE for o in offers):
            self._listen(one, ear.topic)

    def _count(self, name: str, publishers: int) -> None:
        (self._single.add if publishers == 1 else self._single.discard)(name)

    def _hear(self, name: str, data: bytes, info: Mapping[str, Any]) -> None:
        # The middleware's numbers are each publisher's own, and it does not say whose.
        number = info.get("publication_sequence_number") if name in self._single else 0
        self._recorder.hear(name, self._node.get_clock().now().nanoseconds, data, number or 0)

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._node.get_logger().warning(text)


def _class_of(type_name: str) -> Any:
    package, kind, name = type_name.split("/")
    return getattr(importlib.import_module(f"{package}.{kind}"), name)
