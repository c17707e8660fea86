"""No collapse on a task that needs all codes: orderings between bottlenecks, no golden numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import pytest
import torch
from torch import nn

from lam_models.nn.fsq import FSQ
from lam_models.nn.nsvq import NSVQ
from lam_models.nn.vq import VQ, EmaVQ

CODES = 16
SEEDS = (0, 1)
BOTTLENECKS: dict[str, Callable[[], nn.Module]] = {
    "vq": lambda: VQ(4, CODES, revive_every=20),
    "plain vq": lambda: VQ(4, CODES, revive_every=0),
    "ema": lambda: EmaVQ(4, CODES, decay=0.9, revive_every=20),
    "plain ema": lambda: EmaVQ(4, CODES, decay=0.9, revive_every=0),
    "nsvq": lambda: NSVQ(4, CODES),
    "plain nsvq": lambda: NSVQ(4, CODES, replace_at=lambda step: step < 0),
    "fsq": lambda: FSQ((4, 4)),
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Matrices this small only wait for each other on several threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def train_on_mixture(build: Callable[[], nn.Module], seed: int) -> tuple[float, float]:
    """Share of the codes used and reconstruction error, on as many clusters as there are codes."""
    torch.manual_seed(seed)
    centres = 2.0 * torch.randn(CODES, 8)
    quantiser = build()
    encoder = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, int(quantiser.in_dim)))
    decoder = nn.Sequential(nn.Linear(int(quantiser.dim), 32), nn.ReLU(), nn.Linear(32, 8))
    model = nn.ModuleList([encoder, quantiser, decoder])
    optimiser = torch.optim.Adam(model.parameters(), lr=4e-3, fused=True)

    def reconstruct(cluster: torch.Tensor):
        x = centres[cluster] + 0.05 * torch.randn(len(cluster), 8)
        out = quantiser(encoder(x)[:, None])
        return out, (decoder(out.values[:, 0]) - x).square().mean()

    for _ in range(400):
        out, error = reconstruct(torch.randint(CODES, (128,)))
        optimiser.zero_grad()
        (error + out.loss).backward()
        optimiser.step()
    model.eval()
    with torch.no_grad():
        out, error = reconstruct(torch.arange(CODES).repeat(32))
    return float(out.stats["used_share"]), float(error)


@cache
def outcome(name: str) -> tuple[float, float]:
    """Means over the seeds."""
    runs = [train_on_mixture(BOTTLENECKS[name], seed) for seed in SEEDS]
    shares, errors = zip(*runs, strict=True)
    return sum(shares) / len(SEEDS), sum(errors) / len(SEEDS)


@pytest.mark.parametrize("name", ["vq", "ema", "nsvq", "fsq"])
def test_uses_nearly_all_codes_where_a_plain_vq_does_not(name: str) -> None:
    share, _ = outcome(name)
    plain_share, _ = outcome("plain vq")
    assert plain_share < 0.9 <= share


@pytest.mark.parametrize("name", ["vq", "ema", "nsvq"])
def test_revival_uses_more_codes_and_reconstructs_better(name: str) -> None:
    share, error = outcome(name)
    plain_share, plain_error = outcome(f"plain {name}")
    assert share > plain_share
    assert error < 0.5 * plain_error
