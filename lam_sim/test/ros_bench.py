"""A bench for node tests: real processes in a ROS domain of their own, and a listening client."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState

from lam_msgs.msg import EndEffectorDelta, EpisodeInfo, WorldTruth
from lam_msgs.srv import ResetWorld
from lam_sim import messages

# Linux keeps 0 to 101 free of ephemeral ports; low ones are what people use.
DOMAIN = 40 + os.getpid() % 60
# For nodes that must not meet those of the other.
OTHER_DOMAIN = 1 + os.getpid() % 39
# Generous: only a broken node takes this long.
PATIENCE_S = 60.0
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class NodeProcess:
    """A node of lam_sim as its own process. `with` ends it."""

    def __init__(self, name: str, parameters: Sequence[str] = (), domain: int = DOMAIN) -> None:
        words = [word for parameter in parameters for word in ("-p", parameter)]
        code = f"from lam_sim.{name} import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, "--ros-args", *words],
            env={**os.environ, "ROS_DOMAIN_ID": str(domain)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> NodeProcess:
        return self

    @property
    def pid(self) -> int:
        return self._process.pid

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def finish(self, number: signal.Signals | None = None) -> tuple[int, str]:
        """Exit code and output, after the signal if one is given."""
        if number is not None:
            self._process.send_signal(number)
        output, _ = self._process.communicate(timeout=PATIENCE_S)
        return self._process.returncode, output


class Client:
    """Listens to topics and commands the arm, in this process and on simulated time."""

    def __init__(self, domain: int = DOMAIN) -> None:
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain)
        use_sim_time = Parameter("use_sim_time", value=True)
        self.node = Node("bench", context=self._context, parameter_overrides=[use_sim_time])
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._heard: dict[str, list[Any]] = {}
        self._delta = self.node.create_publisher(EndEffectorDelta, "ee_delta", 10)
        self._hand = self.node.create_publisher(JointState, "hand/joint_commands", 10)
        self._reset = self.node.create_client(ResetWorld, "reset_world")
        self.listen(WorldTruth, "truth")
        self.listen(EpisodeInfo, "episode", LATCHED)

    def close(self) -> None:
        """End the client's node and context."""
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.shutdown()

    def listen(self, kind: type, topic: str, qos: QoSProfile | int = 10) -> None:
        """Keep every message of a topic from now on; listening twice is listening once."""
        if topic in self._heard:
            return
        heard = self._heard[topic] = []
        self.node.create_subscription(kind, topic, heard.append, qos)

    def until(self, done: Callable[[], Any]) -> None:
        """Handle messages until `done`, or fail."""
        end_s = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < end_s, "the nodes did not do it in time"
            self._executor.spin_once(timeout_sec=0.05)

    def hear(self, topic: str, count: int) -> list[Any]:
        """The next `count` messages of a topic."""
        heard = self._heard[topic]
        heard.clear()
        self.until(lambda: len(heard) >= count)
        return heard[:count]

    def heard(self, topic: str) -> list[Any]:
        """All that came since `hear` or `listen`."""
        return self._heard[topic]

    def truth(self) -> WorldTruth:
        """The next truth."""
        return self.hear("truth", 1)[0]

    def wait(self, duration_s: float) -> WorldTruth:
        """The truth after at least this much simulated time."""
        end_ns = messages.time_ns(self.truth().header.stamp) + round(duration_s * 1e9)
        while messages.time_ns((truth := self.truth()).header.stamp) < end_ns:
            pass
        return truth

    def reset(self, **request: Any) -> ResetWorld.Response:
        """Ask for a new episode."""
        self.until(self._reset.service_is_ready)
        future = self._reset.call_async(ResetWorld.Request(**request))
        self.until(future.done)
        response = future.result()
        assert response is not None
        return response

    def command(self, x_m: float, frame: str = "base_link") -> None:
        """A delta along x, over 0.1 s from now on."""
        self.until(lambda: self._delta.get_subscription_count())
        stamp = self.node.get_clock().now().to_msg()
        message = EndEffectorDelta(duration=messages.duration_message(0.1))
        message.header.stamp, message.header.frame_id = stamp, frame
        message.translation.x = x_m
        self._delta.publish(message)

    def command_hand(self, **positions: float) -> None:
        """Targets for joints of the hand."""
        self.until(lambda: self._hand.get_subscription_count())
        message = JointState(name=list(positions), position=list(positions.values()))
        self._hand.publish(message)
