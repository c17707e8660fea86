"""Launching the robot: launch files with or without `ros2 launch`, and the `lam` command."""
