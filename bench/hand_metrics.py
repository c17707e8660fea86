"""What bench/hands.py measures of a method that carries poses from hand to hand.

Everything is of people whom training has never seen. The pose that a hand should have is that of
its pair: what retargeting gave it at the same moment.

Of each ordered pair of hands (source, target), a hand with itself among them:
mm, p90_mm: distance of the target's fingertips from where they should be, median and 90 % over
    poses and tips. deg: root mean square over its revolute joints (human: all angles).
width, width_p90: of a gripper, mean and 90 % of the error of its width, as a share of its stroke.
cycle_mm: source to target and back, distance of the source's fingertips, median.
recall1, recall10: each pose of the source looks for its moment among all poses of the target;
    share that finds it first, or among the first ten. Equals count as before it.
closed10, closed20: of thumb-finger pairs nearer than 20 mm on the source, the share that the
    target brings within 10 or 20 mm. false20: of those farther apart than 40 mm, the share that it
    brings within 20 mm. A finger that one of them lacks, or can never bring within 10 mm of its
    thumb, does not count; with a gripper, the smallest gap of either side does.
every20: closed20 with the fingers that cannot touch. pairs20: closed20 of the pairs' own poses,
    which is as far as a method can come that does just what retargeting did.
rising, rank: a gripper opens in 50 steps, the target follows: share of steps in which its mean
    thumb-finger distance does not fall (by more than 0.5 mm), and Spearman's rank correlation.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import numpy as np
from hand_methods import Coded, Method
from hand_people import People

from lam_models.hands.space import HUMAN
from report import Row

PINCHED_M, APART_M, CLOSED_M = 0.02, 0.04, 0.01
STEPS = 50
SLACK_M = 0.0005


def pair_row(people: People, method: Method, source: str, target: str) -> Row:
    """Every figure that makes sense for this pair."""
    given, wanted = (people.test.vectors[name] for name in (source, target))
    found = method.transfer(source, target, given)
    row: Row = {"source": source, "target": target}
    row |= tip_errors(people, target, found, wanted)
    if people.is_gripper(target):
        off = np.abs(people.opening(target, found) - people.opening(target, wanted))
        row |= {"width": float(off.mean()), "width_p90": float(np.quantile(off, 0.9))}
    if source == target:
        return row
    back = method.transfer(target, source, found)
    row["cycle_mm"] = tip_errors(people, source, back, given)["mm"]
    row |= pinches(people, source, target, found)
    for name, poses, able in (("every20", found, False), ("pairs20", wanted, True)):
        closed = pinches(people, source, target, poses, able)
        row |= {name: closed["closed20"]} if "closed20" in closed else {}
    if not people.is_gripper(source) and not people.is_gripper(target):
        ranks = ranks_of(method.likeness(source, target, given, wanted))
        row |= {f"recall{most}": float(np.mean(ranks < most)) for most in (1, 10)}
    if people.is_gripper(source) and not people.is_gripper(target):
        row |= interpolation(people, method, source, target)
    return row


def tip_errors(people: People, hand: str, found: np.ndarray, wanted: np.ndarray) -> Row:
    away = np.linalg.norm(people.tips(hand, found) - people.tips(hand, wanted), axis=-1)
    row: Row = {"mm": 1e3 * float(np.median(away)), "p90_mm": 1e3 * float(np.quantile(away, 0.9))}
    turned = people.degrees(hand, found) - people.degrees(hand, wanted)
    if turned.size:
        turned = (turned + 180.0) % 360.0 - 180.0
        row["deg"] = float(np.sqrt(np.mean(turned**2)))
    return row


def pinches(people: People, source: str, target: str, found: np.ndarray, able: bool = True) -> Row:
    """Pinches that close on the target, and those that close for no reason.

    able: only of fingers that can touch the thumb on both hands.
    """
    given = people.gaps(source, people.test.vectors[source])
    decoded = people.gaps(target, found)
    if people.is_gripper(source) or people.is_gripper(target):
        given, decoded = (np.nanmin(of, axis=1, keepdims=True) for of in (given, decoded))
    both = ~np.isnan(given) & ~np.isnan(decoded)
    if able and given.shape[1] > 1:
        both &= people.touching(source) & people.touching(target)
    near, far = both & (given < PINCHED_M), both & (given > APART_M)
    row: Row = {}
    if near.any():
        row["closed10"] = float(np.mean(decoded[near] < CLOSED_M))
        row["closed20"] = float(np.mean(decoded[near] < PINCHED_M))
    if far.any():
        row["false20"] = float(np.mean(decoded[far] < PINCHED_M))
    return row


def ranks_of(likeness: np.ndarray) -> np.ndarray:
    """How many of a row are as like as its own moment, which is on the diagonal, or liker."""
    return (likeness >= np.diag(likeness)[:, None]).sum(axis=1) - 1


def interpolation(people: People, method: Method, gripper: str, hand: str) -> Row:
    follows = method.transfer(gripper, hand, people.sweep(gripper, STEPS))
    apart = np.nanmean(people.gaps(hand, follows), axis=1)
    rising = float(np.mean(np.diff(apart) >= -SLACK_M))
    return {"rising": rising, "rank": spearman(np.arange(STEPS), apart)}


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation of the ranks, equals sharing theirs; 0 where one does not vary."""
    one, other = (of - of.mean() for of in (_ranks(first), _ranks(second)))
    size = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / size if size > 0.0 else 0.0


def _ranks(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2.0)[inverse]


def latents_row(people: People, method: Coded, seed: int) -> Row:
    """Of the latents themselves.

    leak, leak_hands: accuracy of a linear probe, trained on training people, that tells which hand
        a latent comes from, of all and without grippers; chance is one over their number.
    alignment: mean squared distance of the same moment on two hands. uniformity: log of the mean
        of exp(-2 distance^2) over two moments on one hand. Both without grippers, unit latents.
    """
    row: Row = {"leak": probe(people, method, people.names, seed)}
    row["leak_hands"] = probe(people, method, people.hands, seed)
    latents = np.stack([method.encode(n, people.test.vectors[n]) for n in people.hands])
    norms = np.linalg.norm(latents, axis=-1)
    if np.allclose(norms, 1.0, atol=1e-3):
        count = len(latents)
        total = np.square(latents.sum(0)).sum(-1).mean()
        row["alignment"] = float(2.0 - 2.0 * (total - count) / (count * (count - 1)))
        rows = np.random.default_rng(seed).permutation(latents.shape[1])[:400]
        cosines = np.stack([of[rows] @ of[rows].T for of in latents])
        others = ~np.eye(len(rows), dtype=bool)
        row["uniformity"] = float(np.log(np.exp(4.0 * cosines[:, others] - 4.0).mean()))
    return row


def probe(people: People, method: Coded, names: tuple[str, ...], seed: int) -> float:
    """Accuracy of multinomial logistic regression from latents to hands."""
    import torch

    rng = np.random.default_rng(seed)
    parts = []
    for pairs, most in ((people.train, 500), (people.test, 300)):
        rows = rng.permutation(len(pairs))[:most]
        latents = [np.nan_to_num(method.encode(n, pairs.vectors[n][rows]), nan=0.5) for n in names]
        labels = np.repeat(np.arange(len(names)), len(rows))
        parts.append((torch.from_numpy(np.concatenate(latents)).float(), torch.from_numpy(labels)))
    (x, labels), (test_x, test_labels) = parts
    mean, deviation = x.mean(0), x.std(0).clamp(min=1e-3)
    linear = torch.nn.Linear(x.shape[1], len(names))
    optimiser = torch.optim.LBFGS(linear.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        wrong = torch.nn.functional.cross_entropy(linear((x - mean) / deviation), labels)
        wrong = wrong + 1e-4 * linear.weight.square().sum()
        wrong.backward()
        return wrong

    optimiser.step(loss)
    found = linear((test_x - mean) / deviation).argmax(-1)
    return float((found == test_labels).float().mean())


def timed_us(call: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median and 99 % of the time of one call."""
    for _ in range(repeats // 10):
        call()
    taken = np.empty(repeats)
    for index in range(repeats):
        start = time.perf_counter_ns()
        call()
        taken[index] = time.perf_counter_ns() - start
    return float(np.median(taken)) / 1e3, float(np.quantile(taken, 0.99)) / 1e3


def timing_row(people: People, method: Method, repeats: int) -> Row:
    """One pose at a time, mean over hands of the median and the worst hand's 99 %.

    Of a method with latents, decoding alone; of the others, the way from the human hand.
    """
    taken = [_timed(method, people.test.vectors[HUMAN], t, repeats) for t in people.names[1:]]
    middles, lates = zip(*taken, strict=True)
    return {"decode_us": float(np.mean(middles)), "decode_p99_us": max(lates)}


def _timed(method: Method, poses: np.ndarray, target: str, repeats: int) -> tuple[float, float]:
    if isinstance(method, Coded):
        latent = method.encode(HUMAN, poses[:1])[0]
        return timed_us(lambda: method.decode(target, latent), repeats)
    # Poses that were not asked for yet: what a method has kept takes no time.
    ways = itertools.cycle(poses[:, None])
    return timed_us(lambda: method.transfer(HUMAN, target, next(ways)), min(repeats, 200))
