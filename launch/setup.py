"""ament_python needs a setup.py; everything is said here once."""

from glob import glob

from setuptools import find_packages, setup

NAME = "lam_bringup"

setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", sorted(glob("launch/*.launch.xml"))),
        (f"share/{NAME}/robots", sorted(glob("robots/*.yaml"))),
        (f"share/{NAME}/config", sorted(glob("config/*"))),
    ],
    install_requires=["setuptools", "numpy", "opencv-python-headless", "pyyaml", "rich"],
    zip_safe=True,
    maintainer="lam-ros maintainers",
    maintainer_email="maintainers@lam-ros.org",
    description="Launch files, robots and the lam command.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "lam = lam_bringup.cli:main",
            "activate = lam_bringup.activate_node:main",
        ],
        "lam.commands": [
            "launch = lam_bringup.launch_command",
            "demo = lam_bringup.demo",
        ],
    },
)
