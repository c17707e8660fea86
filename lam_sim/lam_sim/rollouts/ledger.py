"""Which attempts at a demonstration become episodes of a dataset, and how many are made."""

from __future__ import annotations

from collections.abc import Sequence

from lam_models.command import UserError

# --only-successes gives up when fewer than one attempt in this many succeeds.
_ATTEMPTS_PER_EPISODE = 5


class Ledger:
    """Which attempts become episodes: the first ones of each task, until it has its share."""

    def __init__(self, tasks: Sequence[str], episodes: int, only_successes: bool) -> None:
        each, rest = divmod(episodes, len(tasks))
        self._missing = {task: each + (i < rest) for i, task in enumerate(tasks)}
        self._only_successes = only_successes
        self._most = {
            task: share * (_ATTEMPTS_PER_EPISODE if only_successes else 1)
            for task, share in self._missing.items()
        }
        self.attempts = dict.fromkeys(tasks, 0)
        self.successes = dict.fromkeys(tasks, 0)

    def wants(self, task: str) -> bool:
        """Whether the task lacks episodes."""
        return self._missing[task] > 0

    def most(self, task: str) -> int:
        """Attempts allowed to the task."""
        return self._most[task]

    def note(self, task: str, success: bool) -> bool:
        """Whether to keep this attempt. Attempts come in order; late ones are not counted."""
        if not self.wants(task):
            return False
        self.attempts[task] += 1
        self.successes[task] += success
        kept = success or not self._only_successes
        self._missing[task] -= kept
        if self.wants(task) and self.attempts[task] == self.most(task):
            raise UserError(
                f"task '{task}': only {self.successes[task]} of {self.attempts[task]} attempts "
                "succeeded; lower --noise or --difficulty, or leave out --only-successes"
            )
        return kept
