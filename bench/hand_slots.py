"""Named functional joint slots: every joint that works like a human one shares that one's slot.

No training. A value is a share of its joint's range, from 0 to 1 as the human angle grows, so that
hands of different limits agree on the ends. Where a source has nothing to say about a joint it
takes its mean over the training poses. A gripper closes as a thumb and an index finger bend: it
speaks in all of their flexions and listens to their mean.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from hand_people import People

from lam_models.hands.human import (
    ANGLES,
    LOWER_RAD,
    UPPER_RAD,
    angles_from_points,
    mean_hand,
    within_ranges,
)
from lam_models.hands.slot_space import GRIPPING
from lam_models.hands.space import HUMAN, human_points, human_vector


class NamedSlots:
    """Latents are the 21 slots; likeness is nearness over the slots that both hands have."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._opposite = {name: _opposite(people, name) for name in people.specs}
        self._columns = {name: _columns(people, name) for name in people.specs}

    @cached_property
    def _means(self) -> dict[str, np.ndarray]:
        """Mean of each entry of the hands' own shares."""
        people = self._people
        return {n: self._shares(n, people.train.vectors[n]).mean(axis=0) for n in people.names}

    def _shares(self, name: str, vectors: np.ndarray) -> np.ndarray:
        """Each actuated joint (human: angle) as a share of its range; a gripper's: how closed."""
        if name == HUMAN:
            angles = within_ranges(angles_from_points(human_points(vectors.astype(np.float64))))
            return (angles - LOWER_RAD) / (UPPER_RAD - LOWER_RAD)
        spec = self._people.specs[name]
        shares = (vectors - spec.lower) / (spec.upper - spec.lower)
        return np.where(self._opposite[name], 1.0 - shares, shares)

    def encode(self, name: str, vectors: np.ndarray) -> np.ndarray:
        shares = self._shares(name, vectors)
        if name == HUMAN:
            return shares
        slots = np.full((len(vectors), len(ANGLES)), np.nan)
        if self._people.is_gripper(name):
            slots[:, GRIPPING] = shares
            return slots
        columns = self._columns[name]
        for slot in {column for column in columns if column is not None}:
            mine = [index for index, column in enumerate(columns) if column == slot]
            slots[:, slot] = shares[:, mine].mean(axis=1)
        return slots

    def decode(self, name: str, latents: np.ndarray) -> np.ndarray:
        slots = latents.reshape(-1, len(ANGLES))
        return self._decode(name, slots).reshape(*latents.shape[:-1], -1).astype(np.float32)

    def _decode(self, name: str, slots: np.ndarray) -> np.ndarray:
        mean = self._means[name]
        if name == HUMAN:
            shares = np.where(np.isnan(slots), mean, slots)
            angles = LOWER_RAD + (UPPER_RAD - LOWER_RAD) * shares
            return human_vector(mean_hand().points(angles))
        spec = self._people.specs[name]
        if self._people.is_gripper(name):
            said = slots[:, GRIPPING]
            known = ~np.isnan(said)
            total = np.where(known, said, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
            shares = np.where(known.any(axis=1), total, mean)[:, None]
        else:
            shares = np.tile(mean, (len(slots), 1))
            for index, column in enumerate(self._columns[name]):
                if column is not None:
                    said = slots[:, column]
                    shares[:, index] = np.where(np.isnan(said), mean[index], said)
        shares = np.where(self._opposite[name], 1.0 - shares, shares)
        return spec.lower + (spec.upper - spec.lower) * shares

    def transfer(self, source: str, target: str, vectors: np.ndarray) -> np.ndarray:
        return self.decode(target, self.encode(source, vectors))

    def likeness(
        self, source: str, target: str, vectors: np.ndarray, gallery: np.ndarray
    ) -> np.ndarray:
        ours, theirs = self.encode(source, vectors), self.encode(target, gallery)
        both = ~np.isnan(ours[0]) & ~np.isnan(theirs[0])
        return nearness(ours[:, both], theirs[:, both])


def _opposite(people: People, name: str) -> np.ndarray:
    """Which actuated joints fall as their slot grows; a gripper's does if it opens."""
    spec = people.specs[name]
    if people.is_gripper(name):
        return people.opening(name, spec.upper[None]) > 0.5
    return np.array([spec.joints[joint].slot.startswith("-") for joint in spec.actuated])


def _columns(people: People, name: str) -> list[int | None]:
    """For each actuated joint the slot it is in."""
    spec = people.specs[name]
    slots = [spec.joints[joint].slot.removeprefix("-") for joint in spec.actuated]
    return [ANGLES.index(slot) if slot else None for slot in slots]


def nearness(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Negative squared distance of each row of the one to each of the other."""
    squares = np.square(ours).sum(1)[:, None] + np.square(theirs).sum(1)
    return 2.0 * ours @ theirs.T - squares
