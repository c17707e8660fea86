"""What follows from the cells: LAPA's claim that video helps, and most where labels are few."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean

from label_cells import DISTRACTORS
from orderings import Ordering, judge_ordering

from report import Goal, Row


def rate(rows: list[Row], recipe: str, condition: str, labels: tuple[int, ...]) -> float:
    """Mean success over these numbers of labels."""
    return mean(
        float(row["success"])
        for row in rows
        if row["recipe"] == recipe and row["condition"] == condition and row["labels"] in labels
    )


def gain(rows: list[Row], recipe: str, condition: str, labels: tuple[int, ...]) -> float:
    """Success beyond scratch with the same labels."""
    return rate(rows, recipe, condition, labels) - rate(rows, "scratch", condition, labels)


@dataclass(frozen=True)
class Claims:
    """Of these recipes that learn of video, over these seeds and numbers of labels."""

    recipes: tuple[str, ...]
    seeds: tuple[int, ...]
    few: tuple[int, ...]
    many: tuple[int, ...]

    def findings(self, rows: list[Row]) -> list[Row]:
        """None of a quick run, which has too few cells."""
        if {row["seed"] for row in rows} != set(self.seeds):
            return []
        return [judge_ordering(claim, rows, self.seeds) for claim in self.orderings()]

    @property
    def goal(self) -> Goal:
        return Goal("success that video adds to few labels, best recipe", self.best_gain, 0.0)

    def best_gain(self, rows: list[Row]) -> float:
        """The greatest mean gain of a recipe with few labels and no distractors."""
        return max(gain(rows, recipe, "clean", self.few) for recipe in self.recipes)

    def orderings(self) -> list[Ordering]:
        """With and without distractors."""
        return [
            claim
            for where in DISTRACTORS
            for recipe in self.recipes
            for claim in _of_recipe(recipe, where, self.few, self.many)
        ]


def table(rows: list[Row]) -> list[Row]:
    """Means over seeds, a line a recipe and number of labels."""
    out: dict[tuple[str, int], Row] = {}
    for key in dict.fromkeys((str(row["recipe"]), int(row["labels"])) for row in rows):
        out[key] = {"recipe": key[0], "labels": key[1] or "all"}
        for where in dict.fromkeys(str(row["condition"]) for row in rows):
            held = [
                r for r in rows if (r["recipe"], r["labels"]) == key and r["condition"] == where
            ]
            for name in ("success", "nmse", "nmse_hand") if held else ():
                out[key][f"{where} {name}"] = mean(float(row[name]) for row in held)
    return list(out.values())


def _of_recipe(
    recipe: str, where: str, few: tuple[int, ...], many: tuple[int, ...]
) -> tuple[Ordering, Ordering]:
    def helps(rows: list[Row]) -> float:
        return gain(rows, recipe, where, few)

    def most(rows: list[Row]) -> float:
        return helps(rows) - gain(rows, recipe, where, many)

    return (
        Ordering(f"{recipe} beats scratch where labels are few, {where}", helps),
        Ordering(f"{recipe} helps more where they are few than where they are many, {where}", most),
    )
