"""Codebooks stay equal on all processes though each sees other data."""

from __future__ import annotations

import os
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
from safetensors.torch import load_file, save_file

from lam_models.nn.nsvq import NSVQ
from lam_models.nn.vq import VQ, EmaVQ

RANKS = 2


def quantisers() -> dict[str, torch.nn.Module]:
    torch.manual_seed(0)
    return {
        "vq": VQ(3, 8, revive_every=3),
        "ema": EmaVQ(3, 8, revive_every=3),
        "nsvq": NSVQ(3, 8, replace_at=lambda step: step % 3 == 2),
    }


def train(rank: int, folder: str) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=RANKS)
    torch.set_num_threads(1)
    state = {}
    for name, quantiser in quantisers().items():
        torch.manual_seed(1 + rank)
        for _ in range(8):
            quantiser(10.0 * (1 + rank) + torch.randn(16, 2, 3))
        state |= {f"{name}.{key}": value for key, value in quantiser.state_dict().items()}
    save_file(state, f"{folder}/{rank}.safetensors")
    dist.destroy_process_group()


def test_all_ranks_hold_the_same_codes(tmp_path: Path) -> None:
    multiprocessing.spawn(train, (str(tmp_path),), nprocs=RANKS)
    first, second = (load_file(tmp_path / f"{rank}.safetensors") for rank in range(RANKS))
    assert first.keys() == second.keys()
    for key, value in first.items():
        assert torch.equal(value, second[key]), key
    for name, fresh in quantisers().items():
        assert not torch.equal(first[f"{name}.codebook"], fresh.codebook), f"{name} never moved"
