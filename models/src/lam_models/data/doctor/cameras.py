"""What a camera shows: nothing, too much, or always the same."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float64

from lam_models.data.doctor.finding import Finding, Strip, listed
from lam_models.data.doctor.motion import moves_far, runs
from lam_models.data.doctor.patient import Look, Patient, span_s

# Levels of 255. A covered or unplugged camera still has sensor noise and a black level.
_BLACK, _BLACK_CONTRAST = 20.0, 12.0
_WHITE = 250
_WHITE_SHARE = 0.6
_FEWEST_BAD_SHARE = 0.2
# The largest difference of a small picture's pixel that encoding the same picture twice leaves.
_SAME = 4
_ALIVE = 8
_FROZEN_S = 0.9
# Without anything else to compare with, a standing picture must last.
_FROZEN_ALONE_SHARE = 0.5

Flags = Bool[np.ndarray, " samples"]


def black(patient: Patient) -> Iterator[Finding]:
    """Pictures without light."""
    cure = "Look for a covered lens or a camera that had not started; leave these episodes out."
    yield from _bad_light(patient, _is_black, "black camera", "shows black", cure)


def overexposed(patient: Patient) -> Iterator[Finding]:
    """Pictures that are mostly white."""
    cure = "Fix exposure and gain of the camera, and leave these episodes out."
    yield from _bad_light(patient, _is_white, "over-exposed camera", "is mostly white", cure)


def frozen(patient: Patient) -> Iterator[Finding]:
    """Cameras that keep showing one picture while the robot moves or another camera sees motion."""
    for camera in patient.cameras:
        found = []
        for position, look in enumerate(patient.looks[camera]):
            stretch = _frozen_stretch(patient, camera, position, look) if look else None
            if stretch:
                found.append((position, *stretch))
        if not found:
            continue
        numbers = [patient.episodes[position].index for position, _, _ in found]
        position, start, stop = max(found, key=lambda one: one[2] - one[1])
        number = patient.episodes[position].index
        said = (
            f"Camera '{camera}' stands still while the robot moves in "
            f"{listed(numbers, len(patient.episodes))}: in episode {number} the picture is the "
            f"same from frame {start} to {stop} ({span_s(patient, stop - start)})."
        )
        cure = (
            "The driver stopped sending or the recorder repeated its last picture: check the "
            "cable, the camera's rate and the age limit of the conversion; leave these out."
        )
        shown = np.linspace(start, stop, 6).round().astype(int).tolist()
        strip = Strip(camera, tuple((number, frame) for frame in shown))
        yield Finding("frozen camera", said, cure, tuple(numbers), shows=strip)


def _bad_light(patient: Patient, is_bad, name: str, verb: str, cure: str) -> Iterator[Finding]:
    for camera in patient.cameras:
        shares: dict[int, tuple[float, int]] = {}
        for position, look in enumerate(patient.looks[camera]):
            if look is None:
                continue
            flags = is_bad(look)
            if flags.mean() >= _FEWEST_BAD_SHARE:
                frame = int(look.frames[flags.argmax()])
                shares[patient.episodes[position].index] = (float(flags.mean()), frame)
        if not shares:
            continue
        number = max(shares, key=lambda one: shares[one][0])
        share, frame = shares[number]
        said = (
            f"Camera '{camera}' {verb} in {listed(list(shares), len(patient.episodes))}: "
            f"{share:.0%} of episode {number}, e.g. frame {frame}."
        )
        strip = Strip(camera, tuple((n, f) for n, (_, f) in list(shares.items())[:6]))
        yield Finding(name, said, cure, tuple(shares), shows=strip)


def _is_black(look: Look) -> Flags:
    pixels = look.pictures.reshape(len(look.pictures), -1)
    contrast = np.percentile(pixels, 99, axis=1) - np.percentile(pixels, 1, axis=1)
    return (pixels.mean(axis=1) < _BLACK) & (contrast < 2 * _BLACK_CONTRAST)


def _is_white(look: Look) -> Flags:
    bright = (look.pictures >= _WHITE).all(axis=-1).reshape(len(look.pictures), -1)
    return bright.mean(axis=1) > _WHITE_SHARE


def _changes(look: Look) -> Float64[np.ndarray, " steps"]:
    """The largest difference of a pixel between each picture and the next."""
    pixels = look.pictures.reshape(len(look.pictures), -1).astype(np.int16)
    return np.abs(np.diff(pixels, axis=0)).max(axis=1).astype(np.float64)


def _frozen_stretch(
    patient: Patient, camera: str, position: int, look: Look
) -> tuple[int, int] | None:
    """The longest stretch of frames with one picture although something moves."""
    if _is_black(look).any() or _is_white(look).any():
        return None  # Has a name of its own.
    least = _FROZEN_S * patient.fps
    stretches = [
        (int(look.frames[start]), int(look.frames[stop]))
        for start, stop in runs(_changes(look) <= _SAME)
    ]
    suspects = [
        (start, stop)
        for start, stop in stretches
        if stop - start >= least and _something_moves(patient, camera, position, start, stop)
    ]
    return max(suspects, key=lambda one: one[1] - one[0], default=None)


def _something_moves(patient: Patient, camera: str, position: int, start: int, stop: int) -> bool:
    far = moves_far(patient, position, start, stop)
    if far is not None:
        return far
    others = [patient.looks[other][position] for other in patient.cameras if other != camera]
    seen = [_seen_motion(look, start, stop) for look in others if look is not None]
    if seen:
        return any(seen)
    return stop - start >= _FROZEN_ALONE_SHARE * patient.episodes[position].length


def _seen_motion(look: Look, start: int, stop: int) -> bool:
    """Whether most of the pictures in the stretch differ from the one before."""
    inside = (look.frames[:-1] >= start) & (look.frames[1:] <= stop)
    return bool(inside.any() and np.mean(_changes(look)[inside] > _ALIVE) > 0.5)
