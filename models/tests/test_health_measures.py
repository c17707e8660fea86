"""Laws of the measures of the health report, each on tensors of which the truth is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from health_toys import NAMES, clips

from lam_models.stages.health.algebra import additivity, reversibility
from lam_models.stages.health.codebook import code_use
from lam_models.stages.health.prediction import gain_db, ratio
from lam_models.stages.health.reading import held_out, moving, principal, read_groups, usable_groups
from lam_models.stages.health.subject import elsewhere
from lam_models.stages.health.transfer import (
    cycle,
    different_actions,
    retrieval,
    same_action_pairs,
)
from lam_models.stages.health.truth import Names, known

DRAW = torch.Generator().manual_seed(0)
Z = torch.randn(300, 2, 3, generator=DRAW)


def test_codes_used_evenly_have_the_perplexity_of_their_number() -> None:
    codes = torch.stack([torch.arange(16) % 4, torch.arange(16) // 4], 1)
    use = code_use(codes, 4)
    assert use["used_share"] == 1 and use["constant_positions"] == 0
    assert use["perplexity"] == pytest.approx(4)
    assert use["sequence_perplexity"] == pytest.approx(16) == use["sequences"]


def test_a_constant_position_is_counted() -> None:
    codes = torch.stack([torch.arange(16) % 4, torch.full((16,), 3)], 1)
    use = code_use(codes, 8)
    assert use["constant_positions"] == 1 and use["top_share"] == 1
    assert use["perplexity.1"] == pytest.approx(1) and use["used_share.1"] == 1 / 8


def test_ratios_and_gains() -> None:
    errors, reference = torch.full((5,), 0.1), torch.full((5,), 1.0)
    assert ratio(errors, reference) == pytest.approx(0.1)
    assert gain_db(errors, reference) == pytest.approx(10, abs=1e-4)
    assert ratio(errors, torch.zeros(5)) is None and gain_db(torch.zeros(5), reference) is None


def test_moves_add_up_and_turn_around() -> None:
    assert additivity(Z, 2 * Z, 3 * Z) == pytest.approx(0, abs=1e-6)
    assert reversibility(Z, -Z) == pytest.approx(0, abs=1e-6)
    assert reversibility(Z, Z) == pytest.approx(2)
    assert additivity(0 * Z, Z, Z) is None


def test_a_cycle_that_comes_back_is_zero_and_a_random_one_is_one() -> None:
    mixed = Z[torch.randperm(300, generator=DRAW)]
    assert cycle(Z, Z, mixed) == 0
    assert cycle(Z, Z[torch.randperm(300, generator=DRAW)], mixed) == pytest.approx(1, abs=0.1)
    assert cycle(Z, Z, Z) is None


def test_the_nearest_action_is_paired_unless_it_is_too_far() -> None:
    givers = torch.tensor([[0.0, 0.0], [1.0, 1.0], [5.0, 5.0]])
    takers = torch.tensor([[1.1, 0.9], [9.0, 9.0], [0.1, 0.0]])
    i, j = same_action_pairs(givers, takers)
    assert i.tolist() == [1, 0] and j.tolist() == [0, 2]


def test_retrieval_finds_equals_and_is_at_chance_among_strangers() -> None:
    assert retrieval(Z.flatten(1), Z.flatten(1)) == (1.0, 1 / 300)
    strangers = torch.randn(300, 6, generator=DRAW)
    assert retrieval(Z.flatten(1), strangers)[0] < 0.05


def test_actions_to_be_told_apart_are_far_apart() -> None:
    actions = torch.randn(400, 2, generator=DRAW)
    picked = actions[torch.from_numpy(different_actions(actions, 12))]
    far = torch.cdist(picked, picked) / 2**0.5
    assert len(picked) == 12 and float(far.fill_diagonal_(9.0).min()) > 0.7


def test_a_stranger_is_of_another_episode_and_comes_once() -> None:
    episodes = np.repeat([3, 5, 9], [10, 30, 20])
    partner = elsewhere(episodes, seed=1)
    assert (episodes[partner] != episodes).all() and sorted(partner) == list(range(60))
    assert (elsewhere(np.zeros(7, int), 0) != np.arange(7)).all()


def test_still_columns_are_no_target_and_still_groups_are_named() -> None:
    fit = torch.cat([torch.randn(50, 2, generator=DRAW), torch.ones(50, 2)], 1)
    assert moving(fit, fit) == [0, 1]
    groups, left_out = usable_groups({"translation": (0, 1, 2), "hand": (3,)}, fit, fit)
    assert groups == {"translation": [0, 1]} and len(left_out) == 1 and "'hand'" in left_out[0]


def test_probes_by_group_read_what_is_there_and_nothing_else() -> None:
    z = torch.randn(600, 4, generator=DRAW)
    actions = torch.stack([z[:, 0], z[:, 1] ** 2, torch.randn(600, generator=DRAW)], 1)
    episodes = np.repeat(np.arange(20), 20)
    errors = read_groups(
        (z[:400], actions[:400]),
        (z[400:], actions[400:]),
        {"plain": [0], "bent": [1], "absent": [2]},
        held_out(episodes, 0),
    )
    assert errors["linear"]["plain"] < 0.02 < 0.8 < errors["linear"]["bent"]
    assert errors["mlp"]["bent"] < 0.4 and errors["constant"]["plain"] == pytest.approx(1, abs=0.1)
    assert min(errors["linear"]["absent"], errors["mlp"]["absent"]) > 0.8
    assert errors["linear"]["plain"] < errors["linear"]["all"] < errors["linear"]["absent"]


def test_main_directions_keep_what_varies() -> None:
    low = torch.randn(80, 2, generator=DRAW) @ torch.randn(2, 30, generator=DRAW)
    fit, test = principal(low[:60], low[60:], 10)
    assert fit.shape == (60, 2) and test.shape == (20, 2)
    assert torch.cdist(test, test).sub(torch.cdist(low[60:], low[60:])).abs().max() < 1e-3


def test_columns_are_known_by_their_names() -> None:
    names = Names(
        environment=("cube.x_m", "cube.rx_rad", "drawer.opening_m", "mover_0.x_m", "light.red")
    )
    assert names.objects == [0, 2] and names.distractors == [3, 4]
    step = known(clips(1, time=5), NAMES, history=2)
    assert step.distractors is not None and step.distractors.shape == (240, 1)
    assert step.objects is not None and step.actions is not None
    assert torch.equal(step.objects[:, 0], step.actions[:, 0]), "the change over the step's gap"
