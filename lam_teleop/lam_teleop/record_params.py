"""Parameters of record_node, declared to ROS by lam_models.settings."""

from __future__ import annotations

from dataclasses import dataclass

from lam_models.settings import setting
from lam_teleop.bags.watching import Limits

NONE: tuple[str, ...] = ()
_MB = 1_000_000


@dataclass(frozen=True)
class RecordSettings:
    """Parameters of record_node."""

    folder: str = setting("recordings", "where the episodes' folders go")
    robot: str = setting("", "parameter file of the robot, which says its topics; empty: none")
    hand: str = setting("", "name or file of the hand, which says its command topic; empty: none")
    topics: tuple[str, ...] = setting(NONE, "more topics to record")
    operator_name: str = setting("", "who operates, where StartEpisode does not say")
    instruction_topic: str = setting("/instruction", "String with what is to be done")
    latent_topic: str = setting("/latent_action", "LatentAction of the hand; empty: none")
    episode_topic: str = setting("/episode", "EpisodeInfo of a simulator; empty: none")
    follow_episodes: bool = setting(False, "record each episode that episode_topic announces")
    raw_after_s: float = setting(
        3.0, "wait for compressed pictures before raw ones are taken", low=0.0, high=60.0, unit="s"
    )
    pre_roll_s: float = setting(
        1.0, "what came so long before the start is recorded, too", low=0.0, high=30.0, unit="s"
    )
    pre_roll_mb: float = setting(64.0, "at most so much of it", low=0.0, high=4000.0, unit="MB")
    min_free_mb: float = setting(
        1000.0, "recording stops when the disk has less left", low=0.0, high=1e6, unit="MB"
    )
    max_queued_mb: float = setting(
        256.0, "messages are lost when more wait for the disk", low=1.0, high=16000.0, unit="MB"
    )
    max_rate_mb_s: float = setting(
        0.0, "warn where more comes in, 0: never", low=0.0, high=1e5, unit="MB/s"
    )

    def limits(self) -> Limits:
        """The part that needs no ROS."""
        return Limits(
            pre_roll_s=self.pre_roll_s,
            pre_roll_bytes=round(self.pre_roll_mb * _MB),
            min_free_bytes=round(self.min_free_mb * _MB),
            most_queued_bytes=round(self.max_queued_mb * _MB),
            most_rate_b_s=self.max_rate_mb_s * _MB,
        )
