"""Direct retargeting: inverse kinematics from hand to hand, nothing trained.

From the human hand it is the solver that made the pairs (lam_models.hands.retarget): there the
errors against the pair's pose are none by definition, and say nothing. From another hand a human
hand is found first by damped least squares: each fingertip where an affine map fitted to the
training pairs, finger by finger, has it; thumb-finger vectors as long as people's are in those
pairs when the source's are as long as this one, the shorter the more; and what this leaves open
near the mean posture of the training people. A gripper says how far thumb and index are apart, by
the line through its openings and people's smallest thumb-finger gaps in the training pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from hand_nearest import flat_tips
from hand_people import People
from hand_slots import nearness

from lam_models.hands.human import FINGERS, TIPS, angles_from_points, mean_hand, within_ranges
from lam_models.hands.objective import PADS_M
from lam_models.hands.retarget import Retargeter
from lam_models.hands.space import HUMAN, human_points, human_vector

_ITERATIONS = 20
_PINCH = 60.0  # Weight of a thumb-finger vector in contact, against one fingertip's place;
_CONTACT_M, _FREE_M = 0.02, 0.05  # it falls to nothing between these gaps.
_POSTURE_M2 = 1e-5  # A radian from the mean posture weighs as three millimetres do.
# Off [poses, misses] and their slopes [poses, misses, angles], of angles.
Miss = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass
class Retargeting:
    """Likeness is nearness of fingertips on the target, after the transfer."""

    people: People
    _solvers: dict[str, Retargeter] = field(default_factory=dict)
    _kept: dict[tuple[str, str, bytes], np.ndarray] = field(default_factory=dict)

    def transfer(self, source: str, target: str, vectors: np.ndarray) -> np.ndarray:
        key = (source, target, vectors.tobytes())
        if key not in self._kept:
            self._kept[key] = self._transfer(source, target, vectors)
        return self._kept[key]

    def _transfer(self, source: str, target: str, vectors: np.ndarray) -> np.ndarray:
        if source == target:
            return vectors
        if source == HUMAN:
            points = human_points(vectors.astype(np.float64))
        elif target != HUMAN:
            points = human_points(self.transfer(source, HUMAN, vectors).astype(np.float64))
        else:
            return human_vector(self._human(source, vectors)).astype(np.float32)
        if target not in self._solvers:
            spec, kinematics = self.people.specs[target], self.people.kinematics[target]
            self._solvers[target] = Retargeter(spec, kinematics=kinematics)
        return self._solvers[target].solve(points).q.astype(np.float32)

    def likeness(
        self, source: str, target: str, vectors: np.ndarray, gallery: np.ndarray
    ) -> np.ndarray:
        found = self.transfer(source, target, vectors)
        return nearness(*(flat_tips(self.people, target, of) for of in (found, gallery)))

    def _human(self, source: str, vectors: np.ndarray) -> np.ndarray:
        """Points of a human hand that does what the source does."""
        people = self.people
        train = human_points(people.train.vectors[HUMAN].astype(np.float64))
        posture = angles_from_points(train).mean(axis=0)
        start = np.tile(posture, (len(vectors), 1))
        if people.is_gripper(source):
            goals = _gaps_of_gripper(people, source, vectors)
            miss = _gap_miss(goals)
        else:
            miss = _tip_miss(people, source, vectors)
        return mean_hand().points(_solved(start, posture, miss))


def _gaps_of_gripper(people: People, gripper: str, vectors: np.ndarray) -> np.ndarray:
    """Distance of people's tips, thumb and finger, at this opening: a line through the pairs."""
    train = people.train.vectors
    smallest, opening = (
        people.gaps(HUMAN, train[HUMAN]).min(axis=1),
        people.opening(gripper, train[gripper]),
    )
    between = (opening > 0.02) & (opening < 0.98)
    slope, start = np.polyfit(opening[between], smallest[between], 1)
    return PADS_M + np.maximum(start + slope * people.opening(gripper, vectors), 0.0)


def _gap_miss(goals: np.ndarray) -> Miss:
    """Thumb and index as far apart as the goals say."""

    def miss(angles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        hand = mean_hand()
        tips, slopes = hand.points(angles)[:, TIPS], hand.jacobian(angles, TIPS)
        apart, slope = tips[:, 1] - tips[:, 0], slopes[:, 1] - slopes[:, 0]
        length = np.maximum(np.linalg.norm(apart, axis=1, keepdims=True), 1e-6)
        return length - goals[:, None], ((apart / length)[:, None] @ slope)

    return miss


def _tip_miss(people: People, source: str, vectors: np.ndarray) -> Miss:
    """Tips where the training pairs have them, thumb-finger vectors the shorter the more."""
    fingers = people.fingers(source)
    columns, thumb = np.array([FINGERS.index(f) for f in fingers]), fingers.index("thumb")
    others = np.array([index for index in range(len(fingers)) if index != thumb])
    tips, train = people.tips(source, vectors), people.train.vectors
    known, human = people.tips(source, train[source]), people.tips(HUMAN, train[HUMAN])[:, columns]
    goals = np.stack(
        [affine(known[:, tip], human[:, tip])(tips[:, tip]) for tip in range(len(fingers))], axis=1
    )
    apart, known_m, human_m = (of[:, others] - of[:, thumb, None] for of in (tips, known, human))
    lengths = np.maximum(np.linalg.norm(apart, axis=-1), 1e-6)
    known_m, human_m = (np.linalg.norm(of, axis=-1) for of in (known_m, human_m))
    wanted = np.stack(
        [rising(known_m[:, i], human_m[:, i])(lengths[:, i]) for i in range(len(others))], axis=1
    )
    gaps = apart * (wanted / lengths)[..., None]
    near = np.clip((_FREE_M - wanted) / (_FREE_M - _CONTACT_M), 0.0, 1.0)
    weights = np.sqrt(_PINCH * near)[..., None]

    def miss(angles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        hand, count = mean_hand(), len(angles)
        at = hand.points(angles)[:, TIPS][:, columns]
        slope = hand.jacobian(angles, TIPS)[:, columns]
        apart = (at[:, others] - at[:, thumb, None] - gaps) * weights
        parting = (slope[:, others] - slope[:, thumb, None]) * weights[..., None]
        off = [(at - goals).reshape(count, -1), apart.reshape(count, -1)]
        slopes = [slope.reshape(count, -1, 21), parting.reshape(count, -1, 21)]
        return np.concatenate(off, axis=1), np.concatenate(slopes, axis=1)

    return miss


def affine(given: np.ndarray, wanted: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The affine map of points that fits best."""
    ones = np.ones((len(given), 1))
    matrix = np.linalg.lstsq(np.hstack([given, ones]), wanted, rcond=None)[0]
    return lambda points: points @ matrix[:-1] + matrix[-1]


def rising(given: np.ndarray, wanted: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Medians of the wanted over 40 equal parts of the given, between them straight lines."""
    parts = np.array_split(np.argsort(given), 40)
    at, medians = (np.array([np.median(of[part]) for part in parts]) for of in (given, wanted))
    return lambda values: np.interp(values, at, np.maximum.accumulate(medians))


def _solved(start: np.ndarray, posture: np.ndarray, miss: Miss) -> np.ndarray:
    """Angles in their ranges that miss least, near the posture."""
    angles, hold = start, _POSTURE_M2 * np.eye(start.shape[1])
    for _ in range(_ITERATIONS):
        off, slope = miss(angles)
        turned = np.swapaxes(slope, 1, 2)
        pull = (turned @ off[..., None])[..., 0] + _POSTURE_M2 * (angles - posture)
        step = np.linalg.solve(turned @ slope + hold, pull[..., None])[..., 0]
        angles = within_ranges(angles - np.clip(step, -0.3, 0.3))
    return angles
