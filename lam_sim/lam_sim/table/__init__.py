"""Our own world: a Panda at a table, in MuJoCo, from primitives. No ROS."""
