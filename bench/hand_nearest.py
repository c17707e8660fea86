"""Nearest neighbour: the training moment whose fingertips on the source are nearest, and what the
target did at that moment. Nothing is learned, everything is remembered."""

from __future__ import annotations

import numpy as np
from hand_people import People
from hand_slots import nearness


class Nearest:
    """Likeness is nearness of fingertips on the target, after the transfer."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._tips: dict[str, np.ndarray] = {}

    def transfer(self, source: str, target: str, vectors: np.ndarray) -> np.ndarray:
        train = self._people.train.vectors
        if source not in self._tips:
            self._tips[source] = flat_tips(self._people, source, train[source])
        near = nearness(flat_tips(self._people, source, vectors), self._tips[source])
        return train[target][near.argmax(axis=1)]

    def likeness(
        self, source: str, target: str, vectors: np.ndarray, gallery: np.ndarray
    ) -> np.ndarray:
        found = self.transfer(source, target, vectors)
        return nearness(*(flat_tips(self._people, target, of) for of in (found, gallery)))


def flat_tips(people: People, name: str, vectors: np.ndarray) -> np.ndarray:
    return people.tips(name, vectors).reshape(len(vectors), -1)
