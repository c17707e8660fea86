"""The robots' files say of the simulated robot what it is."""

from pathlib import Path

import pytest

from lam_models.data.bags.topics import read_robot, robot_of
from lam_sim.table.stage import front_pinhole

ROBOTS = Path(__file__).parents[1] / "launch" / "robots"


def test_the_front_camera_stands_where_the_simulator_has_it():
    found = robot_of(read_robot(ROBOTS / "sim_panda.yaml")).pinholes["front"]
    wanted = front_pinhole()
    assert found.focal == pytest.approx(wanted.focal, abs=1e-5)
    assert found.position_m == pytest.approx(wanted.position_m, abs=1e-6)
    assert found.turn_rad == pytest.approx(wanted.turn_rad, abs=1e-6)
