"""Time within episodes: the rate, gaps, stamps that jump, numbering, and how long episodes are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from lam_models.data.doctor.finding import Curve, Finding, listed
from lam_models.data.doctor.patient import Patient, span_s

# A stamp may be off by this share of a period; LeRobot itself allows 0.1 ms.
_OFF_GRID = 0.5
_RATE_SHARE = 0.02
# How old the sample of each stream was, where recordings were converted.
AGES = "observation.age_s"
_OLD_S = 0.5
_SHORT_S = 0.4
_SHORT_SHARE = 0.1
_STAMP_UNITS_S = {"_ns": 1e-9, "_us": 1e-6, "_ms": 1e-3, "_s": 1.0, "timestamp": 1.0}

Seconds = Float64[np.ndarray, " steps"]


def stamp_columns(patient: Patient) -> dict[str, float]:
    """Columns that hold a time, and their unit in seconds."""
    found = {}
    for key, feature in patient.features.items():
        word = key.lower().rpartition(".")[2]
        if feature.shape != (1,) or not ("stamp" in word or "time" in word):
            continue
        unit_s = next((s for end, s in _STAMP_UNITS_S.items() if word.endswith(end)), None)
        if unit_s:
            found[key] = unit_s
    return found


def rate(patient: Patient) -> Iterator[Finding]:
    """Stamps whose spacing is another than info.json's fps."""
    for key, unit_s in stamp_columns(patient).items():
        wrong: dict[int, float] = {}
        for position, steps_s in _steps(patient, key, unit_s):
            period_s = float(np.median(steps_s))
            if period_s > 0 and abs(period_s * patient.fps - 1) > _RATE_SHARE:
                wrong[patient.episodes[position].index] = 1 / period_s
        if wrong:
            seen = sorted(wrong.values())
            found = (
                f"{seen[0]:.3g}"
                if seen[-1] - seen[0] < 0.05 * seen[0]
                else (f"{seen[0]:.3g} to {seen[-1]:.3g}")
            )
            said = (
                f"'{key}' advances at {found} Hz in {listed(list(wrong), len(patient.episodes))}, "
                f"but info.json says {patient.fps} Hz: everything learnt would play "
                f"{_pace(patient.fps, seen)}."
            )
            cure = "Convert again with --fps of the true rate; do not edit info.json."
            yield Finding("wrong rate", said, cure, tuple(wrong))


def gaps(patient: Patient) -> Iterator[Finding]:
    """Stamps farther apart than a period and a half."""

    def is_long(steps_s: Seconds) -> Bool[np.ndarray, " steps"]:
        usual_s = np.median(steps_s)
        return (steps_s > (1 + _OFF_GRID) * usual_s) & (usual_s > 0)

    for odd in _odd_steps(patient, is_long, max):
        number, frame, step_s = odd.worst
        said = (
            f"'{odd.key}' has {odd.count} gap(s) in {listed(odd.episodes)}; the longest is "
            f"{step_s:.3g} s in episode {number} after frame {frame} (a period is "
            f"{1 / patient.fps:.3g} s)."
        )
        cure = (
            "Look for dropped messages in the recording's sidecar; convert again, splitting or "
            "leaving out these episodes."
        )
        yield Finding("time gap", said, cure, odd.episodes, shows=odd.curve)


def backwards(patient: Patient) -> Iterator[Finding]:
    """Stamps that do not advance."""
    for odd in _odd_steps(patient, lambda steps_s: steps_s <= 0, min):
        number, frame, step_s = odd.worst
        said = (
            f"'{odd.key}' jumps back or stands still {odd.count} time(s) in "
            f"{listed(odd.episodes)}: in episode {number} after frame {frame} by {step_s:.3g} s."
        )
        cure = (
            "A clock was set while recording (NTP, a restarted driver) or two sources share one "
            "topic. Convert again by arrival time, or leave these episodes out."
        )
        yield Finding("stamps jump back", said, cure, odd.episodes, shows=odd.curve)


def numbering(patient: Patient) -> Iterator[Finding]:
    """frame_index counts from 0, index through the dataset, episode_index stays the same."""
    wrong: dict[str, list[int]] = {}
    for position, episode in enumerate(patient.episodes):
        frames = np.arange(episode.length)
        expected = {
            "frame_index": frames,
            "index": episode.start + frames,
            "episode_index": np.full(episode.length, episode.index),
        }
        for key, values in expected.items():
            rows = patient.rows(position, key)
            if rows is not None and not np.array_equal(rows[:, 0], values):
                wrong.setdefault(key, []).append(episode.index)
    for key, numbers in wrong.items():
        said = f"'{key}' does not count the rows of {listed(numbers, len(patient.episodes))}."
        cure = "Convert again; LeRobot looks frames up by these numbers and would mix episodes."
        yield Finding("wrong frame numbers", said, cure, tuple(numbers))


def stale(patient: Patient) -> Iterator[Finding]:
    """Streams whose sample was old when its frame was made, by the ages that recordings keep."""
    if AGES not in patient.columns:
        return
    for column, stream in enumerate(patient.names(AGES)):
        old: dict[int, float] = {}
        for position, rows in patient.readable(AGES):
            age_s = float(rows[:, column].max())
            if age_s > _OLD_S:
                old[patient.episodes[position].index] = age_s
        if old:
            number = max(old, key=lambda one: old[one])
            said = (
                f"The stream '{stream}' was silent in {listed(list(old), len(patient.episodes))}: "
                f"in episode {number} its sample is up to {old[number]:.3g} s old."
            )
            cure = "Convert again with a lower age limit, so that such stretches become gaps."
            yield Finding("stale stream", said, cure, tuple(old))


def short_episodes(patient: Patient) -> Iterator[Finding]:
    """Episodes too short to hold a motion, next to the others."""
    lengths = np.array([episode.length for episode in patient.episodes])
    usual = float(np.median(lengths))
    least = max(2.0, _SHORT_S * patient.fps, _SHORT_SHARE * usual)
    short = [episode for episode in patient.episodes if episode.length < least]
    if short:
        shortest = min(short, key=lambda episode: episode.length)
        said = (
            f"{listed([e.index for e in short], len(lengths)).capitalize()} are too short: episode "
            f"{shortest.index} lasts {shortest.length} frame(s), {span_s(patient, shortest.length)}"
            f"; the median is {span_s(patient, usual)}."
        )
        cure = "Leave them out: recordings that were started and stopped by mistake teach nothing."
        yield Finding("episode too short", said, cure, tuple(e.index for e in short))


@dataclass(frozen=True)
class _OddSteps:
    """Of a column of stamps. worst: episode, frame before the step, its length [s]."""

    key: str
    count: int
    episodes: tuple[int, ...]
    worst: tuple[int, int, float]
    curve: Curve | None


def _odd_steps(
    patient: Patient,
    is_odd: Callable[[Seconds], Bool[np.ndarray, " steps"]],
    worst_of: Callable[..., tuple[int, int, float]],
) -> Iterator[_OddSteps]:
    """Columns with steps from stamp to stamp that are odd; worst_of: max or min, by length."""
    for key, unit_s in stamp_columns(patient).items():
        found = [
            (patient.episodes[position].index, int(at), float(steps_s[at]))
            for position, steps_s in _steps(patient, key, unit_s)
            for at in np.flatnonzero(is_odd(steps_s))
        ]
        if found:
            worst = worst_of(found, key=lambda step: step[2])
            episodes = tuple(dict.fromkeys(step[0] for step in found))
            curve = _curve(patient, key, unit_s, worst[0], worst[1])
            yield _OddSteps(key, len(found), episodes, worst, curve)


def _steps(patient: Patient, key: str, unit_s: float) -> Iterator[tuple[int, Seconds]]:
    for position, rows in patient.readable(key):
        if len(rows) > 1:
            yield position, np.diff(rows[:, 0].astype(np.float64)) * unit_s


def _pace(fps: int, rates: list[float]) -> str:
    ratio = fps / float(np.median(rates))
    return f"{ratio:.3g} times too fast" if ratio > 1 else f"{1 / ratio:.3g} times too slow"


def _curve(patient: Patient, key: str, unit_s: float, number: int, frame: int) -> Curve | None:
    position = next(i for i, e in enumerate(patient.episodes) if e.index == number)
    rows = patient.rows(position, key)
    if rows is None:
        return None
    times_s = rows[:, 0].astype(np.float64) * unit_s
    lines = {key: times_s - times_s[0]}
    title = f"{key} [s], episode {number}"
    return Curve(title, "frame", np.arange(len(times_s)), lines, (float(frame),))
