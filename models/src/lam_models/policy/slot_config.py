"""What a slot policy (slot_policy.py) is made of and how it is trained."""

from __future__ import annotations

from dataclasses import dataclass

from lam_models.command import UserError
from lam_models.policy.vlm_choice import Vlm
from lam_models.sense.pinhole import Pinhole


@dataclass(frozen=True)
class Config:
    """The defaults are `small`: a CPU learns five tasks with it.

    image_size: pixels of a side, of every camera.
    channels, blocks, maps, glimpses: of the eye of each camera.
    vlm: in place of the small backbone; channels to glimpses, depth and heads are then not used.
    slots: beside those of the motion latent. read_out: a name of read_out_kinds.READ_OUTS.
    pinhole: of the first camera, where it stands still and is calibrated: the read-out is then told
        the ways to the places that the instruction speaks of (places.py).
    fine_channels, reach_m: as Places takes them. On a CPU the norm of 12 channels takes two
        (float32) to five times (bf16) as long as that of 16.
    motion_tokens: of the motion latent, 0 for none; of `motion_codes` codes each, or, where that
        is 0, of `motion_dim` numbers.
    greatest_delay: steps by which a chunk may begin after its observation.
    shift, tint, state_noise, stray_m: as views.varied takes them.
    motion_weight, places_weight: of their losses beside that of the actions.
    places_rate: how much faster than all else places are learnt.
    """

    cameras: tuple[str, ...] = ("front", "wrist")
    image_size: int = 192
    channels: tuple[int, ...] = (8, 16, 32, 64)
    blocks: int = 2
    maps: int = 32
    glimpses: int = 8
    width: int = 128
    depth: int = 2
    heads: int = 4
    slots: int = 8
    read_out: str = "regression"
    read_out_depth: int = 2
    chunk_steps: int = 16
    dt_s: float = 0.05
    latent_dim: int = 32
    pinhole: Pinhole | None = None
    fine_channels: int = 16
    reach_m: tuple[float, ...] = ()
    places_weight: float = 0.3
    places_rate: float = 2.5
    motion_tokens: int = 0
    motion_codes: int = 0
    motion_dim: int = 0
    motion_weight: float = 0.1
    greatest_delay: int = 0
    shift: float = 0.03
    tint: float = 0.0
    state_noise: float = 0.003
    stray_m: float = 0.002
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    gradient_clip: float = 1.0
    warmup_steps: int = 100
    final_rate: float = 0.02
    ema_decay: float = 0.995
    batch_size: int = 64
    steps: int = 4000
    vlm: Vlm | None = None

    def __post_init__(self) -> None:
        reach_m = self.reach_m
        low, high = reach_m[: len(reach_m) // 2], reach_m[len(reach_m) // 2 :]
        if len(reach_m) not in (0, 4) or any(a >= b for a, b in zip(low, high, strict=False)):
            raise UserError(
                f"setting 'reach_m' is {list(reach_m)}; it is least x and y, then greatest x and y "
                "[m], as [0.2, -0.4, 0.7, 0.4], or []"
            )

    @property
    def seen_whole(self) -> int:
        """How many cameras the backbone sees, the last ones.

        What a calibrated camera shows becomes places, and nothing else: a whole view of a scene is
        learnt by heart long before what it means.
        """
        return len(self.cameras) - self.measured

    @property
    def measured(self) -> int:
        """How many cameras, the first ones, are calibrated: their pictures stay where they are."""
        return int(self.pinhole is not None)

    @classmethod
    def small(cls) -> Config:
        return cls()

    @classmethod
    def cloner(cls) -> Config:
        """The plain baseline: small images, a third of a million parameters."""
        return cls(
            image_size=64,
            channels=(16, 32, 32),
            blocks=1,
            maps=16,
            glimpses=2,
            width=64,
            depth=1,
            slots=1,
            read_out_depth=1,
        )

    @classmethod
    def tiny(cls) -> Config:
        """For tests and first looks."""
        return cls(
            image_size=32,
            channels=(8, 16, 16),
            blocks=1,
            maps=8,
            glimpses=2,
            width=32,
            depth=1,
            heads=2,
            slots=4,
            read_out_depth=1,
            chunk_steps=8,
            shift=0.0,
            tint=0.0,
            state_noise=0.0,
            stray_m=0.0,
            ema_decay=0.0,
            warmup_steps=10,
            batch_size=16,
            steps=200,
        )
