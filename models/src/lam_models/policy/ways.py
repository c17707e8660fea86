"""What a policy is told of places: the ways there, also while the hand hides them.

The camera that sees them (places.py) is asked at every step. Near a place the hand stands before
it; what was seen there last is kept. A single view may be centimetres off, where the arm hides
parts of a thing or the camera trembles: what is told is a median of views. A thing that is pushed
leaves its place: where it is now is told beside.
"""

from __future__ import annotations

from collections import deque

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lam_models.policy.inputs import POSE_FEATURES
from lam_models.policy.places import PLACES, UNIT_M, Poses

# Places, and where the first is now.
TOLD = PLACES + 1
# So near to a place the hand hides it.
NEAR_M = 0.05
# What was seen is about so far from where the hand arrives, along each axis. Of heights less is
# said: hands of other lengths do not come down as far as those that demonstrate.
_REMEMBERED_M = (0.001, 0.001, 0.003)
# Of views, each place's: 1 s at 20 Hz of the first, where things are moved, 4 s of the last.
_VIEWS = (20, 80)
# Whoever looked away so long begins anew.
_AWAY_NS = 500_000_000
# Near a place a way is also told in units of 2.5 and 1 cm, and no longer than one.
_NEAR = (2.0, 5.0)


class Ways(nn.Module):
    """Poses to tokens that tell the way there from where the end effector is."""

    def __init__(self, width: int) -> None:
        super().__init__()
        numbers = 3 * len(_NEAR) + 2 * POSE_FEATURES - 3
        self.tokens = nn.ModuleList(
            nn.Sequential(
                nn.Linear(numbers, 2 * width),
                nn.GELU(),
                nn.Linear(2 * width, 2 * width),
                nn.GELU(),
                nn.Linear(2 * width, width),
            )
            for _ in range(TOLD)
        )

    def forward(
        self, poses: Float[Tensor, "batch told 9"], state: Float[Tensor, "batch 9"]
    ) -> Float[Tensor, "batch told width"]:
        way = (poses[..., :3] - state[:, None, :3]) / UNIT_M
        near = [(stretch * way).tanh() for stretch in _NEAR]
        turn = state[:, None, 3:].expand(-1, TOLD, -1)
        numbers = torch.cat([way, *near, poses[..., 3:], turn], dim=-1)
        return torch.stack([token(numbers[:, i]) for i, token in enumerate(self.tokens)], dim=1)


def told(poses: Poses, found: Poses | None = None) -> Float[Tensor, "batch told 9"]:
    """TOLD poses: PLACES of them, and where the first is as far as can be seen now.

    A thing that is pushed leaves the place where it was met.
    """
    return torch.cat([poses, (poses if found is None else found)[:, :1]], dim=1)


class Sights:
    """Where places were seen, for as long as the instruction stays."""

    def __init__(self) -> None:
        self._words: Tensor | None = None
        self._stamp_ns = 0
        self._poses: Poses | None = None
        self._views: deque[Poses] = deque(maxlen=max(_VIEWS))

    def seen(
        self, found: Poses, words: Tensor, position: Float[Tensor, "batch 3"], stamp_ns: int
    ) -> Poses:
        """What is told of what was found now: of each place the median of its views."""
        same = self._words is not None and torch.equal(self._words, words)
        before = self._poses if same and 0 <= stamp_ns - self._stamp_ns < _AWAY_NS else None
        if before is None:
            self._views.clear()
        self._views.append(found)
        views = torch.stack(list(self._views))
        medians = [views[-count:, :, i].median(0).values for i, count in enumerate(_VIEWS)]
        poses = torch.stack(medians, dim=1)
        if before is not None:
            poses = remembered(poses, before, position)
        self._words, self._stamp_ns, self._poses = words, stamp_ns, poses
        return poses


def remembered(found: Poses, before: Poses, position: Float[Tensor, "batch 3"]) -> Poses:
    """What was found, but where the hand is near to a place found before, that one."""
    near = (before[..., :3] - position[:, None]).norm(dim=-1) < NEAR_M
    return torch.where(near[..., None], before, found)


def as_seen(poses: Poses) -> Poses:
    """Places as they may have been found, with an error that is drawn anew."""
    off = poses.new_tensor(_REMEMBERED_M) * torch.randn_like(poses[..., :3])
    return torch.cat([poses[..., :3] + off, poses[..., 3:]], dim=-1)
