"""Laws of a policy that a vision-language model is made into, over families of transformers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import vlms
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import AutoModel

from lam_models.checkpoint import Checkpoint, open_checkpoint, origin_now, write
from lam_models.command import UserError
from lam_models.policy.backbones import Backbone
from lam_models.policy.inputs import Examples, Inputs
from lam_models.policy.slot_config import Config
from lam_models.policy.slot_policy import SlotPolicy
from lam_models.policy.vlm import VlmBackbone
from lam_models.policy.vlm_choice import Vlm
from lam_models.stages.fit_policy import policy_spec
from lam_models.stages.opening import as_array
from lam_models.strict_json import from_json, to_json
from lam_models.types import LatentSpec

ROWS, SLOTS, WIDTH, CAMERAS = 2, 4, 16, 2
# Its prompt is read in both directions, so that no part can be read ahead.
BOTH_WAYS = "paligemma"
SPACE = LatentSpec("hands", "hand", (1, Config.tiny().latent_dim))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: vlms.folder(kind, tmp_path_factory.mktemp(kind)) for kind in vlms.ALL}


def made(folder: Path, cameras: int = CAMERAS, **changes: Any) -> VlmBackbone:
    torch.manual_seed(0)
    vlm = replace(Vlm(str(folder), prompt_tokens=12, lora_rank=2), **changes)
    sizes = {"features": 9, "slots": SLOTS, "width": WIDTH}
    return VlmBackbone(vlm, cameras=cameras, image_size=vlms.SIDE, **sizes).eval()


def inputs(backbone: VlmBackbone, seed: int = 0) -> Inputs:
    random = torch.Generator().manual_seed(seed)
    shape = (ROWS, backbone.layout.images, vlms.SIDE, vlms.SIDE, 3)
    return Inputs(
        pixels=torch.randint(0, 256, shape, generator=random, dtype=torch.uint8),
        state=torch.randn(ROWS, 9, generator=random),
        words=torch.from_numpy(backbone.read_words(["push the red cube", "lift"])),
        delay=torch.zeros(ROWS),
    )


@pytest.mark.parametrize("kind", vlms.KINDS)
@torch.no_grad()
def test_prompts_are_read_as_the_class_itself_reads_them(kind: str, folders: dict[str, Path]):
    # Qwen's own class takes images without a word between them for one.
    count, cameras = 9, 1 if "qwen" in kind else 2
    backbone = made(folders[kind], cameras, prompt_tokens=count, lora_rank=0)
    x = replace(inputs(backbone), words=torch.arange(1, 2 * count + 1).view(ROWS, count, 1))
    prompt = torch.cat(backbone._prompt(x, None), dim=1)
    found = backbone.reading(x.words, None).read(prompt)

    own = AutoModel.from_pretrained(folders[kind]).eval()
    image = torch.full((ROWS, prompt.shape[1] - count), 39)
    text = x.words[..., 0] - 1
    ids = torch.cat([image, text] if kind == BOTH_WAYS else [text, image], dim=1)
    flat = (x.pixels.flatten(0, 1) - backbone.pixel_mean) / backbone.pixel_scale
    pixels = flat.movedim(-1, 1)
    more: dict[str, Any] = {}
    if kind in ("smolvlm", "idefics3"):
        pixels = pixels.unflatten(0, (ROWS, cameras))
    elif kind == BOTH_WAYS:
        more = {"token_type_ids": torch.zeros_like(ids)}
    elif "qwen" in kind:
        pixels = _as_the_processor_cuts(pixels, patch=4, merge=2)
        grid = torch.tensor([[1, 8, 8]] * ROWS)
        more = {"image_grid_thw": grid, "mm_token_type_ids": (ids == 39).int()}
    theirs = own(input_ids=ids, pixel_values=pixels, **more).last_hidden_state
    assert torch.allclose(found, theirs, atol=2e-5)


def _as_the_processor_cuts(pixels: torch.Tensor, patch: int, merge: int) -> torch.Tensor:
    """Patches of Qwen's image processor, in its order."""
    count, cells = len(pixels), vlms.SIDE // patch // merge
    x = pixels[:, None].expand(-1, 2, -1, -1, -1)
    x = x.reshape(count, 2, 3, cells, merge, patch, cells, merge, patch)
    return x.permute(0, 3, 6, 4, 7, 2, 1, 5, 8).reshape(-1, 3 * 2 * patch**2)


@pytest.mark.parametrize("kind", vlms.ALL)
@torch.no_grad()
def test_what_was_read_ahead_need_not_be_read_again(kind: str, folders: dict[str, Path]):
    backbone = made(folders[kind])
    assert isinstance(backbone, Backbone)
    x = inputs(backbone)
    ahead = backbone.read_ahead(x.words)
    assert (ahead is None) == (kind == BOTH_WAYS)
    slots = backbone(x)
    assert slots.shape == (ROWS, SLOTS, WIDTH)
    for _ in range(2):
        assert torch.allclose(backbone(x, ahead), slots, atol=1e-5)
    other = replace(x, pixels=255 - x.pixels)
    assert torch.allclose(backbone(other, ahead), backbone(other), atol=1e-5)
    for name, value in (
        ("pixels", 255 - x.pixels),
        ("state", -x.state),
        ("words", x.words.flip(0)),
        ("delay", x.delay + 3),
    ):
        assert not torch.allclose(backbone(replace(x, **{name: value})), slots, atol=1e-5), name


@torch.no_grad()
def test_padding_of_the_prompt_is_not_seen(folders: dict[str, Path]):
    short, long = (made(folders["llava"], prompt_tokens=count) for count in (12, 20))
    long.load_state_dict(short.state_dict())
    assert torch.allclose(short(inputs(short)), long(inputs(long)), atol=1e-5)


@pytest.mark.parametrize("kind", vlms.ALL)
@torch.no_grad()
def test_a_step_asks_the_device_nothing(kind: str, folders: dict[str, Path]):
    backbone = made(folders[kind])
    x = inputs(backbone)
    backbone(x)
    # Under it, whatever depends on the numbers in a tensor raises.
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fake = {name: mode.from_tensor(value) for name, value in x.tensors().items()}
        ahead = backbone.read_ahead(fake["words"])
        assert backbone(Inputs(**fake), ahead).shape == (ROWS, SLOTS, WIDTH)


@pytest.mark.parametrize("kind", vlms.ALL)
@pytest.mark.parametrize("rank", [0, 2])
def test_what_is_trained_learns_and_nothing_else(kind: str, rank: int, folders: dict[str, Path]):
    backbone = made(folders[kind], lora_rank=rank).train()
    before = {k: v.clone() for k, v in backbone.named_parameters()}
    optimiser = torch.optim.AdamW([p for p in backbone.parameters() if p.requires_grad], 1e-2)
    wanted = torch.randn(ROWS, SLOTS, WIDTH)
    for _ in range(3):
        optimiser.zero_grad()
        (backbone(inputs(backbone)) - wanted).square().mean().backward()
        optimiser.step()
    moved = {k for k, v in backbone.named_parameters() if not v.equal(before[k])}
    still = {k for k in before if k not in moved}
    if rank:
        assert {k for k in moved if k.startswith("model.")} == {k for k in before if "lora_" in k}
    else:
        # The last layers of an eye, where features are taken before them, and its class token.
        assert all("vision" in k or "visual" in k for k in still), still


def test_a_folder_holds_what_was_trained_and_opens_as_it_was(
    folders: dict[str, Path], tmp_path: Path
):
    config = replace(
        Config.tiny(),
        vlm=Vlm(str(folders["smolvlm"]), prompt_tokens=12, lora_rank=2),
        motion_tokens=2,
        motion_codes=8,
    )
    policy = SlotPolicy(config)
    x = inputs(policy.backbone)
    chunk = torch.randn(ROWS, config.chunk_steps, 6 + config.latent_dim)
    batch = Examples(**x.tensors(), chunk=chunk, codes=torch.zeros(ROWS, 2, dtype=torch.long))
    optimiser = torch.optim.AdamW([p for p in policy.parameters() if p.requires_grad], 3e-3)
    first = last = policy.loss(batch)[0].item()
    for _ in range(30):
        optimiser.zero_grad()
        loss, _ = policy.loss(batch)
        loss.backward()
        optimiser.step()
        last = loss.item()
    assert last < 0.8 * first
    names = policy.state_dict()
    assert not any(k.startswith("backbone.model.vision") for k in names)
    assert any("lora_" in k for k in names)
    content = Checkpoint(
        system="slot_policy",
        config=to_json(config),
        spec=policy_spec(config, [SPACE], has_state=True),
        origin=origin_now("", "test"),
        tensors={k: as_array(v) for k, v in names.items()},
    )
    opened = open_checkpoint(write(tmp_path / "policy", content))
    again = SlotPolicy.open(opened, "cpu")
    assert from_json(Config, opened.config, "") == config
    for one, other in zip(again.answer(x), policy.eval().answer(x), strict=True):
        assert one is not None and other is not None and torch.equal(one, other)


def test_words_are_cut_and_padded_on_the_left(folders: dict[str, Path]):
    words = made(folders["llava"]).read_words(["push", "push the red cube into the drawer left"])
    assert words.shape == (2, 12, 1) and words.dtype == np.int64
    known = words[..., 0] > 0
    assert (np.diff(known.astype(int), axis=1) >= 0).all() and known[1].all()


def test_what_is_no_such_model_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="no vision-language model"):
        made(tmp_path)
