"""Parameters of the inputs and of the arbiter, declared to ROS by lam_models.settings."""

from __future__ import annotations

from dataclasses import dataclass

from lam_models.command import UserError
from lam_models.settings import setting
from lam_teleop.arbitration import NS_PER_S, Rules
from lam_teleop.joystick import Layout
from lam_teleop.keyboard import Feel

FRAMES = ("base_link", "ee_link")


@dataclass(frozen=True)
class ArbiterSettings:
    """Parameters of arbiter_node."""

    command_topic: str = setting("/ee_delta", "EndEffectorDelta out")
    latent_topic: str = setting("/latent_action", "LatentAction (hand) out")
    hand_topic: str = setting(
        "/hand/joint_commands", "JointState out, from sources that command the hand's own joints"
    )
    base_frame: str = setting("base_link", "frame of the arbiter's own zero motions")
    control_rate_hz: float = setting(
        20.0,
        "most changes of who commands, and 1 over a zero motion's duration",
        low=1.0,
        high=200.0,
        unit="Hz",
    )
    silence_s: float = setting(
        0.2, "without a command for so long the arm is stopped", low=0.02, high=5.0, unit="s"
    )
    hold_off_s: float = setting(
        1.0, "after a person's last command nobody else commands", low=0.02, high=60.0, unit="s"
    )
    max_command_age_s: float = setting(
        0.25, "motions with an older stamp are refused", low=0.01, high=10.0, unit="s"
    )
    max_latent_age_s: float = setting(
        1.0, "hand commands with an older stamp are refused", low=0.01, high=10.0, unit="s"
    )
    enabled: bool = setting(True, "forward commands from the start; ~/enable changes it")

    def __post_init__(self) -> None:
        if self.hold_off_s < self.silence_s:
            raise UserError(
                f"parameter 'hold_off_s' is {self.hold_off_s:g} s, shorter than 'silence_s', "
                f"{self.silence_s:g} s: a person would lose the robot before it stands"
            )

    @property
    def period_ns(self) -> int:
        """Of the commands."""
        return round(NS_PER_S / self.control_rate_hz)

    def rules(self) -> Rules:
        """The part that needs no ROS."""
        return Rules(
            period_ns=self.period_ns,
            silence_ns=round(self.silence_s * NS_PER_S),
            hold_off_ns=round(self.hold_off_s * NS_PER_S),
            max_arm_age_ns=round(self.max_command_age_s * NS_PER_S),
            max_hand_age_ns=round(self.max_latent_age_s * NS_PER_S),
        )


@dataclass(frozen=True)
class _InputSettings:
    """What every input of a person has."""

    command_topic: str = setting("/teleop/ee_delta", "EndEffectorDelta out")
    latent_topic: str = setting("/teleop/latent_action", "LatentAction (hand) out")
    obeyed_topic: str = setting(
        "/latent_action", "LatentAction that the hand obeys: a person goes on from there"
    )
    frame: str = setting("base_link", "whose axes the motions are along", choices=FRAMES)
    max_speed_m_s: float = setting(0.2, "of the end effector", low=1e-3, high=1.5, unit="m/s")
    max_turn_rad_s: float = setting(0.8, "of the end effector", low=1e-3, high=6.0, unit="rad/s")
    space: str = setting("", "folder of the space of hand latents; empty: the shipped one")
    open_posture: str = setting("flat", "posture of a human hand that opens the robot's")
    closed_posture: str = setting("fist", "posture of a human hand that closes the robot's")
    closed_at: float = setting(
        0.55, "share of the way to the closed posture at which a hand is closed", low=0.1, high=1.0
    )


@dataclass(frozen=True)
class KeyboardSettings(_InputSettings):
    """Parameters of keyboard_node."""

    rate_hz: float = setting(50.0, "rate of commands", low=5.0, high=200.0, unit="Hz")
    terminal: str = setting(
        "", "path of the terminal, as `tty` prints it; empty: the one this was started in"
    )
    grip_step: float = setting(
        0.05, "share of the way that one press closes the hand", low=0.001, high=1.0
    )
    nudge_s: float = setting(
        0.1, "how long a tapped key moves the arm", low=0.02, high=0.5, unit="s"
    )

    def feel(self) -> Feel:
        """The part that needs no ROS."""
        return Feel(
            max_speed_m_s=self.max_speed_m_s,
            max_turn_rad_s=self.max_turn_rad_s,
            grip_step=self.grip_step,
            nudge_ns=round(self.nudge_s * NS_PER_S),
        )


@dataclass(frozen=True)
class JoySettings(_InputSettings):
    """Parameters of joy_node. Numbers are places in the Joy message, as of an Xbox gamepad."""

    joy_topic: str = setting("/joy", "Joy of the gamepad's driver")
    rate_hz: float = setting(20.0, "rate of commands", low=5.0, high=200.0, unit="Hz")
    timeout_s: float = setting(
        0.25, "without a message for so long the gamepad is gone", low=0.02, high=5.0, unit="s"
    )
    deadman_button: int = setting(4, "nothing moves unless it is held", low=0, high=63)
    close_button: int = setting(0, "closes the hand; -1: none", low=-1, high=63)
    open_button: int = setting(1, "opens the hand; -1: none", low=-1, high=63)
    x_axis: int = setting(1, "of the translation; -1: none", low=-1, high=63)
    y_axis: int = setting(0, "of the translation; -1: none", low=-1, high=63)
    z_axis: int = setting(4, "of the translation; -1: none", low=-1, high=63)
    roll_axis: int = setting(6, "of the rotation; -1: none", low=-1, high=63)
    pitch_axis: int = setting(7, "of the rotation; -1: none", low=-1, high=63)
    yaw_axis: int = setting(3, "of the rotation; -1: none", low=-1, high=63)
    inverted: tuple[str, ...] = setting(
        ("",),
        "of x, y, z, roll, pitch, yaw: those that go the other way",
        choices=("", "x", "y", "z", "roll", "pitch", "yaw"),
    )
    deadzone: float = setting(0.1, "part of an axis that counts as its middle", low=0.0, high=0.9)
    closing_per_s: float = setting(
        1.0, "share of the way that the hand closes in a second", low=0.05, high=10.0, unit="1/s"
    )

    def layout(self) -> Layout:
        """The part that needs no ROS."""
        names = ("x", "y", "z", "roll", "pitch", "yaw")
        return Layout(
            deadman=self.deadman_button,
            axes=tuple(getattr(self, f"{name}_axis") for name in names),
            signs=tuple(-1 if name in self.inverted else 1 for name in names),
            close=self.close_button,
            open=self.open_button,
            deadzone=self.deadzone,
            max_speed_m_s=self.max_speed_m_s,
            max_turn_rad_s=self.max_turn_rad_s,
            closing_per_s=self.closing_per_s,
            timeout_ns=round(self.timeout_s * NS_PER_S),
        )
