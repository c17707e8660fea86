"""What retarget_node adds between a latent and the command of a hand, at 100 Hz.

Three processes: a source of latents, retarget_node, and the hand's driver, which compares the
time of arrival with the stamp. The floor is the same path with a relay in the node's place that
decodes nothing and publishes a command of the same type and size: what two messages through rclpy
cost here. Relay and node take turns in rounds of seconds, so that a busy machine is busy for both.
What the node adds is, in each round, the difference of the two's percentiles; the median of the
rounds is reported. Lost: latents that the node was never told; late: those that no command
followed within a period, which the node's own pacing may do where latents come in bursts.

The space has random networks of two hidden layers; the driver's rate in the hands' files is set
to the source's, so that every latent is owed a command.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from array import array
from pathlib import Path

import matplotlib
import numpy as np
from child_process import Child

from lam_models.checkpoint import origin_now
from lam_models.hands.space import Coder, HandSpace, founded, hand_modality, save_space
from lam_models.hands.spec import HandSpec
from lam_models.hands.spec_file import read_hand
from report import Benchmark, Goal, Row, figure_of, main

matplotlib.use("Agg")

HANDS = ("parallel_gripper", "allegro", "shadow")
RATE_HZ, DIM, WIDTH = 100.0, 16, 256
DOMAIN = 94
TOPICS = {"floor": "/floor", "node": "/latent_action"}
SETTLE_S = 1.0  # A hand that hears no more latents brakes, and says so to its driver.
# The node as it is, and at its end the number of latents that it was told.
NODE = """
from lam_retarget import retarget_node
heard, obey = [], retarget_node.RetargetNode._on_latent
def count(node, message):
    heard.append(message)
    obey(node, message)
retarget_node.RetargetNode._on_latent = count
retarget_node.main()
print(len(heard), flush=True)
"""


def coder(spec: HandSpec, seed: int) -> Coder:
    """Random networks with two hidden layers, which reach the whole hand."""
    rng, size = np.random.default_rng(seed), len(spec.actuated)
    ends = ((size, WIDTH, WIDTH, DIM), (DIM, WIDTH, WIDTH, size))
    encoder, decoder = (
        tuple(
            (rng.normal(0.0, n**-0.5, (m, n)).astype(np.float32), np.zeros(m, np.float32))
            for n, m in itertools.pairwise(sizes)
        )
        for sizes in ends
    )
    center = ((spec.lower + spec.upper) / 2.0).astype(np.float32)
    scale = (spec.upper - spec.lower).astype(np.float32)
    return Coder(hand_modality(spec), center, scale, encoder, decoder)


def prepare(folder: Path, hands: tuple[str, ...]) -> None:
    """A space, and the hands' files at the source's rate."""
    for name in hands:
        spec = read_hand(name)
        lines = spec.path.read_text().splitlines()
        wanted = [
            f"  rate_hz: {RATE_HZ}" if line.startswith("  rate_hz:") else line for line in lines
        ]
        (folder / spec.path.name).write_text("\n".join(wanted) + "\n")
    coders = {name: coder(read_hand(name), seed) for seed, name in enumerate(hands)}
    space = HandSpace(founded("hand/bench", DIM, coders), coders)
    save_space(folder / "space", space, origin_now("none", "random"))


def command_of(spec: HandSpec):
    """The driver's message class, and one message of its size."""
    from lam_retarget.adapters import Drive, find_adapter
    from lam_retarget.messages import find_type

    adapter, kind = find_adapter(spec.command.type), find_type(spec.command.type)
    names = tuple(channel.name or channel.joint for channel in spec.command.order)
    drive = Drive(names, [0.0] * len(names), period_s=1.0 / RATE_HZ)
    return kind, adapter.build(drive, kind, *map(find_type, adapter.parts))


def relay(hand: str) -> None:
    """Child process: answer every latent at once."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.qos import QoSProfile, ReliabilityPolicy

    from lam_msgs.msg import LatentAction

    rclpy.init(domain_id=DOMAIN)
    node, spec = rclpy.create_node("relay"), read_hand(hand)
    kind, message = command_of(spec)
    publisher = node.create_publisher(kind, spec.command.name, 1)
    newest = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    node.create_subscription(
        LatentAction, TOPICS["floor"], lambda _: publisher.publish(message), newest
    )
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while True:
        executor.spin_once(timeout_sec=0.1)


def source(space: str, count: str) -> None:
    """Child process: for a listener named on stdin publish `count` latents, print their stamps."""
    import rclpy

    from lam_models.hands.space import open_space
    from lam_msgs.msg import LatentAction

    rclpy.init(domain_id=DOMAIN)
    node, latent = rclpy.create_node("source"), open_space(space).latent
    publishers = {
        name: node.create_publisher(LatentAction, topic, 10) for name, topic in TOPICS.items()
    }
    # Round the sphere: each latent differs from the one before.
    a, b = np.linalg.qr(np.random.default_rng(0).normal(size=(DIM, 2)))[0].T
    message = LatentAction(space=latent.name, space_hash=latent.space_hash, horizon=1, dim=DIM)
    phase = 0.0
    for line in sys.stdin:
        publisher = publishers[line.strip()]
        while publisher.get_subscription_count() == 0:
            time.sleep(0.01)
        time.sleep(SETTLE_S)
        stamps = []
        for _ in range(int(count)):
            phase += 0.01
            message.values = array("f", (np.cos(phase) * a + np.sin(phase) * b).tolist())
            started = time.monotonic()
            stamps.append(time.time_ns())
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamps[-1], 10**9)
            publisher.publish(message)
            time.sleep(max(0.0, started + 1.0 / RATE_HZ - time.monotonic()))
        time.sleep(0.1)
        print(json.dumps(stamps), flush=True)


def sink(hand: str) -> None:
    """Child process: note when each command arrives; print the times for each line on stdin."""
    import threading

    import rclpy
    from rclpy.executors import SingleThreadedExecutor

    rclpy.init(domain_id=DOMAIN)
    node, spec = rclpy.create_node("driver"), read_hand(hand)
    kind, _ = command_of(spec)
    times: list[int] = []
    node.create_subscription(kind, spec.command.name, lambda _: times.append(time.time_ns()), 10)
    executor = SingleThreadedExecutor()
    executor.add_node(node)

    def answer() -> None:
        for _ in sys.stdin:
            print(json.dumps(times), flush=True)
            times.clear()

    threading.Thread(target=answer, daemon=True).start()
    while True:
        executor.spin_once(timeout_sec=0.1)


class Partner(Child):
    """A process that answers a line by a line."""

    def __init__(self, *words: str) -> None:
        env = {**os.environ, "ROS_DOMAIN_ID": str(DOMAIN)}
        super().__init__(*words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)

    def ask(self, word: str = "") -> np.ndarray:
        assert self.stdin is not None and self.stdout is not None
        self.stdin.write(word + "\n")
        self.stdin.flush()
        return np.array(json.loads(self.stdout.readline()), dtype=np.int64)

    def end(self) -> str:
        """Ask it to end; what it still said."""
        self.send_signal(signal.SIGINT)
        return self.communicate(timeout=30.0)[0]


def answers_ms(talk: Partner, ear: Partner, listener: str) -> np.ndarray:
    """Time from each latent of a round to the first command after it [ms]; inf where none came."""
    stamps, arrivals = talk.ask(listener), ear.ask()
    arrived = np.append(arrivals.astype(float), np.inf)[np.searchsorted(arrivals, stamps)]
    return (arrived - stamps) / 1e6


def measure_hand(hand: str, folder: Path, rounds: int, count: int) -> Row:
    """One hand's figures."""
    space, file = folder / "space", folder / read_hand(hand).path.name
    parameters = (f"space:={space}", f"hand:={file}", "state_topic:=''")
    words = [word for parameter in parameters for word in ("-p", parameter)]
    with (
        Partner("-c", NODE, "--ros-args", "--log-level", "warn", *words) as node,
        Partner(__file__, "--child", "relay", hand),
        Partner(__file__, "--child", "sink", hand) as ear,
        Partner(__file__, "--child", "source", str(space), str(count)) as talk,
    ):
        activate = ["-m", "lam_bringup.activate_node", "--ros-args", "-p", "nodes:=[retarget_node]"]
        env = {**os.environ, "ROS_DOMAIN_ID": str(DOMAIN)}
        subprocess.run([sys.executable, *activate], env=env, check=True, capture_output=True)
        for name in TOPICS:  # The first messages find their ways.
            answers_ms(talk, ear, name)
        turns = [{name: answers_ms(talk, ear, name) for name in TOPICS} for _ in range(rounds)]
        lost = (1 + rounds) * count - int(node.end())
    took = {name: np.stack([turn[name] for turn in turns]) for name in TOPICS}
    return row_of(hand, took) | {"lost": lost}


def row_of(hand: str, took: dict[str, np.ndarray]) -> Row:
    """took: times [rounds messages] ms of floor and node."""
    spec = read_hand(hand)
    row: Row = {"hand": hand, "type": spec.command.type, "joints": len(spec.command.order)}
    for name, times in took.items():
        row[f"late_{name}"] = int((times > 1e3 / RATE_HZ).sum())
    row["messages"] = int(took["node"].size)
    for percent in (50, 95, 99):
        by_round = {name: np.percentile(times, percent, axis=1) for name, times in took.items()}
        row[f"floor_p{percent}_ms"] = float(np.median(by_round["floor"]))
        row[f"added_p{percent}_ms"] = float(np.median(by_round["node"] - by_round["floor"]))
    return row


def measure(quick: bool) -> list[Row]:
    hands, rounds, count = (HANDS[1:2], 1, 150) if quick else (HANDS, 6, 500)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, hands)
        return [measure_hand(hand, folder, rounds, count) for hand in hands]


def draw(rows: list[Row], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 0.6 * len(rows) + 1.8))
    percents, colours = (50, 95, 99), ("#2a7f62", "#7fb8a0", "#c9dfd4")
    for index, row in enumerate(rows):
        for percent, colour, shift in zip(percents, colours, (0.25, 0.0, -0.25), strict=True):
            floor, added = float(row[f"floor_p{percent}_ms"]), float(row[f"added_p{percent}_ms"])
            axes.barh(-index + shift, floor, 0.22, color="#b9b4a7")
            label = f"p{percent} added" if index == 0 else None
            axes.barh(-index + shift, added, 0.22, left=floor, color=colour, label=label)
    axes.set_yticks([-index for index in range(len(rows))], [str(row["hand"]) for row in rows])
    axes.set(
        xlabel="latent to command [ms]; grey: two bare messages", title="retarget_node, 100 Hz"
    )
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=130)


def table(rows: list[Row]) -> list[Row]:
    """What fits on a screen."""
    kept = ("hand", "joints", "messages", "lost", "late_node", "floor_p95_ms")
    kept += tuple(f"added_p{percent}_ms" for percent in (50, 95, 99))
    return [{name: row[name] for name in kept} for row in rows]


GOALS = (
    *(
        Goal(f"{h}: added at p95, ms", figure_of("added_p95_ms", hand=h), at_most=1.0)
        for h in HANDS
    ),
    *(Goal(f"{h}: latents lost", figure_of("lost", hand=h), at_most=0.0) for h in HANDS),
)

if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        role, *words = sys.argv[2:]
        {"source": source, "relay": relay, "sink": sink}[role](*words)
    else:
        summary = "What retarget_node adds between a latent and a hand's command"
        main(Benchmark("retarget_latency", summary, measure, draw, GOALS, table=table))
