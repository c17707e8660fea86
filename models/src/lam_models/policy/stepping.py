"""A policy's step with fixed buffers: the same shapes at the same addresses, tick after tick.

    inputs ─ copied into buffers ─▶ [ the policy's answer ] ─ copied out ─▶ result

What is in brackets runs as it is ("eager"), compiled ("compiled"), or, on a GPU, recorded once as a
CUDA graph and replayed: as it is ("graph"), compiled ("compiled_graph"), or compiled with products
that were tried out for minutes ("tuned_graph"). A graph is one launch instead of thousands.
Instructions are read ahead where the backbone can (vlm.py), and again only when they change.
`launch` waits for nothing; `result` waits once, for the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from lam_models.command import UserError
from lam_models.policy.inputs import Inputs

How: TypeAlias = Literal["eager", "compiled", "graph", "compiled_graph", "tuned_graph"]
Answer: TypeAlias = tuple[Tensor, Tensor | None]

_WARM_UPS = 3  # Before a graph is recorded: kernels are chosen and memory is taken in these.


def best(device: torch.device) -> How:
    """The fastest on a device; on a CPU compiling takes longer than it saves."""
    return "compiled_graph" if device.type == "cuda" else "eager"


class Stepping:
    """policy: has `answer`, `backbone` and parameters. example: inputs on the CPU, of the shapes to
    come; a step takes the like. One step at a time: its result is taken before the next begins.
    """

    def __init__(self, policy: Any, example: Inputs, how: How = "eager") -> None:
        self._device = next(policy.parameters()).device
        if "graph" in how and self._device.type != "cuda":
            raise UserError(f"a CUDA graph needs a GPU, and the policy is on {self._device}")
        self._policy, self.how = policy, how
        self._backbone = policy.backbone
        self._staged = {name: self._pinned(value) for name, value in example.tensors().items()}
        self._inputs = Inputs(**{k: v.to(self._device) for k, v in self._staged.items()})
        self._known: tuple[Any, ...] = ()
        self._read_instructions()
        self._run = self._made(how)
        self._out = self._run()
        self._results = [self._pinned(x) for x in self._out if x is not None]
        self._done = torch.cuda.Event() if self._device.type == "cuda" else None

    def __call__(self, inputs: Inputs) -> Answer:
        """The answer, on the CPU."""
        self.launch(inputs)
        return self.result()

    def launch(self, inputs: Inputs) -> None:
        """Begin a step. Waits for nothing on the device."""
        for name, value in inputs.tensors().items():
            staged = self._staged[name]
            if value.shape != staged.shape:
                raise ValueError(f"{name} of shape {tuple(value.shape)}, not {tuple(staged.shape)}")
            changed = name == "words" and not np.array_equal(value.numpy(), staged.numpy())
            staged.copy_(value)
            getattr(self._inputs, name).copy_(staged, non_blocking=True)
            if changed:
                self._read_instructions()
        self._out = self._run()
        found = [x for x in self._out if x is not None]
        for kept, value in zip(self._results, found, strict=True):
            kept.copy_(value, non_blocking=True)
        if self._done is not None:
            self._done.record()

    def result(self) -> Answer:
        """What the last step found."""
        if self._done is not None:
            self._done.synchronize()
        first, *rest = (x.clone() for x in self._results)
        return first, rest[0] if rest else None

    def _made(self, how: How) -> Callable[[], Answer]:
        step = self._step
        if how not in ("eager", "graph"):
            # One graph or an error: what is left to Python would be waited for at every step.
            mode = "max-autotune-no-cudagraphs" if how == "tuned_graph" else None
            step = torch.compile(step, fullgraph=True, dynamic=False, mode=mode)
        if "graph" not in how:
            return step
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UPS):
                step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            out = step()

        def replay() -> Answer:
            graph.replay()
            return out

        return replay

    def _step(self) -> Answer:
        return self._policy.answer(self._inputs, *self._known)

    @torch.no_grad()
    def _read_instructions(self) -> None:
        read = getattr(self._backbone, "read_ahead", None)
        ahead = None if read is None else read(self._inputs.words)
        if ahead is None:
            return
        if self._known:
            self._known[0].keep(ahead)
        else:
            self._known = (self._backbone.room(ahead),)

    def _pinned(self, value: Tensor) -> Tensor:
        """A buffer on the CPU, from which a GPU copies while the CPU goes on."""
        made = torch.empty(value.shape, dtype=value.dtype, pin_memory=self._device.type == "cuda")
        return made.copy_(value)
