"""A hand's own kinematics and those of its URDF are the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lam_models.hands.kinematics import open_kinematics
from lam_models.hands.spec_file import read_hand, shipped_hands
from lam_models.hands.urdf import write_urdf

OWN = [name for name in shipped_hands() if read_hand(name).model.primitive is not None]


@pytest.mark.parametrize("name", OWN)
def test_the_urdf_has_the_same_fingertips(name: str, tmp_path: Path) -> None:
    pytest.importorskip("mujoco")
    spec = read_hand(name)
    again = open_kinematics(write_urdf(spec, tmp_path / "hand.urdf"))
    q = spec.sample(20, 0)
    own = open_kinematics(spec)
    np.testing.assert_allclose(again.tips(q), own.tips(q), atol=1e-6)
    np.testing.assert_allclose(again.jacobian(q), own.jacobian(q), atol=1e-6)
