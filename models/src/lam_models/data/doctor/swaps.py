"""Cameras that change places between episodes: an unplugged cable, a device number that moved."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float32

from lam_models.data.doctor.finding import Finding, Strip, listed
from lam_models.data.doctor.patient import Patient

_FEWEST_EPISODES = 4
# How much nearer to the other camera's usual picture than to its own, for both cameras together.
_NEARER = 0.87
# Cameras that see nearly the same, as the two of a stereo pair, cannot be told apart.
_TOLD_APART = 1.2
_ROUNDS = 3

Means = Float32[np.ndarray, "episodes pixels"]


def swapped(patient: Patient) -> Iterator[Finding]:
    """Episodes in which two cameras look like each other's usual picture."""
    for first, second in combinations(patient.cameras, 2):
        pairs = list(zip(patient.looks[first], patient.looks[second], strict=True))
        both = [i for i, (a, b) in enumerate(pairs) if a is not None and b is not None]
        if len(both) < _FEWEST_EPISODES:
            continue
        a, b = (np.stack([_mean(patient, camera, i) for i in both]) for camera in (first, second))
        flags = _exchanged(a, b)
        if not flags.any():
            continue
        odd = [patient.episodes[both[i]].index for i in np.flatnonzero(flags)]
        usual = [patient.episodes[both[i]].index for i in np.flatnonzero(~flags)]
        said = (
            f"Cameras '{first}' and '{second}' have changed places in "
            f"{listed(odd)}: each shows there what the other one shows in the remaining "
            f"{len(usual)} episodes."
        )
        cure = (
            "Name cameras by serial number or USB port, not by device number; convert these "
            "episodes again with the two topics exchanged."
        )
        strip = Strip(first, tuple((number, 0) for number in (*usual[:3], *odd[:3])))
        yield Finding("swapped cameras", said, cure, tuple(odd), shows=strip)


def _mean(patient: Patient, camera: str, position: int) -> Float32[np.ndarray, " pixels"]:
    """The mean picture without colour, brightness and contrast, which change with the scene."""
    look = patient.looks[camera][position]
    assert look is not None
    grey = look.pictures.mean(axis=(0, 3), dtype=np.float64).ravel()
    return ((grey - grey.mean()) / (grey.std() + 1.0)).astype(np.float32)


def _exchanged(a: Means, b: Means) -> Bool[np.ndarray, " episodes"]:
    """The minority whose pictures fit the other camera's median picture better than their own."""
    flags = np.zeros(len(a), bool)
    ratios = np.ones(len(a))
    for _ in range(_ROUNDS):
        ours = np.median(np.where(flags[:, None], b, a), axis=0)
        theirs = np.median(np.where(flags[:, None], a, b), axis=0)
        straight = _distance(a, ours) + _distance(b, theirs)
        crossed = _distance(a, theirs) + _distance(b, ours)
        ratios = crossed / np.maximum(straight, 1e-6)
        flags = ratios < _NEARER
    if flags.sum() > len(flags) / 2:
        flags, ratios = ~flags, 1 / ratios
    return flags if np.median(ratios[~flags]) > _TOLD_APART else np.zeros(len(a), bool)


def _distance(means: Means, to: Float32[np.ndarray, " pixels"]) -> Float32[np.ndarray, " episodes"]:
    return np.sqrt(np.mean((means - to) ** 2, axis=1))
