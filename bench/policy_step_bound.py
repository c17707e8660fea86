"""What a device can do at best, and how long a policy's step takes at least.

A step is a row of passes, each of which reads its weights once and does its arithmetic: it takes
the longer of bytes / bandwidth and operations / rate. Passes of the language model are counted one
by one; all else (eyes, projector, heads) is one more. Attention's reads of its cache, kernels that
do not fill the device and gaps between them are what a real step adds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Roofline:
    """tflop_s: of matrix products. gb_s: of memory, read and written together."""

    tflop_s: float
    gb_s: float


# NVIDIA's figure for memory; what large bfloat16 products reach of the peak rate in practice.
H200 = Roofline(790.0, 4800.0)


def roofline(device: torch.device, precision: torch.dtype, quick: bool) -> Roofline:
    """The best of several runs of one large product, and of one large copy."""
    gpu = device.type == "cuda"
    side = 8192 if gpu else 1024 if quick else 2048
    a, b = (torch.randn(side, side, device=device, dtype=precision) for _ in range(2))
    product_s = _best_s(lambda: torch.mm(a, b), device)
    source = torch.empty((1 << 31) if gpu else (1 << 27), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copy_s = _best_s(lambda: target.copy_(source), device)
    return Roofline(2 * side**3 / product_s / 1e12, 2 * source.numel() / copy_s / 1e9)


@dataclass(frozen=True)
class Work:
    """passes: operations and bytes of weights of each pass of the language model. rest: of all
    else."""

    passes: tuple[tuple[float, float], ...]
    rest: tuple[float, float]

    def bound_ms(self, at: Roofline) -> float:
        """No step on such a device is shorter."""
        return 1e3 * sum(
            max(flop / (at.tflop_s * 1e12), size / (at.gb_s * 1e9))
            for flop, size in (*self.passes, self.rest)
        )

    @property
    def gflop(self) -> float:
        return sum(flop for flop, _ in (*self.passes, self.rest)) / 1e9


def work_of(policy: Any, step: Callable[[], object]) -> Work:
    """Of a step as it is, counted from the shapes of its operations."""
    language, marks = policy.backbone.language, []
    counter = FlopCounterMode(display=False)
    hooks = (
        language.register_forward_pre_hook(lambda *_: marks.append(counter.get_total_flops())),
        language.register_forward_hook(lambda *_: marks.append(counter.get_total_flops())),
    )
    try:
        with counter:
            step()
    finally:
        for hook in hooks:
            hook.remove()
    inner = [end - start for start, end in zip(marks[::2], marks[1::2], strict=True)]
    # Of the table of words, a step reads a few rows.
    words = _bytes([language.get_input_embeddings()])
    language_bytes = _bytes([language]) - words
    rest = _bytes([policy]) - words - language_bytes
    passes = tuple((float(flop), language_bytes) for flop in inner)
    return Work(passes, (float(counter.get_total_flops() - sum(inner)), rest))


def _bytes(modules: Sequence[torch.nn.Module]) -> float:
    return float(sum(p.numel() * p.element_size() for m in modules for p in m.parameters()))


def _best_s(run: Callable[[], object], device: torch.device) -> float:
    best_s = float("inf")
    for _ in range(10):
        finish(device)
        started = time.perf_counter()
        run()
        finish(device)
        best_s = min(best_s, time.perf_counter() - started)
    return best_s


def finish(device: torch.device) -> None:
    """Wait for the accelerator."""
    if device.type == "cuda":
        torch.cuda.synchronize()
