"""Meta-World behind the same interface, in a venv of its own. No ROS."""
