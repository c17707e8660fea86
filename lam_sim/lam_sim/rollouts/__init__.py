"""Whole episodes: acting in a world, recording datasets, measuring success. No ROS."""
