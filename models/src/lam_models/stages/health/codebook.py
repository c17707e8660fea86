"""How evenly a discrete latent uses its codes. Over clips that the system was not trained on."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

# A position whose most frequent code takes at least this share says nothing.
CONSTANT_SHARE = 0.99


def code_use(codes: Int64[Tensor, "clips tokens"], size: int) -> dict[str, float]:
    """Use share, perplexity and top share of each token position and of the joint sequences.

    use share |{k: n_k > 0}| / K; perplexity exp(-Σ p log p), 1 for one code, K for all evenly.
    """
    counts = code_counts(codes, size)
    shares = counts / len(codes)
    used = (counts > 0).double().mean(1)
    perplexities = torch.stack([perplexity(row) for row in counts])
    top = shares.amax(1)
    _, sequences = torch.unique(codes, dim=0, return_counts=True)
    values = {
        "used_share": used.mean().item(),
        "perplexity": perplexities.mean().item(),
        "top_share": top.max().item(),
        "constant_positions": float((top >= CONSTANT_SHARE).sum()),
        "sequences": float(len(sequences)),
        "sequence_perplexity": perplexity(sequences.double()).item(),
        "sequence_top_share": (sequences.max() / len(codes)).item(),
    }
    for position in range(codes.shape[1]):
        values[f"used_share.{position}"] = used[position].item()
        values[f"perplexity.{position}"] = perplexities[position].item()
    return values


def code_counts(
    codes: Int64[Tensor, "clips tokens"], size: int
) -> Float[Tensor, "tokens codebook"]:
    """How often each position takes each code."""
    return torch.stack([torch.bincount(column, minlength=size) for column in codes.T]).double()


def perplexity(counts: Float[Tensor, " codes"]) -> Float[Tensor, ""]:
    """exp(-Σ p log p) of these counts."""
    shares = counts / counts.sum()
    return torch.special.entr(shares).sum().exp()
