"""A policy in a thread of its node, or in a process of its own: what the node notices of it.

The node's work is stood in for by what suffers: a loop that must wake every 20 ms (commands) and
handle a VGA picture every 33 ms (a copy). Beside it runs a policy that holds Python's lock (plain
Python), one that gives it up in short pieces (a small torch network, eager) and one that hardly
ever holds it (one large matrix product). Late is the time between when a command was due and when
the loop came to it.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np

from report import Benchmark, Goal, Row, main

matplotlib.use("Agg")

PERIOD_S, FRAME_S, THINK_S = 0.02, 1.0 / 30.0, 0.05
VGA_BYTES = 480 * 640 * 3
POLICIES = ("plain Python", "eager torch", "one product")
PLACES = ("thread", "thread, switch 0.2 ms", "process")


def thinker(policy: str) -> Callable[[], None]:
    """A call that takes about THINK_S of one core."""
    if policy == "plain Python":
        return lambda: _until(lambda: sum(range(500)))
    if policy == "one product":
        a = np.random.default_rng(0).normal(size=(700, 700))
        return lambda: _until(lambda: a @ a)
    import torch

    torch.set_num_threads(1)
    layers = [torch.nn.Linear(128, 128) for _ in range(8)]
    network = torch.nn.Sequential(*[m for x in layers for m in (x, torch.nn.GELU())])
    x = torch.zeros(16, 128)

    def think() -> None:
        with torch.inference_mode():
            _until(lambda: network(x))

    return think


def _until(work: Callable[[], object]) -> None:
    end_s = time.perf_counter() + THINK_S
    while time.perf_counter() < end_s:
        work()


def child(policy: str, number: int) -> None:
    """Think whenever a byte comes, and send it back."""
    think = thinker(policy)
    with socket.socket(fileno=number) as connection:
        connection.send(b"!")
        while connection.recv(1):
            think()
            connection.send(b"!")


class Place:
    """A policy that thinks all the time, one call after the other, until it is stopped."""

    def __init__(self, policy: str, place: str) -> None:
        self._stopped = False
        self.calls = 0
        self._switch_s = sys.getswitchinterval()
        if place == "process":
            self._socket, theirs = socket.socketpair()
            words = [sys.executable, __file__, "--child", policy, str(theirs.fileno())]
            self._process = subprocess.Popen(words, pass_fds=[theirs.fileno()])
            theirs.close()
            self._socket.recv(1)
            self._thread = threading.Thread(target=self._remote)
        else:
            if "switch" in place:
                sys.setswitchinterval(2e-4)
            self._process, self._think = None, thinker(policy)
            self._thread = threading.Thread(target=self._local)
        self._thread.start()

    def _local(self) -> None:
        while not self._stopped:
            self._think()
            self.calls += 1

    def _remote(self) -> None:
        while not self._stopped:
            self._socket.send(b"?")
            self._socket.recv(1)
            self.calls += 1

    def stop(self) -> None:
        self._stopped = True
        self._thread.join()
        sys.setswitchinterval(self._switch_s)
        if self._process is not None:
            self._socket.close()
            self._process.wait()


def lateness_s(duration_s: float) -> list[float]:
    """How late the loop came to each command while it also took pictures."""
    frame, late = bytearray(VGA_BYTES), []
    due_s = frame_s = started_s = time.perf_counter()
    while (now_s := time.perf_counter()) - started_s < duration_s:
        if now_s >= due_s:
            late.append(now_s - due_s)
            due_s += PERIOD_S
        if now_s >= frame_s:
            bytes(frame)
            frame_s += FRAME_S
        time.sleep(max(0.0, min(due_s, frame_s) - time.perf_counter()))
    return late


def measure(quick: bool) -> list[Row]:
    rows: list[Row] = []
    duration_s = 2.0 if quick else 20.0
    for policy in POLICIES:
        for place in PLACES:
            running = Place(policy, place)
            started_s = time.perf_counter()
            late_ms = 1e3 * np.array(lateness_s(duration_s))
            elapsed_s = time.perf_counter() - started_s
            running.stop()
            row: Row = {"policy": policy, "place": place, "calls_per_s": running.calls / elapsed_s}
            row |= {f"late_p{p}_ms": float(np.percentile(late_ms, p)) for p in (50, 95, 99)}
            rows.append(row)
    return rows


def draw(rows: list[Row], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 3.6))
    names = [f"{row['policy']}, {row['place']}" for row in rows]
    colours = ["#2a7f62" if row["place"] == "process" else "#b9b4a7" for row in rows]
    at = np.arange(len(rows))[::-1]
    axes.barh(at, [row["late_p99_ms"] for row in rows], color=colours, alpha=0.45)
    axes.barh(at, [row["late_p50_ms"] for row in rows], color=colours)
    axes.set_yticks(at, names, fontsize=8)
    axes.set(xlabel="a command is late by [ms]: median (full), p99 (pale)")
    figure.tight_layout()
    figure.savefig(path, dpi=130)


def worst(place: str, figure: str) -> Callable[[list[Row]], float]:
    return lambda rows: max(float(row[figure]) for row in rows if row["place"] == place)


GOALS = (
    Goal("worst p99 beside a process, ms", worst("process", "late_p99_ms"), at_most=4.0),
    Goal(
        "worst p99 beside a thread, in those beside a process",
        lambda rows: worst("thread", "late_p99_ms")(rows) / worst("process", "late_p99_ms")(rows),
        at_least=1.0,
    ),
)

if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], int(sys.argv[3]))
    else:
        summary = "What a policy does to its node's commands, in a thread and in a process"
        main(Benchmark("policy_worker", summary, measure, draw, GOALS))
