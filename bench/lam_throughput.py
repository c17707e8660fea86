"""Training throughput of LAPA's and UniVLA's latent-action models at their papers' shapes.

A step is forward, backward and optimiser on real clips from a cache, prefetched as in training.
Its floating-point operations are counted on the step itself and set against what the same device
reaches on one large matrix product in the same precision (`roofline`), measured in the same run:
the share of it is the `mfu`. `wait` is the share of the time that a step stood waiting for data.
On a GPU the models are compiled and run in bfloat16; on a CPU in float32, a few pairs at a time,
because the shapes are those of large machines.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import torch
from torch.utils.flop_counter import FlopCounterMode

from lam_models.data.cache import open_cache
from lam_models.data.clips import ClipSampler
from lam_models.data.prefetch import Prefetch
from lam_models.stages.batches import to_batch
from lam_models.systems import find
from lam_models.systems.roles import ClipBatch
from report import ROOT, Benchmark, Goal, Row, main

matplotlib.use("Agg")

DATA = ROOT / "out" / "throughput" / "clips"
GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if GPU else "cpu")
PRECISION = torch.bfloat16 if GPU else torch.float32


@dataclass(frozen=True)
class Shape:
    """A system at its paper's Config, `pairs` pairs of frames a step."""

    title: str
    system: str
    pairs: int
    cache: str = "raw"


SHAPES = (
    Shape("LAPA's LAQ, 256²", "lapa", 256 if GPU else 2),
    Shape("UniVLA stage 2, 224², DINOv2-B", "univla", 128 if GPU else 1),
    Shape("UniVLA stage 2 from a JPEG cache", "univla", 128 if GPU else 1, "jpeg"),
)


def measure(quick: bool) -> list[Row]:
    record_clips()
    roofline = matmul_tflop_s(8192 if GPU else 2048 if quick else 4096)
    steps = 1 if quick else (30 if GPU else 3)
    return [measure_shape(shape, steps, roofline) for shape in SHAPES[: 1 if quick else None]]


def record_clips() -> None:
    """Two tasks at 256 pixels, once."""
    if DATA.exists():
        return
    command = [Path(sys.executable).parent / "lam", "data", "generate", "--out", DATA]
    subprocess.run(
        [*command, "--task", "reach,pick_place", "--episodes", "24", "--size", "256"], check=True
    )


def measure_shape(shape: Shape, steps: int, roofline_tflop_s: float) -> Row:
    kind = find(shape.system)
    config = kind.Config()
    torch.manual_seed(0)
    model = kind(config).to(DEVICE).train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=config.learning_rate, fused=True)
    cache = open_cache(DATA, camera=None, size=config.image_size, kind=shape.cache)
    sampler = ClipSampler(cache, frames=config.frames, gap_s=0.25)
    loss_of = torch.compile(model.loss) if GPU else model.loss

    def step(batch: ClipBatch) -> None:
        with torch.autocast(DEVICE.type, PRECISION, enabled=GPU):
            loss, _ = loss_of(batch)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    with Prefetch(lambda i: sampler.batch_at(i, shape.pairs, seed=0)) as batches:
        first = to_batch(next(batches), device=DEVICE)
        flop = count_flop(model, first)
        for _ in range(5 if GPU else 1):
            step(first)
        finish()
        batches.forget()
        started = time.perf_counter()
        for _ in range(steps):
            step(to_batch(next(batches), device=DEVICE))
        finish()
        elapsed_s = time.perf_counter() - started
        wait = batches.share()
    tflop_s = flop * steps / elapsed_s / 1e12
    return {
        "shape": shape.title,
        "device": torch.cuda.get_device_name() if GPU else "CPU",
        "precision": str(PRECISION).removeprefix("torch."),
        "cache": shape.cache,
        "parameters M": sum(p.numel() for p in model.parameters()) / 1e6,
        "pairs a step": shape.pairs,
        "pairs/s": shape.pairs * steps / elapsed_s,
        "wait": wait,
        "GFLOP a pair": flop / shape.pairs / 1e9,
        "TFLOP/s": tflop_s,
        "roofline TFLOP/s": roofline_tflop_s,
        "mfu": tflop_s / roofline_tflop_s,
    }


def count_flop(model: Any, batch: ClipBatch) -> int:
    """Of forward and backward, as the operations' shapes say."""
    counter = FlopCounterMode(display=False)
    with counter, torch.autocast(DEVICE.type, PRECISION, enabled=GPU):
        model.loss(batch)[0].backward()
    return counter.get_total_flops()


def matmul_tflop_s(side: int) -> float:
    """The best of a few runs of one large product, in the precision of the training."""
    a, b = (torch.randn(side, side, device=DEVICE, dtype=PRECISION) for _ in range(2))
    best_s = float("inf")
    for _ in range(10):
        finish()
        started = time.perf_counter()
        torch.mm(a, b)
        finish()
        best_s = min(best_s, time.perf_counter() - started)
    return 2 * side**3 / best_s / 1e12


def finish() -> None:
    """Wait for the accelerator."""
    if GPU:
        torch.cuda.synchronize()


def draw(rows: list[Row], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(11, 3), layout="constrained")
    titles = [str(row["shape"]) for row in rows]
    for axis, key, label in zip(
        axes,
        ("pairs/s", "mfu", "wait"),
        ("pairs/s", "share of roofline", "wait for data"),
        strict=True,
    ):
        axis.barh(titles, [float(row[key]) for row in rows])
        axis.set_xlabel(label)
        axis.invert_yaxis()
    for axis in axes[1:]:
        axis.set_yticks([])
        axis.set_xlim(0, 1)
    figure.suptitle(f"{rows[0]['device']}, {rows[0]['precision']}")
    figure.savefig(path, dpi=150)


def univla(rows: list[Row]) -> Row:
    return next(row for row in rows if row["shape"] == SHAPES[1].title)


BENCHMARK = Benchmark(
    name="lam_throughput",
    summary="Training throughput of latent-action models at their papers' shapes",
    measure=measure,
    draw=draw,
    goals=[
        Goal(
            "share of a step spent waiting for data",
            lambda r: max(float(x["wait"]) for x in r),
            at_most=0.05,
        ),
        *(
            [
                Goal(
                    "UniVLA shape, pairs/s on a GPU",
                    lambda r: float(univla(r)["pairs/s"]),
                    at_least=450,
                ),
                Goal(
                    "UniVLA shape, share of roofline",
                    lambda r: float(univla(r)["mfu"]),
                    at_least=0.35,
                ),
            ]
            if GPU
            else []
        ),
    ],
)

if __name__ == "__main__":
    main(BENCHMARK)
