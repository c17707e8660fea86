"""ament_python needs a setup.py; everything is said here once."""

from setuptools import find_packages, setup

NAME = "lam_sim"

setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    install_requires=["setuptools", "numpy", "mujoco", "jaxtyping", "opencv-python-headless"],
    zip_safe=True,
    maintainer="lam-ros maintainers",
    maintainer_email="maintainers@lam-ros.org",
    description="A simulated arm with exchangeable hands: worlds, tasks, experts and one node.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "sim_node = lam_sim.sim_node:main",
            "expert_node = lam_sim.expert_node:main",
        ],
        "lam.commands": [
            "data.generate = lam_sim.rollouts.generate",
            "data.record = lam_sim.rollouts.record",
            "eval = lam_sim.rollouts.evaluate",
        ],
    },
)
