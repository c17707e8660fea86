"""What bench/hands.py sums up, aims at and finds.

Hands are the human one and those that are no gripper. Everything is a mean over ordered pairs of
two different hands unless its name says otherwise. What is compared is judged over seeds
(orderings.py): "does not hold" means that the other one is the better.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from orderings import Ordering, judge_ordering

from report import Goal, Row

OURS = "cross"
BASELINES = ("IK", "named slots", "nearest neighbour", "DexLatent")
# Name -> what it is called, and whether more is better.
METRICS: dict[str, tuple[str, bool]] = {
    "self_mm": ("given back, mm", False),
    "self_deg": ("given back, deg", False),
    "cross_mm": ("fingertips, mm", False),
    "cross_p90_mm": ("fingertips, 90 %, mm", False),
    "cross_deg": ("joints, deg", False),
    "robots_mm": ("fingertips from robot hands, mm", False),
    "cycle_mm": ("there and back, mm", False),
    "width": ("gripper width, share of stroke", False),
    "recall1": ("recall@1", True),
    "recall10": ("recall@10", True),
    "closed10": ("pinches within 10 mm", True),
    "closed20": ("pinches within 20 mm", True),
    "every20": ("the same, with fingers that cannot touch", True),
    "pairs20": ("the same, of the pairs themselves", True),
    "false20": ("false closures", False),
    "rising": ("gripper opens, hand opens: steps", True),
    "rank": ("the same, rank correlation", True),
    "leak_hands": ("which hand, by linear probe", False),
    "decode_p99_us": ("decoding, 99 %, us", False),
}
# Of the printed table; the rest is in the rows.
COLUMNS = {
    "mm": "cross_mm",
    "worst": "worst_mm",
    "robots": "robots_mm",
    "width": "width",
    "@10": "recall10",
    "<20": "closed20",
    "false": "false20",
    "leak": "leak_hands",
    "us": "decode_p99_us",
}
# By which ours is held against the baselines. What IK gives back is what it was given; and what it
# makes of people is what all others are measured by.
COMPARED = (
    "cross_mm",
    "robots_mm",
    "cycle_mm",
    "width",
    "recall10",
    "closed10",
    "closed20",
    "false20",
    "rank",
)
ABLATED = ("cross_mm", "width", "recall10", "closed20")
ABLATIONS = {
    "temperature that falls, against a constant one": "constant_temperature",
    "encoders that go on learning, against fixed ones": "fixed_encoders",
}


def whole(pairs: Sequence[Row], grippers: tuple[str, ...]) -> Row:
    """One method's figures of one seed, from its pairs."""

    def mean(of: Sequence[Row], key: str) -> dict[str, float]:
        held = [float(pair[key]) for pair in of if key in pair]
        return {key: statistics.mean(held)} if held else {}

    def gripper(pair: Row, end: str) -> bool:
        return pair[end] in grippers

    hands = [p for p in pairs if not gripper(p, "source") and not gripper(p, "target")]
    own = [p for p in hands if p["source"] == p["target"]]
    cross = [p for p in hands if p["source"] != p["target"]]
    robots = [p for p in cross if p["source"] != "human"]
    to_grippers = [p for p in pairs if gripper(p, "target") and not gripper(p, "source")]
    from_grippers = [p for p in pairs if gripper(p, "source") and not gripper(p, "target")]
    row: Row = {}
    row |= _named("self_", mean(own, "mm") | mean(own, "deg"))
    row |= _named("cross_", mean(cross, "mm") | mean(cross, "p90_mm") | mean(cross, "deg"))
    row |= _named("robots_", mean(robots, "mm"))
    if cross:
        row["worst_mm"] = max(float(pair["mm"]) for pair in cross)
    for key in (
        "cycle_mm",
        "recall1",
        "recall10",
        "closed10",
        "closed20",
        "every20",
        "pairs20",
        "false20",
    ):
        row |= mean(cross, key)
    for key in ("width", "width_p90"):
        row |= mean(to_grippers, key)
    for key in ("rising", "rank"):
        row |= mean(from_grippers, key)
    return row


def _named(prefix: str, values: dict[str, float]) -> Row:
    return {prefix + key: value for key, value in values.items()}


def methods_of(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(str(row["method"]) for row in rows))


def values_of(rows: Sequence[Row], method: str, key: str) -> list[float]:
    """By seed."""
    return [
        float(row[key])
        for row in rows
        if row["kind"] == "method" and row["method"] == method and key in row
    ]


def table(rows: list[Row]) -> list[Row]:
    """Means over seeds, a line a method."""
    lines: list[Row] = []
    for method in methods_of(rows):
        line: Row = {"method": method}
        for short, key in COLUMNS.items():
            held = values_of(rows, method, key)
            line[short] = float(f"{statistics.mean(held):.3g}") if held else ""
        lines.append(line)
    return lines


def worst_pair(rows: Sequence[Row], method: str) -> Row:
    """By the median error of the fingertips, mean over seeds."""
    pairs = [
        row
        for row in rows
        if row["kind"] == "pair"
        and row["method"] == method
        and not row["gripper"]
        and row["source"] != row["target"]
    ]
    return max(pairs, key=lambda pair: float(pair["mm"]))


def _goal(text: str, key: str, **bounds: float) -> Goal:
    return Goal(text, lambda rows: statistics.mean(values_of(rows, OURS, key)), **bounds)


GOALS = (
    _goal("fingertips from hand to hand, median, mm", "cross_mm", at_most=8.0),
    _goal("width of grippers, mean error as a share of the stroke", "width", at_most=0.06),
    _goal("recall@10 from hand to hand", "recall10", at_least=0.8),
    _goal("pinches that close within 20 mm", "closed20", at_least=0.9),
    _goal("false closures", "false20", at_most=0.05),
    _goal("decoding, 99 %, us", "decode_p99_us", at_most=15.0),
)


def better(first: str, second: str, key: str, claim: str) -> Ordering:
    """That the first method is better than the second, by one figure."""
    title, more = METRICS[key]

    def margin(rows: list[Row]) -> float:
        (one,), (other,) = (values_of(rows, method, key) for method in (first, second))
        return one - other if more else other - one

    return Ordering(f"{claim}: {title}", margin)


def orderings(rows: Sequence[Row]) -> list[Ordering]:
    """All that the methods at hand allow."""
    there = set(methods_of(rows))
    claims = [
        better(OURS, other, key, f"ours above {other}")
        for other in BASELINES
        if other in there
        for key in COMPARED
        if not (other == "IK" and key == "cross_mm")
    ]
    if "lad" in there:
        text = "decoders that hear other hands, against the paper's"
        claims += [better(OURS, "lad", key, text) for key in ABLATED]
    for recipe in (OURS, "lad"):
        for text, ablated in ABLATIONS.items():
            if recipe in there and f"{recipe}_{ablated}" in there:
                claim = f"{recipe}, {text}"
                claims += [better(recipe, f"{recipe}_{ablated}", key, claim) for key in ABLATED]
    return claims


def findings(rows: list[Row]) -> list[Row]:
    """Every comparison over seeds; none of one seed, as in a quick look."""
    own = [row for row in rows if row["kind"] == "method"]
    seeds = sorted({int(row["seed"]) for row in own})
    if len(seeds) < 2:
        return []
    worst = worst_pair(rows, OURS)
    named = f"worst pair of hands of ours, mm: {worst['source']} to {worst['target']}"
    judged = [judge_ordering(ordering, own, seeds) for ordering in orderings(rows)]
    return [*judged, {"claim": named, "margin": worst["mm"]}]
