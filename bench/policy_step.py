"""One step of a vision-language policy: how far it is from what the device could do at best.

A Prismatic model (DINOv2, SigLIP, Llama) of random weights, made on the device, answers with four
motion codes and a chunk of actions: all in one forward pass, or the codes one after the other
(AR-4). The instruction is read ahead. Each is run as it is, compiled, and on a GPU recorded as a
graph, of both.

The roofline is measured in the same run; `bound` is the least time for the shape on it, `ratio`
what a step takes of it. `model ms` is the time on the device, `call ms` from inputs to answer on
the CPU. Then so many steps are counted: waits for the device, recompilations; kernels of one step.
A GPU runs 7 B parameters in bfloat16. On a CPU the model is small, in float32: there the counts are
the result, and for 7 B on an H200 the bound is computed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib
import torch
from policy_step_bound import H200, Roofline, Work, finish, roofline, work_of
from policy_step_counts import launches, nothing_compiled, waits
from policy_step_model import LARGE, SMALL, example, made, step_of

from lam_models.policy.inputs import Inputs
from lam_models.policy.slot_policy import SlotPolicy
from lam_models.policy.stepping import How, Stepping
from report import Benchmark, Goal, Row, main

matplotlib.use("Agg")

GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if GPU else "cpu")
READS = {"one forward": False, "AR-4": True}
HOWS: tuple[How, ...] = ("eager", "compiled", "graph", "compiled_graph", "tuned_graph")
WAYS = HOWS if GPU else HOWS[:2]
TITLES = {"graph": "CUDA graph", "compiled_graph": "compiled, CUDA graph"}
TITLES |= {"tuned_graph": "tuned, CUDA graph"}
BOUND = "bound only"


def measure(quick: bool) -> list[Row]:
    torch._inductor.config.cpp.enable_kernel_profile = True
    precision = torch.bfloat16 if GPU else torch.float32
    at = roofline(DEVICE, precision, quick)
    rows: list[Row] = []
    for read, in_turn in READS.items():
        policy = made(*(LARGE if GPU else SMALL), in_turn, DEVICE, precision)
        work = work_of(policy, step_of(policy, DEVICE))
        rows += [run(policy, read, how, work, at, quick) for how in WAYS]
        del policy
    if not GPU:
        rows += [computed(read, in_turn) for read, in_turn in READS.items()]
    return rows


def computed(read: str, in_turn: bool) -> Row:
    """The bound of 7 B parameters on an H200, from the shapes alone."""
    nowhere = torch.device("meta")
    policy = made(*LARGE, in_turn, nowhere, torch.bfloat16)
    work = work_of(policy, step_of(policy, nowhere))
    return {
        "device": "H200, not run",
        "read": read,
        "how": BOUND,
        **sizes(policy, work),
        "bound ms": work.bound_ms(H200),
        "TFLOP/s": H200.tflop_s,
        "GB/s": H200.gb_s,
    }


def sizes(policy: SlotPolicy, work: Work) -> Row:
    parameters = sum(p.numel() for p in policy.parameters()) / 1e6
    return {"parameters M": parameters, "passes": len(work.passes), "GFLOP": work.gflop}


def run(policy: SlotPolicy, read: str, how: How, work: Work, at: Roofline, quick: bool) -> Row:
    torch._dynamo.reset()
    inputs = example(policy, torch.device("cpu"))
    started = time.perf_counter()
    stepping = Stepping(policy, inputs, how)
    stepping(inputs)
    ready_s = time.perf_counter() - started
    counted = 40 if quick else 1000
    timed = 10 if quick else 100
    with nothing_compiled() as compiled:
        call_ms = [seconds(lambda: stepping(inputs)) * 1e3 for _ in range(timed)]
        model_ms = [on_device_ms(stepping, inputs) for _ in range(timed)]
        waited = waits(lambda: stepping.launch(inputs), counted, DEVICE)
    kernels, started_by_cpu = launches(lambda: stepping.launch(inputs), DEVICE)
    bound_ms = work.bound_ms(at)
    return {
        "device": torch.cuda.get_device_name() if GPU else "CPU",
        "read": read,
        "how": TITLES.get(how, how),
        **sizes(policy, work),
        "bound ms": bound_ms,
        "model ms": median(model_ms),
        "ratio": median(model_ms) / bound_ms,
        "call ms": median(call_ms),
        "steps": counted,
        "waits": waited,
        "recompiles": compiled[0],
        "kernels": kernels,
        "launches": started_by_cpu,
        "ready s": ready_s,
        "TFLOP/s": at.tflop_s,
        "GB/s": at.gb_s,
    }


def seconds(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def on_device_ms(stepping: Stepping, inputs: Inputs) -> float:
    """Of a step from its inputs' copies to its answer's."""
    if not GPU:
        return seconds(lambda: stepping.launch(inputs)) * 1e3
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    finish(DEVICE)
    start.record()
    stepping.launch(inputs)
    end.record()
    end.synchronize()
    return start.elapsed_time(end)


def draw(rows: list[Row], path: Path) -> None:
    import matplotlib.pyplot as plt

    run_rows = [row for row in rows if row["how"] != BOUND]
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained")
    titles = [f"{row['read']}, {row['how']}" for row in run_rows]
    axes[0].barh(titles, [float(row["model ms"]) for row in run_rows], label="step")
    axes[0].barh(titles, [float(row["bound ms"]) for row in run_rows], label="bound", height=0.4)
    axes[0].set_xlabel("ms")
    axes[0].legend()
    axes[1].barh(titles, [float(row["kernels"]) for row in run_rows])
    axes[1].set_xlabel("kernels a step")
    axes[1].set_yticks([])
    for axis in axes:
        axis.invert_yaxis()
    first = run_rows[0]
    figure.suptitle(f"{first['device']}, {float(first['parameters M']):,.0f} M parameters")
    figure.savefig(path, dpi=150)


def table(rows: list[Row]) -> list[Row]:
    """What fits a terminal's width."""
    left_out = ("device", "parameters M", "passes", "GFLOP", "steps", "TFLOP/s", "GB/s", "ready s")
    return [
        {
            "read": f"{row['read']}{' (7 B, H200)' if row['how'] == BOUND and not GPU else ''}",
            **{name: value for name, value in row.items() if name not in (*left_out, "read")},
        }
        for row in rows
    ]


def findings(rows: list[Row]) -> list[Row]:
    """The roofline, and what was counted on."""
    row = rows[0]
    names = ("device", "TFLOP/s", "GB/s", "parameters M", "steps")
    return [{name: row[name] for name in names}]


def of(rows: list[Row], name: str, read: str = "", how: str = "") -> list[float]:
    """Of the rows that have it, of one read and one way or of all."""
    asked = {"read": read, "how": how}
    return [
        float(row[name])
        for row in rows
        if name in row and all(row[key] == value for key, value in asked.items() if value)
    ]


def fastest(read: str, name: str) -> Callable[[list[Row]], float]:
    return lambda rows: min(of(rows, name, read))


GOALS = [
    Goal("waits for the device, all ways", lambda r: sum(of(r, "waits")), at_most=0),
    Goal("recompilations, all ways", lambda r: sum(of(r, "recompiles")), at_most=0),
    Goal("steps in which they were counted", lambda r: min(of(r, "steps")), at_least=1000),
    Goal(
        "kernels of a compiled step, share of those as it is",
        lambda r: max(
            of(r, "kernels", read, "compiled")[0] / of(r, "kernels", read, "eager")[0]
            for read in READS
        ),
        at_most=0.5,
    ),
]
# About a GPU, judged where there is one.
if GPU:
    GOALS += [
        Goal("one forward, of its bound", fastest("one forward", "ratio"), at_most=1.5),
        Goal("AR-4, ms on the device", fastest("AR-4", "model ms"), at_most=20.0),
        Goal(
            "launches of a step that is a graph",
            lambda r: max(of(r, "launches", how=TITLES["compiled_graph"])),
            at_most=8,
        ),
    ]
    if "H200" in torch.cuda.get_device_name():
        GOALS += [
            Goal("one forward, ms on the device", fastest("one forward", "model ms"), at_most=9.0)
        ]

BENCHMARK = Benchmark(
    name="policy_step",
    summary="A vision-language policy's step against what the device could do",
    measure=measure,
    draw=draw,
    table=table,
    findings=findings,
    goals=GOALS,
    seeds=(0,),
)

if __name__ == "__main__":
    main(BENCHMARK)
