"""Whether latents behave as moves do: they add up along the way, and turn around."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from torch import Tensor

from lam_models.data.clips import Clips
from lam_models.stages.health.subject import Subject, showing

Values = Float[Tensor, "clips tokens dim"]


def additivity(z_ab: Values, z_bc: Values, z_ac: Values) -> float | None:
    """E‖z_ac - (z_ab + z_bc)‖ / E‖z_ab‖: 0 where two steps are the sum of both."""
    return _share(z_ac - (z_ab + z_bc), z_ab)


def reversibility(z_ab: Values, z_ba: Values) -> float | None:
    """E‖z_ab + z_ba‖ / E‖z_ab‖: 0 where going back is the opposite."""
    return _share(z_ab + z_ba, z_ab)


def frames_needed(history: int) -> int:
    """Frames of a clip that hold both steps, and the history of the way back."""
    return max(history + 3, 2 * history + 2)


def algebra(subject: Subject, clips: Clips) -> dict[str, float | None]:
    """Both shares, on clips of at least `frames_needed` frames: a, b, c begin at the present."""
    h, frames = subject.history, clips.frames

    def latent(of: np.ndarray) -> Values:
        return subject.encode(showing(clips, of)).values

    z_ab = latent(frames[:, : h + 2])
    z_bc = latent(frames[:, 1 : h + 3])
    z_ac = latent(np.delete(frames[:, : h + 3], h + 1, axis=1))
    # Played backwards, what came later is the history.
    z_ba = latent(np.ascontiguousarray(frames[:, h : 2 * h + 2][:, ::-1]))
    return {
        "additivity": additivity(z_ab, z_bc, z_ac),
        "reversibility": reversibility(z_ab, z_ba),
    }


def _share(rest: Values, of: Values) -> float | None:
    length = of.flatten(1).norm(dim=1).mean().item()
    return rest.flatten(1).norm(dim=1).mean().item() / length if length > 0 else None
