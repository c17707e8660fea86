"""What the papers lead one to expect of the zoo's rows, as claims to be judged over seeds."""

from __future__ import annotations

from orderings import Ordering, judge_ordering

from report import Row

CONDITIONS = ("clean", "distracted")
FROM_VIDEO = ("lapo", "lapa", "univla", "igor", "farsighted", "laom")
# What the claims are judged by: NMSE of the end effector's translation over the gap.
ACTION = "probe.linear.translation"
UNQUANTISED = "probe.linear_unquantised.translation"
QUANTISED = ("lapo", "lapa", "univla", "igor", "farsighted")


def pick(rows: list[Row], system: str, condition: str, key: str) -> float:
    """A value of one system's run, of the rows of one seed."""
    found = [r for r in rows if (r["system"], r["condition"]) == (system, condition)]
    return float(found[0][key])


def harm(rows: list[Row], system: str) -> float:
    """What distractors add to the error of reading the action."""
    return pick(rows, system, "distracted", ACTION) - pick(rows, system, "clean", ACTION)


def quantising(rows: list[Row]) -> float:
    """What choosing codes adds to that error, on average over systems and conditions."""
    gaps = [
        pick(rows, system, condition, ACTION) - pick(rows, system, condition, UNQUANTISED)
        for system in QUANTISED
        for condition in CONDITIONS
    ]
    return sum(gaps) / len(gaps)


def lead(rows: list[Row], system: str, others: tuple[str, ...]) -> float:
    """By how much the best of the others is worse at telling the action, with distractors."""
    own = pick(rows, system, "distracted", ACTION)
    return min(pick(rows, other, "distracted", ACTION) for other in others) - own


def ahead(rows: list[Row]) -> float:
    """What looking farther gains where two frames tell little, on average over conditions."""
    gains = [
        pick(rows, "farsighted, 2 frames", condition, "ambiguous.linear_unquantised")
        - pick(rows, "farsighted", condition, "ambiguous.linear_unquantised")
        for condition in CONDITIONS
    ]
    return sum(gains) / len(gains)


ORDERINGS = (
    Ordering(
        "distractors hurt LAPO most",
        lambda r: harm(r, "lapo") - max(harm(r, s) for s in FROM_VIDEO if s != "lapo"),
    ),
    Ordering(
        "LAOM tells the action better than LAPO, with distractors",
        lambda r: lead(r, "laom", ("lapo",)),
    ),
    Ordering(
        "LAOM with 2.5 % labels tells it best, with distractors",
        lambda r: lead(r, "laom + labels", (*FROM_VIDEO, "linear")),
    ),
    Ordering(
        "LAOM with 2.5 % labels tells it better than the same labels alone",
        lambda r: lead(r, "laom + labels", ("idm",)),
    ),
    Ordering("latents tell it better before they are quantised", quantising),
    Ordering(
        "UniVLA's task-centric codes tell less of distractors than LAPA's",
        lambda r: (
            pick(r, "univla", "distracted", "leak.distractors")
            - pick(r, "lapa", "distracted", "leak.distractors")
        ),
    ),
    Ordering("looking farther helps where two frames tell little", ahead),
    Ordering(
        "IGOR's latents migrate: applied to another scene they beat copying",
        lambda r: 1 - pick(r, "igor", "clean", "transfer.migration"),
    ),
    Ordering(
        "and to another hand",
        lambda r: 1 - pick(r, "igor", "clean", "other.migration"),
    ),
)  # fmt: skip


def verdicts(rows: list[Row]) -> list[Row]:
    """Every claim's row; none where systems are missing, as in a quick look."""
    if not {str(row["system"]) for row in rows} >= {*FROM_VIDEO, "laom + labels", "idm"}:
        return []
    seeds = sorted({int(row["seed"]) for row in rows})
    return [judge_ordering(ordering, rows, seeds) for ordering in ORDERINGS]
