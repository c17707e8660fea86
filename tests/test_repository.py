"""Facts about the tree that colcon, ROS 2 and its readers rely on."""

from __future__ import annotations

import ast
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from mend_wheel_paths import mend

ROOT = Path(__file__).resolve().parent.parent
LINKS = sorted((ROOT / "ros2_ws" / "src").iterdir())
BUILD_TYPES = {"lam_msgs": "ament_cmake"}


@pytest.mark.parametrize("link", LINKS, ids=lambda p: p.name)
def test_package_is_linked_and_described(link: Path) -> None:
    """A wrong e-mail or name makes colcon silently choose another build type."""
    assert link.is_symlink() and not link.readlink().is_absolute()
    package = ElementTree.parse(link / "package.xml").getroot()
    assert package.get("format") == "3" and package.findtext("name") == link.name
    maintainer = package.find("maintainer")
    assert maintainer is not None
    assert re.fullmatch(r"[\w.-]+@[\w-]+\.\w+", maintainer.get("email", ""))
    expected = BUILD_TYPES.get(link.name, "ament_python")
    assert package.findtext("export/build_type") == expected
    assert package.findtext("license") == "Apache-2.0"
    if expected == "ament_python":
        assert (link / "resource" / link.name).exists() and (link / "setup.py").exists()


def tracked_python() -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listing.stdout.split() if (ROOT / name).exists()]


def test_budgets() -> None:
    """Tails decide: the hard limits on the size of files, functions, nodes and nesting."""
    over = []
    for path in tracked_python():
        text = path.read_text()
        lines = text.count("\n")
        limit = 200 if path.name.endswith("_node.py") else 400
        if lines > limit and "test" not in path.parts and "tests" not in path.parts:
            over.append(f"{path.relative_to(ROOT)}: {lines} lines, limit {limit}")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > 80:
                    over.append(f"{path.relative_to(ROOT)}:{node.lineno}: {length} lines, limit 80")
    assert not over, "\n".join(over)


def test_wheel_paths_are_mended_once_and_for_any_python() -> None:
    before = (
        "/opt/python/cp312-cp312/lib/python3.12/site-packages/numpy/_core/include;"
        "/opt/python/cp311-cp311/include/python3.11;/usr/include"
    )
    after = mend(before, "/py", "/np")
    assert after == "/np;/py;/usr/include"
    assert mend(after, "/py", "/np") == after
