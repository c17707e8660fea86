"""`lam data check` leaves sound demonstrations of the expert in peace, whatever their kind."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from lam_models.data.doctor.examine import examine
from lam_sim.rollouts import generate

KINDS = {
    "every task": ("--task", "all"),
    "pick and place, disturbed": ("--task", "pick_place", "--noise", "0.01"),
    "undisturbed": ("--task", "push_to_zone,reach", "--noise", "0"),
    "four fingers among distractors": ("--hand", "four_finger", "--distractors", "all"),
    "people": ("--hand", "five_finger", "--human", "--task", "stack,open_drawer"),
    "slow": ("--fps", "10", "--task", "stack,pick_place"),
    "videos alone": ("--without-actions", "--task", "all"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_demonstrations_of_the_expert_are_sound(kind: str, tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    generate.add_arguments(parser)
    words = ("--out", str(tmp_path / "data"), "--size", "64", "--episodes", "6", "--workers", "1")
    assert generate.run(parser.parse_args([*words, *KINDS[kind]])) == 0
    findings = examine(tmp_path / "data").findings
    assert findings == (), [finding.said for finding in findings]
