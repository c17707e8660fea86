"""The table world: a Panda with any end effector at any task, deterministic by settings and seed.

Actions come in, simulated time goes on, and truth, proprioception and pictures can be read.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import mujoco
import numpy as np
from jaxtyping import Float32, Float64, UInt8

from lam_models.command import UserError, unknown
from lam_models.geometry import Delta, pose, so3_log
from lam_models.sense.pinhole import Pinhole
from lam_models.types import Action
from lam_sim.interface import Expert, Truth, World
from lam_sim.table import panda
from lam_sim.table.control import TICK_HZ, TICK_S, ArmController, ArmKinematics
from lam_sim.table.distractors import DISTRACTORS, make_distractor
from lam_sim.table.effectors import EFFECTORS, EndEffector, Grasper, find_effector
from lam_sim.table.look import STANDARD_LOOK, Look, human_look, machine_look
from lam_sim.table.render import Canvas, renderer
from lam_sim.table.scene import WORKSPACE_LOWER_M, WORKSPACE_UPPER_M, Scene
from lam_sim.table.stage import CAMERAS, TIMESTEP_S, front_pinhole, looking, new_spec
from lam_sim.tasks import TASKS, task_class

__all__ = ["Expert", "TableWorld", "Truth", "World", "WorldSettings"]

_SUBSTEPS = round(TICK_S / TIMESTEP_S)
_SETTLE_STEPS = 50
_START_M = np.array([0.42, 0.0, 0.24])
_START_SPREAD_M = np.array([0.03, 0.04, 0.02])
_DELTA_NAMES = tuple(f"delta_ee.{name}" for name in ("x", "y", "z", "rx", "ry", "rz"))
_EE_NAMES = ("ee.x_m", "ee.y_m", "ee.z_m", "ee.rx_rad", "ee.ry_rad", "ee.rz_rad")


@dataclass(frozen=True)
class WorldSettings:
    """What world it is; a seed then chooses the episode.

    difficulty: 0 easy to 1 hard, as the task understands it.
    action_latency_s, camera_latency_s: simulated delays, in whole ticks of 10 ms.
    embodiment_variation: sizes and colours of arm and end effector change with the seed; hands
        look human.
    """

    task: str = "pick_place"
    end_effector: str = "parallel_gripper"
    difficulty: float = 0.5
    distractors: tuple[str, ...] = ()
    action_latency_s: float = 0.0
    camera_latency_s: float = 0.0
    embodiment_variation: bool = False

    def __post_init__(self) -> None:
        _check("task", self.task, TASKS)
        _check("end effector", self.end_effector, EFFECTORS)
        for name in self.distractors:
            _check("distractor", name, DISTRACTORS)
        if not 0.0 <= self.difficulty <= 1.0:
            raise UserError(f"difficulty is {self.difficulty:g}; allowed: 0 to 1")
        for name in ("action_latency_s", "camera_latency_s"):
            if not 0.0 <= getattr(self, name) <= 2.0:
                raise UserError(f"{name} is {getattr(self, name):g}; allowed: 0 to 2")


class TableWorld:
    """One robot at one table. `reset` begins an episode; call it before anything else.

    `step` is one control period. The finer interface beneath it, for real time: `command` spreads
    a delta from now, `command_hand` sets the hand's targets, `advance` lets time go on. Without
    commands the arm stands still.
    """

    control_hz = 20.0
    cameras = CAMERAS
    pinholes: Mapping[str, Pinhole] = {"front": front_pinhole()}

    def __init__(self, settings: WorldSettings, seed: int = 0) -> None:
        self.settings = settings
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """Begin the episode of that seed."""
        settings = self.settings
        self._seed = seed
        self._task = task_class(settings.task).sample(self._rng("task"), settings.difficulty)
        self.instruction = self._task.instruction
        self.effector: EndEffector = find_effector(settings.end_effector)(self._look())
        self._distractors = [make_distractor(n, self._rng(n)) for n in settings.distractors]
        self._build()
        self._set_names()
        self._start()

    def _rng(self, purpose: str) -> np.random.Generator:
        """A stream for each purpose, so that adding one thing leaves the others as they were."""
        return np.random.default_rng([self._seed, zlib.crc32(purpose.encode())])

    def _look(self) -> Look:
        rng = self._rng("look")
        if not self.settings.embodiment_variation:
            self._arm_look = STANDARD_LOOK
        elif find_effector(self.settings.end_effector).human:
            self._arm_look = human_look(rng)
        else:
            self._arm_look = machine_look(rng)
        return self._arm_look

    def _build(self) -> None:
        spec = new_spec()
        flange = panda.add_arm(spec, self._arm_look)
        self.effector.attach(spec, flange)
        for body in flange.find_all("body"):
            body.gravcomp = 1.0
        flange.add_site(name="ee_link", pos=(0, 0, self.effector.grasp_point_m))
        eye = np.array(self.effector.camera_m)
        aim = np.array([0.0, 0.0, self.effector.grasp_point_m + 0.01])
        flange.add_camera(name="wrist", pos=eye, quat=looking(aim - eye, (1, 0, 0)), fovy=70.0)
        scene = Scene(spec)
        self._task.build(scene)
        for distractor in self._distractors:
            distractor.build(spec)
        self._model = spec.compile()
        self._data = mujoco.MjData(self._model)
        self._canvas = Canvas(self._model)
        for distractor in self._distractors:
            distractor.bind(self._model)
        self._index(scene)

    def _index(self, scene: Scene) -> None:
        model, effector = self._model, self.effector
        self._bodies = {name: model.body(name).id for name in scene.bodies}
        self._scalars = {
            name: int(model.joint(joint).qposadr[0]) for name, joint in scene.scalars.items()
        }
        self._arm_qpos = [int(model.joint(name).qposadr[0]) for name in panda.JOINT_NAMES]
        self._arm_ctrl = [model.actuator(name).id for name in panda.JOINT_NAMES]
        self._hand_ctrl = [model.actuator(name).id for name in effector.joint_names]
        self._ee_site = model.site("ee_link").id

    def _set_names(self) -> None:
        hand = self.effector.joint_names
        self.action_names = (*_DELTA_NAMES, *hand)
        self.state_names = (*_EE_NAMES, *hand)
        parts = ("x_m", "y_m", "z_m", "rx_rad", "ry_rad", "rz_rad")
        self.environment_names = (
            *(f"{body}.{part}" for body in self._bodies for part in parts),
            *self._scalars,
            *(name for distractor in self._distractors for name in distractor.names),
        )

    def _start(self) -> None:
        """Hand open over the table; objects come to rest."""
        effector, data = self.effector, self._data
        kinematics = ArmKinematics(effector.grasp_point_m)
        start = _START_M + self._rng("start").uniform(-1, 1, 3) * _START_SPREAD_M
        q_rad = kinematics.solve(pose(np.diag([1.0, -1.0, -1.0]), start))
        data.qpos[self._arm_qpos] = q_rad
        for joint, position in effector.positions(effector.open).items():
            data.qpos[self._model.joint(joint).qposadr[0]] = position
        latency_ticks = round(self.settings.action_latency_s * TICK_HZ)
        self._arm = ArmController(
            kinematics, WORKSPACE_LOWER_M, WORKSPACE_UPPER_M, _hull(effector), latency_ticks
        )
        self._arm.reset(q_rad, effector.open)
        data.ctrl[self._arm_ctrl] = q_rad
        data.ctrl[self._hand_ctrl] = effector.open
        mujoco.mj_step(self._model, data, nstep=_SETTLE_STEPS)
        self._due_ticks = 0.0
        self._camera_ticks = round(self.settings.camera_latency_s * TICK_HZ)
        self._history = deque([data.qpos.copy()], maxlen=1 + self._camera_ticks)
        self._drawn_tick = -1
        self._refresh()

    def step(self, action: Action) -> None:
        """One control period with its action."""
        self.command(action.delta_ee, 1.0 / self.control_hz)
        self.command_hand(action.hand)
        self.advance(1.0 / self.control_hz)

    def command(self, delta_ee: Delta, duration_s: float) -> None:
        """Spread a delta, in base axes, from now over `duration_s`."""
        self._arm.command(delta_ee, duration_s)

    def command_hand(self, targets: Float64[np.ndarray, " joints"]) -> None:
        """Position targets of the hand's actuated joints, clipped to their limits."""
        if np.shape(targets) != self.effector.lower.shape:
            raise ValueError(
                f"{self.effector.name} has {len(self.effector.joint_names)} joints, "
                f"the command {np.shape(targets)}"
            )
        self._arm.command_hand(np.clip(targets, self.effector.lower, self.effector.upper))

    def advance(self, duration_s: float) -> None:
        """Let simulated time go on, in whole ticks of 10 ms; what remains counts next time."""
        self._due_ticks += duration_s * TICK_HZ
        data = self._data
        while self._arm.tick + 1 <= self._due_ticks + 1e-6:
            data.ctrl[self._arm_ctrl] = self._arm.advance(data.qpos[self._arm_qpos])
            data.ctrl[self._hand_ctrl] = self._arm.hand
            mujoco.mj_step(self._model, data, nstep=_SUBSTEPS)
            self._history.append(data.qpos.copy())
        self._refresh()

    def _refresh(self) -> None:
        """Bring poses up to the joint positions, which a step leaves one behind."""
        mujoco.mj_fwdPosition(self._model, self._data)

    @property
    def time_s(self) -> float:
        """Simulated time since the reset."""
        return self._arm.tick * TICK_S

    def truth(self) -> Truth:
        data = self._data
        bodies = {
            name: pose(data.xmat[i].reshape(3, 3), data.xpos[i]) for name, i in self._bodies.items()
        }
        return Truth(
            time_s=self.time_s,
            T_base_ee=pose(
                data.site_xmat[self._ee_site].reshape(3, 3), data.site_xpos[self._ee_site]
            ),
            joint_names=self.effector.joint_names,
            joint_positions=data.actuator_length[self._hand_ctrl],
            bodies=bodies,
            scalars={name: float(data.qpos[i]) for name, i in self._scalars.items()},
        )

    def arm_positions(self) -> Float64[np.ndarray, "7"]:
        """Measured arm joints [rad], in the order of `panda.JOINT_NAMES`."""
        return self._data.qpos[self._arm_qpos]

    def proprioception(self) -> Float32[np.ndarray, " n"]:
        """Position [m] and rotation vector [rad] of ee_link, then the hand's joints."""
        truth = self.truth()
        return np.concatenate([_numbers(truth.T_base_ee), truth.joint_positions], dtype=np.float32)

    def environment_state(self) -> Float32[np.ndarray, " m"]:
        """Bodies, scalars and distractors now, in the order of `environment_names`."""
        truth = self.truth()
        parts = [_numbers(T_base_body) for T_base_body in truth.bodies.values()]
        parts.append(np.array(list(truth.scalars.values())))
        parts.extend(distractor.state(self.time_s) for distractor in self._distractors)
        return np.concatenate(parts, dtype=np.float32)

    def render(self, camera: str, height: int, width: int) -> UInt8[np.ndarray, "h w 3"]:
        """What a camera delivers now: the view of `camera_latency_s` ago."""
        _check("camera", camera, CAMERAS)
        if self._drawn_tick != self._arm.tick:
            self._drawn_tick = self._arm.tick
            self._canvas.data.qpos[:] = self._history[0]
            shown_tick = max(0, self._arm.tick - self._camera_ticks)
            for distractor in self._distractors:
                distractor.show(self._canvas, shown_tick * TICK_S)
            mujoco.mj_kinematics(self._model, self._canvas.data)
            mujoco.mj_comPos(self._model, self._canvas.data)
            mujoco.mj_camlight(self._model, self._canvas.data)
        return renderer(self._model).draw(self._canvas, camera, height, width)

    def succeeded(self) -> bool:
        return self._task.succeeded(self.truth())

    def expert(self, hand: Grasper | None = None) -> Expert:
        """The task's demonstrator. hand: in place of the world's own, how its joints close."""
        return self._task.expert(hand or self.effector, self._rng("expert"))

    def close(self) -> None:
        """Nothing to free: the drawing context is the process's."""


def _hull(effector: EndEffector) -> Float64[np.ndarray, "points 3"]:
    """The fingertips and a ring around the wrist, in the frame ee_link [m]."""
    angles = np.arange(8) * (np.pi / 4)
    wrist = np.full(8, 0.03 - effector.grasp_point_m)
    ring = np.column_stack([0.08 * np.cos(angles), 0.08 * np.sin(angles), wrist])
    return np.vstack([[0.0, 0.0, effector.tip_reach_m], ring])


def _check(thing: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise unknown(thing, name, known)


def _numbers(T_base_body: Float64[np.ndarray, "4 4"]) -> Float64[np.ndarray, "6"]:
    return np.concatenate([T_base_body[:3, 3], so3_log(T_base_body[:3, :3])])
