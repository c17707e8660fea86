"""A bench for node tests: policy_node as a process, and a robot that feeds and hears it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy
from geometry_msgs.msg import PoseStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image, JointState

from lam_models.checkpoint import CameraSpec
from lam_models.policy.instant import Config, sine, write_instant
from lam_models.types import LatentSpec
from lam_msgs.msg import EndEffectorDelta, LatentAction, PolicyStatus
from lam_policy_node import messages

# Linux keeps 0 to 101 free of ephemeral ports; low ones are what people use.
DOMAIN = 40 + os.getpid() % 60
# For nodes that must not meet those of the other.
OTHER_DOMAIN = 1 + os.getpid() % 39
# Generous: only a broken node takes this long.
PATIENCE_S = 60.0
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SPACE = LatentSpec("hand/test", "hand", (1, 4))
PERIOD_S = 0.05
MAX_AGE_S = 0.3

STEPS = {
    "configure": Transition.TRANSITION_CONFIGURE,
    "activate": Transition.TRANSITION_ACTIVATE,
    "deactivate": Transition.TRANSITION_DEACTIVATE,
    "cleanup": Transition.TRANSITION_CLEANUP,
    "shutdown": Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
    "shutdown_active": Transition.TRANSITION_ACTIVE_SHUTDOWN,
}
PARAMETERS = (
    "cameras:=[front]",
    "camera_topics:=[/front/image_raw/compressed]",
    f"camera_max_age_s:={MAX_AGE_S}",
    f"ee_pose_max_age_s:={MAX_AGE_S}",
    f"joint_max_age_s:={MAX_AGE_S}",
    f"control_rate_hz:={1 / PERIOD_S}",
    "instruction:=wave",
)


def folder(
    path: Path,
    motion: np.ndarray | None = None,
    state: dict[str, tuple[str, ...]] | None = None,
    cameras: Sequence[str] = ("front",),
    **config: Any,
) -> str:
    """A folder of the instant policy that sees small pictures; it waves unless told otherwise."""
    settings = Config(**{"chunk_steps": 10, "dt_s": 0.05, **config})
    specs = tuple(CameraSpec(name, 24, 32) for name in cameras)
    played = sine(0.05, 2.0, settings.dt_s) if motion is None else motion
    return str(write_instant(path, SPACE, specs, state=state, config=settings, motion=played))


class NodeProcess:
    """policy_node as its own process. `with` ends it."""

    def __init__(self, policy: str, *parameters: str, domain: int = DOMAIN) -> None:
        # Found where the test finds it, be the workspace built or not.
        path = os.pathsep.join(sys.path)
        given = (*PARAMETERS, *([f"policy:={policy}"] if policy else []), *parameters)
        words = [word for parameter in given for word in ("-p", parameter)]
        code = "from lam_policy_node.policy_node import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, "--ros-args", *words],
            env={**os.environ, "PYTHONPATH": path, "ROS_DOMAIN_ID": str(domain)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> NodeProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def children(self) -> list[int]:
        """Process ids of its children: the policy's process."""
        pid = self._process.pid
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def finish(self, number: signal.Signals | None = None) -> tuple[int, str]:
        """Exit code and output, after the signal if one is given."""
        if number is not None:
            self.send(number)
        output, _ = self._process.communicate(timeout=PATIENCE_S)
        return self._process.returncode, output


class Robot:
    """Sends pictures, joints and a pose at 20 Hz while messages are handled; keeps what it hears.

    sending: the streams that are sent ("front", "joints", "pose").
    """

    def __init__(self, domain: int = DOMAIN) -> None:
        # Whatever fails: the executor ends first, then the node, then its context.
        with ExitStack() as ends:
            context = Context()
            rclpy.init(context=context, domain_id=domain)
            ends.callback(context.shutdown)
            self.node = Node("robot", context=context)
            ends.callback(self.node.destroy_node)
            self._executor = SingleThreadedExecutor(context=context)
            ends.callback(self._executor.shutdown)
            self._executor.add_node(self.node)
            self._ends = ends.pop_all()
        self.sending = {"front", "joints", "pose"}
        self.heard: dict[str, list[tuple[float, Any]]] = {}
        qos, node = qos_profile_sensor_data, self.node
        self._front = node.create_publisher(CompressedImage, "/front/image_raw/compressed", qos)
        self._raw = node.create_publisher(Image, "/front/image_raw", qos)
        self._joints = node.create_publisher(JointState, "/joint_states", 10)
        self._pose = node.create_publisher(PoseStamped, "/ee_pose", 10)
        self._change = node.create_client(ChangeState, "/policy_node/change_state")
        self._state = node.create_client(GetState, "/policy_node/get_state")
        self._set = node.create_client(SetParameters, "/policy_node/set_parameters")
        self._sent_s = 0.0
        pixels = np.full((48, 64, 3), 128, np.uint8)
        self._jpeg = cv2.imencode(".jpg", pixels)[1].tobytes()
        self.listen(EndEffectorDelta, "/ee_delta")
        self.listen(LatentAction, "/latent_action")
        self.listen(PolicyStatus, "/policy_status", LATCHED)

    def close(self) -> None:
        self._ends.close()

    def listen(self, kind: type, topic: str, qos: QoSProfile | int = 10) -> None:
        """Keep every message of a topic from now on, with when it came (monotonic)."""
        if topic in self.heard:
            return
        heard = self.heard[topic] = []
        self.node.create_subscription(
            kind, topic, lambda message: heard.append((time.monotonic(), message)), qos
        )

    def spin(self, duration_s: float) -> None:
        """Go on for a while."""
        end_s = time.monotonic() + duration_s
        while time.monotonic() < end_s:
            self._turn()

    def until(self, done: Callable[[], Any], what: str = "the node did not do it in time") -> None:
        """Go on until `done`, or fail."""
        end_s = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < end_s, f"{what}; last status: {self.status()}"
            self._turn()

    def _turn(self) -> None:
        self._executor.spin_once(timeout_sec=0.01)
        if time.monotonic() - self._sent_s >= PERIOD_S:
            self._sent_s = time.monotonic()
            self._send()

    def _send(self) -> None:
        header = messages.header(time.time_ns(), "base_link")
        if "front" in self.sending:
            self._front.publish(CompressedImage(header=header, format="jpeg", data=self._jpeg))
        if "raw" in self.sending:
            image = Image(header=header, height=48, width=64, encoding="rgb8", step=192)
            image.data = bytes(48 * 192)
            self._raw.publish(image)
        if "joints" in self.sending:
            self._joints.publish(JointState(header=header, name=["thumb"], position=[0.1]))
        if "pose" in self.sending:
            message = PoseStamped(header=header)
            message.pose.position.x = 0.4
            self._pose.publish(message)

    def call(self, client: Any, request: Any) -> Any:
        """A service's answer."""
        self.until(client.service_is_ready, f"no {client.srv_name}")
        future = client.call_async(request)
        self.until(future.done, f"{client.srv_name} did not answer")
        return future.result()

    def change(self, *steps: str) -> bool:
        """Bring the node through transitions; whether the last one succeeded."""
        success = False
        for step in steps:
            request = ChangeState.Request(transition=Transition(id=STEPS[step]))
            success = self.call(self._change, request).success
        return success

    def set(self, name: str, value: Any) -> str:
        """Set a parameter; why that was refused, or ""."""
        request = SetParameters.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg()]
        )
        (result,) = self.call(self._set, request).results
        return "" if result.successful else result.reason

    def swap(self, policy: str) -> None:
        """Give the node a policy and let it work."""
        if self.state() == "active":
            assert self.change("deactivate")
        assert self.set("policy", policy) == ""
        if self.state() == "unconfigured":
            assert self.change("configure")
        for heard in self.heard.values():
            heard.clear()
        self.sending = {"front", "joints", "pose"}
        assert self.change("activate")

    def state(self) -> str:
        """The node's lifecycle state."""
        return self.call(self._state, GetState.Request()).current_state.label

    def status(self) -> Any:
        """The last PolicyStatus, None where there is none."""
        heard = self.heard["/policy_status"]
        return heard[-1][1] if heard else None

    def reason(self) -> str:
        """Why the node holds still."""
        return "" if (status := self.status()) is None else status.reason

    def deltas(self) -> list[EndEffectorDelta]:
        """Every command so far."""
        return [message for _, message in self.heard["/ee_delta"]]

    def moving(self) -> None:
        """Wait for commands."""
        before = len(self.deltas())
        self.until(lambda: len(self.deltas()) >= before + 3, "no commands")

    def silent_after(self, event_s: float, within_s: float) -> None:
        """After an event: one zero delta, the last of all, at most `within_s` later."""
        self.spin(within_s + 10 * PERIOD_S)
        at_s, last = self.heard["/ee_delta"][-1]
        assert is_zero(last), "the last command must be a zero"
        assert not is_zero(self.deltas()[-2]), "one zero is enough"
        assert at_s - event_s <= within_s, f"the zero came {at_s - event_s:.3f} s later"
        latents = self.heard["/latent_action"]
        assert not latents or latents[-1][0] <= at_s + PERIOD_S


def is_zero(delta: EndEffectorDelta) -> bool:
    t, w = delta.translation, delta.rotation
    return not any((t.x, t.y, t.z, w.x, w.y, w.z))
