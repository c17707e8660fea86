"""Laws of the model of OpenVLA and UniVLA, on small folders of their layout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import vlms
from safetensors.torch import load_file, save_file
from torch import nn

from lam_models.command import UserError
from lam_models.policy.prismatic import DINOV2_LARGE, SIGLIP_SO400M, Featurizer, Prismatic
from lam_models.policy.prismatic_file import is_prismatic, open_prismatic

SHARD = "model-2.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return vlms.folder("prismatic", tmp_path / "release")


@torch.no_grad()
def test_a_folder_opens_as_the_model_that_was_written(folder: Path):
    torch.manual_seed(0)
    written = vlms.prismatic().model.eval()
    opened = open_prismatic(str(folder), torch.float32)
    assert is_prismatic(str(folder)) and not is_prismatic(str(folder.parent))
    assert {value.device.type for _, value in opened.named_buffers()} == {"cpu"}
    images = torch.rand(2, 3, vlms.SIDE, vlms.SIDE) * 2 - 1
    seen = opened.see(images)
    assert torch.equal(seen, written.see(images))
    found, own = (m.language_model(inputs_embeds=seen) for m in (opened, written))
    assert torch.equal(found.last_hidden_state, own.last_hidden_state)
    half = open_prismatic(str(folder), torch.bfloat16)
    assert half.language_model.dtype == torch.bfloat16
    assert torch.allclose(half.see(images.bfloat16()).float(), seen, atol=0.05)


@torch.no_grad()
def test_an_eye_is_a_pre_norm_transformer_of_its_patches():
    torch.manual_seed(0)
    shape = vlms.PRISMATIC_EYES[1]
    eye = Featurizer(shape).eval()
    width, heads = shape.width, shape.heads
    layer = nn.TransformerEncoderLayer(
        width, heads, shape.hidden, 0.0, "gelu", 1e-6, batch_first=True, norm_first=True
    ).eval()
    images = torch.randn(2, 3, vlms.SIDE, vlms.SIDE)
    x = eye.patch_embed["proj"](images).flatten(2).mT + eye.pos_embed
    for block in eye.blocks:
        names = {"self_attn.in_proj_": "attn.qkv.", "self_attn.out_proj.": "attn.proj."}
        names |= {f"linear{i}.": f"mlp.fc{i}." for i in (1, 2)}
        names |= {f"norm{i}.": f"norm{i}." for i in (1, 2)}
        state = block.state_dict()
        layer.load_state_dict(
            {a + kind: state[b + kind] for a, b in names.items() for kind in ("weight", "bias")}
        )
        x = layer(x)
    assert torch.allclose(eye(images), x, atol=1e-5)


def test_the_releases_sizes_are_those_that_are_published():
    from transformers import LlamaConfig

    with torch.device("meta"):
        model = Prismatic((DINOV2_LARGE, SIGLIP_SO400M), LlamaConfig(vocab_size=32064))
    count = {
        name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()
    }
    # OpenVLA says: eyes of 0.6 to 0.7 B parameters, a language model of 7 B without its head.
    assert 0.65e9 < count["vision_backbone"] < 0.75e9
    assert 6.5e9 < count["language_model"] < 6.7e9
    assert model.vision_backbone.featurizer.pos_embed.shape == (1, 256, 1024)


def changed(folder: Path, name: str, value: torch.Tensor | None) -> None:
    """Put another tensor into the shard where it is, or leave it out."""
    tensors = load_file(folder / SHARD)
    tensors.pop(name, None)
    save_file(tensors if value is None else tensors | {name: value}, folder / SHARD)


def test_what_does_not_fit_is_named(folder: Path):
    name = next(iter(load_file(folder / SHARD)))
    held = load_file(folder / SHARD)[name]
    for value, words in ((held[None], "another shape"), (None, "missing")):
        changed(folder, name, value)
        with pytest.raises(UserError, match=f"{words}.*"):
            open_prismatic(str(folder), torch.float32)
    changed(folder, name, held)
    changed(folder, "projector.fc4.weight", held)
    with pytest.raises(UserError, match=r"unexpected \(projector.fc4.weight"):
        open_prismatic(str(folder), torch.float32)


def test_other_eyes_and_missing_files_are_refused(folder: Path):
    (folder / SHARD).rename(folder / "elsewhere")
    with pytest.raises(UserError, match=f"lacks the weight file {SHARD}"):
        open_prismatic(str(folder), torch.float32)
    (folder / "elsewhere").rename(folder / SHARD)
    content = json.loads((folder / "config.json").read_text())
    content["vision_backbone_id"] = "clip-vit-l"
    (folder / "config.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="clip-vit-l"):
        open_prismatic(str(folder), torch.float32)
