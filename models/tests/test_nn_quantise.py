"""Laws of the bottlenecks: one return type, exact decode, gradients, dead codes, resuming."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lam_models.nn.fsq import FSQ
from lam_models.nn.gaussian import Gaussian
from lam_models.nn.nsvq import NSVQ, lapa_schedule
from lam_models.nn.quantise import Identity, Quantized, straight_through
from lam_models.nn.vq import VQ, EmaVQ

DISCRETE: dict[str, Callable[[], nn.Module]] = {
    "vq": lambda: VQ(3, 8, revive_every=4),
    "ema": lambda: EmaVQ(3, 8, decay=0.9, revive_every=4),
    "nsvq": lambda: NSVQ(3, 8, replace_at=lambda step: step % 4 == 3),
    "fsq": lambda: FSQ((3, 4, 2)),
}
CONTINUOUS: dict[str, Callable[[], nn.Module]] = {
    "gaussian": lambda: Gaussian(3, beta=1e-3),
    "identity": lambda: Identity(3),
}
ALL = DISCRETE | CONTINUOUS


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def tokens_for(quantiser: nn.Module, *batch: int) -> Tensor:
    return torch.randn(*batch, int(quantiser.in_dim))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("batch", [(5, 4), (2, 3, 4), (4,)])
@pytest.mark.parametrize("name", ALL)
def test_one_return_for_all(name: str, batch: tuple[int, ...], training: bool) -> None:
    quantiser = ALL[name]().train(training)
    out = quantiser(tokens_for(quantiser, *batch))
    assert isinstance(out, Quantized)
    assert out.values.shape == (*batch, quantiser.dim)
    assert out.loss.shape == () and torch.isfinite(out.loss)
    assert all(not value.requires_grad for value in out.stats.values())
    if name in DISCRETE:
        assert out.indices is not None and out.indices.shape == batch
        assert out.indices.min() >= 0 and out.indices.max() < quantiser.num_codes
        assert 1 <= out.stats["perplexity"] <= quantiser.num_codes
    else:
        assert out.indices is None and quantiser.num_codes == 0


@pytest.mark.parametrize("name", DISCRETE)
def test_values_equal_decoded_indices_in_evaluation(name: str) -> None:
    quantiser = DISCRETE[name]()
    for _ in range(6):
        quantiser(tokens_for(quantiser, 20, 4))
    quantiser.eval()
    out = quantiser(tokens_for(quantiser, 20, 4))
    assert torch.equal(out.values, quantiser.decode(out.indices))


@pytest.mark.parametrize("name", DISCRETE)
def test_evaluation_changes_no_state(name: str) -> None:
    quantiser = DISCRETE[name]().eval()
    before = {key: value.clone() for key, value in quantiser.state_dict().items()}
    for _ in range(9):
        quantiser(tokens_for(quantiser, 20, 4))
    assert all(torch.equal(before[key], value) for key, value in quantiser.state_dict().items())


@pytest.mark.parametrize("name", ["vq", "ema", "identity"])
def test_straight_through_gradient_is_the_identity(name: str) -> None:
    quantiser = ALL[name]()
    x = tokens_for(quantiser, 6, 4).requires_grad_()
    weight = torch.randn(6, 4, quantiser.dim)
    (quantiser(x).values * weight).sum().backward()
    assert x.grad is not None and torch.equal(x.grad, weight)


def test_straight_through_is_exact_where_rounding_would_show() -> None:
    x, target = torch.tensor([1e8]), torch.tensor([0.1])
    assert torch.equal(straight_through(x, target), target)


def test_fsq_gradient_passes_the_rounding_but_not_the_squashing() -> None:
    x = torch.randn(6, 4, 3, requires_grad=True)
    FSQ((3, 4, 2))(x).values.sum().backward()
    assert torch.allclose(x.grad, 1 - x.detach().tanh() ** 2)


def test_nsvq_noise_has_the_length_of_the_error_and_the_mean_gradient_is_the_identity() -> None:
    quantiser = NSVQ(16, 4)
    x = torch.randn(1, 16).expand(20000, 16).clone().requires_grad_()
    out = quantiser(x)
    error = (x - quantiser.decode(out.indices)).norm(dim=1)
    assert torch.allclose((out.values - x).norm(dim=1), error, rtol=1e-4)
    weight = torch.randn(16)
    (out.values @ weight).sum().backward()
    assert torch.allclose(x.grad.mean(0), weight, atol=0.05)
    assert quantiser.codebook.grad is not None and quantiser.codebook.grad.abs().sum() > 0


@pytest.mark.parametrize("name", ["vq", "ema", "nsvq"])
def test_dead_codes_revive(name: str) -> None:
    quantiser = DISCRETE[name]()
    x = 5.0 + torch.randn(64, 4, 3)
    with torch.no_grad():
        quantiser.codebook[1:] = -100.0  # Only the first code is ever nearest.
        quantiser.codebook[0] = 5.0
    if name == "ema":
        quantiser.ema_sum.copy_(quantiser.codebook)
    assert quantiser(x).stats["used_share"] == 1 / 8
    for _ in range(12):
        out = quantiser(x)
    assert out.stats["used_share"] > 0.7


@pytest.mark.parametrize("name", ["vq", "nsvq"])
def test_a_frozen_codebook_stays(name: str) -> None:
    quantiser = DISCRETE[name]().requires_grad_(False)
    before = quantiser.codebook.clone()
    for _ in range(9):
        quantiser(100.0 + torch.randn(8, 4, 3))
    assert torch.equal(quantiser.codebook, before)


@pytest.mark.parametrize("name", ["vq", "ema"])
def test_a_code_in_use_is_not_revived(name: str) -> None:
    quantiser = DISCRETE[name]()
    x = quantiser.codebook.detach().clone()[:, None]
    for _ in range(9):
        assert quantiser(x).stats["revived"] == 0


@pytest.mark.parametrize("name", DISCRETE)
def test_mixed_precision_leaves_the_codes_in_full_precision(name: str) -> None:
    plain, mixed = DISCRETE[name](), DISCRETE[name]()
    mixed.load_state_dict(plain.state_dict())
    x = tokens_for(plain, 16, 4)
    for module, enabled in ((plain, False), (mixed, True)):
        torch.manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            for _ in range(3):  # Short of a revival, whose draw is by error.
                module(x)
    for key, value in plain.state_dict().items():
        assert torch.equal(value, mixed.state_dict()[key]), key


def test_ema_codes_settle_on_the_means_of_their_tokens() -> None:
    quantiser = EmaVQ(2, 2, decay=0.5, revive_every=0)
    groups = torch.tensor([[3.0, 0.0], [-3.0, 0.0]])
    quantiser.codebook.copy_(groups / 3)
    quantiser.ema_sum.copy_(quantiser.codebook)
    x = (groups[:, None] + 0.1 * torch.randn(2, 50, 2)).flatten(0, 1)
    for _ in range(40):
        quantiser(x)
    assert torch.allclose(quantiser.codebook, x.unflatten(0, (2, 50)).mean(1), atol=1e-5)


def test_ema_code_that_is_never_chosen_stays_put() -> None:
    quantiser = EmaVQ(1, 2, decay=0.1, revive_every=0)
    quantiser.codebook.copy_(torch.tensor([[0.0], [50.0]]))
    quantiser.ema_sum.copy_(quantiser.codebook)
    for _ in range(60):  # Long enough for both averages to fade to nothing.
        quantiser(torch.zeros(4, 1))
    assert quantiser.codebook[1, 0] == pytest.approx(50.0, rel=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_saved_and_loaded_it_continues_identically(name: str) -> None:
    def steps(module: nn.Module, optimiser: torch.optim.Optimizer | None, count: int) -> list:
        outs = []
        for _ in range(count):
            x = tokens_for(module, 16, 4)
            out = module(x)
            if optimiser is not None:
                optimiser.zero_grad()
                (out.values.square().mean() + out.loss).backward()
                optimiser.step()
            outs.append(out)
        return outs

    def build() -> tuple[nn.Module, torch.optim.Optimizer | None]:
        module = ALL[name]()
        parameters = list(module.parameters())
        return module, torch.optim.SGD(parameters, lr=0.1) if parameters else None

    first, first_optimiser = build()
    steps(first, first_optimiser, 5)  # In the middle of a usage window.
    state = {key: value.clone() for key, value in first.state_dict().items()}
    rng = torch.get_rng_state()
    wanted = steps(first, first_optimiser, 9)

    second, second_optimiser = build()
    second.load_state_dict(state)
    torch.set_rng_state(rng)
    found = steps(second, second_optimiser, 9)
    for a, b in zip(wanted, found, strict=True):
        assert torch.equal(a.values, b.values)
    for key, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[key])


@settings(deadline=None)
@given(levels=st.lists(st.integers(2, 9), min_size=1, max_size=4))
def test_fsq_indices_and_grid_points_match_one_to_one(levels: list[int]) -> None:
    quantiser = FSQ(levels).eval()
    indices = torch.arange(quantiser.num_codes)
    grid = quantiser.decode(indices)
    assert len(grid.unique(dim=0)) == quantiser.num_codes
    assert grid.min() == -1 and grid.max() == 1 and torch.allclose(grid, -grid.flip(0))
    # A point of the grid, un-squashed, is quantised to itself.
    out = quantiser((0.999 * grid).atanh())
    assert torch.equal(out.indices, indices) and torch.equal(out.values, grid)


def test_lapa_schedule_is_the_stated_one() -> None:
    stated = {*range(10, 100, 10), *range(100, 1000, 100), *range(1000, 5000, 500)}
    due = {step for step in range(6000) if lapa_schedule()(torch.tensor(step))}
    assert due == stated
    longer = {step for step in range(6000) if lapa_schedule(6000)(torch.tensor(step))}
    assert longer == stated | set(range(5000, 6000, 500))


def test_gaussian_kl_is_what_samples_say() -> None:
    quantiser = Gaussian(2, beta=0.5)
    mean, log_variance = torch.tensor([0.7, -1.2]), torch.tensor([-0.4, 0.9])
    x = torch.cat([mean, log_variance]).expand(200000, 4)
    out = quantiser(x)
    posterior = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    prior = torch.distributions.Normal(0.0, 1.0)
    estimate = (posterior.log_prob(out.values) - prior.log_prob(out.values)).sum(-1).mean()
    assert out.stats["kl_nats"] == pytest.approx(estimate.item(), abs=0.02)
    assert out.loss == pytest.approx(0.5 * out.stats["kl_nats"].item())
    assert torch.equal(quantiser.eval()(x).values, mean.expand(200000, 2))


def test_gaussian_tells_used_dimensions_from_unused_ones() -> None:
    x = torch.cat([torch.randn(64, 1), torch.zeros(64, 1), torch.full((64, 2), 0.0)], dim=1)
    assert Gaussian(2, beta=1.0)(x).stats["active_share"] == 0.5


@pytest.mark.parametrize(
    "build",
    [
        lambda: FSQ(()),
        lambda: FSQ((4, 1)),
        lambda: EmaVQ(2, 4, decay=1.0),
        lambda: VQ(2, 4, revive_every=-1),
    ],
)
def test_impossible_settings_are_refused(build: Callable[[], nn.Module]) -> None:
    with pytest.raises(ValueError, match=r"\d|\(\)"):
        build()
