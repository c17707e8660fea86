"""A model in training on this process's device: one step, and its whole state out and in."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any, cast

import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import (
    DistributedDataParallelKwargs,
    gather_object,
    parse_flag_from_env,
    set_seed,
)
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.tensor import DTensor

from lam_models.command import UserError
from lam_models.stages.training.ema import Ema
from lam_models.stages.training.recipe import Precision, Recipe
from lam_models.stages.training.snapshot import random_state, restore_random_state

_WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)


class Loss(nn.Module):
    """`model.loss` as a forward, which is what DDP, FSDP, autocast and the compiler wrap.

    What is logged comes out as names and one tensor: a compiled loss loses its gradient to a
    detached value of its own that leaves by itself.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, batch: Any
    ) -> tuple[Float[Tensor, ""], tuple[str, ...], Float[Tensor, " values"]]:
        loss, logged = self.model.loss(batch)
        values = [loss, *logged.values()]
        return loss, tuple(logged), torch.stack([value.detach().float() for value in values])[1:]


class Trainer:
    """unlogged: the values of each step since they were logged, on the device."""

    def __init__(self, model: Any, recipe: Recipe) -> None:
        self.recipe = recipe
        self._accelerator = accelerator = _start(recipe.precision)
        self.device, self.is_first = accelerator.device, accelerator.is_main_process
        self.rank, self.ranks = accelerator.process_index, accelerator.num_processes
        set_seed(recipe.seed, device_specific=True)
        objective = Loss(model.train())
        optimiser = _make_optimiser(objective, recipe)
        self._objective, self._optimiser = accelerator.prepare(objective, optimiser)
        if recipe.compile:
            self._objective.compile()
        self._model = accelerator.unwrap_model(self._objective).model
        self._trained = [p for p in self._objective.parameters() if p.requires_grad]
        self._ema = Ema(self._model, recipe.ema_decay) if recipe.ema_decay > 0 else None
        self._sharded = any(isinstance(p, DTensor) for p in self._trained)
        self._broken = torch.zeros((), device=self.device)
        self.unlogged: list[dict[str, Tensor]] = []

    def step(self, step: int, batch: Any) -> None:
        """One step of the optimiser, without waiting for the device."""
        for group in self._optimiser.param_groups:
            group["lr"] = self.recipe.rate(step) * group["share"]
        loss, logged = self._measure(batch)
        if not loss.requires_grad:
            raise UserError("the loss has no gradient; where it was compiled, train without")
        self._accelerator.backward(loss)
        greatest = self.recipe.gradient_clip or math.inf
        norm: Any = self._accelerator.clip_grad_norm_(self._trained, greatest)
        if hasattr(norm, "full_tensor"):  # of sharded gradients
            norm = norm.full_tensor()
        # Fused optimisers skip a step where `found_inf` says so, as under a gradient scaler.
        self._broken = torch.maximum(self._broken, (~torch.isfinite(norm)).float())
        self._optimiser.optimizer.found_inf = self._broken
        self._optimiser.step()
        self._optimiser.zero_grad()
        if self._ema is not None:
            self._ema.update()
        values = {"loss": loss, "gradient_norm": norm, **logged}
        self.unlogged.append({name: value.detach() for name, value in values.items()})

    def _measure(self, batch: Any) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """The loss, and what is logged with it by name."""
        loss, names, values = self._objective(batch)
        return loss, dict(zip(names, values.unbind(), strict=True))

    @torch.no_grad()
    def validate(self, validate: Callable[[Any], Mapping[str, float]]) -> Mapping[str, float]:
        """With the averaged weights, in evaluation mode; training draws the same numbers after."""
        before = random_state()
        torch.manual_seed(self.recipe.seed)
        self._objective.eval()
        with self._averaged():
            values = validate(self._measure)
        self._objective.train()
        restore_random_state(before)
        return values

    def weights(self) -> dict[str, Tensor]:
        """The model's state dict as it trains, whole and on the CPU."""
        return cast(dict[str, Tensor], get_model_state_dict(self._model, options=_WHOLE))

    def finish(self) -> dict[str, Tensor]:
        """Leave the model in evaluation with its final weights, which are returned too."""
        if self._ema is not None:
            self._ema.swap()
        self._model.eval()
        return {name: value.clone() for name, value in self.weights().items()}

    def state(self, step: int) -> dict[str, Any]:
        """Everything that the steps to come depend on, and what is not logged yet."""
        with self._averaged():
            averaged = {} if self._ema is None else _copied(self.weights())
        optimiser: Any = self._optimiser.optimizer
        # The gathered form invents a state for parameters that no gradient has reached yet.
        moments = optimiser.state_dict()
        if self._sharded:
            moments = get_optimizer_state_dict(self._model, optimiser, options=_WHOLE)
        return {
            "step": step,
            "recipe": dataclasses.asdict(self.recipe),
            "weights": self.weights(),
            "averaged": averaged,
            "optimiser": moments,
            "random": gather_object([random_state()]),
            "unlogged": [{k: v.cpu() for k, v in entry.items()} for entry in self.unlogged],
        }

    def restore(self, state: Mapping[str, Any]) -> int:
        """Continue from `state`; the number of steps it has behind it."""
        optimiser = self._optimiser.optimizer
        if self._sharded:
            set_optimizer_state_dict(self._model, optimiser, state["optimiser"], options=_WHOLE)
        else:
            optimiser.load_state_dict(state["optimiser"])
        if self._ema is not None:
            set_model_state_dict(self._model, state["averaged"], options=_WHOLE)
            self._ema.reset()
        set_model_state_dict(self._model, state["weights"], options=_WHOLE)
        if len(state["random"]) == self.ranks:
            restore_random_state(state["random"][self.rank])
        self.unlogged = [
            {name: value.to(self.device) for name, value in entry.items()}
            for entry in state["unlogged"]
        ]
        return state["step"]

    def wait_for_all(self) -> None:
        """Until every process is here."""
        self._accelerator.wait_for_everyone()

    def _averaged(self) -> Any:
        return nullcontext() if self._ema is None else self._ema.applied()


def place() -> PartialState:
    """This process among those that train together: its rank, their number, its device."""
    return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"))


def _start(precision: Precision) -> Accelerator:
    has_bf16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    if precision == "bf16" and torch.cuda.is_available() and not has_bf16:
        raise UserError("this GPU has no bf16; train with precision fp32")
    half = precision == "bf16" or (precision == "auto" and has_bf16)
    # accelerate keeps one precision a process; another run in it may want another.
    place()
    AcceleratorState._reset_state()
    # Some of a system's heads read labelled rows only, which a process's share may lack.
    ddp = DistributedDataParallelKwargs(find_unused_parameters=True)
    return Accelerator(mixed_precision="bf16" if half else "no", kwargs_handlers=[ddp])


def _make_optimiser(module: Loss, recipe: Recipe) -> torch.optim.Optimizer:
    """A model may say by `rate_share(name)` which of its parameters learn slower or faster."""
    share_of = getattr(module.model, "rate_share", lambda name: 1.0)
    parameters = {n: p for n, p in module.model.named_parameters() if p.requires_grad}
    shares = {name: float(share_of(name)) for name in parameters}
    groups = [
        {"params": [p for n, p in parameters.items() if shares[n] == share], "share": share}
        for share in dict.fromkeys(shares.values())
    ]
    rate = recipe.rate(0)
    if recipe.weight_decay > 0:
        return torch.optim.AdamW(
            groups, rate, recipe.betas, weight_decay=recipe.weight_decay, fused=True
        )
    return torch.optim.Adam(groups, rate, recipe.betas, fused=True)


def _copied(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in weights.items()}
