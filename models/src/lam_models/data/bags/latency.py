"""Latencies out of a recording, by cross-correlation (as UMI does, Chi et al. 2024, 2402.10329).

camera: from exposure to the picture's stamp. The more the arm moves, the more a picture differs
    from the one before: the change between pictures follows the arm's measured speed, late by the
    latency.
action: from a command's stamp to the motion. The measured velocity follows the commanded one.

Signals are sampled at 200 Hz on the robot's clock; the peak is refined by a parabola.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from lam_models.command import UserError
from lam_models.data.bags.actions import Steps, commanded, obeyed
from lam_models.data.bags.frames import raw_pictures
from lam_models.data.bags.hand_commands import HandCommands
from lam_models.data.bags.reading import Content, Timing, picture_stamps, read_content
from lam_models.data.bags.recording import Recording
from lam_models.data.bags.topics import Robot, Topics
from lam_models.sense.observing import NS_PER_S, Picture, decoded

_RATE_HZ = 200
_STEP_NS = NS_PER_S // _RATE_HZ
# A camera's stamp may also be early, where a driver guesses the exposure.
_EARLIEST_S, _LATEST_S = -0.1, 0.6
# Below this a peak says nothing.
_LEAST_CORRELATION = 0.5
_LEAST_OVERLAP_S = 2.0
# Pictures are compared this small: noise and fine texture say nothing of the arm.
_SIDE_PX = 64
_LONGEST_S = 120.0
# A picture that comes after a loss is compared over too long a time.
_LONGEST_GAP = 1.7

Signal = Float64[np.ndarray, "samples width"]


@dataclass(frozen=True)
class Estimate:
    """A latency and how well the two signals agree there. reason: why there is none, or ""."""

    latency_s: float
    correlation: float
    reason: str = ""

    def __str__(self) -> str:
        if self.reason:
            return f"unknown: {self.reason}"
        return f"{1e3 * self.latency_s:.0f} ms (correlation {self.correlation:.2f})"


@dataclass(frozen=True)
class Pair:
    """Two signals on one time grid, of which `later` follows `earlier`."""

    earlier: Signal
    later: Signal


def action_pair(content: Content, base_frame: str, ee_frame: str) -> Pair | None:
    """Commanded and measured velocity of the end effector; None where nothing is commanded."""
    commands = obeyed(content.commands)
    if not commands:
        return None
    ticks_ns = _ticks(content)
    given = commanded(commands, Steps(ticks_ns, _STEP_NS), content.poses, base_frame, ee_frame)
    # The step from a tick on is centred half a step after it.
    centres = ticks_ns + _STEP_NS // 2
    return Pair(given.delta_ee[:, :3] * _RATE_HZ, _velocity(content, centres))


def camera_pair(recording: Recording, content: Content, topics: Topics, camera: str) -> Pair:
    """The arm's speed, and how much the camera's pictures change."""
    ticks_ns = _ticks(content)
    speed = np.linalg.norm(_velocity(content, ticks_ns), axis=1, keepdims=True)
    stamps_ns, small = _small_pictures(recording, content, topics, camera)
    order = np.argsort(stamps_ns, kind="stable")
    stamps_ns, small = stamps_ns[order], small[order]
    if len(stamps_ns) < 3:
        raise UserError(f"camera '{camera}' has {len(stamps_ns)} pictures: too few")
    gaps_ns = np.diff(stamps_ns)
    keep = (gaps_ns > 0) & (gaps_ns < _LONGEST_GAP * np.median(gaps_ns))
    change = np.abs(np.diff(small.astype(np.float64), axis=0)).mean(axis=(1, 2))
    rate = change[keep] / gaps_ns[keep]
    middles = (stamps_ns[:-1] + gaps_ns // 2)[keep]
    return Pair(speed, np.interp(ticks_ns - ticks_ns[0], middles - ticks_ns[0], rate)[:, None])


def estimate(pairs: Sequence[Pair]) -> Estimate:
    """The one latency that makes all pairs agree best."""
    lags = np.arange(round(_EARLIEST_S * _RATE_HZ), round(_LATEST_S * _RATE_HZ) + 1)
    longest = max(abs(int(lags[0])), int(lags[-1])) + round(_LEAST_OVERLAP_S * _RATE_HZ)
    pairs = [pair for pair in pairs if len(pair.earlier) >= longest]
    if not pairs:
        return Estimate(0.0, 0.0, "no recording is long enough")
    correlations = np.array([_correlation(pairs, int(lag)) for lag in lags])
    if not np.isfinite(correlations).all():
        return Estimate(0.0, 0.0, "nothing moves")
    best = int(correlations.argmax())
    peak = float(correlations[best])
    if peak < _LEAST_CORRELATION:
        return Estimate(0.0, peak, f"the signals do not agree (correlation {peak:.2f})")
    if best in (0, len(lags) - 1):
        return Estimate(0.0, peak, f"it lies outside {_EARLIEST_S:g} to {_LATEST_S:g} s")
    before, after = correlations[best - 1], correlations[best + 1]
    bend = before - 2.0 * peak + after
    offset = 0.5 * (before - after) / bend if bend < 0.0 else 0.0
    return Estimate(float(lags[best] + offset) / _RATE_HZ, peak)


def content_of(recording: Recording, robot: Robot, topics: Topics, hand: HandCommands) -> Content:
    """A recording as its stamps tell it, nothing taken off."""
    return read_content(recording, robot, topics, hand, Timing())


def _correlation(pairs: Sequence[Pair], lag: int) -> float:
    """Of all pairs together, `later` moved forward by `lag` samples; NaN where nothing moves."""
    product = earlier_square = later_square = 0.0
    for pair in pairs:
        count = len(pair.earlier) - abs(lag)
        a = pair.earlier[max(0, -lag) :][:count]
        b = pair.later[max(0, lag) :][:count]
        a, b = a - a.mean(axis=0), b - b.mean(axis=0)
        product += float((a * b).sum())
        earlier_square += float((a * a).sum())
        later_square += float((b * b).sum())
    norm = np.sqrt(earlier_square * later_square)
    return product / norm if norm > 0.0 else float("nan")


def _ticks(content: Content) -> np.ndarray:
    """Instants within the poses, at most so many."""
    first, last = content.poses.stamps_ns[0], content.poses.stamps_ns[-1]
    last = min(last, first + round(_LONGEST_S * NS_PER_S))
    return np.arange(first, last, _STEP_NS, dtype=np.int64)


def _velocity(content: Content, at_ns: np.ndarray) -> Float64[np.ndarray, "samples 3"]:
    """Of the end effector [m/s]: differences of poses, each in the middle of its time."""
    stamps_ns = np.array(content.poses.stamps_ns, np.int64)
    positions = np.array([T[:3, 3] for T in content.poses.poses])
    unique = np.concatenate([[True], np.diff(stamps_ns) > 0])
    stamps_ns, positions = stamps_ns[unique], positions[unique]
    if len(stamps_ns) < 3:
        return np.zeros((len(at_ns), 3))
    gaps_s = np.diff(stamps_ns) / NS_PER_S
    speeds = np.diff(positions, axis=0) / gaps_s[:, None]
    middles = stamps_ns[:-1] + np.diff(stamps_ns) // 2 - at_ns[0]
    columns = [np.interp(at_ns - at_ns[0], middles, speeds[:, axis]) for axis in range(3)]
    return np.stack(columns, axis=1)


def _small_pictures(
    recording: Recording, content: Content, topics: Topics, camera: str
) -> tuple[np.ndarray, UInt8[np.ndarray, "pictures rows columns"]]:
    stamps = dict(picture_stamps(content, camera))
    until_ns = _ticks(content)[-1]
    wanted = {number: 1 for number, stamp_ns in stamps.items() if stamp_ns <= until_ns}
    found = list(_shrunk(raw_pictures(recording, topics.cameras[camera], wanted)))
    numbers = [number for number, _ in found]
    images = np.array([image for _, image in found], np.uint8).reshape(len(found), _SIDE_PX, -1)
    return np.array([stamps[number] for number in numbers], np.int64), images


def _shrunk(
    coming: Iterator[tuple[int, Picture]],
) -> Iterator[tuple[int, UInt8[np.ndarray, "rows columns"]]]:
    for number, picture in coming:
        grey = cv2.cvtColor(decoded(picture), cv2.COLOR_RGB2GRAY)
        yield number, cv2.resize(grey, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
