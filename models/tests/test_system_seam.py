"""What a new system costs: one file and one line. Here both are written, trained and examined."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from squares import record_squares

from lam_models.data.latents import Latents
from lam_models.stages.fit_lam import fit
from lam_models.stages.fit_settings import FitSettings
from lam_models.stages.health.examine import examine
from lam_models.stages.health.sample import sample
from lam_models.stages.label import label
from lam_models.stages.opening import open_system
from lam_models.systems import SYSTEMS

FILE = '''
"""The mean colour's change as a latent: four numbers of code, and all stages serve it."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from lam_models.systems.roles import Encoded, adjacent
from lam_models.types import LatentSpec


@dataclass(frozen=True)
class Config:
    image_size: int = 16
    gap_s: float = 0.2
    learning_rate: float = 1e-2
    batch_size: int = 8
    steps: int = 5

    frames: ClassVar[int] = 2
    history: ClassVar[int] = 0

    @classmethod
    def small(cls):
        return cls()


class Colour(nn.Module):
    Config = Config

    def __init__(self, config):
        super().__init__()
        self.config, self.mix = config, nn.Linear(3, 3)

    def infer(self, clips):
        present, following = adjacent(clips.frames.mean((-1, -2)))
        return self.mix(following - present), following - present

    def loss(self, batch):
        z, change = self.infer(batch)
        error = (z - change).square().mean()
        return error, {"error": error.detach()}

    def encode(self, clips):
        z, _ = self.infer(clips)
        return Encoded(z.detach().reshape(len(clips.frames), -1, 1, 3))

    def spec(self):
        return LatentSpec("colour", "motion", (1, 3), gap_s=self.config.gap_s)
'''


@pytest.fixture
def colour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "colour_lam.py").write_text(FILE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(SYSTEMS, "colour", "colour_lam:Colour")
    return "colour"


def test_one_file_and_one_line_are_trained_labelled_and_examined(
    colour: str, tmp_path: Path
) -> None:
    dataset = record_squares(tmp_path / "squares")
    result = fit(FitSettings(colour, dataset, tmp_path / "model"))
    opened = open_system(result.path)
    assert opened.name == colour

    label(result.path, dataset)
    rows = Latents.open(dataset, "colour").rows
    assert rows.values.shape[1:] == (1, 3) and np.isfinite(rows.values).all()

    train, test, names = sample(dataset, opened.model.config, clips=40)
    report = examine(opened.model, train, test, names=names)
    assert "probe.linear.all" in report.flat() and "codebook.perplexity" not in report.flat()
