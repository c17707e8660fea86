"""The README's "Add your hand in one YAML", word for word.

Only what costs time is cut: the hand is taught in a few steps.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from nodes_bench import nodes
from rclpy.node import Node
from retarget_bench import DOMAIN
from std_msgs.msg import Float64MultiArray

from lam_models.hands.space import open_space
from lam_models.hands.spec_file import read_hand

README = Path(__file__).parent.parent / "README.md"
NAME = "three_finger"
QUICK = "--people 4 --poses 20 --steps 3 --set batch_size=32 --set align_steps=3"
ENVIRONMENT = {
    **os.environ,
    "ROS_DOMAIN_ID": str(DOMAIN),
    "OMP_NUM_THREADS": "1",
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
}


def blocks() -> dict[str, list[str]]:
    """The code blocks of the README by language."""
    found: dict[str, list[str]] = {}
    for language, text in re.findall(r"```(\w+)\n(.*?)```", README.read_text(), re.DOTALL):
        found.setdefault(language, []).append(text)
    return found


def shell(folder: Path, line: str) -> str:
    done = subprocess.run(
        line, shell=True, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def launched(folder: Path, line: str) -> Iterator[None]:
    """The launch of a line, up while the context lasts."""
    process = subprocess.Popen(
        ["bash", "-c", f"exec {line}"], cwd=folder, env=ENVIRONMENT, stdout=subprocess.DEVNULL
    )
    try:
        yield
        assert process.poll() is None, "the launch ended"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)


@pytest.mark.timeout(280)
def test_add_your_hand_in_one_yaml(tmp_path):
    code = blocks()
    (tmp_path / f"{NAME}.urdf").write_text(code["xml"][0])
    (tmp_path / f"{NAME}.yaml").write_text(code["yaml"][0])
    check, teach, launch = (block.strip() for block in code["bash"])
    (speak,) = code["python"]

    assert "sound" in shell(tmp_path, check)
    assert (tmp_path / f"{NAME}.png").stat().st_size > 10_000

    shell(tmp_path, f"{teach} {QUICK}")
    space = open_space(tmp_path / "spaces" / NAME)
    assert space.latent.space_hash == open_space().latent.space_hash

    spec = read_hand(str(tmp_path / f"{NAME}.yaml"))
    coder = space.coder_for(spec)
    q = coder.decode(coder.encode((spec.lower + spec.upper) / 2))
    heard: list[Float64MultiArray] = []
    with (
        nodes(DOMAIN, partial(Node, "listener")) as (executor, (node,)),
        launched(tmp_path, launch),
    ):
        node.create_subscription(Float64MultiArray, spec.command.name, heard.append, 10)
        while not node.count_publishers(spec.command.name):
            executor.spin_once(timeout_sec=0.1)
        speaker = subprocess.Popen([sys.executable, "-c", speak], cwd=tmp_path, env=ENVIRONMENT)
        while speaker.poll() is None:
            executor.spin_once(timeout_sec=0.1)
        assert speaker.returncode == 0
    assert heard
    by_joint = dict(zip(spec.actuated, q, strict=True))
    expected = [by_joint["index_bend"], by_joint["middle_bend"]]
    expected += [-by_joint["thumb_bend"], by_joint["thumb_swing"]]
    np.testing.assert_allclose(heard[-1].data, expected, atol=1e-5)
