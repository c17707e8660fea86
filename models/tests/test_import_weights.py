"""Released weights become model folders with every tensor accounted for, or are refused by name."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import pytest
import releases
import torch
from torch import Tensor

from lam_models.command import UserError
from lam_models.nn import text
from lam_models.nn.text import FrozenT5, T5Shape
from lam_models.stages import import_weights as command
from lam_models.stages.import_weights import Imported, import_weights
from lam_models.stages.opening import open_system
from lam_models.stages.releases.files import read_tensors
from lam_models.stages.releases.layouts import LAYOUTS, Asked
from lam_models.stages.releases.networks import dinov2_renamed
from lam_models.systems.roles import ClipBatch

SMALL = {"univla_stage1": Asked(image_size=32), "univla_stage2": Asked(image_size=32)}


@pytest.fixture(autouse=True)
def known_t5(monkeypatch: pytest.MonkeyPatch) -> None:
    """A T5 small enough for a test, among the known ones, that reads bytes."""
    monkeypatch.setitem(text.SHAPES, "tiny", T5Shape(width=16, depth=1, heads=1, hidden=32))

    def tokenizer(self: FrozenT5) -> object:
        def read(texts: list[str], **_: object) -> dict[str, Tensor]:
            rows = [torch.tensor([1, *item.encode()]) for item in texts]
            ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
            return {"input_ids": ids, "attention_mask": (ids > 0).long()}

        return read

    monkeypatch.setattr(FrozenT5, "tokenizer", property(tokenizer))


def imported(layout: str, folder: Path, weights: releases.Weights | None = None) -> Imported:
    content = releases.weights(layout) if weights is None else weights
    source = releases.write(layout, content, folder / "released")
    return import_weights(source, "auto", folder / "model", SMALL.get(layout))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_tensor_is_used_or_known_to_be_inert(layout: str, tmp_path: Path) -> None:
    weights = releases.weights(layout)
    done = imported(layout, tmp_path, weights)
    assert (done.layout, done.system) == (layout, LAYOUTS[layout].system)
    assert sorted([*done.used, *done.inert]) == sorted(weights)
    model = open_system(done.folder).model
    assert done.made + len(done.anew) == len(model.state_dict())
    # Of LAPA's, six norms of a context that is not there and a bias that cancels; T5's are twice.
    inert = sum(weights[name].any().item() for name in done.inert)
    assert inert == {"lapa": 7, "univla_stage1": 1}.get(layout, 0)
    made = sum(value.numel() for k, value in model.state_dict().items() if k not in done.anew)
    assert made == sum(weights[name].numel() for name in done.used)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_imported_labels_clips(layout: str, tmp_path: Path) -> None:
    opened = open_system(imported(layout, tmp_path).folder)
    frames = torch.rand(2, 3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    clips = ClipBatch(frames, instructions=("lift it", "open the drawer"))
    found = opened.model.encode(clips)
    assert found.codes is not None and found.codes.shape == (2, 2, 4)
    assert found.unquantised.isfinite().all() and found.unquantised.std() > 0
    predicted = opened.model.decode(found.values[:, -1], frames[:, :2])
    assert predicted.isfinite().all()
    assert opened.checkpoint.spec.emits == (opened.model.spec(),)
    assert f"layout {layout}" in opened.checkpoint.origin.recipe


@pytest.mark.parametrize("layout", LAYOUTS)
def test_all_used_tensors_matter(layout: str, tmp_path: Path) -> None:
    """None of them is loaded where nothing reads it, or over another."""
    weights = releases.weights(layout)
    model = open_system(imported(layout, tmp_path, weights).folder).model
    state = model.state_dict()
    for name, value in weights.items():
        for ours, part in LAYOUTS[layout].renamed(name, value).items():
            assert torch.equal(state[ours], part), f"{name} is not {ours}"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_differences_are_named(layout: str, tmp_path: Path) -> None:
    weights = releases.weights(layout)
    gone, wrong = "encoder.norm.g", "decoder.action_embed.bias"
    if layout == "lapa":
        gone, wrong = "enc_spatial_transformer.norm_out.gamma", "vq.project_out.bias"
    elif layout.startswith("univla"):
        gone, wrong = "dino_encoder.norm.weight", "to_codebook.bias"
    del weights[gone]
    weights[wrong] = torch.zeros(5)
    weights |= {f"extra.{i}": torch.zeros(1) for i in range(7)}
    with pytest.raises(UserError) as refused:
        imported(layout, tmp_path, weights)
    sentence = str(refused.value)
    assert f"not of the layout {layout}" in sentence
    assert "1 missing (" in sentence
    assert "7 unexpected (extra.0, extra.1, extra.2, extra.3, extra.4, ...)" in sentence
    assert f"1 of another shape ({wrong} (5,) instead of (" in sentence
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("layout", "name", "value", "lost"),
    [
        (
            "lapa",
            "dec_spatial_transformer.norm_out.beta",
            torch.ones(32),
            "offset that is not zero",
        ),
        ("lapa", "enc_spatial_transformer.layers.0.1.null_kv", torch.ones(2, 4, 16), "null keys"),
        ("univla_stage1", "text_encoder.shared.weight", torch.ones(2, 2), "another embedding"),
    ],
)
def test_inert_tensors_must_hold_nothing(
    layout: str, name: str, value: Tensor, lost: str, tmp_path: Path
) -> None:
    weights = releases.weights(layout)
    weights[name] = value
    with pytest.raises(UserError, match=f"{name}.*{lost}"):
        imported(layout, tmp_path, weights)


def test_two_tensors_for_one_place_are_refused(tmp_path: Path) -> None:
    weights = releases.weights("univla_stage2")
    weights["to_codebook.to_out.0.weight"] = torch.zeros(1)
    weights["to_codebook.to_out.weight"] = torch.zeros(1)
    with pytest.raises(UserError, match=r"are both its to_codebook\.to_out\.weight"):
        imported("univla_stage2", tmp_path, weights)


def test_another_layout_is_refused(tmp_path: Path) -> None:
    source = releases.write("lapa", releases.laq(), tmp_path / "released")
    with pytest.raises(UserError, match=r"univla_stage1.*encoder\.ffn\.1\.weight.*missing"):
        import_weights(source, "univla_stage1", tmp_path / "model")
    with pytest.raises(UserError, match="Did you mean 'lapa'"):
        import_weights(source, "lappa", tmp_path / "model")
    torch.save({"weight": torch.zeros(2)}, source)
    with pytest.raises(UserError, match=r"none of 'vq\.codebooks' \(lapa\)"):
        import_weights(source, "auto", tmp_path / "model")


def test_unknown_networks_inside_are_refused(tmp_path: Path) -> None:
    weights = releases.univla(2)
    weights["dino_encoder.pos_embed"] = torch.zeros(1, 1 + 9**2, 96)
    with pytest.raises(UserError, match=r"DINOv2 is none of .*image_size=72"):
        imported("univla_stage2", tmp_path, weights)


class Payload:
    """Would run a command when unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


def test_code_in_a_file_never_runs(tmp_path: Path) -> None:
    marker, file = tmp_path / "ran", tmp_path / "laq.pt"
    torch.save({"state_dict": releases.laq(), "extra": Payload(marker)}, file)
    with pytest.raises(UserError, match=r"holds more than tensors: it names \w+\.system"):
        import_weights(file, "auto", tmp_path / "model")
    assert not marker.exists()


@pytest.mark.parametrize("name", ["laq.pt", "model.safetensors"])
def test_damaged_files_are_refused(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    with pytest.raises(UserError, match="no weight file"):
        read_tensors(file)
    file.write_bytes(b"not weights")
    with pytest.raises(UserError, match="not a readable"):
        read_tensors(file)


@pytest.mark.parametrize("content", [[1, 2], {}, {"state_dict": {"epoch": 3}}])
def test_files_without_tensors_are_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "laq.pt")
    with pytest.raises(UserError, match=r"no named tensors|'epoch' is no tensor"):
        read_tensors(tmp_path / "laq.pt")


def test_villa_x_needs_its_description(tmp_path: Path) -> None:
    folder = releases.write("villa_x", releases.villa(), tmp_path / "released")
    fewer = {k: v for k, v in releases.VILLA_CONFIG.items() if k != "map_heads"}
    (folder / "model_config.json").write_text(json.dumps({"config": fewer}))
    with pytest.raises(UserError, match="lacks the key 'map_heads'"):
        import_weights(folder, "auto", tmp_path / "model")
    (folder / "model_config.json").unlink()
    with pytest.raises(UserError, match=r"model_config\.json, which tells the model's sizes"):
        import_weights(folder, "auto", tmp_path / "model")


def test_a_joint_projection_is_parted_in_order() -> None:
    parts = dinov2_renamed("blocks.3.attn.qkv.bias", torch.arange(6))
    assert [value.tolist() for value in parts.values()] == [[0, 1], [2, 3], [4, 5]]
    assert list(parts)[1] == "vision.model.encoder.layer.3.attention.k_proj.bias"


def test_the_command_says_what_became_of_the_tensors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = releases.write("lapa", releases.laq(), tmp_path / "released")
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    out = tmp_path / "model"
    assert command.run(parser.parse_args([str(source), "--out", str(out), "--gap-s", "1.5"])) == 0
    printed = capsys.readouterr().out
    assert "145 tensors" in printed and "113 used as 113 of lapa_reference, 32 without" in printed
    assert open_system(out).model.spec().gap_s == 1.5
    with pytest.raises(UserError, match="exists already"):
        command.run(parser.parse_args([str(source), "--out", str(out)]))
    with pytest.raises(UserError, match="whole number of patches"):
        command.run(parser.parse_args([str(source), "--out", str(out), "--image-size", "30"]))
