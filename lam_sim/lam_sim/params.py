"""Parameters of the two nodes, declared to ROS by lam_models.settings."""

from __future__ import annotations

from dataclasses import dataclass

from lam_models.command import UserError
from lam_models.settings import setting

EMPTY: tuple[str, ...] = ()


@dataclass(frozen=True)
class SimSettings:
    """Parameters of sim_node. The first five are the first episode; /reset_world begins others."""

    task: str = setting("pick_place", "task of the first episode")
    end_effector: str = setting("parallel_gripper", "hand of the first episode")
    seed: int = setting(0, "seed of the first episode's scene", low=0)
    difficulty: float = setting(0.5, "0 easiest to 1 hardest", low=0.0, high=1.0)
    distractors: tuple[str, ...] = setting(EMPTY, "visual distractors of the first episode")

    real_time_factor: float = setting(
        1.0, "simulated seconds a wall second, 0: as fast as possible", low=0.0, high=100.0
    )
    niceness: int = setting(10, "how much other processes go first, 0: not at all", low=0, high=19)
    publish_clock: bool = setting(
        False, "stamp with simulated time and publish it on /clock, for nodes with use_sim_time"
    )

    width: int = setting(640, "width of the camera images", low=16, high=4096, unit="px")
    height: int = setting(480, "height of the camera images", low=16, high=4096, unit="px")
    camera_rate_hz: float = setting(30.0, "rate of each camera", low=0.0, high=100.0, unit="Hz")
    camera_latency_s: float = setting(
        0.0, "delay from exposure to publication", low=0.0, high=2.0, unit="s"
    )
    raw_cameras: tuple[str, ...] = setting(("front", "wrist"), "cameras that offer raw images")
    jpeg_cameras: tuple[str, ...] = setting(("front", "wrist"), "cameras that offer JPEG images")
    # Reliable brings raw images through on a busy machine, but a frozen listener stalls the arm.
    camera_reliability: str = setting(
        "best_effort", "how pictures are sent", choices=("best_effort", "reliable")
    )
    jpeg_quality: int = setting(85, "JPEG quality", low=1, high=100)

    state_rate_hz: float = setting(
        100.0, "rate of /joint_states and /ee_pose", low=1.0, high=100.0, unit="Hz"
    )
    truth_rate_hz: float = setting(
        20.0, "rate of /truth, 0: not published", low=0.0, high=100.0, unit="Hz"
    )
    action_latency_s: float = setting(
        0.0, "delay from a command's arrival to its beginning", low=0.0, high=2.0, unit="s"
    )
    motion_noise_m: float = setting(
        0.0,
        "standard deviation added to the translations that are carried out, not to the commands",
        low=0.0,
        high=0.05,
        unit="m",
    )
    max_command_age_s: float = setting(
        0.25, "commands with an older stamp are refused", low=0.01, high=10.0, unit="s"
    )

    def __post_init__(self) -> None:
        if not self.publish_clock and self.real_time_factor != 1.0:
            raise UserError(
                f"parameter 'real_time_factor' is {self.real_time_factor:g}, but without "
                "publish_clock stamps are wall time and only 1 agrees with them"
            )


@dataclass(frozen=True)
class ExpertSettings:
    """Parameters of expert_node."""

    rate_hz: float = setting(20.0, "rate of commands", low=1.0, high=100.0, unit="Hz")
    noise: float = setting(
        0.0, "standard deviation added to each translation", low=0.0, high=0.05, unit="m"
    )
    seed: int = setting(0, "seed of the noise and of the expert's own choices", low=0)
    reaction_s: float = setting(
        0.0, "looks on for so long before it acts in an episode", low=0.0, high=10.0, unit="s"
    )
    source: str = setting(
        "expert", "who it says commands", choices=("expert", "teleop", "policy", "unknown")
    )
    max_truth_age_s: float = setting(
        0.3, "silent when /truth is older than this", low=0.05, high=5.0, unit="s"
    )
