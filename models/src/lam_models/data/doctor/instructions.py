"""Instructions: missing, empty, all the same, or the same written in several ways."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from lam_models.data.doctor.finding import Finding, listed
from lam_models.data.doctor.motion import ACTION, STATE
from lam_models.data.doctor.patient import Patient

_FEWEST_EPISODES = 3


def missing(patient: Patient) -> Iterator[Finding]:
    """Episodes without words. Videos alone need none."""
    if not _for_policies(patient):
        return
    bare = [e.index for e in patient.episodes if not any(task.strip() for task in e.tasks)]
    if bare:
        said = f"There is no instruction in {listed(bare, len(patient.episodes))}."
        cure = "Write one: a policy that listens to words learns to ignore them from these."
        yield Finding("empty instruction", said, cure, tuple(bare))


def unknown_tasks(patient: Patient) -> Iterator[Finding]:
    """task_index of the rows against the tasks table and the episodes table."""
    if patient.tasks is None:
        return
    wrong = {}
    for position, rows in patient.readable("task_index"):
        episode = patient.episodes[position]
        texts = {patient.tasks.get(int(index)) for index in set(rows[:, 0].tolist())}
        if None in texts or not texts <= set(episode.tasks):
            wrong[episode.index] = (sorted(map(str, texts)), list(episode.tasks))
    if wrong:
        number, (rows_say, table_says) = next(iter(wrong.items()))
        said = (
            f"Rows and tables name different instructions in {listed(list(wrong))}: in episode "
            f"{number} the rows say {rows_say}, the episodes table {table_says}."
        )
        cure = "Tables were merged or edited by hand: write tasks.parquet and task_index again."
        yield Finding("wrong instruction index", said, cure, tuple(wrong))


def single(patient: Patient) -> Iterator[Finding]:
    """One instruction for everything, which no policy needs to listen to."""
    words = {task.strip() for e in patient.episodes for task in e.tasks if task.strip()}
    if _for_policies(patient) and len(patient.episodes) >= _FEWEST_EPISODES and len(words) == 1:
        said = (
            f"All {len(patient.episodes)} episodes have one instruction, '{words.pop()}': a policy "
            "trained on them alone cannot learn to listen."
        )
        cure = (
            "Fine for one fixed task. Otherwise train on it together with others, or write the "
            "instruction in several ways."
        )
        yield Finding("single instruction", said, cure, severity="note")


def variants(patient: Patient) -> Iterator[Finding]:
    """Instructions that differ in case, spaces and punctuation alone."""
    spelt: dict[str, set[str]] = defaultdict(set)
    for episode in patient.episodes:
        for task in episode.tasks:
            spelt[" ".join(re.findall(r"\w+", task.lower()))].add(task)
    twice = [sorted(forms) for plain, forms in spelt.items() if plain and len(forms) > 1]
    if twice:
        said = "Instructions differ in spelling alone: " + "; ".join(
            " / ".join(f"'{form}'" for form in forms) for forms in twice[:4]
        )
        cure = "Write each in one way, so that equal tasks count as equal."
        yield Finding("instruction spelt in several ways", f"{said}.", cure, severity="note")


def _for_policies(patient: Patient) -> bool:
    return STATE in patient.columns or ACTION in patient.columns
