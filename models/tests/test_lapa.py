"""LAQ: its parameters are those of the released weights, its codes are read, orders are kept."""

from __future__ import annotations

import pytest
import torch

from lam_models.systems.lapa import (
    Config,
    Lapa,
    ReferenceLapa,
    ScrambledPEG,
    from_released,
)
from lam_models.systems.roles import ClipBatch, Decoder, Labeler, Trainable, adjacent

COUNTERS = {"vq.steps", "vq.forwards", "vq.chosen"}


@pytest.fixture
def model() -> Lapa:
    torch.manual_seed(0)
    return Lapa(Config.tiny()).eval()


def clips(batch: int = 2, time: int = 2) -> ClipBatch:
    return ClipBatch(torch.rand(batch, time, 3, 32, 32))


def released_block(prefix: str, *, cross: bool) -> dict[str, tuple[int, ...]]:
    """One block of the authors' class: names and shapes."""

    def attention(slot: int, null: int) -> dict[str, tuple[int, ...]]:
        norms = {
            f"{slot}.{norm}.{part}": (1024,)
            for norm in ("norm", "context_norm")
            for part in ("gamma", "beta")
        }
        return norms | {
            f"{slot}.null_kv": (16, null, 64),
            f"{slot}.q_scale": (64,),
            f"{slot}.k_scale": (64,),
            f"{slot}.to_q.weight": (1024, 1024),
            f"{slot}.to_kv.weight": (2048, 1024),
            f"{slot}.to_out.weight": (1024, 1024),
        }

    block = {"0.dsconv.weight": (1024, 1, 3, 3, 3), "0.dsconv.bias": (1024,)} | attention(1, 0)
    block |= attention(2, 4) if cross else {}
    block |= {"3.0.weight": (1024,), "3.0.bias": (1024,)}
    block |= {"3.1.weight": (5460, 1024), "3.4.weight": (1024, 2730)}
    return {f"{prefix}.{name}": shape for name, shape in block.items()}


def released_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of laq_openx.pt, from the authors' class at its training settings."""
    shapes: dict[str, tuple[int, ...]] = {"vq.codebooks": (8, 32)}
    linear = {
        "spatial_rel_pos_bias.net.0.0": (1024, 2),
        "spatial_rel_pos_bias.net.1.0": (1024, 1024),
        "spatial_rel_pos_bias.net.2": (16, 1024),
        "to_patch_emb_first_frame.2": (1024, 3072),
        "to_pixels_first_frame.0": (3072, 1024),
        "vq.project_in": (32, 1024),
        "vq.project_out": (1024, 32),
        "vq.cnn_encoder.0": (32, 32, 3, 3),
        "vq.cnn_encoder.2": (32, 32, 3, 3),
    }
    for name, shape in linear.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for index, width in ((1, 3072), (3, 1024)):
        shapes |= {f"to_patch_emb_first_frame.{index}.{p}": (width,) for p in ("weight", "bias")}
    for name in ("enc_spatial", "enc_temporal", "dec_spatial"):
        prefix = f"{name}_transformer"
        shapes |= {f"{prefix}.norm_out.{part}": (1024,) for part in ("gamma", "beta")}
        for layer in range(8):
            shapes |= released_block(f"{prefix}.layers.{layer}", cross=name == "dec_spatial")
    return shapes


def test_the_parameters_are_those_of_the_released_weights() -> None:
    shapes = released_shapes()
    assert len(shapes) == 493
    with torch.device("meta"):
        model = ReferenceLapa(Config())
        weights = {name: torch.empty(shape) for name, shape in shapes.items()}
    ours = {name: p.shape for name, p in model.state_dict().items() if name not in COUNTERS}
    theirs = {name: p.shape for name, p in from_released(weights).items()}
    assert theirs == ours


def test_it_offers_its_roles(model: Lapa) -> None:
    assert isinstance(model, Trainable)
    assert isinstance(model, Labeler)
    assert isinstance(model, Decoder)
    assert Config().tokens == Config.tiny().tokens == Config.small().tokens == 4


def test_a_longer_clip_is_its_pairs(model: Lapa) -> None:
    batch = clips(time=3)
    whole = model.encode(batch)
    assert whole.codes is not None and whole.codes.shape == (2, 2, 4)
    second = model.encode(ClipBatch(batch.frames[:, 1:]))
    torch.testing.assert_close(whole.values[:, 1:], second.values)
    pairs = torch.stack(adjacent(batch.frames), dim=1)
    torch.testing.assert_close(pairs[1], batch.frames[0, 1:])


def test_the_order_of_the_frames_matters(model: Lapa) -> None:
    frames = clips().frames
    forth, back = (model.infer(torch.stack(adjacent(f), dim=1)) for f in (frames, frames.flip(1)))
    assert not torch.allclose(forth, back, atol=1e-4)


def test_the_decoder_reads_frame_and_every_code(model: Lapa) -> None:
    state = clips().frames[:, :1]
    values = torch.randn(2, 4, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(model.decode(values, state).square().sum(), values)
    assert (gradient.abs().amax(-1) > 0).all()
    assert not torch.allclose(model.decode(values, state), model.decode(values, 1 - state))


def test_the_decoder_does_not_train_the_patch_embedding(model: Lapa) -> None:
    model.decode(torch.randn(2, 4, 8), clips().frames[:, :1]).sum().backward()
    assert all(p.grad is None for p in model.embed.parameters())


def test_encoding_leaves_the_training_counters_alone(model: Lapa) -> None:
    model.train()
    before = {name: model.state_dict()[name].clone() for name in COUNTERS}
    model.encode(clips())
    assert all(torch.equal(model.state_dict()[name], before[name]) for name in COUNTERS)
    model.loss(clips())
    assert model.vq.steps == 1


def test_the_reference_reads_codes_and_time_out_of_order(model: Lapa) -> None:
    reference = ReferenceLapa(Config.tiny()).eval()
    reference.load_state_dict(model.state_dict())
    values = torch.arange(32.0).reshape(1, 4, 8)
    assert torch.equal(model.arrange(values), values)
    # The first entry of each token comes from the first token, as channel-major reading has it.
    assert reference.arrange(values)[0, :, 0].tolist() == [0, 1, 2, 3]
    batch = clips()
    assert reference.spec().space_hash != model.spec().space_hash
    pairs = torch.stack(adjacent(batch.frames), dim=1)
    assert not torch.allclose(reference.infer(pairs), model.infer(pairs), atol=1e-5)


def test_the_scrambled_convolution_is_the_authors() -> None:
    """Tokens as [places, time, width], reshaped to [time, rows, columns] without a permutation."""
    torch.manual_seed(0)
    peg = ScrambledPEG(4, causal=True)
    x = torch.randn(2, 2, 3, 3, 4)
    rows = x.permute(0, 2, 3, 1, 4).reshape(2 * 9, 2, 4)
    grid = rows.reshape(2, 2, 3, 3, 4).permute(0, 4, 1, 2, 3)
    padded = torch.nn.functional.pad(grid, (1, 1, 1, 1, 2, 0))
    expected = peg.dsconv(padded).permute(0, 2, 3, 4, 1).reshape(rows.shape)
    expected = expected.reshape(2, 3, 3, 2, 4).permute(0, 3, 1, 2, 4)
    torch.testing.assert_close(peg(x), expected)


def test_too_few_patches_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 5"):
        Config(image_size=64, patch=16)
