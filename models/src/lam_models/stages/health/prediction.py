"""Whether a latent is used to predict, and whether it holds the action or the next image itself.

All errors are mean squared errors a clip, in the space the system predicts in.
"""

from __future__ import annotations

from math import log10

import numpy as np
from jaxtyping import Float
from torch import Tensor

from lam_models.data.clips import Clips
from lam_models.stages.health.subject import Rows, Subject, showing

Errors = Float[Tensor, " clips"]


def ratio(errors: Errors, reference: Errors) -> float | None:
    """Mean over mean; None where the reference has no error at all."""
    below = reference.double().mean().item()
    return errors.double().mean().item() / below if below > 0 else None


def gain_db(errors: Errors, reference: Errors) -> float | None:
    """PSNR(errors) - PSNR(reference) = 10 log10(mean reference / mean errors) [dB].

    The peak cancels, so the same holds for features.
    """
    share = ratio(errors, reference)
    return -10 * log10(share) if share else None


def unpaired(clips: Clips, foreign: Rows, history: int) -> Clips:
    """The clips with all that follows the present frame taken from other clips."""
    frames = clips.frames.copy()
    frames[:, history + 1 :] = clips.frames[foreign, history + 1 :]
    return showing(clips, frames)


def prediction(
    subject: Subject, clips: Clips, values: Float[Tensor, "clips tokens dim"], foreign: Rows
) -> dict[str, float | None]:
    """Copying, ignoring and image compression.

    foreign: for each clip one of another episode.

    copy_ratio      MSE(ô', o') / MSE(o, o'): below 1, or it does no better than to copy
    delta_psnr_db   PSNR with the inferred latent - PSNR with that of another clip: above 0
    unpaired_ratio  MSE with o' replaced by a frame of another episode / MSE: near 1, the latent
                    holds the image and not the change
    """
    inferred = subject.error(values, clips)
    swapped = subject.error(values[foreign], clips)
    strangers = unpaired(clips, foreign, subject.history)
    strange = subject.error(subject.encode(strangers).values, strangers)
    measured = {
        "copy_ratio": ratio(inferred, subject.change(clips)),
        "delta_psnr_db": gain_db(inferred, swapped),
        "unpaired_ratio": ratio(strange, inferred),
        # Beside it: how much farther the foreign frame is than the true one.
        "unpaired_change_ratio": ratio(subject.change(strangers), subject.change(clips)),
    }
    if not subject.predicts_features:
        error = float(np.mean(inferred.numpy()))
        measured["psnr_db"] = -10 * log10(error) if error > 0 else None
    return measured
