"""The policy without a network, and opening a policy's folder."""

from __future__ import annotations

import argparse
import dataclasses
import types

import numpy as np
import pytest

from lam_models.checkpoint import CameraSpec, open_checkpoint, write
from lam_models.command import UserError
from lam_models.policy import POLICIES, find
from lam_models.policy.committed import Committed
from lam_models.policy.instant import Config, sine, write_instant
from lam_models.policy.opening import open_policy
from lam_models.stages import instant_command
from lam_models.types import LatentSpec, Observation

SPACE = LatentSpec("hand/test", "hand", (1, 4))


def seen(stamp_ns: int) -> Observation:
    return Observation(stamp_ns, {}, {})


@pytest.fixture
def folder(tmp_path):
    motion = np.arange(24.0).reshape(4, 6)
    config = Config(chunk_steps=6, dt_s=0.1)
    cameras = (CameraSpec("front", 48, 64),)
    return write_instant(tmp_path / "p", SPACE, cameras, config=config, motion=motion)


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_of_the_registry_can_be_opened_and_acts(name):
    policy = find(name)
    assert callable(policy.open) and callable(policy.act)


def test_the_folder_says_what_the_policy_sees_and_emits(folder):
    opened = open_policy(folder)
    assert [camera.name for camera in opened.spec.cameras] == ["front"]
    assert opened.spec.chunk_steps == 6 and opened.spec.delta_axes == "base"
    assert opened.weights_hash
    chunk = opened.policy.act(seen(10**18))
    assert chunk.start_ns == 10**18 and chunk.delta_ee.shape == (6, 6)
    assert chunk.hand_space.space_hash == opened.spec.emits[0].space_hash == SPACE.space_hash


def test_the_motion_goes_on_from_chunk_to_chunk_and_repeats(folder):
    policy = open_policy(folder).policy
    first, later = policy.act(seen(0)), policy.act(seen(300_000_000))
    np.testing.assert_array_equal(first.delta_ee[3:], later.delta_ee[:3])
    np.testing.assert_array_equal(first.delta_ee[0], first.delta_ee[4])


def test_committed_steps_begin_the_answer(folder):
    policy = open_policy(folder).policy
    plan = dataclasses.replace(policy.act(seen(0)), delta_ee=np.full((6, 6), 7.0, np.float32))
    chunk = policy.act(seen(0), Committed(plan, 2))
    assert (chunk.delta_ee[:2] == 7.0).all()
    np.testing.assert_array_equal(chunk.delta_ee[2:], policy.act(seen(0)).delta_ee[2:])


def test_a_sine_comes_back_to_where_it_began():
    motion = sine(0.05, 4.0, 0.05)
    height_m = np.cumsum(motion[:, 2])
    assert height_m.max() == pytest.approx(0.05, rel=1e-3)
    assert height_m[-1] == pytest.approx(0.0, abs=1e-6)
    assert not sine(0.0, 4.0, 0.05).any()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"chunk_steps": 0}, "chunk_steps is 0"),
        ({"delta_axes": "bse"}, "Did you mean 'base'"),
        ({"emits": ()}, "of 0"),
    ],
)
def test_a_folder_that_describes_no_policy_is_refused(folder, change, said):
    content = open_checkpoint(folder)
    spec = dataclasses.replace(content.spec, **change)
    write(folder, dataclasses.replace(content, spec=spec), overwrite=True)
    with pytest.raises(UserError, match=said):
        open_policy(folder)


def test_a_folder_of_something_else_is_refused(folder):
    content = open_checkpoint(folder)
    write(folder, dataclasses.replace(content, system="instnt"), overwrite=True)
    with pytest.raises(UserError, match="Did you mean 'instant'"):
        open_policy(folder)


def test_the_command_writes_a_folder_that_opens(tmp_path, monkeypatch, capsys):
    opened = types.SimpleNamespace(latent=SPACE)
    monkeypatch.setattr("lam_models.hands.space.open_space", lambda path: opened)
    parser = argparse.ArgumentParser()
    instant_command.add_arguments(parser)
    words = ["--cameras", "front", "wrist", "--joints", "thumb", "--pose", "--amplitude", "0.05"]
    assert instant_command.run(parser.parse_args([str(tmp_path / "out"), *words])) == 0
    spec = open_policy(tmp_path / "out").spec
    assert [camera.name for camera in spec.cameras] == ["front", "wrist"]
    assert spec.state["hand"] == ("thumb",) and len(spec.state["ee"]) == 6
    assert "dry_run:=true" in capsys.readouterr().out
