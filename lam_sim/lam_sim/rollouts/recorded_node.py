"""Who has a launched robot teleoperated by its scripted expert, and each episode recorded.

reset_world ─▶ record_node/start ─▶ the expert acts as a person ─▶ record_node/stop
"""

from __future__ import annotations

from collections.abc import Callable

from lam_models.command import UserError
from lam_msgs.msg import EndEffectorDelta, EpisodeInfo
from lam_msgs.srv import StartEpisode, StopEpisode
from lam_sim.rollouts.robot_node import READY_S, SLOWEST, RobotClient
from lam_sim.rollouts.rollout import Outcome
from lam_sim.table.stage import CAMERAS
from lam_sim.worlds import EpisodeJob

_NS_PER_S = 1_000_000_000
# What the recorder heard last must be of the new scene before the first frame is.
_SETTLE_S = 0.1
_PICTURES = tuple(f"/{camera}/image_raw/compressed" for camera in CAMERAS)
_RECORDED = ("/ee_delta", "/ee_pose", "/joint_states", *_PICTURES)


class RecordingClient(RobotClient):
    """Records episodes on the robot of a ROS domain. fault: why it does not run, or ""."""

    def __init__(self, domain: int, fault: Callable[[], str], operator_name: str) -> None:
        super().__init__("lam_record", domain, fault)
        self._operator_name = operator_name
        self._start = self.node.create_client(StartEpisode, "record_node/start")
        self._stop = self.node.create_client(StopEpisode, "record_node/stop")
        self._obeyed = False
        self.node.create_subscription(EndEffectorDelta, "ee_delta", self._on_command, 10)

    def wait_until_ready(self) -> None:
        """UserError where the nodes are not at work in time."""
        self.need_simulator()
        for client in (self._start, self._stop):
            self.need(client.service_is_ready, f"there is no {client.srv_name}", READY_S)
        # It acts in the episode that the launch began, or did until that was over.
        self.need(
            lambda: self._obeyed or self.info.state > EpisodeInfo.STATE_RUNNING,
            "nobody teleoperates",
            READY_S,
        )
        self.need(self._is_heard, "record_node does not hear the robot", READY_S)

    def record(self, job: EpisodeJob, limit_s: float, note: str, linger_s: float) -> Outcome:
        """One episode and its recording. UserError where either did not come about.

        limit_s: the task's own. linger_s: recorded beyond a success, so that it ends at rest.
        """
        begun = self.begin(job)
        self._wait(_SETTLE_S, job)
        wanted = StartEpisode.Request(
            instruction=begun.instruction, operator_name=self._operator_name, note=note
        )
        started = self.done(self._start.call_async(wanted), "record_node/start")
        if not started.success:
            raise UserError(f"{job}: {started.message}")
        self.need(self.has_ended, f"{job}: the episode did not end", SLOWEST * limit_s)
        success = self.info.state == EpisodeInfo.STATE_SUCCEEDED
        self._wait(linger_s, job)
        kind = StopEpisode.Request
        outcome = kind.OUTCOME_SUCCESS if success else kind.OUTCOME_FAILURE
        stopped = self.done(self._stop.call_async(kind(outcome=outcome)), "record_node/stop")
        if not stopped.success:
            raise UserError(f"{job}: {stopped.message}")
        return Outcome(job.seed, begun.instruction, success, self.duration_s())

    def _wait(self, duration_s: float, job: EpisodeJob) -> None:
        """On the robot's clock."""
        end_ns = self.now_ns() + round(duration_s * _NS_PER_S)
        self.need(lambda: self.now_ns() >= end_ns, f"{job}: time stands still")

    def _on_command(self, message: EndEffectorDelta) -> None:
        self._obeyed = self._obeyed or message.source == EndEffectorDelta.SOURCE_TELEOP

    def _is_heard(self) -> bool:
        """Whether the recorder has found all that an episode is made of."""
        listeners = (self.node.get_subscriptions_info_by_topic(topic) for topic in _RECORDED)
        return all("record_node" in {one.node_name for one in found} for found in listeners)
