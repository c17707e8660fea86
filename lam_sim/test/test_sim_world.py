"""Laws of the table world, over every end effector and distractor."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from lam_models.command import UserError
from lam_models.geometry import apply_delta, delta_between, so3_exp
from lam_models.types import Action
from lam_sim.table import panda
from lam_sim.table.distractors import DISTRACTORS
from lam_sim.table.effectors import EFFECTORS
from lam_sim.table.stage import CAMERAS
from lam_sim.table.world import TableWorld, WorldSettings
from lam_sim.tasks import TASKS

ALL = tuple(DISTRACTORS)


@pytest.fixture(params=EFFECTORS)
def effector_name(request: pytest.FixtureRequest) -> str:
    return request.param


def random_action(world: TableWorld, rng: np.random.Generator, size: float = 1.0) -> Action:
    delta = rng.normal(0.0, size, 6) * np.repeat([0.02, 0.1], 3)
    return Action(delta, rng.uniform(world.effector.lower, world.effector.upper))


def still(world: TableWorld) -> Action:
    return Action(np.zeros(6), world.effector.open)


def state_of(world: TableWorld) -> np.ndarray:
    return np.concatenate([world._data.qpos, world._data.qvel])


def wander(world: TableWorld, seed: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    world.reset(seed)
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        world.step(random_action(world, rng))
    pictures = [world.render(camera, 48, 64) for camera in CAMERAS]
    return state_of(world), np.stack(pictures)


def test_same_seed_and_actions_give_the_same_bits(effector_name: str) -> None:
    settings = WorldSettings(end_effector=effector_name, distractors=ALL, embodiment_variation=True)
    first, second = TableWorld(settings), TableWorld(settings, seed=9)
    state, pictures = wander(first, 3, 30)
    other_state, other_pictures = wander(second, 3, 30)
    np.testing.assert_array_equal(state, other_state)
    np.testing.assert_array_equal(pictures, other_pictures)
    # Drawing one world must not show in the picture of another.
    np.testing.assert_array_equal(pictures[0], first.render("front", 48, 64))
    assert not np.array_equal(wander(second, 4, 30)[0], state)


def test_distractors_and_pictures_leave_the_physics_alone() -> None:
    plain = wander(TableWorld(WorldSettings()), 1, 20)[0]
    np.testing.assert_array_equal(
        plain, wander(TableWorld(WorldSettings(distractors=ALL)), 1, 20)[0]
    )


def test_silence_stands_still(effector_name: str) -> None:
    world = TableWorld(WorldSettings(end_effector=effector_name))
    world.advance(0.5)
    before, arm = world.truth(), world.arm_positions()
    world.advance(2.0)
    after = world.truth()
    assert np.linalg.norm(delta_between(before.T_base_ee, after.T_base_ee)) < 1e-4
    np.testing.assert_allclose(world.arm_positions(), arm, atol=1e-4)
    np.testing.assert_allclose(after.joint_positions, before.joint_positions, atol=1e-3)
    assert after.time_s == pytest.approx(2.5)


def test_the_end_effector_goes_where_deltas_say(effector_name: str) -> None:
    world = TableWorld(WorldSettings(end_effector=effector_name))
    expected = world.truth().T_base_ee
    delta = np.array([0.006, -0.005, 0.003, 0.01, -0.015, 0.03])
    for _ in range(20):
        expected = apply_delta(expected, delta)
        world.step(Action(delta, world.effector.open))
    error = delta_between(expected, world.truth().T_base_ee)
    assert np.linalg.norm(error[:3]) < 0.006
    assert np.linalg.norm(error[3:]) < 0.03
    world.advance(0.5)
    error = delta_between(expected, world.truth().T_base_ee)
    assert np.linalg.norm(error[:3]) < 0.0015
    assert np.linalg.norm(error[3:]) < 0.01


def test_a_delta_is_spread_over_its_duration() -> None:
    world = TableWorld(WorldSettings())
    start = world.truth().T_base_ee[:3, 3]
    world.command(np.array([0, 0.08, 0, 0, 0, 0]), 0.8)
    world.advance(0.4)
    assert world.truth().T_base_ee[1, 3] - start[1] == pytest.approx(0.04, abs=0.006)
    world.advance(0.8)
    moved = world.truth().T_base_ee[:3, 3] - start
    np.testing.assert_allclose(moved, [0, 0.08, 0], atol=0.0015)


def test_odd_durations_add_up() -> None:
    world = TableWorld(WorldSettings())
    for _ in range(30):
        world.advance(1.0 / 30.0)
    assert world.time_s == pytest.approx(1.0)


def test_limits_hold_under_random_commands(effector_name: str) -> None:
    world = TableWorld(WorldSettings(end_effector=effector_name, difficulty=0.0))
    rng = np.random.default_rng(0)
    model, data = world._model, world._data
    limited = np.flatnonzero(model.jnt_limited)
    addresses, ranges = model.jnt_qposadr[limited], model.jnt_range[limited]
    slack = np.where(model.jnt_type[limited] == mujoco.mjtJoint.mjJNT_SLIDE, 3e-3, 0.03)
    drift = np.zeros(6)
    for step in range(300):
        if step % 30 == 0:
            drift = rng.normal(0.0, 1.0, 6) * np.repeat([0.02, 0.12], 3)
        action = random_action(world, rng, 0.3)
        world.step(Action(action.delta_ee + drift, action.hand))
        arm = world.arm_positions()
        assert (arm > panda.LOWER_RAD).all() and (arm < panda.UPPER_RAD).all()
        assert (data.qpos[addresses] > ranges[:, 0] - slack).all()
        assert (data.qpos[addresses] < ranges[:, 1] + slack).all()
        assert data.body("hand").xpos[2] > 0.02
    assert np.isfinite(state_of(world)).all()


def test_commands_against_the_table_do_not_wind_up() -> None:
    world = TableWorld(WorldSettings(difficulty=0.0))
    press = Action(np.array([0.0, 0.0, -0.03, 0, 0, 0]), world.effector.open)
    for _ in range(60):
        world.step(press)
    low = world.truth().T_base_ee[2, 3]
    rise = Action(np.array([0.0, 0.0, 0.02, 0, 0, 0]), world.effector.open)
    for _ in range(3):
        world.step(rise)
    assert world.truth().T_base_ee[2, 3] > low + 0.03


def aperture(world: TableWorld) -> float:
    """Gap [m] between the thumb's pad and the middle of the pads of the nearest two opposed."""
    data, model = world._data, world._model
    count = sum(model.site(i).name.startswith("tip_") for i in range(model.nsite))
    tips = np.array([data.site(f"tip_{i}").xpos for i in range(min(count, 3))])
    across = world.truth().T_base_ee[:3, 1]
    return abs(float((tips[0] - tips[1:].mean(axis=0)) @ across))


@pytest.mark.parametrize("variation", [False, True])
def test_grasp_aperture_is_measured_at_the_tips(effector_name: str, variation: bool) -> None:
    world = TableWorld(
        WorldSettings(task="reach", end_effector=effector_name, embodiment_variation=variation)
    )
    wanted = np.linspace(0.005, world.effector.max_aperture_m, 7)
    measured = []
    for width in wanted:
        world.command_hand(world.effector.grasp(float(width)))
        world.advance(0.8)
        measured.append(aperture(world))
    assert (np.diff(measured) > 0).all()
    np.testing.assert_allclose(measured, wanted, atol=0.006)


def test_postures_are_within_limits_and_steady(effector_name: str) -> None:
    effector = TableWorld(WorldSettings(end_effector=effector_name)).effector
    for width in (-1.0, 0.0, 0.03, 1.0):
        posture = effector.grasp(width)
        assert posture.shape == (len(effector.joint_names),)
        assert (posture >= effector.lower).all() and (posture <= effector.upper).all()
    np.testing.assert_array_equal(effector.open, effector.grasp(effector.max_aperture_m))


def test_coupled_joints_follow(effector_name: str) -> None:
    world = TableWorld(WorldSettings(task="reach", end_effector=effector_name))
    rng = np.random.default_rng(2)
    for _ in range(10):
        world.command_hand(rng.uniform(world.effector.lower, world.effector.upper))
        world.advance(0.4)
        expected = world.effector.positions(world.truth().joint_positions)
        found = {name: float(world._data.joint(name).qpos[0]) for name in expected}
        assert found == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("latency_ticks", [1, 5, 12])
def test_action_latency_delays_by_exactly_its_ticks(latency_ticks: int) -> None:
    prompt = TableWorld(WorldSettings())
    late = TableWorld(WorldSettings(action_latency_s=latency_ticks / 100))
    for world in (prompt, late):
        world.command(np.array([0.02, 0, 0.02, 0, 0, 0.1]), 0.1)
        world.command_hand(world.effector.closed)
    late.advance(latency_ticks / 100)
    for _ in range(30):
        prompt.advance(0.01)
        late.advance(0.01)
        np.testing.assert_allclose(prompt.arm_positions(), late.arm_positions(), atol=1e-4)


@pytest.mark.parametrize("latency_ticks", [1, 5, 12])
def test_camera_latency_shows_the_past(latency_ticks: int) -> None:
    prompt = TableWorld(WorldSettings(distractors=ALL))
    late = TableWorld(WorldSettings(distractors=ALL, camera_latency_s=latency_ticks / 100))
    for world in (prompt, late):
        world.command(np.array([0.1, 0, 0.02, 0, 0, 0.1]), 0.5)
    late.advance(latency_ticks / 100)
    for _ in range(4):
        prompt.advance(0.07)
        late.advance(0.07)
        for camera in CAMERAS:
            np.testing.assert_array_equal(
                prompt.render(camera, 32, 32), late.render(camera, 32, 32)
            )


@pytest.mark.parametrize("task", TASKS)
def test_states_have_a_fixed_size(task: str) -> None:
    sizes = set()
    for difficulty in (0.0, 1.0):
        world = TableWorld(WorldSettings(task=task, difficulty=difficulty, distractors=ALL))
        for seed in range(3):
            world.reset(seed)
            state = world.environment_state()
            assert state.shape == (len(world.environment_names),) and np.isfinite(state).all()
            assert world.proprioception().shape == (len(world.state_names),)
            sizes.add(world.environment_names)
    assert len(sizes) == 1


@pytest.mark.parametrize("distractor", DISTRACTORS)
def test_every_distractor_shows_and_is_in_the_state(distractor: str) -> None:
    plain, busy = TableWorld(WorldSettings()), TableWorld(WorldSettings(distractors=(distractor,)))
    count = len(busy.environment_names) - len(plain.environment_names)
    assert count > 0
    before = busy.render("front", 64, 64)
    assert not np.array_equal(before, plain.render("front", 64, 64))
    states, pictures = [], []
    for _ in range(3):
        states.append(busy.environment_state()[-count:])
        pictures.append(busy.render("front", 64, 64)[:, :20])
        busy.advance(0.5)
    moves = not np.array_equal(states[0], states[2])
    assert moves == (distractor != "texture")
    # The left edge shows no part of the robot, so what changes there is the distractor.
    assert moves == (not np.array_equal(pictures[0], pictures[2]))


def test_embodiments_vary_with_the_seed(effector_name: str) -> None:
    world = TableWorld(WorldSettings(end_effector=effector_name, embodiment_variation=True))
    pictures = []
    for seed in (0, 1):
        world.reset(seed)
        pictures.append(world.render("wrist", 48, 48))
    assert not np.array_equal(*pictures)


def test_pictures_of_any_size_in_any_order() -> None:
    world = TableWorld(WorldSettings())
    small = world.render("wrist", 40, 56)
    assert world.render("wrist", 300, 500).shape == (300, 500, 3)
    np.testing.assert_array_equal(world.render("wrist", 40, 56), small)


def test_an_object_is_held_and_lifted(effector_name: str) -> None:
    world = TableWorld(WorldSettings(task="pick_place", end_effector=effector_name, difficulty=0))
    expert = world.expert()
    highest = 0.0
    for _ in range(160):
        world.step(expert.act(world.truth()))
        highest = max(highest, float(world.truth().bodies["target"][2, 3]))
    assert highest > 0.08


def test_panda_matches_its_published_pose() -> None:
    """Flange of the stretched-up arm: 0.088 m forward, 1.033 - 0.107 m high, pointing down."""
    from lam_sim.table.control import ArmKinematics

    T_base_flange = ArmKinematics(0.0).forward(np.zeros(7))
    np.testing.assert_allclose(T_base_flange[:3, 3], [0.088, 0, 0.926], atol=1e-9)
    turned = np.diag([1.0, -1.0, -1.0]) @ so3_exp(np.array([0, 0, -np.pi / 4]))
    np.testing.assert_allclose(T_base_flange[:3, :3], turned, atol=1e-9)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"task": "pick_plac"}, "pick_place"),
        ({"end_effector": "claw"}, "four_finger"),
        ({"distractors": ("lihgt",)}, "light"),
        ({"difficulty": 1.5}, "0 to 1"),
        ({"action_latency_s": -0.1}, "0 to 2"),
    ],
)
def test_mistakes_are_named(wrong: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        WorldSettings(**wrong)
