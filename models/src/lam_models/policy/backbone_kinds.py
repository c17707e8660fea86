"""The backbones of a policy: the small one, or a vision-language model; imported when chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Int64

from lam_models.command import UserError
from lam_models.policy.inputs import POSE_FEATURES, word_rows
from lam_models.policy.slot_config import Config


def make_backbone(c: Config, vlm: Any = None) -> Any:
    """A backbones.Backbone. `vlm`: instead of the source's model.

    UserError for a source that holds no vision-language model.
    """
    sizes = {"cameras": c.seen_whole, "image_size": c.image_size, "features": POSE_FEATURES}
    sizes |= {"slots": c.motion_tokens + c.slots, "width": c.width}
    if c.vlm is not None:
        from lam_models.policy.vlm import VlmBackbone

        in_turn = c.motion_tokens if c.vlm.codes_in_turn else 0
        return VlmBackbone(c.vlm, **sizes, in_turn=in_turn, model=vlm)
    from lam_models.policy.backbones import SmallBackbone
    from lam_models.policy.inputs import HELD_STEPS

    small = ("channels", "blocks", "maps", "glimpses", "depth", "heads")
    own = {name: getattr(c, name) for name in small}
    return SmallBackbone(**sizes, **own, told=len(HELD_STEPS) * c.latent_dim)


def make_in_turn(c: Config, backbone: Any) -> Any:
    """What says the motion codes one after the other; None where they are read all at once."""
    if c.vlm is None or not c.vlm.codes_in_turn:
        return None
    if not (c.motion_tokens and c.motion_codes):
        raise UserError("codes_in_turn: there are no motion codes to say (motion_codes is 0)")
    from lam_models.policy.autoregressive import InTurn

    return InTurn(c.motion_tokens, c.motion_codes, backbone.queries.shape[-1])


def word_reader(c: Config) -> Callable[[Sequence[str]], Int64[np.ndarray, "batch words hashes"]]:
    """How a policy reads instructions, before there is one."""
    if c.vlm is None:
        return word_rows
    from lam_models.policy.vlm_opening import read_prompts

    return partial(read_prompts, c.vlm)
