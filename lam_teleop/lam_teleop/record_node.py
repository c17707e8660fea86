"""record_node: episodes of a robot as bags, without losing a message.

    topics of the robot's file ─▶ Listening (raw) ─▶ Recorder ─▶ FOLDER/<episode_id>/
    ~/start ~/stop ~/discard ~/annotate, or the simulator's /episode (follow_episodes)

State on /diagnostics; news of each recorded episode, latched, on ~/episode.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rcl_interfaces.msg
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String

from lam_models.command import UserError
from lam_models.construction import all_or_nothing
from lam_models.data.bags.topics import read_robot
from lam_models.hands.spec_file import read_hand
from lam_models.settings import declare
from lam_msgs.msg import EpisodeInfo
from lam_teleop import record_messages as messages
from lam_teleop.bags.recorder import Closed, Recorder
from lam_teleop.bags.sidecar import software_commit
from lam_teleop.bags.wanted import Wanted, wanted_topics
from lam_teleop.listening_node import Listening
from lam_teleop.record_desk_node import Desk, offer_services
from lam_teleop.record_params import RecordSettings
from lam_teleop.running_node import run

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_LOOK_S, _WATCH_S = 0.5, 0.5


@all_or_nothing
class RecordNode(Node):
    """Translates between ROS and a Recorder, and keeps time."""

    def __init__(self, **options: Any) -> None:
        super().__init__("record_node", **options)
        s = self.settings = declare(self, RecordSettings, rcl_interfaces.msg)
        robot = read_robot(Path(s.robot)) if s.robot else {}
        root = Path(s.folder).expanduser()
        self._recorder = Recorder(root, robot, software_commit(), s.limits())
        self.listening = Listening(self, self._recorder, _wanted(s, robot), s.raw_after_s)
        self._instruction, self._followed, self._level = "", "", 0
        self._about: dict[str, str] = {}
        self._news = self.create_publisher(EpisodeInfo, "~/episode", LATCHED)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # Volatile hears every publisher, latched or not.
        self.create_subscription(String, s.instruction_topic, self._on_instruction, 10)
        if s.follow_episodes and s.episode_topic:
            self.create_subscription(EpisodeInfo, s.episode_topic, self._on_episode, LATCHED)
        offer_services(
            self, Desk(self.now_ns, self.begin, self.end, self._recorder, self.listening)
        )
        self.create_timer(_LOOK_S, lambda: self.listening.look(self.now_ns()))
        self.create_timer(_WATCH_S, self._watch)
        self.get_logger().info(f"recordings go to {root.resolve()}")

    def now_ns(self) -> int:
        """The robot's clock."""
        return self.get_clock().now().nanoseconds

    def begin(self, instruction: str, operator_name: str, note: str) -> str:
        """Start an episode; its id. UserError as Recorder.start."""
        now_ns = self.now_ns()
        instruction = instruction or self._instruction
        operator_name = operator_name or self.settings.operator_name
        episode_id = self._recorder.start(now_ns, instruction, operator_name, note)
        self._about = {"instruction": instruction, "operator_name": operator_name}
        self._news.publish(messages.episode_info(episode_id, "", now_ns, now_ns, self._about))
        self.get_logger().info(f"recording {episode_id}: {instruction or 'no instruction'}")
        if absent := self.listening.absent:
            self.get_logger().warning(f"not published: {', '.join(absent)}")
        return episode_id

    def end(self, outcome: str, note: str = "") -> Closed:
        """Stop the episode. UserError as Recorder.stop."""
        closed = self._recorder.stop(self.now_ns(), outcome, note)
        self._tell(closed)
        return closed

    def _tell(self, closed: Closed) -> None:
        now_ns = self.now_ns()
        self._news.publish(
            messages.episode_info(
                closed.episode_id, closed.outcome, now_ns - closed.elapsed_ns, now_ns, self._about
            )
        )
        text = f"{closed.episode_id}: {closed.outcome}, {closed.elapsed_ns / 1e9:.1f} s"
        if closed.lost:
            self.get_logger().warning(f"{text}, {closed.lost} messages lost (lam bags info)")
        else:
            self.get_logger().info(f"{text}, nothing lost" if closed.folder else text)

    def _on_instruction(self, message: String) -> None:
        self._instruction = message.data

    def _on_episode(self, message: EpisodeInfo) -> None:
        try:
            if message.state == EpisodeInfo.STATE_RUNNING:
                if message.episode_id == self._followed:
                    return
                if self._recorder.episode:
                    self.end("unknown")
                self._followed = message.episode_id
                note = f"episode {message.episode_id}, task {message.task}, seed {message.seed}"
                self.begin(message.instruction, message.operator_name, note)
            elif message.episode_id == self._followed and self._recorder.episode:
                self.end(messages.ENDS[message.state])
        except UserError as error:
            self.get_logger().error(str(error))

    def _watch(self) -> None:
        report = self._recorder.watch(self.now_ns())
        self._diagnostics.publish(messages.diagnostics(self.get_name(), report, self.now_ns()))
        if report.level > self._level:
            log = self.get_logger()
            (log.warning if report.level == 1 else log.error)(report.text)
        self._level = report.level
        if report.stopped:
            self._tell(report.stopped)

    def farewell(self) -> None:
        """An episode that runs is finished, not lost."""
        if self._recorder.episode:
            self.end("unknown", "the recorder was stopped")


def _wanted(s: RecordSettings, robot: dict[str, Any]) -> list[Wanted]:
    others = {
        s.latent_topic: "latent",
        s.instruction_topic: "instruction",
        s.episode_topic: "episode",
    }
    if s.hand:
        others[read_hand(s.hand).command.name] = "hand_command"
    return wanted_topics(robot, others, s.topics)


def main() -> None:
    """Run until interrupted."""
    run("record_node", RecordNode, RecordNode.farewell)
