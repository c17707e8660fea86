"""retarget_keypoints_node with real DDS: what it publishes, and what it says instead."""

from __future__ import annotations

import itertools
import math
from functools import partial
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import PoseArray
from keypoints_bench import bench, human_space, keypoints, player, pose_array

from lam_models.command import UserError
from lam_models.geometry import matrix_from_quat
from lam_models.hands.keypoints import LAYOUTS
from lam_models.hands.space import human_vector
from lam_models.types import LatentSpec
from lam_retarget.messages import time_ns


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """A space that knows the human hand, in a folder."""
    return human_space(tmp_path_factory.mktemp("spaces") / "one")


def latent_of(space, shown, time_s=0.0):
    return space.coder("human").encode(human_vector(shown.points(time_s)))


def test_every_layout_gives_the_latent_of_the_hand(space):
    expected = latent_of(space, player())
    with bench(space=str(space.path)) as b:
        for layout in LAYOUTS:
            b.latents.clear()
            b.stream(partial(keypoints, player(layout)), lambda: b.latents)
            np.testing.assert_allclose(b.latents[-1].values, expected, atol=1e-5)


@pytest.mark.parametrize("layout", ["mediapipe", "manus"])
def test_bare_poses_do_with_a_declared_layout(space, layout):
    with bench(PoseArray, space=str(space.path), input="pose_array", layout=layout) as b:
        b.stream(partial(pose_array, player(layout)), lambda: b.latents)
        np.testing.assert_allclose(b.latents[-1].values, latent_of(space, player()), atol=1e-5)


def test_a_latent_says_its_space_its_time_and_where_the_palm_is(space):
    sent, shown, age_ns = [], player(side="left"), 30_000_000

    def make():
        sent.append(keypoints(shown, 0.5, age_ns))
        return sent[-1]

    with bench(space=str(space.path), side="left") as b:
        b.stream(make, lambda: b.latents and b.palms)
        latent, palm = b.latents[0], b.palms[0]
    np.testing.assert_allclose(latent.values, latent_of(space, player(), 0.5), atol=1e-5)
    spec: LatentSpec = space.latent
    assert (latent.space, latent.space_hash) == (spec.name, spec.space_hash)
    assert (latent.horizon, latent.dim, len(latent.codes)) == (1, spec.shape[1], 0)
    assert latent.header.stamp in [message.header.stamp for message in sent]
    assert time_ns(latent.latency) >= age_ns
    assert palm.header.frame_id == "sensor"
    q, p, T = palm.pose.orientation, palm.pose.position, shown.T_sensor_palm(0.5)
    np.testing.assert_allclose(
        matrix_from_quat(np.array([q.x, q.y, q.z, q.w])), T[:3, :3], atol=1e-6
    )
    np.testing.assert_allclose((p.x, p.y, p.z), T[:3, 3], atol=1e-6)


def lost(message):
    message.valid[7] = False


def not_finite(message):
    message.poses[7].position.x = math.nan


def too_large(message):
    for pose in message.poses:
        pose.position.x, pose.position.y, pose.position.z = (
            1.9 * x for x in (pose.position.x, pose.position.y, pose.position.z)
        )


def too_few(message):
    message.poses.pop()


def misnamed(message):
    message.names[7] = "index_knuckle"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lost, "untracked: missing: index_mcp"),
        (not_finite, "untracked: missing: index_mcp"),
        (too_large, "frames refused, size: the palm is"),
        (too_few, "untracked: 25 positions of 26 names"),
        (misnamed, "names: no 'index_proximal'"),
    ],
)
def test_a_bad_frame_publishes_nothing_and_is_reported(space, spoil, said):
    def make():
        message = keypoints(player())
        spoil(message)
        return message

    with bench(space=str(space.path)) as b:
        b.stream(make, lambda: said in b.said())
        assert not b.latents and not b.palms
        b.stream(partial(keypoints, player()), lambda: b.latents)


def test_a_person_is_measured_before_they_are_followed(space):
    shown, clock = player(subject=3), itertools.count()
    with bench(space=str(space.path), calibrate=True, calibrate_frames=20) as b:
        b.stream(lambda: keypoints(shown, 0.05 * next(clock)), lambda: b.latents)
        b.reports.clear()
        b.until(lambda: b.reports)
        assert 0.5 < float(b.values()["scale"]) < 2.0
        assert next(clock) > 20


def test_what_cannot_be_is_one_sentence(space, tmp_path):
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"space": str(tmp_path)}, "config.json"),
        ({"space": str(space.path), "side": "righ"}, "right"),
        ({"space": str(space.path), "scale": 9.0}, "from 0.3 to 3"),
    ]
    for parameters, said in wrong:
        with pytest.raises(UserError, match=said), bench(**parameters):
            pass
