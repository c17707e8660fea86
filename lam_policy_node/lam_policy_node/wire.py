"""Plain values and arrays as one message between two processes, without pickle.

4 bytes length of the header | JSON header | the arrays' bytes, one after the other
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Shaped

from lam_models.strict_json import to_json
from lam_models.types import ActionChunk, LatentSpec

Array = Shaped[np.ndarray, "..."]
_KINDS = ("float32", "float64", "uint16")
_ARRAYS = "arrays"


def pack(header: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    """The message of a header (JSON values) and named arrays of float32, float64 or uint16."""
    listed = {name: [str(array.dtype), list(array.shape)] for name, array in arrays.items()}
    text = json.dumps({**header, _ARRAYS: listed}).encode()
    parts = [np.ascontiguousarray(array).tobytes() for array in arrays.values()]
    return b"".join([len(text).to_bytes(4, "little"), text, *parts])


def unpack(message: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """What `pack` was given."""
    begins = 4 + int.from_bytes(message[:4], "little")
    header = json.loads(message[4:begins])
    arrays = {}
    for name, (kind, shape) in header.pop(_ARRAYS).items():
        if kind not in _KINDS:
            raise ValueError(f"array '{name}' of type {kind}; known: {', '.join(_KINDS)}")
        size = int(np.prod(shape))
        flat = np.frombuffer(message, kind, size, begins)
        arrays[name] = flat.reshape(shape).copy()
        begins += flat.nbytes
    return header, arrays


def chunk_parts(chunk: ActionChunk, prefix: str = "") -> tuple[dict[str, Any], dict[str, Array]]:
    """A chunk as header entries and arrays."""
    header = {
        "start_ns": int(chunk.start_ns),
        "dt_s": chunk.dt_s,
        "frame": chunk.frame,
        "space": to_json(chunk.hand_space),
    }
    arrays = {f"{prefix}delta_ee": chunk.delta_ee, f"{prefix}hand": chunk.hand}
    if chunk.motion_codes is not None:
        arrays[f"{prefix}motion_codes"] = chunk.motion_codes
    return header, arrays


def chunk_from(
    header: Mapping[str, Any], arrays: Mapping[str, Array], prefix: str = ""
) -> ActionChunk:
    """The chunk that `chunk_parts` took apart."""
    space = dict(header["space"])
    space["shape"] = tuple(space["shape"])
    return ActionChunk(
        start_ns=header["start_ns"],
        dt_s=header["dt_s"],
        frame=header["frame"],
        delta_ee=arrays[f"{prefix}delta_ee"].astype(np.float32),
        hand=arrays[f"{prefix}hand"].astype(np.float32),
        hand_space=LatentSpec(**space),
        motion_codes=arrays.get(f"{prefix}motion_codes"),
    )
