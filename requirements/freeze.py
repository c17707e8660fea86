"""Print the installed distributions as requirements, for `make lock`.

`pip freeze` would also list the ROS packages inside the wheels, which carry an egg-info of their
own but are no distributions of the index.
"""

from importlib.metadata import distributions

SEEDS = {"pip", "wheel", "lam_models"}

installed = {
    # Without the label of a local build such as +cpu, which the index does not have.
    (distribution.metadata["Name"], distribution.version.partition("+")[0])
    for distribution in distributions()
    if str(getattr(distribution, "_path", "")).endswith(".dist-info")
}
for name, version in sorted(installed, key=lambda pair: pair[0].lower()):
    if name not in SEEDS:
        print(f"{name}=={version}")
