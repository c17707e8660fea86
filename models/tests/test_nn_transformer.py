"""Laws of the token parts: who may see whom, symmetries, identity at the start, gradients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lam_models.nn.adaln import AdaLNBlock, TableSpaceTimeBlock
from lam_models.nn.attention import Attention
from lam_models.nn.cvivit import PEG, CosineAttention, GridTransformer, PositionBias
from lam_models.nn.pool import AttentionPool
from lam_models.nn.positions import LearnedPositions, Rotary, SinusoidalPositions, sinusoids
from lam_models.nn.swiglu import ScaledBlock
from lam_models.nn.transformer import Block, CrossBlock, SpaceTimeBlock, Stem

WIDTH, HEADS = 16, 2


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def video(batch: int = 2, time: int = 5, tokens: int = 3) -> Tensor:
    return torch.randn(batch, time, tokens, WIDTH)


def space_time(causal: bool) -> dict[str, nn.Module]:
    return {
        "plain": SpaceTimeBlock(WIDTH, HEADS, causal=causal),
        "rotary": SpaceTimeBlock(WIDTH, HEADS, causal=causal, time_position=Rotary(WIDTH // HEADS)),
        "table": TableSpaceTimeBlock(WIDTH, HEADS, causal=causal),
    }


@pytest.mark.parametrize("name", ["plain", "rotary", "table"])
def test_causal_time_never_sees_the_future(name: str) -> None:
    block = space_time(causal=True)[name]
    x = video()
    changed = x.clone()
    changed[:, 3] += torch.randn(WIDTH)
    before, after = block(x), block(changed)
    assert torch.equal(before[:, :3], after[:, :3])
    assert not torch.allclose(before[:, 4], after[:, 4])


@pytest.mark.parametrize("name", ["plain", "rotary", "table"])
def test_bidirectional_time_sees_the_future(name: str) -> None:
    block = space_time(causal=False)[name]
    x = video()
    changed = x.clone()
    changed[:, 3] += torch.randn(WIDTH)
    assert not torch.allclose(block(x)[:, 0], block(changed)[:, 0], atol=1e-6)


def test_without_positions_a_block_knows_no_order() -> None:
    block = SpaceTimeBlock(WIDTH, HEADS, causal=False)
    x = video()
    places, times = torch.randperm(3), torch.randperm(5)
    permuted = block(x)[:, times][:, :, places]
    assert torch.allclose(block(x[:, times][:, :, places]), permuted, atol=1e-5)


def test_causal_or_rotary_time_knows_the_order_of_frames_but_not_of_places() -> None:
    x, places = video(), torch.randperm(3)
    rotary = space_time(causal=False)["rotary"]
    for block in (SpaceTimeBlock(WIDTH, HEADS, causal=True), rotary):
        assert torch.allclose(block(x[:, :, places]), block(x)[:, :, places], atol=1e-5)
        assert not torch.allclose(block(x.flip(1)), block(x).flip(1), atol=1e-4)


def test_a_token_that_may_not_be_read_changes_no_other() -> None:
    block = SpaceTimeBlock(WIDTH, HEADS, causal=True)
    x = video()
    allowed = torch.ones(2, 5, 3, dtype=torch.bool)
    allowed[:, :, 2] = False
    changed = x.clone()
    changed[:, :, 2] += torch.randn(WIDTH)
    found = block(changed, allowed=allowed)[:, :, :2]
    assert torch.allclose(found, block(x, allowed=allowed)[:, :, :2], atol=1e-6)
    assert torch.allclose(found, block(x[:, :, :2]), atol=1e-6), "masked is as if absent"


def test_cross_attention_mask_is_as_if_the_context_were_shorter() -> None:
    block = CrossBlock(WIDTH, HEADS, context_width=6)
    x, context = torch.randn(2, 4, WIDTH), torch.randn(2, 5, 6)
    allowed = torch.tensor([[1, 1, 1, 0, 0]] * 2, dtype=torch.bool)
    found = block(x, context, allowed=allowed)
    assert torch.allclose(found, block(x, context[:, :3]), atol=1e-6)
    assert not torch.allclose(found, block(x, context), atol=1e-4)
    shuffled = context[:, torch.randperm(5)]
    assert torch.allclose(block(x, context), block(x, shuffled), atol=1e-5)


def test_attention_equals_its_definition() -> None:
    attention = Attention(WIDTH, 1)
    x = torch.randn(1, 4, WIDTH)
    q, k, v = (layer(x[0]) for layer in (attention.to_q, attention.to_k, attention.to_v))
    mixed = (q @ k.T / WIDTH**0.5).softmax(-1) @ v
    assert torch.allclose(attention(x)[0], attention.to_out(mixed), atol=1e-6)


def test_adaln_zero_starts_as_the_identity_and_learns_to_listen() -> None:
    block = AdaLNBlock(WIDTH, HEADS, 5)
    x, condition = torch.randn(2, 4, WIDTH), torch.randn(2, 5)
    assert torch.equal(block(x, condition), x)
    block(x, condition).square().mean().backward()
    with torch.no_grad():
        for parameter in block.modulation.parameters():
            parameter -= 10.0 * parameter.grad
    assert not torch.allclose(block(x, condition), block(x, condition.flip(0)), atol=1e-5)


def test_rotary_scores_depend_on_differences_of_position_only() -> None:
    rotary = Rotary(8)
    q, k = torch.randn(8).expand(10, 8), torch.randn(8).expand(10, 8)
    scores = rotary(q) @ rotary(k).T
    for offset in range(-9, 10):
        diagonal = scores.diagonal(offset)
        assert torch.allclose(diagonal, diagonal[0].expand_as(diagonal), atol=1e-4)
    assert torch.allclose(rotary(q).norm(dim=-1), q.norm(dim=-1), atol=1e-5)
    assert torch.equal(rotary(q)[0], q[0]), "the first position is not turned"


def test_sinusoids_tell_positions_apart() -> None:
    table = sinusoids(50, 8)
    assert torch.allclose(table.square().sum(1), torch.full((50,), 4.0))
    assert torch.cdist(table, table).fill_diagonal_(9.0).min() > 0.1
    x = torch.randn(2, 3, 7, 8)
    assert torch.allclose(SinusoidalPositions()(x) - x, table[:7].expand_as(x), atol=1e-6)


def test_learned_positions_refuse_more_tokens_than_they_have() -> None:
    positions = LearnedPositions(4, 8)
    assert torch.equal(positions(torch.zeros(2, 3, 8))[0], positions.table[:3])
    with pytest.raises(ValueError, match="5 tokens, but positions were made for at most 4"):
        positions(torch.zeros(2, 5, 8))


def test_peg_is_causal_in_time_and_marks_the_border() -> None:
    peg = PEG(4, causal=True)
    x = torch.randn(1, 5, 4, 4, 4)
    changed = x.clone()
    changed[:, 3] += 1.0
    assert torch.equal(peg(x)[:, :3], peg(changed)[:, :3])
    flat = peg(torch.ones(1, 5, 4, 4, 4))
    assert torch.allclose(flat[0, 3, 1, 1], flat[0, 3, 2, 2], atol=1e-6)
    assert not torch.allclose(flat[0, 3, 1, 1], flat[0, 3, 0, 0], atol=1e-4)
    assert not torch.allclose(
        PEG(4, causal=False)(x)[:, 2], PEG(4, causal=False)(changed)[:, 2], atol=1e-4
    )


@pytest.mark.parametrize("axis", ["space", "time"])
def test_grid_attention_stays_on_its_axis(axis: str) -> None:
    """With the convolution silenced, a change reaches its own frame or its own place only."""
    model = GridTransformer(WIDTH, 2, HEADS, axis=axis, head_dim=8)
    for layer in model.layers:
        for parameter in layer.peg.parameters():
            nn.init.zeros_(parameter)
    x = torch.randn(1, 2, 3, 4, WIDTH)
    changed = x.clone()
    changed[0, 1, 2, 0] += torch.randn(WIDTH)
    touched = (model(changed) - model(x)).abs().sum(-1)[0] > 1e-6
    expected = torch.zeros(2, 3, 4, dtype=torch.bool)
    if axis == "space":
        expected[1] = True
    else:
        expected[:, 2, 0] = True
    assert torch.equal(touched, expected)


def test_position_bias_depends_on_offsets_only() -> None:
    bias = PositionBias(8, HEADS)(3, 4).unflatten(1, (3, 4)).unflatten(3, (3, 4))
    assert torch.allclose(bias[:, 0, 0, 1, 2], bias[:, 1, 1, 2, 3], atol=1e-6)
    assert not torch.allclose(bias[:, 0, 0, 1, 2], bias[:, 1, 2, 0, 0], atol=1e-4)


def test_cosine_attention_ignores_the_length_of_tokens_and_masks_its_context() -> None:
    attention = CosineAttention(WIDTH, HEADS, head_dim=8, null_keys=2)
    x, context = torch.randn(2, 4, WIDTH), torch.randn(2, 5, WIDTH)
    assert torch.allclose(attention(x, context), attention(3.0 * x, context), atol=1e-4)
    allowed = torch.tensor([[1, 1, 0, 0, 0]] * 2, dtype=torch.bool)
    found = attention(x, context, allowed=allowed)
    assert torch.allclose(found, attention(x, context[:, :2]), atol=1e-6)
    nothing = attention(x, context, allowed=torch.zeros_like(allowed))
    assert torch.isfinite(nothing).all(), "the null keys are always there"


def test_pooling_is_blind_to_order_and_to_masked_tokens() -> None:
    pool = AttentionPool(6, WIDTH, queries=3, heads=HEADS)
    tokens, seed = torch.randn(2, 5, 6), torch.randn(2, WIDTH)
    assert torch.allclose(pool(tokens), pool(tokens[:, torch.randperm(5)]), atol=1e-5)
    allowed = torch.tensor([[1, 1, 0, 0, 0]] * 2, dtype=torch.bool)
    assert torch.allclose(pool(tokens, allowed=allowed), pool(tokens[:, :2]), atol=1e-5)
    assert not torch.allclose(pool(tokens, seed=seed), pool(tokens), atol=1e-4)


MODULES: dict[str, Callable[[], tuple[nn.Module, tuple[Tensor, ...]]]] = {
    "stem": lambda: (Stem(6, WIDTH), (torch.randn(2, 4, 6),)),
    "scaled": lambda: (ScaledBlock(WIDTH, HEADS), (torch.randn(2, 4, WIDTH),)),
    "block": lambda: (Block(WIDTH, HEADS), (torch.randn(2, 4, WIDTH),)),
    "cross": lambda: (
        CrossBlock(WIDTH, HEADS, context_width=6),
        (torch.randn(2, 4, WIDTH), torch.randn(2, 3, 6)),
    ),
    "space-time": lambda: (SpaceTimeBlock(WIDTH, HEADS, causal=True), (video(),)),
    "rotary": lambda: (space_time(causal=False)["rotary"], (video(),)),
    "table": lambda: (TableSpaceTimeBlock(WIDTH, HEADS), (video(),)),
    "pool": lambda: (AttentionPool(6, WIDTH, queries=3, heads=HEADS), (torch.randn(2, 5, 6),)),
    "grid space": lambda: (
        GridTransformer(WIDTH, 2, HEADS, axis="space", head_dim=8, reads_context=True),
        (torch.randn(2, 2, 3, 3, WIDTH), torch.randn(4, 4, WIDTH)),
    ),
    "grid time": lambda: (
        GridTransformer(WIDTH, 2, HEADS, axis="time", head_dim=8),
        (torch.randn(2, 2, 3, 3, WIDTH),),
    ),
}


@pytest.mark.parametrize("name", MODULES)
def test_every_parameter_receives_gradient(name: str) -> None:
    module, inputs = MODULES[name]()
    out = module(*inputs)
    F.mse_loss(out, torch.randn_like(out)).backward()
    for key, parameter in module.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, key


def test_every_parameter_of_adaln_receives_gradient_once_its_gates_are_open() -> None:
    block = AdaLNBlock(WIDTH, HEADS, 5)
    nn.init.normal_(block.modulation[1].weight)
    block(torch.randn(2, 4, WIDTH), torch.randn(2, 5)).square().mean().backward()
    for key, parameter in block.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, key


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="width 10 is not a multiple of 4 heads"):
        Attention(10, 4)
    with pytest.raises(ValueError, match="even"):
        Rotary(7)
    with pytest.raises(ValueError, match="time blocks read no context"):
        GridTransformer(WIDTH, 1, HEADS, axis="time", reads_context=True)
