"""All checks over one dataset. A new check is a function in its family's file and a line here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from lam_models.command import UserError
from lam_models.data import lerobot_layout as layout
from lam_models.data.doctor import (
    actions,
    cameras,
    files,
    instructions,
    statistics_check,
    swaps,
    timing,
    units,
    values,
)
from lam_models.data.doctor.admission import admit
from lam_models.data.doctor.finding import Finding
from lam_models.data.doctor.patient import OnEpisodes, Patient, fatal

Check = Callable[[Patient], Iterable[Finding]]

CHECKS: tuple[Check, ...] = (
    files.damage,
    files.counts,
    files.data_rows,
    files.video_lengths,
    files.video_sizes,
    files.video_rates,
    timing.rate,
    timing.gaps,
    timing.backwards,
    timing.numbering,
    timing.stale,
    timing.short_episodes,
    values.not_finite,
    units.units,
    values.jumps,
    values.frozen_state,
    values.repeated,
    cameras.black,
    cameras.overexposed,
    cameras.frozen,
    swaps.swapped,
    actions.absent,
    actions.constant,
    actions.unrelated,
    actions.some_unrelated,
    actions.shifted,
    instructions.missing,
    instructions.unknown_tasks,
    instructions.single,
    instructions.variants,
    statistics_check.numbers,
    statistics_check.pictures,
)


@dataclass(frozen=True)
class Diagnosis:
    """What was found, the faults first. patient: None for a dataset that cannot be begun."""

    path: Path
    patient: Patient | None
    findings: tuple[Finding, ...]

    @property
    def faults(self) -> tuple[Finding, ...]:
        return tuple(one for one in self.findings if one.severity == "fault")


def examine(
    path: Path, every_frame: bool = False, on_episodes: OnEpisodes | None = None
) -> Diagnosis:
    """The diagnosis of the dataset at `path`. Raises UserError where there is none at all."""
    if not path.is_dir():
        raise UserError(f"no dataset at {path}")
    if not (path / layout.INFO_PATH).exists() and not (path / "data").exists():
        raise UserError(f"{path} is no LeRobot dataset: it has neither meta/info.json nor data/")
    try:
        patient = admit(path, every_frame, on_episodes)
    except UserError as error:
        return Diagnosis(path, None, (fatal(path, error),))
    found = [finding for check in CHECKS for finding in check(patient)]
    found.sort(key=lambda finding: finding.severity != "fault")
    return Diagnosis(path, patient, tuple(found))
