"""Two places of an instruction that may be one: learnt of words, and what wins then."""

from __future__ import annotations

import torch

from lam_models.policy.inputs import word_rows
from lam_models.policy.together import Together, best_cells

KNOWN = torch.tensor([[True, True]])


def places(apart_m: float) -> torch.Tensor:
    poses = torch.zeros(1, 2, 9)
    poses[0, 1, 0] = apart_m
    return poses


def test_words_tell_one_place_from_two():
    torch.manual_seed(0)
    together = Together()
    optimiser = torch.optim.AdamW(together.parameters(), 1e-2)
    one = torch.from_numpy(word_rows(["go to the red can"]))
    two = torch.from_numpy(word_rows(["put the red can into the bowl"]))
    for _ in range(100):
        optimiser.zero_grad()
        loss = together.loss(together(one), places(0.005), KNOWN)
        (loss + together.loss(together(two), places(0.2), KNOWN)).backward()
        optimiser.step()
    for thing in ("green cube", "blue can"):
        words = word_rows([f"go to the {thing}", f"put the {thing} into the bowl"])
        logits = together(torch.from_numpy(words))
        assert logits[0] > 0.5 and logits[1] < -0.5


def test_a_place_that_is_not_known_teaches_nothing():
    logits = torch.zeros(1, requires_grad=True)
    Together().loss(logits, places(0.2), torch.tensor([[False, True]])).backward()
    assert logits.grad is not None and not logits.grad.any()


def test_one_place_is_the_one_that_both_can_live_with():
    # Cells of two things, 20 cm apart; each place prefers another one, the second by little.
    spots_m = torch.tensor([[0.4, 0.0], [0.4, 0.2]]).expand(1, 2, 2, 2)
    chances = torch.tensor([[[0.9, 0.1], [0.45, 0.55]]]).log()
    assert best_cells(chances, spots_m, torch.tensor([4.0])).tolist() == [[0, 0]]
    for nothing_said in (torch.zeros(1), torch.tensor([-4.0])):
        assert best_cells(chances, spots_m, nothing_said).tolist() == [[0, 1]]


def test_pictures_that_are_sure_overrule_words():
    spots_m = torch.tensor([[0.4, 0.0], [0.4, 0.2]]).expand(1, 2, 2, 2)
    chances = torch.tensor([[[0.99999, 1e-5], [1e-5, 0.99999]]]).log()
    assert best_cells(chances, spots_m, torch.tensor([50.0])).tolist() == [[0, 1]]


def test_without_words_each_place_is_its_own_best_cell():
    torch.manual_seed(0)
    chances = torch.randn(5, 2, 100).log_softmax(-1)
    far_apart_m = 1e3 * torch.rand(5, 2, 100, 2)
    assert torch.equal(best_cells(chances, far_apart_m, torch.zeros(5)), chances.argmax(-1))


def test_many_cells_about_one_spot_win_over_a_single_one_elsewhere():
    spots_m = torch.tensor([[0.6, 0.0], [0.4, 0.2], [0.4, 0.2], [0.4, 0.201]]).expand(1, 2, 4, 2)
    chances = torch.tensor([0.35, 0.2, 0.25, 0.2]).log().expand(1, 2, 4)
    assert best_cells(chances, spots_m, torch.zeros(1)).tolist() == [[2, 2]]
