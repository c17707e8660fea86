"""Parameters of policy_node, declared to ROS by lam_models.settings."""

from __future__ import annotations

from dataclasses import dataclass

from lam_models.command import UserError
from lam_models.geometry import Pose
from lam_models.settings import setting
from lam_policy_node.judging import Absurd
from lam_policy_node.observing import Ages
from lam_policy_node.run import Conduct
from lam_policy_node.safety import Limits
from lam_policy_node.splicing import STRATEGIES

NONE: tuple[str, ...] = ()
NO_BOX: tuple[float, ...] = ()


@dataclass(frozen=True)
class PolicySettings:
    """Parameters of policy_node. Only `policy` can be changed later; the robot stands meanwhile."""

    policy: str = setting("", "folder of the policy", read_only=False)
    device: str = setting("cpu", "where the policy runs, as torch names it: cpu, cuda, cuda:1")
    load_timeout_s: float = setting(
        300.0, "the policy must be loaded and warm after this", low=1.0, high=3600.0, unit="s"
    )
    executor: str = setting(
        "events",
        "who hands messages over: events is rclpy's quicker one, single its older one",
        choices=("events", "single"),
    )
    dry_run: bool = setting(False, "compute and judge commands, but send none")

    cameras: tuple[str, ...] = setting(NONE, "names of the robot's cameras, as policies say them")
    camera_topics: tuple[str, ...] = setting(
        NONE, "topic of each camera; one that ends in /compressed is a CompressedImage"
    )
    camera_max_age_s: float = setting(
        0.2, "the node holds still when a needed picture is older", low=0.01, high=10.0, unit="s"
    )
    joint_topic: str = setting("/joint_states", "JointState of arm and hand")
    joint_max_age_s: float = setting(
        0.2, "the node holds still when needed joints are older", low=0.01, high=10.0, unit="s"
    )
    ee_pose_topic: str = setting("/ee_pose", "PoseStamped of the end effector; empty: from tf2")
    ee_pose_max_age_s: float = setting(
        0.2, "the node holds still when a needed pose is older", low=0.01, high=10.0, unit="s"
    )
    hand: str = setting(
        "",
        "hand that is bolted on, as retarget_node: the policy steers where it holds things; "
        "empty: the end effector",
    )
    space: str = setting("", "folder of the space of hand latents; empty: the shipped one")
    base_frame: str = setting("base_link", "frame of poses, of commands and of the workspace")
    ee_frame: str = setting("ee_link", "frame of the end effector, for tf2")

    instruction: str = setting("", "what to do until told otherwise")
    instruction_topic: str = setting("/instruction", "String with what to do")
    episode_topic: str = setting(
        "/episode", "EpisodeInfo: ends a RunInstruction when the episode ends; empty: none"
    )
    follow_episodes: bool = setting(False, "take the instruction of each new episode")
    needs_instruction: bool = setting(True, "hold still while there is no instruction")
    run_timeout_s: float = setting(
        60.0, "RunInstruction without a timeout ends after this", low=0.1, high=86400.0, unit="s"
    )

    control_rate_hz: float = setting(20.0, "rate of commands", low=1.0, high=200.0, unit="Hz")
    ask_rate_hz: float = setting(
        0.0, "most questions to the policy, 0: one at every picture", low=0.0, high=200.0, unit="Hz"
    )
    strategy: str = setting("latest", "how plans are spliced", choices=tuple(STRATEGIES))
    ensemble_decay_per_s: float = setting(
        0.0, "how fast older plans count less (negative: more)", low=-100.0, high=100.0, unit="1/s"
    )
    model_timeout_s: float = setting(
        2.0, "a policy that takes longer has failed", low=0.01, high=600.0, unit="s"
    )

    command_topic: str = setting("/ee_delta", "EndEffectorDelta out")
    latent_topic: str = setting("/latent_action", "LatentAction (hand) out")
    chunk_topic: str = setting("/action_chunk", "ActionChunk out, for inspection")
    twist_topic: str = setting("", "TwistStamped out, as for MoveIt Servo; empty: none")
    twist_rate_hz: float = setting(50.0, "rate of TwistStamped", low=20.0, high=500.0, unit="Hz")
    servo_command_service: str = setting(
        "", "Servo's switch_command_type, called with TWIST at activation; empty: not called"
    )

    max_speed_m_s: float = setting(0.25, "of the end effector", low=1e-3, high=3.0, unit="m/s")
    max_turn_rad_s: float = setting(1.0, "of the end effector", low=1e-3, high=10.0, unit="rad/s")
    max_acceleration_m_s2: float = setting(5.0, "of it", low=1e-2, high=100.0, unit="m/s^2")
    max_turn_acceleration_rad_s2: float = setting(
        20.0, "of it", low=1e-2, high=300.0, unit="rad/s^2"
    )
    workspace_lower_m: tuple[float, ...] = setting(
        NO_BOX, "lowest x, y, z of its origin in base_frame; empty: no box", unit="m"
    )
    workspace_upper_m: tuple[float, ...] = setting(
        NO_BOX, "highest x, y, z of its origin in base_frame; empty: no box", unit="m"
    )
    max_step_m: float = setting(
        0.1, "a longer motion in one period is stopped", low=1e-4, high=1.0, unit="m"
    )
    max_step_rad: float = setting(
        0.5, "a longer turn in one period is stopped", low=1e-4, high=3.14, unit="rad"
    )
    max_tracking_error_m: float = setting(
        0.1, "the target starts anew where the arm is further off", low=1e-3, high=1.0, unit="m"
    )
    watchdog_s: float = setting(
        0.5, "oldest observation that a motion may rest on", low=0.02, high=30.0, unit="s"
    )
    absurd_speed_m_s: float = setting(
        2.0, "a policy that plans more has failed", low=0.01, high=50.0, unit="m/s"
    )
    absurd_turn_rad_s: float = setting(
        10.0, "a policy that plans more has failed", low=0.01, high=100.0, unit="rad/s"
    )

    def __post_init__(self) -> None:
        if len(self.cameras) != len(self.camera_topics):
            raise UserError(
                f"parameter 'cameras' has {len(self.cameras)} entries, 'camera_topics' "
                f"{len(self.camera_topics)}; each camera has one topic"
            )
        box = (self.workspace_lower_m, self.workspace_upper_m)
        sizes = tuple(map(len, box))
        if sizes not in ((0, 0), (3, 3)):
            raise UserError(f"the workspace's corners have {sizes} entries, not 3 and 3 (or none)")
        if any(low >= high for low, high in zip(*box, strict=True)):
            raise UserError(f"the workspace from {box[0]} to {box[1]} is empty")

    @property
    def period_ns(self) -> int:
        """Of the control grid."""
        return round(1e9 / self.control_rate_hz)

    def conduct(self, T_ee_grasp: Pose | None) -> Conduct:
        """The part that needs no ROS. T_ee_grasp: of the hand."""
        return Conduct(
            period_ns=self.period_ns,
            strategy=self.strategy,
            ensemble_decay_per_s=self.ensemble_decay_per_s,
            most_hz=self.ask_rate_hz,
            model_timeout_s=self.model_timeout_s,
            needs_instruction=self.needs_instruction,
            ages=Ages(self.camera_max_age_s, self.joint_max_age_s, self.ee_pose_max_age_s),
            limits=self.limits(),
            absurd=Absurd(self.absurd_speed_m_s, self.absurd_turn_rad_s),
            T_ee_grasp=T_ee_grasp,
        )

    def limits(self) -> Limits:
        """Those of the safety."""
        return Limits(
            max_speed_m_s=self.max_speed_m_s,
            max_turn_rad_s=self.max_turn_rad_s,
            max_acceleration_m_s2=self.max_acceleration_m_s2,
            max_turn_acceleration_rad_s2=self.max_turn_acceleration_rad_s2,
            workspace_lower_m=self.workspace_lower_m,
            workspace_upper_m=self.workspace_upper_m,
            max_step_m=self.max_step_m,
            max_step_rad=self.max_step_rad,
            max_tracking_error_m=self.max_tracking_error_m,
            watchdog_s=self.watchdog_s,
        )
