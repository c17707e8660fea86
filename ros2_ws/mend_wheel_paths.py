"""Mend the CMake files of the ROS 2 wheels, which name directories of the machine that built them.

Exported targets under <venv>/share point to /opt/python/cp3X-cp3X/include/... for Python's and
NumPy's headers. Run with the venv's own Python; running it again changes nothing.
"""

from __future__ import annotations

import re
import sysconfig
from pathlib import Path

import numpy

BUILDER = r"/opt/python/cp3\d+-cp3\d+"
NUMPY_INCLUDE = re.compile(BUILDER + r"/lib/python3\.\d+/site-packages/numpy/_?core/include")
PYTHON_INCLUDE = re.compile(BUILDER + r"/include/python3\.\d+")


def mend(text: str, python_include: str, numpy_include: str) -> str:
    """The text with the builder's two include directories replaced by this machine's."""
    text = NUMPY_INCLUDE.sub(lambda _: numpy_include, text)
    return PYTHON_INCLUDE.sub(lambda _: python_include, text)


def main() -> None:
    share = Path(sysconfig.get_path("data")) / "share"
    python_include, numpy_include = sysconfig.get_path("include"), numpy.get_include()
    mended = 0
    for path in share.rglob("*.cmake"):
        text = path.read_text()
        if (after := mend(text, python_include, numpy_include)) != text:
            path.write_text(after)
            mended += 1
    print(f"mended {mended} CMake files")


if __name__ == "__main__":
    main()
