"""The direction of imports (design: types, geometry <- sense <- data <- stages and so on).

Imports are read from the source text, so the test needs none of the packages to be installed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "models" / "src" / "lam_models"
ROS_PACKAGES = {
    "lam_sim": ROOT / "lam_sim" / "lam_sim",
    "lam_policy_node": ROOT / "lam_policy_node" / "lam_policy_node",
    "lam_retarget": ROOT / "lam_retarget" / "lam_retarget",
    "lam_teleop": ROOT / "lam_teleop" / "lam_teleop",
    "lam_bringup": ROOT / "launch" / "lam_bringup",
}
# Only these files of a ROS package may know ROS; everything else stays importable without it.
# outlets.py: the publishers and clients of drivers, whose types are known at run time only.
SHELL = ("_node.py", "messages.py", "params.py", "outlets.py")
ROS_MODULES = {"rclpy", "rcl_interfaces", "builtin_interfaces", "std_srvs", "lifecycle_msgs"}

# What each part of lam_models may import from lam_models.
ROOT_MODULES = {"types", "geometry", "command", "settings", "strict_json", "strict_yaml"}
ALLOWED = {
    "types": set(),
    "geometry": set(),
    "command": set(),
    "settings": {"command"},
    "strict_json": {"command"},
    "strict_yaml": {"command"},
    "checkpoint": {"types", "command", "strict_json"},
    "recipes": ROOT_MODULES | {"checkpoint", "systems", "policy", "stages"},
    "sense": ROOT_MODULES,
    "data": ROOT_MODULES | {"sense"},
    "nn": {"types", "command"},
    "hands": ROOT_MODULES | {"checkpoint"},
    "systems": ROOT_MODULES | {"nn", "hands", "checkpoint"},
    "policy": ROOT_MODULES | {"sense", "nn", "systems", "checkpoint"},
    "stages": ROOT_MODULES
    | {"sense", "data", "nn", "hands", "systems", "policy", "checkpoint", "recipes"},
}


def imports(path: Path) -> Iterator[str]:
    """Dotted names of every import, `from a.b import c` as a.b.c."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import of {node.module}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def sources(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py")) if folder.exists() else []


@pytest.mark.parametrize("path", sources(MODELS), ids=lambda p: str(p.relative_to(MODELS)))
def test_lam_models_imports_point_one_way(path: Path) -> None:
    part = path.relative_to(MODELS).parts[0].removesuffix(".py")
    for name in imports(path):
        top, _, rest = name.partition(".")
        assert top not in ROS_MODULES and not top.endswith("_msgs"), f"{path}: {name} is ROS"
        assert top not in ROS_PACKAGES, f"{path}: lam_models never imports a ROS package ({name})"
        if top == "lam_models" and part != "__init__":
            other = rest.split(".")[0]
            assert other == part or other in ALLOWED[part], f"{path}: {part} may not import {name}"


@pytest.mark.parametrize("package", ROS_PACKAGES)
def test_ros_stays_in_the_shell_and_packages_stay_apart(package: str) -> None:
    for path in sources(ROS_PACKAGES[package]):
        for name in imports(path):
            top = name.partition(".")[0]
            assert top not in ROS_PACKAGES.keys() - {package}, f"{path} imports {name}"
            if not path.name.endswith(SHELL):
                is_ros = top in ROS_MODULES or top.endswith("_msgs")
                assert not is_ros, f"{path}: only {', '.join(SHELL)} may import {name}"


def test_no_folder_shadows_a_package() -> None:
    for folder in ("launch", "models", "lam_sim", "lam_msgs"):
        assert not (ROOT / folder / "__init__.py").exists(), f"{folder}/__init__.py would shadow"
