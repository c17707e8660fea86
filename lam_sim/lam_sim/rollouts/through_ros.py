"""A policy folder evaluated as it will run: simulator, policy_node and retarget_node, launched.

The same launch file and the same messages as at work, in a ROS domain of its own for each worker.
Time is the simulator's: on a busy machine an episode takes longer, and its stamps stay true.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lam_models.command import UserError
from lam_sim.rollouts import driven
from lam_sim.rollouts.driven import Driven
from lam_sim.rollouts.launched import Launched, domains
from lam_sim.rollouts.rollout import Outcome
from lam_sim.worlds import EpisodeJob, WorldChoice, kind_named

if TYPE_CHECKING:
    from lam_sim.rollouts.episode_node import EpisodeClient

_LAUNCH_FILE = "policy.launch.xml"
_CAMERAS = ("front", "wrist")


@dataclass(frozen=True)
class RosPolicy:
    """A policy folder and the launch arguments that matter for how it runs.

    space: folder of the space of hands, "" for the shipped one. strategy: of splicing.
    real_time_factor: simulated seconds a second at most; the policy thinks in real ones.
    """

    path: str
    space: str = ""
    strategy: str = "latest"
    real_time_factor: float = 1.0

    def words(self, hand: str) -> list[str]:
        """Those of `lam launch`."""
        given = {
            "policy": str(Path(self.path).resolve()),
            "space": str(Path(self.space).resolve()) if self.space else "",
            "hand": hand,
            "strategy": self.strategy,
            "sim": "true",
            "use_sim_time": "true",
            "real_time_factor": f"{self.real_time_factor!r}",
        }
        return [_LAUNCH_FILE, *(f"{name}:={value}" for name, value in given.items() if value)]


@dataclass(frozen=True)
class Filming:
    """Films of the episodes `seeds` and of the first `failures` failures of each world."""

    folder: Path
    seeds: frozenset[int]
    failures: int


class RosWork:
    """An evaluation worker: its robot is launched for the first job, and anew for another hand.

    log: folder for what the nodes say; None: a temporary one.
    """

    def __init__(
        self, policy: RosPolicy, filming: Filming | None = None, log: Path | None = None
    ) -> None:
        self._policy, self._filming = policy, filming
        self._log = log or Path(tempfile.mkdtemp(prefix="lam_eval_"))
        self._hand = ""
        self._robot: tuple[Launched, EpisodeClient] | None = None
        self._failures: dict[object, int] = {}

    def __call__(self, job: EpisodeJob) -> Driven:
        if self._robot is None or self._hand != job.choice.hand:
            self.close()
            self._robot, self._hand = self._launch(job.choice.hand), job.choice.hand
        client = self._robot[1]
        limit_s = kind_named(job.choice.kind).time_limit_s(job.choice.task)
        outcome = client.play(job, limit_s)
        self._film(job, outcome, client)
        return outcome

    def close(self) -> None:
        """End the robot."""
        if self._robot is not None:
            launched, client = self._robot
            self._robot = None
            client.close()
            launched.close()

    def _launch(self, hand: str) -> tuple[Launched, EpisodeClient]:
        from lam_sim.rollouts.episode_node import EpisodeClient

        cameras = _CAMERAS if self._filming else ()
        for domain in domains():
            launched = Launched(self._policy.words(hand), domain, self._log)
            client = EpisodeClient(domain, launched.fault, cameras)
            try:
                client.wait_until_active()
                if client.is_alone():
                    return launched, client
            except UserError:
                if not launched.refused():
                    self._robot = launched, client
                    self.close()
                    raise
            client.close()
            launched.close()
        raise UserError("every ROS domain that evaluations use is taken")

    def _film(self, job: EpisodeJob, outcome: Driven, client: EpisodeClient) -> None:
        """A worker's failures come in order, so its first ones hold those that are the first."""
        if self._filming is None:
            return
        failures = self._failures.get(job.choice, 0) + (not outcome.success)
        self._failures[job.choice] = failures
        wanted = not outcome.success and failures <= self._filming.failures
        if wanted or job.seed in self._filming.seeds:
            path = self._filming.folder / film_name(job.choice, outcome)
            path.write_bytes(driven.film(client.pictures))


def film_name(choice: WorldChoice, outcome: Outcome) -> str:
    """As that of every evaluation's films."""
    end = "success" if outcome.success else "failure"
    return f"{choice.task}_{choice.hand}_{outcome.seed}_{end}.mp4"
