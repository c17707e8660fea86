"""Whether a latent means the same on other scenes: decoded there, read there, found again there.

A giver's latent is applied to a taker's present frames, of another episode. Takers of another
dataset show whether a latent survives a change of embodiment.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lam_models.data.clips import Clips
from lam_models.stages.health.prediction import ratio
from lam_models.stages.health.subject import Rows, Subject, chosen

Actions = Float[Tensor, "_ action"]
Values = Float[Tensor, "clips tokens dim"]
# Latents of any number of clips, and the standardised actions behind them.
Acted = tuple[Float[Tensor, "_ tokens dim"], Actions]

# Two actions are nearly the same below this distance [standard deviations, root mean square].
SAME_WITHIN = 0.25
# Actions that retrieval has to tell apart are at least this far from each other.
DIFFERENT_FROM = 0.75
_MOST_CANDIDATES = 32
_FEWEST = 8


def distances(a: Actions, b: Actions) -> Float[Tensor, "_ others"]:
    """Root mean square over the columns."""
    return torch.cdist(a.double(), b.double()) / a.shape[1] ** 0.5


def same_action_pairs(givers: Actions, takers: Actions) -> tuple[Rows, Rows]:
    """Givers and takers, row by row, of nearly the same (standardised) action.

    Each taker gets the nearest giver, where one is within SAME_WITHIN.
    """
    nearest, giver = distances(givers, takers).min(0)
    taker = (nearest <= SAME_WITHIN).nonzero().flatten()
    return giver[taker].numpy(), taker.numpy()


def different_actions(actions: Actions, most: int = _MOST_CANDIDATES) -> Rows:
    """Rows of actions at least DIFFERENT_FROM apart, the farthest first."""
    picked = [int(actions.double().norm(dim=1).argmax())]
    far = distances(actions, actions[picked])[:, 0]
    while len(picked) < most and float(far.max()) >= DIFFERENT_FROM:
        picked.append(int(far.argmax()))
        far = torch.minimum(far, distances(actions, actions[picked[-1:]])[:, 0])
    return np.array(picked)


def retrieval(
    queries: Float[Tensor, "n entries"], candidates: Float[Tensor, "n entries"]
) -> tuple[float, float]:
    """Share of queries whose nearest candidate is their partner, and what chance gives, 1 / n."""
    found = torch.cdist(queries.double(), candidates.double()).argmin(1)
    hits = (found == torch.arange(len(queries))).double().mean().item()
    return hits, 1 / len(queries)


def migration(
    subject: Subject, given: Values, takers: Clips, own: Values, other: Values
) -> dict[str, float | None]:
    """Latents of clips with the same action, decoded on the takers' present frames.

    given, own, other: the givers' latents, the takers' own and those of any other clips.

    migration         E‖D(o_j, z_i) - o'_j‖² / E‖o_j - o'_j‖²: below 1 is useful
    migration_own     the same with z_j itself: the best it can be
    migration_random  with a latent of any other clip: what it must be below
    """
    copied = subject.change(takers)
    return {
        "migration": ratio(subject.error(given, takers), copied),
        "migration_own": ratio(subject.error(own, takers), copied),
        "migration_random": ratio(subject.error(other, takers), copied),
    }


def cycle(z: Values, again: Values, swapped: Values) -> float | None:
    """E‖z(o, D(o, z)) - z‖ / E‖z - z_swapped‖: 0 comes back as it was, 1 as any other."""
    length = (z - swapped).flatten(1).norm(dim=1).mean().item()
    return (again - z).flatten(1).norm(dim=1).mean().item() / length if length > 0 else None


def same_actions(
    subject: Subject,
    givers: Acted,
    takers: Acted,
    taker_clips: Clips,
    seed: int,
) -> dict[str, float | None]:
    """Migration and retrieval over the pairs of clips that did nearly the same; pairs: how many."""
    i, j = same_action_pairs(givers[1], takers[1])
    measured: dict[str, float | None] = {"pairs": float(len(i))}
    if len(i) < _FEWEST:
        return measured
    given, own = givers[0][torch.from_numpy(i)], takers[0][torch.from_numpy(j)]
    if subject.decodes:
        mixed = torch.from_numpy(np.random.default_rng([seed, 2]).permutation(len(givers[0])))
        other = givers[0][mixed[torch.arange(len(i)) % len(mixed)]]
        measured |= migration(subject, given, chosen(taker_clips, j), own, other)
    rows = torch.from_numpy(different_actions(takers[1][torch.from_numpy(j)]))
    if len(rows) >= _FEWEST:
        hits, chance = retrieval(given[rows].flatten(1), own[rows].flatten(1))
        measured |= {"retrieval_top1": hits, "retrieval_chance": chance}
    return measured
