"""What the demo says: a live table in a terminal, plain lines elsewhere, and the success files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table


@dataclass(frozen=True)
class Plan:
    """An episode to run."""

    number: int
    task: str
    hand: str
    seed: int


@dataclass(frozen=True)
class Outcome:
    """How an episode ended.

    elapsed_s: simulated time until success or until it was given up.
    front_frames, wrist_frames: images received meanwhile.
    reason: one sentence where it failed, else "".
    """

    plan: Plan
    succeeded: bool
    instruction: str = ""
    elapsed_s: float = 0.0
    front_frames: int = 0
    wrist_frames: int = 0
    reason: str = ""


class Reporter:
    """Shows the episodes as they come."""

    def __init__(self, plans: Sequence[Plan], console: Console | None = None) -> None:
        self._plans = plans
        self._outcomes: dict[int, Outcome] = {}
        self._running: tuple[Plan, str, float] | None = None
        self._console = console or Console()
        self._live: Live | None = None

    @contextmanager
    def showing(self) -> Iterator[Reporter]:
        """Keep the table on the screen while the episodes run."""
        if not self._console.is_interactive:
            yield self
            return
        with Live(self.table(), console=self._console, refresh_per_second=4) as live:
            self._live = live
            yield self
        self._live = None

    def running(self, plan: Plan, instruction: str, elapsed_s: float) -> None:
        """The present episode goes on."""
        is_new = self._running is None or self._running[0] != plan
        self._running = (plan, instruction, elapsed_s)
        if self._live:
            self._live.update(self.table())
        elif is_new:
            self._say(f"{_title(plan, len(self._plans))}: {instruction}")

    def finished(self, outcome: Outcome) -> None:
        """The present episode ended."""
        self._outcomes[outcome.plan.number] = outcome
        self._running = None
        if self._live:
            self._live.update(self.table())
        else:
            self._say(f"  {_result(outcome)}")

    def _say(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def table(self) -> Table:
        """All episodes, done, running and to come."""
        done = self._outcomes.values()
        good = sum(outcome.succeeded for outcome in done)
        table = Table(title=f"lam demo: {good} of {len(done)} succeeded", title_justify="left")
        table.add_column("#", justify="right")
        table.add_column("task")
        table.add_column("hand")
        table.add_column("instruction", no_wrap=True, overflow="ellipsis", max_width=44)
        table.add_column("time", justify="right")
        table.add_column("result", no_wrap=True, overflow="ellipsis", max_width=40)
        for plan in self._plans:
            table.add_row(str(plan.number), plan.task, plan.hand, *self._cells(plan))
        return table

    def _cells(self, plan: Plan) -> tuple[str, str, str]:
        if outcome := self._outcomes.get(plan.number):
            colour = "green" if outcome.succeeded else "red"
            word = "success" if outcome.succeeded else outcome.reason
            time = f"{outcome.elapsed_s:.1f} s"
            return escape(outcome.instruction), time, f"[{colour}]{escape(word)}[/]"
        if self._running and self._running[0] == plan:
            return escape(self._running[1]), f"{self._running[2]:.1f} s", "[cyan]running[/]"
        return "", "", "[dim]–[/]"


def _title(plan: Plan, count: int) -> str:
    return f"episode {plan.number}/{count}  {plan.task}, {plan.hand}, seed {plan.seed}"


def _result(outcome: Outcome) -> str:
    word = "success" if outcome.succeeded else f"FAILED ({outcome.reason})"
    frames = f"{outcome.front_frames} front and {outcome.wrist_frames} wrist images"
    return f"{word} after {outcome.elapsed_s:.1f} s, {frames}"


def write_success(folder: Path, outcomes: Sequence[Outcome], policy: str) -> None:
    """success.json for programs and success.md for people. policy: its folder, or "expert"."""
    good = sum(outcome.succeeded for outcome in outcomes)
    episodes = [{**asdict(outcome.plan), **asdict(outcome)} for outcome in outcomes]
    for episode in episodes:
        del episode["plan"]
    counts = {"episodes": len(outcomes), "succeeded": good}
    summary = {"policy": policy, **counts, "runs": episodes}
    (folder / "success.json").write_text(json.dumps(summary, indent=2) + "\n")
    rows = [
        f"| {o.plan.number} | {o.plan.task} | {o.plan.hand} | {o.plan.seed} | {o.instruction} "
        f"| {o.elapsed_s:.1f} | {'success' if o.succeeded else o.reason} |"
        for o in outcomes
    ]
    head = [
        "| # | task | hand | seed | instruction | time [s] | result |",
        "|--:|---|---|--:|---|--:|---|",
    ]
    said = [f"{good} of {len(outcomes)} episodes succeeded.", "", f"Policy: {policy}", ""]
    text = [*said, *head, *rows]
    (folder / "success.md").write_text("\n".join(text) + "\n")
