"""Meta-World (50 tasks of a Sawyer arm, scripted policies) as one more World.

An outside benchmark beside our own tasks. It pins an older MuJoCo, so it lives in a venv of its
own (`make metaworld`); this file is imported only there. What differs from our world:

* The hand's orientation is fixed: the rotation of an action is ignored.
* The hand is one number: the benchmark's gripper command, -1 opens, 1 closes, in between it
  squeezes more or less. Its measured value is the opening [m].
* Positions are in the benchmark's world frame, which has its origin in the robot's base.
* Its policies read the benchmark's own observation vector, so its expert works only beside its
  world, not over ROS.

One action is spread over several of the benchmark's steps of 12.5 ms, each of which moves at most
1 cm along an axis. Shadows, multisampling and reflections are off: they cost more than all else.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import mujoco
import numpy as np
from jaxtyping import Float32, Float64, UInt8
from metaworld.env_dict import ALL_V3_ENVIRONMENTS
from metaworld.policies import ENV_POLICY_MAP

from lam_models.command import UserError, unknown
from lam_models.geometry import pose, so3_log
from lam_models.sense.pinhole import Pinhole
from lam_models.types import Action
from lam_sim.interface import Expert, Truth
from lam_sim.metaworld.distractors import DISTRACTORS, FRONT_CAMERA, Distractors
from lam_sim.worlds import WorldChoice

NATIVE_HZ = 80
TASKS = tuple(sorted(name.removesuffix("-v3") for name in ENV_POLICY_MAP))
HANDS = ("metaworld_gripper",)
# The benchmark's horizon of 500 of its steps.
TIME_LIMIT_S = 500 / NATIVE_HZ

# A native action of 1 moves the commanded hand by this much.
_METERS_PER_UNIT = 0.01
# Camera of the model, and whether it hangs upside down there.
_CAMERAS = {"front": (FRONT_CAMERA, True), "wrist": ("wrist", False)}
_OBJECTS = ("object_0", "object_1")
_POSE_NAMES = ("x_m", "y_m", "z_m", "q0", "q1", "q2", "q3")


@dataclass(frozen=True)
class MetaWorldSettings:
    """task: e.g. "pick-place". control_hz: a divisor of the benchmark's 80 Hz."""

    task: str
    control_hz: int = 40
    distractors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise unknown("task", self.task, TASKS)
        if self.control_hz <= 0 or NATIVE_HZ % self.control_hz:
            raise UserError(
                f"Meta-World runs at {NATIVE_HZ} Hz: {self.control_hz} Hz is no divisor"
            )
        for name in self.distractors:
            if name not in DISTRACTORS:
                raise unknown("distractor", name, DISTRACTORS)


class MetaWorld:
    """One Meta-World task. Equal settings and seeds give equal states and images."""

    action_names = (*(f"delta_ee.{axis}" for axis in ("x", "y", "z", "rx", "ry", "rz")), "gripper")
    state_names = (
        *("ee.x_m", "ee.y_m", "ee.z_m", "ee.rx_rad", "ee.ry_rad", "ee.rz_rad"),
        "gripper.opening_m",
    )
    cameras: tuple[str, ...] = tuple(_CAMERAS)
    pinholes: Mapping[str, Pinhole] = {}

    def __init__(self, settings: MetaWorldSettings) -> None:
        self.control_hz = float(settings.control_hz)
        self.instruction = settings.task.replace("-", " ")
        self._task = settings.task
        self._repeat = NATIVE_HZ // settings.control_hz
        self._distractors = Distractors(settings.distractors)
        self._env = _environment(settings.task, self._distractors)
        self._policy = ENV_POLICY_MAP[f"{settings.task}-v3"]
        self._views: dict[tuple[int, int], mujoco.Renderer] = {}
        self._observation = np.zeros(39)
        self._steps = 0
        self._success = False
        objects = [f"{name}.{axis}" for name in _OBJECTS for axis in _POSE_NAMES]
        goal = [f"goal.{axis}" for axis in _POSE_NAMES[:3]]
        self.environment_names = (*objects, *goal, *self._distractors.names)

    def reset(self, seed: int) -> None:
        """Begin the episode `seed`."""
        self._env.seed(seed)
        self._observation, _ = self._env.reset()
        self._steps, self._success = 0, False
        self._distractors.reset(self._env.model, np.random.default_rng([seed, 1]))
        self._distractors.move(self._env.model, 0.0)
        mujoco.mj_forward(self._env.model, self._env.data)

    def step(self, action: Action) -> None:
        """Execute one control period's action."""
        units = action.delta_ee[:3] / (_METERS_PER_UNIT * self._repeat)
        native = np.concatenate([units, action.hand]).astype(np.float32)
        self._success = False
        for _ in range(self._repeat):
            self._steps += 1
            self._distractors.move(self._env.model, self._steps / NATIVE_HZ)
            self._observation, _, _, _, info = self._env.step(native)
            self._success |= bool(info["success"] > 0)

    def truth(self) -> Truth:
        """The state; bodies have the benchmark's positions and no orientation."""
        flat = self._observation
        places = {"object_0": flat[4:7], "object_1": flat[11:14], "goal": flat[-3:]}
        return Truth(
            time_s=self._steps / NATIVE_HZ,
            T_base_ee=self._ee_pose(),
            joint_names=("gripper",),
            joint_positions=np.array([self._opening_m()]),
            bodies={name: pose(np.eye(3), place.copy()) for name, place in places.items()},
            scalars={},
        )

    def proprioception(self) -> Float32[np.ndarray, " n"]:
        """Hand position [m], rotation vector [rad], opening [m]."""
        T = self._ee_pose()
        return np.concatenate([T[:3, 3], so3_log(T[:3, :3]), [self._opening_m()]], dtype=np.float32)

    def environment_state(self) -> Float32[np.ndarray, " m"]:
        """Object and goal poses as the benchmark observes them, then the distractors."""
        flat = self._observation
        return np.concatenate(
            [flat[4:18], flat[-3:], self._distractors.state(self._env.model)], dtype=np.float32
        )

    def render(self, camera: str, height: int, width: int) -> UInt8[np.ndarray, "h w 3"]:
        """An image of "front" or "wrist"."""
        if camera not in _CAMERAS:
            raise unknown("camera", camera, _CAMERAS)
        if (height, width) not in self._views:
            self._views[height, width] = self._open_view(height, width)
        view = self._views[height, width]
        self._distractors.upload(self._env.model, view)
        name, upside_down = _CAMERAS[camera]
        view.update_scene(self._env.data, camera=name)
        image = view.render()
        return np.ascontiguousarray(image[::-1, ::-1]) if upside_down else image.copy()

    def succeeded(self) -> bool:
        """Whether the benchmark's success test held during the last action."""
        return self._success

    def expert(self) -> Expert:
        """The benchmark's scripted policy, bound to this world."""
        return _ScriptedPolicy(self, self._policy())

    def close(self) -> None:
        """Free the GL contexts."""
        for view in self._views.values():
            view.close()
        self._views.clear()

    def _ee_pose(self) -> Float64[np.ndarray, "4 4"]:
        hand = self._env.data.body("hand")
        return pose(hand.xmat.reshape(3, 3).copy(), hand.xpos.copy())

    def _opening_m(self) -> float:
        data = self._env.data
        return float(np.linalg.norm(data.body("rightclaw").xpos - data.body("leftclaw").xpos))

    def _open_view(self, height: int, width: int) -> mujoco.Renderer:
        view = mujoco.Renderer(self._env.model, height, width)
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            view.scene.flags[flag] = False
        return view

    @property
    def observation(self) -> Float64[np.ndarray, "39"]:
        """The benchmark's own observation vector."""
        return self._observation

    @property
    def meters_per_action_unit(self) -> float:
        """How far the hand goes in one control period for a native action of 1."""
        return _METERS_PER_UNIT * self._repeat


class _ScriptedPolicy:
    """The benchmark's policy as an Expert: native actions turned into metres."""

    def __init__(self, world: MetaWorld, policy: Any) -> None:
        self._world = world
        self._policy = policy

    def act(self, truth: Truth) -> Action:
        """The next action; the policy looks at its world, of which the truth is only a part."""
        with warnings.catch_warnings():
            # The policies announce that their gains saturate, as they are meant to.
            warnings.simplefilter("ignore")
            native = self._policy.get_action(self._world.observation).astype(np.float64)
        native = np.clip(native, -1.0, 1.0)
        delta_m = native[:3] * self._world.meters_per_action_unit
        return Action(np.concatenate([delta_m, np.zeros(3)]), native[3:])


def _environment(task: str, distractors: Distractors) -> Any:
    """The benchmark's environment with goals drawn from its seed, cheap to render."""
    environment = cast(Any, ALL_V3_ENVIRONMENTS[f"{task}-v3"])

    class Prepared(environment):
        def _initialize_simulation(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
            spec = mujoco.MjSpec.from_file(os.fspath(self.fullpath))
            spec.visual.quality.shadowsize = 0
            spec.visual.quality.offsamples = 0
            _mount_wrist_camera(spec)
            distractors.add_to(spec)
            model = spec.compile()
            return model, mujoco.MjData(model)

    env = Prepared()
    # Draw the goal from the seeded generator, show it, and never end an episode by itself.
    env._freeze_rand_vec = False
    env.seeded_rand_vec = True
    env._partially_observable = False
    env.__dict__.pop("sawyer_observation_space", None)  # Cached while the goal was hidden.
    env._set_task_called = True
    env.max_path_length = 2**31
    return env


def _mount_wrist_camera(spec: mujoco.MjSpec) -> None:
    """A camera beside the palm that looks at the fingertips; the benchmark's own see little."""
    camera = spec.body("hand").add_camera(name="wrist", fovy=75.0)
    # Axes of the hand: x out of the palm, the fingers close along y.
    position, looks_at = np.array([-0.06, 0.0, 0.10]), np.array([0.07, 0.0, 0.0])
    back = (position - looks_at) / np.linalg.norm(position - looks_at)
    right = np.array([0.0, 1.0, 0.0])
    axes = np.stack([right, np.cross(back, right), back], axis=1)
    camera.pos = position
    mujoco.mju_mat2Quat(camera.quat, axes.ravel())


class MetaWorldKind:
    """Meta-World as a kind of world (lam_sim.worlds)."""

    def tasks(self) -> tuple[str, ...]:
        return TASKS

    def hands(self) -> tuple[str, ...]:
        return HANDS

    def distractors(self) -> tuple[str, ...]:
        return DISTRACTORS

    def time_limit_s(self, task: str) -> float:
        return TIME_LIMIT_S

    def make(self, choice: WorldChoice) -> MetaWorld:
        if choice.embodiment_variation:
            raise UserError("Meta-World has one fixed embodiment: leave out --human")
        return MetaWorld(MetaWorldSettings(choice.task, distractors=choice.distractors))
