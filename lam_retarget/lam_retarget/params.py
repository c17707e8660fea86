"""Parameters of the nodes, declared to ROS by lam_models.settings."""

from __future__ import annotations

from dataclasses import dataclass

from lam_models.settings import setting


@dataclass(frozen=True)
class RetargetSettings:
    """Parameters of retarget_node."""

    hand: str = setting("parallel_gripper", "name of a shipped hand, or path of its YAML file")
    space: str = setting("", "folder of the space of hand latents; empty: the shipped one")
    latent_topic: str = setting("/latent_action", "where latent actions come from")
    command_topic: str = setting("", "topic or action of the hand's driver; empty: as in its file")
    state_topic: str = setting(
        "/joint_states",
        "JointState that the first command starts from; empty: start with a jump",
    )
    episode_topic: str = setting(
        "/episode", "EpisodeInfo: each episode begins where the hand is then; empty: none"
    )
    max_latent_age_s: float = setting(
        1.0, "latents of an older observation are refused", low=0.01, high=10.0, unit="s"
    )
    silence_s: float = setting(
        0.3, "the hand is stopped when no latent came for so long", low=0.02, high=10.0, unit="s"
    )
    sphere_tolerance: float = setting(
        0.05, "latents whose length differs more from 1 are refused", low=1e-4, high=1.0
    )
    speed_scale: float = setting(
        1.0, "share of the hand's speed and acceleration that is used", low=0.01, high=1.0
    )
    max_effort: float = setting(
        20.0, "effort of a gripper's action goals, 0: none said", low=0.0, high=1000.0, unit="N"
    )
