"""`lam health` on a dataset and a model folder."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lam_models.checkpoint import origin_now
from lam_models.command import UserError
from lam_models.data.lerobot_layout import Schema, camera, vector
from lam_models.data.lerobot_write import DatasetWriter
from lam_models.stages.health import command
from lam_models.stages.opening import save_system
from lam_models.systems import find


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args([*words])


def write_dataset(path: Path, episodes: int) -> Path:
    names = ("delta_ee.x", "delta_ee.y", "delta_ee.z", "gripper_width")
    features = {"observation.images.front": camera(32, 32), "action": vector(names)}
    rng = np.random.default_rng(0)
    with DatasetWriter(path, Schema(5, features)) as writer:
        for _ in range(episodes):
            for _ in range(8):
                image = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
                action = rng.normal(size=4).astype(np.float32)
                writer.add_frame({"observation.images.front": image, "action": action})
            writer.save_episode(task="wave")
    return path


def test_a_report_of_a_model_on_a_dataset(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    dataset = write_dataset(tmp_path / "data", 5)
    kind, model = find("lapa"), tmp_path / "model"
    torch.manual_seed(0)
    save_system(model, kind(kind.Config.tiny()).eval(), "lapa", origin_now("none", "untrained"))
    words = [str(model), str(dataset), "--out", str(tmp_path / "report"), "--device", "cpu"]
    assert command.run(arguments(*words, "--other", str(dataset))) == 0
    content = json.loads((tmp_path / "report" / "report.json").read_text())
    assert content["system"] == "lapa" and content["space"]["episodes_reported_on"] == 2
    measured = content["values"]
    assert {"probe.linear.hand", "prediction.copy_ratio", "other.probe.translation"} <= {*measured}
    assert "report.html" in capsys.readouterr().out
    with pytest.raises(UserError, match="exists already"):
        command.run(arguments(*words))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--clips", "3"], "--clips is 3"),
        (["--validation", "1"], "--validation is 1"),
        (["--device", "cuda:99"], "no GPU"),
    ],
)
def test_what_cannot_be_is_refused(words, said, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=said):
        command.run(arguments("model", "data", "--out", str(tmp_path / "new"), *words))
