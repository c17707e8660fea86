"""Lines of sight of a calibrated camera."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lam_models.command import UserError
from lam_models.data.lerobot_layout import (
    Info,
    Schema,
    Totals,
    camera,
    info_from_json,
    info_to_json,
)
from lam_models.sense.pinhole import Pinhole

# Straight down from 1 m: x right is base -y, y down is base -x.
DOWN = Pinhole(1.0, (0.5, 0.0, 1.0), (math.pi / math.sqrt(2), -math.pi / math.sqrt(2), 0.0))

sides = st.floats(-1.0, 1.0)


def test_a_camera_that_looks_down_sees_what_is_below_it():
    found = DOWN.on_plane(np.array([[0.0, 0.0], [0.5, 0.0], [0.0, 0.5]]), 0.0)
    assert found == pytest.approx(np.array([[0.5, 0.0], [0.5, -0.5], [0.0, 0.0]]), abs=1e-9)


@given(sides, sides, st.floats(0.3, 1.0), st.floats(-0.5, 0.5), st.floats(0.0, 0.2))
def test_what_is_found_on_a_plane_is_seen_where_it_was_looked_for(u, v, tilt, aside, height_m):
    pinhole = Pinhole(3.0, (0.2, -0.1, 0.7), (math.pi - tilt, aside, 0.1))
    place = np.array([u, v])
    x, y = pinhole.on_plane(place, height_m)
    seen = pinhole.R_base_camera.T @ (np.array([x, y, height_m]) - pinhole.position_m)
    assert pinhole.focal * seen[:2] / seen[2] == pytest.approx(place, abs=1e-6)


@pytest.mark.parametrize("focal", [0.0, -1.0, math.nan, math.inf])
def test_a_calibration_that_cannot_be_is_refused(focal):
    with pytest.raises(UserError, match="focal length"):
        Pinhole(focal, (0.0, 0.0, 1.0), (0.0, 0.0, 0.0))


def test_a_dataset_keeps_it():
    schema = Schema(20, {"observation.images.front": camera(96, 96, DOWN)})
    known = info_from_json(info_to_json(Info(schema, Totals(0, 0, 0))), "info.json")
    assert known.schema == schema
