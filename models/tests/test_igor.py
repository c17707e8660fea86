"""IGOR: the released names, a causal clip with a sliding window, motions in other scenes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lam_models.nn.crop import resized_crop
from lam_models.nn.imagenet import standardise, unstandardise
from lam_models.nn.positions import grid_sinusoids, halved_sinusoids
from lam_models.systems.igor import Config, Igor, from_released
from lam_models.systems.roles import ClipBatch, Decoder, Labeler, Trainable

WIDTH, PATCH_WIDTH = 768, 3 * 14**2


@pytest.fixture
def model() -> Igor:
    torch.manual_seed(0)
    return Igor(Config.tiny()).eval()


def clips(batch: int = 2, time: int = 4) -> ClipBatch:
    return ClipBatch(torch.rand(batch, time, 3, 32, 32, generator=torch.Generator().manual_seed(1)))


def affine(name: str, out_width: int, in_width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (out_width, in_width), f"{name}.bias": (out_width,)}


def norms(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def released_encoder_layer(at: str) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {f"{at}.scale_shift_table": (6, WIDTH)}
    for attention in (f"{at}.attn", f"{at}.attn_temp"):
        shapes |= affine(f"{attention}.qkv", 3 * WIDTH, WIDTH)
        shapes |= affine(f"{attention}.proj", WIDTH, WIDTH)
        shapes |= norms(f"{attention}.q_norm", 96) | norms(f"{attention}.k_norm", 96)
    shapes |= affine(f"{at}.mlp.fc1", 4 * WIDTH, WIDTH)
    return shapes | affine(f"{at}.mlp.fc2", WIDTH, 4 * WIDTH)


def released_attention(at: str) -> dict[str, tuple[int, ...]]:
    """The other attention class, of decoder and pooling."""
    shapes = affine(f"{at}.kv", 2 * WIDTH, WIDTH) | affine(f"{at}.q", WIDTH, WIDTH)
    return shapes | affine(f"{at}.proj", WIDTH, WIDTH)


def released_decoder_layer(at: str) -> dict[str, tuple[int, ...]]:
    shapes = released_attention(f"{at}.attn")
    shapes |= norms(f"{at}.attn.q_layernorm", 48) | norms(f"{at}.attn.k_layernorm", 48)
    for name in ("pre_norm_attn.g", "pre_norm_mlp.g"):
        shapes[f"{at}.{name}"] = (WIDTH,)
    for name in ("layer_scale_attn.gamma", "layer_scale_mlp.gamma"):
        shapes[f"{at}.{name}"] = (WIDTH,)
    shapes |= affine(f"{at}.mlp.0.project", 8 * WIDTH, WIDTH)
    return shapes | affine(f"{at}.mlp.2", WIDTH, 4 * WIDTH)


def released_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the authors' class at its default settings."""
    shapes: dict[str, tuple[int, ...]] = {
        "vq.embedding.weight": (32, 128),
        "encoder.pe_spatial": (1, 256, WIDTH),
        "encoder.pe_temporal": (1, 8, WIDTH),
        "encoder.norm.g": (WIDTH,),
        "encoder.map_block.latents": (4, WIDTH),
        "encoder.map_block.attn_norm.g": (WIDTH,),
        "encoder.map_block.mlp_norm.g": (WIDTH,),
        "decoder.pe": (1, 256, WIDTH),
        "decoder.norm.g": (WIDTH,),
    }
    for part in ("encoder", "decoder"):
        shapes[f"{part}.embed.proj.weight"] = (WIDTH, 3, 14, 14)
        shapes[f"{part}.embed.proj.bias"] = (WIDTH,)
    shapes |= released_attention("encoder.map_block.attn")
    shapes |= affine("encoder.map_block.pre_projection", WIDTH, WIDTH)
    shapes |= affine("encoder.map_block.mlp.0.project", 8 * WIDTH, WIDTH)
    shapes |= affine("encoder.map_block.mlp.1", WIDTH, 4 * WIDTH)
    shapes |= affine("encoder.map_block.final_proj.0", 128, WIDTH)
    shapes |= affine("decoder.action_embed", WIDTH, 4 * 128)
    shapes |= affine("decoder.pred_head", PATCH_WIDTH, WIDTH)
    for layer in range(12):
        shapes |= released_encoder_layer(f"encoder.layers.{layer}")
    for layer in range(8):
        shapes |= released_decoder_layer(f"decoder.layers.{layer}")
    return shapes


def test_the_parameters_are_those_of_the_released_weights() -> None:
    shapes = released_shapes()
    assert len(shapes) == 427
    with torch.device("meta"):
        state = Igor(Config()).state_dict()
        weights = {name: torch.empty(shape) for name, shape in shapes.items()}
    ours = {name: p.shape for name, p in state.items() if not name.startswith("vq.usage")}
    theirs = {name: p.shape for name, p in from_released(weights).items()}
    assert theirs == ours


def test_released_pixels_are_put_in_order() -> None:
    """Theirs run (row, column, channel), ours (channel, row, column)."""
    bias = torch.arange(12.0)
    found = from_released({"decoder.pred_head.bias": bias})["decoder.pred_head.bias"]
    assert found.tolist() == [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]


def test_it_offers_its_roles(model: Igor) -> None:
    assert isinstance(model, Trainable)
    assert isinstance(model, Labeler)
    assert isinstance(model, Decoder)
    assert Config().history == 6 and Config.small().history == 1


def test_a_step_sees_the_past_and_never_the_future(model: Igor) -> None:
    frames = clips().frames
    before = model.encode(ClipBatch(frames)).unquantised
    for changed in range(4):
        others = frames.clone()
        others[:, changed] = 1 - others[:, changed]
        after = model.encode(ClipBatch(others)).unquantised
        assert before is not None and after is not None
        moved = (before - after).abs().amax((0, 2, 3)) > 1e-5
        # Frame i is read by the step that ends there and by all that follow.
        assert moved.tolist() == [step + 1 >= changed for step in range(3)]


def test_the_step_that_counts_is_the_same_in_a_longer_clip(model: Igor) -> None:
    frames, window, history = clips(time=7).frames, model.config.frames, model.config.history
    longer = model.encode(ClipBatch(frames)).unquantised
    assert longer is not None and longer.shape[1] == 6
    for start in range(7 - window + 1):
        alone = model.encode(ClipBatch(frames[:, start : start + window])).unquantised
        assert alone is not None
        torch.testing.assert_close(alone[:, history], longer[:, start + history])


def test_the_decoder_reads_frame_and_every_token(model: Igor) -> None:
    state = clips().frames[:, :1]
    values = torch.randn(2, 4, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(model.decode(values, state).square().sum(), values)
    assert (gradient.abs().amax(-1) > 0).all()
    assert not torch.allclose(model.decode(values, state), model.decode(values, 1 - state))


def test_a_motion_migrates_step_by_step(model: Igor) -> None:
    batch, scenes = clips(), torch.rand(2, 3, 32, 32)
    made, values = model.migrate(batch, scenes), model.encode(batch).values
    assert made.shape == (2, 3, 3, 32, 32)
    assert made.min() >= 0 and made.max() <= 1
    torch.testing.assert_close(made[:, 0], model.decode(values[:, 0], scenes[:, None]))
    torch.testing.assert_close(made[:, 1], model.decode(values[:, 1], made[:, :1]))


def test_a_crop_is_one_window_for_all_frames_of_a_clip() -> None:
    torch.manual_seed(0)
    frames: Tensor = torch.rand(3, 1, 3, 16, 16).expand(-1, 2, -1, -1, -1)
    cropped = resized_crop(frames, 0.5)
    assert torch.equal(resized_crop(frames, 1.0), frames)
    assert torch.equal(cropped[:, 0], cropped[:, 1])
    assert not torch.allclose(cropped, frames, atol=0.1)
    ramp = torch.linspace(0, 1, 16).expand(64, 1, 1, 16, 16)
    row = resized_crop(ramp, 0.5)[:, 0, 0, 8]
    span = row[:, -1] - row[:, 0]  # of a window at least sqrt(0.5 * 3 / 4) wide
    assert (row.diff() > -1e-6).all() and (span > 0.55).all() and (span < 1 + 1e-6).all()


def test_standardised_images_come_back() -> None:
    images = torch.rand(2, 3, 4, 4)
    torch.testing.assert_close(unstandardise(standardise(images)), images)


def test_places_tell_column_and_row_apart() -> None:
    table = grid_sinusoids(3, 8).unflatten(0, (3, 3))
    assert torch.equal(table[0, :, :4], table[2, :, :4]), "the column, whatever the row"
    assert torch.equal(table[:, 0, 4:], table[:, 2, 4:]), "the row, whatever the column"
    assert halved_sinusoids(torch.zeros(1), 4).tolist() == [[0, 0, 1, 1]]
