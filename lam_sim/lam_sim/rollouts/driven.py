"""Episodes of a policy that ran through ROS: how they went, what stood in the way, and a film."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lam_models.data.video import VideoEncoder, codec_named
from lam_models.sense.pixels import decode_compressed, fit
from lam_sim.rollouts.rollout import Outcome

FPS = 30
_SIDE = 256

# By camera: exposure time [ns] and JPEG, in the order in which they came.
Pictures = dict[str, list[tuple[int, bytes]]]


@dataclass(frozen=True)
class Driven(Outcome):
    """verdicts: commands judged by the safety, and how many each limit shortened or stopped.

    wall_s: real time from the reset to the end. latency_s: median and 95th percentile of exposure
    to command in the last seconds, on the robot's clock.
    """

    wall_s: float = 0.0
    verdicts: dict[str, int] = field(default_factory=dict)
    latency_s: tuple[float, float] = (float("nan"), float("nan"))


def execution(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """What a results file says of how a cell's episodes were driven. Shares are of all commands."""
    driven = [outcome for outcome in outcomes if isinstance(outcome, Driven)]
    verdicts: Counter[str] = Counter()
    for outcome in driven:
        verdicts.update(outcome.verdicts)
    judged = verdicts.pop("judged", 0)
    delays_ms = 1e3 * np.array([outcome.latency_s for outcome in driven])
    return {
        "commands": judged,
        "limits": {name: count / judged for name, count in sorted(verdicts.items())},
        "latency_p50_ms": float(np.nanmedian(delays_ms[:, 0])),
        "latency_p95_ms": float(np.nanmedian(delays_ms[:, 1])),
        "real_time_factor": sum(o.duration_s for o in driven) / sum(o.wall_s for o in driven),
    }


def sentence(said: dict[str, Any]) -> str:
    """The same for people."""
    limits = ", ".join(f"{name} {100 * share:.1f} %" for name, share in said["limits"].items())
    return (
        f"{said['commands']} commands ({limits or 'none'} limited), exposure to command "
        f"{said['latency_p50_ms']:.0f} ms (p95 {said['latency_p95_ms']:.0f}), "
        f"{said['real_time_factor']:.2f} x real time"
    )


def film(pictures: Pictures) -> bytes:
    """An mp4 of all cameras side by side, at the beats of the first one."""
    names = list(pictures)
    if not names:
        return b""
    encoder = VideoEncoder(FPS, _SIDE, _SIDE * len(names), codec_named("h264"))
    shown = dict.fromkeys(names, 0)
    for stamp_ns, _ in pictures[names[0]]:
        views = []
        for name in names:
            stamped = pictures[name]
            while shown[name] + 1 < len(stamped) and stamped[shown[name] + 1][0] <= stamp_ns:
                shown[name] += 1
            pixels = decode_compressed(stamped[shown[name]][1], "jpeg")
            views.append(fit(pixels, _SIDE, _SIDE, "crop"))
        encoder.add(np.concatenate(views, axis=1))
    return encoder.finish()
