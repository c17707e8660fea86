"""Parameters of the nodes of tracked hands, declared to ROS by lam_models.settings."""

from __future__ import annotations

from dataclasses import dataclass

from lam_models.settings import setting

LAYOUT_CHOICES = ("mediapipe", "openxr", "manus")
SIDE_CHOICES = ("left", "right")


@dataclass(frozen=True)
class KeypointsSettings:
    """Parameters of retarget_keypoints_node."""

    input: str = setting(
        "hand_keypoints",
        "what the tracker sends: lam_msgs/HandKeypoints or geometry_msgs/PoseArray",
        choices=("hand_keypoints", "pose_array"),
    )
    input_topic: str = setting("/hand_keypoints", "where the tracked hand comes from")
    layout: str = setting(
        "openxr", "joints and order of a PoseArray, which cannot say it", choices=LAYOUT_CHOICES
    )
    side: str = setting("right", "which of the person's hands", choices=SIDE_CHOICES)
    scale: float = setting(
        1.0, "the person's size, a multiple of the mean hand's", low=0.3, high=3.0
    )
    calibrate: bool = setting(
        False, "measure the scale from the first good frames; they are not followed"
    )
    calibrate_frames: int = setting(100, "how many frames that takes", low=20, high=10000)
    space: str = setting("", "folder of the space of hand latents; empty: the shipped one")
    latent_topic: str = setting("/latent_action", "where latent actions go to")
    palm_topic: str = setting("/palm_pose", "where the palm's pose in the tracker's frame goes to")
    max_frame_age_s: float = setting(
        0.5, "frames with an older stamp are refused", low=0.01, high=10.0, unit="s"
    )


@dataclass(frozen=True)
class HandPlayerSettings:
    """Parameters of hand_player_node."""

    topic: str = setting("/hand_keypoints", "where the tracked hand goes to")
    layout: str = setting("openxr", "joints and order of the tracker", choices=LAYOUT_CHOICES)
    side: str = setting("right", "which of the person's hands", choices=SIDE_CHOICES)
    rate_hz: float = setting(60.0, "rate of frames", low=1.0, high=120.0, unit="Hz")
    subject: int = setting(0, "number of the person, each with bones of their own", low=0, high=999)
    poses: int = setting(12, "natural poses before it begins again", low=2, high=1000)
    seconds_each: float = setting(1.0, "from each pose to the next", low=0.1, high=60.0, unit="s")
    noise_m: float = setting(
        0.0, "standard deviation of the tracker's noise", low=0.0, high=0.05, unit="m"
    )
    seed: int = setting(0, "seed of the people, their poses and the noise", low=0)
