"""What travels between the node and its policy's process.

Pictures go through memory that both map, everything else as one message (wire.py). One request is
on its way at a time, so the memory needs no lock: it belongs to the asker before and after.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from mmap import mmap
from typing import Any

from lam_models.command import UserError
from lam_models.policy.committed import Committed
from lam_models.types import ActionChunk
from lam_policy_node import wire
from lam_policy_node.observing import Picture, State

# Room for each camera; memory that was never written takes none.
SLOT_BYTES = 32 << 20


@dataclass(frozen=True)
class Request:
    """A question to the policy. pictures: exposure time [ns] and image of each camera."""

    number: int
    stamp_ns: int
    instruction: str
    state: State
    pictures: Mapping[str, tuple[int, Picture]]
    committed: Committed | None = None


@dataclass(frozen=True)
class Answer:
    """The answer to request `number`: a chunk, or the error that came instead.

    observed_ns, model_ns: monotonic durations of making the observation and of the policy itself.
    done_ns: monotonic instant at which the policy had answered.
    """

    number: int
    chunk: ActionChunk | None
    observed_ns: int = 0
    model_ns: int = 0
    done_ns: int = 0
    error: str = ""


def pack_request(request: Request, memory: mmap) -> bytes:
    """Put the pictures into the memory and the rest into a message."""
    pictures = {}
    for slot, (camera, (stamp_ns, picture)) in enumerate(request.pictures.items()):
        data = memoryview(picture.data).cast("B")
        if len(data) > SLOT_BYTES:
            raise UserError(
                f"an image of camera '{camera}' has {len(data)} bytes, more than {SLOT_BYTES}"
            )
        begin = slot * SLOT_BYTES
        memory[begin : begin + len(data)] = data
        described = {k: v for k, v in vars(picture).items() if k != "data"}
        pictures[camera] = [stamp_ns, begin, len(data), described]
    header: dict[str, Any] = {
        "number": request.number,
        "stamp_ns": request.stamp_ns,
        "instruction": request.instruction,
        "pictures": pictures,
    }
    arrays = {f"state/{name}": vector for name, vector in request.state.items()}
    if request.committed is not None:
        plan, of_plan = wire.chunk_parts(request.committed.plan, "committed/")
        header["committed"] = {"plan": plan, "steps": request.committed.steps}
        arrays |= of_plan
    return wire.pack(header, arrays)


def unpack_request(message: bytes, memory: mmap) -> Request:
    """The request; its pictures are views of the memory."""
    header, arrays = wire.unpack(message)
    view = memoryview(memory)
    pictures = {
        camera: (stamp_ns, Picture(data=view[begin : begin + size], **described))
        for camera, (stamp_ns, begin, size, described) in header["pictures"].items()
    }
    committed = None
    if told := header.get("committed"):
        plan = wire.chunk_from(told["plan"], arrays, "committed/")
        committed = Committed(plan, told["steps"])
    state = {
        name.removeprefix("state/"): vector
        for name, vector in arrays.items()
        if name.startswith("state/")
    }
    return Request(
        header["number"], header["stamp_ns"], header["instruction"], state, pictures, committed
    )


def pack_answer(answer: Answer) -> bytes:
    """The message of an answer."""
    header = {k: v for k, v in vars(answer).items() if k != "chunk"}
    if answer.chunk is None:
        return wire.pack(header, {})
    parts, arrays = wire.chunk_parts(answer.chunk)
    return wire.pack({**header, "chunk": parts}, arrays)


def unpack_answer(message: bytes) -> Answer:
    """What `pack_answer` was given."""
    header, arrays = wire.unpack(message)
    parts = header.pop("chunk", None)
    return Answer(chunk=None if parts is None else wire.chunk_from(parts, arrays), **header)
