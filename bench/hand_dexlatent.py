"""DexLatent (lam_models.systems.dexlatent) on the hands of bench/hands.py, trained without pairs.

Each hand's poses are its own: random joint vectors, and pinches found by damped least squares. The
human hand's are random angles of the training people and their pinches, of the mean hand's size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from hand_people import People
from hand_slots import nearness
from safetensors.torch import load_file, save_file

from lam_models.hands.human import LOWER_RAD, UPPER_RAD, draw_subjects, mean_hand
from lam_models.hands.kinematics import Kinematics
from lam_models.hands.poses import pinches
from lam_models.hands.space import HUMAN, hand_modality, human_modality, human_vector
from lam_models.systems.dexlatent import Body, Config, DexLatent, UnpairedBatch

RANDOM, TEMPLATES, TEMPLATE_STEPS = 16384, 2048, 100
_DAMPING_M2 = 1e-5


@dataclass(frozen=True)
class DexLatentMethod:
    """Latents are the means; likeness is nearness, as they lie on no sphere."""

    people: People
    model: DexLatent

    def encode(self, name: str, vectors: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            given = torch.from_numpy(np.array(vectors, np.float32))
            return self.model.encode(self.model.names.index(name), given)[0].numpy()

    def decode(self, name: str, latents: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            given = torch.from_numpy(np.asarray(latents, np.float32))
            found = self.model.decode(self.model.names.index(name), given).numpy()
        if name == HUMAN:
            return found
        return self.people.specs[name].clip(found).astype(np.float32)

    def transfer(self, source: str, target: str, vectors: np.ndarray) -> np.ndarray:
        return self.decode(target, self.encode(source, vectors))

    def likeness(
        self, source: str, target: str, vectors: np.ndarray, gallery: np.ndarray
    ) -> np.ndarray:
        return nearness(self.encode(source, vectors), self.encode(target, gallery))


def open_or_train(people: People, folder: Path, seed: int, quick: bool) -> DexLatentMethod:
    """The model in `folder`, trained first if there is none."""
    config = Config.tiny() if quick else Config()
    torch.manual_seed(seed)
    model = DexLatent(config, [_body(people, name) for name in people.names])
    path = folder / "model.safetensors"
    if not path.exists():
        _train(model, people, folder, seed, quick)
        save_file(model.state_dict(), path)
    model.load_state_dict(load_file(path))
    return DexLatentMethod(people, model.eval())


def _train(model: DexLatent, people: People, folder: Path, seed: int, quick: bool) -> None:
    from lam_models.stages.training.loop import recipe_of, train

    folder.mkdir(parents=True, exist_ok=True)
    shares = (512, 64, 20) if quick else (RANDOM, TEMPLATES, TEMPLATE_STEPS)
    batch_at = _batches(model, people, seed, shares)
    recipe = recipe_of(model.config, seed=seed, precision="fp32", log_every=50)
    train(model, batch_at, recipe, folder / "training", resume=True)


def _body(people: People, name: str) -> Body:
    if name == HUMAN:
        known = human_samples(2048, 0)
        modality, center, scale = human_modality(), known.mean(0), known.std(0).clip(1e-4)
    else:
        spec = people.specs[name]
        middle, half = (spec.lower + spec.upper) / 2.0, (spec.upper - spec.lower) / 2.0
        modality, center, scale = hand_modality(spec), middle, half
    center, scale = (torch.from_numpy(of.astype(np.float32)) for of in (center, scale))
    return Body(modality, center, scale, people.kinematics.get(name))


def _batches(
    model: DexLatent, people: People, seed: int, shares: tuple[int, int, int]
) -> Callable[[int], UnpairedBatch]:
    """Half of each batch random poses, half pinches, of each hand for itself."""
    random, templates, _ = shares
    vectors, gaps = [], []
    for body in model.bodies:
        name = body.modality.name
        if name == HUMAN:
            own = human_samples(random, seed), human_pinches(templates, seed)
        else:
            kinematics = people.kinematics[name]
            own = kinematics.spec.sample(random, seed), templates_of(kinematics, shares, seed)
        together = torch.from_numpy(np.concatenate(own).astype(np.float32))
        vectors.append(together)
        gaps.append(body.gaps(together))
    half = model.config.batch_size // 2

    def batch_at(step: int) -> UnpairedBatch:
        rng, drawn, apart = np.random.default_rng([seed, step, 0xDE]), [], []
        for own, gap in zip(vectors, gaps, strict=True):
            first = rng.integers(0, random, half)
            second = rng.integers(random, random + templates, half)
            rows = torch.from_numpy(np.concatenate([first, second]))
            drawn.append(own[rows])
            apart.append(gap[rows])
        return UnpairedBatch(torch.cat(drawn, dim=1), torch.stack(apart, dim=1))

    return batch_at


def human_samples(count: int, seed: int) -> np.ndarray:
    """Vectors of random angles, of people as those who train, all of the mean hand's size."""
    rng, people = np.random.default_rng([seed, 0x48]), draw_subjects(16, seed)
    parts = np.array_split(rng.uniform(LOWER_RAD, UPPER_RAD, (count, len(LOWER_RAD))), len(people))
    mean_m = mean_hand().length_m
    points = [
        hand.points(angles) * (mean_m / hand.length_m)
        for hand, angles in zip(people, parts, strict=True)
    ]
    return human_vector(np.concatenate(points))


def human_pinches(count: int, seed: int) -> np.ndarray:
    """Vectors of the mean hand, thumb and a finger at one place."""
    hand = mean_hand()
    return human_vector(hand.points(pinches(hand, count, seed, gap_m=0.0).angles))


def templates_of(kinematics: Kinematics, shares: tuple[int, int, int], seed: int) -> np.ndarray:
    """Random poses whose thumb and one finger were then brought together as far as limits let."""
    _, count, steps = shares
    spec, rng = kinematics.spec, np.random.default_rng([seed, 0x54])
    q, rows = spec.sample(count, seed + 1), np.arange(count)
    thumb = spec.tips.index("thumb")
    finger = rng.choice([index for index in range(len(spec.tips)) if index != thumb], count)
    for _ in range(steps):
        tips, slopes = kinematics.tips(q), kinematics.jacobian(q)
        apart = tips[:, thumb] - tips[rows, finger]
        slope = slopes[:, thumb] - slopes[rows, finger]
        turned = np.swapaxes(slope, 1, 2)
        square = slope @ turned + _DAMPING_M2 * np.eye(3)
        q = spec.clip(q - (turned @ np.linalg.solve(square, apart[..., None]))[..., 0])
    return q
