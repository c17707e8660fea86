"""Learning to see without labels: what the objective rests on, and the folder that comes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lam_models.command import UserError
from lam_models.data.lerobot_layout import Schema, camera, vector
from lam_models.data.lerobot_write import DatasetWriter
from lam_models.nn.masked_vit import MaskedVit, patch_targets, relight
from lam_models.nn.vision import FrozenDinov2, VitShape, make_vision
from lam_models.stages.fit_vision import fit_vision
from lam_models.stages.fit_vision_command import FitVision
from lam_models.stages.probes import fit_probe
from lam_models.stages.vision_probe import in_span, principal_pixels, read_scenes

SHAPE = VitShape(width=16, depth=2, heads=2, patch=8, image_size=32)


@pytest.fixture
def learner() -> MaskedVit:
    torch.manual_seed(0)
    return MaskedVit(SHAPE).train()


def squares(count: int, seed: int = 0) -> Tensor:
    """A bright square somewhere on a dark ground."""
    draw = torch.Generator().manual_seed(seed)
    images = torch.full((count, 3, 32, 32), 0.2)
    for image, (x, y) in zip(images, torch.randint(0, 24, (count, 2), generator=draw), strict=True):
        image[:, y : y + 8, x : x + 8] = 0.9
    return images


def test_patches_that_are_hidden_do_not_reach_the_network(learner: MaskedVit) -> None:
    images, keep = torch.rand(1, 3, 32, 32), torch.tensor([[0, 5]])
    read = learner._read(images, keep)
    hidden, shown = images.clone(), images.clone()
    hidden[..., 24:, 24:], shown[..., :8, :8] = 0.0, 0.0
    assert torch.equal(learner._read(hidden, keep), read)
    assert not torch.allclose(learner._read(shown, keep), read)


def test_the_teacher_follows_without_a_gradient(learner: MaskedVit) -> None:
    assert learner.teacher is not None and learner.released() is learner.teacher
    optimiser = torch.optim.Adam([p for p in learner.parameters() if p.requires_grad], lr=1e-2)
    before = [p.clone() for p in learner.teacher.parameters()]
    for _ in range(2):
        learner(squares(4))[0].backward()
        optimiser.step()
    gap = sum(
        float((slow - fast).detach().abs().sum())
        for slow, fast in zip(before, learner.network.parameters(), strict=True)
    )
    after = zip(learner.teacher.parameters(), before, strict=True)
    moved = sum(float((p - b).abs().sum()) for p, b in after)
    assert 0.0 < moved < 0.1 * gap
    assert all(p.grad is None for p in learner.teacher.parameters())


def test_evaluation_leaves_the_teacher_alone(learner: MaskedVit) -> None:
    before = {k: v.clone() for k, v in learner.eval().state_dict().items()}
    learner(squares(4))
    assert all(torch.equal(v, before[k]) for k, v in learner.state_dict().items())


def test_without_latents_it_is_a_masked_autoencoder() -> None:
    learner = MaskedVit(SHAPE, latents=0.0)
    loss, logged = learner(squares(4))
    assert torch.equal(loss.detach(), logged["pixels"]) and list(logged) == ["pixels"]
    assert learner.released() is learner.network


def test_pixel_targets_do_not_know_a_patch_s_brightness() -> None:
    images = 0.5 * torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(patch_targets(images + 0.3, 8), patch_targets(images, 8))
    assert patch_targets(torch.ones(1, 3, 32, 32), 8).abs().max() == 0.0


def test_light_is_each_image_s_own_and_moves_nothing() -> None:
    lit = relight(squares(2))
    assert float(lit.min()) >= 0.0 and float(lit.max()) <= 1.0
    edges = [(image[0].diff(dim=0).abs() > 1e-6) for image in lit]
    assert torch.equal(edges[0], squares(2)[0, 0].diff(dim=0).abs() > 1e-6)
    assert not torch.equal(edges[0], edges[1]) and not torch.allclose(lit[0].max(), lit[1].max())


def test_it_learns(learner: MaskedVit) -> None:
    optimiser = torch.optim.Adam([p for p in learner.parameters() if p.requires_grad], lr=3e-3)
    losses = []
    for step in range(60):
        loss, logged = learner(squares(16, seed=step))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(logged["pixels"]))
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


def test_ridge_in_the_span_of_the_rows_is_ridge() -> None:
    torch.manual_seed(0)
    x, y, other = torch.randn(12, 40), torch.randn(12, 2), torch.randn(5, 40)
    short, short_other = in_span(x, other)
    assert short.shape[1] <= 12
    # The ridge is relative to the mean variance of the inputs, whose number differs.
    ridge = 1e-2 * 40 / short.shape[1]
    whole = fit_probe(x, y, ridge)(other)
    torch.testing.assert_close(fit_probe(short, y, 1e-2)(short_other), whole)


def write_dataset(path: Path) -> None:
    images = (squares(60).movedim(1, -1).numpy() * 255).astype(np.uint8)
    names = ("target.x_m", "target.y_m", "target.z_m")
    schema = Schema(
        20,
        {
            "observation.images.front": camera(32, 32),
            "observation.state": vector(("ee.x_m", "ee.y_m", "ee.z_m")),
            "observation.environment_state": vector(names),
        },
    )
    with DatasetWriter(path, schema) as writer:
        for i, image in enumerate(images):
            place = np.array([i % 7, i % 5, 0.0], np.float32)
            there = np.array([i % 7, i % 5, -1.0 if i < 6 else 0.0], np.float32)
            writer.add_frame(
                {
                    "observation.images.front": image,
                    "observation.state": place,
                    "observation.environment_state": there,
                }
            )
            if i % 6 == 5:
                writer.save_episode(task="look")


def test_the_folder_is_a_name_of_a_vision_network(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data")
    scenes = read_scenes(tmp_path / "data", None, 32)
    assert scenes.held_out.reshape(-1, 6).all(1).sum() == 2
    assert np.isnan(scenes.positions["objects"][:6]).all()
    assert np.isfinite(scenes.positions["objects"][6:]).all()
    pixels = principal_pixels([scenes.images], 8, 10)(squares(2))
    assert pixels.shape == (2, 16, 10)

    settings = FitVision(
        (tmp_path / "data",), tmp_path / "eyes", size=32, width=16, heads=2, depth=1, steps=2
    )
    readings = fit_vision(settings)
    names = ("end effector", "end effector pooled", "objects", "objects pooled")
    assert {name.rsplit("/", 1)[-1] for name in readings} == {f"data {name}" for name in names}
    assert all(set(errors) == {"trained", "untrained", "pixels"} for errors in readings.values())
    vision = make_vision(str(tmp_path / "eyes"), 8)
    assert isinstance(vision, FrozenDinov2) and vision.width == 16
    vision.load_released()
    assert torch.isfinite(vision(squares(2))).all()
    with pytest.raises(UserError, match="exists already"):
        fit_vision(settings)


def test_sizes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--size 60: not a multiple of --patch 8"):
        fit_vision(FitVision((tmp_path,), tmp_path / "out", size=60))
