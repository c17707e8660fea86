#!/bin/bash
# Source ROS 2 and the workspace, then become the command.
source /opt/ros/jazzy/setup.bash
source /lam-ros/.venv/lam-env.sh
exec "$@"
