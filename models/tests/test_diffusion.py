"""The read-outs that sample: several answers to one observation, in few steps or in one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jaxtyping
import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from lam_models.policy.diffusion import Diffusion, plan
from lam_models.policy.distil import distil_loss, student_of
from lam_models.policy.readouts import DELTA, ReadOut, draw_noise, sample
from lam_models.policy.regression import Regression

CONFIG = Diffusion.Config.tiny()
STEPS, DIM, WIDTH = CONFIG.chunk_steps, CONFIG.latent_dim, CONFIG.condition_width
READOUTS = (Diffusion, Regression)
SPEED_M = 0.01
RARE = 0.05  # Share of samples that may belong to no answer.


def draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class World:
    """Around an obstacle: left with one grasp or right with another.

    Observations of kind 0 allow both ways, kind 1 only the left one, kind 2 only the right one.
    """

    def __init__(self) -> None:
        self.embedding = torch.randn(3, WIDTH, generator=draw(5))
        self.ways = torch.zeros(2, STEPS, DELTA + DIM)
        bend = torch.linspace(0.0, torch.pi, STEPS).cos()
        for way, side in enumerate((-1.0, 1.0)):
            self.ways[way, :, 0] = SPEED_M
            self.ways[way, :, 1] = side * SPEED_M * bend
            grasp = torch.randn(2, DIM, generator=draw(6 + way))
            closing = torch.lerp(grasp[0], grasp[1], torch.linspace(0.0, 1.0, STEPS)[:, None])
            self.ways[way, :, DELTA:] = functional.normalize(closing, dim=-1)

    def batch(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Conditions and chunks."""
        kind = torch.randint(3, (count,), generator=generator)
        way = torch.where(kind == 0, torch.randint(2, (count,), generator=generator), kind - 1)
        return self.embedding[kind], self.ways[way]

    def ready(self, read_out: Any) -> Any:
        deltas = self.ways[..., :DELTA].flatten(0, 1)
        read_out.units.standardise(deltas.mean(0), deltas.std(0))
        return read_out

    def ask(
        self, read_out: Any, kind: int, *, count: int = 128, steps: int | None = None
    ) -> Tensor:
        return sample(read_out, self.embedding[kind].expand(count, -1), steps, draw(1))


def shares(world: World, chunks: Tensor) -> Tensor:
    """Of chunks that go left, right, or neither: nearer to the middle between the two."""
    middle = world.ways.mean(0, keepdim=True)
    far = torch.cat([world.ways, middle])[None] - chunks[:, None]
    scale = torch.cat([torch.full((DELTA,), 1.0 / SPEED_M), torch.ones(DIM)])
    nearest = (far * scale).square().sum((-1, -2)).argmin(1)
    return torch.bincount(nearest, minlength=3) / len(chunks)


def train(read_out: Any, loss: Any, steps: int) -> Any:
    optimiser = torch.optim.AdamW(read_out.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
        schedule.step()
    return read_out.eval()


def trained(kind: Any, world: World, steps: int) -> Any:
    torch.manual_seed(0)
    chance, read_out = draw(2), world.ready(kind(kind.Config.tiny()))
    return train(
        read_out, lambda: read_out.loss(*world.batch(32, chance), generator=chance)[0], steps
    )


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def diffusion(world: World) -> Diffusion:
    return trained(Diffusion, world, 300)


@pytest.fixture(scope="module")
def student(world: World, diffusion: Diffusion) -> Diffusion:
    chance, student = draw(3), student_of(diffusion)

    def loss() -> Tensor:
        return distil_loss(student, diffusion, world.batch(32, chance)[0], 4, chance)[0]

    return train(student, loss, 150)


def test_two_ways_are_sampled_as_two_and_not_as_their_middle(
    world: World, diffusion: Diffusion
) -> None:
    left, right, neither = shares(world, world.ask(diffusion, 0))
    assert left > 0.3 and right > 0.3 and neither < RARE


def test_regression_goes_through_the_middle(world: World) -> None:
    middle = world.ways.mean(0)[:, 1]
    chunk = world.ask(trained(Regression, world, 80), 0, count=1)[0]
    apart = (world.ways[0] - world.ways[1])[:, 1].abs().max()
    assert (chunk[:, 1] - middle).abs().max() < 0.5 * apart


@pytest.mark.parametrize("kind", (1, 2))
def test_the_observation_picks_the_way(world: World, diffusion: Diffusion, kind: int) -> None:
    assert shares(world, world.ask(diffusion, kind))[kind - 1] > 1.0 - RARE


@pytest.mark.parametrize("kind", READOUTS)
def test_latents_lie_on_the_sphere_and_deltas_in_their_units(kind: Any, world: World) -> None:
    chunks = world.ask(world.ready(kind(kind.Config.tiny())), 0)
    assert chunks.shape == (128, STEPS, DELTA + DIM)
    assert torch.allclose(chunks[..., DELTA:].norm(dim=-1), torch.ones(128, STEPS), atol=1e-5)
    assert chunks[..., :DELTA].abs().max() < 50 * SPEED_M


def test_units_come_back(world: World) -> None:
    units = world.ready(Diffusion(CONFIG)).units
    assert torch.allclose(units.leave(units.enter(world.ways)), world.ways, atol=1e-6)
    outside = 3.0 * units.enter(world.ways)
    assert torch.allclose(units.leave(units.inside(outside))[..., DELTA:], world.ways[..., DELTA:])


def test_the_same_seed_gives_the_same_chunks(world: World, diffusion: Diffusion) -> None:
    condition = world.embedding[[0, 0]]
    first, again, other = (sample(diffusion, condition, None, draw(s)) for s in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_few_steps_come_near_many(world: World, diffusion: Diffusion) -> None:
    many, ten, two = (world.ask(diffusion, 0, steps=n) for n in (50, 10, 2))
    assert (ten - many).norm() < (two - many).norm()
    assert (ten - many).norm() < 0.3 * (many - many.flip(0)).norm()


def test_one_step_of_a_student_comes_nearer_to_its_teacher_than_one_of_the_teacher(
    world: World, diffusion: Diffusion, student: Diffusion
) -> None:
    taught, before, after = (
        world.ask(diffusion, 0, steps=4),
        world.ask(diffusion, 0, steps=1),
        world.ask(student, 0),
    )
    assert (after - taught).norm() < 0.75 * (before - taught).norm()
    assert shares(world, after)[2] < 0.5 * shares(world, before)[2]


@pytest.mark.parametrize("steps", (1, 2, 10, 100))
def test_sampling_is_the_loop_of_diffusers(world: World, steps: int) -> None:
    """Whose scheduler reads its timesteps back from the device."""
    torch.manual_seed(0)
    read_out, condition = world.ready(Diffusion(CONFIG)), world.embedding
    x = noise = draw_noise(read_out, condition, draw(0))
    scheduler = DDIMScheduler(
        CONFIG.noise_levels,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="sample",
        clip_sample=False,
        timestep_spacing="trailing",
    )
    scheduler.set_timesteps(steps)
    with torch.no_grad():
        slots = read_out.slots(condition)
        for level in scheduler.timesteps:
            clean = read_out.units.inside(read_out.denoiser(x, int(level), slots))
            x = scheduler.step(clean, int(level), x, return_dict=False)[0]
        found = read_out.denoise(condition, noise, steps)
    # The factors at the noisiest level are 1 to 5e-4: both loops round.
    assert torch.allclose(found, x, atol=1e-3)


@pytest.mark.parametrize("steps", (0, -1, 101))
def test_a_number_of_steps_that_cannot_be_is_refused(steps: int) -> None:
    with pytest.raises(ValueError, match="must be 1 to 100"):
        plan(100, steps)


@pytest.mark.parametrize("kind", READOUTS)
def test_gradient_reaches_every_parameter(kind: Any, world: World) -> None:
    torch.manual_seed(0)
    read_out = kind(kind.Config.tiny())
    # Blocks begin as the identity: only what opens them learns at first.
    optimiser = torch.optim.SGD(read_out.parameters(), lr=0.1)
    tokens = torch.randn(16, 5, WIDTH, generator=draw(0))
    for _ in range(3):
        optimiser.zero_grad()
        loss, logged = read_out.loss(tokens, world.batch(16, draw(1))[1], draw(2))
        assert all(torch.isfinite(value) for value in logged.values())
        loss.backward()
        optimiser.step()
    for name, parameter in read_out.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("kind", READOUTS)
def test_saved_and_opened_it_answers_the_same(kind: Any, world: World, tmp_path: Path) -> None:
    read_out, file = world.ready(kind(kind.Config.tiny())), tmp_path / "model.safetensors"
    save_file(read_out.state_dict(), file)
    other = kind(kind.Config.tiny())
    other.load_state_dict(load_file(file))
    assert isinstance(other, ReadOut)
    assert torch.equal(world.ask(read_out, 0), world.ask(other, 0))


class AskedByTheHost(TorchDispatchMode):
    """Counts how often a value leaves the device."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("kind", READOUTS)
def test_nothing_waits_for_the_device(kind: Any, world: World) -> None:
    read_out, (condition, chunk) = kind(kind.Config.tiny()), world.batch(4, draw(0))
    noise = draw_noise(read_out, condition, draw(0))
    with AskedByTheHost() as asked:
        read_out.read(condition, noise, 10)
        read_out.loss(condition, chunk)
        assert asked.count == 0
        condition.sum().item()
        assert asked.count == 1


@pytest.mark.parametrize("kind", READOUTS)
def test_reading_is_one_graph(kind: Any, world: World, without_shape_checks: None) -> None:
    read_out, condition = kind(kind.Config.tiny()), world.embedding
    noise = draw_noise(read_out, condition, draw(0))
    compiled = torch.compile(read_out.read, fullgraph=True, backend="aot_eager", dynamic=False)
    with torch.no_grad():
        expected = read_out.read(condition, noise, 2)
        assert torch.allclose(compiled(condition, noise, 2), expected, atol=1e-5)


@pytest.fixture
def without_shape_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Annotations are checked under pytest only; a compiler cannot follow the checks."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
