"""The process in which the policy runs: python -m lam_policy_node.policy_process SOCKET MEMORY ...

Started by worker.py with two file descriptors: a socket that keeps messages whole, and the memory
of the pictures. It answers one request after the other and ends when the socket is closed.
"""

from __future__ import annotations

import importlib
import signal
import socket
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from mmap import mmap
from typing import Any

import numpy as np

from lam_models.checkpoint import Spec
from lam_models.command import UserError
from lam_models.policy.opening import OpenedPolicy
from lam_models.strict_json import to_json
from lam_models.types import Frame, Observation
from lam_policy_node import wire
from lam_policy_node.observing import observe
from lam_policy_node.prompt import give_way
from lam_policy_node.request import Answer, pack_answer, unpack_request

MESSAGE_BYTES = 1 << 20
# The first calls of a compiled policy take long and would spoil the estimate of its delay.
_WARM_UPS = 2


def warm_up(opened: OpenedPolicy) -> float:
    """Ask it about black pictures, and say how long the last call took [s].

    A policy that can prepare itself for observations of one shape does so before.
    """
    spec, took_s = opened.spec, 0.0
    if hasattr(opened.policy, "prepare"):
        opened.policy.prepare(blank(spec))
    for _ in range(_WARM_UPS):
        started = time.monotonic()
        opened.policy.act(blank(spec))
        took_s = time.monotonic() - started
    return took_s


def blank(spec: Spec) -> Observation:
    """An observation of the right shape, of nothing."""
    now_ns = time.time_ns()
    frames = {
        camera.name: Frame(np.zeros((camera.height, camera.width, 3), np.uint8), now_ns)
        for camera in spec.cameras
    }
    state = {name: np.zeros(len(entries)) for name, entries in spec.state.items()}
    return Observation(now_ns, frames, state, "stand still")


def answer(opened: OpenedPolicy, message: bytes, memory: mmap) -> Answer:
    """What the policy says to a request."""
    started_ns = time.monotonic_ns()
    request = unpack_request(message, memory)
    try:
        seen = observe(
            opened.spec, request.pictures, request.state, request.stamp_ns, request.instruction
        )
        seen_ns = time.monotonic_ns()
        told = getattr(opened.policy, "takes_committed", False)
        chunk = opened.policy.act(seen, request.committed) if told else opened.policy.act(seen)
    except Exception as error:  # A policy may fail in any way; the node has to hear of it.
        traceback.print_exc()
        return Answer(request.number, None, error=f"{type(error).__name__}: {error}")
    done_ns = time.monotonic_ns()
    return Answer(request.number, chunk, seen_ns - started_ns, done_ns - seen_ns, done_ns)


def opened_by(opener: str, path: str, device: str) -> OpenedPolicy:
    """The policy, opened by "module:function" and warm."""
    module, _, function = opener.partition(":")
    return getattr(importlib.import_module(module), function)(path, device)


def main(argv: Sequence[str]) -> int:
    # Ctrl-C reaches the whole group; the node ends this process when it has stopped the robot.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    number, memory_number, opener, path, device = argv
    connection = socket.socket(fileno=int(number))
    with connection, mmap(int(memory_number), 0) as memory:
        try:
            opened = opened_by(opener, path, device)
            model_s = warm_up(opened)
        except UserError as error:
            connection.send(wire.pack({"failed": str(error)}, {}))
            return 2
        except Exception as error:  # As above.
            traceback.print_exc()
            connection.send(wire.pack({"failed": f"{type(error).__name__}: {error}"}, {}))
            return 1
        # The node may be gone at any moment; then nobody waits for an answer.
        with suppress(ConnectionResetError, BrokenPipeError):
            connection.send(wire.pack(_introduction(opened, model_s), {}))
            give_way()
            while message := connection.recv(MESSAGE_BYTES):
                connection.send(pack_answer(answer(opened, message, memory)))
    return 0


def _introduction(opened: OpenedPolicy, model_s: float) -> dict[str, Any]:
    return {
        "spec": to_json(opened.spec),
        "weights_hash": opened.weights_hash,
        "takes_committed": getattr(opened.policy, "takes_committed", False),
        "model_s": model_s,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
