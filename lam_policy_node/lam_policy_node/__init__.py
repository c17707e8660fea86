"""Cameras to end-effector motion and hand latents: the node that runs a policy."""
