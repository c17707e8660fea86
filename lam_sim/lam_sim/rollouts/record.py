"""`lam data record`: demonstrations through ROS, the scripted expert in a person's place.

teleop.launch.xml brings up simulator, expert, arbiter and recorder as a lab would; each episode is
a bag of its own, as a person's would be, for `lam data from-bags`. Interrupted, the same command
goes on with the episodes that are missing.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lam_models.command import UserError
from lam_sim.rollouts import parallel
from lam_sim.worlds import DEFAULT_KIND, EpisodeJob, WorldChoice, kind_named, some

if TYPE_CHECKING:
    from lam_sim.rollouts.recorded_node import RecordingClient

SUMMARY = "record demonstrations through ROS, the scripted expert teleoperating"

_LAUNCH_FILE = "teleop.launch.xml"
_SIDECAR = "episode.json"
# Gives up when fewer than one attempt in this many succeeds.
_ATTEMPTS_PER_EPISODE = 3
_LINGER_S = 0.5
# The expert begins when the recording does: a pause would teach a policy to wait.
_REACTION_S = 0.15


@dataclass(frozen=True)
class Plan:
    """What is recorded. noise_m: disturbs what is carried out, not what is commanded."""

    out: Path
    choice: WorldChoice
    episodes: int
    seed: int
    noise_m: float
    operator_name: str
    real_time_factor: float

    def words(self) -> list[str]:
        """Those of `lam launch`."""
        choice = self.choice
        given = {
            "input": "expert",
            "record": str(self.out.resolve()),
            "task": choice.task,
            "hand": choice.hand,
            "difficulty": f"{choice.difficulty!r}",
            "motion_noise": f"{self.noise_m!r}",
            "reaction": f"{_REACTION_S!r}",
            "use_sim_time": "true",
            "real_time_factor": f"{self.real_time_factor!r}",
        }
        return [_LAUNCH_FILE, *(f"{name}:={value}" for name, value in given.items())]

    def attempts(self) -> Iterator[EpisodeJob]:
        """Scenes of the data that `lam data generate` makes with the same seed."""
        from lam_sim.rollouts.rollout import Purpose, episode_seed

        for i in range(_ATTEMPTS_PER_EPISODE * self.episodes):
            yield EpisodeJob(self.choice, episode_seed(self.seed, i, Purpose.DATA))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--task", default="pick_place", help="default %(default)s")
    add("--hand", default="parallel_gripper", help="default %(default)s")
    add("--episodes", type=int, default=20, help="successful ones (default %(default)s)")
    add("--out", type=Path, required=True, help="folder of the recordings; added to")
    add("--difficulty", type=float, default=0.5, help="0 easy to 1 hard (default %(default)s)")
    add(
        "--noise",
        type=float,
        default=0.006,
        help="m; disturbs what is carried out, not what is commanded, so that recoveries are shown "
        "(standard deviation per axis and command, default %(default)s)",
    )
    add("--operator", default="scripted expert", help="who operates (default: %(default)s)")
    add("--seed", type=int, default=0, help="default %(default)s")
    add(
        "--real-time-factor",
        type=float,
        default=1.0,
        metavar="X",
        help="simulated seconds a second at most (%(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Exit code 0, or 130 after Ctrl-C."""
    parallel.one_thread_each()
    plan = _plan(args)
    try:
        with parallel.terminated_like_interrupted():
            _record(plan)
    except KeyboardInterrupt:
        print("interrupted: finished episodes are kept. The same command goes on from there.")
        return 130
    return 0


def _plan(args: argparse.Namespace) -> Plan:
    """UserError for whatever cannot be."""
    for name, low in (("episodes", 1), ("seed", 0), ("noise", 0.0)):
        if getattr(args, name) < low:
            raise UserError(f"--{name} is {getattr(args, name)}; allowed: {low} or more")
    if not args.real_time_factor > 0.0:
        raise UserError(f"--real-time-factor is {args.real_time_factor:g}; allowed: above 0")
    if not 0.0 <= args.difficulty <= 1.0:
        raise UserError(f"--difficulty is {args.difficulty:g}; allowed: 0 to 1")
    kind = kind_named(DEFAULT_KIND)
    task, *tasks = some("task", args.task, kind.tasks())
    hand, *hands = some("hand", args.hand, kind.hands())
    if tasks or hands:
        raise UserError("one task with one hand is recorded at a time")
    return Plan(
        out=args.out,
        choice=WorldChoice(DEFAULT_KIND, task, hand, args.difficulty),
        episodes=args.episodes,
        seed=args.seed,
        noise_m=args.noise,
        operator_name=args.operator,
        real_time_factor=args.real_time_factor,
    )


def note_of(job: EpisodeJob) -> str:
    """What tells an episode from the others, in its sidecar."""
    return f"{job.choice.task}, difficulty {job.choice.difficulty:g}, seed {job.seed}"


def finished(out: Path) -> dict[str, bool]:
    """Whether they succeeded, of the episodes in the folder by their notes."""
    found = {}
    for file in sorted(out.glob(f"*/{_SIDECAR}")):
        if not file.parent.name.endswith(".partial"):
            said = json.loads(file.read_text(encoding="utf-8"))
            found[said.get("note", "")] = said.get("outcome") == "success"
    return found


def _record(plan: Plan) -> None:
    from lam_sim.rollouts.progress import episodes_progress

    there = finished(plan.out)
    left = plan.episodes - sum(there.get(note_of(job), False) for job in plan.attempts())
    if left <= 0:
        print(f"{plan.out}: {plan.episodes} episodes are there already")
        return
    plan.out.mkdir(parents=True, exist_ok=True)
    limit_s = kind_named(plan.choice.kind).time_limit_s(plan.choice.task)
    with _robot(plan) as client, episodes_progress(f"{plan.out}", left) as progress:
        for job in plan.attempts():
            if progress.done == left:
                break
            if note_of(job) not in there:
                outcome = client.record(job, limit_s, note_of(job), _LINGER_S)
                progress.note(outcome.success, outcome.success)
    print(f"{plan.out}: {progress.summary()}")
    if progress.done < left:
        raise UserError(f"{plan.out}: too few attempts succeed; lower --noise or --difficulty")


@contextmanager
def _robot(plan: Plan) -> Iterator[RecordingClient]:
    """The launched robot, in a ROS domain that nobody else uses."""
    from lam_sim.rollouts.launched import Launched, domains
    from lam_sim.rollouts.recorded_node import RecordingClient

    log = Path(tempfile.mkdtemp(prefix="lam_record_"))
    for domain in domains():
        launched = Launched(plan.words(), domain, log)
        client = RecordingClient(domain, launched.fault, plan.operator_name)
        try:
            client.wait_until_ready()
            if client.is_alone():
                yield client
                return
        except UserError:
            if not launched.refused():
                raise
        finally:
            client.close()
            launched.close()
    raise UserError("every ROS domain that recordings use is taken")
