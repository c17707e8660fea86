"""How far a policy's answers are from what was done, before and after it was finetuned.

Of each frame looked at, the whole chunk as it is used: translations [m], rotations [rad] and hand
latents. NMSE is the squared error over the variance of what was done: 1 is what its mean gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from rich import box
from rich.table import Table

from lam_models.policy.inputs import Inputs
from lam_models.stages.batches import to_device
from lam_models.stages.policy_data import Drawn
from lam_models.stages.probes import nmse

_ROWS = 512
# Numbers of a step, and what an error is shown in.
PARTS = {"translation": slice(0, 3), "rotation": slice(3, 6), "hand": slice(6, None)}
_SHOWN = {"translation": (1e3, "mm"), "rotation": (1e3, "mrad"), "hand": (1.0, "")}
# Spread [m, rad, parts of a unit vector] below which a part does not move.
_LEAST_SPREAD = 1e-4

Measured = dict[str, float]


@torch.no_grad()
def measure(policy: Any, held: Drawn, batch_size: int, device: torch.device | str) -> Measured:
    """`<part>/nmse` and `<part>/l1` over the same rows each time; no NMSE of what never moves."""
    if not len(held):
        return {}
    rows = np.linspace(0, len(held) - 1, min(len(held), _ROWS)).astype(np.int64)
    was_training, steps = policy.training, policy.config.chunk_steps
    policy.to(device).eval()
    found, done = [], []
    for start in range(0, len(rows), batch_size):
        batch = to_device(held.examples(rows[start : start + batch_size], steps=steps), device)
        assert batch.chunk is not None
        # Of each frame by itself: what else an example tells is not there in use.
        seen = Inputs(batch.pixels, batch.state, batch.words, batch.delay, batch.held)
        found.append(policy.answer(seen)[0].float().cpu())
        done.append(batch.chunk.float().cpu())
    policy.train(was_training)
    answers, truth = torch.cat(found).flatten(0, 1), torch.cat(done).flatten(0, 1)
    out: Measured = {}
    for name, part in PARTS.items():
        x, y = answers[:, part], truth[:, part]
        if y.var(0, correction=0).sum().sqrt() > _LEAST_SPREAD:
            out[f"{name}/nmse"] = nmse(x, y)
        out[f"{name}/l1"] = (x - y).abs().mean().item()
    return out


def as_metrics(when: str, of: Mapping[str, Measured]) -> dict[str, float]:
    """Named as origin.json keeps them: `before/new/translation/nmse`."""
    return {f"{when}/{data}/{k}": v for data, found in of.items() for k, v in found.items()}


def table(before: Mapping[str, Measured], after: Mapping[str, Measured]) -> Table:
    """For the terminal."""
    out = Table(title="held-out episodes", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("episodes", "action", "NMSE before", "after", "L1 before", "after"):
        out.add_column(name, justify="left" if name in ("episodes", "action") else "right")
    for data, found in before.items():
        for part in PARTS:
            if f"{part}/l1" in found:
                out.add_row(data, part, *_shown(part, found, after[data]))
    return out


def _shown(part: str, before: Measured, after: Measured) -> list[str]:
    scale, unit = _SHOWN[part]
    errors = [
        f"{one[f'{part}/nmse']:.3f}" if f"{part}/nmse" in one else "-" for one in (before, after)
    ]
    missed = [f"{scale * one[f'{part}/l1']:.3g} {unit}".rstrip() for one in (before, after)]
    return [*errors, *missed]
