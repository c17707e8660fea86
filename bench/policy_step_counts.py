"""What a step does besides computing, counted: waits for the device, recompilations, launches.

A wait is counted where the CPU asks the device for a number before it goes on. On a GPU torch warns
of each; on a CPU the operations that would ask are looked for among those that were run.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch._dynamo.utils import counters
from torch.profiler import ProfilerActivity, profile

# Operations whose result the CPU has to know.
ASKING = (
    "aten::_local_scalar_dense",
    "aten::item",
    "aten::is_nonzero",
    "aten::nonzero",
    "aten::equal",
    "aten::masked_select",
    "aten::_unique2",
    "aten::repeat_interleave",
)
_STEPS_AT_A_TIME = 20
# Of what the profiler sees on a CPU, these only say where numbers are.
_IDLE = (
    "empty",
    "view",
    "as_strided",
    "expand",
    "permute",
    "transpose",
    "slice",
    "select",
    "split",
)
_IDLE += ("unsqueeze", "squeeze", "reshape", "narrow", "unbind", "chunk", "detach", "alias", "t")
_IDLE += ("lift_fresh", "unflatten", "flatten", "movedim", "resolve_conj", "result_type", "to")
_LAUNCHES = ("cudaLaunchKernel", "cuLaunchKernel", "cudaGraphLaunch")


def waits(step: Callable[[], object], steps: int, device: torch.device) -> int:
    """How often, in so many steps, the CPU waited for the device."""
    return _waits_gpu(step, steps) if device.type == "cuda" else _waits_cpu(step, steps)


def _waits_gpu(step: Callable[[], object], steps: int) -> int:
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(steps):
                step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.cuda.synchronize()
    return sum("synchroniz" in str(warning.message) for warning in caught)


def _waits_cpu(step: Callable[[], object], steps: int) -> int:
    found = 0
    for start in range(0, steps, _STEPS_AT_A_TIME):
        with profile(activities=[ProfilerActivity.CPU]) as seen:
            for _ in range(min(_STEPS_AT_A_TIME, steps - start)):
                step()
        found += sum(event.name in ASKING for event in _events(seen))
    return found


def compilations() -> int:
    """How often something was compiled so far."""
    return counters["stats"]["unique_graphs"] + counters["frames"]["total"]


@contextmanager
def nothing_compiled() -> Iterator[list[int]]:
    """How much was compiled inside, in the list's only place."""
    before, found = compilations(), [0]
    yield found
    found[0] = compilations() - before


def launches(step: Callable[[], object], device: torch.device) -> tuple[int, int]:
    """Kernels that a step runs, and what the CPU does to start them.

    On a CPU both are the operations and fused loops that compute something.
    """
    gpu = device.type == "cuda"
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if gpu else [])]
    with profile(activities=kinds) as seen:
        step()
        if gpu:
            torch.cuda.synchronize()
    events = _events(seen)
    if not gpu:
        count = sum(_computes(event) for event in events)
        return count, count
    kernels = [event.name for event in events if event.device_type.name == "CUDA"]
    moved = ("Memcpy", "Memset")
    count = sum(not name.startswith(moved) for name in kernels)
    return count, sum(event.name.startswith(_LAUNCHES) for event in events)


def _events(seen: profile) -> list:
    return list(seen.events() or ())


def _computes(event) -> bool:
    if event.cpu_children:
        return False
    space, _, name = event.name.partition("::")
    return ("cpp_fused" in event.name) or (
        space in ("aten", "mkl", "mkldnn") and not name.lstrip("_").startswith(_IDLE)
    )
