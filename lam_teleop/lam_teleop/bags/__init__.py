"""Recording of episodes as MCAP bags, free of ROS."""
