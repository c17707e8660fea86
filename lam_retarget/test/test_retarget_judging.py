"""What is refused, and in what words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lam_models.types import LatentSpec
from lam_retarget.horizon import Horizon
from lam_retarget.judging import Heard, Rules, judge

SPACE = LatentSpec("hand/ours", "hand", (1, 4))
FOREIGN = LatentSpec("hand/theirs", "hand", (1, 4))
RULES = Rules(max_age_s=0.5, tolerance=0.05)
NOW = 1_000_000_000_000
UNIT = np.array([0.0, 1.0, 0.0, 0.0], np.float32)
GOOD = Heard(SPACE.name, SPACE.space_hash, 1, 4, UNIT, stamp_ns=NOW - 100_000_000)


def test_a_valid_latent_passes_with_length_one():
    verdict = judge(replace(GOOD, values=1.04 * UNIT), SPACE, RULES, NOW)
    assert verdict.kind == "ok" and verdict.latents is not None
    np.testing.assert_allclose(verdict.latents, UNIT[None])


def test_a_foreign_space_is_named_beside_ours():
    heard = replace(GOOD, space=FOREIGN.name, space_hash=FOREIGN.space_hash)
    verdict = judge(heard, SPACE, RULES, NOW)
    assert verdict.kind == "foreign_space" and verdict.latents is None
    for text in ("hand/ours", SPACE.space_hash, "hand/theirs", FOREIGN.space_hash):
        assert text in verdict.words


def test_the_hash_decides_and_not_the_name():
    assert judge(replace(GOOD, space="another"), SPACE, RULES, NOW).kind == "ok"
    assert judge(replace(GOOD, space_hash=""), SPACE, RULES, NOW).kind == "foreign_space"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"values": np.array([0, np.nan, 0, 1], np.float32)}, "not_finite"),
        ({"values": np.array([0, np.inf, 0, 1], np.float32)}, "not_finite"),
        ({"values": np.zeros(4, np.float32)}, "off_sphere"),
        ({"values": 1.06 * UNIT}, "off_sphere"),
        ({"values": 0.94 * UNIT}, "off_sphere"),
        ({"values": np.full(4, np.finfo(np.float32).max)}, "off_sphere"),
        ({"values": UNIT[:3]}, "shape"),
        ({"values": np.zeros(0, np.float32)}, "shape"),
        ({"values": UNIT[:3], "dim": 3}, "shape"),
        ({"horizon": 0}, "shape"),
        ({"horizon": 2}, "shape"),
        ({"horizon": 2, "values": np.tile(UNIT, 2)}, "shape"),
        ({"stamp_ns": NOW - 501_000_000}, "stale"),
        ({"stamp_ns": 0}, "stale"),
        ({"stamp_ns": NOW + 101_000_000}, "ahead"),
        ({"latency_ns": 11_000_000_000}, "ahead"),
    ],
)
def test_everything_else_is_refused(change, kind):
    verdict = judge(replace(GOOD, **change), SPACE, RULES, NOW)
    assert (verdict.kind, verdict.latents) == (kind, None)
    assert verdict.words


def test_one_bad_latent_spoils_a_horizon():
    values = np.concatenate([UNIT, 2 * UNIT])
    heard = replace(GOOD, horizon=2, values=values, step_ns=50_000_000)
    assert judge(heard, SPACE, RULES, NOW).kind == "off_sphere"


def test_a_horizon_is_played_by_time():
    targets = np.arange(3.0)[:, None]
    horizon = Horizon(targets, due_ns=NOW, step_ns=100)
    seen = [float(horizon.at(NOW + t)[0]) for t in (-50, 0, 99, 100, 250, 10_000)]
    assert seen == [0.0, 0.0, 0.0, 1.0, 2.0, 2.0]
    assert horizon.end_ns == NOW + 200
    assert Horizon(targets[:1], NOW, 0).at(NOW + 5) == targets[0]
