"""UniVLA: the released parameters, the instruction's part in stage 1, what stage 2 keeps."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lam_models.nn.text import ByteEncoder, FrozenT5
from lam_models.nn.vision import PatchPixels
from lam_models.systems.roles import ClipBatch, Labeler, Trainable
from lam_models.systems.univla import Config, UniVlaStage1, from_released
from lam_models.systems.univla_stage2 import UniVla

# Neither are parameters of the authors' own nor among those of stage 2.
OWN = ("text_encoder.", "vision.", "vq.usage.", "vq_action.usage.")


def clips(*instructions: str, time: int = 2) -> ClipBatch:
    torch.manual_seed(1)
    return ClipBatch(torch.rand(2, time, 3, 32, 32), instructions=instructions)


@pytest.fixture
def stage1() -> UniVlaStage1:
    torch.manual_seed(0)
    return UniVlaStage1(Config.tiny()).eval()


def released_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes that both of the authors' stages have, without DINOv2 and T5."""
    shapes: dict[str, tuple[int, ...]] = {"action_latent": (1, 1, 4, 768)}
    shapes["vq.codebook.weight"] = (16, 128)
    linear = {"to_codebook": (128, 768), "action_up": (768, 128), "patch_up": (768, 768)}
    linear["decoder.out"] = (768, 768)
    for side, attentions in (("encoder", ("spatial", "temporal")), ("decoder", ("spatial",))):
        linear[f"{side}.ffn.1"] = (768, 768)
        norms = [f"{side}.ffn.0", f"{side}.ffn.2"]
        for block in (f"{side}.transformer_blocks.{i}" for i in range(12)):
            linear |= {f"{block}.ffn.0": (3072, 768), f"{block}.ffn.3": (768, 3072)}
            norms += [f"{block}.norm{i + 1}" for i in range(len(attentions) + 1)]
            for attention in (f"{block}.{name}_attn" for name in attentions):
                linear[f"{attention}.to_out.0"] = (768, 768)
                shapes |= {f"{attention}.to_{x}.weight": (768, 768) for x in "qkv"}
        shapes |= {f"{norm}.{part}": (768,) for norm in norms for part in ("weight", "bias")}
    return shapes | both(linear)


def both(linear: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    weights = {f"{name}.weight": shape for name, shape in linear.items()}
    return weights | {f"{name}.bias": shape[:1] for name, shape in linear.items()}


STAGE1 = released_shapes() | both({"lang_proj": (768, 768)})
STAGE2 = released_shapes() | {
    "action_latent_controllable": (1, 1, 4, 768),
    "vq_action.codebook.weight": (16, 128),
    **both({"to_codebook_uncontrol": (128, 768), "action_up_uncontrol": (768, 128)}),
}


@pytest.mark.parametrize(("stage", "shapes", "count"), [(1, STAGE1, 420), (2, STAGE2, 424)])
def test_the_parameters_are_those_of_the_released_weights(
    stage: int, shapes: dict[str, tuple[int, ...]], count: int
) -> None:
    assert len(shapes) == count
    with torch.device("meta"):
        # As wide as DINOv2-B and T5-base.
        vision = PatchPixels(16)
        text = ByteEncoder(768)
        weights: dict[str, Tensor] = {f"lam.{k}": torch.empty(v) for k, v in shapes.items()}
        weights["lam.dino_encoder.cls_token"] = torch.empty(1, 1, 768)
        if stage == 1:
            model = UniVlaStage1(Config(), vision=vision, text=text)
        else:
            model = UniVla(Config(), vision=vision)
    ours = {k: v.shape for k, v in model.state_dict().items() if not k.startswith(OWN)}
    assert {k: v.shape for k, v in from_released(weights).items()} == ours


def test_they_offer_their_roles(stage1: UniVlaStage1) -> None:
    for model in (stage1, UniVla(Config.tiny())):
        assert isinstance(model, Trainable)
        assert isinstance(model, Labeler)


def test_the_instruction_reaches_codes_and_prediction(stage1: UniVlaStage1) -> None:
    cup, drawer = clips("lift the cup", "lift the cup"), clips("open it", "open it")
    features = stage1.vision(cup.frames.flatten(0, 1)).unflatten(0, (2, 2))
    assert not torch.allclose(
        stage1.infer(features, stage1.read(cup)), stage1.infer(features, stage1.read(drawer))
    )
    given = torch.randn(2, 6, 32)
    assert not torch.allclose(
        stage1.decoder(given, stage1.read(cup)), stage1.decoder(given, stage1.read(drawer))
    )


def test_the_instruction_explains_what_it_alone_tells() -> None:
    """Of two clips that begin alike the instruction tells the end; the codes are held back."""
    torch.manual_seed(0)
    model = UniVlaStage1(Config.tiny())
    nn.init.zeros_(model.action_up.weight).requires_grad_(False)
    frames = torch.rand(1, 2, 3, 32, 32).repeat(2, 1, 1, 1, 1)
    frames[1, 1] = 1.0 - frames[0, 1]
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    batch = ClipBatch(frames, instructions=("left", "right"))
    for _ in range(100):
        loss, _ = model.loss(batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    told = model.loss(batch)[1]["reconstruction"]
    untold = model.loss(ClipBatch(frames))[1]["reconstruction"]
    swapped = model.loss(ClipBatch(frames, instructions=("right", "left")))[1]["reconstruction"]
    assert told < 0.5 * untold
    assert told < 0.5 * swapped


def test_the_later_frame_reaches_the_prediction_through_the_codes_alone(
    stage1: UniVlaStage1,
) -> None:
    batch = clips("lift the cup", "open it")
    frames = batch.frames.clone()
    frames[:, 1] = torch.rand_like(frames[:, 1])
    predictions = []

    def keep(module: nn.Module, inputs: object, output: Tensor) -> None:
        predictions.append(output)

    stage1.decoder.register_forward_hook(keep)
    nn.init.zeros_(stage1.action_up.weight)
    stage1.loss(batch)
    stage1.loss(ClipBatch(frames, instructions=batch.instructions))
    assert torch.equal(*predictions)


def test_a_longer_clip_is_its_pairs(stage1: UniVlaStage1) -> None:
    batch = clips("lift the cup", "open it", time=3)
    whole = stage1.encode(batch)
    assert whole.codes is not None and whole.codes.shape == (2, 2, 4)
    later = ClipBatch(batch.frames[:, 1:], instructions=batch.instructions)
    torch.testing.assert_close(whole.values[:, 1:], stage1.encode(later).values)


def test_stage_2_keeps_the_codebook_of_stage_1(stage1: UniVlaStage1) -> None:
    model = UniVla.after(stage1).train()
    torch.testing.assert_close(model.action_latent, stage1.action_latent)
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trainable, lr=1e-2, weight_decay=0.1)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    for _ in range(3):
        loss, _ = model.loss(clips())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    after = model.state_dict()
    assert all(torch.equal(after[k], before[k]) for k in after if k.startswith("vq."))
    assert torch.equal(model.vq.codebook, stage1.vq.codebook)
    for moved in ("vq_action.codebook", "action_latent", "encoder.ffn.1.weight"):
        assert not torch.equal(after[moved], before[moved])


def test_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    encoder = ByteEncoder(16).eval()
    alone, beside = encoder(["hold"]), encoder(["hold", "open the drawer"])
    torch.testing.assert_close(alone.tokens[0], beside.tokens[0, :5])
    assert beside.allowed[0].sum() == 5
    assert encoder([""]).tokens.shape == (1, 1, 16)


def test_a_t5_reads_for_stage_1_and_never_trains() -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.T5Config(
        vocab_size=258, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2
    )

    def tokenizer(texts: list[str], **_: object) -> dict[str, Tensor]:
        rows = [torch.tensor([1, *text.encode()]) for text in texts]
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        return {"input_ids": ids, "attention_mask": (ids > 0).long()}

    text = FrozenT5(transformers.T5EncoderModel(config), tokenizer=tokenizer)
    model = UniVlaStage1(Config.tiny(), text=text).train()
    assert not text.model.training
    model.loss(clips("lift the cup", "open it"))[0].backward()
    assert all(p.grad is None for p in text.parameters())
    assert model.lang_proj.weight.grad is not None
