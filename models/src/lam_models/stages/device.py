"""Where a command computes, as its user names it."""

from __future__ import annotations

from lam_models.command import UserError


def device_named(name: str) -> str:
    """A device for torch; "auto" is the GPU where there is one. Raises UserError without one."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"--device is {name}, but there is no GPU; allowed here: cpu, auto")
    return name
