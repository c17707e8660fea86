"""Laws of tracked hands: what does not matter about a tracker, and what is not believed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from keypoints_bench import NOW_NS, frame, human_coder, player

from lam_models.command import UserError
from lam_models.hands.keypoints import LAYOUTS
from lam_models.hands.space import human_vector
from lam_retarget.tracking import Frame, Person, Tally, Tracker

MS = 1_000_000


def points(seen_frame: Frame, tracker: Tracker | None = None) -> np.ndarray:
    """The points of a frame that is believed."""
    seen = (tracker or Tracker(Person(seen_frame.side))).look(seen_frame, NOW_NS)
    assert seen.reading is not None and seen.reading.points is not None, seen.words
    return seen.reading.points


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_hand_has_one_latent_whatever_tracks_it(layout, side):
    coder, shown = human_coder(), player(layout, side)
    for time_s in (0.0, 0.7, 1.9):
        found = points(frame(shown, time_s))
        np.testing.assert_allclose(found, shown.points(time_s), atol=1e-9)
        np.testing.assert_allclose(
            coder.encode(human_vector(found)),
            coder.encode(human_vector(shown.points(time_s))),
            atol=1e-5,
        )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_joints_go_by_name_in_whatever_order(layout):
    usual = frame(player(layout), 0.4)
    order = np.random.default_rng(0).permutation(len(usual.names))
    names = tuple(usual.names[at] for at in order)
    shuffled = replace(usual, names=names, positions=usual.positions[order])
    np.testing.assert_array_equal(points(shuffled), points(usual))
    np.testing.assert_array_equal(points(replace(usual, names=())), points(usual))
    # What is lost is lost by name, too.
    lost = tuple(name != "little_tip" for name in names)
    seen = Tracker(Person()).look(replace(shuffled, valid=lost), NOW_NS)
    assert seen.reading is None and "little_tip" in seen.words


def mediapipe(joint: str) -> str:
    finger, _, point = joint.partition("_")
    finger = {"little": "pinky"}.get(finger, finger)
    between = "" if finger in ("wrist", "thumb") else "_finger" if finger != "pinky" else ""
    return f"{finger}{between}_{point}".strip("_").upper()


def webxr(joint: str) -> str:
    finger, _, bone = joint.partition("_")
    bone = bone if bone in ("metacarpal", "tip", "") else f"phalanx-{bone}"
    name = finger if finger in ("wrist", "palm", "thumb") else f"{finger}-finger"
    return f"{name}-{bone}".strip("-").replace("little", "pinky")


@pytest.mark.parametrize(
    ("layout", "spell"),
    [
        ("mediapipe", mediapipe),
        ("openxr", lambda joint: f"XR_HAND_JOINT_{joint.upper()}_EXT"),
        ("manus", webxr),
    ],
)
def test_trackers_own_spellings_are_known(layout, spell):
    usual = frame(player(layout))
    spelled = replace(usual, names=tuple(map(spell, usual.names)))
    assert spelled.names != usual.names
    np.testing.assert_array_equal(points(spelled), points(usual))


USUAL = frame(player(), 0.3)
NAN = np.where(np.arange(26)[:, None] == 8, np.nan, USUAL.positions)


@pytest.mark.parametrize(
    ("fields", "kind", "said"),
    [
        ({"layout": "openxr_27"}, "layout", "openxr_26"),
        ({"side": "left"}, "other_hand", "left"),
        ({"names": (*USUAL.names[:-1], "sixth_tip")}, "names", "'little_tip'"),
        ({"names": (*USUAL.names, "sixth_tip")}, "names", "27"),
        ({"names": USUAL.names[:1] * 26}, "names", "'wrist'"),
        ({"positions": USUAL.positions[:-1]}, "untracked", "25"),
        ({"positions": USUAL.positions[:0]}, "untracked", "0"),
        ({"names": (), "positions": USUAL.positions[:-1]}, "untracked", "(25, 3)"),
        ({"valid": (True,) * 25}, "untracked", "25"),
        ({"valid": (False,) * 26}, "untracked", "missing"),
        ({"positions": NAN}, "untracked", "index_pip"),
        ({"positions": USUAL.positions * 0.0}, "untracked", "collapsed"),
        ({"positions": USUAL.positions * 1000.0}, "untracked", "longer than a hand"),
        ({"positions": USUAL.positions * 1.9}, "size", "times as large"),
        ({"positions": USUAL.positions * 0.4}, "size", "times as large"),
        ({"stamp_ns": 0}, "stale", "stamp"),
        ({"stamp_ns": NOW_NS - 700 * MS}, "stale", "0.700 s old"),
        ({"stamp_ns": NOW_NS + 700 * MS}, "ahead", "clocks"),
    ],
)
def test_what_is_not_believed_is_said_in_words(fields, kind, said):
    tracker = Tracker(Person())
    seen = tracker.look(replace(USUAL, **fields), NOW_NS)
    assert (seen.kind, seen.reading) == (kind, None)
    assert said in seen.words
    assert tracker.look(USUAL, NOW_NS).kind == "ok"


def test_a_joint_that_is_no_point_may_be_lost():
    palm_lost = tuple(name != "palm" for name in USUAL.names)
    np.testing.assert_array_equal(points(replace(USUAL, valid=palm_lost)), points(USUAL))


@pytest.mark.parametrize("size", [0.8, 1.25])
def test_a_measured_person_of_any_size_gives_the_same_points(size):
    shown = player()
    usual, other = (Tracker(Person(measured_from=20)) for _ in range(2))
    for at in range(20):
        seen = frame(shown, at / 10)
        bad = other.look(replace(seen, valid=(False,) * 26), NOW_NS)
        assert (bad.kind, other.measured) == ("untracked", False)
        sized = replace(seen, positions=size * seen.positions)
        for tracker, each in ((usual, seen), (other, sized)):
            judged = tracker.look(each, NOW_NS)
            assert (judged.kind, judged.reading) == ("measuring", None)
    assert other.scale == pytest.approx(size * usual.scale)
    later = frame(shown, 2.5)
    sized = replace(later, positions=size * later.positions)
    np.testing.assert_allclose(points(sized, other), points(later, usual), atol=1e-12)


def test_a_known_size_is_as_good_as_a_measured_one():
    shown, measured = player(), Tracker(Person(measured_from=20))
    for at in range(20):
        measured.look(frame(shown, at / 10), NOW_NS)
    known = Tracker(Person(scale=measured.scale))
    np.testing.assert_array_equal(points(USUAL, known), points(USUAL, measured))
    # Whatever was measured in is left behind.
    for layout in LAYOUTS:
        found = points(frame(player(layout), 0.3), measured)
        np.testing.assert_allclose(found, points(USUAL, known), atol=1e-12)


@pytest.mark.parametrize(
    ("person", "said"), [(Person(scale=5.0), "0.3 to 3"), (Person(side="righ"), "'right'")]
)
def test_there_is_no_such_person(person, said):
    with pytest.raises(UserError, match=said):
        Tracker(person)


def test_a_tally_says_what_came_of_late():
    tally, tracker = Tally(), Tracker(Person())

    def note(**fields) -> bool:
        return tally.note(tracker.look(replace(USUAL, **fields), NOW_NS))

    assert tally.report() == ("no frames", False)
    assert not note() and tally.report() == ("following", True)
    assert note(valid=(False,) * 26) and not note(valid=(False,) * 26) and not note()
    text, well = tally.report()
    assert "2 of 3 frames" in text and "untracked: missing" in text and not well
    assert not note(side="left")
    assert tally.report() == ("no frames, but 1 of the other hand", False)
    assert not note() and not note(side="left") and tally.report() == ("following", True)
    assert tally.refused["untracked"] == 2 and tally.followed == 3
