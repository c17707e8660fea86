"""The simulated robot: worlds, tasks, scripted experts and distractors; one thin ROS node.

The two settings below must stand before MuJoCo is first imported: EGL draws without a display, and
one software-rendering thread a process is faster than many that fight over the cores.
"""

import os

os.environ.setdefault("MUJOCO_GL", "egl")
os.environ.setdefault("LP_NUM_THREADS", "1")
