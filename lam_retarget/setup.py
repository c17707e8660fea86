"""ament_python needs a setup.py; everything is said here once."""

from setuptools import find_packages, setup

NAME = "lam_retarget"

setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    install_requires=["setuptools", "numpy", "jaxtyping"],
    zip_safe=True,
    maintainer="lam-ros maintainers",
    maintainer_email="maintainers@lam-ros.org",
    description="Latent actions and tracked human hands to any gripper or dexterous hand.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "retarget_node = lam_retarget.retarget_node:main",
            "retarget_keypoints_node = lam_retarget.retarget_keypoints_node:main",
            "hand_player_node = lam_retarget.hand_player_node:main",
        ],
    },
)
