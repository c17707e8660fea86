"""`activate` against real managed nodes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from lifecycle_msgs.msg import State

DOMAIN = {"ROS_DOMAIN_ID": "74"}
MANAGED = """
import sys, rclpy
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn as Result
class Managed(LifecycleNode):
    def on_configure(self, state):
        print(self.get_name(), "configured", flush=True)
        return Result.SUCCESS
    def on_activate(self, state):
        print(self.get_name(), "activated", flush=True)
        return Result.FAILURE if "refuse" in self.get_name() else Result.SUCCESS
rclpy.init()
executor = rclpy.executors.SingleThreadedExecutor()
for name in sys.argv[1:]:
    executor.add_node(Managed(name))
print("up", flush=True)
executor.spin()
"""

# The first answer of each service never comes, what was asked for happens.
FORGETFUL = """
import sys, threading, rclpy
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import MultiThreadedExecutor
state, asked = State(id=State.PRIMARY_STATE_UNCONFIGURED), set()
def answered(request, response):
    first = type(request) not in asked
    asked.add(type(request))
    if isinstance(request, ChangeState.Request):
        state.id += 1
        print("now", state.id, flush=True)
        response.success = True
    else:
        response.current_state = state
    if first:
        threading.Event().wait()
    return response
rclpy.init()
node, group = rclpy.create_node(sys.argv[1]), ReentrantCallbackGroup()
for kind, name in ((GetState, "get_state"), (ChangeState, "change_state")):
    node.create_service(kind, f"{sys.argv[1]}/{name}", answered, callback_group=group)
executor = MultiThreadedExecutor(num_threads=4)
executor.add_node(node)
print("up", flush=True)
executor.spin()
"""


@contextmanager
def managed(*names: str, code: str = MANAGED) -> Iterator[subprocess.Popen[str]]:
    """A process with managed nodes, to be stopped in the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *names],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **DOMAIN},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def activate(nodes: str, timeout_s: float) -> subprocess.CompletedProcess[str]:
    parameters = ["-p", f"nodes:={nodes}", "-p", f"timeout_s:={timeout_s}"]
    return subprocess.run(
        [sys.executable, "-m", "lam_bringup.activate_node", "--ros-args", *parameters],
        capture_output=True,
        text=True,
        env={**os.environ, **DOMAIN},
        timeout=100,
    )


def test_nodes_become_active_in_order_and_again_does_nothing() -> None:
    with managed("one", "two") as process:
        for _ in range(2):
            done = activate("[two, one]", 60.0)
            assert done.returncode == 0, done.stderr
        process.kill()
        out, _ = process.communicate()
    assert out.split("\n")[:-1] == [
        *("two configured", "two activated", "one configured", "one activated"),
    ]


def test_an_answer_that_is_lost_is_not_waited_for() -> None:
    with managed("forgetful", code=FORGETFUL) as process:
        done = activate("[forgetful]", 60.0)
        assert done.returncode == 0, done.stderr
        process.kill()
        out, _ = process.communicate()
    assert out == f"now {State.PRIMARY_STATE_INACTIVE}\nnow {State.PRIMARY_STATE_ACTIVE}\n"


def test_a_node_that_refuses_is_named() -> None:
    with managed("refuse_me"):
        done = activate("[refuse_me]", 60.0)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last == "activate: 'refuse_me' did not activate: it is 'inactive', see its log"


@pytest.mark.parametrize(
    "nodes, wanted", [("[]", "names no node"), ("[nobody]", "'nobody' offers")]
)
def test_what_cannot_be_activated_is_named(nodes: str, wanted: str) -> None:
    done = activate(nodes, 0.5)
    assert done.returncode == 1 and wanted in done.stderr.splitlines()[-1]
