"""The demo's eyes and hands on ROS: begins episodes, watches how they end, keeps the images."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CompressedImage

from lam_bringup.demo_policy_node import PolicyClient
from lam_bringup.demo_report import Outcome, Plan
from lam_bringup.demo_video import Recording
from lam_models.command import UserError
from lam_msgs.msg import EpisodeInfo, WorldTruth
from lam_msgs.srv import ResetWorld

# Images that still come after success show the result; the hand lets go in this time.
AFTERGLOW_S = 0.6
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class DemoNode:
    """Runs episodes one after the other. `alive` says whether what was launched still runs.

    with_policy: a policy is launched, too, and told what to do; else an expert does it unasked.
    Used as a context manager, which owns rclpy for its time.
    """

    def __init__(
        self,
        alive: Callable[[], str],
        view: Callable[[str, bytes], None] | None,
        with_policy: bool = False,
    ) -> None:
        # Ctrl-C is to raise KeyboardInterrupt here, as in any program.
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self._alive, self._view = alive, view
        self._node = rclpy.create_node("lam_demo")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._reset = self._node.create_client(ResetWorld, "reset_world")
        self._policy = PolicyClient(self._node, self._spin_until) if with_policy else None
        self._info = EpisodeInfo()
        self._truth = WorldTruth()
        self._episode_id = ""
        self._recording = Recording()
        node = self._node
        node.create_subscription(EpisodeInfo, "episode", self._on_info, LATCHED)
        node.create_subscription(WorldTruth, "truth", self._on_truth, 10)
        for camera in ("front", "wrist"):
            node.create_subscription(
                CompressedImage,
                f"{camera}/image_raw/compressed",
                partial(self._on_image, camera),
                qos_profile_sensor_data,
            )

    def __enter__(self) -> DemoNode:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
        if self._policy:
            self._policy.close()
        self._node.destroy_node()
        rclpy.shutdown()

    def _on_info(self, message: EpisodeInfo) -> None:
        self._info = message

    def _on_truth(self, message: WorldTruth) -> None:
        self._truth = message

    def _on_image(self, camera: str, message: CompressedImage) -> None:
        if self._view:
            self._view(camera, bytes(message.data))
        if self._episode_id:
            stamp_ns = message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
            getattr(self._recording, camera).append((stamp_ns, bytes(message.data)))

    def _spin_until(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Handle messages until `done`; False where that took too long."""
        end_s = time.monotonic() + timeout_s
        while not done():
            if fault := self._alive():
                raise UserError(fault)
            if time.monotonic() > end_s:
                return False
            self._executor.spin_once(timeout_sec=0.1)
        return True

    def wait_until_ready(self, timeout_s: float) -> None:
        """UserError where no simulator answers in time, or the policy is not at work in its own."""
        if self._policy:
            self._policy.wait_until_active()
        if not self._spin_until(self._reset.service_is_ready, timeout_s):
            raise UserError(f"no simulator offered /reset_world within {timeout_s:g} s")

    def run(
        self,
        plan: Plan,
        difficulty: float,
        timeout_s: float,
        progress: Callable[[str, float], None],
    ) -> tuple[Outcome, Recording]:
        """One episode from reset to success, the task's own time limit, or `timeout_s`.

        UserError where the simulator or the policy refuses the episode.
        """
        self._recording, self._episode_id = Recording(), ""
        request = ResetWorld.Request(
            task=plan.task, end_effector=plan.hand, seed=plan.seed, difficulty=difficulty
        )
        answer = self._reset.call_async(request)
        if not self._spin_until(answer.done, 30.0):
            return Outcome(plan, False, reason="no answer to the reset"), self._recording
        response = answer.result()
        if response is None or not response.success:
            raise UserError(response.message if response else "the reset failed")
        self._episode_id = response.episode_id
        if self._policy:
            self._policy.begin(response.instruction)

        def ended() -> bool:
            progress(response.instruction, self._elapsed_s())
            ours = self._info.episode_id == self._episode_id
            over = ours and self._info.state != EpisodeInfo.STATE_RUNNING
            return over or bool(self._policy and self._policy.fault())

        in_time = self._spin_until(ended, timeout_s)
        elapsed_s = self._elapsed_s()
        self._spin_until(lambda: False, AFTERGLOW_S)
        outcome = self._judge(plan, in_time, timeout_s)
        if self._policy:
            self._policy.end()
        recording, self._episode_id = self._recording, ""
        return replace(
            outcome, instruction=response.instruction, elapsed_s=round(elapsed_s, 2)
        ), recording

    def _elapsed_s(self) -> float:
        """Time since the reset: the final one where the episode has ended."""
        if self._info.episode_id == self._episode_id and self._info.state not in (
            EpisodeInfo.STATE_IDLE,
            EpisodeInfo.STATE_RUNNING,
        ):
            return self._info.elapsed.sec + self._info.elapsed.nanosec * 1e-9
        if self._truth.episode_id != self._episode_id:
            return 0.0
        return dict(zip(self._truth.scalar_names, self._truth.scalars, strict=True))["time_s"]

    def _judge(self, plan: Plan, in_time: bool, timeout_s: float) -> Outcome:
        fronts, wrists = len(self._recording.front), len(self._recording.wrist)
        ours = self._info.episode_id == self._episode_id
        succeeded = in_time and ours and self._info.state == EpisodeInfo.STATE_SUCCEEDED
        reason = ""
        if self._policy and not succeeded and (fault := self._policy.fault()):
            reason = fault
        elif not in_time:
            reason = f"not over after {timeout_s:g} s"
        elif not succeeded:
            reason = "the task's time limit passed"
        elif not fronts or not wrists:
            succeeded, reason = False, f"{fronts} front and {wrists} wrist images came"
        return Outcome(plan, succeeded, front_frames=fronts, wrist_frames=wrists, reason=reason)
