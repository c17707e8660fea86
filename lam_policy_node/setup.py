"""ament_python needs a setup.py; everything is said here once."""

from setuptools import find_packages, setup

NAME = "lam_policy_node"

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
    description="Cameras to end-effector motion and hand latents: the node that runs a policy.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": ["policy_node = lam_policy_node.policy_node:main"],
    },
)
