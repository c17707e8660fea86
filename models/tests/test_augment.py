"""Views of clips: alike for all frames, of the given strength, nothing at strength 0."""

from __future__ import annotations

from collections.abc import Callable
from math import pi

import pytest
import torch
from torch import Tensor

from lam_models.nn.augment import by_chance, jitter, perspectives, rotations, shifts, warp

Draw = Callable[[int, float], Tensor]
VIEWS: dict[str, Draw] = {
    "shifts": lambda n, most: shifts(n, 0.2 * most),
    "rotations": lambda n, most: rotations(n, pi / 2 * most),
    "perspectives": lambda n, most: perspectives(n, 0.4 * most),
}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def seen(name: str, clips: Tensor, most: float = 1.0) -> Tensor:
    if name == "jitter":
        return jitter(clips, 0.3 * most, 0.3 * most)
    return warp(clips, VIEWS[name](len(clips), most))


ALL = pytest.mark.parametrize("name", [*VIEWS, "jitter"])


@ALL
def test_shape_and_range_are_kept_and_the_clip_is_changed(name: str) -> None:
    clips = torch.rand(4, 3, 3, 16, 16)
    changed = seen(name, clips)
    assert changed.shape == clips.shape
    assert changed.min() >= 0.0 and changed.max() <= 1.0
    assert not torch.allclose(changed, clips, atol=1e-3)


@ALL
def test_at_strength_0_nothing_changes(name: str) -> None:
    clips = torch.rand(4, 3, 3, 12, 16)
    torch.testing.assert_close(seen(name, clips, 0.0), clips)


@ALL
def test_all_frames_of_a_clip_change_alike_and_clips_differ(name: str) -> None:
    still = torch.rand(1, 1, 3, 16, 16).expand(4, 3, -1, -1, -1)
    changed = seen(name, still)
    torch.testing.assert_close(changed[:, 0], changed[:, 2])
    assert not torch.allclose(changed[0], changed[1], atol=1e-3)


@ALL
def test_frames_in_the_batch_change_one_by_one(name: str) -> None:
    changed = seen(name, torch.rand(1, 3, 16, 16).expand(4, -1, -1, -1))
    assert not torch.allclose(changed[0], changed[1], atol=1e-3)


@ALL
def test_the_global_generator_decides(name: str) -> None:
    clips = torch.rand(4, 3, 16, 16)
    torch.manual_seed(5)
    first = seen(name, clips)
    torch.manual_seed(5)
    assert torch.equal(first, seen(name, clips))


def test_a_shift_moves_the_picture_and_repeats_its_border() -> None:
    frames = torch.rand(1, 3, 8, 8)
    view = shifts(1, 0.0)
    view[:, 0, 2] = 2 * 2 / 8
    moved = warp(frames, view)
    torch.testing.assert_close(moved[..., :6], frames[..., 2:])
    torch.testing.assert_close(moved[..., 7], frames[..., 7])


def test_a_quarter_turn_is_that_of_torch_and_four_are_none() -> None:
    frames, view = torch.rand(1, 3, 8, 8), rotations(1, 0.0)
    view[0, :2, :2] = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    torch.testing.assert_close(warp(frames, view), frames.rot90(dims=(2, 3)), atol=1e-5, rtol=0)
    torch.testing.assert_close(warp(frames, *[view] * 4), frames, atol=1e-5, rtol=0)


def test_views_follow_one_another() -> None:
    frames, turn, move = torch.rand(1, 3, 8, 8), rotations(1, 0.0), shifts(1, 0.0)
    turn[0, :2, :2] = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    move[:, 0, 2] = 2 * 2 / 8
    one_by_one = warp(warp(frames, turn), move)
    torch.testing.assert_close(warp(frames, turn, move), one_by_one, atol=1e-5, rtol=0)


def test_strengths_bound_the_draw() -> None:
    assert shifts(500, 0.1)[:, :2, 2].abs().max() <= 0.2
    assert rotations(500, 0.3)[:, 1, 0].abs().max() <= 0.3
    assert perspectives(500, 0.3)[:, 2, :2].abs().max() <= 0.3
    with pytest.raises(ValueError, match=r"0\.6"):
        perspectives(1, 0.6)
    grey = torch.full((500, 3, 2, 2), 0.5)
    assert (jitter(grey, 0.1, 0.9) - 0.5).abs().max() <= 0.1 + 1e-6


def test_chance_leaves_its_share_as_it_is() -> None:
    views = shifts(2000, 1.0)
    unchanged = (by_chance(views, 0.25) == torch.eye(3)).all(-1).all(-1).float().mean()
    assert abs(float(unchanged) - 0.75) < 0.05
    assert torch.equal(by_chance(views, 1.0), views)
