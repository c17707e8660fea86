"""Direct retargeting: inverse kinematics from hand to hand, nothing learned.

From the human hand it is the solver that made the pairs (lam_models.hands.retarget): there the
errors against the pair's pose are none by definition, and say nothing. From another hand a human
hand is found first whose retargeting would ask for what the source does, by damped least squares:
the solver's own map of fingertips turned round, thumb-finger vectors in and near contact as that
solver takes them, and what this leaves open near the mean posture of the training people. A gripper
says how far thumb and index are apart, by the line through its openings and people's smallest
thumb-finger gaps in the training pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from hand_nearest import flat_tips
from hand_people import People
from hand_slots import nearness

from lam_models.hands.correspondence import Correspondence, correspondence
from lam_models.hands.human import TIPS, angles_from_points, mean_hand, within_ranges
from lam_models.hands.objective import Objective, key_targets
from lam_models.hands.retarget import Retargeter
from lam_models.hands.space import HUMAN, human_points, human_vector
from lam_models.hands.spec import HandSpec

_ITERATIONS = 20
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
    """People's thumb-finger gap at this opening: the line through the training pairs."""
    train = people.train.vectors
    smallest, opening = (
        people.gaps(HUMAN, train[HUMAN]).min(axis=1),
        people.opening(gripper, train[gripper]),
    )
    between = (opening > 0.02) & (opening < 0.98)
    slope, start = np.polyfit(opening[between], smallest[between], 1)
    return np.maximum(start + slope * people.opening(gripper, vectors), 0.0)


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
    """Tips where retargeting would have them from, thumb-finger vectors the nearer the more."""
    fingers, wanted = people.fingers(source), Objective()
    way = correspondence(people.kinematics[source])
    columns, thumb = np.array(way.fingers), fingers.index("thumb")
    others = np.array([index for index in range(len(fingers)) if index != thumb])
    tips = people.tips(source, vectors)
    goals, apart_m = (tips - way.shift) / way.scale[:, None], tips[:, others] - tips[:, thumb, None]
    lengths = np.maximum(np.linalg.norm(apart_m, axis=-1), 1e-9)
    human = human_gaps(wanted, people.specs[source], way)(lengths)
    gaps = apart_m * (human / lengths)[..., None]
    near = np.clip((wanted.apart_m - human) / (wanted.apart_m - wanted.closed_m), 0.0, 1.0)
    weights = np.sqrt(wanted.pinch * near)[..., None]

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


def human_gaps(
    wanted: Objective, spec: HandSpec, way: Correspondence
) -> Callable[[np.ndarray], np.ndarray]:
    """The human gap [m] for which retargeting asks for this one of the hand."""
    known = np.linspace(0.0, wanted.closed_m, 41)
    tips = np.zeros((len(known), len(way.fingers), 3))
    first, second = (spec.tips.index(name) for name in ("thumb", "index"))
    tips[:, second] = tips[:, first] + known[:, None] * np.array([1.0, 0.0, 0.0])
    targets, _ = key_targets(wanted, spec, way, tips)
    asked = np.linalg.norm(targets[:, spec.key_vectors.index(("thumb", "index"))], axis=-1)
    ends = [wanted.apart_m, 1.0]  # Beyond contact a gap is what it is.
    asked, known = np.concatenate([asked, ends]), np.concatenate([known, ends])
    return lambda gaps: np.interp(gaps, asked, known)


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
