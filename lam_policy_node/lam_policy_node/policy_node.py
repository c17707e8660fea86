"""policy_node: cameras, proprioception and an instruction in, motion and hand latents out.

    cameras, /joint_states, /ee_pose ─▶ Run ─▶ policy's process ─▶ plan ─▶ safety ─▶ /ee_delta,
    /instruction, run_instruction ──▶                                               /latent_action

A managed node: configuring loads the policy, only an active node sends commands, the last of them
a zero. One thread does all but the policy: callbacks, and beats of the control grid between them.
"""

from __future__ import annotations

import sys
import time
from functools import partial

import rcl_interfaces.msg
import rclpy
from rclpy.executors import Executor
from rclpy.lifecycle import LifecycleNode, LifecycleState
from rclpy.lifecycle import TransitionCallbackReturn as Done
from rclpy.signals import SignalHandlerOptions

from lam_models.command import UserError
from lam_models.settings import declare
from lam_models.stopping import StopRequest
from lam_policy_node.drive import Beat
from lam_policy_node.executor_node import keep_turning
from lam_policy_node.grid import Grid
from lam_policy_node.instruction_node import Instructions, Standing
from lam_policy_node.messages import Told
from lam_policy_node.opened_node import Opened, open_policy, policy_change
from lam_policy_node.outputs_node import Outputs
from lam_policy_node.params import PolicySettings
from lam_policy_node.prompt import be_prompt
from lam_policy_node.reports_node import Reports
from lam_policy_node.servo_node import command_twists


class PolicyNode(LifecycleNode):
    """Translates between ROS and a Run, and keeps time."""

    def __init__(self, stop: StopRequest) -> None:
        super().__init__("policy_node")
        s = self._settings = declare(self, PolicySettings, rcl_interfaces.msg)
        self._stop, self.active = stop, False
        self._instruction, self._path = s.instruction, s.policy
        self.opened: Opened | None = None
        self.grid, self._twists = Grid(s.period_ns), Grid(round(1e9 / s.twist_rate_hz))
        self._outputs, self._reports = Outputs(self, s), Reports(self, s.dry_run)
        self._instructions = Instructions(self, s, self)
        self.add_on_set_parameters_callback(partial(policy_change, self._exchange))

    def now_ns(self) -> int:
        return self.get_clock().now().nanoseconds

    def on_configure(self, state: LifecycleState) -> Done:
        return super().on_configure(state) if self._open(self._path) == "" else Done.FAILURE

    def on_activate(self, state: LifecycleState) -> Done:
        alive = self.opened is not None and not self.opened.worker.death
        if (not alive and self._open(self._path)) or self.opened is None:
            return Done.FAILURE
        if self._settings.servo_command_service:
            command_twists(self, self._settings.servo_command_service)
        self._begin(self.opened)
        self.active = True
        return super().on_activate(state)

    def _begin(self, opened: Opened) -> None:
        opened.run.start()
        self.grid.restart()
        self._twists.restart()

    def on_deactivate(self, state: LifecycleState) -> Done:
        self._halt("deactivated")
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> Done:
        self._close()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> Done:
        self._halt("shut down")
        self._close()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> Done:
        self._halt("a transition failed")
        return self.on_cleanup(state)

    def _open(self, path: str) -> str:
        """Load a policy, then put it in the place of the one before; "" or why not."""
        try:
            opened = open_policy(self, self._settings, path, self._take, lambda: self._stop)
        except UserError as error:
            self.get_logger().error(str(error))
            return str(error)
        self._close()
        self.opened, self._path = opened, path
        opened.run.instruct(self._instruction)
        return ""

    def _close(self) -> None:
        if self.opened is not None:
            self.opened.close()
            self.opened = None

    def _exchange(self, path: str) -> str:
        """Stand still while a policy is loaded, then go on with it, or with the one before."""
        if self.opened is None:
            self._path = path
            return ""
        was_active, fault = self.active, self.opened.run.fault
        self._halt("another policy is being loaded")
        refusal, self.active = self._open(path), was_active
        if was_active and not (refusal and fault):  # A refusal mends no fault.
            self._begin(self.opened)
        return refusal

    def _take(self, stream: str, stamp_ns: int, received_ns: int, value: object) -> str:
        opened = self.opened if self.active else None
        return "" if opened is None else opened.run.take(stream, stamp_ns, received_ns, value)

    def instruct(self, instruction: str) -> None:
        self._instruction = instruction
        if self.opened is not None:
            self.opened.run.instruct(instruction)

    def begin_episode(self, began_ns: int) -> None:
        if self.opened is not None:
            self.opened.run.begin_episode(began_ns, self.now_ns())

    def standing(self) -> Standing:
        """How it is, for those who instruct it."""
        run = self.opened.run if self.opened is not None else None
        fault, reason = ("", "no policy") if run is None else (run.fault, run.drive.reason)
        return Standing(self.active, fault, reason, self._outputs.commands)

    def wait_s(self) -> float:
        """Time until something is due."""
        now_ns = self.now_ns()
        grids = [self.grid, *([self._twists] if self._settings.twist_topic else [])]
        return min(one.wait_s(now_ns) for one in (self._reports, *(grids if self.active else [])))

    def turn(self) -> None:
        """Do what is due."""
        if self.active and self.opened is not None:
            self._drive(self.opened)
        self._instructions.tick(self.now_ns())
        counts = {"commands": self._outputs.commands, "missed_beats": self.grid.missed}
        self._reports.tick(self.opened, self.active, self._told(), counts, self.now_ns())

    def _drive(self, opened: Opened) -> None:
        run, now_ns = opened.run, self.now_ns()
        beat_ns = self.grid.due(now_ns)
        opened.inputs.look(now_ns)
        planned = run.hear(now_ns, time.monotonic_ns())
        # The policy's process is at the question while this one is at the beat.
        run.ask(self.now_ns(), time.monotonic_ns(), beat_ns is not None)
        if beat_ns is not None:
            self._send(run.beat(beat_ns, now_ns, time.monotonic_ns()), opened)
        if planned is not None:
            self._outputs.chunk(planned, opened.loaded.spec, self._told(), self.now_ns())
        if self._settings.twist_topic and self._twists.due(now_ns) is not None:
            self._outputs.twist(self.now_ns())

    def _send(self, beat: Beat, opened: Opened) -> None:
        took_s = self._outputs.command(beat, opened.loaded.spec, self._told(), self.now_ns())
        opened.run.sent(beat, self.now_ns(), took_s)
        self._outputs.verdict(beat, self.now_ns())

    def _told(self) -> Told:
        return Told(self._instruction, self._instructions.episode_id)

    def _halt(self, reason: str) -> None:
        """The last zero of an activation."""
        if self.active and self.opened is not None:
            self._send(self.opened.run.stop(reason, self.now_ns()), self.opened)
            self._outputs.flush()
        self.active = False
        self._instructions.tick(self.now_ns())

    def finish(self, executor: Executor) -> None:
        """Stop the robot, tell who waits for an action, end the policy's process."""
        self._halt("the node ends")
        self._instructions.finish(executor)
        self._close()


def main() -> None:
    """Run until interrupted."""
    be_prompt()
    stop = StopRequest()
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        keep_turning(PolicyNode(stop), stop)
    except UserError as error:
        sys.exit(f"policy_node: {error}")
    finally:
        rclpy.shutdown()
