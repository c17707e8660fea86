"""retarget_node: latent actions to the messages of one hand's driver. A managed node.

    /latent_action ─▶ judge ─▶ decode ─▶ limits, speed, acceleration ─▶ the driver's own type
    /joint_states  ─▶ where the first command starts from          └──▶ /diagnostics

A latent is answered in its own callback where the driver's rate allows; the timer continues a
motion between latents, and stops it when they cease. While the node is not active it says nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import rcl_interfaces.msg
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import JointState

from lam_models.command import UserError
from lam_models.construction import all_or_nothing
from lam_models.hands.space import open_space
from lam_models.hands.spec_file import read_hand
from lam_models.settings import declare
from lam_msgs.msg import EpisodeInfo, LatentAction
from lam_retarget import messages
from lam_retarget.following import Follower, Manners
from lam_retarget.judging import NS_PER_S, Rules
from lam_retarget.outlets import Driver
from lam_retarget.pacing import Durations, Gate
from lam_retarget.params import RetargetSettings
from lam_retarget.running_node import run

Done = TransitionCallbackReturn


@all_or_nothing
class RetargetNode(LifecycleNode):
    """Translates between ROS and a Follower, and keeps time."""

    def __init__(self, **options: Any) -> None:
        super().__init__("retarget_node", **options)
        self.settings = declare(self, RetargetSettings, rcl_interfaces.msg)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._answers = Durations()
        self._active = False
        self._follower: Follower | None = None
        self._made: list[Callable[[], object]] = []

    def on_configure(self, state: LifecycleState) -> Done:
        """Open the hand, the space and the driver; refuse in one sentence what does not fit."""
        try:
            self._open()
        except UserError as error:
            self.get_logger().error(str(error))
            self._close()
            return Done.FAILURE
        return Done.SUCCESS

    def _open(self) -> None:
        s = self.settings
        spec = read_hand(s.hand)
        rules = Rules(s.max_latent_age_s, s.sphere_tolerance)
        manners = Manners(rules, s.silence_s, s.speed_scale, bool(s.state_topic))
        self._follower = Follower(spec, open_space(s.space), manners)
        self._driver = Driver(self, spec, s.command_topic, s.max_effort)
        self._made.append(self._driver.close)
        self._gate = Gate(round(NS_PER_S / spec.command.rate_hz))
        self._said, self._episode_id = set[str](), ""
        # Best effort hears reliable and best-effort publishers alike; one latent replaces another.
        newest = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._hear(LatentAction, s.latent_topic, self._on_latent, newest)
        if s.state_topic:
            self._hear(JointState, s.state_topic, self._on_state, qos_profile_sensor_data)
        if s.episode_topic:
            latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
            self._hear(EpisodeInfo, s.episode_topic, self._on_episode, latched)
        self._timer = self.create_timer(self._gate.fill_ns / NS_PER_S, self._on_timer)
        report = self.create_timer(1.0, self._report)
        for timer in (self._timer, report):
            self._made.append(lambda timer=timer: self.destroy_timer(timer))
        latent = self._follower.latent
        self.get_logger().info(
            f"{spec.hand}: {s.latent_topic} of the space '{latent.name}' ({latent.space_hash}) to "
            f"{self._driver.name} as {self._driver.type}"
        )

    def _hear(self, kind: type, topic: str, callback: Callable, qos: QoSProfile) -> None:
        subscription = self.create_subscription(kind, topic, callback, qos)
        self._made.append(lambda: self.destroy_subscription(subscription))

    def _close(self) -> None:
        while self._made:
            self._made.pop()()
        self._follower = None

    def on_activate(self, state: LifecycleState) -> Done:
        """Begin anew: the first command starts from where the hand is now."""
        assert self._follower is not None
        self._follower.forget()
        self._driver.owed, self._active = None, True
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> Done:
        """Say nothing more; the driver holds its last target or lets go."""
        self._active = False
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> Done:
        """Give everything back."""
        self._active = False
        self._close()
        return Done.SUCCESS

    on_shutdown = on_cleanup

    def now_ns(self) -> int:
        """The robot's clock."""
        return self.get_clock().now().nanoseconds

    def _on_latent(self, message: LatentAction) -> None:
        began_ns = time.perf_counter_ns()
        if not self._active or self._follower is None:
            return
        now_ns = self.now_ns()
        verdict = self._follower.hear(messages.heard(message), now_ns)
        if verdict.latents is None:
            self._warn_once(verdict.kind, verdict.words)
        elif self._advance(now_ns):
            self._answers.add(time.perf_counter_ns() - began_ns)

    def _on_state(self, message: JointState) -> None:
        if self._active and self._follower is not None:
            self._follower.measured(list(message.name), message.position, self.now_ns())

    def _on_episode(self, message: EpisodeInfo) -> None:
        new, self._episode_id = message.episode_id != self._episode_id, message.episode_id
        if new and message.state == EpisodeInfo.STATE_RUNNING and self._follower is not None:
            self._follower.begin_episode(messages.time_ns(message.header.stamp), self.now_ns())
            self._driver.owed = None

    def _on_timer(self) -> None:
        if self._active:
            self._advance(self.now_ns())

    def _advance(self, now_ns: int) -> bool:
        """Tell the driver where to go, if it is time; whether it was told."""
        follower = self._follower
        if follower is None or not self._gate.opens(now_ns, follower.fresh):
            return False
        q = follower.advance(now_ns)
        if q is None and (q := self._driver.owed) is None:
            return False
        self._timer.reset()
        return self._driver.send(q, now_ns)

    def _warn_once(self, kind: str, words: str) -> None:
        if kind not in self._said:
            self._said.add(kind)
            self.get_logger().warning(f"refused, holding still: {words} (said once)")

    def _report(self) -> None:
        follower = self._follower
        if follower is None:
            return
        holding = follower.holding if self._active else "not active"
        values = {
            "hand": follower.spec.hand,
            "space": follower.latent.name,
            "space_hash": follower.latent.space_hash,
            "command": f"{self._driver.name} {self._driver.type}",
            **{f"refused_{kind}": str(count) for kind, count in follower.refusals.items()},
            "decode_p50_us": f"{follower.decode.percentile_us(50):.1f}",
            "decode_p95_us": f"{follower.decode.percentile_us(95):.1f}",
            "answer_p50_us": f"{self._answers.percentile_us(50):.1f}",
            "answer_p95_us": f"{self._answers.percentile_us(95):.1f}",
        }
        text = f"holding: {holding}" if holding else "following"
        self._diagnostics.publish(
            messages.diagnostics(self.get_name(), text, not holding, values, self.now_ns())
        )

    def destroy_node(self) -> None:
        """Leave the graph at once: rclpy forgets the state machine, which holds the node."""
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()


def main() -> None:
    """Run until interrupted."""
    run("retarget_node", RetargetNode)
