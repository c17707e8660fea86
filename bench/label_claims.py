"""What follows from the cells: LAPA's claim that video helps, and most where labels are few."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import mean

from label_cells import DISTRACTORS
from orderings import Ordering

from report import Row


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


def claims(recipes: Iterable[str], few: tuple[int, ...], many: tuple[int, ...]) -> list[Ordering]:
    """Of each recipe that learns of video, with and without distractors."""
    out = []
    for where in DISTRACTORS:
        for recipe in recipes:
            helps = f"{recipe} beats scratch where labels are few, {where}"
            most = f"{recipe} helps more where they are few than where they are many, {where}"
            out.append(Ordering(helps, lambda rows, r=recipe, w=where: gain(rows, r, w, few)))
            out.append(
                Ordering(
                    most,
                    lambda rows, r=recipe, w=where: gain(rows, r, w, few) - gain(rows, r, w, many),
                )
            )
    return out


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
