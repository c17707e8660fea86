"""The trained policy that comes with this package."""

from __future__ import annotations

from pathlib import Path

from lam_models.command import UserError

SHIPPED = "shipped"  # What a command line calls it.
_FOLDER = Path(__file__).parent / "table"


def shipped_policy() -> Path:
    """Its folder. UserError where this installation has none."""
    if not (_FOLDER / "config.json").is_file():
        raise UserError(f"no trained policy is shipped here: {_FOLDER} holds no config.json")
    return _FOLDER


def policy_folder(name: str) -> Path:
    """What a command line's --policy says: a folder, or the shipped one's name."""
    return shipped_policy() if name == SHIPPED else Path(name)
