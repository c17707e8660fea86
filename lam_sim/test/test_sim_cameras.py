"""Pictures are made only for listeners, at one time for all cameras, and leave late on request."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lam_sim.cameras import Cameras, Outlet

TICK_NS = 10_000_000


@dataclass
class Topic:
    """A publisher that remembers."""

    listeners: int = 1
    sent: list = field(default_factory=list)

    def publish(self, msg) -> None:
        self.sent.append(msg)

    def get_subscription_count(self) -> int:
        return self.listeners


@dataclass
class Scene:
    """A world that counts how often it is drawn."""

    drawn: list = field(default_factory=list)

    def render(self, camera: str, height: int, width: int) -> np.ndarray:
        self.drawn.append(camera)
        return np.zeros((height, width, 3), np.uint8)


def cameras(front: Topic, wrist: Topic, latency_ns: int = 0) -> Cameras:
    outlets = {
        name: [Outlet(topic, lambda pixels, stamp_ns: (stamp_ns, pixels.shape))]
        for name, topic in (("front", front), ("wrist", wrist))
    }
    return Cameras(outlets, (48, 64), rate_hz=30.0, latency_ns=latency_ns)


def run(cameras: Cameras, scene: Scene, ticks: int) -> None:
    for tick in range(ticks):
        cameras.tick(scene, tick * TICK_NS, tick * TICK_NS)


def test_nothing_is_drawn_for_nobody():
    front, wrist, scene = Topic(), Topic(listeners=0), Scene()
    run(cameras(front, wrist), scene, 100)
    assert set(scene.drawn) == {"front"}
    assert wrist.sent == []
    assert len(front.sent) == 30


def test_all_cameras_expose_together():
    front, wrist, scene = Topic(), Topic(), Scene()
    run(cameras(front, wrist), scene, 50)
    assert [stamp_ns for stamp_ns, _ in front.sent] == [stamp_ns for stamp_ns, _ in wrist.sent]
    assert {shape for _, shape in front.sent} == {(48, 64, 3)}


def test_latency_delays_the_picture_but_not_its_stamp():
    prompt, late = Topic(), Topic()
    run(cameras(prompt, Topic()), Scene(), 50)
    delayed = cameras(late, Topic(), latency_ns=100_000_000)
    scene = Scene()
    for tick in range(50):
        delayed.tick(scene, tick * TICK_NS, tick * TICK_NS)
        assert all(tick * TICK_NS - stamp_ns >= 100_000_000 for stamp_ns, _ in late.sent)
    assert late.sent == prompt.sent[: len(late.sent)]
    assert 0 < len(prompt.sent) - len(late.sent) <= 4


def test_pictures_of_a_past_episode_are_dropped():
    late = Topic()
    delayed = cameras(late, Topic(), latency_ns=100_000_000)
    run(delayed, Scene(), 5)
    delayed.forget()
    for tick in range(5, 14):
        delayed.tick(Scene(), tick * TICK_NS, tick * TICK_NS)
    assert all(stamp_ns >= 5 * TICK_NS for stamp_ns, _ in late.sent)
