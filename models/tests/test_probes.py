"""Laws of the linear probes."""

from __future__ import annotations

import pytest
import torch

from lam_models.stages.probes import LatentContent, fit_probe, nmse

INPUTS = torch.randn(500, 6, generator=torch.Generator().manual_seed(0))
MIXING = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))


def test_a_linear_function_with_an_offset_is_read_exactly() -> None:
    targets = INPUTS @ MIXING + 5
    assert (
        nmse(fit_probe(INPUTS[:250], targets[:250], ridge=0.0)(INPUTS[250:]), targets[250:]) < 1e-9
    )


def test_a_constant_predictor_errs_by_one() -> None:
    targets = INPUTS @ MIXING
    assert nmse(targets.mean(0).expand_as(targets), targets) == pytest.approx(1)


def test_unrelated_targets_cannot_be_read() -> None:
    targets = torch.randn(500, 3, generator=torch.Generator().manual_seed(2))
    error = nmse(fit_probe(INPUTS[:400], targets[:400])(INPUTS[400:]), targets[400:])
    assert error > 0.95


def test_the_error_does_not_depend_on_scale_or_offset() -> None:
    targets = INPUTS @ MIXING + INPUTS[:, :3].square()
    error = nmse(fit_probe(INPUTS, targets)(INPUTS), targets)
    moved_inputs, moved = 1e-3 * INPUTS + 7, 40 * targets - 3
    assert nmse(fit_probe(moved_inputs, moved)(moved_inputs), moved) == pytest.approx(
        error, rel=1e-3
    )


def test_inputs_that_repeat_themselves_or_never_move_are_no_trouble() -> None:
    targets = INPUTS @ MIXING
    doubled = torch.cat([INPUTS, INPUTS, torch.ones(500, 2)], dim=1)
    assert nmse(fit_probe(doubled, targets)(doubled), targets) < 1e-6
    still = torch.ones(500, 4)
    assert nmse(fit_probe(still, targets)(still), targets) == pytest.approx(1)


def test_a_target_that_never_moves_has_no_normalised_error() -> None:
    with pytest.raises(ValueError, match="constant"):
        nmse(torch.zeros(4, 1), torch.ones(4, 1))


def test_the_objective_is_two_for_the_action_and_nothing_else() -> None:
    assert LatentContent(action=0.0, observation=1.0).objective == 2
    assert LatentContent(action=1.0, observation=0.0, exogenous=0.0).objective == -1
