"""Other people's weight files as named tensors: PyTorch's, Lightning's, safetensors.

A PyTorch file is a pickle, which may name code to run. It is read by torch's restricted reader,
which takes tensors and plain containers and refuses all else.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from lam_models.command import UserError

Tensors: TypeAlias = Mapping[str, Tensor]

# What wrapping a module in others puts before all its names: data parallelism, UniVLA's trainer.
_WRAPPINGS = ("module.", "lam.")


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, without the wrappings that all their names begin with.

    Of a Lightning checkpoint, those of its entry `state_dict`. UserError where the file is damaged,
    holds code, or anything but named tensors.
    """
    if not path.is_file():
        raise UserError(f"no weight file at {path}")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickled(path)
    if isinstance(content, Mapping):
        content = content.get("state_dict", content)
    if not isinstance(content, Mapping) or not content:
        raise UserError(f"{path} holds no named tensors but {type(content).__name__}")
    for name, value in content.items():
        if not isinstance(value, Tensor):
            raise UserError(f"{path}: '{name}' is no tensor but {type(value).__name__}")
    return _unwrapped({str(name): value.detach() for name, value in content.items()})


def _read_safetensors(path: Path) -> Any:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise UserError(f"{path} is not a readable safetensors file: {error}") from error


def _read_pickled(path: Path) -> Any:
    try:
        # Only files of the newer kind, which are archives, can stay on disk until they are used.
        mapped = zipfile.is_zipfile(path)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        if named is None:
            raise UserError(f"{path} is not a readable PyTorch file") from error
        raise UserError(
            f"{path} holds more than tensors: it names {named[1]}, which reading it would run. If "
            "you trust its author, save the tensors alone elsewhere: "
            "torch.save(torch.load(FILE, weights_only=False)['state_dict'], NEW_FILE)"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} is not a readable PyTorch file: {error}") from error


def _unwrapped(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    for wrapping in _WRAPPINGS:
        if all(name.startswith(wrapping) for name in tensors):
            tensors = {name.removeprefix(wrapping): value for name, value in tensors.items()}
    return tensors
