"""Do the stored statistics, by which training scales its inputs, match the data?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lam_models.data.doctor.finding import Finding
from lam_models.data.doctor.patient import Patient
from lam_models.data.lerobot_layout import AUTOMATIC

# Shares of the range of the values: float32 sums of other programs differ by less.
_TOLERANCE = 0.02
_PICTURE_TOLERANCE = 0.08
_STATED = ("min", "max", "mean", "std")
_CURE = (
    "Compute stats.json again from the data: inputs scaled by these would be off by as much, here "
    "and on the robot."
)


def numbers(patient: Patient) -> Iterator[Finding]:
    """min, max, mean and std of every column."""
    if not patient.statistics:
        return
    for key in patient.info.schema.columns:
        parts = [rows for _, rows in patient.readable(key)]
        if len(parts) != len(patient.episodes) or key in AUTOMATIC:
            continue
        values = np.concatenate(parts).astype(np.float64)
        if not np.isfinite(values).all():
            continue
        of = patient.statistics.get(key)
        if of is None:
            said = f"stats.json says nothing of '{key}'."
            yield Finding("statistics do not match", said, _CURE)
            continue
        found = {name: getattr(values, name)(axis=0) for name in _STATED}
        wrong = _worst(of, found, np.maximum(np.ptp(values, axis=0), 1e-6))
        if wrong:
            name, column = wrong
            stated = np.ravel(of.get(name, np.nan))
            said_value = float(stated[column]) if len(stated) > column else float("nan")
            said = (
                f"stats.json says the {name} of '{key}' ({patient.names(key)[column]}) is "
                f"{said_value:.4g}, the data say {found[name][column]:.4g}."
            )
            yield Finding("statistics do not match", said, _CURE)


def pictures(patient: Patient) -> Iterator[Finding]:
    """The mean colour of every camera, by the sampled pictures."""
    for camera in patient.cameras:
        of = patient.statistics.get(camera)
        looks = [look for look in patient.looks[camera] if look is not None]
        if not patient.statistics or len(looks) != len(patient.episodes):
            continue
        # Samples are spaced by time, so each episode counts by its length.
        lengths = np.array([episode.length for episode in patient.episodes], dtype=np.float64)
        means = np.stack([look.pictures.mean(axis=(0, 1, 2)) / 255 for look in looks])
        seen = (lengths[:, None] * means).sum(axis=0) / lengths.sum()
        stated = np.ravel((of or {}).get("mean", [])).astype(np.float64)
        if stated.shape != (3,) or not np.abs(stated - seen).max() < _PICTURE_TOLERANCE:
            said = (
                f"stats.json says the mean colour of '{camera}' is {stated.round(3).tolist()}, the "
                f"pictures say {seen.round(3).tolist()} (red, green, blue; 1 is white)."
            )
            yield Finding("statistics do not match", said, _CURE)


def _worst(of: dict, found: dict, ranges: np.ndarray) -> tuple[str, int] | None:
    """The statistic and column farthest off, None where all are near."""
    worst, place = _TOLERANCE, None
    for name, values in found.items():
        stated = np.ravel(np.asarray(of.get(name, np.nan), dtype=np.float64))
        if stated.shape != values.shape:
            return name, 0
        off = np.nan_to_num(np.abs(stated - values) / ranges, nan=np.inf)
        if off.max() > worst:
            worst, place = float(off.max()), (name, int(off.argmax()))
    return place
