"""The interface definitions of this package as text, cut into their parts."""

from __future__ import annotations

import re
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
FILES = sorted(
    path for kind in ("msg", "srv", "action") for path in (PACKAGE / kind).glob(f"*.{kind}")
)
_PART_NAMES = {
    ".msg": [""],
    ".srv": ["Request", "Response"],
    ".action": ["Goal", "Result", "Feedback"],
}


def parts(path: Path) -> dict[str, str]:
    """The definition's text by part: "" for a message, "Request", "Goal", ... for the others."""
    texts = re.split(r"^---$", path.read_text(), flags=re.MULTILINE)
    return dict(zip(_PART_NAMES[path.suffix], texts, strict=True))


def class_of(path: Path, part: str) -> type:
    """The generated Python class of one part."""
    import importlib

    module = importlib.import_module(f"lam_msgs.{path.suffix[1:]}")
    interface = getattr(module, path.stem)
    return getattr(interface, part) if part else interface
