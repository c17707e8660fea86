"""joy_node with real DDS: a gamepad's messages in, a person's commands out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sensor_msgs.msg import Joy
from teleop_bench import Bench, bench, still

from lam_models.hands.space import open_space
from lam_msgs.msg import EndEffectorDelta, LatentAction
from lam_teleop.command_messages import motion_of
from lam_teleop.joy_node import JoyNode

DEADMAN, CLOSE = 4, 0


class Gamepad:
    """What a driver says, and what comes of it."""

    def __init__(self, b: Bench) -> None:
        self.bench = b
        self.arm = b.listen(EndEffectorDelta, "/teleop/ee_delta")
        self.latents = b.listen(LatentAction, "/teleop/latent_action")
        self._joy = b.publisher(Joy, "/joy")

    def say(self, *pressed: int, x: float = 0.0) -> None:
        """The state of buttons and of the stick."""
        axes, buttons = [0.0] * 8, [0] * 11
        axes[1] = x
        for button in pressed:
            buttons[button] = 1
        self._joy.publish(Joy(axes=axes, buttons=buttons))

    def saying(self, *pressed: int, x: float = 0.0) -> Any:
        """The same, to be said again and again."""
        return lambda: self.say(*pressed, x=x)

    def moves(self) -> bool:
        """Whether the newest command is a motion."""
        return bool(self.arm) and not still(self.arm[-1])


@pytest.fixture
def gamepad() -> Iterator[Gamepad]:
    """A gamepad with its node; on a busy machine it may pause for longer."""
    with bench(JoyNode, timeout_s=1.0) as b:
        made = Gamepad(b)
        b.until(lambda: b.said() == "deadman released", made.saying())
        yield made


def test_only_the_deadman_button_moves_the_arm_and_letting_go_stops_it_once(gamepad):
    b = gamepad.bench
    for _ in range(10):
        gamepad.say(x=1.0)
        b.spin(0.02)
    assert not gamepad.arm
    b.until(lambda: len(gamepad.arm) >= 3, gamepad.saying(DEADMAN, x=1.0))
    command = gamepad.arm[-1]
    assert command.source == EndEffectorDelta.SOURCE_TELEOP
    assert command.header.frame_id == "base_link"
    motion = motion_of(command)
    assert motion[0] > 0.0 and not motion[1:].any()
    b.until(lambda: not gamepad.moves(), gamepad.saying(x=1.0))
    assert sum(map(still, gamepad.arm)) == 1
    b.quiet(gamepad.arm)


def test_a_gamepad_that_is_gone_stops_the_arm_once(gamepad):
    b = gamepad.bench
    b.until(gamepad.moves, gamepad.saying(DEADMAN, x=1.0))
    b.until(lambda: not gamepad.moves())
    b.quiet(gamepad.arm)
    b.until(lambda: b.said() == "no gamepad")
    # It comes back with its button held: that does not count.
    count = len(gamepad.arm)
    for _ in range(5):
        gamepad.say(DEADMAN, x=1.0)
        b.spin(0.05)
    assert len(gamepad.arm) == count


def test_held_and_untouched_it_keeps_the_robot_still(gamepad):
    b = gamepad.bench
    b.until(lambda: len(gamepad.arm) >= 3, gamepad.saying(DEADMAN))
    assert all(map(still, gamepad.arm))


def test_a_button_closes_the_hand(gamepad):
    b, coder = gamepad.bench, open_space().coder("parallel_gripper")
    b.until(lambda: len(gamepad.latents) >= 10, gamepad.saying(DEADMAN, CLOSE))
    widths = [float(coder.decode(np.array(message.values))[0]) for message in gamepad.latents]
    assert widths[-1] < widths[0]
    assert gamepad.latents[0].space_hash == open_space().latent.space_hash


def test_another_gamepad_is_refused_in_words():
    with bench(JoyNode, deadman_button=40) as b:
        gamepad = Gamepad(b)
        b.until(lambda: "button 40 (deadman)" in b.said(), gamepad.saying(DEADMAN, x=1.0))
        assert not gamepad.arm
