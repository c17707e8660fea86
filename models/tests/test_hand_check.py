"""The report card of a hand: it finds what was spoilt, and calls a good hand good."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from lam_models.command import UserError
from lam_models.hands import check_command, list_command
from lam_models.hands.check import Findings, examine
from lam_models.hands.kinematics import open_kinematics
from lam_models.hands.spec_file import read_hand, shipped_hands
from lam_models.hands.touch import nearest_touches


def check(*words: str) -> int:
    parser = argparse.ArgumentParser()
    check_command.add_arguments(parser)
    return check_command.run(parser.parse_args(words))


Spoil = Callable[[dict[str, Any]], object]


def spoilt(folder: Path, name: str, spoil: Spoil) -> Path:
    content = yaml.safe_load(shipped_hands()[name].read_text())
    spoil(content)
    path = folder / "spoilt.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def examined(folder: Path, name: str, spoil: Spoil) -> Findings:
    return examine(open_kinematics(read_hand(spoilt(folder, name, spoil))))


def turn_palm(rpy_rad: list[float]) -> Spoil:
    return lambda content: content.update(palm={"rpy_rad": rpy_rad})


def to_millimetres(content: dict[str, Any]) -> None:
    for link in content["model"]["primitive"]["links"].values():
        link["at_m"] = [1000.0 * x for x in link.get("at_m", [0.0, 0.0, 0.0])]


def hold_thumb_away(content: dict[str, Any]) -> None:
    for name in ("thumb_rotate", "thumb_bend"):
        content["joints"][name]["limits_rad"] = [0.0, 0.01]


FAULTS: dict[str, tuple[str, Spoil, str]] = {
    "fingers behind the palm": ("inspire_rh56", turn_palm([0.0, 0.0, 3.14159]), "bend to -x"),
    "fingers upside down": ("inspire_rh56", turn_palm([3.14159, 0.0, 0.0]), "z < 0"),
    "the other side": ("allegro", lambda content: content.update(side="left"), "little finger"),
    "millimetres": ("inspire_rh56", to_millimetres, "in metres"),
    "a thumb that stays away": ("inspire_rh56", hold_thumb_away, "no finger meets the thumb"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(tmp_path: Path, fault: str):
    name, spoil, words = FAULTS[fault]
    findings = examined(tmp_path, name, spoil)
    assert not findings.sound
    assert any(words in text for text in findings.faults)


def test_a_slot_that_runs_the_other_way_is_noted(tmp_path: Path):
    def spoil(content: dict[str, Any]) -> None:
        content["joints"]["index_bend"]["slot"] = "-index_mcp_flexion"

    findings = examined(tmp_path, "inspire_rh56", spoil)
    assert any("'index_bend' runs against its slot" in note for note in findings.notes)
    assert findings.sound


def test_a_joint_that_moves_no_tip_is_noted(tmp_path: Path):
    def spoil(content: dict[str, Any]) -> None:
        content["fingertips"].pop("ring")
        content["key_vectors"] = [pair for pair in content["key_vectors"] if "ring" not in pair]

    findings = examined(tmp_path, "inspire_rh56", spoil)
    assert "joint 'ring_bend' moves no fingertip" in findings.notes


@pytest.mark.parametrize("name", ["inspire_rh56", "shadow", "panda_gripper"])
def test_the_nearest_touch_is_a_posture_of_the_hand_and_nearer_than_chance(name: str):
    spec = read_hand(name)
    kinematics = open_kinematics(spec)
    chance = kinematics.tips(spec.sample(500, 9))
    thumb = spec.tips.index("thumb")
    for touch in nearest_touches(kinematics):
        finger = spec.tips.index(touch.finger)
        tips = kinematics.tips(touch.q)
        assert np.all((spec.lower <= touch.q) & (touch.q <= spec.upper))
        assert np.linalg.norm(tips[thumb] - tips[finger]) == pytest.approx(touch.gap_m)
        apart = np.linalg.norm(chance[:, thumb] - chance[:, finger], axis=-1)
        assert touch.gap_m <= apart.min()


def test_findings_are_the_same_for_the_same_seed():
    kinematics = open_kinematics(read_hand("ability"))
    first, second = examine(kinematics, 3), examine(kinematics, 3)
    assert [touch.gap_m for touch in first.touches] == [touch.gap_m for touch in second.touches]
    assert first.notes == second.notes


def test_the_command_prints_the_card_and_draws_it(tmp_path: Path, capsys: pytest.CaptureFixture):
    picture = tmp_path / "new" / "card.png"
    assert check("inspire_rh56", "--out", str(picture)) == 0
    out = capsys.readouterr().out
    spec = read_hand("inspire_rh56")
    for name in (*spec.names, *spec.tips, "pinky", "per_mille", "1000", "sound"):
        assert name in out
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_command_fails_on_a_faulty_hand(tmp_path: Path, capsys: pytest.CaptureFixture):
    path = spoilt(tmp_path, "inspire_rh56", turn_palm([3.14159, 0.0, 0.0]))
    assert check(str(path), "--out", str(tmp_path / "card.png")) == 1
    assert "fault" in capsys.readouterr().out
    assert (tmp_path / "card.png").is_file()


def test_the_command_takes_mistakes_as_mistakes(tmp_path: Path):
    with pytest.raises(UserError, match="Did you mean 'allegro'"):
        check("alegro")
    with pytest.raises(UserError, match="must end in"):
        check("allegro", "--out", str(tmp_path / "card.jpg"))


def test_the_list_names_every_hand(capsys: pytest.CaptureFixture):
    assert list_command.run(argparse.Namespace()) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in shipped_hands())
