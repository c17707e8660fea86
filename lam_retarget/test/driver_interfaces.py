"""The interface of a gripper's driver, built for tests where no installed package has it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

# The fields that control_msgs publishes under these names.
_STATE = "float64 position\nfloat64 effort\nbool stalled\nbool reached_goal\n"
_FILES = {
    "msg/GripperCommand.msg": "float64 position\nfloat64 max_effort\n",
    "action/GripperCommand.action": f"GripperCommand command\n---\n{_STATE}---\n{_STATE}",
    "CMakeLists.txt": """
cmake_minimum_required(VERSION 3.16)
project(control_msgs)
find_package(ament_cmake REQUIRED)
find_package(rosidl_default_generators REQUIRED)
rosidl_generate_interfaces(control_msgs msg/GripperCommand.msg action/GripperCommand.action)
ament_package()
""",
    "package.xml": """<package format="3">
  <name>control_msgs</name>
  <version>0.0.0</version>
  <description>One interface of a driver, for tests.</description>
  <maintainer email="maintainers@lam-ros.org">lam-ros maintainers</maintainer>
  <license>Apache-2.0</license>
  <buildtool_depend>ament_cmake</buildtool_depend>
  <buildtool_depend>rosidl_default_generators</buildtool_depend>
  <depend>action_msgs</depend>
  <exec_depend>rosidl_default_runtime</exec_depend>
  <member_of_group>rosidl_interface_packages</member_of_group>
  <export><build_type>ament_cmake</build_type></export>
</package>
""",
}
_PYTHON = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
_PATHS = {"AMENT_PREFIX_PATH": "", "LD_LIBRARY_PATH": "lib", "PYTHONPATH": _PYTHON}


def gripper_environment(workspace: Path) -> Mapping[str, str]:
    """An environment whose processes find control_msgs; built in `workspace` once (11 s of CPU).

    Skips the test where it is neither installed nor can be built.
    """
    if importlib.util.find_spec("control_msgs"):
        return os.environ
    if importlib.util.find_spec("colcon_ros") is None:
        pytest.skip("control_msgs is not installed, and there is no colcon to build it with")
    prefix = workspace / "install"
    if not (prefix / "share" / "control_msgs" / "package.sh").exists():
        _build(workspace)
    paths = {
        name: os.pathsep.join([str(prefix / folder), *filter(None, [os.environ.get(name)])])
        for name, folder in _PATHS.items()
    }
    return {**os.environ, **paths}


def _build(workspace: Path) -> None:
    for name, text in _FILES.items():
        path = workspace / "control_msgs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    colcon = [sys.executable, "-m", "colcon", "build", "--merge-install", "--cmake-args"]
    colcon += ["-DBUILD_TESTING=OFF", f"-DPython3_EXECUTABLE={sys.executable}"]
    built = subprocess.run(colcon, cwd=workspace, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
