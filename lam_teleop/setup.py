"""ament_python needs a setup.py; everything is said here once."""

from setuptools import find_packages, setup

NAME = "lam_teleop"

setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    install_requires=["setuptools", "numpy", "jaxtyping", "mcap", "pyyaml", "zstandard"],
    zip_safe=True,
    maintainer="lam-ros maintainers",
    maintainer_email="maintainers@lam-ros.org",
    description="Teleoperation inputs, who commands the robot, and the recorder of episodes.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "arbiter_node = lam_teleop.arbiter_node:main",
            "keyboard_node = lam_teleop.keyboard_node:main",
            "joy_node = lam_teleop.joy_node:main",
            "record_node = lam_teleop.record_node:main",
        ],
        "lam.commands": [
            "bags.info = lam_teleop.bags.info_command",
            "bags.repair = lam_teleop.bags.repair_command",
        ],
    },
)
